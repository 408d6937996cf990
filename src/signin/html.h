/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_HTML_H
#define CAIRN_SIGNIN_HTML_H

#include "router/request.h"

/* The pages around signing in. root is what leads from the page to the hub's own first page: "", or "../". */
void html_begin(struct buf *out, const char *title, const char *class, const char *root);
/* A template: each %s is a text from outside, escaped. */
void html_put(struct buf *out, const char *template, struct str first, struct str second);
/* Ends the page and replies with it; nothing of it may be kept, framed, or sent elsewhere. target is an origin to which
 * a form of the page may lead besides the hub; absent: none. */
void html_reply(struct request *rq, int status, struct buf *page, struct str target);

/* Where to go after signing in, without the first slash: wanted if it is a page that asks people to sign in, else
 * "signin". */
struct str signin_next(struct str wanted);

#endif

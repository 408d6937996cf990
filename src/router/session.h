/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_SESSION_H
#define CAIRN_ROUTER_SESSION_H

#include "router/request.h"

/*
 * Who asks, by the cookie of a session. Whoever has none, or one that has ended, is nobody, and sees what everybody
 * sees. A method that changes something counts only when the page that sent it is the hub's own (its Origin): else
 * FORBIDDEN CrossSite, since any page of the world can make a browser send it.
 */
enum status request_session(struct request *rq, struct error *err);

/* "https://hub.example.org", without a path: what browsers send as Origin from the hub's own pages. */
struct str request_origin(struct request *rq);
/* Is the request's Origin that? False too when it has none. */
bool request_same_origin(struct request *rq);

/* Adds the cookie to the reply, or with an absent token takes it away. */
void reply_session_cookie(struct request *rq, struct str token);

#endif

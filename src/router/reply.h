/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_REPLY_H
#define CAIRN_ROUTER_REPLY_H

#include "net/http.h"
#include "router/request.h"

/* Replies with the length bytes that view gives; it is closed when they are out or nobody wants them any more. */
void request_reply_view(struct request *rq, int status, struct str type, int64_t length, struct store_view *view);

/* The next piece of a view, for a reply that is made of more than one; false at its end. A failure is logged and counts
 * as the end: the status of the reply is out already, and a short body is all that can tell the client. */
bool reply_view_piece(struct store_view *view, struct http_extent *out);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_FLIGHT_H
#define CAIRN_ROUTER_FLIGHT_H

#include "router/request.h"

/*
 * Replies with a repo's bytes that are under way, however long they take. The door is asked for each of them again and
 * again: when it says no by now, the connection is cut. So a grant that was revoked or has run out, a key that was revoked,
 * and a repo that was made private or deleted end downloads too, all in one way.
 */
#define FLIGHT_SECONDS 5 /* between two looks */

/* When the door has let the request in; and when nothing more of it will be sent. */
void flight_begin(struct request *rq);
void flight_end(struct request *rq);

/* One look. */
enum status flights_check(struct hub *hub, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_DISPATCH_H
#define CAIRN_ROUTER_DISPATCH_H

#include "module.h"

/*
 * The way of a request: match a route, find out who asks, find the repo, ask the door, run the handler, turn an error
 * into a reply. Both functions are http_config's; context is the struct hub.
 */
void dispatch(struct http_request *http, void *context);
void dispatch_done(struct http_request *http, void *context); /* the access log line and the counters */

/* Requests answered so far by status class (index 1 to 5), for GET /metrics. */
int64_t dispatch_count(int status_class);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_LIMIT_H
#define CAIRN_ROUTER_LIMIT_H

#include "router/request.h"

/*
 * The limits on the way of a request, once it is known who asks: TOO_MANY or UNPAID with Retry-After when there is no room.
 * Every answer that a limit holds for says what is left, in RateLimit and RateLimit-Policy (hub-protocol 0.3).
 */
enum status request_limit(struct request *rq, struct error *err);
/* The same for who is let in to the bytes of a gated repo, and slowed there by its owner. */
enum status request_slow(struct request *rq, struct error *err);
/* Before a reply with so many bytes of files: is there room for them in what may be downloaded? The refusal has Retry-After. */
enum status request_promise(struct request *rq, int64_t bytes, struct error *err);
void request_limit_done(struct request *rq); /* when the reply is out */

#endif

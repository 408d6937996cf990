/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_SIGN_H
#define CAIRN_ROUTER_SIGN_H

#include "router/request.h"

/* Texts that the hub hands out and takes back: HMAC-SHA-256 under its own secret, in hex. */
struct str sign_text(struct request *rq, struct str text);
bool sign_matches(struct request *rq, struct str text, struct str signature); /* in constant time */

/* An address that carries its own authority: the target as far as it is signed, then "&sig=". */
struct str sign_target(struct request *rq, struct str target);
/* Does this request's own target end in a signature that fits? FORBIDDEN when not. */
enum status sign_check_target(struct request *rq, struct error *err);

/* A number in the query; -1 when it is not there or not one. */
int64_t query_number(struct request *rq, const char *name);

/* Fills rq->actor and rq->repo from ids that were signed (key_id 0: nobody): a revoked key is UNAUTHENTICATED, a repo that is gone
 * reads like one that may not be seen. */
enum status sign_admit(struct request *rq, int64_t key_id, int64_t repo_id, struct error *err);

#endif

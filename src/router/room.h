/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_ROOM_H
#define CAIRN_ROUTER_ROOM_H

#include "router/request.h"

/* Room for large files that are to come to the request's repo: reserved before their bytes are sent, against the owner of the
 * repo. What comes takes its place by itself (quota/repo.c). */
struct room {
    uint8_t sha256[SHA256_SIZE];
    int64_t size;
};
/* For all of them or none, in one write; asking again renews. verify: bytes that the hub is about to read again for it, which are
 * used up by this (C12, verify.bytes). TOO_LARGE "QuotaExceeded" when there is no room: that is said before
 * anybody sends a byte. The reader is given back. */
enum status request_reserve(struct request *rq, const struct room *rooms, size_t count, int64_t verify,
                            struct error *err);
/* The same answer when there is no room at all; nothing is reserved. For who does not know yet what will come. */
enum status request_has_room(struct request *rq, struct error *err);
/* Something for the repo has come: what is reserved for it stays reserved. The reader is given back. */
enum status request_renew(struct request *rq, struct error *err);

#endif

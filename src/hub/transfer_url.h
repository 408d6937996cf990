/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_TRANSFER_URL_H
#define CAIRN_HUB_TRANSFER_URL_H

#include "router/request.h"

/*
 * Addresses that carry their own authority, because clients send no key with the bytes (hub-protocol trap 2). Form:
 * /transfer/…?k=KEY&r=REPO&s=SIZE&u=UNTIL&sig=HMAC — an HMAC-SHA-256 over everything before "&sig=", so nothing in it
 * can be changed. The door is still asked when it is used: a revoked key or a lost right ends the address at once.
 */

/* path begins with "/transfer/". size is what the transfer is about, in bytes. Valid for a day. */
struct str transfer_url(struct request *rq, struct str path, int64_t size);

/* The size signed into the address of this request; only after transfer_signed() said OK. */
int64_t transfer_size(struct request *rq);

#endif

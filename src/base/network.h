/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_NETWORK_H
#define CAIRN_BASE_NETWORK_H

#include "base/str.h"

/*
 * Internet addresses and ranges of them. IPv4 is kept as IPv6 keeps it (::ffff:a.b.c.d), so that a client is the same
 * whether a dual-stack socket saw it or another.
 */
struct network {
    uint8_t bytes[16]; /* bits beyond the length are zero */
    unsigned bits;     /* of 128 */
};

#define NETWORK_TEXT 52 /* room for the text of any, with its NUL */

/* "192.0.2.0/24", "2001:db8::/32", or one address. False for anything else, and where bits beyond the length are set:
 * "10.0.0.1/8" is somebody's slip. */
bool network_parse(struct str text, struct network *out);
/* One address, without a length. */
bool network_address(struct str text, struct network *out);
bool network_has(const struct network *range, const struct network *address);
/* May stand on the public Internet: not this machine, a private network, or what is kept for other uses (IANA's registries of
 * special-purpose addresses), where what strangers name must not lead a server. */
bool network_is_public(const struct network *address);
/* What one party is likely to have to itself: a /24 of IPv4, a /56 of IPv6. */
struct network network_around(const struct network *address);
/* How many such parties a range has room for; INT64_MAX for more than can be counted. */
int64_t network_parties(const struct network *range);
struct str network_text(const struct network *network, char out[NETWORK_TEXT]);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WEBAUTHN_CBOR_H
#define CAIRN_WEBAUTHN_CBOR_H

#include "base/str.h"

/*
 * CBOR (RFC 8949), as much of it as authenticators write (CTAP2's canonical form): definite lengths, the shortest head
 * for each number. Anything else is refused. Nothing is copied; nesting is at most CBOR_DEPTH deep.
 */
#define CBOR_DEPTH 4

enum cbor_kind {
    CBOR_UNSIGNED,
    CBOR_NEGATIVE,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_SIMPLE = 7, /* false, true, null, undefined */
};

struct cbor {
    const uint8_t *at, *end;
};

struct cbor_item {
    enum cbor_kind kind;
    int64_t number;   /* of CBOR_UNSIGNED, CBOR_NEGATIVE and CBOR_SIMPLE; members of an array, pairs of a map */
    struct str bytes; /* of CBOR_BYTES and CBOR_TEXT (UTF-8) */
};

struct cbor cbor_of(struct str data);
/* The next item; of an array or map only its head, its members follow. False for what is malformed, or at the end. */
bool cbor_next(struct cbor *from, struct cbor_item *out);
/* Passes over one item with all that is in it. */
bool cbor_skip(struct cbor *from);
bool cbor_ends(const struct cbor *from);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_MASK_MASK_H
#define CAIRN_MASK_MASK_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Masks for the mode "one house" (federated.md 2.5): each pair of neighbours in a cohort agrees on a key; one adds what it expands to, the
 * other takes it away, and the sum of all is the sum of what they hide. Numbers are kept modulo 2^32 while masks are added and are sent
 * modulo 2^bits, of which 2^32 is a multiple.
 *
 * A mask's key has all its 256 bits from X25519 and HKDF, and is used for one vector only: two vectors under one key give away their
 * difference.
 */
#define MASK_KEY_SIZE 32

/* The key that two neighbours share: HKDF-SHA256 of X25519, salted with the round's context, bound to both public keys. The same for
 * both. INVALID when the peer's key is a point of small order, or one's own. */
enum status mask_pair_key(const uint8_t private_key[32], const uint8_t peer[32], struct str ctx,
                          uint8_t key[MASK_KEY_SIZE], struct error *err);

/* Which of a pair adds: the one whose public key comes later. */
bool mask_adds(const uint8_t own[32], const uint8_t peer[32]);

/* Adds the AES-256-CTR stream of key to the numbers, or takes it away. */
void mask_apply(const uint8_t key[MASK_KEY_SIZE], bool add, uint32_t *numbers, size_t count);
/* The same for a piece of a vector, from number `at` on, a multiple of 4. */
void mask_apply_from(const uint8_t key[MASK_KEY_SIZE], bool add, size_t at, uint32_t *numbers, size_t count);

/* The bits that a sum of up to members numbers from -most to most needs; 0 when it needs more than 32. */
unsigned mask_bits(uint64_t members, uint64_t most);

/* Numbers modulo 2^bits, one after the other, low bits first, the last byte filled up with zeros. mask_packed() is the size. */
size_t mask_packed(size_t count, unsigned bits);
void mask_pack(const uint32_t *numbers, size_t count, unsigned bits, uint8_t *out);
/* INVALID when the size or the filling is another than mask_pack() makes. */
enum status mask_unpack(struct str packed, size_t count, unsigned bits, uint32_t *out, struct error *err);
int32_t mask_lift(uint32_t number, unsigned bits); /* the number in [-2^(bits-1), 2^(bits-1)) that it stands for */

#endif

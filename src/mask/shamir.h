/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_MASK_SHAMIR_H
#define CAIRN_MASK_SHAMIR_H

#include "base/error.h"
#include <stddef.h>

/*
 * Shamir's secret sharing, byte by byte over GF(2^8) (AES's polynomial): any threshold shares give the secret back, fewer say nothing
 * about it. Share x, from 1 to 255, is the value at x. Nothing branches on a secret or looks up by one.
 *
 * Shares carry no check of their own: a wrong one gives a wrong secret. Compare what comes out with what was promised (a public
 * key), as federated.md 2.5 asks.
 */
#define SHAMIR_SHARES_MAX 255

/* shares gets count times len bytes; the share at place i is that of x = i + 1. 1 <= threshold <= count <= SHAMIR_SHARES_MAX. */
void shamir_split(const uint8_t *secret, size_t len, unsigned threshold, unsigned count, uint8_t *shares);

/* From count shares of len bytes one after the other, and their xs. INVALID when an x is 0 or comes twice, or there are none. */
enum status shamir_combine(const uint8_t *shares, const uint8_t *xs, unsigned count, size_t len, uint8_t *secret,
                           struct error *err);

#endif

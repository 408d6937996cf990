/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_DIVIDE_H
#define CAIRN_TIER_DIVIDE_H

#include "base/hash.h"

/*
 * How a pool is divided, as anybody can compute again from the published seed: everybody who may have a share gets the same floor
 * first; then bands in their order, each wish filled up as far as it goes; and where a band cannot be served whole, by lot: in the
 * order of SHA-256(seed, account as 8 bytes big-endian). When not even the floors fit, they are given in that order, too.
 */
struct wish {
    int64_t account_id, wants;
    uint32_t band;            /* 0 comes first */
    int64_t given;            /* filled in */
    uint8_t lot[SHA256_SIZE]; /* filled in */
};
/* Sorts wishes into the order in which they were served; returns what was given in all. */
int64_t pool_divide(struct wish *wishes, size_t count, int64_t budget, int64_t least, const uint8_t seed[SHA256_SIZE]);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_WR_H
#define CAIRN_PINE_WR_H

#include "pine/field.h"
#include <openssl/crypto.h>

/*
 * The wraparound tests: dot products of a vector with many random vectors over {-1, 0, 1}, block by block. Test k takes two bits a
 * coordinate from bytes [k ceil(d/4), (k+1) ceil(d/4)) of the XOF's output, low bits first: 00 is -1, 11 is 1.
 */
#define WR_BLOCK 8192 /* coordinates; a multiple of 32 */
#define WR_BYTES (WR_BLOCK / 4)

struct wr {
    struct xof xof;
    unsigned checks;
    size_t stride;  /* bytes of a test */
    uint8_t *all;   /* the whole output of an XOF that cannot be read from any place; else NULL */
    uint8_t *bytes; /* of the block: checks times WR_BYTES */
};

void wr_begin(struct wr *wr, const struct pine *pine, const uint8_t *seed);
void wr_block(struct wr *wr, size_t first, size_t count); /* first is a multiple of WR_BLOCK; count at most that */
void wr_end(struct wr *wr);

/* A byte's four factors with their four values have 256 sums, which all tests look up: a quarter of an addition for each
 * factor, where multiplying takes one or two. The tables of eight bytes fit into the first cache. */
#define WR_GROUPS 8

static inline void table_fill(int64_t table[256], const int64_t v[4])
{
    int64_t low[16], high[16];
    for (int i = 0; i < 16; i++) {
        int first = (i & 3) == 3 ? 1 : (i & 3) == 0 ? -1 : 0, second = i >> 2 == 3 ? 1 : i >> 2 == 0 ? -1 : 0;
        low[i] = first * v[0] + second * v[1];
        high[i] = first * v[2] + second * v[3];
    }
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            table[16 * i + j] = high[i] + low[j];
}

/* Adds to sums[k] test k's product with the block: count values, with zeros behind them up to a multiple of 32. */
static inline void wr_dots(const struct wr *wr, const int64_t *values, size_t count, int64_t *sums)
{
    int64_t tables[WR_GROUPS][256];
    for (size_t at = 0; at < count; at += 4 * WR_GROUPS) {
        for (int g = 0; g < WR_GROUPS; g++)
            table_fill(tables[g], values + at + 4 * g);
        for (unsigned k = 0; k < wr->checks; k++) {
            const uint8_t *b = wr->bytes + (size_t)k * WR_BYTES + at / 4;
            sums[k] += tables[0][b[0]] + tables[1][b[1]] + tables[2][b[2]] + tables[3][b[3]] + tables[4][b[4]] +
                       tables[5][b[5]] + tables[6][b[6]] + tables[7][b[7]];
        }
    }
    OPENSSL_cleanse(tables, sizeof tables);
}

#endif

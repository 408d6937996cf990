/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_WR_H
#define CAIRN_PINE_WR_H

#include "pine/field.h"

/*
 * The wraparound tests: dot products of a vector with many random vectors over {-1, 0, 1}, block by block. Test k takes two bits a
 * coordinate from bytes [k ceil(d/4), (k+1) ceil(d/4)) of the XOF's output, low bits first: 00 is -1, 11 is 1.
 */
#define WR_BLOCK 8192 /* coordinates; a multiple of 32 */

struct wr {
    struct xof xof;
    unsigned checks;
    size_t stride;  /* bytes of a test */
    uint8_t *all;   /* the whole output of an XOF that cannot be read from any place; else NULL */
    uint8_t *bytes; /* of the block: checks times WR_BLOCK / 4 */
};

void wr_begin(struct wr *wr, const struct pine *pine, const uint8_t *seed);
void wr_block(struct wr *wr, size_t first, size_t count); /* first is a multiple of WR_BLOCK; count at most that */
/* Adds to sums[k] test k's product with the block: count values, with zeros behind them up to a multiple of 32. */
void wr_dots(const struct wr *wr, const int64_t *values, size_t count, int64_t *sums);
void wr_end(struct wr *wr);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pine/wr.h"

#include <stdlib.h>

#define BLOCK_BYTES (WR_BLOCK / 4)

void wr_begin(struct wr *wr, const struct pine *pine, const uint8_t *seed)
{
    *wr = (struct wr){.checks = pine->config.checks, .stride = (pine->config.dimension + 3) / 4};
    pine_xof(pine, &wr->xof, seed, USAGE_WR_JOINT_RANDOMNESS);
    wr->bytes = calloc(wr->checks, BLOCK_BYTES);
    if (pine->config.xof != XOF_HMAC_SHA256_AES128) {
        wr->all = malloc(wr->checks * wr->stride);
        if (wr->all)
            xof_read(&wr->xof, wr->all, wr->checks * wr->stride);
    }
    if (!wr->bytes || (pine->config.xof != XOF_HMAC_SHA256_AES128 && !wr->all))
        abort();
}

void wr_block(struct wr *wr, size_t first, size_t count)
{
    size_t len = (count + 3) / 4;
    for (unsigned k = 0; k < wr->checks; k++) {
        uint8_t *out = wr->bytes + (size_t)k * BLOCK_BYTES;
        size_t at = k * wr->stride + first / 4;
        if (wr->all) {
            memcpy(out, wr->all + at, len);
            continue;
        }
        xof_seek(&wr->xof, at);
        xof_read(&wr->xof, out, len);
    }
}

/* A byte's four factors with their four values have 256 sums, which all tests look up: a quarter of an addition for each
 * factor, where multiplying takes one or two. The tables of eight bytes fit into the first cache. */
#define GROUPS 8

static void table_fill(int64_t table[256], const int64_t v[4])
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

void wr_dots(const struct wr *wr, const int64_t *values, size_t count, int64_t *sums)
{
    int64_t tables[GROUPS][256];
    for (size_t at = 0; at < count; at += 4 * GROUPS) {
        for (int g = 0; g < GROUPS; g++)
            table_fill(tables[g], values + at + 4 * g);
        for (unsigned k = 0; k < wr->checks; k++) {
            const uint8_t *b = wr->bytes + (size_t)k * BLOCK_BYTES + at / 4;
            sums[k] += tables[0][b[0]] + tables[1][b[1]] + tables[2][b[2]] + tables[3][b[3]] + tables[4][b[4]] +
                       tables[5][b[5]] + tables[6][b[6]] + tables[7][b[7]];
        }
    }
}

void wr_end(struct wr *wr)
{
    xof_end(&wr->xof);
    free(wr->all);
    free(wr->bytes);
}

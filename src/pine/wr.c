/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pine/wr.h"

#include <stdlib.h>

void wr_begin(struct wr *wr, const struct pine *pine, const uint8_t *seed)
{
    *wr = (struct wr){.checks = pine->config.checks, .stride = (pine->config.dimension + 3) / 4};
    pine_xof(pine, &wr->xof, seed, USAGE_WR_JOINT_RANDOMNESS);
    wr->bytes = calloc(wr->checks, WR_BYTES);
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
        uint8_t *out = wr->bytes + (size_t)k * WR_BYTES;
        size_t at = k * wr->stride + first / 4;
        if (wr->all) {
            memcpy(out, wr->all + at, len);
            continue;
        }
        xof_seek(&wr->xof, at);
        xof_read(&wr->xof, out, len);
    }
}

void wr_end(struct wr *wr)
{
    xof_end(&wr->xof);
    free(wr->all);
    free(wr->bytes);
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pine/quantise.h"

#include "vdaf/xof.h"
#include <math.h>
#include <openssl/crypto.h>

#define BLOCK 1024
#define DRAWS 8     /* roundings that are tried at one length */
#define SHRINKS 100 /* by a thousandth each */

/* Rounds at random; returns the square of the norm, exactly: it is at most (bound + sqrt(count))^2, which is below 2^63. */
static uint64_t round_all(const float *update, size_t count, double factor, struct xof *xof, int32_t *out)
{
    uint32_t draws[BLOCK];
    uint64_t norm = 0;
    for (size_t at = 0, part; at < count; at += part) {
        part = count - at < BLOCK ? count - at : BLOCK;
        xof_read(xof, draws, part * sizeof *draws);
        for (size_t i = 0; i < part; i++) {
            int64_t rounded = (int64_t)floor((double)update[at + i] * factor + draws[i] * 0x1p-32);
            out[at + i] = (int32_t)rounded;
            norm += (uint64_t)(rounded * rounded);
        }
    }
    OPENSSL_cleanse(draws, sizeof draws);
    return norm;
}

enum status pine_quantise(const float *update, size_t count, double scale, uint64_t bound, const uint8_t seed[32],
                          int32_t *out, struct error *err)
{
    double norm = 0, room = (double)bound * (double)bound - (double)count / 4 - 4 * (double)bound;
    for (size_t i = 0; i < count; i++)
        norm += (double)update[i] * update[i];
    if (!isfinite(norm))
        return fail(err, INVALID, NULL, "The update holds a number that is not finite.");
    if (!(scale > 0) || !isfinite(scale) || bound == 0 || bound > INT32_MAX)
        return fail(err, INVALID, NULL, "The scale must be positive, and the bound from 1 to 2^31 - 1.");
    if (room <= 0)
        return fail(err, INVALID, NULL,
                    "A bound of %llu is too small for %zu coordinates: rounding alone would use it up.",
                    (unsigned long long)bound, count);
    double most = sqrt(room), factor = sqrt(norm) * scale > most ? most / sqrt(norm) : scale;
    auto_xof struct xof xof;
    xof_begin(&xof, XOF_HMAC_SHA256_AES128, seed, STR("cairn quantise"));
    for (int shrink = 0; shrink < SHRINKS; shrink++, factor *= .999)
        for (int draw = 0; draw < DRAWS; draw++)
            if (round_all(update, count, factor, &xof, out) <= bound * bound)
                return OK;
    return fail(err, INTERNAL, NULL, "No rounding of the update stays within the bound.");
}

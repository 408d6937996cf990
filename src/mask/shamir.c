/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "mask/shamir.h"

#include "base/hash.h"
#include <assert.h>
#include <openssl/crypto.h>

static uint8_t gf_mul(uint8_t a, uint8_t b)
{
    unsigned product = 0, shifted = a;
    for (int bit = 0; bit < 8; bit++) {
        product ^= shifted & (0u - (b >> bit & 1u));
        shifted = (shifted << 1) ^ (0x11bu & (0u - (shifted >> 7 & 1u)));
    }
    return (uint8_t)product;
}

static uint8_t gf_inverse(uint8_t a) /* a^254 */
{
    uint8_t result = 1, power = a;
    for (int bit = 1; bit < 8; bit++) {
        power = gf_mul(power, power);
        result = gf_mul(result, power);
    }
    return result;
}

void shamir_split(const uint8_t *secret, size_t len, unsigned threshold, unsigned count, uint8_t *shares)
{
    assert(threshold >= 1 && threshold <= count && count <= SHAMIR_SHARES_MAX);
    uint8_t coefficients[SHAMIR_SHARES_MAX];
    for (size_t i = 0; i < len; i++) {
        random_bytes(coefficients, threshold);
        coefficients[0] = secret[i];
        for (unsigned x = 1; x <= count; x++) {
            uint8_t value = 0;
            for (unsigned k = threshold; k-- > 0;)
                value = gf_mul(value, (uint8_t)x) ^ coefficients[k];
            shares[(x - 1) * len + i] = value;
        }
    }
    OPENSSL_cleanse(coefficients, sizeof coefficients);
}

enum status shamir_combine(const uint8_t *shares, const uint8_t *xs, unsigned count, size_t len, uint8_t *secret,
                           struct error *err)
{
    bool seen[256] = {[0] = true};
    for (unsigned i = 0; i < count; i++) {
        if (seen[xs[i]])
            return fail(err, INVALID, NULL, "Share %u is there twice, or is none.", xs[i]);
        seen[xs[i]] = true;
    }
    if (count == 0)
        return fail(err, INVALID, NULL, "There is no share to make a secret of.");
    memset(secret, 0, len);
    for (unsigned i = 0; i < count; i++) {
        uint8_t weight = 1; /* of this share at 0: the product of x_j / (x_j - x_i) */
        for (unsigned j = 0; j < count; j++)
            if (j != i)
                weight = gf_mul(weight, gf_mul(xs[j], gf_inverse(xs[i] ^ xs[j])));
        for (size_t k = 0; k < len; k++)
            secret[k] ^= gf_mul(weight, shares[i * len + k]);
    }
    return OK;
}

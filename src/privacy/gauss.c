/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "privacy/gauss.h"
#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

/* ChaCha20 of zeros; the nonce is the stream. */
struct bits {
    EVP_CIPHER_CTX *cipher;
    uint8_t block[4096];
    size_t used;
};

static void refill(struct bits *bits)
{
    int len;
    memset(bits->block, 0, sizeof bits->block);
    if (EVP_EncryptUpdate(bits->cipher, bits->block, &len, bits->block, sizeof bits->block) != 1)
        abort();
    bits->used = 0;
}

static uint64_t draw(struct bits *bits)
{
    uint64_t out;
    if (bits->used + sizeof out > sizeof bits->block)
        refill(bits);
    memcpy(&out, bits->block + bits->used, sizeof out);
    bits->used += sizeof out;
    return out;
}

/* From 0 to limit - 1, each as likely. What is drawn has as many bits as limit, so that it fits every other time. */
static wide uniform(struct bits *bits, wide limit)
{
    wide mask = limit - 1;
    for (int shift = 1; shift < 128; shift *= 2)
        mask |= mask >> shift;
    for (;;) {
        wide value = draw(bits);
        if (mask >> 64)
            value |= (wide)draw(bits) << 64;
        value &= mask;
        if (value < limit)
            return value;
    }
}

/* True with chance e^-(a / b), for a up to b. */
static bool chance_exp_small(struct bits *bits, wide a, wide b)
{
    for (wide k = 1;; k++)
        if (uniform(bits, b * k) >= a)
            return k % 2 == 1;
}

static bool chance_exp(struct bits *bits, wide a, wide b)
{
    for (; a > b; a -= b)
        if (!chance_exp_small(bits, 1, 1))
            return false;
    return chance_exp_small(bits, a, b);
}

/* The discrete Laplace distribution of that scale. */
static int64_t laplace(struct bits *bits, int64_t scale)
{
    for (;;) {
        int64_t within = (int64_t)uniform(bits, (wide)scale), times = 0;
        if (!chance_exp_small(bits, (wide)within, (wide)scale))
            continue;
        while (chance_exp_small(bits, 1, 1))
            times++;
        int64_t size = within + scale * times;
        bool negative = draw(bits) & 1;
        if (!(negative && size == 0))
            return negative ? -size : size;
    }
}

/* sigma^2 is below 2^57, so that with the cut below all products fit into 128 bits. */
static int64_t gauss(struct bits *bits, int64_t sigma)
{
    int64_t scale = sigma + 1;
    for (;;) {
        int64_t value = laplace(bits, scale);
        __int128 off = (__int128)llabs(value) * scale - (__int128)sigma * sigma;
        wide distance = (wide)(off < 0 ? -off : off);
        if (distance >> 62) /* over sixty standard deviations out */
            continue;
        if (chance_exp(bits, distance * distance, 2 * (wide)sigma * (wide)sigma * (wide)scale * (wide)scale))
            return value;
    }
}

void gauss_fill(const uint8_t seed[32], uint64_t stream, int64_t sigma, int64_t *out, size_t count)
{
    struct bits bits = {.cipher = EVP_CIPHER_CTX_new(), .used = sizeof bits.block};
    uint8_t iv[16] = {0}; /* a counter of 4 bytes, and the nonce */
    assert(sigma >= 1 && sigma <= GAUSS_SIGMA_MOST);
    memcpy(iv + 8, &stream, sizeof stream);
    if (!bits.cipher || EVP_EncryptInit_ex(bits.cipher, EVP_chacha20(), NULL, seed, iv) != 1)
        abort();
    for (size_t i = 0; i < count; i++)
        out[i] = gauss(&bits, sigma);
    EVP_CIPHER_CTX_free(bits.cipher);
}

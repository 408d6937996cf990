/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "vdaf/xof.h"

#include "base/hash.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#define RATE 168

size_t xof_seed_size(enum xof_kind kind)
{
    return kind == XOF_TURBOSHAKE128_OLD ? 16 : 32;
}

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return n ? x << n | x >> (64 - n) : x;
}

/* The last 12 rounds of Keccak-f[1600] (RFC 9861 section 2.2). */
static void keccak_rounds(uint64_t a[25])
{
    static const uint64_t constants[12] = {
        0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
        0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
        0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
    };
    static const uint8_t turns[25] = {0,  1,  62, 28, 27, 36, 44, 6,  55, 20, 3,  10, 43,
                                      25, 39, 41, 45, 15, 21, 8,  18, 2,  61, 56, 14};
    for (int round = 0; round < 12; round++) {
        uint64_t column[5], moved[25];
        for (int x = 0; x < 5; x++)
            column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (int i = 0; i < 25; i++) {
            int x = i % 5, y = i / 5;
            uint64_t mixed = a[i] ^ column[(x + 4) % 5] ^ rotate(column[(x + 1) % 5], 1);
            moved[y + 5 * ((2 * x + 3 * y) % 5)] = rotate(mixed, turns[i]);
        }
        for (int i = 0; i < 25; i++) {
            int x = i % 5, row = i - x;
            a[i] = moved[i] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5]);
        }
        a[0] ^= constants[round];
    }
}

static void sponge_xor(struct keccak *sponge, unsigned at, uint8_t byte)
{
    sponge->state[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

void turboshake128_add(struct keccak *sponge, const void *data, size_t len)
{
    assert(!sponge->squeezing);
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        sponge_xor(sponge, sponge->at++, bytes[i]);
        if (sponge->at == RATE) {
            keccak_rounds(sponge->state);
            sponge->at = 0;
        }
    }
}

void turboshake128_read(struct keccak *sponge, uint8_t domain, void *out, size_t len)
{
    uint8_t *bytes = out;
    if (!sponge->squeezing) {
        sponge_xor(sponge, sponge->at, domain);
        sponge_xor(sponge, RATE - 1, 0x80);
        sponge->squeezing = true;
        sponge->at = RATE;
    }
    for (size_t i = 0; i < len; i++) {
        if (sponge->at == RATE) {
            keccak_rounds(sponge->state);
            sponge->at = 0;
        }
        bytes[i] = (uint8_t)(sponge->state[sponge->at / 8] >> (8 * (sponge->at % 8)));
        sponge->at++;
    }
}

/* OpenSSL refuses these calls only when it is out of memory or was built without the cipher. */
static void must(bool done)
{
    if (!done)
        abort();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *aes128_ctr;

static void fetch(void)
{
    aes128_ctr = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    must(aes128_ctr != NULL);
}

void xof_begin(struct xof *xof, enum xof_kind kind, const uint8_t *seed, struct str tag)
{
    *xof = (struct xof){.kind = kind};
    size_t seed_size = xof_seed_size(kind);
    assert(tag.len <= 255);
    uint8_t tag_len[2] = {(uint8_t)tag.len, 0}, seed_len = (uint8_t)seed_size;
    if (kind != XOF_HMAC_SHA256_AES128) {
        bool old = kind == XOF_TURBOSHAKE128_OLD;
        turboshake128_add(&xof->sponge, tag_len, old ? 1 : 2);
        turboshake128_add(&xof->sponge, tag.data, tag.len);
        turboshake128_add(&xof->sponge, &seed_len, old ? 0 : 1);
        turboshake128_add(&xof->sponge, seed, seed_size);
        return;
    }
    uint8_t inner[64];
    memset(inner, 0x36, sizeof inner);
    memset(xof->outer, 0x5c, sizeof xof->outer);
    for (size_t i = 0; i < seed_size; i++) {
        inner[i] ^= seed[i];
        xof->outer[i] ^= seed[i];
    }
    xof->hasher = hasher_sha256();
    hasher_add(xof->hasher, inner, sizeof inner);
    hasher_add(xof->hasher, tag_len, 1);
    hasher_add(xof->hasher, tag.data, tag.len);
    OPENSSL_cleanse(inner, sizeof inner);
}

void xof_add(struct xof *xof, const void *binder, size_t len)
{
    if (xof->kind != XOF_HMAC_SHA256_AES128) {
        turboshake128_add(&xof->sponge, binder, len);
        return;
    }
    assert(xof->hasher);
    hasher_add(xof->hasher, binder, len);
}

static void counter_set(struct xof *xof, uint64_t offset)
{
    uint8_t counter[16];
    uint64_t carry = offset / 16;
    for (int i = 15; i >= 0; i--) {
        carry += xof->counter[i];
        counter[i] = (uint8_t)carry;
        carry >>= 8;
    }
    must(EVP_EncryptInit_ex2(xof->cipher, NULL, NULL, counter, NULL) == 1);
}

static void output_begin(struct xof *xof)
{
    uint8_t digest[SHA256_SIZE];
    pthread_once(&once, fetch);
    hasher_end(xof->hasher, digest);
    hasher_add(xof->hasher, xof->outer, sizeof xof->outer);
    hasher_add(xof->hasher, digest, sizeof digest);
    hasher_end(xof->hasher, digest);
    hasher_free(xof->hasher);
    xof->hasher = NULL;
    memcpy(xof->key, digest, 16);
    memcpy(xof->counter, digest + 16, 16);
    xof->cipher = EVP_CIPHER_CTX_new();
    must(xof->cipher && EVP_EncryptInit_ex2(xof->cipher, aes128_ctr, xof->key, xof->counter, NULL) == 1);
    OPENSSL_cleanse(digest, sizeof digest);
    OPENSSL_cleanse(xof->outer, sizeof xof->outer);
}

void xof_read(struct xof *xof, void *out, size_t len)
{
    if (xof->kind != XOF_HMAC_SHA256_AES128) {
        turboshake128_read(&xof->sponge, 1, out, len);
        return;
    }
    if (!xof->cipher)
        output_begin(xof);
    memset(out, 0, len);
    for (size_t done = 0; done < len;) {
        int part = len - done > 1 << 30 ? 1 << 30 : (int)(len - done), got;
        uint8_t *at = (uint8_t *)out + done;
        must(EVP_EncryptUpdate(xof->cipher, at, &got, at, part) == 1 && got == part);
        done += (size_t)part;
    }
    xof->offset += len;
}

void xof_seek(struct xof *xof, uint64_t offset)
{
    assert(xof->kind == XOF_HMAC_SHA256_AES128);
    if (!xof->cipher)
        output_begin(xof);
    uint8_t skipped[16];
    int got;
    counter_set(xof, offset);
    if (offset % 16)
        must(EVP_EncryptUpdate(xof->cipher, skipped, &got, xof->counter, (int)(offset % 16)) == 1);
    xof->offset = offset;
}

void xof_end(struct xof *xof)
{
    hasher_free(xof->hasher);
    EVP_CIPHER_CTX_free(xof->cipher);
    OPENSSL_cleanse(xof, sizeof *xof);
}

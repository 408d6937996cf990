/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pact/sum.h"
#include "base/file.h"
#include "hpke/hpke.h"
#include "privacy/gauss.h"
#include "tlog/tree.h"
#include <math.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define BLOCK                                                                                                          \
    ((size_t)16384) /* coordinates at a time; the noise's streams are called by it, so it is part of the protocol */

void reports_root(const uint8_t (*signatures)[PACT_SIGNATURE_SIZE], size_t count, uint8_t out[SHA256_SIZE])
{
    struct tlog_frontier tree = {0};
    for (size_t i = 0; i < count; i++) {
        struct tlog_hash leaf = tlog_leaf_hash((struct str){(const char *)signatures[i], PACT_SIGNATURE_SIZE});
        tlog_append(&tree, &leaf, NULL);
    }
    struct tlog_hash root = tlog_root(&tree);
    memcpy(out, root.bytes, SHA256_SIZE);
}

void round_secret(const uint8_t seed[32], const char *name, uint8_t out[32])
{
    hkdf_sha256((struct str){(const char *)seed, 32}, STR("cairn round"), str_of(name), out, 32);
}

/* The draw. */

size_t draw_count(size_t count, size_t bucket)
{
    return bucket && count >= bucket ? count / bucket : 1;
}

void draw_seed(const uint8_t hub[32], const uint8_t house[32], const uint8_t ctx[SHA256_SIZE],
               const uint8_t list[SHA256_SIZE], uint8_t out[32])
{
    struct hasher *hasher = hasher_sha256();
    hasher_add(hasher, hub, 32);
    hasher_add(hasher, house, 32);
    hasher_add(hasher, ctx, SHA256_SIZE);
    hasher_add(hasher, list, SHA256_SIZE);
    hasher_end(hasher, out);
    hasher_free(hasher);
}

static EVP_CIPHER_CTX *chacha(const uint8_t seed[32])
{
    const uint8_t start[16] = {0};
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (!cipher || EVP_EncryptInit_ex(cipher, EVP_chacha20(), NULL, seed, start) != 1)
        abort();
    return cipher;
}

static uint32_t next_below(EVP_CIPHER_CTX *cipher, uint32_t below)
{
    const uint8_t zero[4] = {0};
    uint32_t whole = UINT32_MAX - UINT32_MAX % below; /* what is over would favour small numbers */
    for (;;) {
        uint8_t bytes[4];
        int got;
        if (EVP_EncryptUpdate(cipher, bytes, &got, zero, sizeof zero) != 1)
            abort();
        uint32_t value = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        if (value < whole)
            return value % below;
    }
}

void draw_buckets(const uint8_t seed[32], size_t count, size_t bucket, size_t *of)
{
    size_t buckets = draw_count(count, bucket), *order = calloc(count + 1, sizeof *order);
    EVP_CIPHER_CTX *cipher = chacha(seed);
    if (!order)
        abort();
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t other = next_below(cipher, (uint32_t)i), kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
    for (size_t i = 0; i < count; i++)
        of[order[i]] = i % buckets;
    free(order);
    EVP_CIPHER_CTX_free(cipher);
}

/* Sums. */

static size_t block_at(const struct pine *pine, size_t at)
{
    size_t left = pine->config.dimension - at;
    return left < BLOCK ? left : BLOCK;
}

static enum status add_zeros(const struct pine *pine, int fd, int64_t at, struct error *err)
{
    uint8_t zeros[8 * BLOCK] = {0};
    for (size_t i = 0; i < pine->config.dimension; i += BLOCK)
        TRY(pwrite_full(fd, zeros, block_at(pine, i) * pine->element, at + (int64_t)(i * pine->element), err));
    return OK;
}

static enum status add_blocks(const struct pine *pine, struct pine_out *out, int fd, int64_t at, struct error *err)
{
    uint8_t sum[8 * BLOCK];
    for (size_t i = 0; i < pine->config.dimension; i += BLOCK) {
        size_t count = block_at(pine, i);
        int64_t place = at + (int64_t)(i * pine->element);
        TRY(pread_full(fd, sum, count * pine->element, place, err));
        TRY(pine_out_add(out, sum, count, err));
        TRY(pwrite_full(fd, sum, count * pine->element, place, err));
    }
    return OK;
}

static enum status add_share(const struct pine *pine, int house, struct pine_source share, int fd, int64_t at,
                             struct error *err)
{
    struct pine_out *out = NULL;
    TRY(pine_out_open(pine, house, share, &out, err));
    enum status status = add_blocks(pine, out, fd, at, err);
    pine_out_free(out);
    return status;
}

static enum status add_noise(const struct pine *pine, const uint8_t seed[32], int64_t sigma, size_t bucket, int fd,
                             int64_t at, struct error *err)
{
    uint8_t sum[8 * BLOCK];
    int64_t *noise = calloc(BLOCK, sizeof *noise);
    enum status status = OK;
    if (!noise)
        abort();
    for (size_t i = 0; i < pine->config.dimension && status == OK; i += BLOCK) {
        size_t count = block_at(pine, i);
        int64_t place = at + (int64_t)(i * pine->element);
        gauss_fill(seed, (uint64_t)bucket << 40 | i / BLOCK, sigma, noise, count);
        status = pread_full(fd, sum, count * pine->element, place, err);
        if (status == OK)
            status = pine_sum_add(pine, sum, noise, count, err);
        if (status == OK)
            status = pwrite_full(fd, sum, count * pine->element, place, err);
    }
    OPENSSL_cleanse(noise, BLOCK * sizeof *noise);
    free(noise);
    return status;
}

enum status file_digest(int fd, int64_t at, int64_t size, uint8_t digest[SHA256_SIZE], struct error *err)
{
    uint8_t piece[1 << 16];
    struct hasher *hasher = hasher_sha256();
    enum status status = OK;
    for (int64_t i = 0; i < size && status == OK; i += (int64_t)sizeof piece) {
        size_t len = (uint64_t)(size - i) < sizeof piece ? (size_t)(size - i) : sizeof piece;
        status = pread_full(fd, piece, len, at + i, err);
        hasher_add(hasher, piece, len);
    }
    hasher_end(hasher, digest);
    hasher_free(hasher);
    return status;
}

enum status sum_bucket(const struct pine *pine, int house, const struct shares *shares, const uint8_t noise_seed[32],
                       int64_t noise, size_t bucket, int fd, int64_t at, uint8_t digest[SHA256_SIZE], struct error *err)
{
    bool found = true;
    TRY(add_zeros(pine, fd, at, err));
    for (;;) {
        struct pine_source share;
        TRY(shares->next(shares->context, &share, &found, err));
        if (!found)
            break;
        TRY(add_share(pine, house, share, fd, at, err));
    }
    if (noise > 0)
        TRY(add_noise(pine, noise_seed, noise, bucket, fd, at, err));
    return file_digest(fd, at, (int64_t)pine->agg_share, digest, err);
}

enum status sum_mean(const struct pine *pine, int leader, int helper, int64_t at, size_t members, int fraction_bits,
                     int out, int64_t out_at, double *norm, struct error *err)
{
    uint8_t ours[8 * BLOCK], theirs[8 * BLOCK];
    int64_t integers[BLOCK];
    float means[BLOCK];
    double squares = 0, unit = ldexp(1, -fraction_bits);
    for (size_t i = 0; i < pine->config.dimension; i += BLOCK) {
        size_t count = block_at(pine, i);
        int64_t place = at + (int64_t)(i * pine->element);
        TRY(pread_full(leader, ours, count * pine->element, place, err));
        TRY(pread_full(helper, theirs, count * pine->element, place, err));
        TRY(pine_unshard(pine, ours, theirs, count, integers, err));
        for (size_t k = 0; k < count; k++) {
            means[k] = (float)((double)integers[k] / (double)members * unit);
            squares += (double)means[k] * (double)means[k];
        }
        TRY(pwrite_full(out, means, count * sizeof *means, out_at + (int64_t)(i * sizeof *means), err));
    }
    *norm = sqrt(squares);
    return isfinite(*norm) ? OK : fail(err, UNPROCESSABLE, NULL, "A mean of updates is not finite.");
}

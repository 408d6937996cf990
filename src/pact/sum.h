/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PACT_SUM_H
#define CAIRN_PACT_SUM_H

#include "pact/config.h"

/* What both houses do with reports that were accepted (federated 2.3, steps 5 and 6), by block and not by report. */

/*
 * Who is in which bucket: of[i] for report i of count, in the order of their nonces; each bucket has `bucket` members or some more.
 * 0: one bucket. ChaCha20 of the seed shuffles (Fisher-Yates), so nobody who does not know both houses' random bytes can foresee it.
 */
size_t draw_count(size_t count, size_t bucket); /* of buckets */
void draw_buckets(const uint8_t seed[32], size_t count, size_t bucket, size_t *of);
/* SHA-256 of both houses' random bytes, the ctx, and the SHA-256 of the sorted nonces. */
void draw_seed(const uint8_t hub[32], const uint8_t house[32], const uint8_t ctx[SHA256_SIZE],
               const uint8_t list[SHA256_SIZE], uint8_t out[32]);

/* The root of the Merkle tree (RFC 6962) over the signatures of the accepted reports, in the same order: what the record says of them. */
void reports_root(const uint8_t (*signatures)[PACT_SIGNATURE_SIZE], size_t count, uint8_t out[SHA256_SIZE]);

/* A house's secrets of a round, from the 32 bytes that it keeps: name is "draw" or "noise". */
void round_secret(const uint8_t seed[32], const char *name, uint8_t out[32]);

/* The shares of a bucket's members, one at a time. open() gives the next share, or false at the end; the one before is done with. */
struct shares {
    enum status (*next)(void *context, struct pine_source *out, bool *found, struct error *err);
    void *context;
};

/*
 * Sums a house's output shares of one bucket into fd at `at` (pine->agg_share bytes), adds its noise (0: none), whose seed and bucket say
 * what it is, and gives the SHA-256 of what it is.
 */
enum status sum_bucket(const struct pine *pine, int house, const struct shares *shares, const uint8_t noise_seed[32],
                       int64_t noise, size_t bucket, int fd, int64_t at, uint8_t digest[SHA256_SIZE],
                       struct error *err);

/* From both houses' sums to the mean of the members as float32, in out at out_at; *norm is its norm. */
enum status sum_mean(const struct pine *pine, int leader, int helper, int64_t at, size_t members, int fraction_bits,
                     int out, int64_t out_at, double *norm, struct error *err);

/* Of a part of a file. */
enum status file_digest(int fd, int64_t at, int64_t size, uint8_t digest[SHA256_SIZE], struct error *err);

#endif

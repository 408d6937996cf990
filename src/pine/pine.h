/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_PINE_H
#define CAIRN_PINE_PINE_H

#include "base/error.h"
#include "vdaf/xof.h"

/*
 * PINE (draft-chen-cfrg-vdaf-pine-01) between two houses: a client splits a vector of integers into two shares and proves that
 * its Euclidean norm is within a bound; the houses check the proof together and add up shares, and neither learns more than the
 * sum (federated.md sections 2.2 to 2.4). House 0 is the leader, whose share has a field element a coordinate; house 1 is the
 * helper, whose share is four seeds.
 *
 * Everything streams: beyond the client's own vector, no call holds more than a block of coordinates and the proofs.
 * Nothing here knows of files, databases or the network.
 */
#define PINE_NONCE_SIZE 16
#define PINE_CTX_MAX 64
#define PINE_CHECKS_MAX 128
#define PINE_DIMENSION_MAX ((size_t)1 << 30)
#define PINE_SHAKE_DIMENSION_MAX ((size_t)1 << 20) /* with an XOF that cannot be read from any place: tests only */

struct pine_config {
    unsigned field_bits; /* 32, 40, 64 or 128 */
    enum xof_kind xof;   /* its seeds are those of everything here */
    uint32_t algorithm;  /* id of the algorithm, part of every domain separation tag */
    struct str ctx;      /* ends every tag: what the shares are bound to; "" in the draft. At most PINE_CTX_MAX bytes */
    uint64_t norm_bound; /* B: the client's integers have a norm of at most this; below 2^31 */
    size_t dimension;    /* d */
    size_t chunk, chunk_norm_equality; /* calls of a gadget take 2 chunk inputs, and chunk_norm_equality inputs */
    unsigned proofs, proofs_norm_equality;
    unsigned checks, successes; /* wraparound tests, and how many of them must pass */
};

/*
 * Cairn's own algorithm: HMAC-SHA256 and AES-128, 100 tests, and as many proofs as the field needs (2.4): 5 + 3 over 32 bits, 2 + 2
 * over 64. ctx is what everything is bound to, the SHA-256 of the round's configuration.
 */
#define PINE_ALGORITHM_CAIRN 0xffff4341u
struct pine_config pine_config_cairn(unsigned field_bits, size_t dimension, uint64_t norm_bound, struct str ctx);

struct pine_field;
struct pine { /* a checked configuration and what follows from it; copyable */
    struct pine_config config;
    char ctx[PINE_CTX_MAX];
    const struct pine_field *field;
    size_t element;        /* bytes of an encoded element */
    unsigned norm_bits;    /* of the squared norm, and of what is left to the bound */
    uint64_t check_bound;  /* W: a test passes when its result is in (-W, W] */
    unsigned check_bits;   /* of a result */
    size_t bits;           /* elements that are 0 or 1: 2 norm_bits + checks * (check_bits + 1) */
    size_t proofs_len;     /* elements of all proofs */
    size_t verifiers_len;  /* elements of all verifiers */
    uint64_t reports_most; /* more reports, at the bound in one coordinate, would wrap their sum around */
    /* Sizes in bytes of all that is sent: */
    size_t seed, rand, public_share, leader_share, helper_share, prep_share, prep_message, agg_share;
};

/* INVALID when the parameters are outside what PINE is sound and complete for; says which. ctx is copied. */
enum status pine_make(const struct pine_config *config, struct pine *out, struct error *err);

/* Takes what is written in order; what it returns ends the writing. */
struct pine_sink {
    enum status (*write)(void *context, const uint8_t *data, size_t len, struct error *err);
    void *context;
};

/* Reads exactly len bytes of a house's input share at offset. The share's size is the caller's to check: leader_share or
 * helper_share bytes. */
struct pine_source {
    enum status (*read)(void *context, uint64_t offset, uint8_t *out, size_t len, struct error *err);
    void *context;
};
struct pine_source pine_source_memory(const struct str *share); /* share must outlive it; INVALID past its end */

/*
 * The client. vector has dimension integers. rand: pine->rand bytes from random_bytes(), never used twice. Writes the leader's
 * share to leader; helper gets helper_share bytes, public_share the houses' common part.
 *
 * INVALID when the norm is over the bound. STALE "WraparoundRetry" when too many wraparound tests failed by chance (about once in
 * 10^14): throw away what leader has got, and do it again with fresh randomness.
 */
enum status pine_shard(const struct pine *pine, const int32_t *vector, const uint8_t nonce[PINE_NONCE_SIZE],
                       const uint8_t *rand, struct pine_sink leader, uint8_t *helper, uint8_t *public_share,
                       struct error *err);

/* What a house keeps between its two steps: the seeds as it sees them. */
struct pine_state {
    uint8_t seeds[2 * SEED_SIZE_MAX];
};

/*
 * A house's first step: house 0 or 1 looks at its share and writes pine->prep_share bytes for the other house. verify_key
 * (pine->seed bytes) is the houses' common secret, which no client knows. INVALID when the share holds what is no field element.
 */
enum status pine_prep_init(const struct pine *pine, const uint8_t *verify_key, int house,
                           const uint8_t nonce[PINE_NONCE_SIZE], const uint8_t *public_share, struct pine_source share,
                           struct pine_state *state, uint8_t *prep_share, struct error *err);

/* Either house's second step: FORBIDDEN "ProofRefused" when the proofs do not hold, INVALID for what is no element. message
 * gets pine->prep_message bytes. */
enum status pine_prep_decide(const struct pine *pine, const uint8_t *prep_share_leader,
                             const uint8_t *prep_share_helper, uint8_t *message, struct error *err);

/* Each house's last step: FORBIDDEN "ProofRefused" when the houses saw different randomness. On OK the share may be summed. */
enum status pine_prep_next(const struct pine *pine, const struct pine_state *state, const uint8_t *message,
                           struct error *err);

/*
 * The output share of an accepted report, in order: a bucket's sum is made block by block over all of its reports at once.
 * pine_out_add() adds the next count coordinates to sum (count encoded elements; zero bytes are zero). Free it in any case.
 */
struct pine_out;
enum status pine_out_open(const struct pine *pine, int house, struct pine_source share, struct pine_out **out,
                          struct error *err);
enum status pine_out_add(struct pine_out *out, uint8_t *sum, size_t count, struct error *err);
void pine_out_free(struct pine_out *out);

/* Adds integers (noise) to an encoded sum. INVALID when sum holds what is no element. */
enum status pine_sum_add(const struct pine *pine, uint8_t *sum, const int64_t *integers, size_t count,
                         struct error *err);

/* Adds both houses' sums and lifts them to integers in (-q/2, q/2); INVALID for no element, or what 64 bits do not hold. */
enum status pine_unshard(const struct pine *pine, const uint8_t *sum_leader, const uint8_t *sum_helper, size_t count,
                         int64_t *out, struct error *err);

#endif

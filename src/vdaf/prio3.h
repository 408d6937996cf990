/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VDAF_PRIO3_H
#define CAIRN_VDAF_PRIO3_H

#include "base/buf.h"
#include "base/error.h"
#include "vdaf/xof.h"

/*
 * Prio3 (draft-irtf-cfrg-vdaf-20 section 7) for the small numbers that go with a round: how many took part, sums of losses,
 * histograms of sizes. A client splits a measurement into shares, one an aggregator, with a proof that it is a valid one; the
 * aggregators check the proof together and learn only the sum. Aggregator 0 is the leader.
 */
enum prio3_kind {
    PRIO3_COUNT,         /* 0 or 1 */
    PRIO3_SUM,           /* a number from 0 to max */
    PRIO3_SUM_VEC,       /* length numbers from 0 to max */
    PRIO3_HISTOGRAM,     /* the index of one of length buckets; sums are length counts */
    PRIO3_MULTIHOT,      /* length numbers that are 0 or 1, at most max of which are 1 */
    PRIO3_HIGHER_DEGREE, /* 0, 1 or 2: the draft's own test of a gadget of degree three */
};

#define PRIO3_NONCE_SIZE 16
#define PRIO3_SEED_SIZE 32
#define PRIO3_CTX_MAX 64
#define PRIO3_SHARES_MAX 16

struct prio3_config {
    enum prio3_kind kind;
    uint32_t algorithm;  /* 1 to 5 for the first five kinds, each with one proof over their field */
    unsigned field_bits; /* 64 for count, sum and the test; 128 for the others, or 64 with several proofs */
    unsigned shares, proofs;
    uint64_t length, max, chunk; /* where the kind has them; chunk: about the square root of all bits is best */
    struct str ctx;              /* what the application binds reports to; at most PRIO3_CTX_MAX bytes */
};

struct prio3_field;
struct prio3 { /* a checked configuration; copyable */
    struct prio3_config config;
    char ctx[PRIO3_CTX_MAX];
    const struct prio3_field *field;
    unsigned bits;              /* of a number up to max */
    size_t meas_len, joint_len; /* elements of an encoded measurement; of joint randomness for one proof */
    size_t values, sums;        /* numbers of a measurement; of a result */
    size_t proof_len, verifier_len;
    size_t element;
    /* Sizes in bytes of what is sent; public_share and message are 0 where there is no joint randomness. */
    size_t rand, public_share, leader_share, helper_share, verifier_share, message, out_share;
};

enum status prio3_make(const struct prio3_config *config, struct prio3 *out, struct error *err);

/* The client: INVALID when the measurement (prio3.values numbers) is no valid one. rand: prio3.rand random bytes. shares: prio3
 * .config.shares buffers, to which the input shares are added. */
enum status prio3_shard(const struct prio3 *prio3, const uint64_t *measurement, const uint8_t nonce[PRIO3_NONCE_SIZE],
                        const uint8_t *rand, struct buf *public_share, struct buf *shares, struct error *err);

/* An aggregator keeps state between its steps. Free it with buf_free(). */
struct prio3_state {
    struct buf out_share;
    uint8_t seed[PRIO3_SEED_SIZE];
};

/* INVALID for shares that are none. verifier_share is added to. */
enum status prio3_verify_init(const struct prio3 *prio3, const uint8_t verify_key[PRIO3_SEED_SIZE], unsigned aggregator,
                              const uint8_t nonce[PRIO3_NONCE_SIZE], struct str public_share, struct str share,
                              struct prio3_state *state, struct buf *verifier_share, struct error *err);
/* From all verifier shares, in order: FORBIDDEN "ProofRefused" when the proofs do not hold. message is added to. */
enum status prio3_verifier_message(const struct prio3 *prio3, const struct str *verifier_shares, struct buf *message,
                                   struct error *err);
/* FORBIDDEN "ProofRefused" when message is not what this aggregator saw; on OK state->out_share may be summed. */
enum status prio3_verify_next(const struct prio3 *prio3, const struct prio3_state *state, struct str message,
                              struct error *err);

/* Adds an out share (or another sum) to sum, prio3.out_share bytes each. */
enum status prio3_add(const struct prio3 *prio3, uint8_t *sum, struct str out_share, struct error *err);
/* The result, prio3.sums numbers, from all aggregators' sums. */
enum status prio3_unshard(const struct prio3 *prio3, const struct str *sums, uint64_t *out, struct error *err);

#endif

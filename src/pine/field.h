/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_FIELD_H
#define CAIRN_PINE_FIELD_H

#include "pine/pine.h"

/* What pine_body.h gives for one field: see pine.h for what the functions do. pine.c picks one by field_bits. */
struct pine_field {
    unsigned bits;
    enum status (*make)(struct pine *pine, struct error *err); /* checks and sizes that need the field */
    enum status (*shard)(const struct pine *pine, const int32_t *vector, const uint8_t *nonce, const uint8_t *rand,
                         struct pine_sink leader, uint8_t *helper, uint8_t *public_share, struct error *err);
    enum status (*prep_init)(const struct pine *pine, const uint8_t *verify_key, int house, const uint8_t *nonce,
                             const uint8_t *public_share, struct pine_source share, struct pine_state *state,
                             uint8_t *prep_share, struct error *err);
    enum status (*prep_decide)(const struct pine *pine, const uint8_t *prep_share_leader,
                               const uint8_t *prep_share_helper, uint8_t *message, struct error *err);
    enum status (*out_add)(struct pine_out *out, uint8_t *sum, size_t count, struct error *err);
    enum status (*sum_add)(uint8_t *sum, const int64_t *integers, size_t count, struct error *err);
    enum status (*unshard)(const uint8_t *sum_leader, const uint8_t *sum_helper, size_t count, int64_t *out,
                           struct error *err);
};
extern const struct pine_field pine_field32, pine_field40, pine_field64, pine_field128;
#ifdef __x86_64__
extern const struct pine_field pine_field32_avx2,
    pine_field64_avx2; /* the same text, for what nearly every machine has */
#endif

/* What a domain separation tag is for. 1 to 7 are those of Prio3. */
enum pine_usage {
    USAGE_MEAS_SHARE = 1,
    USAGE_PROOF_SHARE = 2,
    USAGE_JOINT_RANDOMNESS = 3,
    USAGE_PROVE_RANDOMNESS = 4,
    USAGE_QUERY_RANDOMNESS = 5,
    USAGE_JOINT_RAND_SEED = 6,
    USAGE_JOINT_RAND_PART = 7,
    USAGE_WR_JOINT_RANDOMNESS = 8,
    USAGE_WR_JOINT_RAND_SEED = 9,
    USAGE_WR_JOINT_RAND_PART = 10,
};

/* Begins the XOF of this seed and usage. */
void pine_xof(const struct pine *pine, struct xof *xof, const uint8_t *seed, enum pine_usage usage);
/* The seed of the joint randomness from its two parts. */
void pine_joint_seed(const struct pine *pine, enum pine_usage usage, const uint8_t *leader_part,
                     const uint8_t *helper_part, uint8_t *seed);
/* Begins the part of a house: what is left is to add the encoded share. */
void pine_part(const struct pine *pine, struct xof *xof, enum pine_usage usage, const uint8_t *blind, int house,
               const uint8_t *nonce);

struct pine_out {
    const struct pine *pine;
    int house;
    struct pine_source share;
    uint64_t at;     /* of the next coordinate */
    struct xof meas; /* of the helper's share */
};

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* The client of PINE (a template file: see vdaf/fe.h). */
#ifndef CAIRN_PINE_CLIENT_H
#define CAIRN_PINE_CLIENT_H

#include "pine/equality.h"
#include "pine/validity.h"
#include "pine/wr.h"

enum { PART_WR, PART_VF, PARTS };

/* What the client hashes and sends of each element of its measurement, in order. */
struct sharing {
    const struct pine *pine;
    struct pine_sink sink;
    struct xof meas;            /* the helper's share */
    struct xof parts[2][PARTS]; /* by house: what the joint randomness will be made from */
    fe plain[WR_BLOCK], helper[WR_BLOCK];
    uint8_t bytes[2][WR_BLOCK * FE_SIZE];
    int64_t values[WR_BLOCK];
};

static void sharing_end(struct sharing *s)
{
    for (int house = 0; house < 2; house++)
        for (int part = 0; part < PARTS; part++)
            xof_end(&s->parts[house][part]);
    xof_end(&s->meas);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

/* rand is the helper's four seeds, the leader's two blinds, and the prover's seed. */
static struct sharing *sharing_begin(const struct pine *pine, struct pine_sink sink, const uint8_t *nonce,
                                     const uint8_t *rand)
{
    static const enum pine_usage usages[PARTS] = {USAGE_WR_JOINT_RAND_PART, USAGE_JOINT_RAND_PART};
    struct sharing *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->pine = pine;
    s->sink = sink;
    uint8_t id = 1;
    pine_xof(pine, &s->meas, rand, USAGE_MEAS_SHARE);
    xof_add(&s->meas, &id, 1);
    for (int part = 0; part < PARTS; part++) {
        pine_part(pine, &s->parts[0][part], usages[part], rand + (size_t)(4 + part) * pine->seed, 0, nonce);
        pine_part(pine, &s->parts[1][part], usages[part], rand + (size_t)(2 + part) * pine->seed, 1, nonce);
    }
    return s;
}

/* Shares plain[0 … count), count at most WR_BLOCK. */
static enum status share(struct sharing *s, const fe *plain, size_t count, bool wr, struct error *err)
{
    fe_expand(&s->meas, s->helper, count);
    fe_write_all(s->bytes[1], s->helper, count);
    for (size_t i = 0; i < count; i++)
        s->helper[i] = fe_sub(plain[i], s->helper[i]);
    fe_write_all(s->bytes[0], s->helper, count);
    for (int house = 0; house < 2; house++) {
        if (wr)
            xof_add(&s->parts[house][PART_WR], s->bytes[house], count * FE_SIZE);
        xof_add(&s->parts[house][PART_VF], s->bytes[house], count * FE_SIZE);
    }
    return s->sink.write(s->sink.context, s->bytes[0], count * FE_SIZE, err);
}

static enum status share_all(struct sharing *s, const fe *plain, size_t count, bool wr, struct error *err)
{
    for (size_t at = 0; at < count; at += WR_BLOCK)
        TRY(share(s, plain + at, count - at < WR_BLOCK ? count - at : WR_BLOCK, wr, err));
    return OK;
}

/* The parts of one kind go into the public share; the seed comes of them. */
static void parts_end(struct sharing *s, int part, uint8_t *public_share, uint8_t *seed)
{
    size_t len = s->pine->seed;
    uint8_t *at = public_share + (size_t)part * 2 * len;
    for (int house = 0; house < 2; house++)
        xof_read(&s->parts[house][part], at + (size_t)house * len, len);
    pine_joint_seed(s->pine, part == PART_WR ? USAGE_WR_JOINT_RAND_SEED : USAGE_JOINT_RAND_SEED, at, at + len, seed);
}

static enum status norm_encode(const struct pine *pine, const int32_t *x, fe *bits, struct error *err)
{
    u128 norm = 0, bound = (u128)pine->config.norm_bound * pine->config.norm_bound;
    for (size_t i = 0; i < pine->config.dimension; i++)
        norm += (u128)((int64_t)x[i] * x[i]);
    if (norm > bound)
        return fail(err, INVALID, NULL, "The vector's norm is over the bound of %llu: clip it first.",
                    (unsigned long long)pine->config.norm_bound);
    bits_encode(bits, (uint64_t)norm, pine->norm_bits);
    bits_encode(bits + pine->norm_bits, (uint64_t)(bound - norm), pine->norm_bits);
    return OK;
}

static enum status vector_share(struct sharing *s, const int32_t *x, struct error *err)
{
    for (size_t at = 0, part, d = s->pine->config.dimension; at < d; at += part) {
        part = d - at < WR_BLOCK ? d - at : WR_BLOCK;
        for (size_t i = 0; i < part; i++)
            s->plain[i] = fe_of_signed(x[at + i]);
        TRY(share(s, s->plain, part, true, err));
    }
    return OK;
}

/* The products, exact: d 2^31 is below 2^63. */
static void tests_run(struct sharing *s, const int32_t *x, const uint8_t *seed, int64_t *sums)
{
    struct wr wr;
    wr_begin(&wr, s->pine, seed);
    for (size_t at = 0, part, d = s->pine->config.dimension; at < d; at += part) {
        part = d - at < WR_BLOCK ? d - at : WR_BLOCK;
        for (size_t i = 0; i < part; i++)
            s->values[i] = x[at + i];
        for (size_t i = part; i % 32; i++)
            s->values[i] = 0;
        wr_block(&wr, at, part);
        wr_dots(&wr, s->values, part, sums);
    }
    wr_end(&wr);
}

/* A test that fails says 0 for its bits; the first tests that pass, up to the number wanted, are counted. */
static enum status tests_encode(const struct pine *pine, const int64_t *sums, fe *bits, struct error *err)
{
    unsigned passed = 0;
    int64_t w = (int64_t)pine->check_bound;
    for (unsigned k = 0; k < pine->config.checks; k++, bits += pine->check_bits + 1) {
        bool good = (sums[k] > -w) & (sums[k] <= w), counts = good & (passed < pine->config.successes);
        bits_encode(bits, good ? (uint64_t)(sums[k] + w - 1) : 0, pine->check_bits);
        bits[pine->check_bits] = (fe)counts;
        passed += counts;
    }
    if (passed < pine->config.successes)
        return fail(err, STALE, "WraparoundRetry",
                    "Too few wraparound tests passed, by chance: shard again with fresh randomness.");
    return OK;
}

static void seeds_expand(const struct pine *pine, const uint8_t *seed, enum pine_usage usage, const uint8_t *binder,
                         size_t binder_len, fe *out, size_t count)
{
    auto_xof struct xof xof;
    pine_xof(pine, &xof, seed, usage);
    xof_add(&xof, binder, binder_len);
    fe_expand(&xof, out, count);
}

/* The helper's share of the proofs. */
static void proofs_expand(const struct pine *pine, const uint8_t *seed, fe *out)
{
    uint8_t binder[3] = {(uint8_t)pine->config.proofs_norm_equality, (uint8_t)pine->config.proofs, 1};
    seeds_expand(pine, seed, USAGE_PROOF_SHARE, binder, sizeof binder, out, pine->proofs_len);
}

static void joint_expand(const struct pine *pine, const uint8_t *seed, fe *out)
{
    uint8_t binder = (uint8_t)pine->config.proofs;
    seeds_expand(pine, seed, USAGE_JOINT_RANDOMNESS, &binder, 1, out, VALIDITY_JOINT * (size_t)pine->config.proofs);
}

/* All proofs; meas is the bits and the tests' results. */
static void prove(const struct pine *pine, const int32_t *x, const fe *meas, const uint8_t *prove_seed,
                  const uint8_t *joint_seed, fe *proofs)
{
    const struct pine_config *c = &pine->config;
    const struct flp flp = validity_flp(pine);
    size_t equality = equality_gadget(pine).arity * c->proofs_norm_equality, len = flp_prove_rand_len(&flp),
           rand_len = equality + len * c->proofs, joint_len = (size_t)VALIDITY_JOINT * c->proofs;
    uint8_t binder[2] = {(uint8_t)c->proofs_norm_equality, (uint8_t)c->proofs};
    fe *rand = fe_room(rand_len), *joint = fe_room(joint_len);
    seeds_expand(pine, prove_seed, USAGE_PROVE_RANDOMNESS, binder, sizeof binder, rand, rand_len);
    joint_expand(pine, joint_seed, joint);
    equality_prove(pine, x, rand, proofs);
    proofs += pine->proofs_len - c->proofs * flp_proof_len(&flp);
    for (unsigned p = 0; p < c->proofs; p++)
        flp_prove(&flp, meas, rand + equality + p * len, joint + (size_t)VALIDITY_JOINT * p,
                  proofs + p * flp_proof_len(&flp));
    fe_free(rand, rand_len);
    fe_free(joint, joint_len);
}

static enum status proofs_share(struct sharing *s, fe *proofs, const uint8_t *seed, struct error *err)
{
    size_t len = s->pine->proofs_len;
    fe *helper = fe_room(len);
    enum status status = OK;
    proofs_expand(s->pine, seed, helper);
    for (size_t i = 0; i < len; i++)
        proofs[i] = fe_sub(proofs[i], helper[i]);
    for (size_t at = 0, part; at < len && status == OK; at += part) {
        part = len - at < WR_BLOCK ? len - at : WR_BLOCK;
        fe_write_all(s->bytes[0], proofs + at, part);
        status = s->sink.write(s->sink.context, s->bytes[0], part * FE_SIZE, err);
    }
    fe_free(helper, len);
    return status;
}

/* meas has room for the bits and the tests' results, proofs for all proofs. */
static enum status shard_into(struct sharing *s, const int32_t *x, const uint8_t *rand, fe *meas, fe *proofs,
                              uint8_t *public_share, struct error *err)
{
    const struct pine *pine = s->pine;
    size_t norm_len = 2 * pine->norm_bits;
    int64_t sums[PINE_CHECKS_MAX] = {0};
    uint8_t seed[SEED_SIZE_MAX];
    TRY(norm_encode(pine, x, meas, err));
    TRY(vector_share(s, x, err));
    TRY(share_all(s, meas, norm_len, true, err));
    parts_end(s, PART_WR, public_share, seed);
    tests_run(s, x, seed, sums);
    TRY(tests_encode(pine, sums, meas + norm_len, err));
    TRY(share_all(s, meas + norm_len, pine->bits - norm_len, false, err));
    for (unsigned k = 0; k < pine->config.checks; k++)
        meas[pine->bits + k] = fe_of_wide(sums[k]);
    OPENSSL_cleanse(sums, sizeof sums);
    parts_end(s, PART_VF, public_share, seed);
    prove(pine, x, meas, rand + 6 * pine->seed, seed, proofs);
    TRY(proofs_share(s, proofs, rand + pine->seed, err));
    return s->sink.write(s->sink.context, rand + 4 * pine->seed, 2 * pine->seed, err);
}

static enum status shard(const struct pine *pine, const int32_t *x, const uint8_t *nonce, const uint8_t *rand,
                         struct pine_sink leader, uint8_t *helper, uint8_t *public_share, struct error *err)
{
    struct sharing *s = sharing_begin(pine, leader, nonce, rand);
    size_t meas_len = pine->bits + pine->config.checks;
    fe *meas = fe_room(meas_len), *proofs = fe_room(pine->proofs_len);
    memcpy(helper, rand, pine->helper_share);
    enum status status = shard_into(s, x, rand, meas, proofs, public_share, err);
    fe_free(meas, meas_len);
    fe_free(proofs, pine->proofs_len);
    sharing_end(s);
    return status;
}

#endif

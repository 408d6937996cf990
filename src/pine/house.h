/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A house of PINE (a template file: see vdaf/fe.h). */
#ifndef CAIRN_PINE_HOUSE_H
#define CAIRN_PINE_HOUSE_H

#include "pine/client.h"

#define LIMBS (FIELD_BITS <= 40 ? 1 : FIELD_BITS / 32) /* of the numbers that the tests' products are made of */

/* What a house holds while it looks at one report. */
struct checking {
    const struct pine *pine;
    int house;
    struct pine_source source;
    uint64_t at;     /* where the leader reads on */
    struct xof meas; /* the helper's share */
    struct xof parts[PARTS];
    struct equality_query equality;
    fe block[WR_BLOCK];
    uint8_t bytes[WR_BLOCK * FE_SIZE];
    int64_t values[WR_BLOCK];
};

static void measurement_restart(struct checking *c, const uint8_t *seed)
{
    c->at = 0;
    if (c->house == 0)
        return;
    uint8_t id = 1;
    xof_end(&c->meas);
    pine_xof(c->pine, &c->meas, seed, USAGE_MEAS_SHARE);
    xof_add(&c->meas, &id, 1);
}

/* The next count elements of the measurement's share, into c->block and c->bytes. */
static enum status measurement_next(struct checking *c, size_t count, struct error *err)
{
    if (c->house == 1) {
        fe_expand(&c->meas, c->block, count);
        fe_write_all(c->bytes, c->block, count);
        return OK;
    }
    TRY(c->source.read(c->source.context, c->at, c->bytes, count * FE_SIZE, err));
    c->at += count * FE_SIZE;
    if (!fe_read_all(c->bytes, c->block, count))
        return fail(err, INVALID, NULL, "The input share holds a number that is no field element.");
    return OK;
}

/* First pass: what the joint randomness is made from, the queries of the norm's proofs, and the bits, which are kept. */
static enum status first_pass(struct checking *c, fe *bits, struct error *err)
{
    const struct pine *pine = c->pine;
    for (size_t at = 0, part, d = pine->config.dimension; at < d; at += part) {
        part = d - at < WR_BLOCK ? d - at : WR_BLOCK;
        TRY(measurement_next(c, part, err));
        xof_add(&c->parts[PART_WR], c->bytes, part * FE_SIZE);
        xof_add(&c->parts[PART_VF], c->bytes, part * FE_SIZE);
        equality_add(&c->equality, c->block, part);
    }
    for (size_t at = 0, part; at < pine->bits; at += part) {
        size_t end = at < 2 * pine->norm_bits ? 2 * pine->norm_bits : pine->bits;
        part = end - at < WR_BLOCK ? end - at : WR_BLOCK;
        TRY(measurement_next(c, part, err));
        if (end < pine->bits)
            xof_add(&c->parts[PART_WR], c->bytes, part * FE_SIZE);
        xof_add(&c->parts[PART_VF], c->bytes, part * FE_SIZE);
        memcpy(bits + at, c->block, part * sizeof *bits);
    }
    return OK;
}

/* The sums of a block's products by limb become an element each. */
static void block_dots(struct checking *c, const struct wr *wr, size_t count, fe *results)
{
    fe weight = 1;
    for (int limb = 0; limb < LIMBS; limb++) {
        int64_t sums[PINE_CHECKS_MAX] = {0};
        for (size_t i = 0; i < count; i++)
            c->values[i] =
                LIMBS == 1 ? (int64_t)c->block[i] : (int64_t)(uint32_t)(c->block[i] >> (limb * 32 % FIELD_BITS));
        for (size_t i = count; i % 32; i++)
            c->values[i] = 0;
        wr_dots(wr, c->values, count, sums);
        for (unsigned k = 0; k < wr->checks; k++)
            results[k] = fe_add(results[k], fe_mul(fe_of_wide(sums[k]), weight));
        weight = fe_mul(weight, fe_of_wide((int64_t)1 << 32));
    }
}

/* Second pass: the tests' results. */
static enum status second_pass(struct checking *c, const uint8_t *seed, fe *results, struct error *err)
{
    struct wr wr;
    enum status status = OK;
    wr_begin(&wr, c->pine, seed);
    for (size_t at = 0, part, d = c->pine->config.dimension; at < d && status == OK; at += part) {
        part = d - at < WR_BLOCK ? d - at : WR_BLOCK;
        status = measurement_next(c, part, err);
        if (status != OK)
            break;
        wr_block(&wr, at, part);
        block_dots(c, &wr, part, results);
    }
    wr_end(&wr);
    return status;
}

/* The house's own part goes to the other house; the seed is made of it and of the other part as the client claims it. */
static void own_seed(struct checking *c, int part, const uint8_t *public_share, uint8_t *own, uint8_t *seed)
{
    size_t len = c->pine->seed;
    const uint8_t *claimed = public_share + (size_t)part * 2 * len;
    xof_read(&c->parts[part], own, len);
    pine_joint_seed(c->pine, part == PART_WR ? USAGE_WR_JOINT_RAND_SEED : USAGE_JOINT_RAND_SEED,
                    c->house == 0 ? own : claimed, c->house == 0 ? claimed + len : own, seed);
}

static enum status proofs_read(struct checking *c, const uint8_t *seed, fe *proofs, struct error *err)
{
    const struct pine *pine = c->pine;
    if (c->house == 1) {
        proofs_expand(pine, seed, proofs);
        return OK;
    }
    c->at = (pine->config.dimension + pine->bits) * FE_SIZE;
    for (size_t at = 0, part; at < pine->proofs_len; at += part) {
        part = pine->proofs_len - at < WR_BLOCK ? pine->proofs_len - at : WR_BLOCK;
        TRY(measurement_next(c, part, err));
        memcpy(proofs + at, c->block, part * sizeof *proofs);
    }
    return OK;
}

static bool query(struct checking *c, const fe *meas, const fe *proofs, const fe *ts, const uint8_t *joint_seed,
                  fe *verifiers)
{
    const struct pine_config *config = &c->pine->config;
    const struct flp flp = validity_flp(c->pine);
    size_t joint_len = (size_t)VALIDITY_JOINT * config->proofs, arity = c->equality.g.arity;
    fe *joint = fe_room(joint_len), norm = bits_decode(meas, c->pine->norm_bits);
    bool good = true;
    joint_expand(c->pine, joint_seed, joint);
    for (unsigned p = 0; p < config->proofs_norm_equality; p++) {
        equality_end(&c->equality, p, proofs, *ts++, norm, verifiers);
        proofs += arity + gadget_poly_len(&c->equality.g);
        verifiers += arity + 2;
    }
    for (unsigned p = 0; p < config->proofs; p++) {
        good &= flp_query(&flp, meas, proofs, ts++, joint + (size_t)VALIDITY_JOINT * p, 2, verifiers);
        proofs += flp_proof_len(&flp);
        verifiers += flp_verifier_len(&flp);
    }
    fe_free(joint, joint_len);
    return good;
}

/* A share's four seeds: of the measurement and the proofs (a helper's only), and the blinds of its parts. */
static enum status seeds_read(const struct checking *c, uint8_t seeds[4 * SEED_SIZE_MAX], struct error *err)
{
    size_t len = c->pine->seed;
    if (c->house == 1)
        return c->source.read(c->source.context, 0, seeds, 4 * len, err);
    return c->source.read(c->source.context, c->pine->leader_share - 2 * len, seeds + 2 * len, 2 * len, err);
}

struct prep_room { /* what one preparation works in */
    uint8_t seeds[4 * SEED_SIZE_MAX];
    fe *meas, *proofs, *verifiers, *ts;
};

static enum status prep_into(struct checking *c, struct prep_room *room, const uint8_t *verify_key,
                             const uint8_t *nonce, const uint8_t *public_share, struct pine_state *state,
                             uint8_t *prep_share, struct error *err)
{
    const struct pine *pine = c->pine;
    unsigned proofs = pine->config.proofs, equal = pine->config.proofs_norm_equality;
    size_t len = pine->seed, verifiers_size = pine->verifiers_len * FE_SIZE;
    uint8_t binder[2 + PINE_NONCE_SIZE] = {(uint8_t)equal, (uint8_t)proofs};
    memcpy(binder + 2, nonce, PINE_NONCE_SIZE);
    TRY(seeds_read(c, room->seeds, err));
    pine_part(pine, &c->parts[PART_WR], USAGE_WR_JOINT_RAND_PART, room->seeds + 2 * len, c->house, nonce);
    pine_part(pine, &c->parts[PART_VF], USAGE_JOINT_RAND_PART, room->seeds + 3 * len, c->house, nonce);
    seeds_expand(pine, verify_key, USAGE_QUERY_RANDOMNESS, binder, sizeof binder, room->ts, equal + proofs);
    bool good = equality_begin(&c->equality, pine, room->ts);
    measurement_restart(c, room->seeds);
    TRY(first_pass(c, room->meas, err));
    own_seed(c, PART_WR, public_share, prep_share + verifiers_size, state->seeds);
    own_seed(c, PART_VF, public_share, prep_share + verifiers_size + len, state->seeds + len);
    measurement_restart(c, room->seeds);
    TRY(second_pass(c, state->seeds, room->meas + pine->bits, err));
    TRY(proofs_read(c, room->seeds + len, room->proofs, err));
    good &= query(c, room->meas, room->proofs, room->ts, state->seeds + len, room->verifiers);
    fe_write_all(prep_share, room->verifiers, pine->verifiers_len);
    return good ? OK : fail(err, FORBIDDEN, "ProofRefused", "The query of this report falls on a point of its proof.");
}

static enum status prep_init(const struct pine *pine, const uint8_t *verify_key, int house, const uint8_t *nonce,
                             const uint8_t *public_share, struct pine_source share_source, struct pine_state *state,
                             uint8_t *prep_share, struct error *err)
{
    struct checking *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    size_t meas_len = pine->bits + pine->config.checks,
           ts_len = pine->config.proofs + pine->config.proofs_norm_equality;
    struct prep_room room = {.meas = fe_room(meas_len),
                             .proofs = fe_room(pine->proofs_len),
                             .verifiers = fe_room(pine->verifiers_len),
                             .ts = fe_room(ts_len)};
    c->pine = pine;
    c->house = house;
    c->source = share_source;
    enum status status = prep_into(c, &room, verify_key, nonce, public_share, state, prep_share, err);
    fe_free(room.meas, meas_len);
    fe_free(room.proofs, pine->proofs_len);
    fe_free(room.verifiers, pine->verifiers_len);
    fe_free(room.ts, ts_len);
    OPENSSL_cleanse(room.seeds, sizeof room.seeds);
    for (int part = 0; part < PARTS; part++)
        xof_end(&c->parts[part]);
    xof_end(&c->meas);
    equality_free(&c->equality);
    OPENSSL_cleanse(c, sizeof *c);
    free(c);
    return status;
}

static enum status out_add(struct pine_out *out, uint8_t *sum, size_t count, struct error *err)
{
    fe block[512];
    uint8_t bytes[512 * FE_SIZE];
    for (size_t at = 0, part; at < count; at += part) {
        part = count - at < 512 ? count - at : 512;
        bool good = true;
        if (out->house == 1) {
            fe_expand(&out->meas, block, part);
        } else {
            TRY(out->share.read(out->share.context, out->at * FE_SIZE, bytes, part * FE_SIZE, err));
            good = fe_read_all(bytes, block, part);
        }
        for (size_t i = 0; i < part && good; i++) {
            fe a;
            good = fe_read(sum + (at + i) * FE_SIZE, &a);
            fe_write(sum + (at + i) * FE_SIZE, fe_add(a, block[i]));
        }
        if (!good)
            return fail(err, INVALID, NULL, "A share or a sum holds a number that is no field element.");
        out->at += part;
    }
    return OK;
}

#endif

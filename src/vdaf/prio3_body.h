/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Prio3 over one field (a template file: see fe.h). It defines prio3_field64 and prio3_field128. */
#include "vdaf/prio3_circuit.h"

static enum status make(struct prio3 *p, struct error *err)
{
    const struct flp flp = prio3_flp(p);
    if (p->bits >= FIELD_BITS)
        return fail(err, INVALID, NULL, "The largest number needs a larger field.");
    if (gadget_points(&flp.gadget) > (size_t)1 << 19)
        return fail(err, INVALID, NULL, "The chunk is too short: a proof would have over 2^20 points.");
    p->proof_len = flp_proof_len(&flp);
    p->verifier_len = flp_verifier_len(&flp);
    return OK;
}

static void expand(const struct prio3 *p, const uint8_t *seed, enum prio3_usage usage, const uint8_t *binder,
                   size_t binder_len, fe *out, size_t count)
{
    auto_xof struct xof xof;
    prio3_xof(p, &xof, seed, usage);
    xof_add(&xof, binder, binder_len);
    fe_expand(&xof, out, count);
}

static void helper_expand(const struct prio3 *p, unsigned aggregator, const uint8_t *seed, fe *meas, fe *proofs)
{
    uint8_t binder[2] = {(uint8_t)p->config.proofs, (uint8_t)aggregator};
    expand(p, seed, PRIO3_MEAS_SHARE, binder + 1, 1, meas, p->meas_len);
    expand(p, seed, PRIO3_PROOF_SHARE, binder, 2, proofs, p->proof_len * p->config.proofs);
}

static void joint_part(const struct prio3 *p, unsigned aggregator, const uint8_t *blind, const fe *meas,
                       const uint8_t *nonce, uint8_t *part)
{
    auto_xof struct xof xof;
    uint8_t id = (uint8_t)aggregator, bytes[FE_SIZE];
    prio3_xof(p, &xof, blind, PRIO3_JOINT_RAND_PART);
    xof_add(&xof, &id, 1);
    xof_add(&xof, nonce, PRIO3_NONCE_SIZE);
    for (size_t i = 0; i < p->meas_len; i++) {
        fe_write(bytes, meas[i]);
        xof_add(&xof, bytes, sizeof bytes);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    xof_read(&xof, part, PRIO3_SEED_SIZE);
}

static void elements_add(struct buf *out, const fe *elements, size_t count)
{
    buf_reserve(out, count * FE_SIZE);
    fe_write_all((uint8_t *)out->data + out->len, elements, count);
    out->len += count * FE_SIZE;
}

/* What one call works in. */
struct room {
    size_t meas_len, proofs_len, rand_len, joint_len;
    fe *meas, *share, *proofs, *proofs_share, *rand, *joint;
};

static struct room room_make(const struct prio3 *p, size_t rand_len)
{
    size_t proofs = p->config.proofs;
    struct room r = {.meas_len = p->meas_len,
                     .proofs_len = p->proof_len * proofs,
                     .rand_len = rand_len,
                     .joint_len = p->joint_len * proofs};
    r.meas = fe_room(2 * r.meas_len);
    r.share = r.meas + r.meas_len;
    r.proofs = fe_room(2 * r.proofs_len);
    r.proofs_share = r.proofs + r.proofs_len;
    r.rand = fe_room(rand_len);
    r.joint = fe_room(r.joint_len);
    return r;
}

static void room_free(struct room *r)
{
    fe_free(r->meas, 2 * r->meas_len);
    fe_free(r->proofs, 2 * r->proofs_len);
    fe_free(r->rand, r->rand_len);
    fe_free(r->joint, r->joint_len);
}

static void joint_expand(const struct prio3 *p, struct str parts, struct room *r, uint8_t seed[PRIO3_SEED_SIZE])
{
    uint8_t binder = (uint8_t)p->config.proofs;
    prio3_joint_seed(p, parts, seed);
    expand(p, seed, PRIO3_JOINT_RANDOMNESS, &binder, 1, r->joint, r->joint_len);
}

/* rand is the helpers' seeds (with a blind behind each where there is joint randomness), the leader's blind, the prover's seed. */
static void shares_make(const struct prio3 *p, struct room *r, const uint8_t *nonce, const uint8_t *rand,
                        struct buf *public_share, struct buf *shares)
{
    const struct flp flp = prio3_flp(p);
    unsigned helpers = p->config.shares - 1, step = p->joint_len ? 2 : 1;
    const uint8_t *blind = rand + (size_t)helpers * step * PRIO3_SEED_SIZE,
                  *prover = blind + (step - 1) * PRIO3_SEED_SIZE;
    uint8_t parts[PRIO3_SHARES_MAX * PRIO3_SEED_SIZE], seed[PRIO3_SEED_SIZE], binder = (uint8_t)p->config.proofs;
    fe *leader = fe_room(r->meas_len);
    memcpy(leader, r->meas, r->meas_len * sizeof *leader);
    for (unsigned j = 1; j <= helpers; j++) {
        const uint8_t *own = rand + (size_t)(j - 1) * step * PRIO3_SEED_SIZE;
        helper_expand(p, j, own, r->share, r->proofs_share);
        for (size_t i = 0; i < r->meas_len; i++)
            leader[i] = fe_sub(leader[i], r->share[i]);
        for (size_t i = 0; i < r->proofs_len; i++)
            r->proofs[i] = fe_sub(r->proofs[i], r->proofs_share[i]);
        if (p->joint_len)
            joint_part(p, j, own + PRIO3_SEED_SIZE, r->share, nonce, parts + j * PRIO3_SEED_SIZE);
        buf_add(&shares[j], own, step * PRIO3_SEED_SIZE);
    }
    if (p->joint_len) {
        joint_part(p, 0, blind, leader, nonce, parts);
        buf_add(public_share, parts, p->public_share);
        joint_expand(p, (struct str){(char *)parts, p->public_share}, r, seed);
    }
    expand(p, prover, PRIO3_PROVE_RANDOMNESS, &binder, 1, r->rand, r->rand_len);
    for (unsigned i = 0; i < p->config.proofs; i++) {
        fe *proof = r->proofs_share + i * p->proof_len;
        flp_prove(&flp, r->meas, r->rand + i * flp_prove_rand_len(&flp), r->joint + i * p->joint_len, proof);
    }
    for (size_t i = 0; i < r->proofs_len; i++)
        r->proofs[i] = fe_add(r->proofs[i], r->proofs_share[i]);
    elements_add(&shares[0], leader, r->meas_len);
    elements_add(&shares[0], r->proofs, r->proofs_len);
    if (p->joint_len)
        buf_add(&shares[0], blind, PRIO3_SEED_SIZE);
    fe_free(leader, r->meas_len);
}

static enum status shard(const struct prio3 *p, const uint64_t *measurement, const uint8_t *nonce, const uint8_t *rand,
                         struct buf *public_share, struct buf *shares, struct error *err)
{
    const struct flp flp = prio3_flp(p);
    struct room r = room_make(p, flp_prove_rand_len(&flp) * p->config.proofs);
    enum status status = measurement_encode(p, measurement, r.meas, err);
    if (status == OK)
        shares_make(p, &r, nonce, rand, public_share, shares);
    room_free(&r);
    return status;
}

static enum status verify_into(const struct prio3 *p, struct room *r, const uint8_t *verify_key, unsigned aggregator,
                               const uint8_t *nonce, struct str public_share, const uint8_t *share,
                               struct prio3_state *state, struct buf *verifier_share, struct error *err)
{
    const struct flp flp = prio3_flp(p);
    uint8_t parts[PRIO3_SHARES_MAX * PRIO3_SEED_SIZE], *own = parts + aggregator * PRIO3_SEED_SIZE;
    uint8_t binder[1 + PRIO3_NONCE_SIZE] = {(uint8_t)p->config.proofs};
    const uint8_t *proofs = share + r->meas_len * FE_SIZE, *blind = share + PRIO3_SEED_SIZE;
    memcpy(binder + 1, nonce, PRIO3_NONCE_SIZE);
    if (aggregator > 0)
        helper_expand(p, aggregator, share, r->meas, r->proofs);
    else if (!fe_read_all(share, r->meas, r->meas_len) || !fe_read_all(proofs, r->proofs, r->proofs_len))
        return fail(err, INVALID, NULL, "The input share holds a number that is no field element.");
    else
        blind = proofs + r->proofs_len * FE_SIZE;
    if (p->joint_len) {
        memcpy(parts, public_share.data, public_share.len);
        joint_part(p, aggregator, blind, r->meas, nonce, own);
        joint_expand(p, (struct str){(char *)parts, public_share.len}, r, state->seed);
    }
    expand(p, verify_key, PRIO3_QUERY_RANDOMNESS, binder, sizeof binder, r->rand, r->rand_len);
    fe *verifier = fe_room(p->verifier_len);
    bool good = true;
    for (unsigned i = 0; i < p->config.proofs; i++) {
        good &= flp_query(&flp, r->meas, r->proofs + i * p->proof_len, r->rand + i * flp_query_rand_len(&flp),
                          r->joint + i * p->joint_len, p->config.shares, verifier);
        elements_add(verifier_share, verifier, p->verifier_len);
    }
    fe_free(verifier, p->verifier_len);
    if (p->joint_len)
        buf_add(verifier_share, own, PRIO3_SEED_SIZE);
    fe *out = fe_room(p->sums);
    measurement_truncate(p, r->meas, out);
    state->out_share.len = 0;
    elements_add(&state->out_share, out, p->sums);
    fe_free(out, p->sums);
    return good ? OK : fail(err, FORBIDDEN, "ProofRefused", "The query of this report falls on a point of its proof.");
}

static enum status verify_init(const struct prio3 *p, const uint8_t *verify_key, unsigned aggregator,
                               const uint8_t *nonce, struct str public_share, struct str share,
                               struct prio3_state *state, struct buf *verifier_share, struct error *err)
{
    const struct flp flp = prio3_flp(p);
    struct room r = room_make(p, flp_query_rand_len(&flp) * p->config.proofs);
    enum status status = verify_into(p, &r, verify_key, aggregator, nonce, public_share, (const uint8_t *)share.data,
                                     state, verifier_share, err);
    room_free(&r);
    return status;
}

static enum status verifier_message(const struct prio3 *p, const struct str *verifier_shares, struct buf *message,
                                    struct error *err)
{
    const struct flp flp = prio3_flp(p);
    size_t len = p->verifier_len * p->config.proofs;
    uint8_t parts[PRIO3_SHARES_MAX * PRIO3_SEED_SIZE], seed[PRIO3_SEED_SIZE];
    fe *sum = fe_room(2 * len), *share = sum + len;
    bool read = true, good = true;
    for (unsigned i = 0; i < p->config.shares; i++) {
        const uint8_t *bytes = (const uint8_t *)verifier_shares[i].data;
        read &= fe_read_all(bytes, share, len);
        for (size_t j = 0; j < len; j++)
            sum[j] = fe_add(sum[j], share[j]);
        memcpy(parts + i * PRIO3_SEED_SIZE, bytes + len * FE_SIZE, p->message);
    }
    for (unsigned i = 0; i < p->config.proofs; i++)
        good &= flp_decide(&flp, sum + i * p->verifier_len);
    fe_free(sum, 2 * len);
    if (!read)
        return fail(err, INVALID, NULL, "A verifier share holds a number that is no field element.");
    if (!good)
        return fail(err, FORBIDDEN, "ProofRefused",
                    "The report's proof does not hold: its measurement is not valid, or it was changed on the way.");
    if (p->joint_len) {
        prio3_joint_seed(p, (struct str){(char *)parts, p->public_share}, seed);
        buf_add(message, seed, sizeof seed);
    }
    return OK;
}

static enum status add(const struct prio3 *p, uint8_t *sum, struct str out_share, struct error *err)
{
    for (size_t i = 0; i < p->sums; i++) {
        fe a, b;
        if (!fe_read(sum + i * FE_SIZE, &a) || !fe_read((const uint8_t *)out_share.data + i * FE_SIZE, &b))
            return fail(err, INVALID, NULL, "A sum holds a number that is no field element.");
        fe_write(sum + i * FE_SIZE, fe_add(a, b));
    }
    return OK;
}

static enum status unshard(const struct prio3 *p, const uint8_t *sum, uint64_t *out, struct error *err)
{
    for (size_t i = 0; i < p->sums; i++) {
        fe a;
        if (!fe_read(sum + i * FE_SIZE, &a) || a > (fe)UINT64_MAX)
            return fail(err, INVALID, NULL,
                        "A sum is larger than 64 bits hold: the aggregators' shares do not belong together.");
        out[i] = (uint64_t)a;
    }
    return OK;
}

const struct prio3_field FE_NAME(prio3_field) = {FIELD_BITS, make, shard, verify_init, verifier_message, add, unshard};

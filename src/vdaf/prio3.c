/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "vdaf/prio3_field.h"

#include "base/hash.h"
#include <assert.h>

#define VDAF_VERSION 18 /* of the draft's algorithms */

static size_t up(uint64_t n, uint64_t unit)
{
    return (size_t)((n + unit - 1) / unit);
}

/* What the kind makes of length, max and chunk. */
static void lengths(struct prio3 *p)
{
    const struct prio3_config *c = &p->config;
    p->values = p->sums = p->meas_len = 1;
    switch (c->kind) {
    case PRIO3_COUNT:
    case PRIO3_HIGHER_DEGREE:
        return;
    case PRIO3_SUM:
        p->meas_len = p->bits;
        return;
    case PRIO3_SUM_VEC:
        p->values = p->sums = c->length;
        p->meas_len = c->length * p->bits;
        break;
    case PRIO3_HISTOGRAM:
        p->sums = p->meas_len = c->length;
        break;
    case PRIO3_MULTIHOT:
        p->values = p->sums = c->length;
        p->meas_len = c->length + p->bits;
        break;
    }
    p->joint_len = up(p->meas_len, c->chunk);
}

static enum status config_check(const struct prio3_config *c, struct error *err)
{
    bool vector = c->kind == PRIO3_SUM_VEC || c->kind == PRIO3_HISTOGRAM || c->kind == PRIO3_MULTIHOT;
    bool has_max = c->kind == PRIO3_SUM || c->kind == PRIO3_SUM_VEC || c->kind == PRIO3_MULTIHOT;
    if (c->shares < 2 || c->shares > PRIO3_SHARES_MAX)
        return fail(err, INVALID, NULL, "There must be 2 to %d shares.", PRIO3_SHARES_MAX);
    if (c->proofs == 0 || c->proofs > 16)
        return fail(err, INVALID, NULL, "There must be 1 to 16 proofs.");
    if (c->ctx.len > PRIO3_CTX_MAX)
        return fail(err, INVALID, NULL, "The context is longer than %d bytes.", PRIO3_CTX_MAX);
    if (vector && (c->length == 0 || c->length > 1 << 20 || c->chunk == 0 || c->chunk > 1 << 16))
        return fail(err, INVALID, NULL, "The length must be from 1 to 2^20, the chunk from 1 to 2^16.");
    if (has_max && (c->max == 0 || c->max >= (uint64_t)1 << 62))
        return fail(err, INVALID, NULL, "The largest number must be from 1 to 2^62 - 1.");
    if (c->kind == PRIO3_MULTIHOT && c->max > c->length)
        return fail(err, INVALID, NULL, "No more numbers can be 1 than there are.");
    return OK;
}

enum status prio3_make(const struct prio3_config *config, struct prio3 *out, struct error *err)
{
    TRY(config_check(config, err));
    struct prio3 p = {.config = *config,
                      .field = config->field_bits == 64    ? &prio3_field64
                               : config->field_bits == 128 ? &prio3_field128
                                                           : NULL};
    if (!p.field)
        return fail(err, INVALID, NULL, "Prio3 is over a field of 64 or 128 bits.");
    if (config->ctx.len)
        memcpy(p.ctx, config->ctx.data, config->ctx.len);
    p.bits = config->max ? 64 - (unsigned)__builtin_clzll(config->max) : 0;
    p.element = config->field_bits / 8;
    lengths(&p);
    TRY(p.field->make(&p, err));
    bool joint = p.joint_len > 0;
    p.rand = (joint ? 2 : 1) * (size_t)config->shares * PRIO3_SEED_SIZE;
    p.public_share = joint ? (size_t)config->shares * PRIO3_SEED_SIZE : 0;
    p.message = joint ? PRIO3_SEED_SIZE : 0;
    p.leader_share = (p.meas_len + p.proof_len * config->proofs) * p.element + p.message;
    p.helper_share = PRIO3_SEED_SIZE + p.message;
    p.verifier_share = p.verifier_len * config->proofs * p.element + p.message;
    p.out_share = p.sums * p.element;
    *out = p;
    return OK;
}

void prio3_xof(const struct prio3 *prio3, struct xof *xof, const uint8_t *seed, enum prio3_usage usage)
{
    uint32_t id = prio3->config.algorithm;
    uint8_t tag[8 + PRIO3_CTX_MAX] = {VDAF_VERSION, 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                      (uint8_t)id,  0, (uint8_t)usage};
    memcpy(tag + 8, prio3->ctx, prio3->config.ctx.len);
    xof_begin(xof, XOF_TURBOSHAKE128, seed, (struct str){(char *)tag, 8 + prio3->config.ctx.len});
}

void prio3_joint_seed(const struct prio3 *prio3, struct str parts, uint8_t seed[PRIO3_SEED_SIZE])
{
    static const uint8_t zero[PRIO3_SEED_SIZE];
    auto_xof struct xof xof;
    prio3_xof(prio3, &xof, zero, PRIO3_JOINT_RAND_SEED);
    xof_add(&xof, parts.data, parts.len);
    xof_read(&xof, seed, PRIO3_SEED_SIZE);
}

enum status prio3_shard(const struct prio3 *prio3, const uint64_t *measurement, const uint8_t nonce[PRIO3_NONCE_SIZE],
                        const uint8_t *rand, struct buf *public_share, struct buf *shares, struct error *err)
{
    return prio3->field->shard(prio3, measurement, nonce, rand, public_share, shares, err);
}

enum status prio3_verify_init(const struct prio3 *prio3, const uint8_t verify_key[PRIO3_SEED_SIZE], unsigned aggregator,
                              const uint8_t nonce[PRIO3_NONCE_SIZE], struct str public_share, struct str share,
                              struct prio3_state *state, struct buf *verifier_share, struct error *err)
{
    assert(aggregator < prio3->config.shares);
    if (public_share.len != prio3->public_share ||
        share.len != (aggregator == 0 ? prio3->leader_share : prio3->helper_share))
        return fail(err, INVALID, NULL, "A share of the report does not have the size that the task says.");
    return prio3->field->verify_init(prio3, verify_key, aggregator, nonce, public_share, share, state, verifier_share,
                                     err);
}

enum status prio3_verifier_message(const struct prio3 *prio3, const struct str *verifier_shares, struct buf *message,
                                   struct error *err)
{
    for (unsigned i = 0; i < prio3->config.shares; i++)
        if (verifier_shares[i].len != prio3->verifier_share)
            return fail(err, INVALID, NULL, "A verifier share does not have the size that the task says.");
    return prio3->field->verifier_message(prio3, verifier_shares, message, err);
}

enum status prio3_verify_next(const struct prio3 *prio3, const struct prio3_state *state, struct str message,
                              struct error *err)
{
    if (message.len != prio3->message)
        return fail(err, INVALID, NULL, "The verifier message does not have the size that the task says.");
    if (!equal_secret(state->seed, message.data, message.len))
        return fail(
            err, FORBIDDEN, "ProofRefused",
            "The aggregators derived different randomness from this report: a part that its client claims is wrong.");
    return OK;
}

enum status prio3_add(const struct prio3 *prio3, uint8_t *sum, struct str out_share, struct error *err)
{
    if (out_share.len != prio3->out_share)
        return fail(err, INVALID, NULL, "A sum does not have the size that the task says.");
    return prio3->field->add(prio3, sum, out_share, err);
}

enum status prio3_unshard(const struct prio3 *prio3, const struct str *sums, uint64_t *out, struct error *err)
{
    auto_buf struct buf total = {0};
    buf_reserve(&total, prio3->out_share);
    memset(total.data, 0, prio3->out_share);
    for (unsigned i = 0; i < prio3->config.shares; i++)
        TRY(prio3_add(prio3, (uint8_t *)total.data, sums[i], err));
    return prio3->field->unshard(prio3, (uint8_t *)total.data, out, err);
}

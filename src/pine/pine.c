/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pine/field.h"

#include "base/hash.h"
#include <assert.h>
#include <stdlib.h>

#define PINE_VERSION 1 /* of the draft */

struct pine_config pine_config_cairn(unsigned field_bits, size_t dimension, uint64_t norm_bound, struct str ctx)
{
    /* Calls and inputs of a gadget that make the proofs shortest: the number of calls is just below a power of two. */
    size_t points = 2;
    while (points * points < dimension / 2 && points < 1 << 16)
        points *= 2;
    return (struct pine_config){
        .field_bits = field_bits,
        .xof = XOF_HMAC_SHA256_AES128,
        .algorithm = PINE_ALGORITHM_CAIRN,
        .ctx = ctx,
        .norm_bound = norm_bound,
        .dimension = dimension,
        .chunk = 40,
        .chunk_norm_equality = (dimension + points - 2) / (points - 1),
        .proofs = field_bits == 32   ? 5
                  : field_bits == 40 ? 4
                                     : 2,
        .proofs_norm_equality = field_bits <= 40 ? 3 : 2,
        .checks = 100,
        .successes = 100,
    };
}

static const struct pine_field *field_of(unsigned bits)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && bits == 32)
        return &pine_field32_avx2;
    if (__builtin_cpu_supports("avx2") && bits == 64)
        return &pine_field64_avx2;
#endif
    switch (bits) {
    case 32:
        return &pine_field32;
    case 40:
        return &pine_field40;
    case 64:
        return &pine_field64;
    case 128:
        return &pine_field128;
    default:
        return NULL;
    }
}

static unsigned bit_length(uint64_t n)
{
    return n ? 64 - (unsigned)__builtin_clzll(n) : 0;
}

static enum status config_check(const struct pine_config *c, struct error *err)
{
    if (c->norm_bound == 0 || c->norm_bound >= (uint64_t)1 << 31)
        return fail(err, INVALID, NULL, "The norm bound must be from 1 to 2^31 - 1.");
    if (c->dimension == 0 || c->dimension > PINE_DIMENSION_MAX)
        return fail(err, INVALID, NULL, "The number of coordinates must be from 1 to %zu.", PINE_DIMENSION_MAX);
    if (c->chunk == 0 || c->chunk > 1 << 16 || c->chunk_norm_equality == 0 || c->chunk_norm_equality > c->dimension ||
        c->chunk_norm_equality > 1 << 16)
        return fail(err, INVALID, NULL, "A chunk length is out of range.");
    if (c->xof != XOF_HMAC_SHA256_AES128 && c->dimension > PINE_SHAKE_DIMENSION_MAX)
        return fail(err, INVALID, NULL,
                    "With TurboSHAKE128 there are at most %zu coordinates: its output is kept as a whole.",
                    PINE_SHAKE_DIMENSION_MAX);
    if (c->proofs == 0 || c->proofs > 16 || c->proofs_norm_equality == 0 || c->proofs_norm_equality > 16)
        return fail(err, INVALID, NULL, "The numbers of proofs must be from 1 to 16.");
    if (c->checks == 0 || c->checks > PINE_CHECKS_MAX || c->successes == 0 || c->successes > c->checks)
        return fail(err, INVALID, NULL, "There must be 1 to %d wraparound tests, and no more successes than tests.",
                    PINE_CHECKS_MAX);
    if (c->ctx.len > PINE_CTX_MAX)
        return fail(err, INVALID, NULL, "The context is longer than %d bytes.", PINE_CTX_MAX);
    return OK;
}

enum status pine_make(const struct pine_config *config, struct pine *out, struct error *err)
{
    TRY(config_check(config, err));
    struct pine p = {.config = *config, .field = field_of(config->field_bits)};
    if (!p.field)
        return fail(err, INVALID, NULL, "There are fields of 32, 40, 64 and 128 bits.");
    if (config->ctx.len)
        memcpy(p.ctx, config->ctx.data, config->ctx.len);
    uint64_t least = (87 * config->norm_bound + 9) / 10 + 1; /* alpha = 8.7 */
    p.norm_bits = bit_length(config->norm_bound * config->norm_bound);
    p.check_bound = (uint64_t)1 << bit_length(least - 1);
    p.check_bits = bit_length(2 * p.check_bound - 1);
    p.bits = 2 * p.norm_bits + (size_t)config->checks * (p.check_bits + 1);
    p.element = config->field_bits / 8;
    TRY(p.field->make(&p, err));
    p.seed = xof_seed_size(config->xof);
    p.rand = 7 * p.seed;
    p.public_share = p.helper_share = 4 * p.seed;
    p.leader_share = (config->dimension + p.bits + p.proofs_len) * p.element + 2 * p.seed;
    p.prep_share = p.verifiers_len * p.element + 2 * p.seed;
    p.prep_message = 2 * p.seed;
    p.agg_share = config->dimension * p.element;
    *out = p;
    return OK;
}

void pine_xof(const struct pine *pine, struct xof *xof, const uint8_t *seed, enum pine_usage usage)
{
    uint32_t id = pine->config.algorithm;
    uint8_t tag[7 + PINE_CTX_MAX] = {PINE_VERSION, (uint8_t)(id >> 24),   (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                     (uint8_t)id,  (uint8_t)(usage >> 8), (uint8_t)usage};
    memcpy(tag + 7, pine->ctx, pine->config.ctx.len);
    xof_begin(xof, pine->config.xof, seed, (struct str){(char *)tag, 7 + pine->config.ctx.len});
}

void pine_joint_seed(const struct pine *pine, enum pine_usage usage, const uint8_t *leader_part,
                     const uint8_t *helper_part, uint8_t *seed)
{
    static const uint8_t zero[SEED_SIZE_MAX];
    auto_xof struct xof xof;
    pine_xof(pine, &xof, zero, usage);
    xof_add(&xof, leader_part, pine->seed);
    xof_add(&xof, helper_part, pine->seed);
    xof_read(&xof, seed, pine->seed);
}

void pine_part(const struct pine *pine, struct xof *xof, enum pine_usage usage, const uint8_t *blind, int house,
               const uint8_t *nonce)
{
    uint8_t id = (uint8_t)house;
    pine_xof(pine, xof, blind, usage);
    xof_add(xof, &id, 1);
    xof_add(xof, nonce, PINE_NONCE_SIZE);
}

static enum status memory_read(void *context, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    const struct str *share = context;
    if (offset > share->len || len > share->len - offset)
        return fail(err, INVALID, NULL, "The input share is too short.");
    memcpy(out, share->data + offset, len);
    return OK;
}

struct pine_source pine_source_memory(const struct str *share)
{
    return (struct pine_source){memory_read, (void *)share};
}

enum status pine_shard(const struct pine *pine, const int32_t *vector, const uint8_t nonce[PINE_NONCE_SIZE],
                       const uint8_t *rand, struct pine_sink leader, uint8_t *helper, uint8_t *public_share,
                       struct error *err)
{
    return pine->field->shard(pine, vector, nonce, rand, leader, helper, public_share, err);
}

enum status pine_prep_init(const struct pine *pine, const uint8_t *verify_key, int house,
                           const uint8_t nonce[PINE_NONCE_SIZE], const uint8_t *public_share, struct pine_source share,
                           struct pine_state *state, uint8_t *prep_share, struct error *err)
{
    assert(house == 0 || house == 1);
    return pine->field->prep_init(pine, verify_key, house, nonce, public_share, share, state, prep_share, err);
}

enum status pine_prep_decide(const struct pine *pine, const uint8_t *prep_share_leader,
                             const uint8_t *prep_share_helper, uint8_t *message, struct error *err)
{
    return pine->field->prep_decide(pine, prep_share_leader, prep_share_helper, message, err);
}

enum status pine_prep_next(const struct pine *pine, const struct pine_state *state, const uint8_t *message,
                           struct error *err)
{
    if (!equal_secret(state->seeds, message, pine->prep_message))
        return fail(
            err, FORBIDDEN, "ProofRefused",
            "The houses derived different randomness from this report: a part that its client claims is wrong.");
    return OK;
}

enum status pine_out_open(const struct pine *pine, int house, struct pine_source share, struct pine_out **out,
                          struct error *err)
{
    assert(house == 0 || house == 1);
    struct pine_out *made = calloc(1, sizeof *made);
    if (!made)
        abort();
    *made = (struct pine_out){.pine = pine, .house = house, .share = share};
    *out = made;
    if (house == 0)
        return OK;
    uint8_t seed[SEED_SIZE_MAX], id = 1;
    enum status status = share.read(share.context, 0, seed, pine->seed, err);
    if (status == OK) {
        pine_xof(pine, &made->meas, seed, USAGE_MEAS_SHARE);
        xof_add(&made->meas, &id, 1);
        return OK;
    }
    pine_out_free(made);
    *out = NULL;
    return status;
}

enum status pine_out_add(struct pine_out *out, uint8_t *sum, size_t count, struct error *err)
{
    assert(count <= out->pine->config.dimension - out->at);
    return out->pine->field->out_add(out, sum, count, err);
}

void pine_out_free(struct pine_out *out)
{
    if (!out)
        return;
    xof_end(&out->meas);
    free(out);
}

enum status pine_sum_add(const struct pine *pine, uint8_t *sum, const int64_t *integers, size_t count,
                         struct error *err)
{
    return pine->field->sum_add(sum, integers, count, err);
}

enum status pine_unshard(const struct pine *pine, const uint8_t *sum_leader, const uint8_t *sum_helper, size_t count,
                         int64_t *out, struct error *err)
{
    return pine->field->unshard(sum_leader, sum_helper, count, out, err);
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* PINE over one field (a template file: see vdaf/fe.h). It defines pine_field32 and so on; see field.h and pine.h. */
#include "pine/client.h"
#include "pine/house.h"

static enum status make(struct pine *pine, struct error *err)
{
    const u128 q = FE_MODULUS;
    const struct pine_config *c = &pine->config;
    const u128 square = (u128)c->norm_bound * c->norm_bound, w = pine->check_bound;
    if (q - 2 <= 3 * square)
        return fail(err, INVALID, NULL, "A norm bound of %llu needs a larger field: three times its square must fit.",
                    (unsigned long long)c->norm_bound);
    if (q / 2 < c->checks || q / 2600 < w || w * w / 4000 > q)
        return fail(err, INVALID, NULL, "The wraparound tests need a larger field for a norm bound of %llu.",
                    (unsigned long long)c->norm_bound);
    const struct flp validity = validity_flp(pine);
    const struct gadget equality = equality_gadget(pine);
    if (2 * gadget_points(&validity.gadget) > (size_t)1 << 20 || 2 * gadget_points(&equality) > (size_t)1 << 20)
        return fail(err, INVALID, NULL, "A chunk length is too short: its proof would have over 2^20 points.");
    u128 most = q / 2 / c->norm_bound;
    pine->reports_most = most > UINT64_MAX ? UINT64_MAX : (uint64_t)most;
    pine->proofs_len =
        c->proofs_norm_equality * (equality.arity + gadget_poly_len(&equality)) + c->proofs * flp_proof_len(&validity);
    pine->verifiers_len = c->proofs_norm_equality * (equality.arity + 2) + c->proofs * flp_verifier_len(&validity);
    return OK;
}

static enum status prep_decide(const struct pine *pine, const uint8_t *leader, const uint8_t *helper, uint8_t *message,
                               struct error *err)
{
    size_t len = pine->verifiers_len, seeds = len * FE_SIZE;
    fe *sum = fe_room(2 * len), *other = sum + len;
    bool read = fe_read_all(leader, sum, len) && fe_read_all(helper, other, len);
    for (size_t i = 0; i < len; i++)
        sum[i] = fe_add(sum[i], other[i]);
    const struct flp equality = {.gadget = equality_gadget(pine)}, validity = validity_flp(pine);
    const fe *at = sum;
    bool good = true;
    for (unsigned p = 0; p < pine->config.proofs_norm_equality; p++, at += flp_verifier_len(&equality))
        good &= flp_decide(&equality, at);
    for (unsigned p = 0; p < pine->config.proofs; p++, at += flp_verifier_len(&validity))
        good &= flp_decide(&validity, at);
    fe_free(sum, 2 * len);
    if (!read)
        return fail(err, INVALID, NULL, "A verifier share holds a number that is no field element.");
    if (!good)
        return fail(err, FORBIDDEN, "ProofRefused",
                    "The report's proof does not hold: its norm is over the bound, or it was changed on the way.");
    pine_joint_seed(pine, USAGE_WR_JOINT_RAND_SEED, leader + seeds, helper + seeds, message);
    pine_joint_seed(pine, USAGE_JOINT_RAND_SEED, leader + seeds + pine->seed, helper + seeds + pine->seed,
                    message + pine->seed);
    return OK;
}

static enum status not_an_element(struct error *err)
{
    return fail(err, INVALID, NULL, "A sum holds a number that is no field element.");
}

static enum status sum_add(uint8_t *sum, const int64_t *integers, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        fe a;
        if (!fe_read(sum + i * FE_SIZE, &a))
            return not_an_element(err);
        fe_write(sum + i * FE_SIZE, fe_add(a, fe_of_wide(integers[i])));
    }
    return OK;
}

static enum status unshard(const uint8_t *leader, const uint8_t *helper, size_t count, int64_t *out, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        fe a, b;
        if (!fe_read(leader + i * FE_SIZE, &a) || !fe_read(helper + i * FE_SIZE, &b))
            return not_an_element(err);
        fe sum = fe_add(a, b), negated = fe_neg(sum), size = sum > FE_MODULUS / 2 ? negated : sum;
        if (size > (fe)INT64_MAX)
            return fail(err, INVALID, NULL, "A sum is larger than 64 bits hold.");
        out[i] = size == sum ? (int64_t)size : -(int64_t)size;
    }
    return OK;
}

const struct pine_field FE_NAME(pine_field) = {FIELD_BITS,  make,    shard,   prep_init,
                                               prep_decide, out_add, sum_add, unshard};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clients that know the protocol and break one rule of it, with proofs made as well as they can be: each is refused. They are the
 * honest client's own code with one step replaced, and the first of them, which replaces nothing, is accepted.
 */
#pragma GCC diagnostic ignored "-Wunused-function" /* the honest shard() */
#define FIELD_BITS 32
#include "pine/client.h"
#include "report.h"

enum { D = 64, BOUND = 15 };

enum evil {
    HONEST,
    OVER,                /* a norm just over the bound, and the rest of the bound taken modulo 2^bits */
    OVER_IN_FIELD,       /* the same, and the rest is -1 in the field: its lowest bit */
    WRONG_NORM,          /* another norm than the vector's, within the bound */
    NO_BIT,              /* the same norm, but with a bit that is 2 instead of the next one being 1 */
    WRAPAROUND,          /* squares that add up to q + something small */
    WRAPAROUND_COUNTED,  /* and its failed tests count as passed */
    WRAPAROUND_BIG_BITS, /* and their results are in one bit that holds any number */
    ONE_TEST_LESS,       /* a test that passed is said to have failed */
    SUCCESS_TWO,         /* one success counts twice, another not at all */
};

/* The attack of the PINE paper. */
static void wrap(int32_t *x)
{
    int64_t rest = (int64_t)FE_MODULUS + BOUND * BOUND - 3;
    memset(x, 0, D * sizeof *x);
    for (int i = 0; rest > 0; i++) {
        while ((int64_t)(x[i] + 1) * (x[i] + 1) <= rest)
            x[i]++;
        rest -= (int64_t)x[i] * x[i];
    }
}

static void evil_norm(const struct pine *pine, enum evil evil, const int32_t *x, fe *bits)
{
    fe norm = 0;
    for (size_t i = 0; i < D; i++)
        norm = fe_add(norm, fe_mul(fe_of_signed(x[i]), fe_of_signed(x[i])));
    uint64_t v = norm;
    if (evil == WRONG_NORM)
        v -= 1;
    bits_encode(bits, v, pine->norm_bits);
    bits_encode(bits + pine->norm_bits, (uint64_t)(BOUND * BOUND) - v, pine->norm_bits);
    if (evil == OVER_IN_FIELD) {
        bits_encode(bits + pine->norm_bits, 0, pine->norm_bits);
        bits[pine->norm_bits] = fe_sub(BOUND * BOUND, norm);
    }
    if (evil == NO_BIT) {
        assert_true(bits[1] == 1 && bits[0] == 0);
        bits[0] = 2;
        bits[1] = 0;
    }
}

static void evil_tests(const struct pine *pine, enum evil evil, const int64_t *sums, fe *bits)
{
    int64_t w = (int64_t)pine->check_bound;
    unsigned width = pine->check_bits, failed = 0;
    for (unsigned k = 0; k < pine->config.checks; k++, bits += width + 1) {
        bool good = sums[k] > -w && sums[k] <= w;
        failed += !good;
        bits_encode(bits, good ? (uint64_t)(sums[k] + w - 1) : 0, width);
        bits[width] = (fe)(good || evil == WRAPAROUND_COUNTED || evil == WRAPAROUND_BIG_BITS);
        if (!good && evil == WRAPAROUND_BIG_BITS)
            bits[0] = fe_of_wide(sums[k] + w - 1);
        if (k == 3 && (evil == ONE_TEST_LESS || evil == SUCCESS_TWO))
            bits[width] = 0;
        if (k == 4 && evil == SUCCESS_TWO)
            bits[width] = 2;
    }
    bool wraps = evil == WRAPAROUND || evil == WRAPAROUND_COUNTED || evil == WRAPAROUND_BIG_BITS;
    assert_true(wraps == (failed > 0));
}

/* shard_into() of client.h, with the two steps replaced. */
static void evil_shard(struct report *r, enum evil evil, const int32_t *x, const uint8_t *rand)
{
    struct error err;
    const struct pine *pine = &r->pine;
    size_t norm_len = 2 * pine->norm_bits, seed_len = pine->seed;
    int64_t sums[PINE_CHECKS_MAX] = {0};
    uint8_t seed[SEED_SIZE_MAX];
    fe *meas = fe_room(pine->bits + pine->config.checks), *proofs = fe_room(pine->proofs_len);
    r->leader.len = 0;
    struct sharing *s = sharing_begin(pine, (struct pine_sink){into_buf, &r->leader}, r->nonce, rand);
    evil_norm(pine, evil, x, meas);
    expect(OK, vector_share(s, x, &err));
    expect(OK, share_all(s, meas, norm_len, true, &err));
    parts_end(s, PART_WR, r->public_share, seed);
    tests_run(s, x, seed, sums);
    evil_tests(pine, evil, sums, meas + norm_len);
    expect(OK, share_all(s, meas + norm_len, pine->bits - norm_len, false, &err));
    for (unsigned k = 0; k < pine->config.checks; k++)
        meas[pine->bits + k] = fe_of_wide(sums[k]);
    parts_end(s, PART_VF, r->public_share, seed);
    prove(pine, x, meas, rand + 6 * seed_len, seed, proofs);
    expect(OK, proofs_share(s, proofs, rand + seed_len, &err));
    buf_add(&r->leader, rand + 4 * seed_len, 2 * seed_len);
    memcpy(r->helper, rand, pine->helper_share);
    fe_free(meas, pine->bits + pine->config.checks);
    fe_free(proofs, pine->proofs_len);
    sharing_end(s);
}

static enum status verdict(enum evil evil, struct error *err)
{
    auto_report struct report r = {0};
    struct pine_config config = pine_config_cairn(32, D, BOUND, STR("a round"));
    assert_int_equal(pine_make(&config, &r.pine, err), OK);
    uint8_t rand[7 * SEED_SIZE_MAX];
    int32_t x[D] = {1, -5, 6, 10, 0, 0, [D - 1] = -6}; /* 198 = 0b11000110 */
    if (evil == OVER || evil == OVER_IN_FIELD)
        x[4] = 6; /* 234: the bound's square is 225 */
    if (evil == WRAPAROUND || evil == WRAPAROUND_COUNTED || evil == WRAPAROUND_BIG_BITS)
        wrap(x);
    random_bytes(rand, sizeof rand);
    random_bytes(r.nonce, sizeof r.nonce);
    random_bytes(r.key, sizeof r.key);
    evil_shard(&r, evil, x, rand);
    assert_int_equal(r.leader.len, r.pine.leader_share);
    return report_check(&r, err);
}

static void a_client_that_breaks_no_rule_is_accepted(void **state)
{
    (void)state;
    struct error err;
    expect(OK, verdict(HONEST, &err));
}

#define REFUSED(name, evil)                                                                                            \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        struct error err;                                                                                              \
        expect(FORBIDDEN, verdict(evil, &err));                                                                        \
        assert_string_equal(err.code, "ProofRefused");                                                                 \
    }
REFUSED(a_norm_over_the_bound_is_refused, OVER)
REFUSED(a_negative_rest_of_the_bound_is_refused, OVER_IN_FIELD)
REFUSED(a_wrong_norm_is_refused, WRONG_NORM)
REFUSED(a_bit_that_is_two_is_refused, NO_BIT)
REFUSED(a_vector_whose_norm_wraps_around_is_refused, WRAPAROUND)
REFUSED(its_failed_tests_cannot_be_called_passed, WRAPAROUND_COUNTED)
REFUSED(nor_be_passed_with_a_bit_that_is_none, WRAPAROUND_BIG_BITS)
REFUSED(a_missing_success_is_refused, ONE_TEST_LESS)
REFUSED(a_success_that_counts_twice_is_refused, SUCCESS_TWO)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_breaks_no_rule_is_accepted),
        cmocka_unit_test(a_norm_over_the_bound_is_refused),
        cmocka_unit_test(a_negative_rest_of_the_bound_is_refused),
        cmocka_unit_test(a_wrong_norm_is_refused),
        cmocka_unit_test(a_bit_that_is_two_is_refused),
        cmocka_unit_test(a_vector_whose_norm_wraps_around_is_refused),
        cmocka_unit_test(its_failed_tests_cannot_be_called_passed),
        cmocka_unit_test(nor_be_passed_with_a_bit_that_is_none),
        cmocka_unit_test(a_missing_success_is_refused),
        cmocka_unit_test(a_success_that_counts_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What clients share keeps the update's direction, its expectation and the bound. */
#include "../base/check.h"
#include "pine/quantise.h"
#include <math.h>

enum { D = 5000 };

static void make(float *update, double norm)
{
    double sum = 0;
    for (int i = 0; i < D; i++) {
        update[i] = (float)(i * 7919 % 1009 - 504);
        sum += (double)update[i] * update[i];
    }
    for (int i = 0; i < D; i++)
        update[i] = (float)(update[i] * norm / sqrt(sum));
}

static double norm_of(const int32_t *x)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static void a_short_update_is_only_rounded(void **state)
{
    (void)state;
    float update[D];
    int32_t x[D];
    uint8_t seed[32] = {1};
    make(update, 0.5);
    assert_int_equal(pine_quantise(update, D, 1 << 15, 1 << 15, seed, x, NULL), OK);
    for (int i = 0; i < D; i++)
        assert_true(fabs(x[i] - (double)update[i] * (1 << 15)) < 1);
}

static void a_long_update_is_clipped_to_the_bound(void **state)
{
    (void)state;
    float update[D];
    int32_t x[D];
    uint8_t seed[32] = {1};
    static const double norms[] = {0.999, 1, 1.001, 2, 1000, 1e30};
    for (size_t n = 0; n < COUNT(norms); n++) {
        make(update, norms[n]);
        assert_int_equal(pine_quantise(update, D, 1 << 15, 1 << 15, seed, x, NULL), OK);
        double norm = norm_of(x);
        assert_true(norm <= 1 << 15 && norm > 0.99 * (1 << 15));
        for (int i = 0; i < D; i++)
            assert_true(fabs(x[i] - (double)update[i] * (1 << 15) / fmax(1, norms[n])) < 2);
    }
}

static void rounding_keeps_the_expectation(void **state)
{
    (void)state;
    enum { ROUNDS = 400 };
    float update[D];
    int32_t x[D];
    double mean[D] = {0}, worst = 0;
    make(update, 0.01);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t seed[32] = {(uint8_t)round, (uint8_t)(round >> 8)};
        assert_int_equal(pine_quantise(update, D, 1 << 12, 1 << 15, seed, x, NULL), OK);
        for (int i = 0; i < D; i++)
            mean[i] += x[i] / (double)ROUNDS;
    }
    for (int i = 0; i < D; i++)
        worst = fmax(worst, fabs(mean[i] - (double)update[i] * (1 << 12)));
    assert_true(worst < 0.15); /* six standard deviations; the seeds are fixed */
}

static void nothing_is_rounded_to_nothing(void **state)
{
    (void)state;
    float update[D] = {0};
    int32_t x[D];
    uint8_t seed[32] = {1};
    assert_int_equal(pine_quantise(update, D, 1 << 15, 1 << 15, seed, x, NULL), OK);
    for (int i = 0; i < D; i++)
        assert_int_equal(x[i], 0);
}

static void what_cannot_be_clipped_is_refused(void **state)
{
    (void)state;
    float update[D];
    int32_t x[D];
    uint8_t seed[32] = {1};
    struct error err;
    make(update, 1);
    assert_int_equal(pine_quantise(update, D, 1 << 15, 20, seed, x, &err), INVALID);
    assert_non_null(strstr(err.message, "rounding alone"));
    assert_int_equal(pine_quantise(update, D, 0, 1 << 15, seed, x, NULL), INVALID);
    assert_int_equal(pine_quantise(update, D, NAN, 1 << 15, seed, x, NULL), INVALID);
    update[17] = NAN;
    assert_int_equal(pine_quantise(update, D, 1 << 15, 1 << 15, seed, x, NULL), INVALID);
    update[17] = INFINITY;
    assert_int_equal(pine_quantise(update, D, 1 << 15, 1 << 15, seed, x, &err), INVALID);
    assert_non_null(strstr(err.message, "not finite"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_update_is_only_rounded),    cmocka_unit_test(a_long_update_is_clipped_to_the_bound),
        cmocka_unit_test(rounding_keeps_the_expectation),    cmocka_unit_test(nothing_is_rounded_to_nothing),
        cmocka_unit_test(what_cannot_be_clipped_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

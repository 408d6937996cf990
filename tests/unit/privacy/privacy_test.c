/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "privacy/gauss.h"
#include "privacy/rdp.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From dp_accounting, b5b0286e, with its default orders and delta 1e-5 (federated 3.5). */
static void epsilons_are_those_of_the_golden_table(void **state)
{
    (void)state;
    static const struct {
        double sampling, sigma, rounds, epsilon;
    } golden[] = {{.01, 1, 1000, 2.101367}, {.1, 1, 100, 7.903850}, {1, 2, 50, 22.019852}, {.05, .8, 200, 8.743239}};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_true(fabs(rdp_epsilon(golden[i].sampling, golden[i].sigma, golden[i].rounds, 1e-5) - golden[i].epsilon) <
                    1e-6);
}

static void more_rounds_and_less_noise_cost_more(void **state)
{
    (void)state;
    assert_true(rdp_epsilon(1, 1, 0, 1e-5) == 0);
    assert_true(isinf(rdp_epsilon(1, 0, 1, 1e-5)));
    assert_true(rdp_epsilon(0, 1, 100, 1e-5) == 0);
    for (double rounds = 1; rounds < 1000; rounds *= 3) {
        assert_true(rdp_epsilon(.1, 1, rounds, 1e-5) < rdp_epsilon(.1, 1, 3 * rounds, 1e-5));
        assert_true(rdp_epsilon(.1, 2, rounds, 1e-5) < rdp_epsilon(.1, 1, rounds, 1e-5));
        assert_true(rdp_epsilon(.1, 1, rounds, 1e-5) < rdp_epsilon(.2, 1, rounds, 1e-5));
    }
}

static void orders_are_those_of_the_field(void **state)
{
    (void)state;
    assert_true(fabs(rdp_order(0) - 1.1) < 1e-12 && fabs(rdp_order(98) - 10.9) < 1e-12);
    assert_true(rdp_order(99) == 11 && rdp_order(151) == 63 && rdp_order(152) == 128 &&
                rdp_order(RDP_ORDERS - 1) == 1024);
}

/* Mean and variance of a large sample, within six standard deviations of what they must be. */
static void the_noise_has_the_spread_that_it_should(void **state)
{
    (void)state;
    enum { COUNT = 40000 };
    static int64_t values[COUNT];
    static const int64_t sigmas[] = {1, 3, 1000, 1 << 20, GAUSS_SIGMA_MOST};
    const uint8_t seed[32] = {7};
    for (size_t i = 0; i < sizeof sigmas / sizeof *sigmas; i++) {
        double sum = 0, squares = 0, sigma = (double)sigmas[i];
        gauss_fill(seed, i, sigmas[i], values, COUNT);
        for (size_t j = 0; j < COUNT; j++) {
            sum += (double)values[j];
            squares += (double)values[j] * (double)values[j];
        }
        assert_true(fabs(sum / COUNT) < 6 * sigma / sqrt(COUNT));
        assert_true(fabs(squares / COUNT - sigma * sigma) < 6 * sigma * sigma * sqrt(2.0 / COUNT));
    }
}

/* For sigma 1 the chance of each small number is known: e^(-k^2/2) over the sum of all. */
static void small_numbers_come_as_often_as_they_should(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static int64_t values[COUNT];
    const uint8_t seed[32] = {9};
    double all = 0;
    for (int k = -20; k <= 20; k++)
        all += exp(-k * k / 2.0);
    gauss_fill(seed, 0, 1, values, COUNT);
    for (int k = -3; k <= 3; k++) {
        double chance = exp(-k * k / 2.0) / all, found = 0;
        for (size_t j = 0; j < COUNT; j++)
            found += values[j] == k;
        assert_true(fabs(found / COUNT - chance) < 6 * sqrt(chance * (1 - chance) / COUNT));
    }
}

static void the_noise_follows_from_seed_and_stream(void **state)
{
    (void)state;
    const uint8_t seed[32] = {1}, other[32] = {2};
    int64_t a[100], b[100], c[100], d[100];
    gauss_fill(seed, 5, 1000, a, 100);
    gauss_fill(seed, 5, 1000, b, 100);
    gauss_fill(seed, 6, 1000, c, 100);
    gauss_fill(other, 5, 1000, d, 100);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    assert_memory_not_equal(a, d, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epsilons_are_those_of_the_golden_table),
        cmocka_unit_test(more_rounds_and_less_noise_cost_more),
        cmocka_unit_test(orders_are_those_of_the_field),
        cmocka_unit_test(the_noise_has_the_spread_that_it_should),
        cmocka_unit_test(small_numbers_come_as_often_as_they_should),
        cmocka_unit_test(the_noise_follows_from_seed_and_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

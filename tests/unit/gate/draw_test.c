/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/draw.h"

#include "../base/check.h"

/* Numbers that look random and are the same at each run. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#define DRAWS 60000

static double chi_square(const struct candidate *candidates, size_t count, const int64_t *drawn)
{
    double total = 0, sum = 0;
    for (size_t i = 0; i < count; i++)
        total += (double)candidates[i].free;
    for (size_t i = 0; i < count; i++) {
        double expected = DRAWS * (double)candidates[i].free / total, off = (double)drawn[i] - expected;
        sum += off * off / expected;
    }
    return sum;
}

static void test_draws_follow_the_weights(void **state)
{
    (void)state;
    const struct candidate candidates[] = {{1, 5, false}, {2, 5, false}, {3, 10, false}, {4, 1, false}, {5, 9, false}};
    int64_t drawn[5] = {0};
    uint64_t seed = 20261125;
    for (int i = 0; i < DRAWS; i++)
        drawn[draw_pick(candidates, 5, next(&seed))]++;
    /* 18.47 is the 0.999 quantile of chi-square with 4 degrees of freedom. */
    assert_true(chi_square(candidates, 5, drawn) < 18.47);
    const struct candidate even[] = {{1, 1, false}, {2, 1, false}, {3, 1, false}, {4, 1, false}, {5, 1, false}};
    assert_true(chi_square(even, 5, drawn) > 18.47); /* the statistic does tell other weights apart */
}

static void test_nobody_without_room_is_drawn(void **state)
{
    (void)state;
    const struct candidate candidates[] = {{1, 0, false}, {2, 3, false}, {3, -2, false}};
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(draw_pick(candidates, 3, next(&seed)), 1);
    assert_int_equal(draw_pick(candidates, 1, UINT64_MAX), 1);
    assert_int_equal(draw_pick(candidates, 0, 7), 0);
}

static void test_who_judged_the_applicant_before_is_drawn_only_when_nobody_else_can_be(void **state)
{
    (void)state;
    struct candidate candidates[] = {{1, 9, true}, {2, 1, false}, {3, 9, true}};
    uint64_t seed = 2;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(draw_pick(candidates, 3, next(&seed)), 1);
    candidates[1].free = 0;
    size_t found = draw_pick(candidates, 3, next(&seed));
    assert_true(found == 0 || found == 2);
}

static void test_the_ends_of_the_random_range_draw_the_first_and_the_last(void **state)
{
    (void)state;
    const struct candidate candidates[] = {{1, 1, false}, {2, 1, false}, {3, 1, false}};
    assert_int_equal(draw_pick(candidates, 3, 0), 0);
    assert_int_equal(draw_pick(candidates, 3, UINT64_MAX), 2);
}

static void test_the_place_of_a_case_is_what_anybody_computes(void **state)
{
    (void)state;
    uint8_t seed[SHA256_SIZE];
    memset(seed, 7, sizeof seed);
    /* python3 -c "import hashlib as h;print(int.from_bytes(h.sha256(bytes([7]*32)+b'42/1').digest()[:8],'big')*10**6>>64)" */
    assert_int_equal(draw_place(seed, 42, 1), 110882);
    assert_int_equal(draw_place(seed, 42, 2), 840487);
}

static void test_places_are_spread_evenly(void **state)
{
    (void)state;
    uint8_t seed[SHA256_SIZE];
    int64_t drawn[10] = {0};
    double sum = 0;
    memset(seed, 9, sizeof seed);
    for (int64_t id = 1; id <= DRAWS; id++) {
        int64_t place = draw_place(seed, id, 1);
        assert_in_range(place, 0, 999999);
        drawn[place / 100000]++;
    }
    for (size_t i = 0; i < 10; i++)
        sum += ((double)drawn[i] - DRAWS / 10.0) * ((double)drawn[i] - DRAWS / 10.0) / (DRAWS / 10.0);
    assert_true(sum < 27.88); /* 0.999 quantile, 9 degrees of freedom */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_weights),
        cmocka_unit_test(test_nobody_without_room_is_drawn),
        cmocka_unit_test(test_who_judged_the_applicant_before_is_drawn_only_when_nobody_else_can_be),
        cmocka_unit_test(test_the_ends_of_the_random_range_draw_the_first_and_the_last),
        cmocka_unit_test(test_the_place_of_a_case_is_what_anybody_computes),
        cmocka_unit_test(test_places_are_spread_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/divide.h"

#include "../base/check.h"
#include <stdlib.h>

static const uint8_t seed[SHA256_SIZE] = {1, 2, 3};

static int64_t given_to(const struct wish *wishes, size_t count, int64_t account_id)
{
    for (size_t i = 0; i < count; i++)
        if (wishes[i].account_id == account_id)
            return wishes[i].given;
    return -1;
}

static void everybody_gets_the_floor_before_anybody_gets_more(void **state)
{
    struct wish wishes[] = {{1, 1000, 1}, {2, 1000, 0}, {3, 5, 0}};
    (void)state;
    assert_int_equal(pool_divide(wishes, 3, 100, 30, seed), 100);
    assert_int_equal(given_to(wishes, 3, 1), 30);
    assert_int_equal(given_to(wishes, 3, 2), 65);
    assert_int_equal(given_to(wishes, 3, 3), 5);
}

static void a_band_is_filled_before_the_next(void **state)
{
    struct wish wishes[] = {{1, 50, 2}, {2, 40, 1}, {3, 40, 0}};
    (void)state;
    assert_int_equal(pool_divide(wishes, 3, 90, 5, seed), 90);
    assert_int_equal(given_to(wishes, 3, 3), 40);
    assert_int_equal(given_to(wishes, 3, 2), 40);
    assert_int_equal(given_to(wishes, 3, 1), 10);
}

static void the_same_seed_draws_the_same_lot_and_another_another(void **state)
{
    struct wish one[50], same[50], other[50];
    uint8_t another[SHA256_SIZE] = {9};
    bool differs = false;
    (void)state;
    for (int i = 0; i < 50; i++) {
        one[i] = (struct wish){.account_id = i + 1, .wants = 10};
        same[49 - i] = other[i] = one[i];
    }
    pool_divide(one, 50, 100, 10, seed);
    pool_divide(same, 50, 100, 10, seed);
    pool_divide(other, 50, 100, 10, another);
    for (int i = 1; i <= 50; i++) {
        assert_int_equal(given_to(one, 50, i), given_to(same, 50, i));
        differs = differs || given_to(one, 50, i) != given_to(other, 50, i);
    }
    assert_true(differs);
}

/* Over many seeds each of those who wait has the same chance: 100 of 400 floors fit, so that each is drawn in a quarter. */
static void the_lot_is_fair(void **state)
{
    enum { COUNT_OF = 40, ROUNDS = 4000 };
    struct wish wishes[COUNT_OF];
    int drawn[COUNT_OF + 1] = {0};
    (void)state;
    srandom(5);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t lot[SHA256_SIZE];
        for (size_t i = 0; i < sizeof lot; i++)
            lot[i] = (uint8_t)random();
        for (int i = 0; i < COUNT_OF; i++)
            wishes[i] = (struct wish){.account_id = i + 1, .wants = 1};
        assert_int_equal(pool_divide(wishes, COUNT_OF, COUNT_OF / 4, 1, lot), COUNT_OF / 4);
        for (int i = 0; i < COUNT_OF; i++)
            drawn[wishes[i].account_id] += wishes[i].given == 1;
    }
    for (int i = 1; i <= COUNT_OF; i++) /* 1,000 expected, 27 the standard deviation: the seed is fixed */
        assert_in_range(drawn[i], 850, 1150);
}

static void never_more_than_the_budget_nor_than_was_wanted(void **state)
{
    (void)state;
    srandom(11);
    for (int round = 0; round < 5000; round++) {
        struct wish wishes[64];
        size_t count = (size_t)random() % 65;
        int64_t budget = random() % 1000, least = 1 + random() % 50, wanted = 0, sum = 0, lowest = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            wishes[i] = (struct wish){(int64_t)i + 1, 1 + random() % 100, (uint32_t)random() % 4};
            wanted += wishes[i].wants;
        }
        int64_t given = pool_divide(wishes, count, budget, least, seed);
        for (size_t i = 0; i < count; i++) {
            assert_true(wishes[i].given >= 0 && wishes[i].given <= wishes[i].wants);
            sum += wishes[i].given;
            if (wishes[i].given < wishes[i].wants)
                lowest = wishes[i].given < lowest ? wishes[i].given : lowest;
        }
        assert_int_equal(sum, given);
        assert_int_equal(given, budget < wanted ? budget : wanted);
        /* Nobody goes without the floor while there would be enough of floors for all. */
        if (lowest != INT64_MAX && (int64_t)count * least <= budget)
            assert_true(lowest >= least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_the_floor_before_anybody_gets_more),
        cmocka_unit_test(a_band_is_filled_before_the_next),
        cmocka_unit_test(the_same_seed_draws_the_same_lot_and_another_another),
        cmocka_unit_test(the_lot_is_fair),
        cmocka_unit_test(never_more_than_the_budget_nor_than_was_wanted),
    };
    return cmocka_run_group_tests_name("tier/divide", tests, NULL, NULL);
}

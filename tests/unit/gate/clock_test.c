/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/clock.h"

#include "../base/check.h"

#define HOUR_US (WORKDAY_US / 24)
/* 2 November 2026 is a Monday. */
#define MONDAY (INT64_C(1793577600) * 1000000)
#define DAY(n) (MONDAY + (n)*WORKDAY_US)

static void test_a_week_has_five_working_days(void **state)
{
    (void)state;
    assert_int_equal(clock_worked(DAY(0), DAY(7)), 5 * WORKDAY_US);
    assert_int_equal(clock_worked(DAY(3), DAY(10)), 5 * WORKDAY_US);
    assert_int_equal(clock_worked(DAY(0), DAY(1)), WORKDAY_US);
    assert_int_equal(clock_worked(0, DAY(7)) - clock_worked(0, DAY(0)), 5 * WORKDAY_US);
}

static void test_a_weekend_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(clock_worked(DAY(5), DAY(7)), 0);
    assert_int_equal(clock_worked(DAY(5) + HOUR_US, DAY(6)), 0);
    assert_int_equal(clock_worked(DAY(4) + 23 * HOUR_US, DAY(7) + HOUR_US), 2 * HOUR_US);
    assert_int_equal(clock_worked(DAY(7), DAY(5)), 0);
}

static void test_what_is_due_on_a_friday_evening_is_not_due_on_monday_morning(void **state)
{
    (void)state;
    assert_int_equal(clock_due(DAY(0), 5 * WORKDAY_US), DAY(5));
    assert_int_equal(clock_due(DAY(0), 5 * WORKDAY_US + 1), DAY(7) + 1);
    assert_int_equal(clock_due(DAY(4), 2 * WORKDAY_US), DAY(8));
    assert_int_equal(clock_due(DAY(5) + HOUR_US, HOUR_US), DAY(7) + HOUR_US);
    assert_int_equal(clock_due(DAY(6), 0), DAY(6));
}

/* For every start and amount: at the due time exactly the amount has passed, and a moment before it has not. */
static void test_due_is_the_earliest_time_with_so_much_work_behind_it(void **state)
{
    (void)state;
    for (int64_t start = 0; start < 8 * 24; start++)
        for (int64_t work = 1; work < 12 * 24; work += 5) {
            int64_t from = DAY(0) + start * HOUR_US + start % 7, due = clock_due(from, work * HOUR_US);
            assert_int_equal(clock_worked(from, due), work * HOUR_US);
            assert_true(clock_worked(from, due - 1) < work * HOUR_US);
        }
}

static void test_times_before_the_first_monday_of_1970_work_too(void **state)
{
    (void)state;
    assert_int_equal(clock_worked(0, 2 * WORKDAY_US), 2 * WORKDAY_US); /* Thursday and Friday */
    assert_int_equal(clock_worked(0, 4 * WORKDAY_US), 2 * WORKDAY_US);
    assert_int_equal(clock_due(0, 3 * WORKDAY_US), 5 * WORKDAY_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_week_has_five_working_days),
        cmocka_unit_test(test_a_weekend_does_not_count),
        cmocka_unit_test(test_what_is_due_on_a_friday_evening_is_not_due_on_monday_morning),
        cmocka_unit_test(test_due_is_the_earliest_time_with_so_much_work_behind_it),
        cmocka_unit_test(test_times_before_the_first_monday_of_1970_work_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

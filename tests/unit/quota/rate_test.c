/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/rate.h"
#include "quota/unit.h"

#include "../base/check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SECOND INT64_C(1000000000)
#define START (1000 * SECOND)

static struct rate_ask ask_of(const struct rate_table *table, uint64_t who, struct rate rate)
{
    return (struct rate_ask){rate_subject(table, 1, UNIT_API, 0, who), rate};
}

static int64_t taken(struct rate_table *table, const struct rate_ask *asks, size_t count, int tenths, int64_t now)
{
    int64_t allowed = 0;
    while (allowed < 100000 && rate_take(table, asks, count, tenths, now).allowed)
        allowed++;
    return allowed;
}

/* The definition, with whole numbers of any size that is needed: TAT and tau in nanoseconds. */
static void what_is_allowed_is_what_the_definition_says(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate rate = rate_of(10, 1, 5);
    struct rate_ask ask = ask_of(table, 1, rate);
    int64_t now = START, tat = START, each = SECOND / 10, tolerance = 5 * each;
    (void)state;
    srandom(7);
    for (int i = 0; i < 100000; i++) {
        now += random() % (SECOND / 6);
        int tenths = random() % 2 ? RATE_WHOLE : RATE_LITTLE;
        bool allowed = now >= tat - tolerance;
        if (allowed)
            tat = (tat > now ? tat : now) + each * tenths / 10;
        struct rate_answer answer = rate_take(table, &ask, 1, tenths, now);
        assert_int_equal(answer.allowed, allowed);
        assert_int_equal(answer.wait_ns, now >= tat - tolerance ? 0 : tat - tolerance - now);
    }
    rate_table_free(table);
}

static void the_wait_is_exact(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate_ask ask = ask_of(table, 1, rate_of(3, 7, 4));
    (void)state;
    assert_int_equal(taken(table, &ask, 1, RATE_WHOLE, START), 5);
    struct rate_answer no = rate_take(table, &ask, 1, RATE_WHOLE, START);
    assert_false(no.allowed);
    assert_int_equal(no.remaining, 0);
    assert_true(no.wait_ns > 0);
    assert_false(rate_take(table, &ask, 1, RATE_WHOLE, START + no.wait_ns - 1).allowed);
    assert_true(rate_take(table, &ask, 1, RATE_WHOLE, START + no.wait_ns).allowed);
    rate_table_free(table);
}

static void a_head_costs_a_tenth(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate_ask ask = ask_of(table, 1, rate_of(10, 1, 10));
    (void)state;
    assert_int_equal(taken(table, &ask, 1, RATE_LITTLE, START), 101);
    rate_table_free(table);
}

static void what_is_given_back_can_be_used_again(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate_ask ask = ask_of(table, 1, rate_of(10, 1, 10));
    (void)state;
    int64_t most = 0;
    for (; most < 1000 && rate_take(table, &ask, 1, RATE_WHOLE, START).allowed; most++)
        rate_give(table, &ask, 1, RATE_WHOLE - RATE_LITTLE);
    assert_int_equal(most, 101);
    rate_table_free(table);
}

static void the_strictest_of_all_scopes_counts_and_the_others_are_not_charged(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate_ask asks[2] = {ask_of(table, 1, rate_of(100, 1, 100)), ask_of(table, 2, rate_of(1, 10, 3))};
    (void)state;
    struct rate_answer first = rate_take(table, asks, 2, RATE_WHOLE, START);
    assert_int_equal(first.strictest, 1);
    assert_int_equal(first.remaining, 3);
    assert_int_equal(taken(table, asks, 2, RATE_WHOLE, START), 3);
    struct rate_answer no = rate_take(table, asks, 2, RATE_WHOLE, START);
    assert_int_equal(no.strictest, 1);
    /* 4 of the 101 of the first are gone, whatever was refused since. */
    for (int i = 0; i < 50; i++)
        assert_false(rate_take(table, asks, 2, RATE_WHOLE, START).allowed);
    assert_int_equal(taken(table, asks, 1, RATE_WHOLE, START), 97);
    /* Both refuse now: the longer wait is told. */
    no = rate_take(table, asks, 2, RATE_WHOLE, START);
    assert_int_equal(no.strictest, 1);
    assert_true(no.wait_ns > SECOND);
    rate_table_free(table);
}

static void subjects_do_not_meet(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate rate = rate_of(1, 1, 1);
    struct rate_ask one = {rate_subject(table, 0, UNIT_API, 0, 1), rate};
    struct rate_ask others[] = {{rate_subject(table, 1, UNIT_API, 0, 1), rate},
                                {rate_subject(table, 0, UNIT_PAGE, 0, 1), rate},
                                {rate_subject(table, 0, UNIT_API, 1, 0), rate}};
    (void)state;
    assert_int_equal(taken(table, &one, 1, RATE_WHOLE, START), 2);
    for (size_t i = 0; i < COUNT(others); i++)
        assert_int_equal(taken(table, &others[i], 1, RATE_WHOLE, START), 2);
    rate_table_free(table);
}

/* A million subjects through a table of 1,024: whoever keeps at it stays limited, as long as what is due later is not thrown out
 * for what has passed. */
static void the_table_is_bounded_and_what_has_passed_makes_room(void **state)
{
    struct rate_table *table = rate_table_new(1024);
    struct rate_ask steady = ask_of(table, 1, rate_of(1, 3600, 10));
    (void)state;
    assert_int_equal(taken(table, &steady, 1, RATE_WHOLE, START), 11);
    for (uint64_t i = 0; i < 1000000; i++) {
        struct rate_ask other = ask_of(table, i + 2, rate_of(1000, 1, 1));
        assert_true(rate_take(table, &other, 1, RATE_WHOLE, START + (int64_t)i * 1000).allowed);
    }
    assert_false(rate_take(table, &steady, 1, RATE_WHOLE, START + SECOND).allowed);
    rate_table_free(table);
}

/* Many threads on one subject: not one more than is allowed. */

struct crowd {
    struct rate_table *table;
    struct rate_ask asks[2];
    atomic_long allowed;
};

static void *push(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < 20000; i++)
        if (rate_take(crowd->table, crowd->asks, 2, RATE_WHOLE, START).allowed)
            crowd->allowed++;
    return NULL;
}

static void threads_together_get_not_one_more(void **state)
{
    struct crowd crowd = {.table = rate_table_new(1024)};
    pthread_t threads[8];
    (void)state;
    crowd.asks[0] = ask_of(crowd.table, 1, rate_of(1, 1, 4999));
    crowd.asks[1] = ask_of(crowd.table, 2, rate_of(1, 1, 100000));
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push, &crowd), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd.allowed, 5000);
    rate_table_free(crowd.table);
}

static void every_action_has_a_kind_of_request_that_has_a_rate(void **state)
{
    (void)state;
    for (enum action action = 0; action < ACTIONS; action++) {
        if (!unit_knows_action(action))
            broken("the action %s has no kind of request: give it one in quota/unit.c", action_name(action));
        for (int asks = 0; asks < 2; asks++)
            assert_int_equal(unit_specs[unit_of_action(action, asks)].measure, MEASURE_RATE);
    }
    for (enum unit unit = 1; unit < UNITS; unit++)
        assert_int_equal(unit_named(str_of(unit_specs[unit].name)), unit);
    assert_int_equal(unit_named(STR("req.")), UNIT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_allowed_is_what_the_definition_says),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(a_head_costs_a_tenth),
        cmocka_unit_test(what_is_given_back_can_be_used_again),
        cmocka_unit_test(the_strictest_of_all_scopes_counts_and_the_others_are_not_charged),
        cmocka_unit_test(subjects_do_not_meet),
        cmocka_unit_test(the_table_is_bounded_and_what_has_passed_makes_room),
        cmocka_unit_test(threads_together_get_not_one_more),
        cmocka_unit_test(every_action_has_a_kind_of_request_that_has_a_rate),
    };
    return cmocka_run_group_tests_name("quota/rate", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../cas/splitmix.h"
#include "base/time.h"
#include "misuse/watch.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START (INT64_C(20400) * 86400)
#define KEYS 100000

static struct sight use_of(int64_t key_id, int64_t second, uint32_t network)
{
    return (struct sight){
        .key_id = key_id, .account_id = key_id, .at_us = second * SECOND_US, .network = network, .client = 7};
}

static void a_hundred_thousand_keys_take_less_than_64_mib_and_none_is_forgotten(void **state)
{
    (void)state;
    struct watch *watch = watch_new(WATCH_SLOTS);
    for (int64_t key = 1; key <= KEYS; key++) {
        struct sight s = use_of(key, START + key % 600, 1);
        assert_true(watch_see(watch, &s).is_new);
    }
    for (int64_t key = 1; key <= KEYS; key++) {
        struct sight s = use_of(key, START + 600, 1);
        assert_false(watch_see(watch, &s).is_new);
    }
    print_message("%zu bytes a key; the table for %d of them takes %zu KiB at most\n",
                  sizeof(struct trail) + sizeof(int64_t), KEYS, watch_bytes(watch) >> 10);
    assert_int_equal(KEYS, watch_count(watch));
    assert_true(sizeof(struct trail) + sizeof(int64_t) <= 256);
    assert_true(watch_bytes(watch) < (size_t)64 << 20);
    watch_free(watch);
}

static void where_the_table_is_full_the_coldest_goes(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1024);
    struct sight s;
    for (int64_t key = 1; key <= 100000; key++) {
        s = use_of(key, START + key, 1);
        watch_see(watch, &s);
        s = use_of(500001, START + key, 1); /* in use all the time */
        assert_true(watch_see(watch, &s).is_new == (key == 1));
    }
    assert_int_equal(1024, watch_count(watch));
    int kept = 0;
    for (int64_t key = 99501; key <= 100000; key++) {
        s = use_of(key, START + key, 1);
        kept += !watch_see(watch, &s).is_new;
    }
    assert_true(kept > 400); /* of the last 500 nearly all */
    watch_free(watch);
}

static void a_signal_that_stays_is_told_again_only_after_hours(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1024);
    int told = 0;
    for (int64_t i = 0; i < 24 * 60; i++) {
        struct sight s = use_of(1, START + i * 60, (uint32_t)(i % 50 + 1) * 0x9e3779b9U);
        told += (watch_see(watch, &s).raised & 1U << FAN_OUT) != 0;
    }
    assert_in_range(told, 3, 5);
    watch_free(watch);
}

static void a_key_that_is_forgotten_begins_anew(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1024);
    for (int round = 0; round < 2; round++) {
        unsigned raised = 0;
        for (uint32_t i = 1; i < 12; i++) {
            struct sight s = use_of(1, START + i, i * 0x9e3779b9U);
            raised |= watch_see(watch, &s).raised;
        }
        assert_int_equal(1U << FAN_OUT | 1U << CONCURRENT, raised);
        watch_forget(watch, 1);
        watch_forget(watch, 2); /* which never was */
        assert_int_equal(0, watch_count(watch));
    }
    watch_free(watch);
}

/* Programs. */

static void programs_are_written_down_once(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1 << 14);
    for (int64_t key = 1; key <= 500; key++) {
        struct sight s = use_of(key, START, 1);
        watch_see(watch, &s);
    }
    int64_t key, count = 0;
    uint32_t clients;
    size_t cursor = 0;
    for (; watch_unwritten(watch, &cursor, &key, &clients); count++)
        assert_int_equal(1U << 7, clients);
    assert_int_equal(500, count);
    cursor = 0;
    assert_false(watch_unwritten(watch, &cursor, &key, &clients));
    assert_false(watch_remember(watch, 9, 0, 0)); /* as after a write that failed */
    cursor = 0;
    assert_true(watch_unwritten(watch, &cursor, &key, &clients) && key == 9);
    watch_free(watch);
}

static void a_key_that_comes_back_is_compared_with_what_was_written_down(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1024);
    struct sight s = use_of(1, START, 1);
    s.used_us = (START - 40 * 86400) * SECOND_US;
    struct seen seen = watch_see(watch, &s);
    assert_int_equal(0, seen.raised);
    assert_int_equal(1U << 7, seen.found.woke_clients);
    assert_false(watch_remember(watch, 1, 1U << 7, seen.found.woke_clients)); /* the same as before */
    assert_true(watch_remember(watch, 1, 1U << 5, seen.found.woke_clients));  /* another one */
    assert_false(watch_remember(watch, 1, 0, seen.found.woke_clients));       /* none is known */
    watch_free(watch);
}

/* At once. */

struct crowd {
    struct watch *watch;
    unsigned number;
    int raised;
};

static void *push(void *context)
{
    struct crowd *crowd = context;
    uint64_t seed = crowd->number;
    for (int64_t i = 0; i < 20000; i++) {
        struct sight s = use_of(1 + (int64_t)(splitmix(&seed) % 3000), START + i / 10, 1);
        watch_see(crowd->watch, &s);
        s = use_of(5000, START + i / 10, (uint32_t)(i % 20 + 1) * 0x9e3779b9U);
        crowd->raised += (watch_see(crowd->watch, &s).raised & 1U << FAN_OUT) != 0;
        if (i % 1000 == 0)
            watch_forget(crowd->watch, 7000);
    }
    size_t cursor = 0;
    int64_t key;
    uint32_t clients;
    while (watch_unwritten(crowd->watch, &cursor, &key, &clients))
        watch_remember(crowd->watch, key, clients, 0);
    return NULL;
}

static void threads_share_the_table_and_a_signal_is_told_once(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1 << 13);
    pthread_t threads[4];
    struct crowd crowd[4];
    int raised = 0;
    for (unsigned i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){watch, i, 0};
        assert_int_equal(0, pthread_create(&threads[i], NULL, push, &crowd[i]));
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        raised += crowd[i].raised;
    }
    assert_int_equal(1, raised);
    assert_int_equal(3001, watch_count(watch));
    watch_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_keys_take_less_than_64_mib_and_none_is_forgotten),
        cmocka_unit_test(where_the_table_is_full_the_coldest_goes),
        cmocka_unit_test(a_signal_that_stays_is_told_again_only_after_hours),
        cmocka_unit_test(a_key_that_is_forgotten_begins_anew),
        cmocka_unit_test(programs_are_written_down_once),
        cmocka_unit_test(a_key_that_comes_back_is_compared_with_what_was_written_down),
        cmocka_unit_test(threads_share_the_table_and_a_signal_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

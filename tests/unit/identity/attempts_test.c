/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "base/time.h"
#include "identity/attempts.h"

static int64_t ahead_us;

static int forget(void **state)
{
    (void)state;
    ahead_us = 0;
    attempts_forget();
    clock_travel(0);
    return 0;
}
#define in_time(test) cmocka_unit_test_setup_teardown(test, forget, forget)

static void pass(int64_t seconds)
{
    ahead_us += seconds * SECOND_US;
    clock_travel(ahead_us);
}

/* Waits as told, and guesses again: how long it had to wait before each guess. */
static void guess(const char *account, const char *remote, size_t count, int64_t *waits)
{
    for (size_t i = 0; i < count; i++) {
        waits[i] = 0;
        for (int64_t wait; (wait = attempt_begin(str_of(account), str_of(remote))) > 0; waits[i] += wait)
            pass(wait);
    }
}

static void each_guess_at_an_account_takes_twice_as_long_up_to_a_minute(void **state)
{
    (void)state;
    int64_t waits[16], since = monotonic_us();
    char remote[32];
    for (size_t i = 0; i < 16; i++) {
        snprintf(remote, sizeof remote, "10.0.%zu.1", i);
        guess("ada", remote, 1, &waits[i]);
    }
    int64_t gone = (monotonic_us() - since) / SECOND_US; /* the clock of the machine goes on, too */
    static const int64_t wanted[] = {0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60};
    for (size_t i = 0; i < 16; i++)
        assert_true(waits[i] >= wanted[i] - gone && waits[i] <= wanted[i] + 1);
    assert_int_equal(0, attempt_begin(STR("bob"), STR("10.0.1.1"))); /* others do not wait */
}

static void names_count_without_case(void **state)
{
    (void)state;
    int64_t waits[3];
    guess("ada", "10.0.0.1", 3, waits);
    guess("ADA", "10.0.1.1", 3, waits);
    assert_true(attempt_begin(STR("Ada"), STR("10.0.2.1")) > 0);
}

static void one_network_pays_for_all_its_guesses(void **state)
{
    (void)state;
    char account[32];
    size_t slowed = 0;
    for (size_t i = 0; i < 40; i++) {
        char remote[32];
        snprintf(account, sizeof account, "nobody%zu", i);
        snprintf(remote, sizeof remote, i % 2 ? "192.0.2.%zu" : "::ffff:192.0.2.%zu", i);
        slowed += attempt_begin(str_of(account), str_of(remote)) > 0;
        assert_true(i >= 30 || !slowed);
    }
    assert_true(slowed >= 5);
    assert_int_equal(0, attempt_begin(STR("ada"), STR("192.0.3.1")));
    assert_int_equal(0, attempt_begin(STR("ada"), STR("2001:db8::1")));
}

static void what_must_wait_is_not_counted(void **state)
{
    (void)state;
    int64_t waits[7];
    guess("ada", "10.0.0.1", 7, waits);
    int64_t first = attempt_begin(STR("ada"), STR("10.0.1.1"));
    for (int i = 0; i < 1000; i++)
        assert_true(attempt_begin(STR("ada"), STR("10.0.1.1")) <= first);
}

static void being_right_ends_the_wait_of_the_account_but_is_no_way_around_for_a_network(void **state)
{
    (void)state;
    char account[32];
    for (size_t i = 0; i < 29; i++) {
        snprintf(account, sizeof account, "nobody%zu", i);
        assert_int_equal(0, attempt_begin(str_of(account), STR("10.0.0.1")));
    }
    for (int i = 0; i < 100; i++) { /* the guesser's own account */
        assert_int_equal(0, attempt_begin(STR("eve"), STR("10.0.0.1")));
        attempt_good(STR("eve"), STR("10.0.0.1"));
    }
    assert_int_equal(0, attempt_begin(STR("one"), STR("10.0.0.1")));
    assert_int_equal(0, attempt_begin(STR("two"), STR("10.0.0.1")));
    assert_true(attempt_begin(STR("three"), STR("10.0.0.1")) > 0);
}

static void half_is_forgotten_every_quarter_of_an_hour(void **state)
{
    (void)state;
    int64_t waits[12];
    guess("ada", "10.0.0.1", 12, waits);
    pass(15 * 60 + 1);
    assert_int_equal(0, attempt_begin(STR("ada"), STR("10.0.1.1")));
    pass(4 * 3600);
    guess("ada", "10.0.2.1", 6, waits);
    for (int i = 0; i < 6; i++)
        assert_int_equal(0, waits[i]);
}

/* Many names cannot crowd one out unless they come from many networks: here they do, and ada's count may be lost, no more. */
static void any_number_of_names_fits(void **state)
{
    (void)state;
    char account[300], remote[32];
    memset(account, 'x', sizeof account);
    for (size_t i = 0; i < 100000; i++) {
        snprintf(account, 20, "name%zu", i);
        snprintf(remote, sizeof remote, "2001:db8:%zx:%zx00::1", i >> 8, i & 255);
        assert_int_equal(0, attempt_begin((struct str){account, 10 + i % 280}, str_of(remote)));
    }
    attempt_begin((struct str){0}, (struct str){0});
    attempt_begin(STR(""), STR("nonsense"));
}

/* Tokens. */

/* The wait that the next wrong token of 198.51.100.0/24 is told. */
static int64_t wrong(size_t number)
{
    char token[32], remote[32];
    snprintf(token, sizeof token, "guess-%zu", number);
    snprintf(remote, sizeof remote, "198.51.100.%zu", number % 250);
    return token_was_wrong(str_of(token), str_of(remote));
}

static void a_hundred_wrong_tokens_of_a_network_are_free_and_then_each_takes_twice_as_long(void **state)
{
    (void)state;
    static const int64_t wanted[] = {1, 2, 4, 8, 16, 32, 64, 128};
    size_t number = 0;
    for (; number < 101; number++)
        assert_int_equal(0, wrong(number));
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int64_t wait = token_must_wait(STR("198.51.100.7"));
        assert_in_range(wait, 1, wanted[i]);
        assert_in_range(wrong(number), 1, wanted[i]); /* it is told how long, and not counted */
        assert_in_range(wrong(number + 1), 1, wanted[i]);
        pass(wanted[i] + 1);
        assert_int_equal(0, token_must_wait(STR("198.51.100.7")));
        assert_int_equal(0, wrong(number++));
    }
    assert_true(token_must_wait(STR("198.51.100.7")) > 128);
    assert_int_equal(0, token_must_wait(STR("198.51.101.7")));
    assert_int_equal(0, token_was_wrong(STR("guess"), STR("198.51.101.7")));
    assert_int_equal(0, token_was_wrong(STR("guess"), STR("2001:db8::7")));
}

static void no_wait_is_longer_than_a_quarter_of_an_hour_and_all_is_forgotten(void **state)
{
    (void)state;
    int64_t wait = 0;
    for (size_t number = 0; number < 140; number++) {
        wait = wrong(number);
        assert_in_range(wait, 0, 900);
        pass(wait);
    }
    pass(24 * 3600);
    for (size_t number = 0; number < 101; number++)
        assert_int_equal(0, wrong(number));
    assert_true(wrong(101) > 0);
}

static void one_token_that_is_wrong_again_and_again_is_no_guessing(void **state)
{
    (void)state;
    int64_t before = tokens_wrong();
    for (int i = 0; i < 10000; i++)
        assert_int_equal(0, token_was_wrong(STR("of-last-year"), STR("198.51.100.7")));
    assert_int_equal(before + 10000, tokens_wrong());
    for (size_t number = 0; number < 100; number++)
        assert_int_equal(0, wrong(number));
    assert_true(wrong(100) > 0);
}

static void guesses_from_any_number_of_networks_fit(void **state)
{
    (void)state;
    char remote[32];
    for (size_t i = 0; i < 100000; i++) {
        snprintf(remote, sizeof remote, "2001:db8:%zx:%zx00::1", i >> 8, i & 255);
        assert_int_equal(0, token_was_wrong(STR("guess"), str_of(remote)));
    }
    token_was_wrong((struct str){0}, (struct str){0});
    token_must_wait((struct str){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_time(each_guess_at_an_account_takes_twice_as_long_up_to_a_minute),
        in_time(names_count_without_case),
        in_time(one_network_pays_for_all_its_guesses),
        in_time(what_must_wait_is_not_counted),
        in_time(being_right_ends_the_wait_of_the_account_but_is_no_way_around_for_a_network),
        in_time(half_is_forgotten_every_quarter_of_an_hour),
        in_time(any_number_of_names_fits),
        in_time(a_hundred_wrong_tokens_of_a_network_are_free_and_then_each_takes_twice_as_long),
        in_time(no_wait_is_longer_than_a_quarter_of_an_hour_and_all_is_forgotten),
        in_time(one_token_that_is_wrong_again_and_again_is_no_guessing),
        in_time(guesses_from_any_number_of_networks_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

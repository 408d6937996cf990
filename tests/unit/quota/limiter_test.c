/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limiter.h"
#include "town.h"
#include <stdatomic.h>

static const struct caller somebody = {.key_id = 3, .account_id = 1, .address = {"192.0.2.7", 9}};

static enum status come(struct limiter *limiter, const struct caller *caller, enum unit unit, struct visit *visit)
{
    struct error err = {0};
    enum status status = limiter_enter(limiter, NULL, caller, unit, false, visit, &err);
    if (status != OK)
        assert_true(err.message[0] != '\0');
    return status;
}

/* A request from beginning to end. */
static enum status visit_once(struct limiter *limiter, const struct caller *caller, enum unit unit, int64_t bytes)
{
    struct visit visit;
    enum status status = come(limiter, caller, unit, &visit);
    if (status == OK && unit == UNIT_RESOLVE)
        status = limiter_promise(limiter, NULL, &visit, bytes, NULL);
    limiter_leave(limiter, &visit, status == OK ? 200 : 429, status == OK ? bytes : 0);
    return status;
}

static int64_t sent(struct town *town)
{
    return number(town->db, "SELECT coalesce(sum(used), 0) FROM quota_counter WHERE unit = 5");
}

static void bytes_sent_are_written_once_and_never_lost_at_the_end(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    for (int i = 0; i < 10; i++)
        assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 1000), OK);
    GOOD(limiter_flush(limiter, false, err));
    assert_int_equal(sent(town), 0); /* neither five seconds nor 64 MiB */
    GOOD(limiter_flush(limiter, true, err));
    assert_int_equal(sent(town), 10000);
    GOOD(limiter_flush(limiter, true, err));
    assert_int_equal(sent(town), 10000);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, INT64_C(64) << 20), OK);
    GOOD(limiter_flush(limiter, false, err));
    assert_int_equal(sent(town), 10000 + (INT64_C(64) << 20));
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 5), OK);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_API, 700), OK); /* no file */
    limiter_free(limiter);
    assert_int_equal(sent(town), 10005 + (INT64_C(64) << 20));
}

static void who_has_downloaded_enough_waits_for_the_next_span(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'bytes.egress','scope':'person','per':86400,'hard':2500}");
    struct limiter *limiter = limiter_new(town->db);
    for (int i = 0; i < 2; i++)
        assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 1000), OK);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 1000), TOO_MANY);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_API, 1000), OK);
    struct caller other = somebody;
    other.account_id = 2;
    assert_int_equal(visit_once(limiter, &other, UNIT_RESOLVE, 1000), OK);
    clock_travel(86400 * SECOND_US);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 1000), OK);
    limiter_free(limiter);
}

static void who_is_slowed_pays_ten_times_for_a_download(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'bytes.egress','scope':'person','per':86400,'soft':0,'over':'slow'},"
                "{'unit':'req.resolve','scope':'person','rate':1,'per':3600,'burst':40}");
    struct limiter *limiter = limiter_new(town->db);
    int allowed = 0;
    while (allowed < 100 && visit_once(limiter, &somebody, UNIT_RESOLVE, 1) == OK)
        allowed++;
    assert_int_equal(allowed, 5);
    limiter_free(limiter);
}

static void a_key_that_is_slowed_has_the_floor_rate_and_the_others_do_not(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    struct caller slowed = somebody;
    slowed.slowed = slowed.local = true; /* whatever its tier, and wherever it comes from */
    int allowed = 0;
    while (allowed < 1000 && visit_once(limiter, &slowed, UNIT_API, 0) == OK)
        allowed++;
    assert_in_range(allowed, 30, 32);
    struct visit visit;
    assert_int_equal(come(limiter, &slowed, UNIT_API, &visit), TOO_MANY);
    assert_in_range(visit.answer.wait_ns, 1, 2000000000);
    limiter_leave(limiter, &visit, 429, 0);
    slowed.key_id = 4;
    slowed.slowed = false;
    for (int i = 0; i < 100; i++)
        assert_int_equal(visit_once(limiter, &slowed, UNIT_API, 0), OK);
    limiter_free(limiter);
}

static void a_key_downloads_its_bytes_of_a_day_and_waits_exactly_until_the_day_is_over(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    struct caller small = somebody, other = somebody;
    struct visit visit;
    small.bytes_per_day = 2500;
    other.key_id = 4;
    other.bytes_per_day = 2500;
    for (int i = 0; i < 2; i++)
        assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 1000), OK);
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 501), TOO_MANY);
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 500), OK);
    clock_travel(3600 * SECOND_US);
    assert_int_equal(come(limiter, &small, UNIT_RESOLVE, &visit), TOO_MANY);
    int64_t left_ns = INT64_C(82800) * 1000000000;
    assert_in_range(visit.answer.wait_ns, left_ns - 60 * INT64_C(1000000000), left_ns);
    limiter_leave(limiter, &visit, 429, 0);
    assert_int_equal(visit_once(limiter, &small, UNIT_API, 0), OK);
    assert_int_equal(visit_once(limiter, &other, UNIT_RESOLVE, 1000), OK);
    clock_travel((86400 - 60) * SECOND_US); /* the clock of the machine goes on, too */
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 1000), TOO_MANY);
    clock_travel(86401 * SECOND_US);
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 1000), OK);
    small.bytes_per_day = 0;
    for (int i = 0; i < 10; i++)
        assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 1000), OK);
    limiter_free(limiter);
}

static void many_keys_with_a_limit_are_counted_apart(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    struct caller small = somebody;
    small.bytes_per_day = 1;
    for (int round = 0; round < 2; round++)
        for (int64_t key = 1; key <= 10000; key++) {
            small.key_id = key;
            assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 1), round ? TOO_MANY : OK);
        }
    limiter_free(limiter);
}

/* What is kept of a day outlives the hub. */

static void a_key_has_no_second_day_after_a_restart(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    struct caller small = somebody;
    struct visit visit;
    small.bytes_per_day = 2500;
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 2000), OK);
    clock_travel(3600 * SECOND_US);
    for (int round = 0; round < 3; round++) {
        limiter_free(limiter);
        limiter = limiter_new(town->db);
        assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 501), TOO_MANY);
    }
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 500), OK);
    assert_int_equal(come(limiter, &small, UNIT_RESOLVE, &visit), TOO_MANY);
    int64_t left_ns = INT64_C(82800) * 1000000000; /* of the day that began before the restarts */
    assert_in_range(visit.answer.wait_ns, left_ns - 60 * INT64_C(1000000000), left_ns);
    limiter_leave(limiter, &visit, 429, 0);
    limiter_free(limiter);
    limiter = limiter_new(town->db);
    clock_travel(86401 * SECOND_US);
    assert_int_equal(visit_once(limiter, &small, UNIT_RESOLVE, 2500), OK);
    GOOD(limiter_flush(limiter, true, err));
    assert_int_equal(number(town->db, "SELECT bytes FROM quota_key_day"), 2500);
    clock_travel(2 * 86401 * SECOND_US);
    GOOD(db_write(town->db, meters_forget, NULL, err));
    assert_int_equal(number(town->db, "SELECT count(*) FROM quota_key_day"), 0);
    limiter_free(limiter);
}

/* Sixty-four that ask for more than there is, all at once, while what was sent is written down and days go by. */

#define LOADERS 64
#define ROUNDS 200

struct load {
    struct limiter *limiter;
    struct caller caller;
    atomic_long on_the_way, most, sent, whole, refused;
};

static void *load_one(void *context)
{
    struct load *load = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct visit visit;
        enum status status = limiter_enter(load->limiter, NULL, &load->caller, UNIT_RESOLVE, false, &visit, NULL);
        if (status == OK)
            status = limiter_promise(load->limiter, NULL, &visit, 100, NULL);
        long bytes = status != OK ? 0 : i % 3 ? 100 : 40; /* some break off */
        if (status == OK) {
            long now = (load->on_the_way += 100) + load->sent, most = load->most;
            while (now > most && !atomic_compare_exchange_weak(&load->most, &most, now))
                continue;
            load->sent += bytes;
            load->on_the_way -= 100;
        } else {
            assert_int_equal(status, TOO_MANY);
            load->refused++;
        }
        limiter_leave(load->limiter, &visit, status == OK ? 200 : 429, bytes);
        if (i % 50 == 0)
            limiter_flush(load->limiter, true, NULL);
    }
    return NULL;
}

static void load_together(struct load *load)
{
    pthread_t threads[LOADERS];
    for (int i = 0; i < LOADERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_one, load), 0);
    for (int i = 0; i < LOADERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(load->refused > 0);
}

static void sixty_four_downloads_at_once_get_not_a_byte_more_than_a_person_may(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'bytes.egress','scope':'person','per':86400,'hard':50050}");
    struct load load = {.limiter = limiter_new(town->db), .caller = somebody};
    load_together(&load);
    assert_in_range(load.sent, 50050 - 99, 50050);
    limiter_free(load.limiter);
    assert_int_equal(sent(town), load.sent);
}

static void sixty_four_downloads_at_once_get_not_a_byte_more_than_a_key_may(void **state)
{
    struct town *town = *state;
    struct load load = {.limiter = limiter_new(town->db), .caller = somebody};
    load.caller.bytes_per_day = 50050;
    load_together(&load);
    assert_in_range(load.sent, 50050 - 99, 50050);
    limiter_free(load.limiter);
    assert_int_equal(sent(town), load.sent);
    assert_int_equal(number(town->db, "SELECT bytes FROM quota_key_day"), load.sent);
}

static void what_both_allow_is_what_the_stricter_does_and_a_refusal_takes_nothing(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'bytes.egress','scope':'person','per':86400,'hard':1000}");
    struct limiter *limiter = limiter_new(town->db);
    struct caller key = somebody;
    key.bytes_per_day = 5000;
    assert_int_equal(visit_once(limiter, &key, UNIT_RESOLVE, 1001), TOO_MANY);
    assert_int_equal(visit_once(limiter, &key, UNIT_RESOLVE, 1000), OK);
    clock_travel(86400 * SECOND_US);
    key.bytes_per_day = 500;
    assert_int_equal(visit_once(limiter, &key, UNIT_RESOLVE, 501), TOO_MANY);
    assert_int_equal(visit_once(limiter, &key, UNIT_RESOLVE, 500), OK);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 501), TOO_MANY);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_RESOLVE, 500), OK);
    limiter_free(limiter);
}

static void requests_at_once_are_limited_for_a_key_and_for_its_person(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'conn.parallel','scope':'key','hard':2},{'unit':'conn.parallel','scope':'person','hard':3}");
    struct limiter *limiter = limiter_new(town->db);
    struct caller keys[] = {somebody, somebody};
    struct visit visits[6];
    keys[1].key_id = 4;
    assert_int_equal(come(limiter, &keys[0], UNIT_API, &visits[0]), OK);
    assert_int_equal(come(limiter, &keys[0], UNIT_API, &visits[1]), OK);
    assert_int_equal(come(limiter, &keys[0], UNIT_API, &visits[2]), TOO_MANY);
    assert_int_equal(come(limiter, &keys[1], UNIT_API, &visits[3]), OK);
    assert_int_equal(come(limiter, &keys[1], UNIT_API, &visits[4]), TOO_MANY); /* the person has three */
    for (int i = 0; i < 5; i++)
        limiter_leave(limiter, &visits[i], 200, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(visit_once(limiter, &keys[i % 2], UNIT_API, 0), OK);
    limiter_free(limiter);
}

static void what_was_not_modified_costs_a_tenth(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'req.resolve','scope':'person','rate':1,'per':3600,'burst':10}");
    struct limiter *limiter = limiter_new(town->db);
    struct visit visit;
    int allowed = 0;
    for (; allowed < 1000 && come(limiter, &somebody, UNIT_RESOLVE, &visit) == OK; allowed++)
        limiter_leave(limiter, &visit, 304, 0);
    assert_int_equal(allowed, 101);
    limiter_free(limiter);
}

static void limits_of_a_key_and_of_its_person_both_hold(void **state)
{
    struct town *town = *state;
    limit(town, "{'unit':'req.api','scope':'key','rate':1,'per':3600,'burst':2},"
                "{'unit':'req.api','scope':'person','rate':1,'per':3600,'burst':4}");
    struct limiter *limiter = limiter_new(town->db);
    struct caller other_key = somebody;
    other_key.key_id = 4;
    for (int i = 0; i < 3; i++)
        assert_int_equal(visit_once(limiter, &somebody, UNIT_API, 0), OK);
    assert_int_equal(visit_once(limiter, &somebody, UNIT_API, 0), TOO_MANY);
    for (int i = 0; i < 2; i++)
        assert_int_equal(visit_once(limiter, &other_key, UNIT_API, 0), OK);
    assert_int_equal(visit_once(limiter, &other_key, UNIT_API, 0), TOO_MANY);
    limiter_free(limiter);
}

static void on_the_hubs_own_machine_only_a_tier_that_says_so_is_free(void **state)
{
    struct town *town = *state;
    struct limiter *limiter = limiter_new(town->db);
    struct caller local = somebody;
    struct visit visit;
    local.local = true;
    assert_int_equal(come(limiter, &local, UNIT_API, &visit), OK);
    assert_int_equal(visit.ask_count, 0);
    limiter_leave(limiter, &visit, 200, 0);
    assert_int_equal(come(limiter, &somebody, UNIT_API, &visit), OK);
    assert_int_equal(visit.ask_count, 1);
    limiter_leave(limiter, &visit, 200, 0);
    limit(town, "{'unit':'req.api','scope':'person','rate':1,'per':3600,'burst':2}");
    limiter_changed(limiter);
    assert_int_equal(come(limiter, &local, UNIT_API, &visit), OK);
    assert_int_equal(visit.ask_count, 1);
    limiter_leave(limiter, &visit, 200, 0);
    limiter_free(limiter);
}

/* Many threads: never more at once than allowed, none left behind, no byte lost. */

#define THREADS 16
#define MOST 4

struct crowd {
    struct limiter *limiter;
    atomic_int inside, most, refused;
    atomic_long bytes;
};

static void *crowd_one(void *context)
{
    struct crowd *crowd = context;
    for (int i = 0; i < 2000; i++) {
        struct visit visit;
        bool in = limiter_enter(crowd->limiter, NULL, &somebody, UNIT_RESOLVE, false, &visit, NULL) == OK &&
                  limiter_promise(crowd->limiter, NULL, &visit, 100, NULL) == OK;
        if (in) {
            int inside = ++crowd->inside, most = crowd->most;
            while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside))
                continue;
            crowd->bytes += 100;
            --crowd->inside;
        } else {
            crowd->refused++;
        }
        limiter_leave(crowd->limiter, &visit, in ? 200 : 429, in ? 100 : 0);
        if (i % 100 == 0)
            limiter_flush(crowd->limiter, true, NULL);
    }
    return NULL;
}

static void a_crowd_is_never_more_at_once_than_allowed_and_all_that_was_sent_is_counted(void **state)
{
    struct town *town = *state;
    struct crowd crowd = {0};
    pthread_t threads[THREADS];
    limit(town, "{'unit':'conn.parallel','scope':'person','hard':4}");
    crowd.limiter = limiter_new(town->db);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_one, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(crowd.most <= MOST && crowd.most > 0);
    struct visit visits[MOST + 1];
    for (int i = 0; i < MOST; i++)
        assert_int_equal(come(crowd.limiter, &somebody, UNIT_API, &visits[i]), OK);
    assert_int_equal(come(crowd.limiter, &somebody, UNIT_API, &visits[MOST]), TOO_MANY);
    for (int i = 0; i <= MOST; i++)
        limiter_leave(crowd.limiter, &visits[i], 200, 0);
    limiter_free(crowd.limiter);
    assert_int_equal(sent(town), crowd.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(bytes_sent_are_written_once_and_never_lost_at_the_end),
        in_town(who_has_downloaded_enough_waits_for_the_next_span),
        in_town(who_is_slowed_pays_ten_times_for_a_download),
        in_town(a_key_that_is_slowed_has_the_floor_rate_and_the_others_do_not),
        in_town(a_key_downloads_its_bytes_of_a_day_and_waits_exactly_until_the_day_is_over),
        in_town(many_keys_with_a_limit_are_counted_apart),
        in_town(a_key_has_no_second_day_after_a_restart),
        in_town(sixty_four_downloads_at_once_get_not_a_byte_more_than_a_person_may),
        in_town(sixty_four_downloads_at_once_get_not_a_byte_more_than_a_key_may),
        in_town(what_both_allow_is_what_the_stricter_does_and_a_refusal_takes_nothing),
        in_town(requests_at_once_are_limited_for_a_key_and_for_its_person),
        in_town(what_was_not_modified_costs_a_tenth),
        in_town(limits_of_a_key_and_of_its_person_both_hold),
        in_town(on_the_hubs_own_machine_only_a_tier_that_says_so_is_free),
        in_town(a_crowd_is_never_more_at_once_than_allowed_and_all_that_was_sent_is_counted),
    };
    return cmocka_run_group_tests_name("quota/limiter", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Streams of use whose truth is known: people and machines of many habits who do no wrong, and for each signal those who do what
 * it is for. What each signal finds of the second, and what it says of the first, is printed and held to a line.
 */
#include "../cas/splitmix.h"
#include "base/time.h"
#include "misuse/watch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define START (INT64_C(20400) * DAY) /* a day in 2025, in seconds */
#define MIB (INT64_C(1) << 20)

static const struct place amsterdam = {"NL", 52.4F, 4.9F}, brussels = {"BE", 50.8F, 4.4F},
                          auckland = {"NZ", -36.8F, 174.8F};

enum { HF = 101, GIT = 202, LOADER = 303 }; /* clients */

/* One key, and what was found of it. */
struct person {
    struct watch *watch;
    uint64_t seed;
    int64_t key_id, used_us;
    uint32_t raised_s[SIGNALS];
    unsigned raised;
    double most; /* points */
    bool has_addresses, throwaway, is_ci;
    int64_t gate_repos, granted_s;
};

static uint64_t draw(struct person *p, uint64_t below)
{
    return splitmix(&p->seed) % below;
}

/* What the network is called does not matter, only which is which. */
static uint32_t network(struct person *p, unsigned number)
{
    uint64_t seed = (uint64_t)p->key_id << 20 | number;
    return (uint32_t)splitmix(&seed) | 1;
}

static struct sight at(struct person *p, int64_t second, uint32_t net)
{
    return (struct sight){.key_id = p->key_id,
                          .account_id = p->key_id,
                          .at_us = second * SECOND_US,
                          .used_us = p->used_us,
                          .network = net,
                          .client = HF,
                          .is_ci = p->is_ci,
                          .has_addresses = p->has_addresses,
                          .throwaway = p->throwaway};
}

static void see(struct person *p, struct sight s)
{
    uint32_t now_s = (uint32_t)(s.at_us / SECOND_US);
    struct seen seen = watch_see(p->watch, &s);
    if ((seen.raised & 1U << BURST) &&
        !trail_bursts(seen.found.burst_repos, p->gate_repos, p->granted_s * SECOND_US, s.at_us))
        seen.raised &= ~(1U << BURST);
    for (int i = 0; i < SIGNALS; i++)
        if (seen.raised & 1U << i)
            p->raised_s[i] = now_s;
    p->raised |= seen.raised;
    double score = score_of(p->raised_s, now_s);
    p->most = score > p->most ? score : p->most;
    p->used_us = s.at_us;
}

/* Deeds. */

static void look(struct person *p, int64_t second, uint32_t net)
{
    see(p, at(p, second, net));
}

static void download(struct person *p, int64_t second, uint32_t net, int64_t bytes)
{
    struct sight s = at(p, second, net);
    s.bytes = bytes;
    see(p, s);
}

/* A gated model of four files. */
static void fetch(struct person *p, int64_t second, uint32_t net, const struct place *place, int64_t repo)
{
    for (uint32_t i = 0; i < 4; i++) {
        struct sight s = at(p, second + i, net);
        s.place = place;
        s.gated = s.whole = true;
        s.bytes = 200 * MIB;
        s.repo_id = repo;
        s.gate_id = 1 + repo / 100;
        s.revision = (uint32_t)repo * 7;
        s.file = (uint32_t)repo * 31 + i * 17;
        see(p, s);
    }
}

static void be_refused(struct person *p, int64_t second, uint32_t net, int64_t repo)
{
    struct sight s = at(p, second, net);
    s.gated = s.refused = true;
    s.repo_id = repo;
    s.gate_id = repo;
    see(p, s);
}

/* Those who do no wrong. */

/* Office by day, home in the evening, and the phone between; a gated model once a week. */
static void laptop(struct person *p)
{
    for (int64_t day = 0; day < 28; day++)
        for (int64_t i = 0; i < 30; i++) {
            int64_t second = START + day * DAY + 8 * HOUR + i * 28 * 60 + (int64_t)draw(p, 60);
            unsigned net = i < 18 ? 1 : i == 18 ? 3 : 2;
            if (i == 5 && day % 7 == 1)
                fetch(p, second, network(p, net), &amsterdam, 100 + (int64_t)draw(p, 9));
            else
                download(p, second, network(p, net), (int64_t)draw(p, 50 * (uint64_t)MIB));
        }
}

/* Ever the same machine, all day and night; it fetches its gated model anew up to four times a day. */
static void runner(struct person *p)
{
    for (int64_t i = 0; i < 14 * 48; i++) {
        int64_t second = START + i * HOUR / 2;
        look(p, second, network(p, 1));
        if (i % 16 == 3)
            fetch(p, second + 60, network(p, 1), &amsterdam, 150);
    }
}

/* A hundred machines in a cloud, whose addresses the owner has written into the key. */
static void fleet_works(struct person *p)
{
    for (int64_t i = 0; i < 14 * 24 * 60; i++) {
        int64_t second = START + i * 60;
        look(p, second, network(p, (unsigned)draw(p, 100)));
        if (i % 360 == 7)
            fetch(p, second + 1, network(p, (unsigned)draw(p, 100)), &amsterdam, 150);
    }
}

static void fleet(struct person *p)
{
    p->has_addresses = true;
    fleet_works(p);
}

/* All of a campus come from the same few networks; this is one of them. */
static void student(struct person *p)
{
    for (int64_t day = 0; day < 28; day++)
        for (uint64_t i = 0, count = 5 + draw(p, 60); i < count; i++)
            download(p, START + day * DAY + 9 * HOUR + (int64_t)(i * 600), 77777 + (uint32_t)draw(p, 2),
                     (int64_t)draw(p, 20 * (uint64_t)MIB));
}

/* By train to Brussels and back, by plane to Auckland; hotels, airports, phones. Works wherever there is a network. */
static void traveller(struct person *p)
{
    int64_t second = START + 9 * HOUR;
    const struct place *stays[] = {&amsterdam, &brussels, &amsterdam, &auckland, &amsterdam};
    const int64_t way[] = {0, 2 * HOUR, 2 * HOUR, 27 * HOUR, 28 * HOUR};
    for (size_t stay = 0; stay < 5; stay++) {
        second += way[stay];
        for (int64_t i = 0; i < 12; i++) {
            look(p, second + i * 1200, network(p, (unsigned)(stay * 10 + draw(p, 3))));
            if (i % 4 == 0)
                fetch(p, second + i * 1200 + 5, network(p, (unsigned)(stay * 10)), stays[stay], 160 + (int64_t)stay);
        }
        second += 12 * 1200 + (int64_t)draw(p, 3) * DAY;
    }
}

/* On a train: network after network, but never two at once; and at home a phone that wavers between two. */
static void commuter(struct person *p)
{
    for (int64_t day = 0; day < 20; day++) {
        for (int64_t i = 0; i < 60; i++)
            look(p, START + day * DAY + 8 * HOUR + i * 60, network(p, (unsigned)(day * 4 + i / 15)));
        for (int64_t i = 0; i < 60; i++)
            look(p, START + day * DAY + 20 * HOUR + i * 40, network(p, (unsigned)(1000 + draw(p, 2))));
    }
}

/* Let in to a group of twelve repos, and fetches some of them; or to a repo that stands alone, and fetches it. */
static void newcomer(struct person *p)
{
    bool alone = draw(p, 2);
    p->gate_repos = alone ? 1 : 12;
    p->granted_s = START;
    for (int64_t i = 0, count = alone ? 1 : 1 + (int64_t)draw(p, 8); i < count; i++)
        fetch(p, START + 600 + i * 300, network(p, 1), &amsterdam, 200 + i);
}

/* Comes back after 31 to 150 days, with the same program, and does what everybody does. */
static void returner(struct person *p)
{
    int64_t back = START + (31 + (int64_t)draw(p, 120)) * DAY;
    for (int64_t i = 0; i < 20; i++)
        download(p, START + i * HOUR / 2, network(p, 1), 10 * MIB);
    for (int64_t i = 0; i < 20; i++)
        download(p, back + i * HOUR / 2, network(p, 2), 10 * MIB);
}

/* Tries another program now and then; after no long silence, that is nothing. */
static void tinkerer(struct person *p)
{
    for (int64_t day = 0; day < 28; day++) {
        struct sight s = at(p, START + day * DAY + 10 * HOUR, network(p, 1));
        s.client = HF + (uint32_t)draw(p, 5);
        see(p, s);
    }
}

/* Follows links to what is gated, and is refused here and there. */
static void browser(struct person *p)
{
    for (int64_t day = 0; day < 14; day++)
        for (int64_t i = 0; i < 12; i++)
            be_refused(p, START + day * DAY + 14 * HOUR + i * 240, network(p, 1), 300 + (int64_t)draw(p, 100));
}

static void (*const good[])(struct person *p) = {laptop,   runner,   fleet,    student,  traveller,
                                                 commuter, newcomer, returner, tinkerer, browser};
static const char *const good_names[] = {"laptop",   "runner",   "fleet",    "student",  "traveller",
                                         "commuter", "newcomer", "returner", "tinkerer", "browser"};
#define GOOD_KINDS (sizeof good / sizeof *good)

/* Those who do, one kind for each signal. */

static void share_widely(struct person *p)
{
    uint64_t networks = 12 + draw(p, 50);
    for (uint64_t i = 0; i < networks; i++)
        look(p, START + (int64_t)(i * 3300 / networks), network(p, (unsigned)i));
}

static void be_in_two_countries(struct person *p)
{
    fetch(p, START, network(p, 1), &amsterdam, 100);
    fetch(p, START + 60 + (int64_t)draw(p, 12 * HOUR), network(p, 2), &auckland, 101);
}

static void share_with_few(struct person *p)
{
    unsigned networks = 3 + (unsigned)draw(p, 2);
    for (int64_t i = 0; i < 60; i++)
        look(p, START + i * 15, network(p, (unsigned)draw(p, networks)));
}

static void haul(struct person *p)
{
    for (int64_t i = 0, count = 7 + (int64_t)draw(p, 20); i < count; i++) {
        fetch(p, START + i * HOUR / 2, network(p, 1), &amsterdam, 100);
        if (i % 2)
            fetch(p, START + i * HOUR / 2 + 900, network(p, 1), &amsterdam, 101);
    }
}

static void take_all(struct person *p)
{
    p->gate_repos = 12;
    p->granted_s = START;
    for (int64_t i = 0; i < 12; i++)
        fetch(p, START + 60 + i * 200, network(p, 1), &amsterdam, 200 + i);
}

static void be_stolen_asleep(struct person *p)
{
    look(p, START, network(p, 1));
    struct sight s = at(p, START + (31 + (int64_t)draw(p, 20)) * DAY, network(p, 2));
    s.client = LOADER;
    see(p, s);
}

static void wake_hungry(struct person *p)
{
    int64_t back = START + (61 + (int64_t)draw(p, 300)) * DAY;
    look(p, START, network(p, 1));
    for (int64_t i = 0; i < 40; i++)
        download(p, back + i * 60, network(p, 1), 4096 * MIB);
}

static void probe(struct person *p)
{
    for (int64_t i = 0; i < 40; i++)
        be_refused(p, START + i * 80, network(p, 1), 1000 + i);
}

/* To three customers, each at the own time of the day. */
static void resell(struct person *p)
{
    for (int64_t hour = 0; hour < 14 * 24; hour++)
        download(p, START + hour * HOUR + (int64_t)draw(p, HOUR), network(p, (unsigned)(hour % 24 / 8)), MIB);
}

static void sign_up_and_go(struct person *p)
{
    p->throwaway = true;
    look(p, START, network(p, 1));
}

static void (*const bad[KEY_SIGNALS + 1])(struct person *p) = {
    [FAN_OUT] = share_widely, [TRAVEL] = be_in_two_countries,  [CONCURRENT] = share_with_few, [HAULING] = haul,
    [BURST] = take_all,       [NEW_CLIENT] = be_stolen_asleep, [DORMANCY] = wake_hungry,      [PROBING] = probe,
    [RESALE] = resell,        [THROWAWAY] = sign_up_and_go};

#define EACH 100

static struct person live(struct watch *watch, int64_t key_id, void (*habit)(struct person *p))
{
    struct person p = {.watch = watch, .key_id = key_id, .seed = (uint64_t)key_id * 977};
    habit(&p);
    return p;
}

static void each_signal_finds_what_it_is_for_and_leaves_others_alone(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1 << 14);
    int hits[SIGNALS] = {0}, alarms[SIGNALS] = {0}, asked = 0;
    int64_t key_id = 1;
    for (size_t kind = 0; kind < GOOD_KINDS; kind++)
        for (int i = 0; i < EACH; i++) {
            struct person p = live(watch, key_id++, good[kind]);
            for (int signal = 0; signal <= KEY_SIGNALS; signal++)
                if (p.raised & 1U << signal) {
                    alarms[signal]++;
                    print_message("  %s: %s\n", good_names[kind], signal_specs[signal].code);
                }
            asked += level_of(p.most) > LEVEL_NONE;
        }
    for (int signal = 0; signal <= KEY_SIGNALS; signal++)
        for (int i = 0; i < EACH; i++)
            hits[signal] += (live(watch, key_id++, bad[signal]).raised & 1U << signal) != 0;
    print_message("%-16s %12s %24s\n", "signal", "hits", "false alarms");
    for (int signal = 0; signal <= KEY_SIGNALS; signal++) {
        print_message("%-16s %4d of %4d %14d of %6zu\n", signal_specs[signal].code, hits[signal], EACH, alarms[signal],
                      GOOD_KINDS * EACH);
        assert_true(hits[signal] >= EACH * 95 / 100);
        assert_true(alarms[signal] <= (int)(GOOD_KINDS * EACH) / 200);
    }
    print_message("of those who do no wrong, %d are asked to sign in\n", asked);
    assert_int_equal(asked, 0);
    watch_free(watch);
}

/* What the rules are hard on, as the documentation says: it looks just like a key that is passed around. */
static void a_fleet_is_asked_unless_its_owner_has_said_from_where_it_comes(void **state)
{
    (void)state;
    struct watch *watch = watch_new(1024);
    assert_int_equal(LEVEL_NONE, level_of(live(watch, 1, fleet).most));
    assert_int_equal(LEVEL_ASK, level_of(live(watch, 2, fleet_works).most));
    watch_free(watch);
}

/* Each limit from both sides. */

static unsigned raised_by(void (*habit)(struct person *p))
{
    struct watch *watch = watch_new(1024);
    unsigned raised = live(watch, 1, habit).raised;
    watch_free(watch);
    return raised;
}

static void six_networks(struct person *p)
{
    for (unsigned i = 0; i < 60; i++)
        look(p, START + i * 59, network(p, i / 10));
}
static void seven_networks(struct person *p)
{
    for (unsigned i = 0; i < 70; i++)
        look(p, START + i * 50, network(p, i / 10));
}
static void seven_networks_in_a_day(struct person *p)
{
    for (unsigned i = 0; i < 7; i++)
        look(p, START + i * 3 * HOUR, network(p, i));
}
static void five_hauls(struct person *p)
{
    for (int64_t i = 0; i < 10; i++)
        fetch(p, START + i % 5 * HOUR + i / 5 * DAY, network(p, 1), &amsterdam, 100);
}
static void six_hauls(struct person *p)
{
    for (int64_t i = 0; i < 6; i++)
        fetch(p, START + i * HOUR, network(p, 1), &amsterdam, 100);
}
static void two_networks_by_turns(struct person *p)
{
    for (unsigned i = 0; i < 60; i++)
        look(p, START + i * 5, network(p, i % 2));
}
static void three_networks_one_after_another(struct person *p)
{
    for (unsigned i = 0; i < 60; i++)
        look(p, START + i * 4, network(p, i / 20));
}
static void three_networks_by_turns(struct person *p)
{
    for (unsigned i = 0; i < 60; i++)
        look(p, START + i * 4, network(p, i % 3));
}
static void three_networks_by_slow_turns(struct person *p)
{
    for (unsigned i = 0; i < 60; i++)
        look(p, START + i * 400, network(p, i % 3));
}
static void a_flight(struct person *p)
{
    fetch(p, START, network(p, 1), &amsterdam, 100);
    fetch(p, START + 24 * HOUR, network(p, 2), &auckland, 100);
}
static void a_flight_too_fast(struct person *p)
{
    fetch(p, START, network(p, 1), &amsterdam, 100);
    fetch(p, START + 12 * HOUR, network(p, 2), &auckland, 100);
}
static void over_the_border(struct person *p)
{
    static const struct place here = {"NL", 51.44F, 5.47F}, there = {"BE", 51.2F, 5.0F};
    fetch(p, START, network(p, 1), &here, 100);
    fetch(p, START + 60, network(p, 2), &there, 100);
}
static void twenty_nine_days_then_another_program(struct person *p)
{
    look(p, START, network(p, 1));
    struct sight s = at(p, START + 29 * DAY, network(p, 1));
    s.client = GIT;
    see(p, s);
}
static void hunger_where_nobody_knows_what_is_usual(struct person *p)
{
    wake_hungry(p);
}

static void seven_networks_of_a_job(struct person *p)
{
    p->is_ci = true;
    seven_networks(p);
}

static void each_limit_is_where_it_says(void **state)
{
    (void)state;
    assert_int_equal(0, raised_by(six_networks) & 1U << FAN_OUT);
    assert_int_equal(1U << FAN_OUT, raised_by(seven_networks) & 1U << FAN_OUT);
    assert_int_equal(0, raised_by(seven_networks_of_a_job) & 1U << FAN_OUT);
    assert_int_equal(0, raised_by(seven_networks_in_a_day));
    assert_int_equal(0, raised_by(five_hauls));
    assert_int_equal(1U << HAULING, raised_by(six_hauls));
    assert_int_equal(0, raised_by(two_networks_by_turns));
    assert_int_equal(0, raised_by(three_networks_one_after_another));
    assert_int_equal(1U << CONCURRENT, raised_by(three_networks_by_turns));
    assert_int_equal(0, raised_by(three_networks_by_slow_turns));
    assert_int_equal(0, raised_by(a_flight));
    assert_int_equal(1U << TRAVEL, raised_by(a_flight_too_fast));
    assert_int_equal(0, raised_by(over_the_border));
    assert_int_equal(0, raised_by(twenty_nine_days_then_another_program));
    assert_int_equal(1U << NEW_CLIENT, raised_by(be_stolen_asleep));
    assert_int_equal(0, raised_by(hunger_where_nobody_knows_what_is_usual));
}

/* Points. */

static void points_halve_every_seven_days(void **state)
{
    (void)state;
    uint32_t seen_s[SIGNALS] = {0}, now = (uint32_t)START;
    assert_true(score_of(seen_s, now) == 0);
    seen_s[TRAVEL] = seen_s[HAULING] = now;
    assert_true(score_of(seen_s, now) == 40);
    assert_true(score_of(seen_s, now + 3599) == 40 && score_of(seen_s, now + 3600) < 40);
    assert_true(score_of(seen_s, now + 7 * DAY) == 20);
    assert_true(score_of(seen_s, now + 14 * DAY) == 10);
    seen_s[HAULING] = now + 7 * DAY;
    assert_true(score_of(seen_s, now + 7 * DAY) == 12.5 + 15);
    assert_int_equal(LEVEL_ASK, level_of(score_of((uint32_t[SIGNALS]){[TRAVEL] = now, [NEW_CLIENT] = now}, now)));
    assert_int_equal(LEVEL_NONE, level_of(29.9));
    assert_int_equal(LEVEL_SLOW, level_of(50));
    assert_int_equal(LEVEL_SLOW, level_of(79.9));
    assert_int_equal(LEVEL_SUSPEND, level_of(80));
    assert_int_equal(LEVEL_BAR, level_of(100));
}

/* No single habit of a key does more than ask. */
static void every_signal_is_named_and_none_alone_suspends_a_key(void **state)
{
    (void)state;
    for (int i = 0; i < SIGNALS; i++) {
        assert_int_equal(i, signal_named(str_of(signal_specs[i].code)));
        assert_true(strlen(signal_specs[i].words) > 10);
        assert_true(i >= KEY_SIGNALS || level_of(signal_specs[i].points) == LEVEL_NONE);
    }
    assert_int_equal(-1, signal_named(STR("fan")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_finds_what_it_is_for_and_leaves_others_alone),
        cmocka_unit_test(a_fleet_is_asked_unless_its_owner_has_said_from_where_it_comes),
        cmocka_unit_test(each_limit_is_where_it_says),
        cmocka_unit_test(points_halve_every_seven_days),
        cmocka_unit_test(every_signal_is_named_and_none_alone_suspends_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

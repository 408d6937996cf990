/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What follows from points, over days: the machine of a case, with its notices, its clock and its appeal. */
#include "../db/helper.h"
#include "base/time.h"
#include "grant/grant.h"
#include "identity/key.h"
#include "misuse/internal.h"
#include "notice/notice.h"
#include "quota/quota.h"
#include "terms/terms.h"

static const struct timer_kind timers[] = {{"misuse.case", case_late}, {0}};
static const struct module only_misuse = {.name = "misuse", .timers = timers};
const struct module *const modules[] = {&only_misuse, NULL};

struct town {
    struct folder *folder;
    struct db *db;
    struct arena arena;
    int64_t ada, boss, chief; /* the last two are administrators */
    int64_t laptop, server;   /* keys of ada's */
};

static int64_t person(struct town *town, const char *name, bool is_admin)
{
    int64_t id = 0;
    struct account_new new = {.kind = ACCOUNT_USER, .name = str_of(name), .is_admin = is_admin};
    GOOD(account_create(town->db, &new, 0, &id, err));
    return id;
}

static int64_t key(struct town *town, const char *name)
{
    struct str token;
    struct key_new new = {.user = STR("ada"), .name = str_of(name), .role = ROLE_WRITE, .days = 366};
    GOOD(key_create(town->db, &town->arena, &new, &token, err));
    return number(town->db, "SELECT max(id) FROM api_key");
}

static int setup(void **state)
{
    struct town *town = calloc(1, sizeof *town);
    const struct migration_set sets[] = {event_migrations,          identity_migrations,      timer_migrations,
                                         store_migrations,          repo_migrations,          access_migrations,
                                         *notice_module.migrations, *terms_module.migrations, *grant_module.migrations,
                                         misuse_migrations};
    *state = town;
    if (folder_setup((void **)&town->folder) != 0)
        return -1;
    GOOD(db_open(town->folder->db, &town->db, err));
    GOOD(db_migrate(town->db, sets, sizeof sets / sizeof *sets, err));
    town->ada = person(town, "ada", false);
    town->boss = person(town, "boss", true);
    town->chief = person(town, "chief", true);
    town->laptop = key(town, "laptop");
    town->server = key(town, "server");
    return 0;
}

static int teardown(void **state)
{
    struct town *town = *state;
    clock_travel(0);
    db_close(town->db);
    folder_teardown((void **)&town->folder);
    arena_free(&town->arena);
    free(town);
    return 0;
}
#define in_town(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* Deeds. */

struct raising {
    int64_t account_id, key_id;
    unsigned signals;
};
static enum status raise_in(struct db_conn *tx, void *context, struct error *err)
{
    const struct raising *r = context;
    return cases_raise(tx, r->account_id, r->key_id, r->signals, err);
}
static void raised(struct town *town, int64_t key_id, unsigned signals)
{
    struct raising r = {town->ada, key_id, signals};
    GOOD(db_write(town->db, raise_in, &r, err));
}
#define BIT(signal) (1U << (signal))

struct deed {
    struct town *town;
    int64_t id, actor_id;
    enum case_event event;
    enum mover by;
};
static enum status deed_in(struct db_conn *tx, void *context, struct error *err)
{
    const struct deed *deed = context;
    struct misuse_case of;
    TRY(case_get(tx, &deed->town->arena, deed->id, &of, err));
    return case_do(tx, &of, deed->event, deed->by, deed->actor_id, STR("because"), err);
}
static enum status deed(struct town *town, int64_t id, enum case_event event, enum mover by, int64_t actor_id,
                        struct error *err)
{
    struct deed deed = {town, id, actor_id, event, by};
    return db_write(town->db, deed_in, &deed, err);
}
static enum status decide(struct town *town, int64_t id, enum case_event event, int64_t who)
{
    return deed(town, id, event, BY_BOARD, who, NULL);
}
static enum status appeal(struct town *town, int64_t id)
{
    return deed(town, id, CASE_APPEAL, BY_HOLDER, town->ada, NULL);
}

static enum status fade_in(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return cases_fade(tx, err);
}
/* So many hours after the beginning; jobs and timers have run. */
static void at_hour(struct town *town, int64_t hour)
{
    clock_travel(hour * 3600 * SECOND_US);
    GOOD(db_write(town->db, fade_in, NULL, err));
    GOOD(timers_run(town->db, err));
}
static void on_day(struct town *town, int64_t day)
{
    at_hour(town, day * 24);
}

/* Looks. */

static int64_t number_of(struct town *town, const char *static_sql, int64_t one, const char *two)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(db_prepare(conn, static_sql, &row, err));
    stmt_bind_int(row, 1, one);
    if (two)
        stmt_bind_str(row, 2, str_of(two));
    int64_t found = stmt_next(row) ? stmt_int(row, 0) : -1;
    GOOD(stmt_end(row, err));
    return found;
}
static int64_t hold(struct town *town, int64_t key_id)
{
    return number_of(town, "SELECT hold FROM api_key WHERE id = ?", key_id, NULL);
}
static struct misuse_case last_case(struct town *town)
{
    auto_conn struct db_conn *conn = NULL;
    struct misuse_case of = {0};
    int64_t id = number(town->db, "SELECT coalesce(max(id), 0) FROM misuse_case");
    GOOD(db_reader(town->db, &conn, err));
    if (id)
        GOOD(case_get(conn, &town->arena, id, &of, err));
    return of;
}
static int64_t told(struct town *town, int64_t who, const char *kind)
{
    return number_of(town, "SELECT count(*) FROM notice WHERE account_id = ? AND kind = ?", who, kind);
}
static int64_t decisions(struct town *town)
{
    return number(town->db, "SELECT count(*) FROM event WHERE kind = 'access.decision'");
}

#define THIRTY_FIVE (BIT(FAN_OUT) | BIT(CONCURRENT))
#define SIXTY (THIRTY_FIVE | BIT(TRAVEL))
#define NINETY_FIVE (SIXTY | BIT(HAULING) | BIT(RESALE))
#define A_HUNDRED_AND_TEN (NINETY_FIVE | BIT(PROBING))

/* Climbing. */

static void few_points_do_nothing(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, BIT(TRAVEL));
    raised(town, town->server, BIT(FAN_OUT));
    assert_int_equal(0, last_case(town).id);
    assert_int_equal(KEY_FREE, hold(town, town->laptop));
    assert_int_equal(0, decisions(town) + told(town, town->ada, "misuse.step"));
}

static void points_climb_step_by_step_each_with_a_notice_and_a_leaf(void **state)
{
    struct town *town = *state;
    static const struct {
        unsigned signals;
        enum case_state state;
        int64_t hold, points, board;
    } steps[] = {{THIRTY_FIVE, CASE_ASKED, KEY_ASKED, 35, 0},
                 {BIT(TRAVEL), CASE_SLOWED, KEY_SLOWED, 60, 0},
                 {BIT(HAULING) | BIT(RESALE), CASE_SUSPENDED, KEY_SUSPENDED, 95, 1},
                 {BIT(PROBING), CASE_BARRED, KEY_SUSPENDED, 110, 2}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        raised(town, town->laptop, steps[i].signals);
        raised(town, town->laptop, steps[i].signals); /* again changes nothing */
        struct misuse_case of = last_case(town);
        assert_int_equal(1, of.id);
        assert_int_equal(steps[i].state, of.state);
        assert_int_equal(steps[i].points, of.points);
        assert_int_equal(steps[i].hold, hold(town, town->laptop));
        assert_int_equal(KEY_FREE, hold(town, town->server));
        assert_int_equal((int64_t)i + 1, told(town, town->ada, "misuse.step"));
        assert_int_equal((int64_t)i + 1, decisions(town));
        assert_int_equal(steps[i].board, told(town, town->boss, "misuse.case"));
    }
}

static void points_of_the_account_count_for_each_key_and_alone_for_all(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, BIT(FAN_OUT));
    raised(town, town->laptop, BIT(THROWAWAY)); /* 10 more, of the account */
    assert_int_equal(KEY_ASKED, hold(town, town->laptop));
    assert_int_equal(KEY_FREE, hold(town, town->server));
    raised(town, 0, BIT(REUPLOAD)); /* 70 of the account, 90 of the laptop */
    assert_int_equal(KEY_SUSPENDED, hold(town, town->laptop));
    assert_int_equal(KEY_SLOWED, hold(town, town->server));
    raised(town, 0, BIT(HONEY));
    assert_int_equal(KEY_SUSPENDED, hold(town, town->server));
    int64_t account_case = number(town->db, "SELECT id FROM misuse_case WHERE key_id = 0 AND state = 4");
    assert_int_equal(OK, decide(town, account_case, CASE_LIFT, town->boss));
    assert_int_equal(KEY_FREE, hold(town, town->server));
    assert_int_equal(KEY_SUSPENDED, hold(town, town->laptop)); /* its own case stands */
}

static void nothing_follows_for_a_key_that_is_gone(void **state)
{
    struct town *town = *state;
    GOOD(key_revoke(town->db, STR("ada"), STR("laptop"), 0, err));
    raised(town, town->laptop, NINETY_FIVE);
    raised(town, 77, NINETY_FIVE);
    assert_int_equal(0, last_case(town).id);
}

/* Time. */

static void steps_fade_as_points_halve(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, SIXTY | BIT(HAULING)); /* 75 */
    on_day(town, 4);                                  /* 50.5 */
    assert_int_equal(CASE_SLOWED, last_case(town).state);
    on_day(town, 5); /* 45.7 */
    assert_int_equal(CASE_ASKED, last_case(town).state);
    assert_int_equal(KEY_ASKED, hold(town, town->laptop));
    on_day(town, 9); /* 30.8 */
    assert_int_equal(CASE_ASKED, last_case(town).state);
    on_day(town, 10);
    assert_int_equal(CASE_FADED, last_case(town).state);
    assert_int_equal(KEY_FREE, hold(town, town->laptop));
    assert_int_equal(2, told(town, town->ada, "misuse.over"));
    raised(town, town->laptop, SIXTY); /* the old ones still count a little */
    assert_int_equal(CASE_SLOWED, last_case(town).state);
    assert_int_equal(65, last_case(town).points);
}

static void a_suspension_does_not_fade_by_itself(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    on_day(town, 60);
    assert_int_equal(CASE_SUSPENDED, last_case(town).state);
    assert_int_equal(KEY_SUSPENDED, hold(town, town->laptop));
}

static void old_signals_are_forgotten(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, SIXTY);
    on_day(town, 69);
    assert_int_equal(3, number(town->db, "SELECT count(*) FROM misuse_signal"));
    on_day(town, 71);
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM misuse_signal"));
}

static void who_does_not_look_within_a_day_is_told_so_each_day(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    at_hour(town, 23);
    assert_int_equal(0, told(town, town->boss, "misuse.late"));
    at_hour(town, 25);
    assert_int_equal(1, told(town, town->boss, "misuse.late"));
    at_hour(town, 49);
    assert_int_equal(2, told(town, town->chief, "misuse.late"));
    assert_int_equal(OK, decide(town, 1, CASE_UPHOLD, town->boss));
    at_hour(town, 100);
    assert_int_equal(2, told(town, town->boss, "misuse.late"));
    assert_int_equal(OK, appeal(town, 1));
    at_hour(town, 123);
    assert_int_equal(2, told(town, town->boss, "misuse.late"));
    at_hour(town, 125);
    assert_int_equal(3, told(town, town->boss, "misuse.late"));
}

/* What people say. */

static void that_it_was_me_is_believed_for_a_week_and_for_the_first_step_only(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, THIRTY_FIVE);
    assert_int_equal(OK, deed(town, 1, CASE_CONFIRM, BY_HOLDER, town->ada, NULL));
    assert_int_equal(KEY_FREE, hold(town, town->laptop));
    on_day(town, 6);
    raised(town, town->laptop, THIRTY_FIVE);
    assert_int_equal(1, last_case(town).id);
    raised(town, town->laptop, BIT(TRAVEL));
    assert_int_equal(CASE_SLOWED, last_case(town).state);
    assert_int_equal(CONFLICT, deed(town, 2, CASE_CONFIRM, BY_HOLDER, town->ada, NULL));
    on_day(town, 40);
    assert_int_equal(CASE_FADED, last_case(town).state);
    raised(town, town->laptop, THIRTY_FIVE);
    assert_int_equal(CASE_ASKED, last_case(town).state);
    assert_int_equal(3, last_case(town).id);
}

static void an_appeal_that_is_upheld_clears_the_points(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    raised(town, town->server, BIT(TRAVEL));
    assert_int_equal(OK, appeal(town, 1));
    assert_int_equal(CONFLICT, appeal(town, 1));
    assert_int_equal(OK, decide(town, 1, CASE_LIFT, town->boss));
    assert_int_equal(KEY_FREE, hold(town, town->laptop));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM misuse_signal")); /* the server's */
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM event WHERE body LIKE '%appeal-upheld%'"));
    assert_int_equal(CONFLICT, decide(town, 1, CASE_LIFT, town->boss));
    assert_int_equal(CONFLICT, appeal(town, 1));
    raised(town, town->laptop, BIT(TRAVEL));
    assert_int_equal(1, last_case(town).id);
}

static void an_appeal_that_is_dismissed_by_another_person_ends_the_key(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    assert_int_equal(OK, decide(town, 1, CASE_UPHOLD, town->boss));
    assert_int_equal(CASE_SUSPENDED, last_case(town).state);
    assert_int_equal(OK, appeal(town, 1));
    assert_int_equal(FORBIDDEN, decide(town, 1, CASE_UPHOLD, town->boss));
    assert_int_equal(FORBIDDEN, decide(town, 1, CASE_LIFT, town->boss));
    assert_int_equal(OK, decide(town, 1, CASE_UPHOLD, town->chief));
    assert_int_equal(CASE_UPHELD, last_case(town).state);
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM api_key WHERE revoked_us IS NOT NULL"));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM event WHERE kind = 'key.revoke'"));
}

static void an_appeal_against_a_lesser_step_that_is_dismissed_leaves_it_as_it_is(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, SIXTY);
    assert_int_equal(CONFLICT, decide(town, 1, CASE_UPHOLD, town->boss)); /* nothing to look at yet */
    assert_int_equal(OK, appeal(town, 1));
    assert_int_equal(OK, decide(town, 1, CASE_UPHOLD, town->boss));
    assert_int_equal(CASE_SLOWED, last_case(town).state);
    assert_int_equal(0, last_case(town).due_us);
    on_day(town, 20);
    assert_int_equal(CASE_FADED, last_case(town).state);
}

static void a_graver_step_can_be_appealed_though_a_lesser_one_was(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, SIXTY);
    assert_int_equal(OK, appeal(town, 1));
    assert_int_equal(OK, decide(town, 1, CASE_UPHOLD, town->boss));
    assert_int_equal(CONFLICT, appeal(town, 1));
    raised(town, town->laptop, BIT(HAULING) | BIT(RESALE));
    assert_int_equal(CASE_SUSPENDED, last_case(town).state);
    assert_int_equal(OK, appeal(town, 1));
    raised(town, town->laptop, BIT(PROBING)); /* while it waits to be heard, it is about this too */
    assert_int_equal(CASE_BARRED, last_case(town).state);
    assert_int_equal(CONFLICT, appeal(town, 1));
    assert_int_equal(OK, decide(town, 1, CASE_LIFT, town->boss));
}

static void nobody_decides_who_may_not(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    assert_int_equal(FORBIDDEN, decide(town, 1, CASE_LIFT, town->ada)); /* were ada an administrator */
    assert_int_equal(FORBIDDEN, deed(town, 1, CASE_LIFT, BY_HOLDER, town->ada, NULL));
    assert_int_equal(FORBIDDEN, deed(town, 1, CASE_LIFT, BY_RULE, 0, NULL));
    assert_int_equal(FORBIDDEN, deed(town, 1, CASE_BAR, BY_BOARD, town->boss, NULL));
    assert_int_equal(CONFLICT, deed(town, 1, CASE_CONFIRM, BY_HOLDER, town->ada, NULL));
    assert_int_equal(KEY_SUSPENDED, hold(town, town->laptop));
}

/* Accounts of one network. */

static enum status sign_up_in(struct db_conn *tx, void *context, struct error *err)
{
    const char *const *from = context;
    for (int64_t id = 1; *from; from++, id++)
        TRY(account_signed_up(tx, id, str_of(*from), err));
    return sign_ups_look(tx, NULL, err);
}

static void four_accounts_of_one_network_in_a_day_have_points_and_three_have_none(void **state)
{
    struct town *town = *state;
    const char *three[] = {"192.0.2.1", "192.0.2.77", "192.0.2.3", "198.51.100.1", "", NULL};
    const char *four[] = {"192.0.2.1", "192.0.2.77", "192.0.2.3", "192.0.2.4", NULL};
    person(town, "dora", false);
    GOOD(db_write(town->db, sign_up_in, three, err));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM misuse_signal"));
    GOOD(script(town->db, "DELETE FROM sign_up", err));
    GOOD(db_write(town->db, sign_up_in, four, err));
    GOOD(db_write(town->db, sign_ups_look, NULL, err)); /* again changes nothing */
    assert_int_equal(4, number(town->db, "SELECT count(*) FROM misuse_signal WHERE signal = 'many-accounts'"));
    raised(town, town->laptop, BIT(FAN_OUT));
    assert_int_equal(KEY_ASKED, hold(town, town->laptop));
    on_day(town, 2);
    GOOD(db_write(town->db, sign_ups_look, NULL, err));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM sign_up")); /* networks are kept for a day */
}

/*
 * Streams of accounts whose truth is known: those that one person makes, and those of families, classes and shared cards. What
 * the sign finds of the first, and what it says of the second, is printed and held to a line. The other signs of an account are
 * hashes that are equal or not: a key that was reported, against such as only look like one.
 */
#define RINGS 100

struct sign_up_day {
    int64_t first_id, count;
    const char *kind; /* of what they share; NULL: the network */
    int64_t what;
};

static enum status sign_ups_in(struct db_conn *tx, void *context, struct error *err)
{
    const struct sign_up_day *day = context;
    char text[48];
    snprintf(text, sizeof text, day->kind ? "thing %lld" : "2001:db8:%llx::1", (long long)day->what);
    for (int64_t id = day->first_id; id < day->first_id + day->count; id++)
        TRY(day->kind ? account_mark(tx, id, day->kind, str_of(text), err)
                      : account_signed_up(tx, id, str_of(text), err));
    return sign_ups_look(tx, NULL, err);
}

/* Signs up in groups of so many, days apart; of how many accounts the sign was seen. */
static int64_t seen_of(struct town *town, int64_t *next_id, const char *kind, int64_t at_once, int64_t days)
{
    static int64_t ring, at_day; /* no two streams share a thing or a day */
    int64_t first = *next_id;
    for (int64_t day = 0; day < days; day++) {
        clock_travel(++at_day * 26 * 3600 * SECOND_US);
        for (int64_t i = 0; i < RINGS; i++, *next_id += at_once) {
            struct sign_up_day some = {*next_id, at_once, kind, ring + i};
            GOOD(db_write(town->db, sign_ups_in, &some, err));
        }
    }
    ring += RINGS;
    return number_of(town, "SELECT count(*) FROM misuse_signal WHERE account_id >= ? AND signal = ?", first,
                     "many-accounts");
}

static void signs_of_accounts_find_what_they_are_for_and_leave_others_alone(void **state)
{
    struct town *town = *state;
    const struct {
        const char *who, *kind;
        int64_t at_once, days;
        bool is_one_person;
    } streams[] = {
        {"a script from one network", NULL, 5, 1, true},
        {"one browser, one account a day", "device", 1, 8, true},
        {"one card for many", "payment", 4, 1, true},
        {"a family in one network", NULL, 3, 1, false},
        {"a class that signs up over days", NULL, 2, 10, false},
        {"three who share a browser", "device", 3, 1, false},
        {"a laboratory of three with one card", "payment", 3, 1, false},
    };
    int64_t next_id = 1000, hits = 0, alarms = 0, bad = 0, good = 0;
    GOOD(script(town->db,
                "WITH RECURSIVE n (id) AS (SELECT 1000 UNION ALL SELECT id + 1 FROM n WHERE id < 6000) "
                "INSERT INTO account (id, kind, name, name_folded, is_admin, default_private, created_us) "
                "SELECT id, 1, 'p' || id, 'p' || id, 0, 0, 0 FROM n",
                err));
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        int64_t seen = seen_of(town, &next_id, streams[i].kind, streams[i].at_once, streams[i].days);
        int64_t all = RINGS * streams[i].at_once * streams[i].days;
        *(streams[i].is_one_person ? &hits : &alarms) += seen;
        *(streams[i].is_one_person ? &bad : &good) += all;
        print_message("  %-36s %4lld of %4lld\n", streams[i].who, (long long)seen, (long long)all);
    }
    print_message("%-16s %12s %24s\n", "signal", "hits", "false alarms");
    print_message("%-16s %4lld of %4lld %14lld of %6lld\n", "many-accounts", (long long)hits, (long long)bad,
                  (long long)alarms, (long long)good);
    assert_true(hits >= bad * 95 / 100);
    assert_true(alarms <= good / 200);
}

static void only_what_was_reported_is_a_leak(void **state)
{
    struct town *town = *state;
    int hits = 0, alarms = 0;
    for (int i = 0; i < RINGS; i++) {
        char name[16];
        struct str token;
        struct key_leak leak = {0}, other = {0};
        auto_conn struct db_conn *conn = NULL;
        snprintf(name, sizeof name, "key %d", i);
        struct key_new new = {.user = STR("ada"), .name = str_of(name), .role = ROLE_WRITE, .days = 366};
        GOOD(key_create(town->db, &town->arena, &new, &token, err));
        sha256(token, leak.digest);
        sha256(key_make_token(&town->arena), other.digest);
        GOOD(db_reader(town->db, &conn, err));
        GOOD(key_leak_find(conn, &town->arena, &leak, err));
        GOOD(key_leak_find(conn, &town->arena, &other, err));
        hits += leak.key_id != 0;
        alarms += other.key_id != 0;
    }
    print_message("%-16s %4d of %4d %14d of %6d\n", "reported-leak", hits, RINGS, alarms, RINGS);
    assert_int_equal(hits, RINGS);
    assert_int_equal(alarms, 0);
}

/* A reported key: 100 points of that key, and of no other. */
static void a_leak_is_a_case_of_that_key_alone(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, BIT(LEAK));
    assert_int_equal(KEY_SUSPENDED, hold(town, town->laptop));
    assert_int_equal(KEY_FREE, hold(town, town->server));
    assert_int_equal(4, number(town->db, "SELECT state FROM misuse_case"));
    assert_int_equal(OK, decide(town, 1, CASE_LIFT, town->boss));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM misuse_signal"));
}

static enum status erase_ada(struct db_conn *tx, void *context, struct error *err)
{
    const struct town *town = context;
    return db_run_each(tx, misuse_module.forgets, town->ada, err);
}

static void what_a_person_said_goes_with_the_person(void **state)
{
    struct town *town = *state;
    raised(town, town->laptop, NINETY_FIVE);
    assert_int_equal(OK, appeal(town, 1));
    GOOD(db_write(town->db, erase_ada, town, err));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM misuse_signal"));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM misuse_case WHERE appeal = '' AND state > 4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(few_points_do_nothing),
        in_town(points_climb_step_by_step_each_with_a_notice_and_a_leaf),
        in_town(points_of_the_account_count_for_each_key_and_alone_for_all),
        in_town(nothing_follows_for_a_key_that_is_gone),
        in_town(steps_fade_as_points_halve),
        in_town(a_suspension_does_not_fade_by_itself),
        in_town(old_signals_are_forgotten),
        in_town(who_does_not_look_within_a_day_is_told_so_each_day),
        in_town(that_it_was_me_is_believed_for_a_week_and_for_the_first_step_only),
        in_town(an_appeal_that_is_upheld_clears_the_points),
        in_town(an_appeal_that_is_dismissed_by_another_person_ends_the_key),
        in_town(an_appeal_against_a_lesser_step_that_is_dismissed_leaves_it_as_it_is),
        in_town(a_graver_step_can_be_appealed_though_a_lesser_one_was),
        in_town(nobody_decides_who_may_not),
        in_town(four_accounts_of_one_network_in_a_day_have_points_and_three_have_none),
        in_town(signs_of_accounts_find_what_they_are_for_and_leave_others_alone),
        in_town(only_what_was_reported_is_a_leak),
        in_town(a_leak_is_a_case_of_that_key_alone),
        in_town(what_a_person_said_goes_with_the_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

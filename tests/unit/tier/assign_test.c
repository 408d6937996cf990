/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who has which tier, over months: applications, rules, grace, hysteresis, notices. */
#include "../db/helper.h"
#include "base/time.h"
#include "notice/notice.h"
#include "tier/assign.h"
#include "tier/over.h"
#include "tier/pool.h"
#include "tier/rule.h"

static const struct module only_tier = {.name = "tier", .timers = tier_timers};
const struct module *const modules[] = {&only_tier, NULL};

struct town {
    struct folder *folder;
    struct db *db;
    struct arena arena;
    int64_t ada;
    int64_t day; /* how far the clock has gone */
};

static int setup(void **state)
{
    struct town *town = calloc(1, sizeof *town);
    const struct migration_set sets[] = {event_migrations, identity_migrations, timer_migrations,
                                         store_migrations, repo_migrations,     access_migrations,
                                         quota_migrations, tier_migrations,     *notice_module.migrations};
    *state = town;
    if (folder_setup((void **)&town->folder) != 0)
        return -1;
    GOOD(db_open(town->folder->db, &town->db, err));
    GOOD(db_migrate(town->db, sets, sizeof sets / sizeof *sets, err));
    struct account_new new = {.kind = ACCOUNT_USER, .name = STR("ada"), .email = STR("ada@uni.edu")};
    GOOD(account_create(town->db, &new, 0, &town->ada, err));
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

/* On that day after the beginning; the hub has gone through timers and rules. */
static void on_day(struct town *town, int64_t day)
{
    clock_travel(day * DAY_US + 60 * SECOND_US);
    GOOD(timers_run(town->db, err));
    GOOD(timers_run(town->db, err)); /* what the first has set, and is due already */
    GOOD(assign_by_rules(town->db, err));
}

static void publish(struct town *town, const char *text)
{
    char json[2048];
    int64_t seq;
    snprintf(json, sizeof json, "%s", text);
    for (char *c = json; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    GOOD(tier_publish(town->db, str_of(json), 0, &seq, err));
}

#define TRUSTED                                                                                                        \
    "{'slug':'trusted','name':'Trusted','purpose':'Who has been here for a while.','order':20,'decides':'rule',"       \
    "'rules':[{'rule':'age','days':10},{'rule':'clean','days':10},{'rule':'address','pattern':'*@*.edu'}]}"
#define ELDER                                                                                                          \
    "{'slug':'elder','name':'Elder','purpose':'Longer.','order':30,'decides':'rule',"                                  \
    "'rules':[{'rule':'age','days':15}]}"

/* "slug state" of what ada has. */
static const char *has(struct town *town)
{
    auto_conn struct db_conn *conn = NULL;
    struct assign assign;
    GOOD(db_reader(town->db, &conn, err));
    if (assign_find(conn, &town->arena, town->ada, &assign, NULL) != OK)
        return "nothing";
    return arena_printf(&town->arena, "%.*s %s", STR_ARG(tier_slug(conn, &town->arena, assign.tier_id, NULL)),
                        assign_machine.states[assign.state].name)
        .data;
}

static int64_t notices(struct town *town, const char *kind)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(db_prepare(conn, "SELECT count(*) FROM notice WHERE kind = ?", &row, err));
    stmt_bind_str(row, 1, str_of(kind));
    int64_t count = stmt_next(row) ? stmt_int(row, 0) : -1;
    GOOD(stmt_end(row, err));
    return count;
}

static void who_meets_the_rules_moves_up_on_the_day_and_not_before(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    on_day(town, 9);
    assert_string_equal(has(town), "nothing");
    on_day(town, 10);
    assert_string_equal(has(town), "trusted active");
    assert_int_equal(notices(town, "tier.activate"), 1);
    assert_int_equal(number(town->db, "SELECT count(*) FROM event WHERE kind = 'tier.step'"), 1);
    on_day(town, 11);
    assert_int_equal(number(town->db, "SELECT count(*) FROM event WHERE kind = 'tier.step'"), 1);
}

static void nobody_moves_by_rule_twice_in_thirty_days(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    publish(town, ELDER);
    on_day(town, 10);
    assert_string_equal(has(town), "trusted active");
    on_day(town, 39);
    assert_string_equal(has(town), "trusted active");
    on_day(town, 41);
    assert_string_equal(has(town), "elder active");
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_assign WHERE state IN (3, 4, 5)"), 1);
}

static void the_way_down_has_a_notice_grace_another_notice_and_then_an_end(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    on_day(town, 10);
    GOOD(script(town->db, "UPDATE account SET email = 'ada@elsewhere.com'", err));
    on_day(town, 20);
    assert_string_equal(has(town), "trusted grace");
    assert_int_equal(notices(town, "tier.warn"), 1);
    on_day(town, 35);
    assert_int_equal(notices(town, "tier.warn"), 1);
    on_day(town, 37); /* 14 days before the end */
    assert_int_equal(notices(town, "tier.warn"), 2);
    on_day(town, 49);
    assert_string_equal(has(town), "trusted grace");
    on_day(town, 51);
    assert_string_equal(has(town), "nothing");
    assert_int_equal(notices(town, "tier.downgrade"), 1);
}

static void who_meets_the_rules_again_in_grace_keeps_the_tier(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    on_day(town, 10);
    GOOD(script(town->db, "UPDATE account SET email = 'ada@elsewhere.com'", err));
    on_day(town, 20);
    GOOD(script(town->db, "UPDATE account SET email = 'ada@uni.edu'", err));
    on_day(town, 21);
    assert_string_equal(has(town), "trusted active");
    on_day(town, 60);
    assert_string_equal(has(town), "trusted active");
}

static void a_tier_that_asks_for_two_factors_comes_and_goes_with_them(void **state)
{
    struct town *town = *state;
    int64_t seq;
    publish(town, "{'slug':'careful','name':'Careful','purpose':'Who guards the account.','order':20,'decides':'rule',"
                  "'rules':[{'rule':'sign-in','level':'two-factor'}]}");
    on_day(town, 1);
    assert_string_equal(has(town), "nothing");
    GOOD(script(town->db, "INSERT INTO totp SELECT id, x'00', 0, 0 FROM account", err));
    on_day(town, 2);
    assert_string_equal(has(town), "nothing"); /* a secret of which no code was shown */
    GOOD(script(town->db, "UPDATE totp SET confirmed = 1", err));
    on_day(town, 3);
    assert_string_equal(has(town), "careful active");
    GOOD(script(town->db, "DELETE FROM totp", err));
    on_day(town, 4);
    assert_string_equal(has(town), "careful grace");
    GOOD(script(town->db, "INSERT INTO passkey SELECT 1, id, x'01', x'02', 0, 'phone', 1, 1 FROM account", err));
    on_day(town, 5);
    assert_string_equal(has(town), "careful active"); /* another one will do */
    static const char *const none[] = {"{\"rule\":\"sign-in\"}", "{\"rule\":\"sign-in\",\"level\":\"password\"}",
                                       "{\"rule\":\"sign-in\",\"level\":\"totp\"}",
                                       "{\"rule\":\"sign-in\",\"level\":\"passkey\",\"days\":1}"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char json[512];
        snprintf(json, sizeof json, "{\"slug\":\"t\",\"name\":\"T\",\"purpose\":\"p\",\"order\":1,\"rules\":[%s]}",
                 none[i]);
        EXPECT(INVALID, tier_publish(town->db, str_of(json), 0, &seq, err));
    }
}

/* Usage over days. */

#define ROOMY                                                                                                          \
    "{'slug':'basic','name':'Basic','purpose':'All.','order':1,'limits':[{'unit':'bytes.store.public',"                \
    "'scope':'person','soft':1000,'hard':2000},{'unit':'repo.count','scope':'person','soft':3,'hard':9},"              \
    "{'unit':'bytes.egress','scope':'person','per':86400,'soft':500,'hard':900}]}"
#define BUSY(rules)                                                                                                    \
    "{'slug':'busy','name':'Busy','purpose':'Who needs more.','order':20,'decides':'rule','limits':["                  \
    "{'unit':'bytes.store.public','scope':'person','soft':100000,'hard':200000}],'rules':[" rules "]}"

static void use(struct town *town, enum unit unit, int64_t span, int64_t bytes)
{
    char sql[200];
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO quota_counter VALUES (%lld, %d, %lld, %lld, 0)",
             (long long)town->ada, unit, (long long)span, (long long)bytes);
    GOOD(script(town->db, sql, err));
}

static void who_has_used_what_there_is_for_thirty_days_moves_up_and_not_after_29(void **state)
{
    struct town *town = *state;
    publish(town, ROOMY);
    publish(town, BUSY("{'rule':'used','unit':'bytes.store.public','percent':60}"));
    use(town, UNIT_STORE_PUBLIC, 0, 600);
    on_day(town, 1);
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_used"), 1);
    on_day(town, 30);
    assert_string_equal(has(town), "nothing");
    on_day(town, 31);
    assert_string_equal(has(town), "busy active");
    on_day(town, 100); /* of what is more now it is little, and no reason to go down */
    assert_string_equal(has(town), "busy active");
}

static void a_look_that_finds_less_begins_the_days_anew(void **state)
{
    struct town *town = *state;
    publish(town, ROOMY);
    publish(town, BUSY("{'rule':'used','unit':'bytes.store.public','percent':60}"));
    use(town, UNIT_STORE_PUBLIC, 0, 900);
    on_day(town, 0);
    use(town, UNIT_STORE_PUBLIC, 0, 599);
    on_day(town, 15);
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_used"), 0);
    use(town, UNIT_STORE_PUBLIC, 0, 900);
    on_day(town, 16);
    on_day(town, 45);
    assert_string_equal(has(town), "nothing");
    use(town, UNIT_STORE_PUBLIC, 0, 100); /* what was is not enough: it has to be so on the day, too */
    on_day(town, 46);
    assert_string_equal(has(town), "nothing");
    use(town, UNIT_STORE_PUBLIC, 0, 900);
    on_day(town, 47);
    on_day(town, 77);
    assert_string_equal(has(town), "busy active");
}

static void days_of_a_rule_that_nobody_asked_for_meanwhile_do_not_count(void **state)
{
    struct town *town = *state;
    publish(town, ROOMY);
    publish(town, BUSY("{'rule':'used','unit':'bytes.store.public','percent':60,'days':10}"));
    use(town, UNIT_STORE_PUBLIC, 0, 900);
    on_day(town, 1);
    publish(town, BUSY("{'rule':'board'}"));
    on_day(town, 2);
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_used"), 0);
    publish(town, BUSY("{'rule':'used','unit':'bytes.store.public','percent':60,'days':10}"));
    on_day(town, 12);
    assert_string_equal(has(town), "nothing");
    on_day(town, 21);
    assert_string_equal(has(town), "nothing");
    on_day(town, 22);
    assert_string_equal(has(town), "busy active");
}

static void of_downloads_every_one_of_the_days_counts(void **state)
{
    struct town *town = *state;
    publish(town, ROOMY);
    publish(town, BUSY("{'rule':'used','unit':'bytes.egress','percent':60}"));
    on_day(town, 0);
    int64_t today = now_us() / DAY_US;
    for (int64_t day = 0; day < 30; day++)
        use(town, UNIT_EGRESS, today + day, 300);
    use(town, UNIT_EGRESS, today + 7, 299);
    on_day(town, 29);
    assert_string_equal(has(town), "nothing"); /* the last one is not over */
    on_day(town, 30);
    assert_string_equal(has(town), "nothing"); /* one of them was below */
    use(town, UNIT_EGRESS, today + 7, 300);
    on_day(town, 29);
    assert_string_equal(has(town), "nothing");
    on_day(town, 30);
    assert_string_equal(has(town), "busy active");
}

static void little_soft_limits_are_reckoned_without_loss_and_none_is_never_used(void **state)
{
    struct town *town = *state;
    publish(town, ROOMY);
    publish(town, BUSY("{'rule':'used','unit':'repo.count','percent':60,'days':1}"));
    use(town, UNIT_REPOS, 0, 1); /* of 3: 2 are the 60 % */
    on_day(town, 1);
    on_day(town, 3);
    assert_string_equal(has(town), "nothing");
    use(town, UNIT_REPOS, 0, 2);
    on_day(town, 4);
    on_day(town, 5);
    assert_string_equal(has(town), "busy active");
    static const char *const none[] = {"'unit':'req.api','percent':60", "'unit':'conn.parallel','percent':60",
                                       "'unit':'repo.count','percent':60,'days':0", "'percent':60"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        char json[512];
        int64_t seq;
        snprintf(json, sizeof json, "{'slug':'t','name':'T','purpose':'p','order':1,'rules':[{'rule':'used',%s}]}",
                 none[i]);
        for (char *c = json; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        EXPECT(INVALID, tier_publish(town->db, str_of(json), 0, &seq, err));
    }
}

/* A step that somebody takes. */

struct act {
    struct town *town;
    enum assign_event event;
    enum mover by;
};

static enum status act_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct act *act = context;
    auto_arena struct arena arena = {0};
    struct assign assign;
    const struct assign_step step = {.event = act->event, .by = act->by, .basis = "board", .text = STR("why")};
    int64_t tier_id;
    if (act->event == ASSIGN_ACTIVATE || assign_find(tx, &arena, act->town->ada, &assign, NULL) != OK) {
        TRY(tier_make_id(tx, random() % 2 ? STR("trusted") : STR("elder"), &tier_id, err));
        TRY(assign_new(tx, act->town->ada, tier_id, STR("board"), &assign, err));
    }
    return assign_do(tx, &assign, &step, err);
}

/* More than the tier allows. */

#define SMALL                                                                                                          \
    "{'slug':'basic','name':'Basic','purpose':'All.','order':1,'limits':[{'unit':'bytes.store.private',"               \
    "'scope':'person','hard':100},{'unit':'bytes.store.public','scope':'person','hard':1000}]}"
#define LARGE                                                                                                          \
    "{'slug':'large','name':'Large','purpose':'More.','order':20,'limits':[{'unit':'bytes.store.private',"             \
    "'scope':'person','hard':5000}]}"

/* Two private repos of ada's, and a public one. */
static void keep(struct town *town)
{
    static const char one[] =
        "INSERT INTO repo (id, public_id, kind, owner_id, ns, name, ns_key, name_key, visibility, "
        "created_us, updated_us) SELECT %d, 'p%d', 1, id, 'ada', 'r%d', 'ada', 'r%d', %d, 0, 0 "
        "FROM account WHERE name = 'ada'";
    char sql[400];
    for (int i = 1; i <= 3; i++) {
        snprintf(sql, sizeof sql, one, i, i, i, i, i == 3 ? VISIBILITY_PUBLIC : VISIBILITY_PRIVATE);
        GOOD(script(town->db, sql, err));
    }
    use(town, UNIT_STORE_PRIVATE, 0, 900);
    use(town, UNIT_STORE_PUBLIC, 0, 900);
}

#define ARCHIVED_NOW "SELECT coalesce(sum(archived * id), 0) FROM repo" /* 1 + 2: the private ones */

/* ada had the tier large, and has not any more from day 30 on. */
static void move_down(struct town *town)
{
    publish(town, SMALL);
    publish(town, LARGE);
    keep(town);
    GOOD(tier_give(town->db, STR("ada"), STR("large"), 0, err));
    struct act warn = {town, ASSIGN_WARN, BY_BOARD};
    GOOD(db_write(town->db, act_in_write, &warn, err));
    on_day(town, 1);
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_over"), 0);
    on_day(town, 31);
    assert_string_equal(has(town), "nothing");
    assert_int_equal(number(town->db, "SELECT count(*) FROM tier_over"), 1);
}

static void what_is_too_much_is_archived_after_180_days_and_three_notices_and_comes_back(void **state)
{
    struct town *town = *state;
    static const struct {
        int day, notices, archived;
    } days[] = {{150, 0, 0}, {151, 1, 0}, {160, 1, 0}, {196, 1, 0}, {197, 2, 0},
                {207, 2, 0}, {208, 3, 0}, {210, 3, 0}, {211, 4, 3}, {300, 4, 3}};
    move_down(town);
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        on_day(town, days[i].day);
        assert_int_equal(notices(town, "tier.over"), days[i].notices);
        assert_int_equal(number(town->db, ARCHIVED_NOW), days[i].archived);
    }
    assert_int_equal(number(town->db, "SELECT count(*) FROM event WHERE kind = 'repo.settings' AND actor_id = 0 AND "
                                      "body = '{\"archived\":true}'"),
                     2);
    GOOD(tier_give(town->db, STR("ada"), STR("large"), 0, err));
    on_day(town, 301);
    assert_int_equal(number(town->db, ARCHIVED_NOW), 0);
    assert_int_equal(notices(town, "tier.room"), 1);
    assert_int_equal(number(town->db, "SELECT count(*) FROM event WHERE body = '{\"archived\":false}'"), 2);
    assert_int_equal(number(town->db, "SELECT count(*) FROM repo"), 3); /* nothing was deleted */
}

static void who_makes_room_in_time_is_not_archived_and_the_days_begin_anew(void **state)
{
    struct town *town = *state;
    move_down(town);
    on_day(town, 210 - 60);
    on_day(town, 210 - 59);
    assert_int_equal(notices(town, "tier.over"), 1);
    use(town, UNIT_STORE_PRIVATE, 0, 100);
    on_day(town, 160);
    use(town, UNIT_STORE_PRIVATE, 0, 101);
    on_day(town, 161);
    on_day(town, 280);
    assert_int_equal(notices(town, "tier.over"), 1);
    on_day(town, 281);
    assert_int_equal(notices(town, "tier.over"), 2);
    assert_int_equal(number(town->db, ARCHIVED_NOW), 0);
}

static void a_hub_that_was_off_for_a_year_sends_its_notices_first(void **state)
{
    struct town *town = *state;
    move_down(town);
    for (int i = 0; i < 3; i++)
        on_day(town, 400);
    assert_int_equal(notices(town, "tier.over"), 1);
    on_day(town, 400 + 59);
    on_day(town, 400 + 60);
    assert_int_equal(number(town->db, ARCHIVED_NOW), 0);
    assert_int_equal(notices(town, "tier.over"), 2);
}

static void too_many_repos_close_all_of_them_and_freed_room_opens_them(void **state)
{
    struct town *town = *state;
    publish(town, "{'slug':'basic','name':'Basic','purpose':'All.','order':1,'limits':[{'unit':'repo.count',"
                  "'scope':'person','hard':2}]}");
    keep(town);
    use(town, UNIT_REPOS, 0, 3);
    for (int day = 0; day <= 180; day += 1)
        on_day(town, day);
    assert_int_equal(number(town->db, ARCHIVED_NOW), 1 + 2 + 3);
    GOOD(over_look_again(town->db, err));
    assert_int_equal(number(town->db, ARCHIVED_NOW), 1 + 2 + 3);
    use(town, UNIT_REPOS, 0, 2);
    GOOD(over_look_again(town->db, err));
    assert_int_equal(number(town->db, ARCHIVED_NOW), 0);
}

static void after_a_downgrade_the_way_up_waits_thirty_days_too(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    on_day(town, 10);
    GOOD(script(town->db, "UPDATE account SET email = 'ada@elsewhere.com'", err));
    on_day(town, 20);
    on_day(town, 51);
    assert_string_equal(has(town), "nothing");
    GOOD(script(town->db, "UPDATE account SET email = 'ada@uni.edu'", err));
    on_day(town, 60);
    assert_string_equal(has(town), "nothing");
    on_day(town, 82);
    assert_string_equal(has(town), "trusted active");
}

static void what_the_board_gives_stays_whatever_the_rules_say(void **state)
{
    struct town *town = *state;
    publish(town, TRUSTED);
    GOOD(script(town->db, "UPDATE account SET email = 'ada@elsewhere.com'", err));
    GOOD(tier_give(town->db, STR("ada"), STR("trusted"), 0, err));
    on_day(town, 100);
    assert_string_equal(has(town), "trusted active");
    EXPECT(NOT_FOUND, tier_give(town->db, STR("ada"), STR("nothing"), 0, err));
    GOOD(tier_give(town->db, STR("ada"), STR("basic"), 0, err));
    assert_string_equal(has(town), "basic active");
}

/* Every pair of state and event, by everybody who can cause one: what is possible is what the table of C12 says. */
static void nothing_is_possible_that_the_table_does_not_have(void **state)
{
    (void)state;
    int possible = 0;
    for (int from = 0; from < ASSIGN_STATES; from++)
        for (int event = 0; event < ASSIGN_EVENTS; event++)
            for (enum mover by = BY_HOLDER; by <= BY_RULE; by *= 2)
                possible += machine_offers(&assign_machine, from, event, by);
    assert_int_equal(possible, 28);
    for (int event = 0; event < ASSIGN_EVENTS; event++)
        for (enum mover by = BY_HOLDER; by <= BY_RULE; by *= 2)
            for (int from = ASSIGN_DOWNGRADED; from < ASSIGN_STATES; from++)
                assert_false(machine_offers(&assign_machine, from, event, by));
    /* Nobody gives oneself a tier, nor lifts one's suspension. */
    for (int from = 0; from < ASSIGN_STATES; from++) {
        assert_false(machine_offers(&assign_machine, from, ASSIGN_ACTIVATE, BY_HOLDER));
        assert_false(machine_offers(&assign_machine, from, ASSIGN_LIFT, BY_HOLDER | BY_RULE));
    }
}

/* Random walks: at any time at most one tier, no move by rule within 30 days of another, versions grow by one a step. */

static void random_walks_keep_what_must_hold(void **state)
{
    struct town *town = *state;
    static const enum mover movers[] = {BY_HOLDER, BY_BOARD, BY_RULE};
    int done = 0;
    publish(town, TRUSTED);
    publish(town, ELDER);
    srandom(17);
    for (int i = 0; i < 1500; i++) {
        struct act act = {town, (enum assign_event)(random() % ASSIGN_EVENTS), movers[random() % 3]};
        if (act.event == ASSIGN_APPLY || act.event == ASSIGN_VERIFY)
            continue;
        town->day += random() % 3;
        clock_travel(town->day * DAY_US);
        if (random() % 8 == 0)
            GOOD(timers_run(town->db, err));
        int64_t before = number(town->db, "SELECT max(moved_us) FROM tier_assign");
        struct error why;
        bool ok = db_write(town->db, act_in_write, &act, &why) == OK;
        int64_t after = number(town->db, "SELECT max(moved_us) FROM tier_assign");
        done += ok;
        if (ok && act.by == BY_RULE && act.event == ASSIGN_ACTIVATE && before > 0 && after != before)
            assert_true(after - before >= ASSIGN_CALM_US);
        assert_true(number(town->db, "SELECT count(*) FROM tier_assign WHERE state IN (3, 4, 5)") <= 1);
    }
    assert_true(done > 100);
    assert_int_equal(number(town->db, "SELECT count(*) FROM event WHERE kind IN ('tier.step', 'access.step', "
                                      "'access.decision')"), /* the last two are appeals and what came of them */
                     number(town->db, "SELECT sum(version - 1) FROM tier_assign"));
}

/* Pools. */

static void pools_are_divided_used_and_what_lies_idle_goes_back(void **state)
{
    struct town *town = *state;
    publish(town, "{'slug':'basic','name':'Basic','purpose':'All.','order':1,'limits':[{'unit':'bytes.store.public',"
                  "'scope':'person','hard':100,'over':'sponsor'}]}");
    GOOD(script(
        town->db,
        "INSERT INTO pool (sponsor_id, name, unit, budget, least, per_s, rules, sha256, created_us) VALUES "
        "(1, 'p', 6, 500, 50, 31622400, '{\"rules\":[{\"rule\":\"address\",\"pattern\":\"*.edu\"}]}', zeroblob(32), 0);"
        "INSERT INTO pool_wish VALUES (1, 1, 300, 0)",
        err));
    /* The first day of a period of 366 days, so that the walk below stays in it. */
    int64_t now = now_us(), period = INT64_C(31622400) * SECOND_US;
    int64_t begin = (now / period + 1) * period - now;
    clock_travel(begin);
    GOOD(pools_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT amount FROM pool_share"), 300);
    GOOD(pools_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT count(*) FROM pool_draw"), 1);
    assert_int_equal(number(town->db, "SELECT count(*) FROM quota_line"), 1);
    GOOD(script(town->db, "INSERT INTO quota_counter VALUES (1, 6, 0, 120, 0)", err));
    clock_travel(begin + 10 * DAY_US);
    GOOD(pools_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT used FROM pool_share"), 20);
    clock_travel(begin + 39 * DAY_US);
    GOOD(pools_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT amount FROM pool_share"), 300);
    clock_travel(begin + 41 * DAY_US);
    GOOD(pools_run(town->db, err));
    assert_int_equal(number(town->db, "SELECT amount FROM pool_share"), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(who_meets_the_rules_moves_up_on_the_day_and_not_before),
        in_town(nobody_moves_by_rule_twice_in_thirty_days),
        in_town(the_way_down_has_a_notice_grace_another_notice_and_then_an_end),
        in_town(who_meets_the_rules_again_in_grace_keeps_the_tier),
        in_town(a_tier_that_asks_for_two_factors_comes_and_goes_with_them),
        in_town(who_has_used_what_there_is_for_thirty_days_moves_up_and_not_after_29),
        in_town(a_look_that_finds_less_begins_the_days_anew),
        in_town(days_of_a_rule_that_nobody_asked_for_meanwhile_do_not_count),
        in_town(of_downloads_every_one_of_the_days_counts),
        in_town(little_soft_limits_are_reckoned_without_loss_and_none_is_never_used),
        in_town(what_is_too_much_is_archived_after_180_days_and_three_notices_and_comes_back),
        in_town(who_makes_room_in_time_is_not_archived_and_the_days_begin_anew),
        in_town(a_hub_that_was_off_for_a_year_sends_its_notices_first),
        in_town(too_many_repos_close_all_of_them_and_freed_room_opens_them),
        in_town(after_a_downgrade_the_way_up_waits_thirty_days_too),
        in_town(what_the_board_gives_stays_whatever_the_rules_say),
        in_town(nothing_is_possible_that_the_table_does_not_have),
        in_town(random_walks_keep_what_must_hold),
        in_town(pools_are_divided_used_and_what_lies_idle_goes_back),
    };
    return cmocka_run_group_tests_name("tier/assign", tests, NULL, NULL);
}

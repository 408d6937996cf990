/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

/* A gate with a licence that ada has accepted. */
static void begin(struct house *house)
{
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    accepts(house, house->ada, "acme/licence", ONE);
}

/* The machine, whole. */

/* Where each event leads from each state when its guards are content; -1: nothing to do with it. */
static const int leads[GRANT_STATES][GRANT_EVENTS] = {
    [GRANT_NEW] = {[GRANT_OPEN] = 1},
    [GRANT_ACTIVE] = {[GRANT_TERMS_MOVED] = 2,
                      [GRANT_ACCEPT] = 1,
                      [GRANT_SUSPEND] = 3,
                      [GRANT_EXPIRE] = 4,
                      [GRANT_RENEW] = 5,
                      [GRANT_REVOKE] = 6,
                      [GRANT_SURRENDER] = 7},
    [GRANT_REACCEPT_DUE] = {[GRANT_TERMS_MOVED] = 2,
                            [GRANT_ACCEPT] = 1,
                            [GRANT_GRACE_OVER] = 3,
                            [GRANT_SUSPEND] = 3,
                            [GRANT_EXPIRE] = 4,
                            [GRANT_RENEW] = 5,
                            [GRANT_REVOKE] = 6,
                            [GRANT_SURRENDER] = 7},
    [GRANT_SUSPENDED] = {[GRANT_ACCEPT] = 1,
                         [GRANT_SUSPEND] = 3,
                         [GRANT_RESUME] = 1,
                         [GRANT_EXPIRE] = 4,
                         [GRANT_REVOKE] = 6,
                         [GRANT_SURRENDER] = 7},
    [GRANT_EXPIRED] = {[GRANT_RENEW] = 5},
    [GRANT_REVOKED] = {[GRANT_APPEAL] = 3},
};

static const char *why_not(int from, int event, int to)
{
    bool offered = false;
    for (size_t i = 0; i < grant_machine.move_count; i++) {
        const struct move *move = &grant_machine.moves[i];
        int leads_to = move->to == TO_SAME ? from : move->to;
        if (move->event == event && move->from == from && leads_to == to)
            offered = true;
    }
    return offered == (to > 0) ? NULL : grant_machine.events[event];
}

static void every_pair_of_state_and_event_is_in_the_table_or_means_nothing(void **unused)
{
    (void)unused;
    for (int from = 0; from < GRANT_STATES; from++)
        for (int event = 0; event < GRANT_EVENTS; event++) {
            bool any = false;
            for (int mover = BY_HOLDER; mover <= BY_RULE; mover *= 2)
                any = any || machine_offers(&grant_machine, from, event, (enum mover)mover);
            assert_int_equal(leads[from][event] > 0, any);
            if (any)
                assert_null(why_not(from, event, leads[from][event]));
        }
}

static void nobody_but_the_holder_gives_up_and_no_holder_revokes(void **unused)
{
    (void)unused;
    for (int from = GRANT_ACTIVE; from <= GRANT_SUSPENDED; from++) {
        assert_false(machine_offers(&grant_machine, from, GRANT_SURRENDER, BY_OWNER));
        assert_false(machine_offers(&grant_machine, from, GRANT_REVOKE, BY_HOLDER));
        assert_false(machine_offers(&grant_machine, from, GRANT_RESUME, BY_HOLDER));
        assert_false(machine_offers(&grant_machine, from, GRANT_EXPIRE, BY_OWNER));
        assert_false(machine_offers(&grant_machine, from, GRANT_SUSPEND, BY_REVIEWER));
    }
}

static void reviewers_end_no_suspension_but_that_of_a_case_that_is_open_again(void **state)
{
    struct house *house = *state;
    int64_t id;
    begin(house);
    GOOD(open_for(house, house->ada, "", 0, &id, err));
    GOOD(act(house, id, GRANT_SUSPEND, BY_BOARD, GRANT_REOPENED, 0, err));
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_REVIEWER, "inquiry", 0, err));
    GOOD(act(house, id, GRANT_RESUME, BY_REVIEWER, GRANT_REOPENED, 0, err));
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_REVIEWER, NULL, 0, err));
    GOOD(act(house, id, GRANT_RESUME, BY_OWNER, "inquiry", 0, err));
    assert_state(GRANT_ACTIVE, id);
}

/* Opening. */

static void one_person_has_one_live_grant_for_one_purpose(void **state)
{
    struct house *house = *state;
    int64_t id, other;
    begin(house);
    GOOD(open_for(house, house->ada, "", 0, &id, err));
    EXPECT(CONFLICT, open_for(house, house->ada, "", 0, &other, err));
    GOOD(open_for(house, house->ada, "teaching", 0, &other, err));
    GOOD(act(house, id, GRANT_SURRENDER, BY_HOLDER, NULL, 0, err));
    GOOD(open_for(house, house->ada, "", 0, &other, err));
    assert_state(GRANT_SURRENDERED, id);
}

static void who_was_added_by_the_owner_reads_nothing_before_accepting(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    int64_t id = opened(house, house->ben, 0);
    assert_int_equal(-1, the_grant(house, id).terms_epoch);
    assert_int_equal(1, told(house, house->ben));
    assert_false(is_let_in(house, house->ben, &why));
    assert_string_equal("terms", why.reason);
    accepts(house, house->ben, "acme/licence", ONE);
    assert_int_equal(0, the_grant(house, id).terms_epoch);
    assert_true(is_let_in(house, house->ben, &why));
    assert_false(is_let_in(house, 999, &why));
}

/* Clocks. */

static void a_grant_ends_by_the_clock_before_any_timer_has_run(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    int64_t id = opened(house, house->ada, 40 * DAY), again;
    go_ahead(house, 40 * DAY - MINUTE_US);
    assert_true(is_let_in(house, house->ada, &why));
    go_ahead(house, 2 * MINUTE_US);
    assert_false(is_let_in(house, house->ada, &why));
    assert_string_equal("expired", why.reason);
    assert_state(GRANT_ACTIVE, id);                                               /* nobody has written it down */
    EXPECT(CONFLICT, act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err)); /* and yet it is over */
    GOOD(open_for(house, house->ada, "", 0, &again, err));
    assert_state(GRANT_EXPIRED, id);
    run_timers(house);
    assert_state(GRANT_ACTIVE, again);
}

static void the_holder_is_reminded_30_7_and_1_days_before_the_end(void **state)
{
    struct house *house = *state;
    begin(house);
    int64_t id = opened(house, house->ada, 100 * DAY), before = told(house, house->ada);
    static const struct {
        int64_t wait_days, notices;
    } days[] = {{69, 0}, {2, 1}, {21, 1}, {2, 2}, {4, 2}, {1, 3}, {2, 4}};
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        go_ahead(house, days[i].wait_days * DAY);
        run_timers(house);
        run_timers(house); /* once more changes nothing */
        assert_int_equal(before + days[i].notices, told(house, house->ada));
    }
    assert_state(GRANT_EXPIRED, id);
    assert_int_equal(1, number(house->db, "SELECT count(*) FROM event WHERE body LIKE '%\"decision\":\"expire\"%'"));
    assert_int_equal(0, number(house->db, "SELECT count(*) FROM timer WHERE kind = 'grant.clock'"));
}

static void a_hub_that_was_off_reminds_once_and_not_of_what_is_over(void **state)
{
    struct house *house = *state;
    begin(house);
    opened(house, house->ada, 100 * DAY);
    int64_t before = told(house, house->ada);
    go_ahead(house, 99 * DAY + DAY / 2);
    run_timers(house);
    assert_int_equal(before + 1, told(house, house->ada));
    go_ahead(house, 300 * DAY);
    run_timers(house);
    assert_int_equal(before + 2, told(house, house->ada));
    assert_int_equal(1, number(house->db, "SELECT count(*) FROM notice WHERE kind = 'grant.expired'"));
}

static void new_terms_leave_a_grace_and_are_asked_for_four_times(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    int64_t id = opened(house, house->ada, 0), before = told(house, house->ada);
    posted(house, "licence", TWO, CHANGE_MATERIAL);
    run_timers(house);
    assert_state(GRANT_REACCEPT_DUE, id);
    static const struct {
        int64_t wait_days, notices;
    } days[] = {{14, 1}, {2, 2}, {6, 2}, {2, 3}, {4, 3}, {0, 3}};
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        go_ahead(house, days[i].wait_days * DAY);
        run_timers(house);
        assert_int_equal(before + days[i].notices, told(house, house->ada));
        assert_true(is_let_in(house, house->ada, &why));
    }
    go_ahead(house, DAY + DAY / 2);
    run_timers(house);
    assert_int_equal(before + 4, told(house, house->ada));
    go_ahead(house, DAY / 2);
    assert_false(is_let_in(house, house->ada, &why));
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
    assert_string_equal("terms", the_grant(house, id).code.data);
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_BOARD, NULL, 0, err)); /* nobody else can accept them */
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_OWNER, "terms", 0, err));
    accepts(house, house->ada, "acme/licence", TWO);
    assert_state(GRANT_ACTIVE, id);
    assert_true(is_let_in(house, house->ada, &why));
    assert_int_equal(0, the_grant(house, id).code.len);
}

static void an_emergency_stops_at_once_also_who_is_not_walked_to_yet(void **state)
{
    struct house *house = *state;
    struct error why;
    struct version_row made;
    begin(house);
    int64_t id = opened(house, house->ada, 0);
    const struct posting posting = {.slug = "licence", .text = TWO, .change = CHANGE_EMERGENCY};
    GOOD(post(house, &posting, &made, err));
    run_timers(house);
    assert_true(is_let_in(house, house->ada, &why)); /* one signature is not enough */
    GOOD(countersign(house, &made, house->ben, err));
    assert_false(is_let_in(house, house->ada, &why));
    assert_state(GRANT_ACTIVE, id);
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
    accepts(house, house->ada, "acme/licence", TWO);
    assert_true(is_let_in(house, house->ada, &why));
}

static void who_begins_while_new_terms_wait_has_their_grace(void **state)
{
    struct house *house = *state;
    struct version_row made;
    begin(house);
    opened(house, house->ben, 0);
    const struct posting later = {.slug = "licence",
                                  .text = TWO,
                                  .change = CHANGE_MATERIAL,
                                  .effective_us = now_us() + 5 * DAY,
                                  .grace_us = 10 * DAY};
    GOOD(post(house, &later, &made, err));
    int64_t id = opened(house, house->ada, 0);
    assert_state(GRANT_REACCEPT_DUE, id);
    go_ahead(house, 16 * DAY);
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
}

/* Suspension. */

static void a_suspension_with_an_end_ends_by_itself_and_others_do_not(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    int64_t id = opened(house, house->ada, 0);
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", now_us() + 3 * DAY, err));
    GOOD(act(house, id, GRANT_SUSPEND, BY_BOARD, "harm", 0, err));
    assert_string_equal("harm", the_grant(house, id).code.data);
    assert_false(is_let_in(house, house->ada, &why));
    go_ahead(house, 4 * DAY);
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err)); /* the board's is not theirs to end */
    EXPECT(FORBIDDEN, act(house, id, GRANT_RESUME, BY_HOLDER, NULL, 0, err));
    GOOD(act(house, id, GRANT_RESUME, BY_BOARD, "harm", 0, err));
    assert_state(GRANT_ACTIVE, id);
    assert_true(is_let_in(house, house->ada, &why));
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", now_us() + 3 * DAY, err));
    go_ahead(house, 4 * DAY);
    assert_true(is_let_in(house, house->ada, &why)); /* by the clock */
    run_timers(house);
    assert_state(GRANT_ACTIVE, id);
    EXPECT(CONFLICT, act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err));
}

static void a_suspension_takes_a_reason(void **state)
{
    struct house *house = *state;
    begin(house);
    int64_t id = opened(house, house->ada, 0);
    EXPECT(INVALID, act(house, id, GRANT_SUSPEND, BY_OWNER, NULL, 0, err));
    EXPECT(INVALID, act(house, id, GRANT_SUSPEND, BY_OWNER, "Not A Word", 0, err));
    EXPECT(INVALID, act(house, id, GRANT_SUSPEND, BY_OWNER, "terms", 0, err));
    EXPECT(INVALID, act(house, id, GRANT_SUSPEND, BY_OWNER, "late", now_us() - 1, err));
    EXPECT(INVALID, act(house, id, GRANT_REVOKE, BY_OWNER, NULL, 0, err));
    assert_state(GRANT_ACTIVE, id);
}

static void an_inquiry_does_not_end_by_waiting_for_the_grant_to_expire(void **state)
{
    struct house *house = *state;
    begin(house);
    int64_t id = opened(house, house->ada, 10 * DAY);
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    go_ahead(house, 20 * DAY);
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
    GOOD(act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err));
    assert_state(GRANT_EXPIRED, id);
}

static void what_ended_the_suspension_late_finds_the_terms_that_came_meanwhile(void **state)
{
    struct house *house = *state;
    begin(house);
    int64_t id = opened(house, house->ada, 0);
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    posted(house, "licence", TWO, CHANGE_MATERIAL);
    go_ahead(house, DAY);
    run_timers(house);
    GOOD(act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err));
    assert_state(GRANT_REACCEPT_DUE, id);
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    go_ahead(house, 40 * DAY);
    GOOD(act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err));
    assert_state(GRANT_SUSPENDED, id);
    assert_string_equal("terms", the_grant(house, id).code.data);
    accepts(house, house->ada, "acme/licence", TWO);
    assert_state(GRANT_ACTIVE, id);
}

/* Ends. */

static void what_was_revoked_or_given_up_never_comes_back(void **state)
{
    struct house *house = *state;
    begin(house);
    for (int end = 0; end < 2; end++) {
        int64_t id = opened(house, house->ada, 100 * DAY), other;
        if (end == 0)
            GOOD(act(house, id, GRANT_REVOKE, BY_OWNER, "misuse", 0, err));
        else
            GOOD(act(house, id, GRANT_SURRENDER, BY_HOLDER, NULL, 0, err));
        for (int event = GRANT_TERMS_MOVED; event < GRANT_EVENTS; event++)
            for (int mover = BY_HOLDER; mover <= BY_RULE; mover *= 2)
                if (event != GRANT_RENEW && event != GRANT_APPEAL)
                    EXPECT(CONFLICT, act(house, id, (enum grant_event)event, (enum mover)mover, "why", 0, err));
        EXPECT(CONFLICT, renew(house, id, DAY, 400 * DAY, &other, err));
    }
}

static void a_revocation_under_appeal_is_a_suspension_until_it_is_decided(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    int64_t id = opened(house, house->ada, 0);
    GOOD(act(house, id, GRANT_REVOKE, BY_OWNER, "misuse", 0, err));
    EXPECT(FORBIDDEN, act(house, id, GRANT_APPEAL, BY_HOLDER, "appeal", 0, err));
    GOOD(act(house, id, GRANT_APPEAL, BY_RULE, "appeal", 0, err));
    assert_state(GRANT_SUSPENDED, id);
    assert_false(is_let_in(house, house->ada, &why));
    GOOD(act(house, id, GRANT_RESUME, BY_RULE, "appeal", 0, err));
    assert_true(is_let_in(house, house->ada, &why));
    GOOD(act(house, id, GRANT_SURRENDER, BY_HOLDER, NULL, 0, err));
    EXPECT(CONFLICT, act(house, id, GRANT_APPEAL, BY_RULE, "appeal", 0, err));
}

static void a_grant_is_renewed_within_its_window_and_not_after(void **state)
{
    struct house *house = *state;
    struct error why;
    int64_t second, third, none;
    begin(house);
    int64_t first = opened(house, house->ada, 10 * DAY);
    GOOD(renew(house, first, 20 * DAY, 30 * DAY, &second, err));
    assert_state(GRANT_SUPERSEDED, first);
    assert_state(GRANT_ACTIVE, second);
    EXPECT(CONFLICT, renew(house, first, 20 * DAY, 30 * DAY, &none, err));
    go_ahead(house, 49 * DAY);
    run_timers(house);
    assert_state(GRANT_EXPIRED, second);
    GOOD(renew(house, second, 20 * DAY, 30 * DAY, &third, err));
    assert_true(is_let_in(house, house->ada, &why));
    go_ahead(house, 51 * DAY);
    EXPECT(UNPROCESSABLE, renew(house, third, 20 * DAY, 30 * DAY, &none, err));
    run_timers(house);
    assert_state(GRANT_EXPIRED, third);
    assert_int_equal(2, number(house->db, "SELECT count(*) FROM event WHERE body LIKE '%\"decision\":\"renew\"%'"));
}

static void one_event_is_appended_for_each_step(void **state)
{
    struct house *house = *state;
    begin(house);
    int64_t events = number(house->db, "SELECT count(*) FROM event");
    int64_t id = opened(house, house->ada, 0);
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    GOOD(act(house, id, GRANT_RESUME, BY_OWNER, NULL, 0, err));
    GOOD(act(house, id, GRANT_REVOKE, BY_OWNER, "misuse", 0, err));
    assert_int_equal(events + 4, number(house->db, "SELECT count(*) FROM event"));
    assert_int_equal(0, number(house->db, "SELECT count(*) FROM event WHERE body LIKE '%because%'"));
}

/* Walks. */

static int64_t writes_of(struct house *house)
{
    struct db_stats stats;
    db_stats(house->db, &stats);
    return stats.writes;
}

static void a_walk_comes_to_everybody_in_short_writes(void **state)
{
    struct house *house = *state;
    begin(house);
    GOOD(script(
        house->db,
        "INSERT INTO access_grant (gate_id, account_id, state, version, terms_epoch, by_id, created_us, changed_us) "
        "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1999) "
        "SELECT 1, i, 1, 1, 0, 0, 0, 0 FROM n;"
        "INSERT INTO terms_acceptance (account_id, doc_id, seq, sha256, lang, gate_id, request_id, method, at_us) "
        "SELECT account_id, 1, 1, zeroblob(32), 'en', 1, 0, 'api', 0 FROM access_grant",
        err));
    posted(house, "licence", TWO, CHANGE_MATERIAL);
    int64_t writes = writes_of(house), events = number(house->db, "SELECT count(*) FROM event");
    run_timers(house);
    int64_t steps = number(house->db, "SELECT count(*) FROM event") - events;
    assert_int_equal(1000, steps);
    assert_true(writes_of(house) - writes >= steps / 300);
    assert_int_equal(1000, number(house->db, "SELECT count(*) FROM access_grant WHERE state = 2"));
    assert_int_equal(1000, number(house->db, "SELECT count(*) FROM notice"));
    assert_int_equal(0, number(house->db, "SELECT count(*) FROM terms_walk"));
    posted(house, "licence", TWO "You may print it.\n", CHANGE_MINOR);
    run_timers(house);
    assert_int_equal(2000, number(house->db, "SELECT count(*) FROM notice"));
    assert_int_equal(1000, number(house->db, "SELECT count(*) FROM access_grant WHERE state = 2"));
}

/* As access/bytes.c asks; an index that fits worse and looks better would make the door walk all grants of a gate, and one that
 * lacks a column would make it read rows. */
static void the_door_finds_a_persons_grant_without_looking_at_others(void **state)
{
    struct house *house = *state;
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(house->db, &conn, err));
    GOOD(db_prepare(conn,
                    "EXPLAIN QUERY PLAN SELECT id, state, not_before_us, expires_us, terms_epoch FROM access_grant "
                    "WHERE account_id = 1 AND gate_id = 1",
                    &row, err));
    struct str plan = arena_copy(house->arena, stmt_next(row) ? stmt_str(row, 3) : STR(""));
    bool more = stmt_next(row);
    GOOD(stmt_end(row, err));
    stmt_release(&row);
    db_release(&conn);
    assert_has(plan, "COVERING INDEX");
    assert_has(plan, "gate_id=?");
    assert_has(plan, "account_id=?");
    assert_false(more);
}

static void a_text_that_is_no_longer_asked_for_is_no_longer_due(void **state)
{
    struct house *house = *state;
    struct error why;
    begin(house);
    posted(house, "privacy", ONE, CHANGE_MATERIAL);
    int64_t id = opened(house, house->ada, 0);
    bind_to(house, house->gate, 0, "acme/licence", "acme/privacy");
    run_timers(house);
    assert_state(GRANT_REACCEPT_DUE, id);
    assert_true(due_at_the_door(house, house->ada) > now_us());
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    assert_int_equal(0, due_at_the_door(house, house->ada));
    bind_to(house, house->gate, 0, "acme/licence", "acme/privacy");
    go_ahead(house, 31 * DAY);
    run_timers(house);
    assert_state(GRANT_SUSPENDED, id);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    run_timers(house);
    assert_state(GRANT_ACTIVE, id);
    assert_true(is_let_in(house, house->ada, &why));
}

static enum status forget(struct db_conn *tx, void *account_id, struct error *err)
{
    TRY(grant_erase(tx, *(const int64_t *)account_id, err));
    return db_run_each(tx, grant_forgets, *(const int64_t *)account_id, err);
}

static void forgetting_a_person_ends_grants_without_a_word_about_them(void **state)
{
    struct house *house = *state;
    int64_t id;
    begin(house);
    GOOD(open_for(house, house->ada, "my own study", 0, &id, err));
    GOOD(act(house, id, GRANT_SUSPEND, BY_OWNER, "inquiry", 0, err));
    int64_t decisions = number(house->db, "SELECT count(*) FROM event WHERE kind = 'access.decision'");
    int64_t notices = told(house, house->ada);
    GOOD(db_write(house->db, forget, &house->ada, err));
    assert_state(GRANT_SURRENDERED, id);
    assert_int_equal(0, the_grant(house, id).purpose.len);
    assert_int_equal(0, the_grant(house, id).text.len);
    assert_int_equal(decisions, number(house->db, "SELECT count(*) FROM event WHERE kind = 'access.decision'"));
    assert_int_equal(notices, told(house, house->ada));
    assert_int_equal(0, number(house->db, "SELECT count(*) FROM grant_cause"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event_is_in_the_table_or_means_nothing),
        cmocka_unit_test(nobody_but_the_holder_gives_up_and_no_holder_revokes),
        in_house(reviewers_end_no_suspension_but_that_of_a_case_that_is_open_again),
        in_house(one_person_has_one_live_grant_for_one_purpose),
        in_house(who_was_added_by_the_owner_reads_nothing_before_accepting),
        in_house(a_grant_ends_by_the_clock_before_any_timer_has_run),
        in_house(the_holder_is_reminded_30_7_and_1_days_before_the_end),
        in_house(a_hub_that_was_off_reminds_once_and_not_of_what_is_over),
        in_house(new_terms_leave_a_grace_and_are_asked_for_four_times),
        in_house(an_emergency_stops_at_once_also_who_is_not_walked_to_yet),
        in_house(who_begins_while_new_terms_wait_has_their_grace),
        in_house(a_suspension_with_an_end_ends_by_itself_and_others_do_not),
        in_house(a_suspension_takes_a_reason),
        in_house(an_inquiry_does_not_end_by_waiting_for_the_grant_to_expire),
        in_house(what_ended_the_suspension_late_finds_the_terms_that_came_meanwhile),
        in_house(what_was_revoked_or_given_up_never_comes_back),
        in_house(a_revocation_under_appeal_is_a_suspension_until_it_is_decided),
        in_house(a_grant_is_renewed_within_its_window_and_not_after),
        in_house(one_event_is_appended_for_each_step),
        in_house(a_walk_comes_to_everybody_in_short_writes),
        in_house(the_door_finds_a_persons_grant_without_looking_at_others),
        in_house(a_text_that_is_no_longer_asked_for_is_no_longer_due),
        in_house(forgetting_a_person_ends_grants_without_a_word_about_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

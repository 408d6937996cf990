/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "court.h"
#include "gate/clock.h"

/* A gate with two reviewers who are no beginners any more. */
static void two_old_hands(struct desk *desk, const char *policy)
{
    GOOD(set_policy(desk, policy, err));
    struct access_request first = asked(desk, desk->people[5], "{\"draft\":true}");
    for (int i = 0; i < 2; i++) {
        appoint(desk, desk->people[i], "reviewer", 1000);
        give_past(desk, desk->people[i], first.id, 20, "NULL", 0);
    }
}

static enum request_state after(struct desk *desk, const char *body)
{
    struct access_request request = asked(desk, desk->people[4], "{}");
    assert_int_equal(request.state, REQUEST_IN_REVIEW);
    GOOD(verdict(desk, request.id, body, err));
    enum request_state state = state_of(desk, request.id);
    if (state <= REQUEST_ADJUDICATION) {
        request = read_request(desk, request.id);
        GOOD(act(desk, &request, REQUEST_WITHDRAW, BY_HOLDER, "", err));
    }
    return state;
}

/* When a second look is needed. */

static void an_old_hands_verdict_stands_alone(void **state)
{
    two_old_hands(*state, "{\"mode\":\"manual\",\"risk\":2,\"secondRatePpm\":0}");
    assert_int_equal(after(*state, REFUSAL), REQUEST_REFUSED);
    assert_int_equal(number_of(*state, "SELECT count(*) FROM event WHERE kind = 'access.decision' AND body LIKE "
                                       "'%\"decision\":\"deny\",\"basis\":\"review\"%'"),
                     1);
}

static void all_reviewers_may_leave_and_the_second_look_is_still_given_to_somebody(void **state)
{
    struct desk *desk = *state;
    struct str key;
    two_old_hands(desk, "{\"mode\":\"manual\",\"risk\":3}");
    struct access_request request = asked(desk, desk->people[4], "{}");
    GOOD(verdict(desk, request.id, APPROVAL, err));
    run(desk, STR("DELETE FROM gate_reviewer; UPDATE review_assignment SET state = 3 WHERE state = 1"));
    request = read_request(desk, request.id);
    GOOD(act(desk, &request, REQUEST_RECUSE, BY_RULE, "", err));
    assert_int_equal(holder_of(desk, request.id, &key), desk->owner);
    GOOD(verdict(desk, request.id, APPROVAL, err));
    assert_int_equal(state_of(desk, request.id), REQUEST_APPROVED);
}

static void a_beginners_does_not(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"secondRatePpm\":0}", err));
    appoint(desk, desk->people[0], "reviewer", 10);
    appoint(desk, desk->people[1], "reviewer", 10);
    assert_int_equal(after(desk, APPROVAL), REQUEST_SECOND_REVIEW);
}

static void at_risk_three_every_verdict_is_looked_at_twice(void **state)
{
    two_old_hands(*state, "{\"mode\":\"manual\",\"risk\":3,\"secondRatePpm\":0}");
    assert_int_equal(after(*state, APPROVAL), REQUEST_SECOND_REVIEW);
}

static void a_refusal_is_where_the_gate_says_so(void **state)
{
    two_old_hands(*state, "{\"mode\":\"manual\",\"secondRatePpm\":0,\"secondOnRefuse\":true}");
    assert_int_equal(after(*state, REFUSAL), REQUEST_SECOND_REVIEW);
    assert_int_equal(after(*state, APPROVAL), REQUEST_APPROVED);
}

static void a_departure_from_the_rubric_is_always(void **state)
{
    two_old_hands(*state, "{\"mode\":\"manual\",\"secondRatePpm\":0}");
    assert_int_equal(after(*state, OVERRIDE), REQUEST_SECOND_REVIEW);
}

static void the_sample_is_what_the_seed_says_and_anybody_can_recompute(void **state)
{
    struct desk *desk = *state;
    int seconds = 0;
    uint8_t seed[SHA256_SIZE];
    two_old_hands(desk, "{\"mode\":\"manual\",\"secondRatePpm\":300000,\"reapplyDays\":0,\"reapplyMost\":100}");
    for (int i = 0; i < 60; i++) {
        struct access_request request = asked(desk, desk->people[4], "{}");
        auto_conn struct db_conn *conn = NULL;
        GOOD(verdict(desk, request.id, REFUSAL, err));
        GOOD(db_reader(desk->db, &conn, err));
        GOOD(seed_get(conn, seed_month(&desk->arena, now_us()), seed, err));
        bool drawn = draw_place(seed, request.id, request.cycle) < 300000;
        assert_int_equal(state_of(desk, request.id), drawn ? REQUEST_SECOND_REVIEW : REQUEST_REFUSED);
        seconds += drawn;
        if (drawn) {
            GOOD(verdict(desk, request.id, REFUSAL, err));
            assert_int_equal(state_of(desk, request.id), REQUEST_REFUSED);
        }
    }
    assert_in_range(seconds, 1, 59);
}

static int64_t rate_of_reviewer(struct desk *desk, int64_t who)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t rate = 0;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(review_rate(conn, desk->gate.id, who, 100000, &rate, err));
    return rate;
}

static void who_often_disagrees_or_is_overturned_is_looked_at_in_half_of_the_cases(void **state)
{
    struct desk *desk = *state;
    struct access_request first = asked(desk, desk->people[5], "{\"draft\":true}");
    give_past(desk, desk->people[0], first.id, 20, "1", 0);
    give_past(desk, desk->people[1], first.id, 10, "0", 0);
    give_past(desk, desk->people[2], first.id, 4, "0", 0); /* too few to say anything */
    give_past(desk, desk->people[3], first.id, 6, "NULL", 1);
    assert_int_equal(rate_of_reviewer(desk, desk->people[0]), 100000);
    assert_int_equal(rate_of_reviewer(desk, desk->people[1]), 500000);
    assert_int_equal(rate_of_reviewer(desk, desk->people[2]), 100000);
    assert_int_equal(rate_of_reviewer(desk, desk->people[3]), 500000);
}

static void agreement_is_kept_with_both_verdicts(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"secondRatePpm\":0}", err));
    for (int i = 0; i < 3; i++)
        appoint(desk, desk->people[i], "reviewer", 10);
    struct access_request same = asked(desk, desk->people[4], "{}"), other = asked(desk, desk->people[5], "{}");
    GOOD(verdict(desk, same.id, APPROVAL, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM review_verdict WHERE agreed IS NOT NULL"), 0);
    GOOD(verdict(desk, same.id, APPROVAL, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM review_verdict WHERE agreed = 1"), 2);
    GOOD(verdict(desk, other.id, APPROVAL, err));
    GOOD(verdict(desk, other.id, REFUSAL, err));
    GOOD(verdict(desk, other.id, REFUSAL, err)); /* the third: the second was right */
    assert_int_equal(state_of(desk, other.id), REQUEST_REFUSED);
    assert_int_equal(number_of(desk, "SELECT agreed * 10 + slot FROM review_verdict WHERE outcome = 1 AND agreed = 0"),
                     1);
    assert_int_equal(number_of(desk, "SELECT agreed * 10 + slot FROM review_verdict WHERE outcome = 2 AND agreed = 1"),
                     12);
}

/* Draws from the database. */

static void every_candidate_is_drawn_and_nobody_else(void **state)
{
    struct desk *desk = *state;
    auto_conn struct db_conn *conn = NULL;
    bool drawn[PEOPLE] = {false};
    for (int i = 0; i < 4; i++)
        appoint(desk, desk->people[i], "reviewer", 5);
    appoint(desk, desk->people[5], "screener", 5);
    struct access_request request = {.gate_id = desk->gate.id, .applicant_id = desk->people[0], .cycle = 1};
    GOOD(db_reader(desk->db, &conn, err));
    for (int i = 0; i < 400; i++) {
        int64_t who = 0;
        GOOD(draw_from(conn, &request, "reviewer", &who, err));
        for (int p = 0; p < PEOPLE; p++)
            drawn[p] |= who == desk->people[p];
    }
    assert_false(drawn[0]); /* the applicant */
    assert_true(drawn[1] && drawn[2] && drawn[3]);
    assert_false(drawn[4] || drawn[5]);
}

/* Calibration. */

/* Decided cases of the past, judged by the fourth person. */
static void give_decided(struct desk *desk, int count, const char *affiliation, int approved)
{
    run(desk, arena_printf(&desk->arena,
                           "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO "
                           "access_request (gate_id, applicant_id, purpose, state, back, version, cycle, policy_seq, "
                           "renews_id, by_owner, opened_us, state_since_us, submitted_us, decided_us, clock_used_us, "
                           "clock_since_us, due_us, outcome, code, answers_sha256, form_sha256) SELECT %lld, %lld, "
                           "'%s' || i, %d, 0, 1, 1, 1, 0, 0, 1, 1, 1, %lld, 0, 0, 0, %d, '', x'', x'' FROM n",
                           count, (long long)desk->gate.id, (long long)desk->people[5], affiliation, approved ? 7 : 8,
                           (long long)now_us(), approved ? 1 : 2));
    run(desk,
        arena_printf(&desk->arena,
                     "INSERT INTO review_case (request_id, gate_id, cycle, month, begun_us, affiliation) SELECT id, "
                     "gate_id, 1, '', 1, '%s' FROM access_request WHERE purpose LIKE '%s%%'",
                     affiliation, affiliation));
    run(desk, arena_printf(&desk->arena,
                           "INSERT INTO review_assignment (key, gate_id, request_id, cycle, slot, account_id, alias, "
                           "state, assigned_us) SELECT hex(randomblob(8)), gate_id, id, 1, 1, %lld, 'x', 2, 1 FROM "
                           "access_request WHERE purpose LIKE '%s%%'",
                           (long long)desk->people[3], affiliation));
    run(desk, STR("INSERT INTO review_verdict (assignment_id, gate_id, request_id, cycle, slot, account_id, scores, "
                  "recommended, outcome, codes, note, note_to_applicant, override_reason, filed_us) SELECT a.id, "
                  "a.gate_id, a.request_id, 1, 1, a.account_id, '{}', q.outcome, q.outcome, '[]', '', '', '', 1 FROM "
                  "review_assignment a JOIN access_request q ON q.id = a.request_id WHERE NOT EXISTS (SELECT 1 FROM "
                  "review_verdict v WHERE v.assignment_id = a.id)"));
}

struct calibrating {
    struct desk *desk;
    struct access_request request;
    int times;
};

static enum status calibrate_in(struct db_conn *tx, void *context, struct error *err)
{
    struct calibrating *what = context;
    for (int i = 0; i < what->times; i++)
        TRY(calibration_perhaps(tx, &what->desk->arena, &what->request, what->desk->people[0], err));
    return OK;
}

static void between_two_and_five_percent_of_what_is_handed_out_is_decided_already(void **state)
{
    struct desk *desk = *state;
    give_decided(desk, 190, "a", 1);
    struct calibrating what = {.desk = desk, .request = {.gate_id = desk->gate.id}, .times = 3000};
    GOOD(db_write(desk->db, calibrate_in, &what, err));
    int64_t extra = number_of(desk, "SELECT count(*) FROM review_assignment WHERE slot = 5");
    /* 3 % of 3000 + extra: 92.8 are expected; seven standard deviations are 66. */
    assert_in_range(extra, 3000 * 2 / 98 - 20, 3000 * 5 / 95);
    assert_int_equal(
        number_of(desk,
                  "SELECT count(*) FROM review_assignment a JOIN review_assignment b ON b.request_id = a.request_id "
                  "AND b.account_id = a.account_id AND b.id < a.id"),
        0);
}

static void a_calibration_case_decides_nothing_and_tells_how_it_was(void **state)
{
    struct desk *desk = *state;
    struct filed filed = {.desk = desk, .account_id = desk->people[0], .body = REFUSAL};
    give_decided(desk, 100, "a", 1);
    struct calibrating what = {.desk = desk, .request = {.gate_id = desk->gate.id}, .times = 2000};
    GOOD(db_write(desk->db, calibrate_in, &what, err));
    int64_t before = number_of(desk, "SELECT sum(version) FROM access_request");
    {
        auto_conn struct db_conn *conn = NULL;
        auto_stmt struct stmt *row = NULL;
        GOOD(db_reader(desk->db, &conn, err));
        GOOD(db_prepare(conn, "SELECT key FROM review_assignment WHERE slot = 5 LIMIT 1", &row, err));
        assert_true(stmt_next(row));
        filed.key = arena_copy(&desk->arena, stmt_str(row, 0));
    }
    GOOD(db_write(desk->db, file_in, &filed, err));
    assert_int_equal(number_of(desk, "SELECT sum(version) FROM access_request"), before);
    assert_int_equal(number_of(desk, "SELECT agreed FROM review_verdict WHERE slot = 5"), 0);
    assert_int_equal(db_write(desk->db, file_in, &filed, NULL), CONFLICT);
}

/* Figures. */

static void a_group_that_stands_out_becomes_a_task_and_a_small_one_does_not(void **state)
{
    struct desk *desk = *state;
    give_decided(desk, 40, "academic", 1);
    give_decided(desk, 40, "industry", 0);
    give_decided(desk, 19, "other", 0);
    run(desk, arena_printf(&desk->arena,
                           "INSERT INTO timer (kind, ref, due_us, try_us) VALUES ('review.figures', %lld, 1, 1)",
                           (long long)desk->gate.id));
    GOOD(timers_run(desk->db, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM notice WHERE kind = 'review.figures'"), 2);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM notice WHERE text LIKE '%\"other\"%'"), 0);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM timer WHERE kind = 'review.figures'"), 1); /* next month */
}

static void groups_that_are_alike_raise_nothing(void **state)
{
    struct desk *desk = *state;
    give_decided(desk, 30, "academic", 1);
    give_decided(desk, 30, "industry", 1);
    run(desk, arena_printf(&desk->arena,
                           "INSERT INTO timer (kind, ref, due_us, try_us) VALUES ('review.figures', %lld, 1, 1)",
                           (long long)desk->gate.id));
    GOOD(timers_run(desk->db, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM notice WHERE kind = 'review.figures'"), 0);
}

/* Clocks, for a gate whose owner judges alone too. */

#define HOUR_US (3600 * SECOND_US)

/* The clock then stands at a Monday's first hour. */
static int64_t monday(void)
{
    clock_travel(0);
    int64_t at_us = now_us(), week = 7 * WORKDAY_US;
    return (at_us / week + 2) * week + 4 * WORKDAY_US + HOUR_US - at_us;
}

static int64_t told(struct desk *desk, const char *kind)
{
    return number_of(
        desk,
        arena_cstr(&desk->arena, arena_printf(&desk->arena, "SELECT count(*) FROM notice WHERE kind = '%s'", kind)));
}

static void each_threshold_of_the_clock_does_its_thing_once_and_in_its_time(void **state)
{
    struct desk *desk = *state;
    static const int64_t limits[] = {5, 5, 10, 15, 15};
    struct account_new board = {.kind = ACCOUNT_USER, .name = STR("board"), .is_admin = true};
    int64_t board_id, start;
    GOOD(account_create(desk->db, &board, 0, &board_id, err));
    for (int risk = 0; risk <= 4; risk++) {
        static const struct {
            int percent;
            const char *kind;
        } steps[] = {{50, "review.nudge"}, {80, "review.slow"}, {200, "review.overdue"}};
        char policy[64];
        run(desk, STR("DELETE FROM notice; DELETE FROM timer"));
        snprintf(policy, sizeof policy, "{\"mode\":\"manual\",\"risk\":%d}", risk);
        GOOD(set_policy(desk, policy, err));
        later(desk, start = monday());
        struct access_request request = asked(desk, desk->people[risk], "{}");
        int64_t begun = request.clock_since_us, limit = limits[risk] * WORKDAY_US;
        /* somebody has looked, so that the first look's clock says nothing */
        run(desk, arena_printf(&desk->arena, "UPDATE review_case SET touched_us = 1 WHERE request_id = %lld",
                               (long long)request.id));
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            int64_t due = clock_due(begun, limit * steps[i].percent / 100) - begun;
            later(desk, start + due - HOUR_US);
            assert_int_equal(told(desk, steps[i].kind), 0);
            later(desk, start + due + 60 * SECOND_US);
            assert_int_equal(told(desk, steps[i].kind), 1);
            later(desk, start + due + 120 * SECOND_US);
            assert_int_equal(told(desk, steps[i].kind), 1);
            int64_t late =
                number_of(desk, "SELECT max(late) FROM review_case c JOIN access_request q ON q.id = c.request_id "
                                "WHERE q.state = 3");
            assert_int_equal(late, steps[i].percent > 100);
        }
        assert_int_equal(state_of(desk, request.id), REQUEST_IN_REVIEW);
        request = read_request(desk, request.id);
        GOOD(act(desk, &request, REQUEST_WITHDRAW, BY_HOLDER, "", err));
    }
}

static void a_hub_that_slept_climbs_all_steps_in_their_order(void **state)
{
    struct desk *desk = *state;
    int64_t start = monday();
    clock_travel(start);
    appoint(desk, desk->people[0], "reviewer", 5);
    appoint(desk, desk->people[1], "reviewer", 5);
    struct access_request request = asked(desk, desk->people[4], "{}");
    struct str key;
    int64_t first = holder_of(desk, request.id, &key);
    later(desk, start + 60 * WORKDAY_US);
    assert_int_equal(told(desk, "review.slow"), 2); /* of the first look, and of the decision */
    assert_true(told(desk, "review.redrawn") >= 1);
    assert_true(holder_of(desk, request.id, &key) != 0);
    assert_int_equal(number_of(desk, "SELECT level FROM review_case"), 4);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM timer WHERE kind = 'review.clock'"), 0);
    (void)first;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        at_desk(an_old_hands_verdict_stands_alone),
        at_desk(all_reviewers_may_leave_and_the_second_look_is_still_given_to_somebody),
        at_desk(a_beginners_does_not),
        at_desk(at_risk_three_every_verdict_is_looked_at_twice),
        at_desk(a_refusal_is_where_the_gate_says_so),
        at_desk(a_departure_from_the_rubric_is_always),
        at_desk(the_sample_is_what_the_seed_says_and_anybody_can_recompute),
        at_desk(who_often_disagrees_or_is_overturned_is_looked_at_in_half_of_the_cases),
        at_desk(agreement_is_kept_with_both_verdicts),
        at_desk(every_candidate_is_drawn_and_nobody_else),
        at_desk(between_two_and_five_percent_of_what_is_handed_out_is_decided_already),
        at_desk(a_calibration_case_decides_nothing_and_tells_how_it_was),
        at_desk(a_group_that_stands_out_becomes_a_task_and_a_small_one_does_not),
        at_desk(groups_that_are_alike_raise_nothing),
        at_desk(each_threshold_of_the_clock_does_its_thing_once_and_in_its_time),
        at_desk(a_hub_that_slept_climbs_all_steps_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

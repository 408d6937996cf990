/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "desk.h"

/* The table, against access.md C3: event, from, to, who. "*" is any state that is open. */
static const struct {
    enum request_event event;
    int from, to;
    unsigned by;
} wanted[] = {
    {REQUEST_SAVE, REQUEST_DRAFT, REQUEST_DRAFT, BY_HOLDER},                        /* R1 */
    {REQUEST_SUBMIT, REQUEST_DRAFT, REQUEST_SCREENING, BY_HOLDER},                  /* R2 */
    {REQUEST_ADD, REQUEST_DRAFT, REQUEST_APPROVED, BY_OWNER | BY_RULE},             /* C4 */
    {REQUEST_BAR, REQUEST_SCREENING, REQUEST_REFUSED, BY_RULE},                     /* C9.2 */
    {REQUEST_CLEAR, REQUEST_SCREENING, REQUEST_APPROVED, BY_RULE},                  /* R3 */
    {REQUEST_MISSING, REQUEST_SCREENING, REQUEST_VERIFY_WAIT, BY_RULE},             /* R4 */
    {REQUEST_CHECKED, REQUEST_VERIFY_WAIT, REQUEST_SCREENING, BY_HOLDER | BY_RULE}, /* R5 */
    {REQUEST_HUMAN, REQUEST_SCREENING, REQUEST_IN_REVIEW, BY_RULE},                 /* R6 */
    {REQUEST_ASK, REQUEST_IN_REVIEW, REQUEST_INFO_WAIT, BY_REVIEWER | BY_OWNER},    /* R7 */
    {REQUEST_ASK, REQUEST_SECOND_REVIEW, REQUEST_INFO_WAIT, BY_REVIEWER},           /* R7 */
    {REQUEST_ANSWER, REQUEST_INFO_WAIT, TO_BACK, BY_HOLDER},                        /* R8 */
    {REQUEST_NO_ANSWER, REQUEST_INFO_WAIT, REQUEST_LAPSED, BY_RULE},                /* R9 */
    {REQUEST_NO_ANSWER, REQUEST_VERIFY_WAIT, REQUEST_LAPSED, BY_RULE},              /* R9 */
    {REQUEST_VERDICT, REQUEST_IN_REVIEW, REQUEST_APPROVED, BY_REVIEWER | BY_OWNER}, /* R10 */
    {REQUEST_VERDICT, REQUEST_IN_REVIEW, REQUEST_REFUSED, BY_REVIEWER | BY_OWNER},  /* R10 */
    {REQUEST_VERDICT, REQUEST_IN_REVIEW, REQUEST_SECOND_REVIEW, BY_REVIEWER},       /* R11 */
    {REQUEST_VERDICT, REQUEST_SECOND_REVIEW, REQUEST_APPROVED, BY_REVIEWER},        /* R12 */
    {REQUEST_VERDICT, REQUEST_SECOND_REVIEW, REQUEST_REFUSED, BY_REVIEWER},         /* R12 */
    {REQUEST_VERDICT, REQUEST_SECOND_REVIEW, REQUEST_ADJUDICATION, BY_REVIEWER},    /* R13 */
    {REQUEST_VERDICT, REQUEST_ADJUDICATION, REQUEST_APPROVED, BY_REVIEWER},         /* R14 */
    {REQUEST_VERDICT, REQUEST_ADJUDICATION, REQUEST_REFUSED, BY_REVIEWER},          /* R14 */
    {REQUEST_VERDICT, REQUEST_INFO_WAIT, REQUEST_APPROVED, BY_OWNER},               /* 1.9: pending */
    {REQUEST_VERDICT, REQUEST_INFO_WAIT, REQUEST_REFUSED, BY_OWNER},
    {REQUEST_VERDICT, REQUEST_VERIFY_WAIT, REQUEST_APPROVED, BY_OWNER},
    {REQUEST_VERDICT, REQUEST_VERIFY_WAIT, REQUEST_REFUSED, BY_OWNER},
    {REQUEST_SILENCE, REQUEST_IN_REVIEW, REQUEST_APPROVED, BY_RULE},     /* C10 */
    {REQUEST_RECUSE, REQUEST_IN_REVIEW, TO_SAME, BY_REVIEWER | BY_RULE}, /* R15 */
    {REQUEST_RECUSE, REQUEST_SECOND_REVIEW, TO_SAME, BY_REVIEWER | BY_RULE},
    {REQUEST_RECUSE, REQUEST_ADJUDICATION, TO_SAME, BY_REVIEWER | BY_RULE},
    {REQUEST_WITHDRAW, FROM_ANY_OPEN, REQUEST_WITHDRAWN, BY_HOLDER | BY_RULE}, /* R16 */
    {REQUEST_TERMS_MOVED, FROM_ANY_OPEN, TO_SAME, BY_RULE},                    /* R17 */
    {REQUEST_CLOSE, FROM_ANY_OPEN, REQUEST_VOID, BY_RULE},                     /* R18 */
    {REQUEST_OVERDUE, REQUEST_IN_REVIEW, TO_SAME, BY_RULE},                    /* R19 */
    {REQUEST_OVERDUE, REQUEST_SECOND_REVIEW, TO_SAME, BY_RULE},
    {REQUEST_OVERDUE, REQUEST_ADJUDICATION, TO_SAME, BY_RULE},
    {REQUEST_REAPPLY, REQUEST_REFUSED, REQUEST_IN_REVIEW, BY_RULE},                      /* R20 */
    {REQUEST_UPHOLD, REQUEST_REFUSED, REQUEST_APPROVED, BY_RULE},                        /* C8 */
    {REQUEST_REOPEN, REQUEST_REFUSED, REQUEST_IN_REVIEW, BY_OWNER | BY_BOARD | BY_RULE}, /* R20 */
    {REQUEST_REOPEN, REQUEST_APPROVED, REQUEST_IN_REVIEW, BY_OWNER | BY_BOARD},          /* 1.9: cancel */
};
#define WANTED (sizeof wanted / sizeof *wanted)

/* As a set of (event, from, to, mover), every state and mover apart. */
static int leads(int event, int from, int to, unsigned by, bool as_wanted)
{
    size_t count = as_wanted ? WANTED : request_machine.move_count;
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct move *move = &request_machine.moves[i];
        int e = as_wanted ? (int)wanted[i].event : move->event, f = as_wanted ? wanted[i].from : move->from;
        int t = as_wanted ? wanted[i].to : move->to;
        unsigned b = as_wanted ? wanted[i].by : move->by;
        bool starts = f == from || (f == FROM_ANY_OPEN && from <= REQUEST_ADJUDICATION);
        bool ends = t == to || (t == TO_SAME && to == from);
        found += e == event && starts && ends && (b & by);
    }
    return found;
}

static void the_table_is_that_of_the_specification_transition_by_transition(void **state)
{
    (void)state;
    for (int event = 0; event < REQUEST_EVENTS; event++)
        for (int from = 0; from < REQUEST_STATES; from++)
            for (int to = TO_BACK; to < REQUEST_STATES; to += to == TO_BACK ? 2 : 1)
                for (unsigned by = BY_HOLDER; by <= BY_RULE; by <<= 1)
                    if (leads(event, from, to, by, true) != leads(event, from, to, by, false))
                        print_error("%s from %s\n", request_machine.events[event], request_machine.states[from].name),
                            _fail(__FILE__, __LINE__);
}

static void states_run_a_clock_when_somebody_else_than_the_applicant_has_to_act(void **state)
{
    (void)state;
    for (int s = 0; s < REQUEST_STATES; s++) {
        bool runs =
            s == REQUEST_SCREENING || s == REQUEST_IN_REVIEW || s == REQUEST_SECOND_REVIEW || s == REQUEST_ADJUDICATION;
        assert_int_equal(request_machine.states[s].clock_runs, runs);
        assert_int_equal(request_machine.states[s].ends, s > REQUEST_ADJUDICATION);
    }
}

static void a_request_is_asked_judged_and_let_in(void **state)
{
    struct desk *desk = *state;
    struct access_request request = asked(desk, desk->people[0], "{}");
    assert_int_equal(request.state, REQUEST_IN_REVIEW);
    assert_true(request.due_us > now_us() && request.clock_since_us);
    GOOD(judge(desk, &request, OUTCOME_APPROVE, err));
    assert_int_equal(request.state, REQUEST_APPROVED);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 1"), 1);
    EXPECT(CONFLICT, ask(desk, desk->people[0], "{}", NULL, err));
}

static void a_draft_is_kept_and_sent_later(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"form\":[{\"name\":\"who\",\"type\":\"text\",\"required\":true}]}",
                    err));
    struct access_request draft = asked(desk, desk->people[0], "{\"draft\":true}");
    assert_int_equal(draft.state, REQUEST_DRAFT);
    EXPECT(INVALID, ask(desk, desk->people[0], "{}", NULL, err));
    asked(desk, desk->people[0], "{\"draft\":true,\"answers\":{\"who\":\"me\"}}");
    struct access_request sent = asked(desk, desk->people[0], "{}");
    assert_int_equal(sent.id, draft.id);
    assert_int_equal(sent.state, REQUEST_IN_REVIEW);
}

static void only_one_case_of_a_person_and_purpose_is_open(void **state)
{
    struct desk *desk = *state;
    asked(desk, desk->people[0], "{}");
    EXPECT(CONFLICT, ask(desk, desk->people[0], "{}", NULL, err));
    asked(desk, desk->people[0], "{\"purpose\":\"teaching\"}");
    asked(desk, desk->people[1], "{}");
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state <= 6"), 3);
}

static void a_question_stops_the_clock_and_the_answer_starts_it_again(void **state)
{
    struct desk *desk = *state;
    struct access_request request = asked(desk, desk->people[0], "{}");
    GOOD(act(desk, &request, REQUEST_ASK, BY_OWNER, "Why?", err));
    assert_int_equal(request.state, REQUEST_INFO_WAIT);
    assert_int_equal(request.clock_since_us, 0);
    int64_t used = request.clock_used_us;
    clock_travel(3 * DAY_US);
    EXPECT(UNPROCESSABLE, act(desk, &request, REQUEST_NO_ANSWER, BY_RULE, "", err));
    GOOD(act(desk, &request, REQUEST_ANSWER, BY_HOLDER, "{}", err));
    assert_int_equal(request.state, REQUEST_IN_REVIEW);
    assert_int_equal(request.clock_used_us, used);
    assert_true(request.clock_since_us);
}

static void a_question_that_is_not_answered_in_14_days_lapses_the_request_without_a_cool_down(void **state)
{
    struct desk *desk = *state;
    struct access_request request = asked(desk, desk->people[0], "{}");
    GOOD(act(desk, &request, REQUEST_ASK, BY_OWNER, "Why?", err));
    later(desk, 13 * DAY_US);
    assert_int_equal(read_request(desk, request.id).state, REQUEST_INFO_WAIT);
    later(desk, 14 * DAY_US + SECOND_US);
    assert_int_equal(read_request(desk, request.id).state, REQUEST_LAPSED);
    assert_int_equal(asked(desk, desk->people[0], "{}").state, REQUEST_IN_REVIEW);
}

static void after_a_refusal_a_person_can_ask_again_when_the_cool_down_is_over_and_not_too_often(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"reapplyDays\":10,\"reapplyMost\":2}", err));
    struct access_request request = asked(desk, desk->people[0], "{}");
    for (int round = 1; round <= 2; round++) {
        GOOD(judge(desk, &request, OUTCOME_REFUSE, err));
        EXPECT(UNPROCESSABLE, ask(desk, desk->people[0], "{}", NULL, err));
        EXPECT(UNPROCESSABLE, ask(desk, desk->people[0], "{\"purpose\":\"another\"}", NULL, err));
        clock_travel(round * 11 * DAY_US);
        request = asked(desk, desk->people[0], "{}");
        assert_int_equal(request.cycle, round + 1);
        assert_int_equal(request.state, REQUEST_IN_REVIEW);
    }
    GOOD(judge(desk, &request, OUTCOME_REFUSE, err));
    clock_travel(100 * DAY_US);
    EXPECT(UNPROCESSABLE, ask(desk, desk->people[0], "{}", NULL, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant"), 0);
}

static void a_gate_that_is_paused_closed_or_past_its_date_takes_no_requests(void **state)
{
    struct desk *desk = *state;
    set_state(desk, GATE_PAUSED);
    EXPECT(UNPROCESSABLE, ask(desk, desk->people[0], "{}", NULL, err));
    set_state(desk, GATE_OPEN);
    struct access_request waiting = asked(desk, desk->people[0], "{}");
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"closes\":\"2020-01-01\"}", err));
    EXPECT(UNPROCESSABLE, ask(desk, desk->people[1], "{}", NULL, err));
    GOOD(judge(desk, &waiting, OUTCOME_APPROVE, err)); /* who asked in time is still decided about */
}

static void closing_a_gate_voids_every_open_request_however_many(void **state)
{
    struct desk *desk = *state;
    char body[64];
    for (int i = 0; i < 120; i++) {
        snprintf(body, sizeof body, "{\"purpose\":\"p%d\"}", i);
        asked(desk, desk->people[i % PEOPLE], body);
    }
    set_state(desk, GATE_CLOSED);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state = 11"), 50);
    for (int i = 0; i < 3; i++)
        later(desk, 0);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state = 11"), 120);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE state <= 6"), 0);
}

static void two_who_decide_at_once_decide_once(void **state)
{
    struct desk *desk = *state;
    struct access_request mine = asked(desk, desk->people[0], "{}"), yours = mine, theirs = mine;
    GOOD(judge(desk, &mine, OUTCOME_APPROVE, err));
    EXPECT(STALE, judge(desk, &yours, OUTCOME_APPROVE, err));
    EXPECT(STALE, act(desk, &theirs, REQUEST_WITHDRAW, BY_HOLDER, "", err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant"), 1);
}

static void a_withdrawal_that_comes_first_leaves_nothing_to_approve(void **state)
{
    struct desk *desk = *state;
    struct access_request mine = asked(desk, desk->people[0], "{}"), theirs = mine;
    GOOD(act(desk, &mine, REQUEST_WITHDRAW, BY_HOLDER, "", err));
    EXPECT(STALE, judge(desk, &theirs, OUTCOME_APPROVE, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant"), 0);
}

static void cancelling_suspends_what_was_given_and_the_next_decision_ends_or_restores_it(void **state)
{
    struct desk *desk = *state;
    struct access_request request = asked(desk, desk->people[0], "{}");
    GOOD(judge(desk, &request, OUTCOME_APPROVE, err));
    GOOD(act(desk, &request, REQUEST_REOPEN, BY_OWNER, "", err));
    assert_int_equal(request.state, REQUEST_IN_REVIEW);
    assert_int_equal(number_of(desk, "SELECT state FROM access_grant"), GRANT_SUSPENDED);
    GOOD(judge(desk, &request, OUTCOME_APPROVE, err));
    assert_int_equal(number_of(desk, "SELECT state FROM access_grant"), GRANT_ACTIVE);
    GOOD(act(desk, &request, REQUEST_REOPEN, BY_OWNER, "", err));
    GOOD(judge(desk, &request, OUTCOME_REFUSE, err));
    assert_int_equal(number_of(desk, "SELECT state FROM access_grant"), GRANT_REVOKED);
}

static void a_declared_country_outside_of_the_territory_is_refused_by_rule(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk,
                    "{\"mode\":\"click\",\"territory\":{\"deny\":[\"FR\"]},\"form\":[{\"name\":\"country\",\"type\":"
                    "\"country\",\"required\":true}]}",
                    err));
    struct access_request french = asked(desk, desk->people[0], "{\"answers\":{\"country\":\"FR\"}}");
    struct access_request swiss = asked(desk, desk->people[1], "{\"answers\":{\"country\":\"CH\"}}");
    assert_int_equal(french.state, REQUEST_REFUSED);
    assert_true(str_eq(french.code, STR("territory")));
    assert_int_equal(swiss.state, REQUEST_APPROVED);
}

static void published_rules_let_in_and_send_everybody_else_to_people(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk,
                    "{\"mode\":\"rule\",\"secondRatePpm\":0,\"rules\":[{\"answer\":\"sure\",\"in\":[true]},"
                    "{\"accountDays\":1}],\"form\":[{\"name\":\"sure\",\"type\":\"checkbox\"}]}",
                    err));
    assert_int_equal(asked(desk, desk->people[0], "{\"answers\":{\"sure\":true}}").state, REQUEST_IN_REVIEW);
    clock_travel(2 * DAY_US);
    assert_int_equal(asked(desk, desk->people[1], "{\"answers\":{\"sure\":true}}").state, REQUEST_APPROVED);
    assert_int_equal(asked(desk, desk->people[2], "{\"answers\":{\"sure\":false}}").state, REQUEST_IN_REVIEW);
}

static void a_case_that_is_sampled_goes_to_people_although_the_rule_says_yes(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"click\",\"secondRatePpm\":1000000}", err));
    assert_int_equal(asked(desk, desk->people[0], "{}").state, REQUEST_IN_REVIEW);
}

static void a_named_check_is_waited_for_and_lapses_without_a_refusal(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"click\",\"checks\":[\"email\"]}", err));
    struct access_request request = asked(desk, desk->people[0], "{}"), other = asked(desk, desk->people[1], "{}");
    assert_int_equal(request.state, REQUEST_VERIFY_WAIT);
    EXPECT(UNPROCESSABLE, act(desk, &request, REQUEST_CHECKED, BY_HOLDER, "", err));
    GOOD(db_write(desk->db, run_sql, (void *)"UPDATE account SET email = 'a@b.example' WHERE name = 'person0'", err));
    GOOD(act(desk, &request, REQUEST_CHECKED, BY_HOLDER, "", err));
    assert_int_equal(request.state, REQUEST_APPROVED);
    later(desk, 15 * DAY_US);
    assert_int_equal(read_request(desk, other.id).state, REQUEST_LAPSED);
}

static enum status erase_in(struct db_conn *tx, void *account_id, struct error *err)
{
    TRY(requests_erase(tx, *(int64_t *)account_id, err));
    return db_run_each(tx, request_forgets, *(int64_t *)account_id, err);
}

static void who_is_forgotten_withdraws_and_leaves_hashes_but_no_words(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"form\":[{\"name\":\"who\",\"type\":\"text\"}]}", err));
    struct access_request request = asked(desk, desk->people[0], "{\"answers\":{\"who\":\"me\"},\"purpose\":\"mine\"}");
    GOOD(db_write(desk->db, erase_in, &desk->people[0], err));
    assert_int_equal(read_request(desk, request.id).state, REQUEST_WITHDRAWN);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request_text WHERE body IS NOT NULL"), 0);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request_text WHERE length(sha256) = 32"), 1);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_request WHERE purpose <> ''"), 0);
}

static void a_grant_is_renewed_by_rule_when_nothing_has_changed_and_by_people_otherwise(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"risk\":2,\"grantDays\":100,\"secondRatePpm\":0}", err));
    for (int i = 0; i < 2; i++) {
        struct access_request request = asked(desk, desk->people[i], "{}");
        GOOD(judge(desk, &request, OUTCOME_APPROVE, err));
    }
    EXPECT(UNPROCESSABLE, ask(desk, desk->people[0], "{\"renew\":true}", NULL, err)); /* too early */
    clock_travel(80 * DAY_US);
    EXPECT(INVALID, ask(desk, desk->people[0], "{\"renew\":true}", NULL, err)); /* risk 2 takes an attestation */
    static const char same[] = "{\"renew\":true,\"attest\":{\"samePurpose\":true,\"copies\":\"\",\"incidents\":\"\"}}";
    static const char incident[] =
        "{\"renew\":true,\"attest\":{\"samePurpose\":true,\"copies\":\"\",\"incidents\":\"a leak\"}}";
    assert_int_equal(asked(desk, desk->people[0], same).state, REQUEST_APPROVED);
    struct access_request looked_at = asked(desk, desk->people[1], incident);
    assert_int_equal(looked_at.state, REQUEST_IN_REVIEW);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 1"), 2);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 5"), 1);
    GOOD(judge(desk, &looked_at, OUTCOME_APPROVE, err));
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 5"), 2);
    EXPECT(CONFLICT, ask(desk, desk->people[2], "{\"renew\":true}", NULL, err));
}

static void a_renewal_that_is_looked_at_again_is_about_the_new_grant(void **state)
{
    struct desk *desk = *state;
    GOOD(set_policy(desk, "{\"mode\":\"manual\",\"risk\":1,\"grantDays\":100,\"secondRatePpm\":0}", err));
    for (int i = 0; i < 2; i++) {
        struct access_request request = asked(desk, desk->people[i], "{}");
        GOOD(judge(desk, &request, OUTCOME_APPROVE, err));
    }
    clock_travel(80 * DAY_US);
    for (int i = 0; i < 2; i++) {
        struct access_request renewal = asked(desk, desk->people[i], "{\"renew\":true}");
        assert_int_equal(renewal.state, REQUEST_APPROVED);
        GOOD(act(desk, &renewal, REQUEST_REOPEN, BY_OWNER, "", err));
        assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 3"), 1);
        GOOD(judge(desk, &renewal, i ? OUTCOME_REFUSE : OUTCOME_APPROVE, err));
    }
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 5"), 2);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 1"), 1);
    assert_int_equal(number_of(desk, "SELECT count(*) FROM access_grant WHERE state = 6"), 1);
}

/* Random events, and what must hold after each. */

static uint64_t seed = 20261125;
static unsigned draw(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % below;
}

static void check_invariants(struct desk *desk)
{
    static const struct {
        const char *what, *counts;
    } never[] = {
        {"two open cases of a person and purpose",
         "SELECT count(*) FROM (SELECT 1 FROM access_request WHERE state <= 6 GROUP BY gate_id, applicant_id, purpose "
         "HAVING count(*) > 1)"},
        {"a clock that runs where it must not, or stands where it must run",
         "SELECT count(*) FROM access_request WHERE (clock_since_us > 0) <> (state IN (1, 3, 5, 6))"},
        {"an approved request without a grant",
         "SELECT count(*) FROM access_request r WHERE state = 7 AND NOT EXISTS (SELECT 1 FROM access_grant g WHERE "
         "g.gate_id = r.gate_id AND g.account_id = r.applicant_id AND g.purpose = r.purpose)"},
        {"a grant that works without an approved request",
         "SELECT count(*) FROM access_grant g JOIN access_request r ON r.id = g.request_id WHERE g.state <= 2 AND "
         "r.state <> 7"},
        {"two live grants", "SELECT count(*) FROM (SELECT 1 FROM access_grant WHERE state <= 3 GROUP BY gate_id, "
                            "account_id, purpose HAVING count(*) > 1)"},
        {"a decision without its time and outcome, or the other way round",
         "SELECT count(*) FROM access_request WHERE (state IN (7, 8)) <> (outcome > 0) OR (state IN (7, 8) AND "
         "decided_us = 0)"},
        {"screening that has not come to an end", "SELECT count(*) FROM access_request WHERE state = 1"},
        {"somebody who is waited for without an end",
         "SELECT count(*) FROM access_request r WHERE state IN (2, 4) AND NOT EXISTS (SELECT 1 FROM timer t WHERE "
         "t.kind = 'request.answer' AND t.ref = r.id)"},
        {"a state that is none", "SELECT count(*) FROM access_request WHERE state NOT BETWEEN 0 AND 11"},
    };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (number_of(desk, never[i].counts) != 0) {
            print_error("there is %s\n", never[i].what);
            _fail(__FILE__, __LINE__);
        }
}

#define CASES_MOST 4096
static struct {
    enum request_state state;
    int64_t cycle;
} before[CASES_MOST];

/* A cycle that has been decided is never decided otherwise: it can only be opened as the next one. */
static void check_decided_once(struct desk *desk)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(db_prepare(conn, "SELECT id, state, cycle FROM access_request", &row, err));
    while (stmt_next(row)) {
        int64_t id = stmt_int(row, 0);
        assert_true(id < CASES_MOST);
        bool decided = before[id].state == REQUEST_APPROVED || before[id].state == REQUEST_REFUSED;
        if (decided && before[id].cycle == stmt_int(row, 2))
            assert_int_equal(before[id].state, stmt_int(row, 1));
        before[id].state = (enum request_state)stmt_int(row, 1);
        before[id].cycle = stmt_int(row, 2);
    }
}

static void do_something(struct desk *desk)
{
    static const char *const bodies[] = {"{}", "{\"draft\":true}", "{\"purpose\":\"b\"}", "{\"renew\":true}"};
    static const enum mover movers[] = {BY_HOLDER, BY_REVIEWER, BY_OWNER, BY_BOARD, BY_RULE};
    static const char *const policies[] = {
        "{\"mode\":\"manual\",\"grantDays\":40,\"reapplyDays\":3,\"reapplyMost\":100}",
        "{\"mode\":\"click\",\"secondRatePpm\":300000,\"grantDays\":40,\"reapplyDays\":3,\"reapplyMost\":100}",
        "{\"mode\":\"click\",\"checks\":[\"email\"],\"grantDays\":0,\"reapplyDays\":0}"};
    static int64_t ahead;
    int64_t cases = number_of(desk, "SELECT coalesce(max(id), 0) FROM access_request");
    unsigned what = draw(100);
    if (what < 35) {
        ask(desk, desk->people[draw(PEOPLE)], bodies[draw(4)], NULL, NULL);
    } else if (what < 90 && cases) {
        struct access_request request = read_request(desk, 1 + (int64_t)draw((unsigned)cases));
        request.outcome = draw(2) ? OUTCOME_APPROVE : OUTCOME_REFUSE;
        /* Any event by anybody; the guards and the table sort them out. Reviewers' verdicts come from review.c alone. */
        enum request_event event = draw(3) ? REQUEST_VERDICT : (enum request_event)draw(REQUEST_EVENTS);
        enum mover by = event == REQUEST_VERDICT ? BY_OWNER : movers[draw(5)];
        if (by != BY_REVIEWER)
            act(desk, &request, event, by, "{}", NULL);
    } else if (what < 95) {
        later(desk, ahead += (int64_t)draw(5 * 24) * 3600 * SECOND_US);
    } else if (what < 98) {
        set_state(desk, draw(3) ? GATE_OPEN : draw(2) ? GATE_PAUSED : GATE_CLOSED);
        later(desk, ahead);
    } else {
        set_policy(desk, policies[draw(3)], NULL);
    }
}

static void random_events_never_break_what_must_hold(void **state)
{
    struct desk *desk = *state;
    print_message("seed %llu\n", (unsigned long long)seed);
    memset(before, 0, sizeof before);
    for (int i = 0; i < 3000; i++) {
        do_something(desk);
        check_invariants(desk);
        check_decided_once(desk);
    }
    /* and something has happened */
    assert_true(number_of(desk, "SELECT count(DISTINCT state) FROM access_request") >= 6);
    assert_true(number_of(desk, "SELECT count(*) FROM access_grant") > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_specification_transition_by_transition),
        cmocka_unit_test(states_run_a_clock_when_somebody_else_than_the_applicant_has_to_act),
        at_desk(a_request_is_asked_judged_and_let_in),
        at_desk(a_draft_is_kept_and_sent_later),
        at_desk(only_one_case_of_a_person_and_purpose_is_open),
        at_desk(a_question_stops_the_clock_and_the_answer_starts_it_again),
        at_desk(a_question_that_is_not_answered_in_14_days_lapses_the_request_without_a_cool_down),
        at_desk(after_a_refusal_a_person_can_ask_again_when_the_cool_down_is_over_and_not_too_often),
        at_desk(a_gate_that_is_paused_closed_or_past_its_date_takes_no_requests),
        at_desk(closing_a_gate_voids_every_open_request_however_many),
        at_desk(two_who_decide_at_once_decide_once),
        at_desk(a_withdrawal_that_comes_first_leaves_nothing_to_approve),
        at_desk(cancelling_suspends_what_was_given_and_the_next_decision_ends_or_restores_it),
        at_desk(a_declared_country_outside_of_the_territory_is_refused_by_rule),
        at_desk(published_rules_let_in_and_send_everybody_else_to_people),
        at_desk(a_case_that_is_sampled_goes_to_people_although_the_rule_says_yes),
        at_desk(a_named_check_is_waited_for_and_lapses_without_a_refusal),
        at_desk(who_is_forgotten_withdraws_and_leaves_hashes_but_no_words),
        at_desk(a_grant_is_renewed_by_rule_when_nothing_has_changed_and_by_people_otherwise),
        at_desk(a_renewal_that_is_looked_at_again_is_about_the_new_grant),
        at_desk(random_events_never_break_what_must_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

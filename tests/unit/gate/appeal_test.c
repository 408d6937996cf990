/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "court.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define broken(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

/* The table, against access.md C8: event, from, to, who. */
static const struct {
    enum appeal_event event;
    int from, to;
    unsigned by;
} wanted[] = {
    {APPEAL_FILE, APPEAL_OPEN, APPEAL_ADMISSIBLE, BY_HOLDER},
    {APPEAL_FILE, APPEAL_OPEN, APPEAL_OUT_OF_TIME, BY_HOLDER},
    {APPEAL_SEAT, APPEAL_ADMISSIBLE, APPEAL_PANEL, BY_RULE},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_UPHELD, BY_REVIEWER | BY_BOARD},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_VARIED, BY_REVIEWER | BY_BOARD},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_DISMISSED, BY_REVIEWER | BY_BOARD},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_REMANDED, BY_REVIEWER | BY_BOARD},
    {APPEAL_STEP_OUT, APPEAL_PANEL, TO_SAME, BY_REVIEWER | BY_BOARD | BY_RULE},
    {APPEAL_OVERDUE, APPEAL_PANEL, TO_SAME, BY_RULE},
    {APPEAL_WITHDRAW, APPEAL_OPEN, APPEAL_WITHDRAWN, BY_HOLDER | BY_RULE},
    {APPEAL_WITHDRAW, APPEAL_ADMISSIBLE, APPEAL_WITHDRAWN, BY_HOLDER | BY_RULE},
    {APPEAL_WITHDRAW, APPEAL_PANEL, APPEAL_WITHDRAWN, BY_HOLDER | BY_RULE},
};

/* By whom an event leads from one state to another, as the table or the specification has it. */
static unsigned movers(int event, int from, int to, bool as_wanted)
{
    unsigned by = 0;
    size_t count = as_wanted ? COUNT(wanted) : appeal_machine.move_count;
    for (size_t i = 0; i < count; i++) {
        const struct move *move = &appeal_machine.moves[i];
        int e = as_wanted ? (int)wanted[i].event : move->event, f = as_wanted ? wanted[i].from : move->from,
            t = as_wanted ? wanted[i].to : move->to;
        bool starts = f == from || (f == FROM_ANY_OPEN && !appeal_machine.states[from].ends);
        if (e == event && starts && (t == TO_SAME ? from : t) == to)
            by |= as_wanted ? wanted[i].by : move->by;
    }
    return by;
}

static void the_table_is_that_of_the_specification_transition_by_transition(void **state)
{
    (void)state;
    for (int event = 0; event < APPEAL_EVENTS; event++)
        for (int from = 0; from < APPEAL_STATES; from++)
            for (int to = 0; to < APPEAL_STATES; to++)
                if (movers(event, from, to, false) != movers(event, from, to, true))
                    broken("%s from %s to %s", appeal_machine.events[event], appeal_machine.states[from].name,
                           appeal_machine.states[to].name);
}

static void nothing_leads_out_of_what_is_over(void **state)
{
    (void)state;
    for (int event = 0; event < APPEAL_EVENTS; event++)
        for (int from = APPEAL_UPHELD; from < APPEAL_STATES; from++)
            for (enum mover by = BY_HOLDER; by <= BY_RULE; by <<= 1)
                assert_false(machine_offers(&appeal_machine, from, event, by));
}

/* Appeals, in the database. */

struct appealing {
    struct desk *desk;
    struct appeal appeal;
    enum appeal_event event;
    enum mover by;
    int64_t actor_id;
    const char *body;
    bool vote;
};

static enum status file_appeal_in(struct db_conn *tx, void *context, struct error *err)
{
    struct appealing *what = context;
    TRY(appeal_add(tx, &what->desk->arena, &what->appeal, err));
    return appeal_do(tx, &what->desk->arena, &what->appeal, APPEAL_FILE, BY_HOLDER, what->appeal.appellant_id,
                     (struct str){0}, err);
}

static enum status appeal_against(struct desk *desk, const struct access_request *request, const struct grant *grant,
                                  struct appeal *out, struct error *err)
{
    struct appealing what = {
        .desk = desk,
        .appeal = {.gate_id = desk->gate.id, .level = 1, .grounds = STR("[{\"code\":\"other\",\"text\":\"why\"}]")}};
    if (request) {
        what.appeal.subject = APPEAL_OF_REQUEST;
        what.appeal.subject_id = request->id;
        what.appeal.cycle = request->cycle;
        what.appeal.appellant_id = request->applicant_id;
    } else {
        what.appeal.subject = APPEAL_OF_GRANT;
        what.appeal.subject_id = grant->id;
        what.appeal.cycle = grant->version;
        what.appeal.appellant_id = grant->account_id;
        what.appeal.old_code = grant->code;
        what.appeal.old_text = grant->text;
    }
    enum status status = db_write(desk->db, file_appeal_in, &what, err);
    *out = what.appeal;
    return status;
}

static enum status act_in(struct db_conn *tx, void *context, struct error *err)
{
    struct appealing *what = context;
    TRY(appeal_get_id(tx, &what->desk->arena, what->appeal.id, &what->appeal, err));
    return appeal_do(tx, &what->desk->arena, &what->appeal, what->event, what->by, what->actor_id, STR("so"), err);
}

static enum status hear_in(struct db_conn *tx, void *context, struct error *err)
{
    struct appealing *what = context;
    auto_json json_t *body = NULL;
    TRY(json_read(str_of(what->body), SIZE_MAX, &body, err));
    struct appeal_hearing hearing = {
        .arena = &what->desk->arena, .key = what->appeal.key, .actor_id = what->actor_id, .body = body};
    return what->vote ? appeal_vote(tx, &hearing, err) : appeal_look(tx, &hearing, err);
}

static const char *const looks[] = {"{\"outcome\":\"uphold\"}", "{\"outcome\":\"vary\"}", "{\"outcome\":\"dismiss\"}",
                                    "{\"outcome\":\"remand\"}"};
#define ANSWERS ",\"text\":\"so\",\"answers\":[{\"ground\":0,\"text\":\"yes\"}]}"
static const char *const ballots[] = {"{\"outcome\":\"uphold\"" ANSWERS, "{\"outcome\":\"vary\",\"days\":20" ANSWERS,
                                      "{\"outcome\":\"dismiss\"" ANSWERS, "{\"outcome\":\"remand\"" ANSWERS};

static enum status cast(struct desk *desk, const struct appeal *appeal, int64_t who, int vote, struct error *err)
{
    struct appealing what = {.desk = desk, .appeal = *appeal, .actor_id = who, .body = looks[vote]};
    db_write(desk->db, hear_in, &what, NULL);
    what.body = ballots[vote];
    what.vote = true;
    return db_write(desk->db, hear_in, &what, err);
}

static size_t panel_of(struct desk *desk, int64_t appeal_id, struct seat *out)
{
    auto_conn struct db_conn *conn = NULL;
    size_t count = 0;
    GOOD(db_reader(desk->db, &conn, err));
    GOOD(seats_read(conn, &desk->arena, appeal_id, out, &count, err));
    return count;
}

static struct access_request refused(struct desk *desk, int64_t who)
{
    struct access_request request = asked(desk, who, "{}");
    GOOD(judge(desk, &request, OUTCOME_REFUSE, err));
    return request;
}

static void votes_decide_by_majority_and_a_tie_is_sent_back(void **state)
{
    struct desk *desk = *state;
    static const struct {
        int votes[3];
        enum appeal_state want;
    } rows[] = {{{0, 0, -1}, APPEAL_UPHELD},   {{1, 1, -1}, APPEAL_VARIED},  {{2, 2, -1}, APPEAL_DISMISSED},
                {{3, 3, -1}, APPEAL_REMANDED}, {{0, 2, 0}, APPEAL_UPHELD},   {{2, 0, 2}, APPEAL_DISMISSED},
                {{0, 1, 2}, APPEAL_REMANDED},  {{1, 2, 3}, APPEAL_REMANDED}, {{1, 2, 1}, APPEAL_VARIED}};
    GOOD(set_policy(desk, "{\"mode\":\"manual\"}", err));
    for (int i = 0; i < 3; i++)
        appoint(desk, desk->people[i], "appeal", 100);
    for (size_t row = 0; row < COUNT(rows); row++) {
        char name[32];
        snprintf(name, sizeof name, "appellant%zu", row);
        struct access_request request = refused(desk, add_user(desk->town, name));
        struct appeal appeal;
        struct seat seats[PANEL_SEATS];
        GOOD(appeal_against(desk, &request, NULL, &appeal, err));
        assert_int_equal(panel_of(desk, appeal.id, seats), 3);
        for (int i = 0; i < 3 && rows[row].votes[i] >= 0; i++)
            GOOD(cast(desk, &appeal, seats[i].account_id, rows[row].votes[i], err));
        auto_conn struct db_conn *conn = NULL;
        GOOD(db_reader(desk->db, &conn, err));
        GOOD(appeal_get_id(conn, &desk->arena, appeal.id, &appeal, err));
        assert_int_equal(appeal.state, rows[row].want);
    }
}

static void every_decision_is_logged_with_its_word(void **state)
{
    struct desk *desk = *state;
    static const char *const words[] = {"appeal-upheld", "appeal-varied", "appeal-dismissed", "remand"};
    appoint(desk, desk->people[0], "appeal", 100);
    for (int i = 0; i < 4; i++) {
        struct access_request request = refused(desk, desk->people[i + 1]);
        struct appeal appeal;
        GOOD(appeal_against(desk, &request, NULL, &appeal, err));
        GOOD(cast(desk, &appeal, desk->people[0], i, err));
        struct str sql = arena_printf(&desk->arena,
                                      "SELECT count(*) FROM event WHERE kind = 'access.decision' AND body LIKE "
                                      "'%%\"decision\":\"%s\",\"basis\":\"appeal\"%%'",
                                      words[i]);
        assert_int_equal(number_of(desk, arena_cstr(&desk->arena, sql)), 1);
    }
}

/* Random events, and what must hold after each. */

static uint64_t seed = 20261126;
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
        {"two who judge one case in one slot", "SELECT count(*) FROM (SELECT 1 FROM review_assignment WHERE state = 1 "
                                               "AND slot <= 3 GROUP BY request_id, cycle "
                                               "HAVING count(*) > 1)"},
        {"an assignment of a case that is closed",
         "SELECT count(*) FROM review_assignment a JOIN access_request q ON q.id = a.request_id WHERE a.state = 1 AND "
         "a.slot <= 4 AND (q.state NOT IN (3, 4, 5, 6) OR q.cycle <> a.cycle)"},
        {"a case under review that nobody has or waits for",
         "SELECT count(*) FROM access_request q JOIN review_case c ON c.request_id = q.id WHERE q.state IN (3, 5, 6) "
         "AND "
         "c.waiting = 0 AND NOT EXISTS (SELECT 1 FROM review_assignment a WHERE a.request_id = q.id AND a.cycle = "
         "q.cycle AND a.state = 1 AND a.slot <= 3)"},
        {"somebody who judges the own case",
         "SELECT count(*) FROM review_assignment a JOIN access_request q ON q.id = a.request_id WHERE a.account_id = "
         "q.applicant_id"},
        {"two verdicts of one person on one case", "SELECT count(*) FROM (SELECT 1 FROM review_verdict GROUP BY "
                                                   "request_id, cycle, account_id HAVING count(*) > 1)"},
        {"a second review without exactly one verdict",
         "SELECT count(*) FROM access_request q WHERE q.state = 5 AND (SELECT count(*) FROM review_verdict v WHERE "
         "v.request_id = q.id AND v.cycle = q.cycle) <> 1"},
        {"an adjudication of two who agree",
         "SELECT count(*) FROM access_request q WHERE q.state = 6 AND (SELECT count(DISTINCT v.outcome) FROM "
         "review_verdict v WHERE v.request_id = q.id AND v.cycle = q.cycle) <> 2"},
        {"two appeals of one decision",
         "SELECT count(*) FROM (SELECT 1 FROM appeal GROUP BY subject, subject_id, cycle, level HAVING count(*) > 1)"},
        {"an appeal that stands between two states", "SELECT count(*) FROM appeal WHERE state < 2"},
        {"a panel of two",
         "SELECT count(*) FROM (SELECT 1 FROM appeal_seat s JOIN appeal l ON l.id = s.appeal_id WHERE "
         "l.state = 2 AND s.state <= 2 GROUP BY l.id HAVING count(*) NOT IN (1, 3))"},
        {"somebody on a panel who judged the case",
         "SELECT count(*) FROM appeal_seat s JOIN appeal l ON l.id = s.appeal_id AND l.subject = 1 JOIN "
         "review_assignment a ON a.request_id = l.subject_id AND a.account_id = s.account_id AND a.assigned_us < "
         "s.seated_us"},
        {"somebody on the panel of the own appeal",
         "SELECT count(*) FROM appeal_seat s JOIN appeal l ON l.id = s.appeal_id WHERE s.account_id = l.appellant_id"},
        {"a vote without a first look", "SELECT count(*) FROM appeal_seat WHERE state = 2 AND first = ''"},
        {"a decision without a majority, other than to send it back",
         "SELECT count(*) FROM appeal l WHERE l.state IN (3, 4, 5) AND 2 * (SELECT count(*) FROM appeal_seat s WHERE "
         "s.appeal_id = l.id AND s.state = 2 AND s.vote = CASE l.state WHEN 3 THEN 'uphold' WHEN 4 THEN 'vary' ELSE "
         "'dismiss' END) <= (SELECT count(*) FROM appeal_seat s WHERE s.appeal_id = l.id AND s.state <= 2)"},
        {"an open appeal without its clock",
         "SELECT count(*) FROM appeal l WHERE l.state = 2 AND l.clock_level < 4 AND NOT EXISTS (SELECT 1 FROM timer t "
         "WHERE t.kind = 'appeal.clock' AND t.ref = l.id)"},
        {"two live grants", "SELECT count(*) FROM (SELECT 1 FROM access_grant WHERE state <= 3 GROUP BY gate_id, "
                            "account_id, purpose HAVING count(*) > 1)"},
        {"a revocation that was held although it was for safety",
         "SELECT count(*) FROM appeal WHERE held = 1 AND old_code LIKE 'safety%'"},
    };
    for (size_t i = 0; i < COUNT(never); i++)
        if (number_of(desk, never[i].counts) != 0)
            broken("there is %s", never[i].what);
}

static int64_t random_id(struct desk *desk, const char *table)
{
    const char *sql =
        arena_cstr(&desk->arena, arena_printf(&desk->arena, "SELECT coalesce(max(id), 0) FROM %s", table));
    int64_t most = number_of(desk, sql);
    return most ? 1 + (int64_t)draw((unsigned)most) : 0;
}

static void file_something(struct desk *desk)
{
    static const char *const bodies[] = {APPROVAL, REFUSAL, OVERRIDE};
    struct filed filed = {.desk = desk, .body = bodies[draw(3)]};
    int64_t id = random_id(desk, "access_request");
    if (!id)
        return;
    filed.account_id = holder_of(desk, id, &filed.key);
    if (filed.account_id)
        db_write(desk->db, file_in, &filed, NULL);
}

static void move_something(struct desk *desk)
{
    static const enum request_event events[] = {REQUEST_WITHDRAW, REQUEST_ANSWER, REQUEST_OVERDUE, REQUEST_RECUSE,
                                                REQUEST_REOPEN};
    static const enum mover by[] = {BY_HOLDER, BY_HOLDER, BY_RULE, BY_RULE, BY_OWNER};
    int64_t id = random_id(desk, "access_request");
    unsigned which = draw(5);
    if (!id)
        return;
    struct access_request request = read_request(desk, id);
    if (which != 3) /* who recuses has an assignment, which review.c ends */
        act(desk, &request, events[which], by[which], "{}", NULL);
}

static void appeal_something(struct desk *desk)
{
    struct appeal appeal;
    int64_t id = random_id(desk, "access_request");
    if (id && draw(2)) {
        struct access_request request = read_request(desk, id);
        if (request.state == REQUEST_REFUSED)
            appeal_against(desk, &request, NULL, &appeal, NULL);
    } else if ((id = random_id(desk, "access_grant")) != 0) {
        struct grant grant;
        auto_conn struct db_conn *conn = NULL;
        GOOD(db_reader(desk->db, &conn, err));
        GOOD(grant_get(conn, &desk->arena, id, &grant, err));
        if (grant.state == GRANT_REVOKED)
            appeal_against(desk, NULL, &grant, &appeal, NULL);
    }
}

struct taking {
    int64_t id;
    const char *code;
};

static enum status revoke_in(struct db_conn *tx, void *context, struct error *err)
{
    const struct taking *taking = context;
    return grant_do(tx, taking->id, GRANT_REVOKE, BY_OWNER, 0, str_of(taking->code), STR("why"), 0, err);
}

static void hear_something(struct desk *desk)
{
    int64_t id = random_id(desk, "appeal");
    struct appealing what = {.desk = desk};
    struct seat seats[PANEL_SEATS];
    if (!id)
        return;
    {
        auto_conn struct db_conn *conn = NULL;
        GOOD(db_reader(desk->db, &conn, err));
        GOOD(appeal_get_id(conn, &desk->arena, id, &what.appeal, err));
    }
    size_t count = panel_of(desk, id, seats);
    if (draw(4) && count)
        cast(desk, &what.appeal, seats[draw((unsigned)count)].account_id, (int)draw(4), NULL);
    else {
        static const enum mover any[] = {BY_HOLDER, BY_REVIEWER, BY_OWNER, BY_BOARD, BY_RULE};
        what.event = (enum appeal_event)draw(APPEAL_EVENTS);
        what.by = any[draw(5)];
        if (what.event != APPEAL_DECIDE) /* that takes votes */
            db_write(desk->db, act_in, &what, NULL);
    }
}

static void do_something(struct desk *desk)
{
    static int64_t ahead;
    unsigned what = draw(100);
    if (what < 30)
        ask(desk, desk->people[draw(PEOPLE)], draw(2) ? "{}" : "{\"purpose\":\"b\"}", NULL, NULL);
    else if (what < 60)
        file_something(desk);
    else if (what < 70)
        move_something(desk);
    else if (what < 78)
        appeal_something(desk);
    else if (what < 94)
        hear_something(desk);
    else if (what < 97) {
        struct taking taking = {random_id(desk, "access_grant"), draw(3) ? "broken" : "safety-leak"};
        db_write(desk->db, revoke_in, &taking, NULL);
    } else
        later(desk, ahead += (int64_t)draw(4 * 24) * 3600 * SECOND_US);
}

static void random_events_never_break_what_must_hold(void **state)
{
    struct desk *desk = *state;
    print_message("seed %llu\n", (unsigned long long)seed);
    GOOD(set_policy(
        desk, "{\"mode\":\"manual\",\"grantDays\":300,\"reapplyDays\":1,\"reapplyMost\":100,\"secondRatePpm\":300000}",
        err));
    for (int i = 0; i < PEOPLE; i++)
        appoint(desk, desk->people[i], i < 4 ? "reviewer" : "lead", 3);
    for (int i = 0; i < 4; i++) {
        char name[24];
        snprintf(name, sizeof name, "panel%d", i);
        appoint(desk, add_user(desk->town, name), "appeal", 10);
    }
    for (int i = 0; i < 3; i++) {
        char name[24];
        int64_t id = 0;
        snprintf(name, sizeof name, "board%d", i);
        struct account_new new = {.kind = ACCOUNT_USER, .name = str_of(name), .is_admin = true};
        GOOD(account_create(desk->db, &new, 0, &id, err));
    }
    uint64_t requests = 0, appeals = 0; /* a bit for each state that some have been in */
    for (int i = 0; i < 3000; i++) {
        do_something(desk);
        check_invariants(desk);
        requests |= (uint64_t)number_of(desk, "SELECT coalesce(sum(DISTINCT 1 << state), 0) FROM access_request");
        appeals |= (uint64_t)number_of(desk, "SELECT coalesce(sum(DISTINCT 1 << state), 0) FROM appeal");
    }
    /* and enough has happened for that to mean something */
    assert_true(__builtin_popcountll(requests) >= 5);
    assert_true(__builtin_popcountll(appeals) >= 5);
    assert_true(number_of(desk, "SELECT count(*) FROM review_verdict WHERE slot = 3") > 5);
    assert_true(number_of(desk, "SELECT count(*) FROM appeal WHERE subject = 2 AND held = 1") > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_specification_transition_by_transition),
        cmocka_unit_test(nothing_leads_out_of_what_is_over),
        at_desk(votes_decide_by_majority_and_a_tie_is_sent_back),
        at_desk(every_decision_is_logged_with_its_word),
        at_desk(random_events_never_break_what_must_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

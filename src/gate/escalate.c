/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "timer/timer.h"

/*
 * The clocks of C10, in working time (clock.h): a first look within 2 days, a decision within 5, 10 or 15 by risk. They
 * stand still while the applicant is waited for. At each of these shares of what was promised something happens, once:
 */
enum { NUDGE, LEAD, REDRAW, BOARD, LEVELS };
static const int64_t percent[LEVELS] = {50, 80, 100, 200};

int64_t review_limit_us(int risk)
{
    return (risk <= 1 ? 5 : risk == 2 ? 10 : 15) * WORKDAY_US;
}

struct clock {
    struct access_request request;
    int64_t begun_us, touched_us, level, touch_level;
    int64_t limit_us, used_us;
};

static int64_t used_at(const struct access_request *request, int64_t at_us)
{
    return request->clock_used_us + (request->clock_since_us ? clock_worked(request->clock_since_us, at_us) : 0);
}

static const char case_sql[] = "SELECT begun_us, touched_us, level, touch_level FROM review_case WHERE request_id = ?";

static enum status read_clock(struct db_conn *conn, const struct access_request *request, int risk, struct clock *out,
                              bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, case_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    *found = stmt_next(row);
    if (*found)
        *out = (struct clock){
            *request, stmt_int(row, 0), stmt_int(row, 1), stmt_int(row, 2), stmt_int(row, 3), review_limit_us(risk), 0};
    return stmt_end(row, err);
}

/* The working time at which the next thing happens; INT64_MAX when nothing more does. */
static int64_t next_at(const struct clock *clock)
{
    int64_t next = clock->level < LEVELS ? clock->limit_us * percent[clock->level] / 100 : INT64_MAX;
    if (!clock->touched_us && clock->touch_level < LEVELS) {
        int64_t touch = FIRST_TOUCH_US * percent[clock->touch_level] / 100;
        next = touch < next ? touch : next;
    }
    return next;
}

static enum status set_timer(struct db_conn *tx, const struct clock *clock, struct error *err)
{
    const struct access_request *request = &clock->request;
    int64_t next = next_at(clock);
    if (!request->clock_since_us || next == INT64_MAX)
        return timer_clear(tx, "review.clock", request->id, err);
    return timer_set(tx, "review.clock", request->id, clock_due(request->clock_since_us, next - request->clock_used_us),
                     err);
}

enum status review_moved(struct db_conn *tx, const struct access_request *request, int risk, struct error *err)
{
    struct clock clock;
    bool found;
    TRY(read_clock(tx, request, risk, &clock, &found, err));
    if (request->state > REQUEST_ADJUDICATION) {
        TRY(timer_clear(tx, "review.clock", request->id, err));
        return found ? review_close(tx, request, err) : OK;
    }
    return found ? set_timer(tx, &clock, err) : OK;
}

/* Steps of the ladder. */

static const char open_sql[] = "SELECT account_id FROM review_assignment WHERE request_id = ? AND cycle = ? AND state "
                               "= 1 AND slot <= 4 LIMIT 8";

static enum status nudge(struct db_conn *tx, const struct access_request *request, int64_t due_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t ids[8];
    size_t count = 0;
    const struct str text = STR("Half of the time for a case that you review is over. GET /api/reviews shows it.");
    TRY(db_prepare(tx, open_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    while (stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    if (count == 0)
        return gate_tell_pool(tx, request->gate_id, "owner", "review.nudge",
                              STR("Half of the time for a request for access is over, and nobody has decided it yet."),
                              due_us, err);
    for (size_t i = 0; i < count; i++)
        TRY(gate_tell(tx, ids[i], request->gate_id, "review.nudge", text, due_us, err));
    return OK;
}

static const char late_sql[] = "UPDATE review_case SET late = 1 WHERE request_id = ?";

static enum status list_as_late(struct db_conn *tx, int64_t request_id, struct error *err)
{
    auto_stmt struct stmt *late = NULL;
    TRY(db_prepare(tx, late_sql, &late, err));
    stmt_bind_int(late, 1, request_id);
    return stmt_run(late, err);
}

/* Silence approves only where an owner chose so, and never from risk 2 on: the policy is asked here as well as in the
 * machine, since the case may end by it. */
static enum status out_of_time(struct db_conn *tx, struct arena *arena, struct clock *clock, bool silence,
                               struct error *err)
{
    TRY(list_as_late(tx, clock->request.id, err));
    if (silence) {
        clock->request.outcome = OUTCOME_APPROVE;
        enum status status =
            request_do(tx, arena, &clock->request, REQUEST_SILENCE, BY_RULE, 0, STR("silence-approves"),
                       STR("Nobody decided in the time that was promised, and this gate approves then."), err);
        if (status != UNPROCESSABLE && status != CONFLICT) /* the texts are not accepted: then it is only late */
            return status;
        clock->request.outcome = 0;
    }
    return request_do(tx, arena, &clock->request, REQUEST_OVERDUE, BY_RULE, 0, (struct str){0}, (struct str){0}, err);
}

static enum status climb(struct db_conn *tx, struct arena *arena, struct clock *clock, int64_t level, bool silence,
                         struct error *err)
{
    const struct access_request *request = &clock->request;
    int64_t due = clock_due(request->clock_since_us, clock->limit_us - request->clock_used_us);
    switch (level) {
    case NUDGE:
        return nudge(tx, request, due, err);
    case LEAD:
        return gate_tell_pool(
            tx, request->gate_id, "lead", "review.slow",
            arena_printf(arena, "Request %lld has used four fifths of its time.", (long long)request->id), due, err);
    case REDRAW:
        return out_of_time(tx, arena, clock, silence, err);
    default:
        return gate_tell_pool(
            tx, request->gate_id, "board", "review.overdue",
            arena_printf(arena,
                         "Request %lld has taken twice the time that its gate promises. Its owner and its "
                         "reviewers have been told, and have not acted.",
                         (long long)request->id),
            due, err);
    }
}

static const char levels_sql[] = "UPDATE review_case SET level = ?, touch_level = ? WHERE request_id = ?";

static enum status save_levels(struct db_conn *tx, const struct clock *clock, struct error *err)
{
    auto_stmt struct stmt *save = NULL;
    TRY(db_prepare(tx, levels_sql, &save, err));
    stmt_bind_int(save, 1, clock->level);
    stmt_bind_int(save, 2, clock->touch_level);
    stmt_bind_int(save, 3, clock->request.id);
    return stmt_run(save, err);
}

static bool is_open(const struct access_request *request)
{
    return request->state <= REQUEST_ADJUDICATION && request->clock_since_us != 0;
}

/* A hub that slept climbs all steps that have come due, in their order; the levels are saved first, so that what a step
 * does to the request finds them. */
static enum status climb_all(struct db_conn *tx, struct arena *arena, struct clock *clock, bool silence,
                             struct error *err)
{
    while (is_open(&clock->request) && clock->used_us >= next_at(clock)) {
        int64_t next = next_at(clock);
        bool decision = clock->level < LEVELS && clock->limit_us * percent[clock->level] / 100 == next;
        int64_t level = decision ? clock->level++ : clock->touch_level++;
        TRY(save_levels(tx, clock, err));
        TRY(climb(tx, arena, clock, level, decision && silence, err));
    }
    return OK;
}

enum status review_clock_fire(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct access_request request;
    struct gate gate;
    struct gate_policy policy;
    struct clock clock;
    bool found;
    (void)due_us; /* the clock of the case says what is due */
    TRY(request_get(tx, &arena, ref, &request, err));
    TRY(policy_of_request(tx, &arena, &request, &gate, &policy, err));
    TRY(read_clock(tx, &request, policy.risk, &clock, &found, err));
    if (!found || !is_open(&request))
        return OK;
    clock.used_us = used_at(&request, now_us());
    TRY(climb_all(tx, &arena, &clock, policy.silence_approves && policy.risk <= 1, err));
    return is_open(&clock.request) ? set_timer(tx, &clock, err) : OK;
}

/* For everybody, and for the applicant. */

static const char speed_sql[] = "SELECT clock_used_us FROM access_request WHERE gate_id = ? AND decided_us >= ? AND "
                                "state IN (7, 8) AND by_owner = 0 ORDER BY clock_used_us LIMIT 100000";

static enum status write_speed(struct db_conn *conn, int64_t gate_id, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf values = {0};
    size_t count = 0;
    TRY(db_prepare(conn, speed_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, now_us() - 90 * DAY_US);
    for (; stmt_next(row); count++) {
        int64_t used = stmt_int(row, 0);
        buf_add(&values, &used, sizeof used);
    }
    TRY(stmt_end(row, err));
    const int64_t *sorted = (const int64_t *)(const void *)values.data;
    jw_key(w, "decidedIn90Days");
    jw_object(w);
    jw_key_int(w, "cases", (int64_t)count);
    if (count) {
        jw_key_int(w, "medianSeconds", figure_quantile(sorted, count, 50) / SECOND_US);
        jw_key_int(w, "p90Seconds", figure_quantile(sorted, count, 90) / SECOND_US);
    }
    jw_end(w);
    return OK;
}

static const char late_count_sql[] = "SELECT count(*) FROM review_case c JOIN access_request q ON q.id = c.request_id "
                                     "WHERE c.gate_id = ? AND c.late = 1 AND q.state <= 6";
static const char late_appeals_sql[] = "SELECT count(*) FROM appeal WHERE gate_id = ? AND late = 1 AND state <= 2";
static const char crew_sql[] =
    "SELECT count(DISTINCT account_id) FROM gate_reviewer WHERE gate_id = ? AND role IN ('reviewer', 'lead')";

static enum status count_of(struct db_conn *conn, const char *sql, int64_t id, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, id);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

enum status review_describe(struct db_conn *conn, struct arena *arena, int64_t gate_id, struct json_writer *w,
                            struct error *err)
{
    int64_t crew, late, late_appeals;
    TRY(count_of(conn, crew_sql, gate_id, &crew, err));
    TRY(count_of(conn, late_count_sql, gate_id, &late, err));
    TRY(count_of(conn, late_appeals_sql, gate_id, &late_appeals, err));
    jw_object(w);
    jw_key_int(w, "reviewers", crew);
    jw_key_int(w, "late", late);
    jw_key_int(w, "lateAppeals", late_appeals);
    TRY(write_speed(conn, gate_id, w, err));
    jw_key(w, "seeds");
    TRY(seeds_write(conn, arena, now_us(), w, err));
    jw_end(w);
    return OK;
}

static const char show_sql[] = "SELECT late, month, second_reason FROM review_case WHERE request_id = ?";

/* Once it is decided, also what it takes to recompute whether it had to be looked at twice: the month whose seed counts
 * (GET /api/reviews/seeds) and why it was, in one word. Before, that would tell which review it is in. */
enum status review_show(struct db_conn *conn, const struct access_request *request, struct json_writer *w,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, show_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    bool found = stmt_next(row);
    jw_key_bool(w, "late", found && stmt_int(row, 0) != 0);
    if (found && request->decided_us) {
        jw_key(w, "secondLook");
        jw_object(w);
        jw_key_str(w, "month", stmt_str(row, 1));
        jw_key_str(w, "why", stmt_str(row, 2).len ? stmt_str(row, 2) : (struct str){0});
        jw_end(w);
    }
    TRY(stmt_end(row, err));
    return write_speed(conn, request->gate_id, w, err);
}

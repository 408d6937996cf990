/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rows of requests: finding them, storing a step of their machine, and what is written in them. */
#include "gate/request.h"
#include "access/log.h"
#include "base/time.h"
#include "gate/clock.h"
#include "gate/internal.h"
#include "gate/review.h"

/* Finding. */

#define COLUMNS                                                                                                        \
    "id, gate_id, applicant_id, purpose, state, back, version, cycle, policy_seq, renews_id, by_owner, opened_us, "    \
    "state_since_us, submitted_us, decided_us, clock_used_us, clock_since_us, due_us, outcome, code, "                 \
    "answers_sha256, form_sha256"

static void copy_digest(struct str from, uint8_t out[SHA256_SIZE])
{
    memset(out, 0, SHA256_SIZE);
    if (from.len == SHA256_SIZE)
        memcpy(out, from.data, SHA256_SIZE);
}

void request_of_row(struct stmt *row, struct arena *arena, struct access_request *out)
{
    *out = (struct access_request){
        .id = stmt_int(row, 0),
        .gate_id = stmt_int(row, 1),
        .applicant_id = stmt_int(row, 2),
        .purpose = arena_copy(arena, stmt_str(row, 3)),
        .state = (enum request_state)stmt_int(row, 4),
        .back = (enum request_state)stmt_int(row, 5),
        .version = stmt_int(row, 6),
        .cycle = stmt_int(row, 7),
        .policy_seq = stmt_int(row, 8),
        .renews_id = stmt_int(row, 9),
        .by_owner = stmt_int(row, 10) != 0,
        .opened_us = stmt_int(row, 11),
        .state_since_us = stmt_int(row, 12),
        .submitted_us = stmt_int(row, 13),
        .decided_us = stmt_int(row, 14),
        .clock_used_us = stmt_int(row, 15),
        .clock_since_us = stmt_int(row, 16),
        .due_us = stmt_int(row, 17),
        .outcome = (enum outcome)stmt_int(row, 18),
        .code = arena_copy(arena, stmt_str(row, 19)),
    };
    copy_digest(stmt_str(row, 20), out->answers_sha256);
    copy_digest(stmt_str(row, 21), out->form_sha256);
}

static enum status read_request(struct stmt *row, struct arena *arena, struct access_request *out, struct error *err)
{
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, "NoRequest", "There is no such request for access.");
    }
    request_of_row(row, arena, out);
    return stmt_end(row, err);
}

static const char by_id_sql[] = "SELECT " COLUMNS " FROM access_request WHERE id = ?";

enum status request_get(struct db_conn *conn, struct arena *arena, int64_t id, struct access_request *out,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, by_id_sql, &row, err));
    stmt_bind_int(row, 1, id);
    return read_request(row, arena, out, err);
}

static const char find_sql[] = "SELECT " COLUMNS " FROM access_request WHERE applicant_id = ? AND gate_id = ? "
                               "AND coalesce(?, purpose) = purpose "
                               "ORDER BY CASE WHEN state <= 6 THEN 0 ELSE 1 END, id DESC LIMIT 1";

enum status request_find(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t applicant_id,
                         struct str purpose, struct access_request *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_int(row, 1, applicant_id);
    stmt_bind_int(row, 2, gate_id);
    stmt_bind_str(row, 3, purpose);
    return read_request(row, arena, out, err);
}

/* Opening: a draft of the first cycle. */

static const char open_sql[] =
    "INSERT INTO access_request (gate_id, applicant_id, purpose, state, back, version, cycle, policy_seq, renews_id, "
    "by_owner, opened_us, state_since_us, submitted_us, decided_us, clock_used_us, clock_since_us, due_us, outcome, "
    "code, answers_sha256, form_sha256) VALUES (?, ?, ?, 0, 0, 1, 1, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, '', x'', x'')";

enum status request_open(struct db_conn *tx, struct access_request *request, struct error *err)
{
    auto_stmt struct stmt *open = NULL;
    request->opened_us = request->state_since_us = now_us();
    request->version = request->cycle = 1;
    request->code = STR("");
    TRY(db_prepare(tx, open_sql, &open, err));
    stmt_bind_int(open, 1, request->gate_id);
    stmt_bind_int(open, 2, request->applicant_id);
    stmt_bind_str(open, 3, request->purpose);
    stmt_bind_int(open, 4, request->policy_seq);
    stmt_bind_int(open, 5, request->renews_id);
    stmt_bind_int(open, 6, request->by_owner);
    stmt_bind_int(open, 7, request->opened_us);
    stmt_bind_int(open, 8, request->opened_us);
    enum status status = stmt_run(open, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, "OpenRequest", "There is an open request of the same person for this already.");
    request->id = db_last_id(tx);
    return status;
}

/* Storing a step. */

static bool begins_cycle(int event)
{
    return event == REQUEST_REAPPLY || event == REQUEST_REOPEN;
}

/* The working time that is used, and when the decision is due: it runs in the states that say so and in no others. */
static void set_clock(struct access_request *request, const struct step *step, int risk)
{
    bool runs = step->machine->states[step->to].clock_runs;
    if (begins_cycle(step->event) || step->event == REQUEST_SUBMIT)
        request->clock_used_us = request->clock_since_us = 0;
    if (request->clock_since_us)
        request->clock_used_us += clock_worked(request->clock_since_us, step->now_us);
    request->clock_since_us = runs ? step->now_us : 0;
    int64_t left = review_limit_us(risk) - request->clock_used_us;
    bool waits = step->to == REQUEST_INFO_WAIT || step->to == REQUEST_VERIFY_WAIT;
    if (step->from != step->to || begins_cycle(step->event))
        request->due_us = runs ? clock_due(step->now_us, left > 0 ? left : 0) : waits ? step->now_us + ANSWER_US : 0;
}

static void take_step(struct request_step *at, const struct step *step)
{
    struct access_request *request = at->request;
    set_clock(request, step, at->policy.risk);
    if (step->from != step->to)
        request->state_since_us = step->now_us;
    if (step->event == REQUEST_SUBMIT || step->event == REQUEST_REAPPLY) {
        request->submitted_us = step->now_us;
        request->policy_seq = at->gate.policy_seq;
        memcpy(request->form_sha256, at->policy.form.sha256, SHA256_SIZE);
    }
    if (begins_cycle(step->event)) {
        request->cycle++;
        request->decided_us = 0;
    }
    if (step->event == REQUEST_REOPEN && step->from == REQUEST_APPROVED)
        request->renews_id = 0; /* that has been done: it is about the new grant */
    if (step->event == REQUEST_SAVE || step->event == REQUEST_SUBMIT || step->event == REQUEST_ANSWER ||
        step->event == REQUEST_REAPPLY)
        sha256(step->text, request->answers_sha256);
    if (step->to == REQUEST_INFO_WAIT)
        request->back = (enum request_state)step->from;
    bool decided = step->to == REQUEST_APPROVED || step->to == REQUEST_REFUSED;
    if (decided)
        request->decided_us = step->now_us;
    if (step->to == REQUEST_REFUSED)
        request->due_us = step->now_us + at->policy.reapply_us;
    request->outcome = step->to == REQUEST_APPROVED  ? OUTCOME_APPROVE
                       : step->to == REQUEST_REFUSED ? OUTCOME_REFUSE
                                                     : 0;
    if (decided || step->machine->states[step->to].ends)
        request->code = str_given(step->code) ? step->code : STR("");
    else if (begins_cycle(step->event))
        request->code = STR("");
    request->state = (enum request_state)step->to;
}

static const char save_sql[] =
    "UPDATE access_request SET state = ?, back = ?, version = version + 1, cycle = ?, policy_seq = ?, "
    "state_since_us = ?, submitted_us = ?, decided_us = ?, clock_used_us = ?, clock_since_us = ?, due_us = ?, "
    "outcome = ?, code = ?, answers_sha256 = ?, form_sha256 = ?, renews_id = ? WHERE id = ? AND version = ?";

static enum status store(struct db_conn *tx, struct access_request *request, struct error *err)
{
    auto_stmt struct stmt *save = NULL;
    TRY(db_prepare(tx, save_sql, &save, err));
    stmt_bind_int(save, 1, request->state);
    stmt_bind_int(save, 2, request->back);
    stmt_bind_int(save, 3, request->cycle);
    stmt_bind_int(save, 4, request->policy_seq);
    stmt_bind_int(save, 5, request->state_since_us);
    stmt_bind_int(save, 6, request->submitted_us);
    stmt_bind_int(save, 7, request->decided_us);
    stmt_bind_int(save, 8, request->clock_used_us);
    stmt_bind_int(save, 9, request->clock_since_us);
    stmt_bind_int(save, 10, request->due_us);
    stmt_bind_int(save, 11, request->outcome);
    stmt_bind_str(save, 12, request->code);
    stmt_bind_blob(save, 13, request->answers_sha256, SHA256_SIZE);
    stmt_bind_blob(save, 14, request->form_sha256, SHA256_SIZE);
    stmt_bind_int(save, 15, request->renews_id);
    stmt_bind_int(save, 16, request->id);
    stmt_bind_int(save, 17, request->version);
    TRY(stmt_run(save, err));
    if (!db_changes(tx))
        return fail(err, STALE, NULL, "Somebody else was faster: this request has moved. Look at it again.");
    request->version++;
    return OK;
}

static const char *basis_of(enum mover by, int event)
{
    return event == REQUEST_NO_ANSWER ? "clock"
           : by == BY_HOLDER          ? "holder"
           : by == BY_REVIEWER        ? "review"
           : by == BY_OWNER           ? "owner"
           : by == BY_BOARD           ? "board"
                                      : "rule";
}

/* What was decided about a person becomes a leaf of the log; that somebody is let in is logged with the grant. */
static enum status log_step(struct request_step *at, const struct step *step, struct error *err)
{
    const char *decision = step->from == step->to          ? NULL
                           : step->to == REQUEST_REFUSED   ? "deny"
                           : step->to == REQUEST_WITHDRAWN ? "withdraw"
                           : step->to == REQUEST_VOID      ? "void"
                                                           : NULL;
    const struct machine *machine = step->machine;
    struct step_made made = {
        .repo_id = at->gate.home_repo_id,
        .actor_id = step->actor_id,
        .id = at->request->id,
        .machine = machine->name,
        .event = machine->events[step->event],
        .from = machine->states[step->from].name,
        .to = machine->states[step->to].name,
    };
    struct decision_made about = {
        .repo_id = at->gate.home_repo_id,
        .account_id = at->request->applicant_id,
        .actor_id = step->actor_id,
        .decision = decision,
        .basis = basis_of(step->by, step->event),
        .policy = at->policy.sha256,
    };
    return decision ? access_log_decision(at->tx, &about, err) : access_log_step(at->tx, &made, err);
}

static enum status set_timer(struct request_step *at, const struct step *step, struct error *err)
{
    bool waits = step->to == REQUEST_INFO_WAIT || step->to == REQUEST_VERIFY_WAIT;
    if (waits)
        return timer_set(at->tx, "request.answer", at->request->id, at->request->due_us, err);
    bool waited = step->from == REQUEST_INFO_WAIT || step->from == REQUEST_VERIFY_WAIT;
    return waited ? timer_clear(at->tx, "request.answer", at->request->id, err) : OK;
}

enum status request_save(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    take_step(at, step);
    TRY(store(at->tx, at->request, err));
    TRY(set_timer(at, step, err));
    TRY(review_moved(at->tx, at->request, at->policy.risk, err));
    return log_step(at, step, err);
}

enum status request_do(struct db_conn *tx, struct arena *arena, struct access_request *request,
                       enum request_event event, enum mover by, int64_t actor_id, struct str code, struct str text,
                       struct error *err)
{
    struct request_step at = {.tx = tx, .arena = arena, .request = request};
    TRY(gate_get(tx, arena, request->gate_id, &at.gate, err));
    bool as_now = request->state == REQUEST_DRAFT || event == REQUEST_REAPPLY;
    TRY(gate_policy_get(tx, arena, &at.gate, as_now ? 0 : request->policy_seq, &at.policy, err));
    struct step step = {
        .machine = &request_machine,
        .subject = &at,
        .from = request->state,
        .event = event,
        .back = request->back,
        .by = by,
        .actor_id = actor_id,
        .now_us = now_us(),
        .code = code,
        .text = text,
    };
    struct access_request before = *request;
    enum status status = machine_do(&step, err);
    if (status != OK)
        *request = before; /* the write is undone, and the caller may try something else */
    return status;
}

/* What is written in a case. */

static const char write_sql[] = "INSERT INTO access_request_text (request_id, cycle, kind, by_id, at_us, sha256, body) "
                                "VALUES (?, ?, ?, ?, ?, ?, ?)";

enum status request_write(struct db_conn *tx, const struct access_request *request, const char *kind, int64_t by_id,
                          struct str text, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    uint8_t digest[SHA256_SIZE];
    sha256(text, digest);
    TRY(db_prepare(tx, write_sql, &put, err));
    stmt_bind_int(put, 1, request->id);
    stmt_bind_int(put, 2, request->cycle);
    stmt_bind_str(put, 3, str_of(kind));
    stmt_bind_int(put, 4, by_id);
    stmt_bind_int(put, 5, now_us());
    stmt_bind_blob(put, 6, digest, SHA256_SIZE);
    stmt_bind_str(put, 7, text);
    return stmt_run(put, err);
}

static const char answers_sql[] = "SELECT body FROM access_request_text WHERE request_id = ? AND kind = 'answers' "
                                  "ORDER BY id DESC LIMIT 1";

enum status request_answers(struct db_conn *conn, int64_t request_id, json_t **out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, answers_sql, &row, err));
    stmt_bind_int(row, 1, request_id);
    *out = NULL;
    if (stmt_next(row) && !stmt_is_null(row, 0))
        TRY(json_read(stmt_str(row, 0), SIZE_MAX, out, err));
    if (!*out)
        *out = json_object();
    return stmt_end(row, err);
}

/* Forgetting a person: what the person wrote, and what was written to the person. The hashes stay. */

const char *const request_forgets[] = {
    "UPDATE access_request_text SET body = NULL WHERE by_id = ?",
    "UPDATE access_request_text SET body = NULL WHERE request_id IN (SELECT id FROM access_request WHERE applicant_id "
    "= ?)",
    "UPDATE access_request SET purpose = '' WHERE applicant_id = ?",
    "DELETE FROM access_request_member WHERE account_id = ?",
    NULL,
};

static const char still_open_sql[] =
    "SELECT id FROM access_request WHERE applicant_id = ? AND state <= 6 ORDER BY id LIMIT 1";

enum status requests_erase(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    for (;;) {
        auto_stmt struct stmt *row = NULL;
        struct access_request request;
        TRY(db_prepare(tx, still_open_sql, &row, err));
        stmt_bind_int(row, 1, account_id);
        int64_t id = stmt_next(row) ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!id)
            return OK;
        TRY(request_get(tx, &arena, id, &request, err));
        TRY(request_do(tx, &arena, &request, REQUEST_WITHDRAW, BY_RULE, 0, STR("erased"), STR(""), err));
    }
}

/* R18: in batches, since many may wait. */

#define BATCH 50

static const char open_of_gate_sql[] =
    "SELECT id FROM access_request WHERE gate_id = ? AND state <= 6 ORDER BY id LIMIT 50";
static const char has_repo_sql[] = "SELECT 1 FROM gate_repo WHERE gate_id = ? LIMIT 1";

static enum status gate_lives(struct db_conn *conn, const struct gate *gate, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, has_repo_sql, &row, err));
    stmt_bind_int(row, 1, gate->id);
    *out = stmt_next(row) && gate->state != GATE_CLOSED;
    return stmt_end(row, err);
}

enum status requests_close(struct db_conn *tx, int64_t gate_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    int64_t ids[BATCH];
    size_t count = 0;
    struct gate gate;
    bool lives;
    TRY(gate_get(tx, &arena, gate_id, &gate, err));
    TRY(gate_lives(tx, &gate, &lives, err));
    if (lives)
        return OK;
    TRY(db_prepare(tx, open_of_gate_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    while (count < BATCH && stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++) {
        struct access_request request;
        TRY(request_get(tx, &arena, ids[i], &request, err));
        TRY(request_do(tx, &arena, &request, REQUEST_CLOSE, BY_RULE, 0, STR("gate-closed"), STR(""), err));
    }
    return count == BATCH ? timer_set(tx, "gate.close", gate_id, now_us(), err) : OK;
}

/* R17 */

static const char untold_sql[] = "SELECT id FROM access_request WHERE gate_id = ? AND terms_told < ? AND state BETWEEN "
                                 "1 AND 6 LIMIT 50";
static const char told_sql[] = "UPDATE access_request SET terms_told = ? WHERE id = ?";

enum status requests_told(struct db_conn *tx, int64_t id, int64_t epoch, struct error *err)
{
    auto_stmt struct stmt *told = NULL;
    TRY(db_prepare(tx, told_sql, &told, err));
    stmt_bind_int(told, 1, epoch);
    stmt_bind_int(told, 2, id);
    return stmt_run(told, err);
}

static enum status tell_one(struct db_conn *tx, struct arena *arena, int64_t id, int64_t epoch, struct error *err)
{
    struct access_request request;
    TRY(request_get(tx, arena, id, &request, err));
    TRY(request_do(tx, arena, &request, REQUEST_TERMS_MOVED, BY_RULE, 0, STR(""), STR(""), err));
    return requests_told(tx, id, epoch, err);
}

enum status requests_terms_moved(struct db_conn *tx, int64_t gate_id, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    int64_t ids[BATCH];
    size_t count = 0;
    struct gate gate;
    (void)due_us;
    TRY(gate_get(tx, &arena, gate_id, &gate, err));
    TRY(db_prepare(tx, untold_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, gate.terms_epoch);
    while (count < BATCH && stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(tell_one(tx, &arena, ids[i], gate.terms_epoch, err));
    return count == BATCH ? timer_set(tx, REQUESTS_TERMS, gate_id, now_us(), err) : OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an applicant, and who administers the gate, are shown of a request: state, clock, thread, and what comes next. */
#include "base/text.h"
#include "base/time.h"
#include "gate/appeal.h"
#include "gate/clock.h"
#include "gate/internal.h"
#include "gate/review.h"

static void key_time(struct arena *arena, struct json_writer *w, const char *key, int64_t us)
{
    if (us)
        jw_key_str(w, key, time_iso(arena, us));
}

/* What comes next, for each state: in a word, in a sentence, and until when. */

static void write_next(struct arena *arena, const struct access_request *request, const struct gate_policy *policy,
                       struct json_writer *w)
{
    static const struct {
        const char *word, *text;
    } next[REQUEST_STATES] = {
        [REQUEST_DRAFT] = {"submit", "Send it without \"draft\"."},
        [REQUEST_SCREENING] = {"wait", "It is being looked at."},
        [REQUEST_VERIFY_WAIT] = {"check", "Do what is missing, then POST access-request/check."},
        [REQUEST_IN_REVIEW] = {"wait", "It is being looked at."},
        [REQUEST_INFO_WAIT] = {"answer", "Answer the last question: POST access-request/answer."},
        [REQUEST_SECOND_REVIEW] = {"wait", "It is being looked at."},
        [REQUEST_ADJUDICATION] = {"wait", "It is being looked at."},
        [REQUEST_APPROVED] = {"download", "Download with your token; GET /api/grants shows until when."},
        [REQUEST_REFUSED] = {"appeal", "You can appeal, or ask again once the time below has come."},
        [REQUEST_WITHDRAWN] = {"apply", "You can ask again at any time."},
        [REQUEST_LAPSED] = {"apply", "You can ask again at any time."},
        [REQUEST_VOID] = {"none", "Nobody is let in there any more."},
    };
    jw_key(w, "next");
    jw_object(w);
    jw_key_str(w, "do", str_of(next[request->state].word));
    jw_key_str(w, "text", str_of(next[request->state].text));
    key_time(arena, w, "until", request->due_us);
    if (request->state == REQUEST_REFUSED) {
        key_time(arena, w, "until", request->decided_us + policy->appeal_us);
        key_time(arena, w, "reapplyFrom", request->decided_us + policy->reapply_us);
    }
    jw_end(w);
}

/* A refusal that is being appealed waits for that. */
static const char appeal_sql[] = "SELECT key, opened_us FROM appeal WHERE subject = 1 AND subject_id = ? AND cycle = ? "
                                 "AND state <= 2 LIMIT 1";

static enum status write_appealed(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                                  bool *found, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, appeal_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    *found = request->state == REQUEST_REFUSED && stmt_next(row);
    if (*found) {
        const struct appeal appeal = {.opened_us = stmt_int(row, 1)};
        jw_key(w, "next");
        jw_object(w);
        jw_key_str(w, "do", STR("wait"));
        jw_key_str(
            w, "text",
            arena_printf(arena, "Your appeal is being heard: GET /api/appeals/%.*s.", STR_ARG(stmt_str(row, 0))));
        key_time(arena, w, "until", appeal_due_us(&appeal));
        jw_end(w);
    }
    return stmt_end(row, err);
}

static void write_clock(struct arena *arena, const struct access_request *request, struct json_writer *w)
{
    int64_t used = request->clock_used_us;
    if (request->clock_since_us)
        used += clock_worked(request->clock_since_us, now_us());
    jw_key(w, "clock");
    jw_object(w);
    jw_key_bool(w, "runs", request->clock_since_us != 0);
    jw_key_int(w, "usedSeconds", used / SECOND_US);
    key_time(arena, w, "due", request->clock_since_us ? request->due_us : 0);
    jw_end(w);
}

/* Who reviews is not told; that it was they who wrote is. */
static const char thread_sql[] = "SELECT kind, cycle, by_id, at_us, sha256, body FROM access_request_text "
                                 "WHERE request_id = ? ORDER BY id LIMIT 500";

static enum status write_thread(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                                struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, thread_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    jw_key(w, "thread");
    jw_array(w);
    while (stmt_next(row)) {
        bool answers = str_eq(stmt_str(row, 0), STR("answers")) || str_eq(stmt_str(row, 0), STR("attest"));
        jw_object(w);
        jw_key_str(w, "kind", stmt_str(row, 0));
        jw_key_int(w, "cycle", stmt_int(row, 1));
        jw_key_str(w, "from", stmt_int(row, 2) == request->applicant_id ? STR("applicant") : STR("reviewers"));
        jw_key_str(w, "at", time_iso(arena, stmt_int(row, 3)));
        jw_key_hex(w, "sha256", stmt_str(row, 4).data, stmt_str(row, 4).len);
        jw_key(w, answers ? "answers" : "text");
        if (answers && !stmt_is_null(row, 5))
            jw_raw(w, stmt_str(row, 5));
        else
            jw_str(w, stmt_is_null(row, 5) ? (struct str){0} : stmt_str(row, 5));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

static const char members_sql[] = "SELECT a.name, m.state FROM access_request_member m JOIN account a ON a.id = "
                                  "m.account_id WHERE m.request_id = ? ORDER BY m.account_id";

static enum status write_members(struct db_conn *conn, const struct access_request *request, struct json_writer *w,
                                 struct error *err)
{
    static const char *const states[] = {"invited", "joined", "declined", "left"};
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, members_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    jw_key(w, "members");
    jw_array(w);
    while (stmt_next(row)) {
        jw_object(w);
        jw_key_str(w, "name", stmt_str(row, 0));
        jw_key_str(w, "state", str_of(states[stmt_int(row, 1) & 3]));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

void request_write_head(struct arena *arena, const struct access_request *request, struct json_writer *w)
{
    jw_key_int(w, "id", request->id);
    jw_key_str(w, "state", str_of(request_machine.states[request->state].name));
    jw_key_str(w, "shown", str_of(request_machine.states[request->state].shown));
    jw_key_str(w, "purpose", request->purpose);
    jw_key_int(w, "cycle", request->cycle);
    key_time(arena, w, "opened", request->opened_us);
    key_time(arena, w, "since", request->state_since_us);
    key_time(arena, w, "submitted", request->submitted_us);
    key_time(arena, w, "decided", request->decided_us);
    if (request->code.len)
        jw_key_str(w, "code", request->code);
    if (request->renews_id)
        jw_key_int(w, "renews", request->renews_id);
}

enum status request_show(struct db_conn *conn, struct arena *arena, const struct access_request *request,
                         struct json_writer *w, struct error *err)
{
    struct gate gate;
    struct gate_policy policy;
    bool appealed;
    TRY(gate_get(conn, arena, request->gate_id, &gate, err));
    TRY(gate_policy_get(conn, arena, &gate, request->policy_seq, &policy, err));
    jw_object(w);
    request_write_head(arena, request, w);
    jw_key_hex(w, "policy", policy.sha256, SHA256_SIZE);
    jw_key_hex(w, "form", request->form_sha256, SHA256_SIZE);
    write_clock(arena, request, w);
    TRY(write_appealed(conn, arena, request, &appealed, w, err));
    if (!appealed)
        write_next(arena, request, &policy, w);
    TRY(write_members(conn, request, w, err));
    TRY(write_thread(conn, arena, request, w, err));
    TRY(review_show(conn, request, w, err));
    jw_end(w);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The routes of applicants, of members of their labs, and of who administers a gate. */
#include "base/text.h"
#include "base/time.h"
#include "gate/apply.h"
#include "gate/handlers.h"
#include "grant/grant.h"
#include "router/page.h"

#define BODY_LIMIT (1 << 20)
#define TEXT_LIMIT 20000

static enum status reply_request(struct request *rq, const struct access_request *request, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(request_read(rq, err));
    TRY(request_show(rq->db, rq->arena, request, &w, err));
    request_reply_json(rq, &body);
    return OK;
}

/* What a write is about; the case is found in the write, so that nothing has moved since. */
struct call {
    struct request *rq;
    enum request_event event;
    struct str purpose, text, code;
    const json_t *answers, *terms;
    struct application how;
    int64_t id; /* of the request, where the owner names it */
    bool accept;
    enum outcome outcome;
    struct access_request out;
};

static enum status find_own(struct db_conn *tx, struct call *call, struct gate *gate, struct error *err)
{
    struct request *rq = call->rq;
    TRY(gate_of_repo(tx, rq->arena, rq->repo.id, gate, err));
    return request_find(tx, rq->arena, gate->id, rq->actor.account.id, call->purpose, &call->out, err);
}

/* POST /api/{api}/access-request */

static enum status apply_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    return application_apply(tx, call->rq->arena, &call->how, &call->out, err);
}

enum status access_request_apply(struct request *rq, struct application *how, struct access_request *out,
                                 struct error *err)
{
    struct call call = {.rq = rq, .how = *how};
    call.how.repo_id = rq->repo.id;
    call.how.account_id = rq->actor.account.id;
    call.how.account_name = rq->actor.account.name;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, apply_in_write, &call, err));
    *out = call.out;
    return OK;
}

enum status access_request_post(struct request *rq, struct error *err)
{
    struct application how;
    struct access_request made;
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(application_read(rq->arena, body, &how, err));
    TRY(access_request_apply(rq, &how, &made, err));
    return reply_request(rq, &made, err);
}

/* GET /api/{api}/access-request?purpose= */
enum status access_request_get(struct request *rq, struct error *err)
{
    struct gate gate;
    struct access_request own;
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    TRY(request_find(rq->db, rq->arena, gate.id, rq->actor.account.id, request_query(rq, "purpose", 0), &own, err));
    return reply_request(rq, &own, err);
}

/* POST …/access-request/withdraw, /check and /answer: what an applicant does to the own case. */

/* New answers stand beside the old ones, which are kept; those that are not given again stay as they are. */
static enum status merge_answers(struct db_conn *tx, struct call *call, const struct gate *gate, struct str *out,
                                 struct error *err)
{
    auto_json json_t *answers = NULL;
    struct gate_policy policy;
    const char *name;
    const json_t *value;
    TRY(gate_policy_get(tx, call->rq->arena, gate, call->out.policy_seq, &policy, err));
    TRY(request_answers(tx, call->out.id, &answers, err));
    if (call->answers && !json_is_object(call->answers))
        return fail(err, INVALID, "FormInvalid", "\"answers\" must be an object");
    json_object_foreach((json_t *)call->answers, name, value) json_object_set(answers, name, (json_t *)value);
    return form_check(call->rq->arena, &policy.form, answers, true, out, err);
}

static enum status act_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    struct request *rq = call->rq;
    struct gate gate;
    struct str text = STR("");
    TRY(find_own(tx, call, &gate, err));
    if (call->event == REQUEST_ANSWER && call->out.state == REQUEST_INFO_WAIT) {
        TRY(merge_answers(tx, call, &gate, &text, err));
        if (call->text.len)
            TRY(request_write(tx, &call->out, "answer", rq->actor.account.id, call->text, err));
    }
    return request_do(tx, rq->arena, &call->out, call->event, BY_HOLDER, rq->actor.account.id, STR(""), text, err);
}

static enum status act(struct request *rq, enum request_event event, const char *const *members, struct error *err)
{
    struct call call = {.rq = rq, .event = event};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(json_only(body, "The body", members, err));
    TRY(json_text(body, "purpose", 128, &call.purpose, err));
    TRY(json_text(body, "text", TEXT_LIMIT, &call.text, err));
    call.answers = json_object_get(body, "answers");
    if (event == REQUEST_ANSWER && !call.text.len && !json_object_size(call.answers))
        return fail(err, INVALID, NULL, "Say something: \"text\", or new \"answers\", or both");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, act_in_write, &call, err));
    return reply_request(rq, &call.out, err);
}

enum status access_request_withdraw(struct request *rq, struct error *err)
{
    static const char *const members[] = {"purpose", NULL};
    return act(rq, REQUEST_WITHDRAW, members, err);
}

enum status access_request_check(struct request *rq, struct error *err)
{
    static const char *const members[] = {"purpose", NULL};
    return act(rq, REQUEST_CHECKED, members, err);
}

enum status access_request_answer(struct request *rq, struct error *err)
{
    static const char *const members[] = {"purpose", "text", "answers", NULL};
    return act(rq, REQUEST_ANSWER, members, err);
}

/* POST …/access-request/join: who was named as a member says yes or no. */

static const char invited_sql[] =
    "SELECT m.request_id FROM access_request_member m JOIN access_request r ON r.id = m.request_id "
    "WHERE m.account_id = ? AND r.gate_id = ? AND m.state = 0 AND r.state <= 7 ORDER BY m.request_id DESC LIMIT 1";
static const char join_sql[] =
    "UPDATE access_request_member SET state = ?, at_us = ? WHERE request_id = ? AND account_id = ?";

static enum status set_member(struct db_conn *tx, const struct call *call, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, join_sql, &set, err));
    stmt_bind_int(set, 1, call->accept ? 1 : 2);
    stmt_bind_int(set, 2, now_us());
    stmt_bind_int(set, 3, call->out.id);
    stmt_bind_int(set, 4, call->rq->actor.account.id);
    return stmt_run(set, err);
}

/* It may have waited for this person only; if not, it goes on waiting. */
static enum status check_again(struct db_conn *tx, struct call *call, struct error *err)
{
    struct error other = {0};
    if (call->out.state != REQUEST_VERIFY_WAIT)
        return OK;
    enum status status =
        request_do(tx, call->rq->arena, &call->out, REQUEST_CHECKED, BY_RULE, 0, STR(""), STR(""), &other);
    return status == OK || status == UNPROCESSABLE ? OK : fail(err, status, other.code, "%s", other.message);
}

static enum status join_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    struct request *rq = call->rq;
    auto_stmt struct stmt *row = NULL;
    struct gate gate;
    TRY(gate_of_repo(tx, rq->arena, rq->repo.id, &gate, err));
    TRY(db_prepare(tx, invited_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, gate.id);
    int64_t id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    if (!id)
        return fail(err, NOT_FOUND, "NoInvitation", "Nobody has named you in a request here, or you have answered.");
    TRY(request_get(tx, rq->arena, id, &call->out, err));
    TRY(set_member(tx, call, err));
    if (call->accept)
        TRY(request_admit_member(tx, rq->arena, &call->out, rq->actor.account.id, call->terms, err));
    return check_again(tx, call, err);
}

enum status access_request_join(struct request *rq, struct error *err)
{
    static const char *const members[] = {"accept", "terms", NULL};
    struct call call = {.rq = rq};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(json_only(body, "The body", members, err));
    TRY(json_flag(body, "accept", &call.accept, err));
    if (!json_object_get(body, "accept"))
        return fail(err, INVALID, NULL, "\"accept\" must be true or false");
    call.terms = json_object_get(body, "terms");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, join_in_write, &call, err));
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    jw_object(&w);
    jw_key_str(&w, "member", call.accept ? STR("joined") : STR("declined"));
    jw_key_str(&w, "state", str_of(request_machine.states[call.out.state].name));
    jw_end(&w);
    request_reply_json(rq, &out);
    return OK;
}

/* POST …/access-request/member: who asked for a group says that somebody has left it, or is back (access C4). */

#define LEFT_LAB "left-lab"
static const char left_sql[] =
    "UPDATE access_request_member SET state = ?, at_us = ? WHERE request_id = ? AND account_id = ? "
    "AND state BETWEEN ? AND ?";

static enum status suspend_member(struct db_conn *tx, const struct call *call, int64_t account_id, struct error *err)
{
    struct request *rq = call->rq;
    struct grant grant;
    enum status found = grant_find(tx, rq->arena, call->out.gate_id, account_id, &grant, err);
    if (found == NOT_FOUND || (found == OK && grant.request_id != call->out.id)) /* one of the own stays */
        return OK;
    TRY(found);
    if (!call->accept)
        return grant.state == GRANT_SUSPENDED
                   ? grant_do(tx, grant.id, GRANT_RESUME, BY_RULE, 0, STR(LEFT_LAB), STR(""), 0, err)
                   : OK;
    return grant_do(tx, grant.id, GRANT_SUSPEND, BY_RULE, 0, STR(LEFT_LAB),
                    arena_printf(rq->arena, "%.*s, who asked for it, says that you have left the group.",
                                 STR_ARG(rq->actor.account.name)),
                    0, err);
}

static enum status member_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    struct gate gate;
    struct account member;
    auto_stmt struct stmt *set = NULL;
    TRY(find_own(tx, call, &gate, err));
    TRY(account_find(tx, call->rq->arena, call->text, &member, err));
    TRY(db_prepare(tx, left_sql, &set, err));
    stmt_bind_int(set, 1, call->accept ? 3 : 1);
    stmt_bind_int(set, 2, now_us());
    stmt_bind_int(set, 3, call->out.id);
    stmt_bind_int(set, 4, member.id);
    stmt_bind_int(set, 5, call->accept ? 0 : 3);
    stmt_bind_int(set, 6, call->accept ? 1 : 3);
    TRY(stmt_run(set, err));
    if (!db_changes(tx))
        return fail(err, NOT_FOUND, "NoMember", "Your request has no such member who could %s.",
                    call->accept ? "leave" : "come back");
    TRY(suspend_member(tx, call, member.id, err));
    return check_again(tx, call, err);
}

enum status access_request_member(struct request *rq, struct error *err)
{
    static const char *const members[] = {"name", "left", "purpose", NULL};
    struct call call = {.rq = rq};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(json_only(body, "The body", members, err));
    TRY(json_text(body, "name", 128, &call.text, err));
    TRY(json_text(body, "purpose", 128, &call.purpose, err));
    TRY(json_flag(body, "left", &call.accept, err));
    if (!json_object_get(body, "left") || !call.text.len)
        return fail(err, INVALID, NULL, "The body is {\"name\": who, \"left\": true or false}.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, member_in_write, &call, err));
    request_reply_empty(rq);
    return OK;
}

/* Lists: of who administers the gate, and of a person's own everywhere. A page at a time, by number of the case. */

static const char queue_sql[] = "SELECT r.id, r.state, r.purpose, r.cycle, r.submitted_us, r.due_us, a.name "
                                "FROM access_request r JOIN account a ON a.id = r.applicant_id "
                                "WHERE r.gate_id = ? AND r.state BETWEEN 1 AND 6 AND r.id > ? ORDER BY r.id LIMIT ?";
static const char state_sql[] = "SELECT r.id, r.state, r.purpose, r.cycle, r.submitted_us, r.due_us, a.name "
                                "FROM access_request r JOIN account a ON a.id = r.applicant_id "
                                "WHERE r.gate_id = ? AND r.id > ? AND r.state = ? ORDER BY r.id LIMIT ?";
static const char mine_sql[] =
    "SELECT r.id, r.state, r.purpose, r.cycle, r.submitted_us, r.due_us, "
    "(SELECT p.ns || '/' || p.name FROM repo p JOIN gate_repo b ON b.repo_id = p.id WHERE b.gate_id = r.gate_id "
    "AND p.visibility = 1 LIMIT 1) FROM access_request r WHERE r.applicant_id = ? AND r.id > ? ORDER BY r.id LIMIT ?";

/* With the applicant's name to who administers a gate, with that of a repo to the applicant. */
static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "state", str_of(request_machine.states[stmt_int(row, 1) % REQUEST_STATES].name));
    jw_key_str(w, "purpose", stmt_str(row, 2));
    jw_key_int(w, "cycle", stmt_int(row, 3));
    if (stmt_int(row, 4))
        jw_key_str(w, "submitted", time_iso(rq->arena, stmt_int(row, 4)));
    if (stmt_int(row, 1) <= REQUEST_ADJUDICATION && stmt_int(row, 5))
        jw_key_str(w, "due", time_iso(rq->arena, stmt_int(row, 5)));
    jw_key_str(w, rq->repo.id ? "applicant" : "repo", stmt_str(row, 6));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/access-requests?state=: "open" (the default), or a state of the machine other than a draft. */
enum status access_requests_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct gate gate;
    struct str name = request_query(rq, "state", 0);
    int state = machine_state_named(&request_machine, name);
    int64_t after;
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    if (!str_given(name) || str_eq(name, STR("open")))
        return page_list(rq, queue_sql, gate.id, OLDEST_FIRST, write_row, err);
    if (state <= REQUEST_DRAFT)
        return fail(err, INVALID, NULL,
                    "\"state\" must be open, or a state of the machine as cairn machines prints it");
    TRY(page_cursor(rq, OLDEST_FIRST, &after, err));
    TRY(db_prepare(rq->db, state_sql, &row, err));
    stmt_bind_int(row, 1, gate.id);
    stmt_bind_int(row, 2, after);
    stmt_bind_int(row, 3, state);
    stmt_bind_int(row, 4, PAGE);
    return page_reply(rq, row, write_row, err);
}

/* GET /api/access-requests */
enum status access_requests_mine(struct request *rq, struct error *err)
{
    return page_list(rq, mine_sql, rq->actor.account.id, OLDEST_FIRST, write_row, err);
}

/* One case of the gate, for who administers it: never a draft, which is the applicant's alone. */
static enum status find_named(struct db_conn *conn, struct request *rq, int64_t id, struct access_request *out,
                              struct error *err)
{
    struct gate gate;
    TRY(gate_of_repo(conn, rq->arena, rq->repo.id, &gate, err));
    TRY(request_get(conn, rq->arena, id, out, err));
    if (out->gate_id != gate.id || out->state == REQUEST_DRAFT)
        return fail(err, NOT_FOUND, "NoRequest", "This gate has no such request.");
    return OK;
}

static enum status id_of(struct request *rq, int64_t *out, struct error *err)
{
    return str_to_i64(rq->params[0], out) ? OK : fail(err, NOT_FOUND, "NoRequest", "This gate has no such request.");
}

/* GET /api/{api}/access-requests/{id}: with all that is written in it. */
enum status access_request_one(struct request *rq, struct error *err)
{
    struct access_request found;
    int64_t id;
    TRY(id_of(rq, &id, err));
    TRY(find_named(rq->db, rq, id, &found, err));
    return reply_request(rq, &found, err);
}

/* POST /api/{api}/access-requests/{id}/ask and /decide: by an owner who judges alone. */

static enum status judge_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    struct request *rq = call->rq;
    TRY(find_named(tx, rq, call->id, &call->out, err));
    call->out.outcome = call->outcome;
    return request_do(tx, rq->arena, &call->out, call->event, BY_OWNER, rq->actor.account.id, call->code, call->text,
                      err);
}

static enum status judge(struct request *rq, struct call *call, struct error *err)
{
    TRY(id_of(rq, &call->id, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, judge_in_write, call, err));
    return reply_request(rq, &call->out, err);
}

enum status access_request_ask(struct request *rq, struct error *err)
{
    static const char *const members[] = {"text", NULL};
    struct call call = {.rq = rq, .event = REQUEST_ASK};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(json_only(body, "A question", members, err));
    TRY(json_text(body, "text", TEXT_LIMIT, &call.text, err));
    if (!call.text.len)
        return fail(err, INVALID, NULL, "A question needs a \"text\"");
    return judge(rq, &call, err);
}

enum status access_request_decide(struct request *rq, struct error *err)
{
    static const char *const members[] = {"outcome", "code", "text", NULL};
    struct call call = {.rq = rq, .event = REQUEST_VERDICT};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(json_only(body, "A decision", members, err));
    TRY(json_text(body, "code", 64, &call.code, err));
    TRY(json_text(body, "text", TEXT_LIMIT, &call.text, err));
    if (!outcome_parse(json_get_str(body, "outcome"), &call.outcome))
        return fail(err, INVALID, NULL, "\"outcome\" must be approve or refuse");
    if (call.outcome == OUTCOME_REFUSE && (!call.code.len || !call.text.len))
        return fail(err, INVALID, NULL, "A refusal needs a \"code\" and a \"text\": why, and what the person can do");
    return judge(rq, &call, err);
}

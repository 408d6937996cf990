/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The three lists of the Hub protocol (1.9), as a simple face of the machines: "pending" is every open request,
 * "accepted" every live grant, "rejected" whoever was refused or whose grant was revoked and who has nothing since. An
 * owner moves people between them by events of the machines, so that what stock clients do is decided, logged and
 * told like everything else.
 */
#include "base/time.h"
#include "gate/handlers.h"
#include "grant/grant.h"
#include "router/page.h"

#define REASON_LIMIT 2000 /* the public hub takes 200 characters */

enum list { LIST_NONE = -1, LIST_PENDING, LIST_ACCEPTED, LIST_REJECTED, LISTS };
static const char *const list_names[LISTS] = {"pending", "accepted", "rejected"};

static enum status read_list(struct str name, enum list *out, struct error *err)
{
    for (*out = 0; *out < LISTS; (*out)++)
        if (str_eq(name, str_of(list_names[*out])))
            return OK;
    return fail(err, INVALID, NULL, "\"status\" must be one of [pending, accepted, rejected]");
}

static enum status gate_of(struct db_conn *conn, struct request *rq, struct gate *out, struct error *err)
{
    enum status found = gate_of_repo(conn, rq->arena, rq->repo.id, out, err);
    return found == NOT_FOUND ? fail(err, INVALID, "NoGate", "This repo is not gated.") : found;
}

/* The lists. Columns: cursor, request, time, whether the owner added the person, answers, name, full name, address. */

#define PERSON "a.name, a.full_name, a.email"
#define ANSWERS                                                                                                        \
    "(SELECT t.body FROM access_request_text t WHERE t.request_id = r.id AND t.kind = 'answers' ORDER BY t.id DESC "   \
    "LIMIT 1)"

static const char pending_sql[] = "SELECT r.id, r.id, r.submitted_us, r.by_owner, " ANSWERS ", " PERSON
                                  " FROM access_request r JOIN account a ON a.id = r.applicant_id "
                                  "WHERE r.gate_id = ? AND r.state BETWEEN 1 AND 6 AND r.id > ? ORDER BY r.id LIMIT ?";

static const char accepted_sql[] =
    "SELECT g.id, r.id, g.created_us, r.by_owner, "
    "CASE WHEN r.applicant_id = g.account_id THEN " ANSWERS " END, " PERSON
    " FROM access_grant g JOIN account a ON a.id = g.account_id JOIN access_request r ON r.id = g.request_id "
    "WHERE g.gate_id = ? AND g.state <= 3 AND g.id > ? AND r.state > 6 ORDER BY g.id LIMIT ?";

static const char rejected_sql[] =
    "SELECT r.id, r.id, r.submitted_us, r.by_owner, " ANSWERS ", " PERSON
    " FROM access_request r JOIN account a ON a.id = r.applicant_id WHERE r.gate_id = ? AND r.id > ? AND (r.state = 8 "
    "OR (r.state = 7 AND EXISTS (SELECT 1 FROM access_grant g WHERE g.request_id = r.id AND g.state = 6 "
    "AND g.account_id = r.applicant_id))) "
    "AND NOT EXISTS (SELECT 1 FROM access_grant g WHERE g.gate_id = r.gate_id AND g.account_id = r.applicant_id "
    "AND g.state <= 3) AND NOT EXISTS (SELECT 1 FROM access_request l WHERE l.gate_id = r.gate_id "
    "AND l.applicant_id = r.applicant_id AND l.id > r.id AND l.state BETWEEN 1 AND 8) ORDER BY r.id LIMIT ?";

static const char *const list_sql[LISTS] = {pending_sql, accepted_sql, rejected_sql};

static enum status write_person(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    bool asked = stmt_int(row, 3) == 0;
    struct str answers = stmt_is_null(row, 4) ? (struct str){0} : stmt_str(row, 4);
    jw_object(w);
    jw_key(w, "user");
    jw_object(w);
    jw_key_str(w, "user", stmt_str(row, 5));
    jw_key_str(w, "fullname", stmt_is_null(row, 6) ? stmt_str(row, 5) : stmt_str(row, 6));
    if (asked && !stmt_is_null(row, 7)) /* who was added has not agreed to be known by it */
        jw_key_str(w, "email", stmt_str(row, 7));
    jw_end(w);
    jw_key_str(w, "requestId", arena_printf(rq->arena, "%lld", (long long)stmt_int(row, 1)));
    jw_key_str(w, "status", rq->params[0]);
    jw_key_str(w, "timestamp", time_iso(rq->arena, stmt_int(row, 2)));
    if (asked && answers.len > 2) { /* more than {} */
        jw_key(w, "fields");
        jw_raw(w, answers);
    }
    jw_end(w);
    return OK;
}

/* GET /api/{api}/user-access-request/{status} */
enum status hub_requests_get(struct request *rq, struct error *err)
{
    struct gate gate;
    enum list list;
    TRY(read_list(rq->params[0], &list, err));
    TRY(gate_of(rq->db, rq, &gate, err));
    return page_list(rq, list_sql[list], gate.id, OLDEST_FIRST, write_person, err);
}

/* Where a person stands. */

struct person {
    struct request *rq;
    struct str user, reason;
    int64_t request_id; /* instead of a name; 0 */
    enum list wanted;
    struct gate gate;
    int64_t account_id;
    struct access_request request;
    struct grant grant;
    bool has_request, has_grant; /* a live one */
    enum list now;
};

static const char revoked_sql[] =
    "SELECT 1 FROM access_grant WHERE gate_id = ? AND account_id = ? AND state = 6 LIMIT 1";

static enum status was_revoked(struct db_conn *conn, const struct person *p, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, revoked_sql, &row, err));
    stmt_bind_int(row, 1, p->gate.id);
    stmt_bind_int(row, 2, p->account_id);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

static enum status find_account(struct db_conn *conn, struct person *p, struct error *err)
{
    struct account account;
    struct access_request request;
    if (!p->request_id) {
        enum status found = account_find(conn, p->rq->arena, p->user, &account, err);
        p->account_id = found == OK ? account.id : 0;
        return found == NOT_FOUND ? fail(err, NOT_FOUND, NULL, "There is no user of that name on this hub.") : found;
    }
    TRY(request_get(conn, p->rq->arena, p->request_id, &request, err));
    p->account_id = request.applicant_id;
    return request.gate_id == p->gate.id ? OK : fail(err, NOT_FOUND, "NoRequest", "This gate has no such request.");
}

static enum status find_person(struct db_conn *conn, struct person *p, struct error *err)
{
    struct arena *arena = p->rq->arena;
    bool revoked;
    TRY(gate_of(conn, p->rq, &p->gate, err));
    TRY(find_account(conn, p, err));
    enum status request = p->request_id
                              ? request_get(conn, arena, p->request_id, &p->request, err)
                              : request_find(conn, arena, p->gate.id, p->account_id, (struct str){0}, &p->request, err);
    enum status grant = grant_find(conn, arena, p->gate.id, p->account_id, &p->grant, err);
    if ((request != OK && request != NOT_FOUND) || (grant != OK && grant != NOT_FOUND))
        return err->status;
    TRY(was_revoked(conn, p, &revoked, err));
    p->has_request = request == OK && p->request.state != REQUEST_DRAFT;
    p->has_grant = grant == OK;
    bool open = p->has_request && p->request.state <= REQUEST_ADJUDICATION;
    bool refused = p->has_request && p->request.state == REQUEST_REFUSED;
    p->now = open ? LIST_PENDING : p->has_grant ? LIST_ACCEPTED : refused || revoked ? LIST_REJECTED : LIST_NONE;
    return OK;
}

/* The events that lead from one list to another. */

static enum status do_event(struct db_conn *tx, struct person *p, enum request_event event, struct error *err)
{
    bool refuses = event == REQUEST_VERDICT && p->request.outcome == OUTCOME_REFUSE;
    return request_do(tx, p->rq->arena, &p->request, event, BY_OWNER, p->rq->actor.account.id,
                      refuses ? STR("owner") : STR(""), refuses ? p->reason : STR(""), err);
}

static enum status judge(struct db_conn *tx, struct person *p, enum outcome outcome, struct error *err)
{
    p->request.outcome = outcome;
    return do_event(tx, p, REQUEST_VERDICT, err);
}

static enum status revoke(struct db_conn *tx, struct person *p, struct error *err)
{
    struct str text = p->reason.len ? p->reason : STR("Your access was ended by who administers this repo.");
    return grant_do(tx, p->grant.id, GRANT_REVOKE, BY_OWNER, p->rq->actor.account.id, STR("owner"), text, 0, err);
}

static enum status add(struct db_conn *tx, struct person *p, struct error *err)
{
    p->request = (struct access_request){.gate_id = p->gate.id,
                                         .applicant_id = p->account_id,
                                         .purpose = STR(""),
                                         .policy_seq = p->gate.policy_seq,
                                         .by_owner = true};
    TRY(request_open(tx, &p->request, err));
    return do_event(tx, p, REQUEST_ADD, err);
}

/* A member of somebody's lab, or a person whom another event let in, has no case of the own to open again. */
static bool has_own_case(const struct person *p)
{
    return p->has_request && (p->request.state == REQUEST_APPROVED || p->request.state == REQUEST_REFUSED);
}

static enum status move(struct db_conn *tx, struct person *p, struct error *err)
{
    if (p->now == LIST_PENDING)
        return judge(tx, p, p->wanted == LIST_ACCEPTED ? OUTCOME_APPROVE : OUTCOME_REFUSE, err);
    if (p->now == LIST_ACCEPTED && (p->wanted == LIST_REJECTED || !has_own_case(p)))
        return revoke(tx, p, err);
    if (!has_own_case(p))
        return fail(err, NOT_FOUND, "NoRequest", "This person has no request of the own; use grant_access.");
    TRY(do_event(tx, p, REQUEST_REOPEN, err));
    return p->wanted == LIST_ACCEPTED ? judge(tx, p, OUTCOME_APPROVE, err) : OK;
}

static enum status handle_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct person *p = context;
    TRY(find_person(tx, p, err));
    if (p->now == LIST_NONE)
        return fail(err, NOT_FOUND, "NoRequest", "This person has not asked for access.");
    if (p->now == p->wanted)
        return fail(err, NOT_FOUND, NULL, "This request is in the %s list already.", list_names[p->now]);
    return move(tx, p, err);
}

/* POST /api/{api}/user-access-request/handle */
enum status hub_request_handle(struct request *rq, struct error *err)
{
    static const char *const members[] = {"user", "requestId", "status", "rejectionReason", NULL};
    struct person p = {.rq = rq};
    struct str id;
    json_t *body;
    TRY(request_json(rq, 1 << 16, &body, err));
    TRY(json_only(body, "The body", members, err));
    TRY(json_text(body, "user", 128, &p.user, err));
    TRY(json_text(body, "requestId", 20, &id, err));
    TRY(json_text(body, "rejectionReason", REASON_LIMIT, &p.reason, err));
    TRY(read_list(json_get_str(body, "status"), &p.wanted, err));
    if (str_given(id) == str_given(p.user) || (str_given(id) && (!str_to_i64(id, &p.request_id) || !p.request_id)))
        return fail(err, INVALID, NULL, "Name the person as \"user\", or the request as \"requestId\"");
    if (p.reason.len && p.wanted != LIST_REJECTED)
        return fail(err, INVALID, NULL, "\"rejectionReason\" goes with \"status\": \"rejected\"");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, handle_in_write, &p, err));
    request_reply_empty(rq);
    return OK;
}

static enum status grant_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct person *p = context;
    TRY(find_person(tx, p, err));
    if (p->now == LIST_ACCEPTED)
        return fail(err, INVALID, "GrantExists", "This user has access already.");
    return p->now == LIST_PENDING ? judge(tx, p, OUTCOME_APPROVE, err) : add(tx, p, err);
}

/* POST /api/{api}/user-access-request/grant */
enum status hub_grant(struct request *rq, struct error *err)
{
    static const char *const members[] = {"user", NULL};
    struct person p = {.rq = rq};
    json_t *body;
    TRY(request_json(rq, 1 << 16, &body, err));
    TRY(json_only(body, "The body", members, err));
    TRY(json_text(body, "user", 128, &p.user, err));
    if (!p.user.len)
        return fail(err, INVALID, NULL, "\"user\" must name who gets access");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, grant_in_write, &p, err));
    request_reply_empty(rq);
    return OK;
}

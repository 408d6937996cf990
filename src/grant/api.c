/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Grants by HTTP: the holder's own, and those of a repo's gate for its owner. */
#include "grant/internal.h"
#include "router/page.h"

#define BODY_LIMIT (64 * 1024)

/* Lists. */

static const char mine_sql[] = "SELECT id FROM access_grant WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
static const char of_gate_sql[] =
    "SELECT id FROM access_grant WHERE gate_id = ? AND state = ? AND id < ? ORDER BY id DESC LIMIT ?";
static const char gate_of_repo_sql[] = "SELECT gate_id FROM gate_repo WHERE repo_id = ?";

static void write_time(struct request *rq, struct json_writer *w, const char *key, int64_t us)
{
    if (us)
        jw_key_str(w, key, time_iso(rq->arena, us));
}

/* As the clock has it, whatever is written down by now. */
static enum grant_state state_now(const struct grant *grant, const struct terms_standing *terms, int64_t at_us)
{
    bool works = grant->state == GRANT_ACTIVE || grant->state == GRANT_REACCEPT_DUE;
    bool only_terms = grant->state == GRANT_SUSPENDED && str_eq(grant->code, STR(CAUSE_TERMS));
    bool outstanding = terms->reached >= 0 && terms->due_us < INT64_MAX;
    if ((works || only_terms) && grant->expires_us && at_us >= grant->expires_us)
        return GRANT_EXPIRED;
    if (works && outstanding)
        return at_us >= terms->due_us ? GRANT_SUSPENDED : GRANT_REACCEPT_DUE;
    return grant->state;
}

static enum status write_grant(struct request *rq, struct json_writer *w, const struct grant *grant, bool for_owner,
                               struct error *err)
{
    struct terms_standing terms;
    struct account holder;
    struct str gate;
    int64_t repo_id;
    TRY(terms_reached(rq->db, grant->gate_id, grant->account_id, &terms, err));
    TRY(terms_gate_name(rq->db, rq->arena, grant->gate_id, &gate, &repo_id, err));
    enum grant_state state = state_now(grant, &terms, now_us());
    bool live = state >= GRANT_ACTIVE && state <= GRANT_SUSPENDED;
    jw_object(w);
    jw_key_int(w, "id", grant->id);
    jw_key_str(w, "for", gate);
    if (for_owner) {
        TRY(account_get(rq->db, rq->arena, grant->account_id, &holder, err));
        jw_key_str(w, "holder", holder.name);
    }
    if (grant->purpose.len)
        jw_key_str(w, "purpose", grant->purpose);
    if (grant->request_id)
        jw_key_int(w, "request", grant->request_id);
    jw_key_str(w, "state", str_of(grant_machine.states[state].name));
    write_time(rq, w, "since", grant->created_us);
    write_time(rq, w, "begins", grant->not_before_us);
    write_time(rq, w, "expires", grant->expires_us);
    if (state == GRANT_SUSPENDED && grant->state != GRANT_SUSPENDED)
        jw_key_str(w, "code", STR(CAUSE_TERMS));
    if (grant->code.len)
        jw_key_str(w, "code", grant->code);
    if (grant->text.len)
        jw_key_str(w, "text", grant->text);
    write_time(rq, w, "until", grant->until_us);
    if (live && terms.reached < terms.newest && terms.due_us < INT64_MAX)
        write_time(rq, w, "termsDue", terms.due_us);
    if (live)
        jw_key_bool(w, "termsAccepted", terms.reached >= 0 && terms.due_us == INT64_MAX);
    jw_end(w);
    return OK;
}

/* For the owner of the gate, or for the holder alone. */
static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    struct grant grant;
    TRY(grant_get(rq->db, rq->arena, stmt_int(row, 0), &grant, err));
    return write_grant(rq, w, &grant, rq->repo.id != 0, err);
}

/* GET /api/grants: the actor's own, also those that are over; the newest first. */
enum status grants_mine(struct request *rq, struct error *err)
{
    return page_list(rq, mine_sql, rq->actor.account.id, NEWEST_FIRST, write_row, err);
}

static enum status find_gate(struct request *rq, int64_t *gate_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, gate_of_repo_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    bool found = stmt_next(row);
    *gate_id = found ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    return found ? OK
                 : fail(err, NOT_FOUND, "NoGate", "%.*s has no gate, so there are no grants.",
                        STR_ARG(rq->repo.full_name));
}

/* GET /api/{api}/grants?state=active: those of the repo's gate that are written down in one state. */
enum status grants_of_repo(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str name = request_query(rq, "state", 0);
    int state = str_given(name) ? machine_state_named(&grant_machine, name) : GRANT_ACTIVE;
    int64_t gate_id, before;
    if (state < GRANT_ACTIVE)
        return fail(err, INVALID, NULL,
                    "?state= is active, reaccept_due, suspended, expired, superseded, revoked or surrendered.");
    TRY(find_gate(rq, &gate_id, err));
    TRY(page_cursor(rq, NEWEST_FIRST, &before, err));
    TRY(db_prepare(rq->db, of_gate_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, state);
    stmt_bind_int(row, 3, before);
    stmt_bind_int(row, 4, PAGE);
    return page_reply(rq, row, write_row, err);
}

/* Changes. */

struct change_asked {
    int64_t id, gate_id, account_id; /* gate_id or account_id: what the grant must be of */
    enum grant_event event;
    enum mover by;
    int64_t actor_id;
    struct str code, text;
    int64_t until_us;
};

static enum status change_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct change_asked *asked = context;
    auto_arena struct arena arena = {0};
    struct grant grant;
    enum status found = grant_get(tx, &arena, asked->id, &grant, err);
    bool fits =
        found == OK && (asked->gate_id ? grant.gate_id == asked->gate_id : grant.account_id == asked->account_id);
    if (!fits)
        return found == OK || found == NOT_FOUND ? fail(err, NOT_FOUND, NULL, "There is no such grant here.") : found;
    return grant_do(tx, asked->id, asked->event, asked->by, asked->actor_id, asked->code, asked->text, asked->until_us,
                    err);
}

static enum status run_change(struct request *rq, struct change_asked *asked, bool for_owner, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct grant grant;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, change_in_write, asked, err));
    TRY(request_read(rq, err));
    TRY(grant_get(rq->db, rq->arena, asked->id, &grant, err));
    TRY(write_grant(rq, &w, &grant, for_owner, err));
    request_reply_json(rq, &body);
    return OK;
}

static enum status read_id(struct request *rq, int64_t *id, struct error *err)
{
    return str_to_i64(rq->params[0], id) ? OK : fail(err, NOT_FOUND, NULL, "There is no such grant here.");
}

/* POST /api/grants/{id}/surrender {"copiesDeleted": true}: the holder gives it up, and says whether copies are left. */
enum status grant_surrender(struct request *rq, struct error *err)
{
    json_t *body;
    struct change_asked asked = {.account_id = rq->actor.account.id,
                                 .event = GRANT_SURRENDER,
                                 .by = BY_HOLDER,
                                 .actor_id = rq->actor.account.id};
    TRY(read_id(rq, &asked.id, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    const json_t *deleted = json_object_get(body, "copiesDeleted");
    if (json_object_size(body) != (deleted ? 1u : 0u) || (deleted && !json_is_boolean(deleted)))
        return fail(err, INVALID, NULL,
                    "The body is {\"copiesDeleted\": true} when you have deleted all copies, or {\"copiesDeleted\": "
                    "false}.");
    asked.code = json_is_true(deleted) ? STR("copies-deleted") : STR("copies-kept");
    return run_change(rq, &asked, false, err);
}

static enum status read_reason(struct request *rq, struct change_asked *asked, struct error *err)
{
    json_t *body, *value;
    const char *key;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    json_object_foreach(body, key, value)
    {
        bool known = strcmp(key, "code") == 0 || strcmp(key, "text") == 0 ||
                     (strcmp(key, "until") == 0 && asked->event == GRANT_SUSPEND);
        if (!known || !json_is_string(value))
            return fail(err, INVALID, NULL, "\"%.40s\" does not belong here, or is not a text.", key);
    }
    asked->code = json_get_str(body, "code");
    asked->text = json_get_str(body, "text");
    struct str until = json_get_str(body, "until");
    if (str_given(until) && !time_read(until, &asked->until_us))
        return fail(err, INVALID, NULL, "\"until\" is a time like 2027-03-01T00:00:00Z.");
    return OK;
}

/* Whoever owns the repo does it as such; a hub administrator without a role there does it for the board. */
static enum status do_to_grant(struct request *rq, enum grant_event event, struct error *err)
{
    struct change_asked asked = {.event = event, .actor_id = rq->actor.account.id};
    enum role role;
    TRY(read_id(rq, &asked.id, err));
    TRY(read_reason(rq, &asked, err));
    TRY(find_gate(rq, &asked.gate_id, err));
    TRY(account_role_in(rq->db, rq->actor.account.id, rq->repo.owner_id, &role, err));
    asked.by = role == ROLE_ADMIN ? BY_OWNER : BY_BOARD;
    return run_change(rq, &asked, true, err);
}

/* POST /api/{api}/grants/{id}/revoke {"code", "text"} */
enum status grant_revoke(struct request *rq, struct error *err)
{
    return do_to_grant(rq, GRANT_REVOKE, err);
}

/* POST /api/{api}/grants/{id}/suspend {"code", "text", "until"?} */
enum status grant_suspend(struct request *rq, struct error *err)
{
    return do_to_grant(rq, GRANT_SUSPEND, err);
}

/* POST /api/{api}/grants/{id}/resume {"code"?}: that cause, or all that may be removed by who asks. */
enum status grant_resume(struct request *rq, struct error *err)
{
    return do_to_grant(rq, GRANT_RESUME, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "grant/grant.h"
#include "router/page.h"

/* How people appeal, and what they and the panel see of it; appeal_hear.c has what the panel does. */

#define TEXT_MOST 20000
#define BODY_MOST (256 * 1024)

/* Grounds are words that can be counted, each with what the appellant has to say about it. */
static const char *const ground_codes[] = {"facts-wrong", "reasons-missing", "criteria-misapplied", "procedure",
                                           "conflict",    "unequal",         "disproportionate",    "other"};

static enum status check_code(struct str code, struct error *err)
{
    for (size_t i = 0; i < sizeof ground_codes / sizeof *ground_codes; i++)
        if (str_eq(code, str_of(ground_codes[i])))
            return OK;
    return fail(err, INVALID, "BadGrounds",
                "A ground's \"code\" should be facts-wrong, reasons-missing, criteria-misapplied, procedure, conflict, "
                "unequal, disproportionate or other.");
}

static enum status read_grounds(struct arena *arena, const json_t *list, struct str *out, struct error *err)
{
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    if (json_array_size(list) < 1 || json_array_size(list) > GROUNDS_MOST)
        return fail(err, INVALID, "BadGrounds", "\"grounds\" should be a list of 1 to %d {\"code\", \"text\"}.",
                    GROUNDS_MOST);
    jw_array(&w);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct str code, words;
        if (!json_is_object(item))
            return fail(err, INVALID, "BadGrounds", "Each ground should be {\"code\", \"text\"}.");
        TRY(body_only(item, "code text", err));
        TRY(body_text(item, "code", 64, true, &code, err));
        TRY(body_text(item, "text", TEXT_MOST, true, &words, err));
        TRY(check_code(code, err));
        jw_object(&w);
        jw_key_str(&w, "code", code);
        jw_key_str(&w, "text", words);
        jw_end(&w);
    }
    jw_end(&w);
    *out = arena_copy(arena, buf_view(&text));
    return OK;
}

enum status appeal_grounds(struct arena *arena, const json_t *body, struct str *out, struct error *err)
{
    struct str text;
    TRY(body_only(body, "grounds text", err));
    TRY(body_text(body, "text", TEXT_MOST, false, &text, err));
    if (!str_given(text))
        return read_grounds(arena, json_object_get(body, "grounds"), out, err);
    if (json_object_get(body, "grounds"))
        return fail(err, INVALID, "BadGrounds", "Send either \"grounds\" or one \"text\".");
    auto_json json_t *one = json_pack("[{s:s, s:O}]", "code", "other", "text", json_object_get(body, "text"));
    return read_grounds(arena, one, out, err);
}

/* Filing. */

struct filing {
    struct arena *arena;
    struct appeal appeal;
    int64_t actor_id;
};

static enum status file_write(struct db_conn *tx, void *context, struct error *err)
{
    struct filing *filing = context;
    return appeal_file(tx, filing->arena, &filing->appeal, NULL, 0, err);
}

enum status appeal_reply(struct request *rq, const struct appeal *appeal)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "id", appeal->key);
    jw_key_str(&w, "state", str_of(appeal_machine.states[appeal->state].name));
    jw_key_str(&w, "due", time_iso(rq->arena, appeal_due_us(appeal)));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status file(struct request *rq, struct filing *filing, struct error *err)
{
    filing->arena = rq->arena;
    filing->actor_id = filing->appeal.appellant_id = rq->actor.account.id;
    filing->appeal.level = 1;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, file_write, filing, err));
    return appeal_reply(rq, &filing->appeal);
}

static enum status read_body(struct request *rq, struct filing *out, struct error *err)
{
    json_t *body;
    TRY(request_json(rq, BODY_MOST, &body, err));
    TRY(body_only(body, "grounds", err));
    TRY(read_grounds(rq->arena, json_object_get(body, "grounds"), &out->appeal.grounds, err));
    return request_read(rq, err);
}

static enum status about_grant(const struct grant *grant, struct filing *out, struct error *err)
{
    if (grant->state != GRANT_REVOKED && grant->state != GRANT_SUSPENDED)
        return fail(err, CONFLICT, "NothingToAppeal", "Nothing was decided against this grant.");
    if (grant->state == GRANT_SUSPENDED && str_eq(grant->code, STR("terms")))
        return fail(err, CONFLICT, "NothingToAppeal", "This grant waits for you: accept the terms that are in force.");
    out->appeal.gate_id = grant->gate_id;
    out->appeal.subject = APPEAL_OF_GRANT;
    out->appeal.subject_id = grant->id;
    out->appeal.cycle = grant->version;
    out->appeal.old_code = grant->code;
    out->appeal.old_text = grant->text;
    return OK;
}

static const char last_grant_sql[] = "SELECT max(id) FROM access_grant WHERE gate_id = ? AND account_id = ?";

static enum status last_grant(struct request *rq, int64_t gate_id, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, last_grant_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, rq->actor.account.id);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* POST /api/{api}/access-request/appeal {"grounds": [{"code", "text"}]}: against the refusal of the actor's request, or
 * else against what was done to the actor's grant. */
enum status appeal_post(struct request *rq, struct error *err)
{
    struct filing filing = {0};
    struct gate gate;
    struct access_request request;
    struct grant grant;
    int64_t id;
    TRY(read_body(rq, &filing, err));
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    enum status found = request_find(rq->db, rq->arena, gate.id, rq->actor.account.id, (struct str){0}, &request, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK && request.state == REQUEST_REFUSED) {
        filing.appeal.gate_id = gate.id;
        filing.appeal.subject = APPEAL_OF_REQUEST;
        filing.appeal.subject_id = request.id;
        filing.appeal.cycle = request.cycle;
        return file(rq, &filing, err);
    }
    TRY(last_grant(rq, gate.id, &id, err));
    if (!id)
        return fail(err, CONFLICT, "NothingToAppeal", "Nothing was decided against you here.");
    TRY(grant_get(rq->db, rq->arena, id, &grant, err));
    TRY(about_grant(&grant, &filing, err));
    return file(rq, &filing, err);
}

/* POST /api/grants/{grant}/appeal {"grounds"}: against the revocation or suspension of one's own grant. */
enum status grant_appeal_post(struct request *rq, struct error *err)
{
    struct filing filing = {0};
    struct grant grant;
    int64_t id;
    TRY(read_body(rq, &filing, err));
    enum status found = str_to_i64(rq->params[0], &id) ? grant_get(rq->db, rq->arena, id, &grant, err) : NOT_FOUND;
    if (found == NOT_FOUND || (found == OK && grant.account_id != rq->actor.account.id))
        return fail(err, NOT_FOUND, NULL, "You have no such grant. GET /api/grants lists yours.");
    TRY(found);
    TRY(about_grant(&grant, &filing, err));
    return file(rq, &filing, err);
}

/* The further look. */

struct further {
    struct filing filing;
    struct str key;
};

static enum status further_write(struct db_conn *tx, void *context, struct error *err)
{
    struct further *further = context;
    struct filing *filing = &further->filing;
    struct appeal first;
    TRY(appeal_find(tx, filing->arena, further->key, &first, err));
    if (first.appellant_id != filing->actor_id)
        return fail(err, NOT_FOUND, "NoAppeal", "There is no such appeal that is yours or that you hear.");
    if (first.level > 1 || (first.state != APPEAL_DISMISSED && first.state != APPEAL_VARIED))
        return fail(err, CONFLICT, "NoFurtherLook",
                    "The board looks once more at appeals that were dismissed, or upheld in part, and only once.");
    struct str facts = filing->appeal.facts;
    filing->appeal = first;
    filing->appeal.facts = facts;
    filing->appeal.level = 2;
    filing->appeal.held = filing->appeal.board = false;
    return file_write(tx, filing, err);
}

/* POST /api/appeals/{appeal}/board {"facts"}: one further look by the board, for new facts alone. */
enum status appeal_board_post(struct request *rq, struct error *err)
{
    struct further further = {.key = rq->params[0]};
    json_t *body;
    TRY(request_json(rq, BODY_MOST, &body, err));
    TRY(body_only(body, "facts", err));
    TRY(body_text(body, "facts", TEXT_MOST, true, &further.filing.appeal.facts, err));
    further.filing.arena = rq->arena;
    further.filing.actor_id = rq->actor.account.id;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, further_write, &further, err));
    return appeal_reply(rq, &further.filing.appeal);
}

/* Withdrawing. */

static enum status withdraw_write(struct db_conn *tx, void *context, struct error *err)
{
    struct further *which = context;
    struct appeal appeal;
    TRY(appeal_find(tx, which->filing.arena, which->key, &appeal, err));
    if (appeal.appellant_id != which->filing.actor_id)
        return fail(err, NOT_FOUND, "NoAppeal", "There is no such appeal that is yours or that you hear.");
    return appeal_do(tx, which->filing.arena, &appeal, APPEAL_WITHDRAW, BY_HOLDER, which->filing.actor_id,
                     (struct str){0}, err);
}

/* POST /api/appeals/{appeal}/withdraw */
enum status appeal_withdraw_post(struct request *rq, struct error *err)
{
    struct further which = {.key = rq->params[0], .filing = {.arena = rq->arena, .actor_id = rq->actor.account.id}};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, withdraw_write, &which, err));
    request_reply_empty(rq);
    return OK;
}

/* Looking. */

static enum status request_of(struct db_conn *conn, struct arena *arena, const struct appeal *appeal,
                              struct access_request *out, struct error *err)
{
    struct grant grant;
    int64_t id = appeal->subject == APPEAL_OF_STEP ? 0 : appeal->subject_id;
    if (appeal->subject == APPEAL_OF_GRANT) {
        TRY(grant_get(conn, arena, appeal->subject_id, &grant, err));
        id = grant.request_id;
    }
    if (!id)
        return fail(err, NOT_FOUND, NULL, "It came from no request.");
    TRY(request_get(conn, arena, id, out, err));
    if (appeal->subject == APPEAL_OF_REQUEST)
        out->cycle = appeal->cycle;
    return OK;
}

static const char reasons_sql[] =
    "SELECT a.alias, v.scores, v.outcome, v.codes, v.note, v.note_to_applicant FROM review_verdict v JOIN "
    "review_assignment a ON a.id = v.assignment_id WHERE v.request_id = ? AND v.cycle = ? AND v.slot <= 3 ORDER BY "
    "v.assignment_id";
static const char reason_text_sql[] = "SELECT coalesce(body, '') FROM access_request_text WHERE request_id = ? AND "
                                      "cycle = ? AND kind = 'reason' ORDER BY id";

static enum status write_reasons(struct request *rq, const struct appeal *appeal, const struct access_request *request,
                                 struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL, *text = NULL;
    jw_object(w);
    if (appeal->subject != APPEAL_OF_REQUEST) {
        jw_key_str(w, "code", appeal->old_code);
        jw_key_str(w, "text", appeal->old_text);
        jw_end(w);
        return OK;
    }
    jw_key(w, "verdicts");
    jw_array(w);
    TRY(db_prepare(rq->db, reasons_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    while (stmt_next(row)) {
        jw_object(w);
        jw_key_str(w, "reviewer", stmt_str(row, 0));
        jw_key(w, "scores");
        jw_raw(w, stmt_str(row, 1));
        jw_key_str(w, "outcome", str_of(outcome_name((enum outcome)stmt_int(row, 2))));
        jw_key(w, "reasonCodes");
        jw_raw(w, stmt_str(row, 3));
        jw_key_str(w, "note", stmt_str(row, 4));
        jw_key_str(w, "noteToApplicant", stmt_str(row, 5));
        jw_end(w);
    }
    TRY(stmt_end(row, err));
    jw_end(w);
    jw_key(w, "told");
    jw_array(w);
    TRY(db_prepare(rq->db, reason_text_sql, &text, err));
    stmt_bind_int(text, 1, request->id);
    stmt_bind_int(text, 2, request->cycle);
    while (stmt_next(text))
        jw_str(w, stmt_str(text, 0));
    TRY(stmt_end(text, err));
    jw_end(w);
    jw_end(w);
    return OK;
}

static void write_head(struct request *rq, const struct appeal *appeal, struct json_writer *w)
{
    const struct machine_state *state = &appeal_machine.states[appeal->state];
    jw_key_str(w, "id", appeal->key);
    static const char *const about[] = {
        [APPEAL_OF_REQUEST] = "refusal", [APPEAL_OF_GRANT] = "grant", [APPEAL_OF_STEP] = "enforcement"};
    jw_key_str(w, "about", str_of(about[appeal->subject]));
    jw_key_int(w, "level", appeal->level);
    jw_key_bool(w, "board", appeal->board);
    jw_key_str(w, "state", str_of(state->name));
    jw_key_str(w, "shown", str_of(state->shown));
    jw_key_str(w, "opened", time_iso(rq->arena, appeal->opened_us));
    jw_key_str(w, "due", time_iso(rq->arena, appeal_due_us(appeal)));
    jw_key_bool(w, "late", appeal->late);
    if (appeal->decided_us)
        jw_key_str(w, "decided", time_iso(rq->arena, appeal->decided_us));
}

/* The panel's page: the case first, masked as for reviewers; why it was decided as it was only after a first look. */
static enum status write_for_panel(struct request *rq, const struct appeal *appeal, const struct seat *seat,
                                   struct json_writer *w, struct error *err)
{
    struct access_request request;
    enum status found = request_of(rq->db, rq->arena, appeal, &request, err);
    struct str grounds = appeal->grounds, facts = appeal->facts;
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK) {
        TRY(case_mask(rq->db, rq->arena, &request, grounds, &grounds, err));
        TRY(case_mask(rq->db, rq->arena, &request, facts, &facts, err));
    }
    jw_key_str(w, "you", seat->alias);
    jw_key(w, "case");
    if (found == OK)
        TRY(case_write(rq->db, rq->arena, &request, false, w, err));
    else
        jw_null(w);
    jw_key(w, "grounds");
    jw_raw(w, grounds);
    jw_key_str(w, "newFacts", facts);
    jw_key(w, "reasons");
    if (seat->looked)
        TRY(write_reasons(rq, appeal, &request, w, err));
    else
        jw_null(w);
    jw_key_bool(w, "voted", seat->state == VOTED);
    return OK;
}

static void write_for_appellant(const struct appeal *appeal, struct json_writer *w)
{
    jw_key(w, "grounds");
    jw_raw(w, appeal->grounds);
    if (!appeal->decided_us)
        return;
    jw_key(w, "answers");
    jw_raw(w, appeal->answer.len ? appeal->answer : STR("[]"));
    jw_key_str(w, "text", appeal->text);
    if (appeal->level == 1 && (appeal->state == APPEAL_DISMISSED || appeal->state == APPEAL_VARIED))
        jw_key_str(w, "next", STR("For facts that are new there is one further look by the board: POST .../board"));
}

/* GET /api/appeals/{appeal}: for who appealed, and for who hears it. */
enum status appeal_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct appeal appeal;
    struct seat seat;
    TRY(appeal_find(rq->db, rq->arena, rq->params[0], &appeal, err));
    bool mine = appeal.appellant_id == rq->actor.account.id;
    if (!mine)
        TRY(seat_of(rq->db, rq->arena, &appeal, rq->actor.account.id, &seat, err));
    jw_object(&w);
    write_head(rq, &appeal, &w);
    if (mine)
        write_for_appellant(&appeal, &w);
    else
        TRY(write_for_panel(rq, &appeal, &seat, &w, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static const char list_sql[] =
    "SELECT l.id, l.key, l.state, l.opened_us, l.appellant_id = k.me FROM (SELECT ? AS me) k JOIN appeal l ON "
    "(l.appellant_id = k.me OR l.id IN (SELECT appeal_id FROM appeal_seat s WHERE s.account_id = k.me AND s.state <= "
    "2)) WHERE l.id < ? ORDER BY l.id DESC LIMIT ?";

static enum status write_appeal(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_str(w, "id", stmt_str(row, 1));
    jw_key_str(w, "state", str_of(appeal_machine.states[stmt_int(row, 2)].name));
    jw_key_str(w, "opened", time_iso(rq->arena, stmt_int(row, 3)));
    jw_key_str(w, "as", stmt_int(row, 4) ? STR("appellant") : STR("panel"));
    jw_end(w);
    return OK;
}

/* GET /api/appeals: one's own, and those that one hears; the newest first. */
enum status appeals_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, NEWEST_FIRST, write_appeal, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Applying for a tier, and deciding on it. */
#include "base/text.h"
#include "base/time.h"
#include "notice/notice.h"
#include "quota/limiter.h"
#include "router/page.h"
#include "tier/api.h"
#include "tier/assign.h"
#include "tier/rule.h"

#define BODY_LIMIT (256 << 10)

enum status tier_admit_account(struct request *rq, struct str name, struct account *out, struct error *err)
{
    enum role role;
    *out = rq->actor.account;
    if (!str_given(name))
        return OK;
    enum status found = account_find(rq->db, rq->arena, name, out, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK)
        TRY(account_role_in(rq->db, rq->actor.account.id, out->id, &role, err));
    return found == OK && role == ROLE_ADMIN
               ? OK
               : fail(err, FORBIDDEN, NULL, "That takes the person, or a member of the organisation with role admin.");
}

enum status tier_admit_board(const struct request *rq, struct error *err)
{
    return rq->actor.account.is_admin && rq->actor.key_role == ROLE_ADMIN
               ? OK
               : fail(err, FORBIDDEN, NULL, "That takes an administrator of the hub, with a key of role admin.");
}

/* Applying. */

struct application {
    struct account account;
    struct str slug, answers; /* answers: a JSON array of texts */
    uint8_t evidence[SHA256_SIZE];
    bool has_evidence;
    int64_t by_id, id;
    struct assign assign;
    struct arena *arena;
    struct str reason;
};

static enum status read_answers(struct request *rq, const json_t *body, struct application *out, struct error *err)
{
    static const char *const members[] = {"answers", "evidenceSha256", "account", NULL};
    const json_t *answers = json_object_get(body, "answers");
    struct str evidence = json_get_str(body, "evidenceSha256");
    auto_buf struct buf text = {0};
    TRY(doc_only(body, "An application", members, err));
    if (answers && (!json_is_array(answers) || json_array_size(answers) > TIER_QUESTIONS_MOST))
        return fail(err, INVALID, NULL, "\"answers\" must be a list of at most %d texts", TIER_QUESTIONS_MOST);
    for (size_t i = 0; i < json_array_size(answers); i++)
        if (!json_is_string(json_array_get(answers, i)) ||
            json_string_length(json_array_get(answers, i)) > TIER_ANSWER_LIMIT)
            return fail(err, INVALID, NULL, "Each answer is a text of at most %d bytes", TIER_ANSWER_LIMIT);
    out->has_evidence = str_given(evidence);
    if (out->has_evidence && !hex_decode(evidence, out->evidence, SHA256_SIZE))
        return fail(err, INVALID, NULL,
                    "\"evidenceSha256\" must be 64 hex digits: keep the evidence itself, and show it when asked");
    if (answers)
        json_dump(answers, &text);
    out->answers = answers ? arena_copy(rq->arena, buf_view(&text)) : STR("[]");
    return OK;
}

/* All questions, none with an empty text. */
static bool is_answered(const struct tier_doc *doc, const struct application *application)
{
    auto_json json_t *answers = NULL;
    if (json_read(application->answers, BODY_LIMIT, &answers, NULL) != OK)
        return false;
    bool whole = json_array_size(answers) == json_array_size(doc->questions);
    for (size_t i = 0; whole && i < json_array_size(answers); i++)
        whole = json_string_length(json_array_get(answers, i)) > 0;
    return whole;
}

static const char insert_sql[] = "INSERT INTO tier_application (account_id, assign_id, by_id, answers, evidence, "
                                 "created_us) VALUES (?, ?, ?, ?, ?, ?)";

static enum status insert_application(struct db_conn *tx, struct application *what, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, what->account.id);
    stmt_bind_int(insert, 2, what->assign.id);
    stmt_bind_int(insert, 3, what->by_id);
    stmt_bind_str(insert, 4, what->answers);
    if (what->has_evidence)
        stmt_bind_blob(insert, 5, what->evidence, SHA256_SIZE);
    else
        stmt_bind_null(insert, 5);
    stmt_bind_int(insert, 6, now_us());
    TRY(stmt_run(insert, err));
    what->id = db_last_id(tx);
    return OK;
}

/* The first rule that is not met, in words. */
static enum status unmet(struct db_conn *tx, struct arena *arena, const json_t *rules, const struct rule_facts *facts,
                         struct str *out, struct error *err)
{
    *out = (struct str){0};
    for (size_t i = 0; i < json_array_size(rules) && !str_given(*out); i++) {
        struct rule_state state;
        TRY(rule_ask(tx, arena, json_array_get(rules, i), facts, &state, err));
        if (!state.met)
            *out = arena_printf(arena, "It is asked that %.*s. %.*s", STR_ARG(state.what), STR_ARG(state.how));
    }
    return OK;
}

static enum status decide_by_rule(struct db_conn *tx, struct application *what, const struct tier *tier,
                                  struct error *err)
{
    const struct rule_facts facts = {
        .account = what->account, .now_us = now_us(), .answered = is_answered(&tier->doc, what) && what->has_evidence};
    TRY(unmet(tx, what->arena, tier->doc.rules, &facts, &what->reason, err));
    const struct assign_step step = {.event = str_given(what->reason) ? ASSIGN_REFUSE : ASSIGN_ACTIVATE,
                                     .by = BY_RULE,
                                     .basis = "rule",
                                     .text = what->reason};
    return assign_do(tx, &what->assign, &step, err);
}

static enum status apply_with(struct db_conn *tx, struct application *what, const struct tier *tier, struct error *err)
{
    const struct assign_step apply = {
        .event = ASSIGN_APPLY, .by = BY_HOLDER, .actor_id = what->by_id, .basis = "application"};
    int64_t tier_id;
    if (!is_answered(&tier->doc, what))
        return fail(err, INVALID, NULL, "\"answers\" must have a text for each of the %zu questions of the tier",
                    json_array_size(tier->doc.questions));
    TRY(tier_make_id(tx, what->slug, &tier_id, err));
    TRY(assign_new(tx, what->account.id, tier_id, STR("application"), &what->assign, err));
    TRY(assign_do(tx, &what->assign, &apply, err));
    TRY(insert_application(tx, what, err));
    return tier->doc.decided_by_rule ? decide_by_rule(tx, what, tier, err) : OK;
}

static enum status apply_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct application *what = context;
    struct tier tier;
    TRY(tier_load(tx, what->arena, what->slug, &tier, err));
    enum status status = apply_with(tx, what, &tier, err);
    json_release(&tier.json);
    return status;
}

/* POST /api/tiers/{slug}/applications {"answers": [...], "evidenceSha256"?, "account"?: an organisation} */
enum status application_post(struct request *rq, struct error *err)
{
    struct application what = {.slug = rq->params[0], .by_id = rq->actor.account.id, .arena = rq->arena};
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(read_answers(rq, body, &what, err));
    TRY(tier_admit_account(rq, json_get_str(body, "account"), &what.account, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, apply_in_write, &what, err));
    limiter_changed(rq->hub->limiter);
    jw_object(&w);
    jw_key_int(&w, "id", what.id);
    jw_key_str(&w, "state", str_of(assign_machine.states[what.assign.state].name));
    if (str_given(what.reason))
        jw_key_str(&w, "reason", what.reason);
    jw_end(&w);
    request_reply_json(rq, &out);
    return OK;
}

/* Listing. */

static const char list_sql[] =
    "SELECT p.id, t.slug, a.state, p.created_us, p.text, n.name, p.answers, p.evidence FROM tier_application p "
    "JOIN tier_assign a ON a.id = p.assign_id JOIN tier t ON t.id = a.tier_id JOIN account n ON n.id = p.account_id "
    "WHERE p.id < ? AND (p.account_id = ? OR p.by_id = ? OR ? = 1) AND (? = 0 OR a.state IN (1, 2)) "
    "ORDER BY p.id DESC LIMIT ?";

static enum status write_application(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "tier", stmt_str(row, 1));
    jw_key_str(w, "state", str_of(assign_machine.states[stmt_int(row, 2)].name));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 3)));
    jw_key_str(w, "text", stmt_str(row, 4));
    jw_key_str(w, "account", stmt_str(row, 5));
    jw_key(w, "answers");
    jw_raw(w, arena_copy(rq->arena, stmt_str(row, 6)));
    if (!stmt_is_null(row, 7))
        jw_key_hex(w, "evidenceSha256", stmt_str(row, 7).data, stmt_str(row, 7).len);
    jw_end(w);
    return OK;
}

/* GET /api/usage/applications: the caller's own; with ?open=true, for administrators of the hub, all that wait. */
enum status applications_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    bool open = request_query_true(rq, "open");
    int64_t before;
    if (open)
        TRY(tier_admit_board(rq, err));
    TRY(page_cursor(rq, NEWEST_FIRST, &before, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, before);
    stmt_bind_int(row, 2, rq->actor.account.id);
    stmt_bind_int(row, 3, rq->actor.account.id);
    stmt_bind_int(row, 4, open);
    stmt_bind_int(row, 5, open);
    stmt_bind_int(row, 6, PAGE);
    return page_reply(rq, row, write_application, err);
}

/* Deciding. */

struct decision {
    int64_t id;
    struct assign_step step;
    struct arena *arena;
    struct assign assign;
};

static const char find_sql[] = "SELECT assign_id, account_id, by_id FROM tier_application WHERE id = ?";
static const char decided_sql[] = "UPDATE tier_application SET text = ?, decided_us = ? WHERE id = ?";

static enum status decide_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct decision *what = context;
    auto_stmt struct stmt *row = NULL, *update = NULL;
    TRY(db_prepare(tx, find_sql, &row, err));
    stmt_bind_int(row, 1, what->id);
    bool found = stmt_next(row);
    int64_t assign_id = found ? stmt_int(row, 0) : 0;
    bool holder = found && (stmt_int(row, 1) == what->step.actor_id || stmt_int(row, 2) == what->step.actor_id);
    TRY(stmt_end(row, err));
    if (!found || (what->step.by == BY_HOLDER && !holder))
        return fail(err, NOT_FOUND, NULL, "There is no such application.");
    if (what->step.by == BY_BOARD && holder)
        return fail(err, FORBIDDEN, NULL, "Nobody decides on an application of one's own: ask another administrator.");
    TRY(assign_get(tx, what->arena, assign_id, &what->assign, err));
    TRY(assign_do(tx, &what->assign, &what->step, err));
    TRY(db_prepare(tx, decided_sql, &update, err));
    stmt_bind_str(update, 1, str_given(what->step.text) ? what->step.text : STR(""));
    stmt_bind_int(update, 2, now_us());
    stmt_bind_int(update, 3, what->id);
    return stmt_run(update, err);
}

static enum status decide(struct request *rq, struct decision *what, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    if (!str_to_i64(rq->params[0], &what->id))
        return fail(err, NOT_FOUND, NULL, "There is no such application.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, decide_in_write, what, err));
    limiter_changed(rq->hub->limiter);
    jw_object(&w);
    jw_key_str(&w, "state", str_of(assign_machine.states[what->assign.state].name));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* POST /api/tiers/applications/{id} {"decision": "verify"|"accept"|"refuse", "text"} */
enum status application_decide(struct request *rq, struct error *err)
{
    static const char *const members[] = {"decision", "text", NULL};
    json_t *body;
    TRY(tier_admit_board(rq, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(doc_only(body, "A decision", members, err));
    struct str decision = json_get_str(body, "decision"), text = json_get_str(body, "text");
    bool accept = str_eq(decision, STR("accept")), refuse = str_eq(decision, STR("refuse"));
    if (!accept && !refuse && !str_eq(decision, STR("verify")))
        return fail(err, INVALID, NULL, "\"decision\" is verify, accept or refuse");
    if (text.len > TIER_ANSWER_LIMIT || (refuse && !text.len))
        return fail(err, INVALID, NULL, "\"text\" tells the person why, in at most %d bytes; a refusal needs it",
                    TIER_ANSWER_LIMIT);
    struct decision what = {.arena = rq->arena,
                            .step = {.event = accept   ? ASSIGN_ACTIVATE
                                              : refuse ? ASSIGN_REFUSE
                                                       : ASSIGN_VERIFY,
                                     .by = BY_BOARD,
                                     .actor_id = rq->actor.account.id,
                                     .basis = "board",
                                     .text = text}};
    return decide(rq, &what, err);
}

/* DELETE /api/tiers/applications/{id}: withdrawn. */
enum status application_withdraw(struct request *rq, struct error *err)
{
    struct decision what = {
        .arena = rq->arena,
        .step = {.event = ASSIGN_WITHDRAW, .by = BY_HOLDER, .actor_id = rq->actor.account.id, .basis = "holder"}};
    return decide(rq, &what, err);
}

/* What the board does to who has a tier. */

struct holding {
    struct str account;
    struct assign_step step;
    struct arena *arena;
    struct assign assign;
};

static enum status hold_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct holding *what = context;
    struct account account;
    TRY(account_find(tx, what->arena, what->account, &account, err));
    TRY(assign_find(tx, what->arena, account.id, &what->assign, err));
    return assign_do(tx, &what->assign, &what->step, err);
}

/* POST /api/tiers/holders/{account} {"event": "warn"|"downgrade"|"suspend"|"lift"|"uphold", "code", "text"} */
enum status holder_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"event", "code", "text", NULL};
    json_t *body;
    TRY(tier_admit_board(rq, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(doc_only(body, "An event", members, err));
    struct str text = json_get_str(body, "text"), code = json_get_str(body, "code");
    int event = machine_event_named(&assign_machine, json_get_str(body, "event"));
    if (event < ASSIGN_WARN || event == ASSIGN_APPEAL)
        return fail(err, INVALID, NULL, "\"event\" is warn, downgrade, suspend, lift or uphold");
    if (!text.len || text.len > TIER_ANSWER_LIMIT || code.len > 128)
        return fail(err, INVALID, NULL, "\"text\" tells the person why, in 1 to %d bytes", TIER_ANSWER_LIMIT);
    struct holding what = {.account = rq->params[0],
                           .arena = rq->arena,
                           .step = {.event = (enum assign_event)event,
                                    .by = BY_BOARD,
                                    .actor_id = rq->actor.account.id,
                                    .basis = "board",
                                    .code = code,
                                    .text = text}};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, hold_in_write, &what, err));
    limiter_changed(rq->hub->limiter);
    request_reply_empty(rq);
    return OK;
}

/* Appeals. */

static enum status appeal_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct holding *what = context;
    TRY(assign_find(tx, what->arena, what->assign.account_id, &what->assign, err));
    TRY(assign_do(tx, &what->assign, &what->step, err));
    struct str text = arena_printf(what->arena,
                                   "%.*s appeals against the suspension of a tier: %.*s\nPOST /api/tiers/holders/%.*s "
                                   "{\"event\": \"lift\"|\"uphold\", \"text\"} decides.",
                                   STR_ARG(what->account), STR_ARG(what->step.text), STR_ARG(what->account));
    return notice_board(tx, 0, "tier.appeal", text, err);
}

/* POST /api/tiers/appeal {"text", "account"?}: against the suspension of one's own tier, once. */
enum status tier_appeal_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"text", "account", NULL};
    struct account account;
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(doc_only(body, "An appeal", members, err));
    struct str text = json_get_str(body, "text");
    if (!text.len || text.len > TIER_ANSWER_LIMIT)
        return fail(err, INVALID, NULL, "\"text\" says why, in 1 to %d bytes", TIER_ANSWER_LIMIT);
    TRY(tier_admit_account(rq, json_get_str(body, "account"), &account, err));
    struct holding what = {
        .account = account.name,
        .arena = rq->arena,
        .assign = {.account_id = account.id},
        .step = {
            .event = ASSIGN_APPEAL, .by = BY_HOLDER, .actor_id = rq->actor.account.id, .text = text, .quiet = true}};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, appeal_in_write, &what, err));
    request_reply_empty(rq);
    return OK;
}

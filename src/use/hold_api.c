/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/time.h"
#include "notice/notice.h"
#include "use/hold.h"

/* What somebody is to a hold. */
struct part {
    int64_t id, repo_id, gate_id, owner_id, repo_owner_id, uploader_id;
    int state;
    bool is_board, owns_gate, owns_repo;
};

/* Lists: those that the caller has a part in. The owner of the gated repo is not shown a private one. */

#define MY_SPACES "(SELECT ? UNION SELECT org_id FROM member WHERE user_id = ? AND role >= 3)"
static const char list_sql[] =
    "SELECT h.id, r.ns || '/' || r.name, h.kind, h.state, h.share_ppm, h.path, h.created_us, h.dispute, h.text, "
    "CASE WHEN r.owner_id IN " MY_SPACES " OR h.uploader_id = ? THEN 1 ELSE 0 END "
    "FROM access_hold h JOIN repo r ON r.id = h.repo_id JOIN gate g ON g.id = h.gate_id "
    "WHERE h.id < ? AND (? = 1 OR h.uploader_id = ? OR r.owner_id IN " MY_SPACES
    " OR (r.visibility = 1 AND g.owner_id IN " MY_SPACES ")) ORDER BY h.id DESC LIMIT ?";

static enum status write_hold(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    static const char *const states[] = {"", "open", "released", "confirmed"};
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "repo", stmt_str(row, 1));
    jw_key_str(w, "matches", stmt_str(row, 2));
    jw_key_str(w, "state", str_of(states[stmt_int(row, 3) & 3]));
    jw_key(w, "share");
    jw_raw(w, arena_printf(rq->arena, "%.6f", (double)stmt_int(row, 4) / 1e6));
    if (stmt_str(row, 5).len)
        jw_key_str(w, "path", stmt_str(row, 5));
    jw_key_str(w, "since", time_iso(rq->arena, stmt_int(row, 6)));
    if (stmt_str(row, 7).len)
        jw_key_str(w, "dispute", stmt_str(row, 7));
    if (stmt_str(row, 8).len)
        jw_key_str(w, "text", stmt_str(row, 8));
    jw_key_bool(w, "mine", stmt_int(row, 9) != 0);
    jw_end(w);
    return OK;
}

/* GET /api/holds */
enum status holds_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t before;
    TRY(page_cursor(rq, NEWEST_FIRST, &before, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    for (int i = 1; i <= 11; i++)
        stmt_bind_int(row, i, rq->actor.account.id);
    stmt_bind_int(row, 4, before);
    stmt_bind_int(row, 5, is_board(&rq->actor));
    stmt_bind_int(row, 11, PAGE);
    return page_reply(rq, row, write_hold, err);
}

/* Deciding. */

static enum status no_hold(struct error *err)
{
    return fail(err, NOT_FOUND, NULL, "There is no such hold that you have a part in.");
}

static const char one_sql[] =
    "SELECT h.repo_id, h.gate_id, g.owner_id, r.owner_id, h.uploader_id, h.state, r.visibility "
    "FROM access_hold h JOIN repo r ON r.id = h.repo_id JOIN gate g ON g.id = h.gate_id WHERE h.id = ?";

static enum status find_part(struct request *rq, struct part *part, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t visibility = 0;
    TRY(db_prepare(rq->db, one_sql, &row, err));
    stmt_bind_int(row, 1, part->id);
    bool found = stmt_next(row);
    if (found) {
        *part = (struct part){part->id,         stmt_int(row, 0), stmt_int(row, 1),      stmt_int(row, 2),
                              stmt_int(row, 3), stmt_int(row, 4), (int)stmt_int(row, 5), is_board(&rq->actor)};
        visibility = stmt_int(row, 6);
    }
    TRY(stmt_end(row, err));
    if (!found)
        return no_hold(err);
    TRY(is_owner_of(rq->db, rq->actor.account.id, part->owner_id, &part->owns_gate, err));
    TRY(is_owner_of(rq->db, rq->actor.account.id, part->repo_owner_id, &part->owns_repo, err));
    part->owns_repo = part->owns_repo || part->uploader_id == rq->actor.account.id;
    part->owns_gate = part->owns_gate && visibility == VISIBILITY_PUBLIC;
    return part->is_board || part->owns_gate || part->owns_repo ? OK : no_hold(err);
}

struct verdict {
    struct part part;
    int64_t actor_id;
    int state; /* 0: a dispute */
    struct str text;
};

static const char settle_sql[] =
    "UPDATE access_hold SET state = ?, by_id = ?, text = ?, changed_us = ? WHERE id = ? AND state = ?";
static const char dispute_sql[] = "UPDATE access_hold SET dispute = ?, changed_us = ? WHERE id = ? AND state = ?";

static enum status write_dispute(struct db_conn *tx, const struct verdict *v, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *update = NULL;
    TRY(db_prepare(tx, dispute_sql, &update, err));
    stmt_bind_str(update, 1, v->text);
    stmt_bind_int(update, 2, now_us());
    stmt_bind_int(update, 3, v->part.id);
    stmt_bind_int(update, 4, v->part.state);
    TRY(stmt_run(update, err));
    struct str text = arena_printf(&arena, "Hold %lld is disputed: %.*s", (long long)v->part.id, STR_ARG(v->text));
    TRY(notice_owners(tx, v->part.owner_id, v->part.repo_id, "hold.dispute", text, err));
    return notice_board(tx, v->part.repo_id, "hold.dispute", text, err);
}

static enum status write_verdict(struct db_conn *tx, void *context, struct error *err)
{
    const struct verdict *v = context;
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *update = NULL;
    if (!v->state)
        return write_dispute(tx, v, err);
    TRY(db_prepare(tx, settle_sql, &update, err));
    stmt_bind_int(update, 1, v->state);
    stmt_bind_int(update, 2, v->actor_id);
    stmt_bind_str(update, 3, v->text);
    stmt_bind_int(update, 4, now_us());
    stmt_bind_int(update, 5, v->part.id);
    stmt_bind_int(update, 6, v->part.state);
    TRY(stmt_run(update, err));
    if (!db_changes(tx))
        return fail(err, STALE, NULL, "Somebody has settled this hold meanwhile. Look again.");
    bool allowed = v->state == HOLD_RELEASED;
    struct decision_made made = {v->part.repo_id, v->part.uploader_id, v->actor_id, allowed ? "restore" : "block",
                                 v->part.owns_gate ? "owner" : "board"};
    TRY(access_log_decision(tx, &made, err));
    const struct notice notice = {v->part.uploader_id, v->part.repo_id, "hold",
                                  arena_printf(&arena, "Hold %lld was %s. %.*s", (long long)v->part.id,
                                               allowed ? "lifted: the files may be here" : "confirmed by the board",
                                               STR_ARG(v->text))};
    return notice_add(tx, &notice, err);
}

static enum status read_verdict(struct request *rq, struct verdict *v, struct error *err)
{
    static const char *const members[] = {"decision", "text", NULL};
    json_t *body;
    struct str decision;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(use_body_only(body, members, err));
    TRY(use_body_text(body, "decision", 16, true, &decision, err));
    TRY(use_body_text(body, "text", TEXT_MOST, !str_eq(decision, STR("allow")), &v->text, err));
    if (!str_given(v->text))
        v->text = STR("");
    bool dispute = str_eq(decision, STR("dispute")), allow = str_eq(decision, STR("allow"));
    if (!dispute && !allow && !str_eq(decision, STR("confirm")))
        return fail(err, INVALID, NULL, "\"decision\" is one of [allow, confirm, dispute].");
    v->state = dispute ? 0 : allow ? HOLD_RELEASED : HOLD_CONFIRMED;
    if (dispute && !v->part.owns_repo)
        return fail(err, FORBIDDEN, NULL, "Only who has uploaded the files disputes the hold.");
    if (allow && !v->part.owns_gate && !v->part.is_board)
        return fail(err, FORBIDDEN, NULL, "The owner of the gated repo or the board of the hub lifts the hold.");
    if (v->state == HOLD_CONFIRMED && !v->part.is_board)
        return fail(err, FORBIDDEN, NULL, "The board of the hub confirms a hold.");
    return v->part.state == HOLD_RELEASED ? fail(err, CONFLICT, NULL, "This hold was lifted already.") : OK;
}

/* POST /api/holds/{id} {"decision": "allow"|"confirm"|"dispute", "text"} */
enum status hold_post(struct request *rq, struct error *err)
{
    struct verdict v = {.actor_id = rq->actor.account.id};
    if (!str_to_i64(rq->params[0], &v.part.id))
        return no_hold(err);
    TRY(find_part(rq, &v.part, err));
    TRY(read_verdict(rq, &v, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_verdict, &v, err));
    request_reply_empty(rq);
    return OK;
}

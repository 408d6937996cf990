/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"
#include "router/page.h"

/*
 * Ties between who reviews and what is reviewed (C9.9): declared, per person, organisation or repo; and those that the
 * hub sees itself. A tie that comes to light after a decision is shown to the lead and the owner, who may reopen the
 * case; nothing is reopened by itself, since a tie may be harmless.
 */
#define DECLARED_MOST 1000
#define LOOKS_BACK_US (90 * DAY_US)

static const char list_sql[] =
    "SELECT f.id, f.scope, coalesce(a.name, r.ns || '/' || r.name, '?'), f.kind, f.found, f.declared_us FROM "
    "review_conflict f LEFT JOIN account a ON f.scope = 'account' AND a.id = f.scope_id LEFT JOIN repo r ON f.scope = "
    "'repo' AND r.id = f.scope_id WHERE f.account_id = ? AND f.kind <> 'recused' AND f.id > ? ORDER BY f.id LIMIT ?";

static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "scope", stmt_str(row, 1));
    jw_key_str(w, "name", stmt_str(row, 2));
    jw_key_str(w, "kind", stmt_str(row, 3));
    jw_key_bool(w, "found", stmt_int(row, 4) != 0);
    jw_key_str(w, "declared", time_iso(rq->arena, stmt_int(row, 5)));
    jw_end(w);
    return OK;
}

/* GET /api/settings/conflicts: one's own. Those that came from stepping back are left out: they would name an applicant
 * whom the reviewer may never have seen. */
enum status conflicts_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, OLDEST_FIRST, write_row, err);
}

struct tie {
    struct arena *arena;
    int64_t account_id, scope_id, id;
    const char *scope;
    struct str kind;
};

/* "name" is a person or an organisation; "ns/name" a repo, which has to be one that the actor may see. */
static enum status read_tie(struct request *rq, struct tie *out, struct error *err)
{
    json_t *body;
    struct str about;
    struct account account;
    struct repo repo;
    TRY(request_json(rq, 4096, &body, err));
    TRY(body_only(body, "about kind", err));
    TRY(body_text(body, "about", 256, true, &about, err));
    TRY(body_text(body, "kind", 64, true, &out->kind, err));
    if (str_eq(out->kind, STR("recused")))
        return fail(err, INVALID, NULL, "\"kind\" should say what ties you: employer, funder, family, ...");
    TRY(request_read(rq, err));
    out->arena = rq->arena;
    out->account_id = rq->actor.account.id;
    if (!memchr(about.data, '/', about.len)) {
        TRY(account_find(rq->db, rq->arena, about, &account, err));
        out->scope = "account";
        out->scope_id = account.id;
        return OK;
    }
    struct str name = about, ns;
    bool moved;
    str_cut(&name, '/', &ns);
    enum status found = repo_find(rq->db, rq->arena, KIND_MODEL, ns, name, &repo, &moved, err);
    if (found != OK)
        return found == NOT_FOUND ? access_hidden(&rq->actor, err) : found;
    const struct access_object object = repo_access(&repo);
    TRY(access_decide(rq->db, &rq->actor, ACT_SEE, &object, err));
    out->scope = "repo";
    out->scope_id = repo.id;
    return OK;
}

/* Cases that this person judged in the last 90 days and that the new tie is about. */
static const char judged_sql[] =
    "SELECT DISTINCT v.request_id FROM review_verdict v JOIN access_request q ON q.id = v.request_id AND q.cycle = "
    "v.cycle JOIN gate g ON g.id = v.gate_id WHERE v.account_id = ? AND v.slot <= 3 AND v.filed_us >= ? AND "
    "((? = 'account' AND (? IN (q.applicant_id, g.owner_id) OR ? IN (SELECT org_id FROM member WHERE user_id = "
    "q.applicant_id))) OR (? = 'repo' AND ? IN (SELECT repo_id FROM gate_repo WHERE gate_id = g.id))) LIMIT 100";

static const char mark_sql[] = "UPDATE review_case SET conflict_us = ? WHERE request_id = ? AND conflict_us = 0";

static enum status mark(struct db_conn *tx, struct arena *arena, int64_t request_id, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    struct access_request request;
    TRY(db_prepare(tx, mark_sql, &set, err));
    stmt_bind_int(set, 1, now_us());
    stmt_bind_int(set, 2, request_id);
    TRY(stmt_run(set, err));
    if (!db_changes(tx))
        return OK;
    TRY(request_get(tx, arena, request_id, &request, err));
    return gate_tell_pool(
        tx, request.gate_id, "lead", "review.conflict",
        arena_printf(arena,
                     "A tie between a reviewer and request %lld has come to light after they judged it. "
                     "When it matters, POST .../gate/cases/%lld/reopen.",
                     (long long)request_id, (long long)request_id),
        0, err);
}

static const char add_sql[] =
    "INSERT INTO review_conflict (account_id, scope, scope_id, kind, found, declared_us) "
    "VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (account_id, scope, scope_id) DO UPDATE SET kind = "
    "excluded.kind";

static enum status declare(struct db_conn *tx, void *context, struct error *err)
{
    const struct tie *tie = context;
    auto_stmt struct stmt *add = NULL, *row = NULL;
    int64_t judged[100];
    size_t count = 0;
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, tie->account_id);
    stmt_bind_str(add, 2, str_of(tie->scope));
    stmt_bind_int(add, 3, tie->scope_id);
    stmt_bind_str(add, 4, tie->kind);
    stmt_bind_int(add, 5, now_us());
    TRY(stmt_run(add, err));
    TRY(db_prepare(tx, judged_sql, &row, err));
    stmt_bind_int(row, 1, tie->account_id);
    stmt_bind_int(row, 2, now_us() - LOOKS_BACK_US);
    stmt_bind_str(row, 3, str_of(tie->scope));
    stmt_bind_int(row, 4, tie->scope_id);
    stmt_bind_int(row, 5, tie->scope_id);
    stmt_bind_str(row, 6, str_of(tie->scope));
    stmt_bind_int(row, 7, tie->scope_id);
    while (stmt_next(row))
        judged[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(mark(tx, tie->arena, judged[i], err));
    return OK;
}

/* POST /api/settings/conflicts {"about": "name" or "ns/name", "kind"} */
enum status conflicts_post(struct request *rq, struct error *err)
{
    struct tie tie = {0};
    TRY(read_tie(rq, &tie, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, declare, &tie, err));
    request_reply_empty(rq);
    return OK;
}

static const char remove_sql[] = "DELETE FROM review_conflict WHERE account_id = ? AND id = ? AND kind <> 'recused'";

static enum status take_back(struct db_conn *tx, void *context, struct error *err)
{
    const struct tie *tie = context;
    auto_stmt struct stmt *remove = NULL;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, tie->account_id);
    stmt_bind_int(remove, 2, tie->id);
    TRY(stmt_run(remove, err));
    return db_changes(tx) ? OK : fail(err, NOT_FOUND, NULL, "You have declared no such conflict.");
}

/* DELETE /api/settings/conflicts/{id} */
enum status conflicts_delete(struct request *rq, struct error *err)
{
    struct tie tie = {.account_id = rq->actor.account.id};
    if (!str_to_i64(rq->params[0], &tie.id))
        return fail(err, NOT_FOUND, NULL, "You have declared no such conflict.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, take_back, &tie, err));
    request_reply_empty(rq);
    return OK;
}

/* Ties that the hub sees: who judged a case in the last 90 days and its applicant are now in one organisation. */
static const char shared_sql[] =
    "SELECT DISTINCT v.request_id FROM review_verdict v JOIN review_case c ON c.request_id = v.request_id AND c.cycle "
    "= "
    "v.cycle AND c.conflict_us = 0 JOIN access_request q ON q.id = v.request_id JOIN gate g ON g.id = v.gate_id JOIN "
    "member a ON a.user_id = v.account_id JOIN member b ON b.user_id = q.applicant_id AND b.org_id = a.org_id WHERE "
    "v.slot <= 3 AND v.filed_us >= ? AND a.org_id <> g.owner_id LIMIT 100";

static enum status find_shared(struct db_conn *tx, void *context, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    int64_t found[100];
    size_t count = 0;
    (void)context;
    TRY(db_prepare(tx, shared_sql, &row, err));
    stmt_bind_int(row, 1, now_us() - LOOKS_BACK_US);
    while (stmt_next(row))
        found[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(mark(tx, &arena, found[i], err));
    return OK;
}

enum status conflicts_find(struct db *db, struct error *err)
{
    return db_write(db, find_shared, NULL, err);
}

/* Opening a case again. */

struct reopening {
    struct arena *arena;
    int64_t request_id, gate_id, by_id;
    struct str reason;
};

static const char marked_sql[] = "SELECT 1 FROM review_case WHERE request_id = ? AND gate_id = ? AND conflict_us > 0";

static enum status reopen(struct db_conn *tx, void *context, struct error *err)
{
    const struct reopening *what = context;
    auto_stmt struct stmt *row = NULL;
    struct access_request request;
    TRY(db_prepare(tx, marked_sql, &row, err));
    stmt_bind_int(row, 1, what->request_id);
    stmt_bind_int(row, 2, what->gate_id);
    bool marked = stmt_next(row);
    TRY(stmt_end(row, err));
    if (!marked)
        return fail(err, NOT_FOUND, NULL, "No tie has come to light in a case with this number.");
    TRY(request_get(tx, what->arena, what->request_id, &request, err));
    return request_do(tx, what->arena, &request, REQUEST_REOPEN, BY_OWNER, what->by_id, STR("conflict"), what->reason,
                      err);
}

/* POST /api/{api}/gate/cases/{request}/reopen {"reason"}: by the owner, where a tie has come to light. */
enum status case_reopen_post(struct request *rq, struct error *err)
{
    struct reopening what = {.arena = rq->arena, .by_id = rq->actor.account.id};
    struct gate gate;
    json_t *body;
    TRY(request_json(rq, 4096, &body, err));
    TRY(body_only(body, "reason", err));
    TRY(body_text(body, "reason", 1000, true, &what.reason, err));
    TRY(request_read(rq, err));
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    if (!str_to_i64(rq->params[0], &what.request_id))
        return fail(err, NOT_FOUND, NULL, "There is no such case.");
    what.gate_id = gate.id;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, reopen, &what, err));
    request_reply_empty(rq);
    return OK;
}

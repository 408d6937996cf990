/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/text.h"
#include "base/time.h"
#include "notice/notice.h"
#include "repo/ref.h"
#include "use/internal.h"

/*
 * A recall tells everybody who has fetched a revision that something is wrong with it. Whoever asked for bytes by hash alone,
 * as git-lfs and Xet clients do, may have had them from that revision: they are told so.
 */
#define TOLD_AT_ONCE 200 /* in one write, which others wait for */
#define AGAIN_US SECOND_US

static const char *const severities[] = {"info", "warning", "critical", NULL};

struct recall {
    int64_t id, repo_id, actor_id;
    struct oid commit;
    struct str severity, text;
};

static const char insert_sql[] =
    "INSERT INTO recall (repo_id, commit_id, severity, text, by_id, at_us) VALUES (?, ?, ?, ?, ?, ?)";

static enum status write_recall(struct db_conn *tx, void *context, struct error *err)
{
    struct recall *recall = context;
    auto_stmt struct stmt *insert = NULL;
    struct decision_made made = {recall->repo_id, recall->actor_id, recall->actor_id, "recall", "owner"};
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, recall->repo_id);
    stmt_bind_blob(insert, 2, recall->commit.bytes, SHA1_SIZE);
    stmt_bind_str(insert, 3, recall->severity);
    stmt_bind_str(insert, 4, recall->text);
    stmt_bind_int(insert, 5, recall->actor_id);
    stmt_bind_int(insert, 6, now_us());
    TRY(stmt_run(insert, err));
    recall->id = db_last_id(tx);
    TRY(timer_set(tx, "use.recall", recall->id, now_us(), err));
    return access_log_decision(tx, &made, err);
}

static enum status read_recall(struct request *rq, struct recall *recall, struct error *err)
{
    static const char *const members[] = {"revision", "severity", "text", NULL};
    json_t *body;
    struct str name;
    struct revision revision;
    bool known = false;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(use_body_only(body, members, err));
    TRY(use_body_text(body, "revision", 200, true, &name, err));
    TRY(use_body_text(body, "text", TEXT_MOST, true, &recall->text, err));
    TRY(use_body_text(body, "severity", 16, true, &recall->severity, err));
    for (size_t i = 0; severities[i]; i++)
        known = known || str_eq(recall->severity, str_of(severities[i]));
    if (!known)
        return fail(err, INVALID, NULL, "\"severity\" is one of [info, warning, critical].");
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, name, &revision, err));
    recall->commit = revision.commit;
    return OK;
}

/* POST /api/{api}/recalls {"revision","severity","text"} */
enum status recall_post(struct request *rq, struct error *err)
{
    struct recall recall = {.repo_id = rq->repo.id, .actor_id = rq->actor.account.id};
    TRY(read_recall(rq, &recall, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_recall, &recall, err));
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "id", recall.id);
    jw_key_hex(&w, "revision", recall.commit.bytes, SHA1_SIZE);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static const char list_sql[] =
    "SELECT id, commit_id, severity, text, at_us FROM recall WHERE repo_id = ? AND id < ? ORDER BY id DESC LIMIT ?";

static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_hex(w, "revision", stmt_str(row, 1).data, SHA1_SIZE);
    jw_key_str(w, "severity", stmt_str(row, 2));
    jw_key_str(w, "text", stmt_str(row, 3));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 4)));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/recalls: for whoever may see the repo. */
enum status recalls_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->repo.id, NEWEST_FIRST, write_row, err);
}

static const char header_sql[] =
    "SELECT id, severity FROM recall WHERE repo_id = ? AND commit_id = ? ORDER BY id DESC LIMIT 1";

enum status recall_header(struct request *rq, const struct oid *commit, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, header_sql, &row, err));
    stmt_bind_int(row, 1, rq->repo.id);
    stmt_bind_blob(row, 2, commit->bytes, SHA1_SIZE);
    if (stmt_next(row))
        reply_header(rq->http, "X-Recall", "%.*s; <%.*s/api/%.*s/%.*s/recalls>", STR_ARG(stmt_str(row, 1)),
                     STR_ARG(request_base_url(rq)), STR_ARG(repo_kind_plural(rq->repo.kind)),
                     STR_ARG(rq->repo.full_name));
    return stmt_end(row, err);
}

/* Telling. */

static const char one_sql[] = "SELECT r.repo_id, r.commit_id, r.severity, r.text, r.cursor, p.ns || '/' || p.name "
                              "FROM recall r JOIN repo p ON p.id = r.repo_id WHERE r.id = ?";
static const char next_sql[] =
    "SELECT id, account_id, commit_id FROM read_day WHERE repo_id = ? AND id > ? ORDER BY id LIMIT ?";
static const char told_sql[] =
    "INSERT INTO recall_told (recall_id, account_id) VALUES (?, ?) ON CONFLICT (recall_id, account_id) DO NOTHING";
static const char cursor_sql[] = "UPDATE recall SET cursor = ? WHERE id = ?";

struct telling {
    struct db_conn *tx;
    struct arena arena;
    struct recall recall;
    struct str repo;
    int64_t cursor;
};

static void telling_free(struct telling *t)
{
    arena_free(&t->arena);
}

static enum status load(struct telling *t, int64_t id, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(t->tx, one_sql, &row, err));
    stmt_bind_int(row, 1, id);
    *found = stmt_next(row);
    if (*found) {
        t->recall = (struct recall){.id = id, .repo_id = stmt_int(row, 0)};
        memcpy(t->recall.commit.bytes, stmt_str(row, 1).data, SHA1_SIZE);
        t->recall.severity = arena_copy(&t->arena, stmt_str(row, 2));
        t->recall.text = arena_copy(&t->arena, stmt_str(row, 3));
        t->cursor = stmt_int(row, 4);
        t->repo = arena_copy(&t->arena, stmt_str(row, 5));
    }
    return stmt_end(row, err);
}

static enum status tell(struct telling *t, int64_t account_id, bool is_sure, struct error *err)
{
    auto_stmt struct stmt *told = NULL;
    const struct recall *recall = &t->recall;
    TRY(db_prepare(t->tx, told_sql, &told, err));
    stmt_bind_int(told, 1, recall->id);
    stmt_bind_int(told, 2, account_id);
    TRY(stmt_run(told, err));
    if (!db_changes(t->tx))
        return OK;
    struct str text =
        arena_printf(&t->arena, "%.*s: revision %.*s of %.*s, which you %s, has been recalled by its owner: %.*s",
                     STR_ARG(recall->severity), STR_ARG(oid_hex(&t->arena, &recall->commit)), STR_ARG(t->repo),
                     is_sure ? "have fetched" : "may have fetched (you asked for large files of this repo by hash)",
                     STR_ARG(recall->text));
    const struct notice notice = {account_id, recall->repo_id, "recall", text};
    return notice_add(t->tx, &notice, err);
}

static enum status tell_some(struct telling *t, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(t->tx, next_sql, &row, err));
    stmt_bind_int(row, 1, t->recall.repo_id);
    stmt_bind_int(row, 2, t->cursor);
    stmt_bind_int(row, 3, TOLD_AT_ONCE);
    for (*count = 0; stmt_next(row); ++*count) {
        struct str commit = stmt_str(row, 2);
        bool is_sure = str_eq(commit, (struct str){(const char *)t->recall.commit.bytes, SHA1_SIZE});
        t->cursor = stmt_int(row, 0);
        if (is_sure || commit.len == 0)
            TRY(tell(t, stmt_int(row, 1), is_sure, err));
    }
    return stmt_end(row, err);
}

/* The timer "use.recall": some at a time, then again until all have been told. */
enum status recall_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    __attribute__((cleanup(telling_free))) struct telling t = {.tx = tx};
    auto_stmt struct stmt *cursor = NULL;
    bool found;
    size_t count;
    (void)due_us;
    TRY(load(&t, id, &found, err));
    if (!found)
        return OK;
    TRY(tell_some(&t, &count, err));
    TRY(db_prepare(tx, cursor_sql, &cursor, err));
    stmt_bind_int(cursor, 1, t.cursor);
    stmt_bind_int(cursor, 2, id);
    TRY(stmt_run(cursor, err));
    return count == TOLD_AT_ONCE ? timer_set(tx, "use.recall", id, now_us() + AGAIN_US, err) : OK;
}

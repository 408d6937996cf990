/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notice/notice.h"
#include "base/time.h"
#include "router/page.h"

static const char create_sql[] = "CREATE TABLE notice ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  repo_id BIGINT NOT NULL,"
                                 "  kind TEXT NOT NULL,"
                                 "  text TEXT NOT NULL,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  due_us BIGINT NOT NULL);"
                                 "CREATE INDEX notice_account ON notice (account_id, id);";

static const struct migration_set migrations = {"notice", (const char *const[]){create_sql, NULL}};

static const char add_sql[] =
    "INSERT INTO notice (account_id, repo_id, kind, text, at_us, due_us) VALUES (?, ?, ?, ?, ?, ?)";

enum status notice_add(struct db_conn *tx, const struct notice *notice, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, notice->account_id);
    stmt_bind_int(add, 2, notice->repo_id);
    stmt_bind_str(add, 3, str_of(notice->kind));
    stmt_bind_str(add, 4, notice->text);
    stmt_bind_int(add, 5, now_us());
    stmt_bind_int(add, 6, notice->due_us);
    return stmt_run(add, err);
}

static const char board_sql[] = "SELECT id FROM account WHERE is_admin <> 0";

static enum status tell_rows(struct db_conn *tx, struct stmt *row, int64_t repo_id, const char *kind, struct str text,
                             struct error *err)
{
    while (stmt_next(row)) {
        const struct notice notice = {stmt_int(row, 0), repo_id, kind, text};
        TRY(notice_add(tx, &notice, err));
    }
    return stmt_end(row, err);
}

enum status notice_board(struct db_conn *tx, int64_t repo_id, const char *kind, struct str text, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, board_sql, &row, err));
    return tell_rows(tx, row, repo_id, kind, text, err);
}

static const char owners_sql[] = "SELECT id FROM account WHERE id = ? AND kind = 1 "
                                 "UNION SELECT user_id FROM member WHERE org_id = ? AND role >= 3";

enum status notice_owners(struct db_conn *tx, int64_t owner_id, int64_t repo_id, const char *kind, struct str text,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, owners_sql, &row, err));
    stmt_bind_int(row, 1, owner_id);
    stmt_bind_int(row, 2, owner_id);
    return tell_rows(tx, row, repo_id, kind, text, err);
}

static const char list_sql[] = "SELECT n.id, n.kind, n.text, n.at_us, n.due_us, r.ns || '/' || r.name "
                               "FROM notice n LEFT JOIN repo r ON r.id = n.repo_id "
                               "WHERE n.account_id = ? AND n.id < ? ORDER BY n.id DESC LIMIT ?";

static enum status write_notice(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "kind", stmt_str(row, 1));
    jw_key_str(w, "text", stmt_str(row, 2));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 3)));
    if (stmt_int(row, 4))
        jw_key_str(w, "due", time_iso(rq->arena, stmt_int(row, 4)));
    if (!stmt_is_null(row, 5))
        jw_key_str(w, "repo", stmt_str(row, 5));
    jw_end(w);
    return OK;
}

/* GET /api/notices: the actor's own, the newest first, a page at a time. */
static enum status notices_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, NEWEST_FIRST, write_notice, err);
}

struct removal {
    int64_t account_id, id;
};

static const char remove_sql[] = "DELETE FROM notice WHERE account_id = ? AND id = ?";

static enum status remove_one(struct db_conn *tx, void *context, struct error *err)
{
    const struct removal *removal = context;
    auto_stmt struct stmt *remove = NULL;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, removal->account_id);
    stmt_bind_int(remove, 2, removal->id);
    TRY(stmt_run(remove, err));
    return db_changes(tx) ? OK : fail(err, NOT_FOUND, NULL, "You have no such notice.");
}

/* DELETE /api/notices/{id}: it has been read. */
static enum status notice_delete(struct request *rq, struct error *err)
{
    struct removal removal = {.account_id = rq->actor.account.id};
    if (!str_to_i64(rq->params[0], &removal.id))
        return fail(err, NOT_FOUND, NULL, "You have no such notice.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, remove_one, &removal, err));
    request_reply_empty(rq);
    return OK;
}

static const char *const forgets[] = {"DELETE FROM notice WHERE account_id = ?", NULL};

static const struct route routes[] = {
    {HTTP_GET, "/api/notices", ACT_SELF, notices_get},
    {HTTP_DELETE, "/api/notices/{id}", ACT_SELF, notice_delete},
    {0},
};

const struct module notice_module = {.name = "notice", .migrations = &migrations, .routes = routes, .forgets = forgets};

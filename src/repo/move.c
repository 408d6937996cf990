/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving and deleting a repo. */
#include "base/json.h"
#include "base/text.h"
#include "repo/internal.h"

static enum status run_for_repo(struct db_conn *tx, const char *sql, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    stmt_bind_int(stmt, 1, repo_id);
    return stmt_run(stmt, err);
}

/* Moving. */

static const char target_sql[] = "SELECT id FROM repo WHERE kind = ? AND ns_key = ? AND name_key = ? AND id <> ?";

static enum status check_target(struct db_conn *tx, struct arena *arena, const struct repo_move_to *call,
                                struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, target_sql, &find, err));
    stmt_bind_int(find, 1, call->repo->kind);
    stmt_bind_str(find, 2, str_lower(arena, call->ns));
    stmt_bind_str(find, 3, str_lower(arena, call->name));
    stmt_bind_int(find, 4, call->repo->id);
    bool taken = stmt_next(find);
    TRY(stmt_end(find, err));
    if (taken)
        return fail(err, CONFLICT, NULL, "A %.*s repository called `%.*s/%.*s` already exists",
                    STR_ARG(repo_kind_name(call->repo->kind)), STR_ARG(call->ns), STR_ARG(call->name));
    return OK;
}

static const char free_alias_sql[] = "DELETE FROM repo_alias WHERE kind = ? AND ns_key = ? AND name_key = ?";
static const char add_alias_sql[] = "INSERT INTO repo_alias (kind, ns_key, name_key, repo_id) VALUES (?, ?, ?, ?)";

static enum status set_alias(struct db_conn *tx, struct arena *arena, const char *sql, const struct repo *repo,
                             struct str ns, struct str name, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    stmt_bind_int(stmt, 1, repo->kind);
    stmt_bind_str(stmt, 2, str_lower(arena, ns));
    stmt_bind_str(stmt, 3, str_lower(arena, name));
    if (sql == add_alias_sql)
        stmt_bind_int(stmt, 4, repo->id);
    return stmt_run(stmt, err);
}

static const char rename_sql[] =
    "UPDATE repo SET owner_id = ?, ns = ?, name = ?, ns_key = ?, name_key = ? WHERE id = ?";

static enum status rename_repo(struct db_conn *tx, struct arena *arena, const struct repo_move_to *call, struct error *err)
{
    auto_stmt struct stmt *rename = NULL;
    TRY(db_prepare(tx, rename_sql, &rename, err));
    stmt_bind_int(rename, 1, call->new_owner_id);
    stmt_bind_str(rename, 2, call->ns);
    stmt_bind_str(rename, 3, call->name);
    stmt_bind_str(rename, 4, str_lower(arena, call->ns));
    stmt_bind_str(rename, 5, str_lower(arena, call->name));
    stmt_bind_int(rename, 6, call->repo->id);
    return stmt_run(rename, err);
}

enum status repo_move_in_write(struct db_conn *tx, const struct repo_move_to *call, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct repo old; /* the name that the caller read may be out of date */
    TRY(repo_name_check(call->name, err));
    TRY(repo_get(tx, &arena, call->repo->id, &old, err));
    TRY(check_target(tx, &arena, call, err));
    TRY(set_alias(tx, &arena, free_alias_sql, &old, call->ns, call->name, err));
    bool same = str_eq_nocase(old.ns, call->ns) && str_eq_nocase(old.name, call->name);
    if (!same)
        TRY(set_alias(tx, &arena, add_alias_sql, &old, old.ns, old.name, err));
    TRY(rename_repo(tx, &arena, call, err));

    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "kind", repo_kind_name(old.kind));
    jw_key_int(&w, "owner", call->new_owner_id);
    jw_key_str(&w, "from", old.full_name);
    jw_key_str(&w, "to", arena_printf(&arena, "%.*s/%.*s", STR_ARG(call->ns), STR_ARG(call->name)));
    jw_end(&w);
    return repo_event_append(tx, EVENT_MOVE, old.id, call->by_id, &body, err);
}

static enum status move_in_write(struct db_conn *tx, void *call, struct error *err)
{
    return repo_move_in_write(tx, call, err);
}

enum status repo_move(struct db *db, const struct repo *repo, int64_t new_owner_id, struct str ns, struct str name,
                      int64_t by_id, struct error *err)
{
    struct repo_move_to call = {.repo = repo, .new_owner_id = new_owner_id, .by_id = by_id, .ns = ns, .name = name};
    return db_write(db, move_in_write, &call, err);
}

enum status repo_forget_space(struct db_conn *tx, struct str ns, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *forget = NULL;
    TRY(db_prepare(tx, "DELETE FROM repo_alias WHERE ns_key = ?", &forget, err));
    stmt_bind_str(forget, 1, str_lower(&arena, ns));
    return stmt_run(forget, err);
}

enum status repo_owned(struct db_conn *conn, int64_t owner_id, int64_t *count, struct error *err)
{
    auto_stmt struct stmt *owned = NULL;
    TRY(db_prepare(conn, "SELECT count(*) FROM repo WHERE owner_id = ?", &owned, err));
    stmt_bind_int(owned, 1, owner_id);
    *count = stmt_next(owned) ? stmt_int(owned, 0) : 0;
    return stmt_end(owned, err);
}

/* Deleting. */

enum status repo_delete_in_write(struct db_conn *tx, int64_t repo_id, int64_t by_id, struct error *err)
{
    static const char *const deletions[] = {
        "DELETE FROM ref_rule WHERE repo_id = ?",
        "DELETE FROM approval WHERE repo_id = ?",
        "DELETE FROM pull WHERE repo_id = ?",
        "DELETE FROM path_touch WHERE repo_id = ?",
        "DELETE FROM commit_row WHERE repo_id = ?",
        "DELETE FROM ref WHERE repo_id = ?",
        "DELETE FROM git_object WHERE repo_id = ?",
        "DELETE FROM repo_alias WHERE repo_id = ?",
        "DELETE FROM repo WHERE id = ?",
    };
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct repo repo;
    TRY(repo_get(tx, &arena, repo_id, &repo, err));
    TRY(store_release_repo(tx, repo.id, err));
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++)
        TRY(run_for_repo(tx, deletions[i], repo.id, err));

    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "kind", repo_kind_name(repo.kind));
    jw_key_str(&w, "name", repo.full_name);
    jw_key_str(&w, "public_id", repo.public_id);
    jw_end(&w);
    return repo_event_append(tx, EVENT_DELETE, repo.id, by_id, &body, err);
}

struct delete_call {
    int64_t repo_id, by_id;
};

static enum status delete_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct delete_call *call = context;
    return repo_delete_in_write(tx, call->repo_id, call->by_id, err);
}

enum status repo_delete(struct db *db, const struct repo *repo, int64_t by_id, struct error *err)
{
    struct delete_call call = {repo->id, by_id};
    return db_write(db, delete_in_write, &call, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repo/pull.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "repo/internal.h"
#include <assert.h>

/* Opening. */

struct open_call {
    int64_t repo_id, by_id, number;
    struct str base, title;
};

static const char number_sql[] = "UPDATE repo SET last_number = last_number + 1 WHERE id = ? RETURNING last_number";
static const char open_sql[] =
    "INSERT INTO pull (repo_id, number, ref, base, title, by_id, created_us) VALUES (?, ?, ?, ?, ?, ?, ?)";

static enum status take_number(struct db_conn *tx, struct open_call *call, struct error *err)
{
    auto_stmt struct stmt *take = NULL;
    TRY(db_prepare(tx, number_sql, &take, err));
    stmt_bind_int(take, 1, call->repo_id);
    while (stmt_next(take))
        call->number = stmt_int(take, 0);
    TRY(stmt_end(take, err));
    return call->number ? OK : no_repo(err);
}

static enum status open_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct open_call *call = context;
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *open = NULL;
    TRY(take_number(tx, call, err));
    TRY(db_prepare(tx, open_sql, &open, err));
    stmt_bind_int(open, 1, call->repo_id);
    stmt_bind_int(open, 2, call->number);
    stmt_bind_str(open, 3, arena_printf(&arena, "refs/pr/%lld", (long long)call->number));
    stmt_bind_str(open, 4, call->base);
    stmt_bind_str(open, 5, call->title);
    stmt_bind_int(open, 6, call->by_id);
    stmt_bind_int(open, 7, now_us());
    return stmt_run(open, err);
}

enum status pull_open(struct db *db, int64_t repo_id, struct str base, struct str title, int64_t by_id, int64_t *number,
                      struct error *err)
{
    struct open_call call = {repo_id, by_id, 0, base, title};
    TRY(db_write(db, open_in_write, &call, err));
    *number = call.number;
    return OK;
}

/* Finding. */

#define COLUMNS "p.number, p.base, p.title, p.by_id, p.created_us, p.merged, r.commit_oid"
#define TABLES "pull p JOIN ref r ON r.repo_id = p.repo_id AND r.name = p.ref"

static void read_pull(struct stmt *row, struct arena *arena, struct pull *out)
{
    *out = (struct pull){
        .number = stmt_int(row, 0),
        .base = arena_copy(arena, stmt_str(row, 1)),
        .title = arena_copy(arena, stmt_str(row, 2)),
        .by_id = stmt_int(row, 3),
        .created_us = stmt_int(row, 4),
        .is_merged = !stmt_is_null(row, 5),
    };
    if (out->is_merged)
        oid_from(&out->merged, stmt_str(row, 5));
    oid_from(&out->head, stmt_str(row, 6));
}

static const char get_sql[] = "SELECT " COLUMNS " FROM " TABLES " WHERE p.repo_id = ? AND p.number = ?";

enum status pull_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t number, struct pull *out,
                     struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, repo_id);
    stmt_bind_int(get, 2, number);
    bool found = stmt_next(get);
    if (found)
        read_pull(get, arena, out);
    TRY(stmt_end(get, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no pull request %lld in this repo", (long long)number);
}

#define FITS " WHERE p.repo_id = ? AND ? IN (0, p.by_id) AND ? IN (0, CASE WHEN p.merged IS NULL THEN 1 ELSE 2 END)"

static const char count_sql[] = "SELECT count(*) FROM " TABLES FITS;
static const char list_sql[] = "SELECT " COLUMNS " FROM " TABLES FITS " ORDER BY p.number DESC LIMIT ? OFFSET ?";

static void bind_filter(struct stmt *stmt, int64_t repo_id, const struct pull_filter *filter)
{
    stmt_bind_int(stmt, 1, repo_id);
    stmt_bind_int(stmt, 2, filter->by_id);
    stmt_bind_int(stmt, 3, filter->state);
}

enum status pull_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct pull_filter *filter,
                      struct pull **out, size_t *count, int64_t *total, struct error *err)
{
    auto_stmt struct stmt *number = NULL, *list = NULL;
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(conn, count_sql, &number, err));
    bind_filter(number, repo_id, filter);
    *total = stmt_next(number) ? stmt_int(number, 0) : 0;
    TRY(stmt_end(number, err));
    TRY(db_prepare(conn, list_sql, &list, err));
    bind_filter(list, repo_id, filter);
    stmt_bind_int(list, 4, filter->limit);
    stmt_bind_int(list, 5, filter->skip);
    while (stmt_next(list)) {
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        read_pull(list, arena, &(*out)[(*count)++]);
    }
    return stmt_end(list, err);
}

/* Planning a merge. */

static enum status check_approvals(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct merge *merge,
                                   struct error *err)
{
    TRY(rule_find(conn, repo_id, merge->pull.base, &merge->rule, &merge->is_protected, err));
    if (!merge->is_protected)
        return OK;
    TRY(approvals_count(conn, arena, repo_id, &merge->rule, &merge->pull.head, &merge->approvals, err));
    return ref_guard(conn, repo_id, merge->pull.base, &merge->pull.head, err);
}

static enum status check_line(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct merge *merge,
                              struct error *err)
{
    const struct pull *pull = &merge->pull;
    struct ahead ahead;
    if (pull->is_merged)
        return fail(err, CONFLICT, NULL, "Pull request %lld was merged already", (long long)pull->number);
    if (oid_eq(&pull->head, &merge->old))
        return fail(err, CONFLICT, NULL, "Pull request %lld has no changes: there is nothing to merge",
                    (long long)pull->number);
    TRY(commits_ahead(conn, arena, repo_id, &merge->old, &pull->head, &ahead, err));
    return ahead.on_base ? OK
                         : fail(err, CONFLICT, NULL,
                                "Pull request %lld was not built on what %.*s is now, and a merge moves the branch to "
                                "its very commit: make the change anew on %.*s and open another.",
                                (long long)pull->number, STR_ARG(pull->base), STR_ARG(pull->base));
}

static enum status count_files(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct merge *merge,
                               struct error *err)
{
    const struct git_source from = {.conn = conn, .repo_id = repo_id};
    struct tree_changes changes = {0};
    struct oid before, after;
    TRY(commit_tree(conn, repo_id, &merge->old, &before, err));
    TRY(commit_tree(conn, repo_id, &merge->pull.head, &after, err));
    TRY(tree_diff(&from, arena, &before, &after, &changes, err));
    merge->added = changes.added;
    merge->changed = changes.changed;
    merge->removed = changes.removed;
    return OK;
}

enum status merge_plan(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t number, struct merge *out,
                       struct error *err)
{
    bool found;
    *out = (struct merge){0};
    TRY(db_snapshot(conn, err));
    TRY(pull_get(conn, arena, repo_id, number, &out->pull, err));
    TRY(ref_commit(conn, repo_id, out->pull.base, &out->old, &found, err));
    if (!found)
        return fail(err, CONFLICT, NULL, "%.*s, which pull request %lld is for, is not there any more",
                    STR_ARG(out->pull.base), (long long)number);
    TRY(check_line(conn, arena, repo_id, out, err));
    TRY(check_approvals(conn, arena, repo_id, out, err));
    return count_files(conn, arena, repo_id, out, err);
}

/* Merging. */

struct merge_call {
    int64_t repo_id, by_id;
    const struct merge *merge;
    const uint8_t *evidence;
    db_write_fn *also;
    void *also_context;
};

static enum status changed_since(struct error *err)
{
    return fail(err, STALE, NULL,
                "The pull request or its approvals were changed while it was being merged: try again.");
}

static const char mark_sql[] = "UPDATE pull SET merged = ? WHERE repo_id = ? AND number = ? AND merged IS NULL";

static enum status mark_merged(struct db_conn *tx, const struct merge_call *call, struct error *err)
{
    const struct pull *pull = &call->merge->pull;
    auto_stmt struct stmt *mark = NULL;
    TRY(db_prepare(tx, mark_sql, &mark, err));
    stmt_bind_blob(mark, 1, pull->head.bytes, sizeof pull->head.bytes);
    stmt_bind_int(mark, 2, call->repo_id);
    stmt_bind_int(mark, 3, pull->number);
    TRY(stmt_run(mark, err));
    return db_changes(tx) ? OK : changed_since(err);
}

/* The evidence was signed before the write: what it lists must be what counts now, neither more nor less. */
static enum status check_unchanged(struct db_conn *tx, const struct merge_call *call, struct error *err)
{
    const struct merge *merge = call->merge;
    auto_arena struct arena arena = {0};
    struct pull now;
    struct ref_rule rule;
    struct approvals has;
    bool is_protected;
    TRY(pull_get(tx, &arena, call->repo_id, merge->pull.number, &now, err));
    TRY(rule_find(tx, call->repo_id, merge->pull.base, &rule, &is_protected, err));
    if (!oid_eq(&now.head, &merge->pull.head) || is_protected != merge->is_protected)
        return changed_since(err);
    if (!is_protected)
        return OK;
    TRY(approvals_count(tx, &arena, call->repo_id, &rule, &now.head, &has, err));
    bool same = rule.approvals == merge->rule.approvals && rule.role == merge->rule.role &&
                has.have == merge->approvals.have && has.rejects == merge->approvals.rejects &&
                memcmp(has.events, merge->approvals.events, (size_t)has.have * sizeof *has.events) == 0;
    return same ? OK : changed_since(err);
}

static enum status append_merge_event(struct db_conn *tx, const struct merge_call *call, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    const struct merge *merge = call->merge;
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "ref", merge->pull.base);
    jw_key_str(&w, "old", oid_hex(&arena, &merge->old));
    jw_key_str(&w, "new", oid_hex(&arena, &merge->pull.head));
    jw_key_bool(&w, "squash", false);
    jw_key_bool(&w, "merge", true);
    jw_key_bool(&w, "protected", merge->is_protected);
    jw_key_int(&w, "pull", merge->pull.number);
    jw_key_int(&w, "added", merge->added);
    jw_key_int(&w, "changed", merge->changed);
    jw_key_int(&w, "removed", merge->removed);
    if (merge->is_protected)
        jw_key_str(&w, "evidence", hex_encode(&arena, call->evidence, SHA256_SIZE));
    jw_end(&w);
    return repo_event_append(tx, EVENT_COMMIT, call->repo_id, call->by_id, &body, err);
}

static enum status merge_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct merge_call *call = context;
    const struct merge *merge = call->merge;
    TRY(repo_touch(tx, call->repo_id, err));
    TRY(check_unchanged(tx, call, err));
    TRY(mark_merged(tx, call, err));
    TRY(ref_move(tx, call->repo_id, merge->pull.base, &merge->old, &merge->pull.head, REF_BY_MERGE, err));
    TRY(append_merge_event(tx, call, err));
    return call->also ? call->also(tx, call->also_context, err) : OK;
}

enum status merge_apply(struct db *db, const struct repo *repo, const struct merge *merge,
                        const uint8_t evidence[SHA256_SIZE], int64_t by_id, db_write_fn *also, void *also_context,
                        struct error *err)
{
    assert(!merge->is_protected == !evidence);
    struct merge_call call = {repo->id, by_id, merge, evidence, also, also_context};
    return db_write(db, merge_in_write, &call, err);
}

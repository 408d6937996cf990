/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refs as rows: target is what git sees, commit_oid is target followed through annotated tags. No other file changes
 * them. */
#include "base/json.h"
#include "base/path.h"
#include "repo/internal.h"

static const char list_sql[] = "SELECT name, commit_oid FROM ref WHERE repo_id = ? ORDER BY name";

enum status ref_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct ref **out, size_t *count,
                     struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(conn, list_sql, &list, err));
    stmt_bind_int(list, 1, repo_id);
    while (stmt_next(list)) {
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        struct ref *ref = &(*out)[(*count)++];
        ref->name = arena_copy(arena, stmt_str(list, 0));
        oid_from(&ref->target, stmt_str(list, 1));
    }
    return stmt_end(list, err);
}

/* Making. */

static enum status already(struct str name, struct error *err)
{
    return fail(err, CONFLICT, NULL, "Reference %.*s already exists", STR_ARG(name));
}

static const char exists_sql[] = "SELECT 1 FROM ref WHERE repo_id = ? AND name = ?";
static const char below_sql[] = "SELECT name FROM ref WHERE repo_id = ? AND name > ? AND name < ? LIMIT 1";

static enum status in_the_way(struct str other, struct str name, struct error *err)
{
    return fail(err, CONFLICT, NULL, "Reference %.*s already exists, and %.*s cannot stand beside it", STR_ARG(other),
                STR_ARG(name));
}

/*
 * In a clone refs are files, so refs/heads/a and refs/heads/a/b cannot both be: git would refuse to fetch them. Git
 * compares these names in bytes, and so do we.
 */
static enum status check_neighbours(struct db_conn *tx, int64_t repo_id, struct str name, struct error *err)
{
    auto_stmt struct stmt *exists = NULL, *below = NULL;
    TRY(db_prepare(tx, exists_sql, &exists, err));
    for (size_t i = strlen("refs/"); i < name.len; i++) {
        struct str above = str_slice(name, 0, i);
        if (name.data[i] != '/')
            continue;
        stmt_bind_int(exists, 1, repo_id);
        stmt_bind_str(exists, 2, above);
        bool found = stmt_next(exists);
        TRY(stmt_end(exists, err));
        if (found)
            return in_the_way(above, name, err);
    }
    auto_arena struct arena arena = {0};
    TRY(db_prepare(tx, below_sql, &below, err));
    stmt_bind_int(below, 1, repo_id);
    stmt_bind_str(below, 2, arena_printf(&arena, "%.*s/", STR_ARG(name)));
    stmt_bind_str(below, 3, arena_printf(&arena, "%.*s0", STR_ARG(name))); /* '0' follows '/' */
    if (stmt_next(below))
        return in_the_way(stmt_str(below, 0), name, err);
    return stmt_end(below, err);
}

static const char insert_sql[] = "INSERT INTO ref (repo_id, name, target, commit_oid) VALUES (?, ?, ?, ?) "
                                 "ON CONFLICT (repo_id, name) DO NOTHING";

enum status ref_insert(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *target,
                       const struct oid *commit, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(ref_guard(tx, repo_id, name, NULL, err));
    TRY(check_neighbours(tx, repo_id, name, err));
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, repo_id);
    stmt_bind_str(insert, 2, name);
    stmt_bind_blob(insert, 3, target->bytes, sizeof target->bytes);
    stmt_bind_blob(insert, 4, commit->bytes, sizeof commit->bytes);
    TRY(stmt_run(insert, err));
    return db_changes(tx) ? OK : already(name, err);
}

static const char old_sql[] = "SELECT commit_oid FROM ref WHERE repo_id = ? AND name = ?";

enum status ref_commit(struct db_conn *tx, int64_t repo_id, struct str name, struct oid *out, bool *found,
                       struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    TRY(db_prepare(tx, old_sql, &get, err));
    stmt_bind_int(get, 1, repo_id);
    stmt_bind_str(get, 2, name);
    *found = stmt_next(get);
    if (*found)
        oid_from(out, stmt_str(get, 0));
    return stmt_end(get, err);
}

struct ref_change {
    int64_t repo_id, by_id;
    struct str name;
    struct oid target, commit;
    bool overwrite;
    const struct git_set *tag; /* the tag object of an annotated tag; or NULL */
};

static enum status append_ref_event(struct db_conn *tx, enum repo_event kind, const struct ref_change *change,
                                    const struct oid *old, const struct oid *new, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "ref", change->name);
    jw_key_str(&w, "old", old ? oid_hex(&arena, old) : (struct str){0});
    jw_key_str(&w, "new", new ? oid_hex(&arena, new) : (struct str){0});
    jw_end(&w);
    return repo_event_append(tx, kind, change->repo_id, change->by_id, &body, err);
}

static const char update_sql[] = "UPDATE ref SET target = ?, commit_oid = ? WHERE repo_id = ? AND name = ?";

static enum status overwrite_ref(struct db_conn *tx, const struct ref_change *change, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    TRY(ref_guard(tx, change->repo_id, change->name, NULL, err));
    TRY(db_prepare(tx, update_sql, &update, err));
    stmt_bind_blob(update, 1, change->target.bytes, SHA1_SIZE);
    stmt_bind_blob(update, 2, change->commit.bytes, SHA1_SIZE);
    stmt_bind_int(update, 3, change->repo_id);
    stmt_bind_str(update, 4, change->name);
    return stmt_run(update, err);
}

static enum status create_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct ref_change *change = context;
    struct oid old, tree;
    bool exists;
    TRY(commit_tree(tx, change->repo_id, &change->commit, &tree, err));
    TRY(ref_commit(tx, change->repo_id, change->name, &old, &exists, err));
    if (exists && !change->overwrite)
        return already(change->name, err);
    if (change->tag)
        TRY(git_set_store(change->tag, tx, change->repo_id, err));
    if (exists)
        TRY(overwrite_ref(tx, change, err));
    else
        TRY(ref_insert(tx, change->repo_id, change->name, &change->target, &change->commit, err));
    return append_ref_event(tx, EVENT_REF_CREATE, change, exists ? &old : NULL, &change->target, err);
}

enum status ref_create(struct db *db, const struct repo *repo, struct str name, const struct oid *target,
                       bool overwrite, int64_t by_id, struct error *err)
{
    struct ref_change change = {.repo_id = repo->id,
                                .by_id = by_id,
                                .name = name,
                                .target = *target,
                                .commit = *target,
                                .overwrite = overwrite};
    if (!str_starts(name, STR("refs/")))
        return fail(err, INVALID, NULL, "\"%.*s\" is not the full name of a reference",
                    STR_ARG(str_slice(name, 0, 255)));
    TRY(ref_name_check(name, err));
    return db_write(db, create_in_write, &change, err);
}

enum status tag_create(struct db *db, const struct repo *repo, struct str tag, struct str message,
                       const struct oid *target, const struct signature *tagger, int64_t by_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf content = {0};
    struct git_set made = {0};
    struct ref_change change = {.repo_id = repo->id, .by_id = by_id, .target = *target, .commit = *target};
    change.name = arena_printf(&arena, "refs/tags/%.*s", STR_ARG(tag));
    TRY(ref_name_check(change.name, err));
    if (!str_given(message))
        return db_write(db, create_in_write, &change, err);

    buf_printf(&content, "object %.*s\ntype commit\ntag %.*s\n", STR_ARG(oid_hex(&arena, target)), STR_ARG(tag));
    signature_add(&content, "tagger", tagger);
    buf_byte(&content, '\n');
    message_add(&content, message, STR(""));
    change.tag = &made;
    enum status status = git_set_add(&made, GIT_TAG, buf_view(&content), &change.target, err);
    if (status == OK)
        status = db_write(db, create_in_write, &change, err);
    git_set_free(&made);
    return status;
}

/* Moving. */

static const char move_sql[] =
    "UPDATE ref SET target = ?, commit_oid = ? WHERE repo_id = ? AND name = ? AND target = ?";

enum status ref_move(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *from, const struct oid *to,
                     enum ref_way way, struct error *err)
{
    auto_stmt struct stmt *move = NULL;
    TRY(ref_guard(tx, repo_id, name, way == REF_BY_MERGE ? to : NULL, err));
    TRY(db_prepare(tx, move_sql, &move, err));
    stmt_bind_blob(move, 1, to->bytes, sizeof to->bytes);
    stmt_bind_blob(move, 2, to->bytes, sizeof to->bytes);
    stmt_bind_int(move, 3, repo_id);
    stmt_bind_str(move, 4, name);
    stmt_bind_blob(move, 5, from->bytes, sizeof from->bytes);
    TRY(stmt_run(move, err));
    return db_changes(tx) ? OK
                          : fail(err, STALE, NULL,
                                 "The branch was updated since you opened this page. Please refresh and try again.");
}

/* Deleting. */

/* As people named it. */
static struct str short_name(struct str name)
{
    static const struct str prefixes[] = {{"refs/heads/", 11}, {"refs/tags/", 10}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (str_starts(name, prefixes[i]))
            return str_from(name, prefixes[i].len);
    return name;
}

static const char delete_sql[] = "DELETE FROM ref WHERE repo_id = ? AND name = ?";

static enum status delete_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct ref_change *change = context;
    struct oid old;
    bool exists;
    TRY(ref_commit(tx, change->repo_id, change->name, &old, &exists, err));
    if (!exists)
        return no_revision(err, short_name(change->name));
    auto_stmt struct stmt *remove = NULL;
    TRY(ref_guard(tx, change->repo_id, change->name, NULL, err));
    TRY(db_prepare(tx, delete_sql, &remove, err));
    stmt_bind_int(remove, 1, change->repo_id);
    stmt_bind_str(remove, 2, change->name);
    TRY(stmt_run(remove, err));
    return append_ref_event(tx, EVENT_REF_DELETE, change, &old, NULL, err);
}

enum status ref_delete(struct db *db, const struct repo *repo, struct str name, int64_t by_id, struct error *err)
{
    struct ref_change change = {.repo_id = repo->id, .by_id = by_id, .name = name};
    return db_write(db, delete_in_write, &change, err);
}

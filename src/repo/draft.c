/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repo/draft.h"
#include "base/json.h"
#include "base/path.h"
#include "base/time.h"
#include "repo/internal.h"
#include <assert.h>
#include <stdlib.h>

#define PENDING_LIMIT (8 << 20) /* bytes of contents that a draft holds before it flushes them */

struct draft {
    struct db *db;
    int64_t repo_id;
    struct arena arena; /* of the edits */
    struct edit *edits;
    size_t edit_count, edit_capacity;
    struct git_set blobs; /* not flushed yet */

    /* What draft_build() made last. */
    bool is_built, squash;
    struct arena built_arena;
    struct git_set built; /* trees and the commit */
    struct oid root;
    struct oid parent_id;
    struct tree_changes changes;
    struct commit_new commit;
};

enum status draft_new(struct db *db, int64_t repo_id, struct draft **out, struct error *err)
{
    struct draft *draft = calloc(1, sizeof *draft);
    if (!draft)
        return fail(err, UNAVAILABLE, NULL, "Out of memory");
    draft->db = db;
    draft->repo_id = repo_id;
    *out = draft;
    return OK;
}

static void forget_built(struct draft *draft)
{
    git_set_free(&draft->built);
    arena_free(&draft->built_arena);
    draft->is_built = false;
    draft->changes = (struct tree_changes){0};
}

void draft_free(struct draft **draft)
{
    if (!*draft)
        return;
    forget_built(*draft);
    git_set_free(&(*draft)->blobs);
    arena_free(&(*draft)->arena);
    free(*draft);
    *draft = NULL;
}

/* Changes. */

static enum status flush_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct draft *draft = context;
    TRY(repo_exists(tx, draft->repo_id, err));
    return git_set_store(&draft->blobs, tx, draft->repo_id, err);
}

static struct edit *add_edit(struct draft *draft, enum edit_kind kind, struct str path)
{
    draft->edits =
        array_room(&draft->arena, draft->edits, draft->edit_count, &draft->edit_capacity, sizeof(struct edit));
    struct edit *edit = &draft->edits[draft->edit_count++];
    *edit = (struct edit){.kind = kind, .path = arena_copy(&draft->arena, path)};
    return edit;
}

static enum status check_given(struct str path, struct error *err)
{
    return path.len ? OK : fail(err, INVALID, NULL, "A path is missing");
}

enum status draft_put(struct draft *draft, struct str path, struct str content, struct error *err)
{
    struct oid oid;
    TRY(check_given(path, err));
    TRY(git_set_add(&draft->blobs, GIT_BLOB, content, &oid, err));
    add_edit(draft, EDIT_PUT, path)->oid = oid;
    if (draft->blobs.bytes > PENDING_LIMIT) {
        TRY(db_write(draft->db, flush_in_write, draft, err));
        git_set_free(&draft->blobs);
    }
    return OK;
}

enum status draft_put_pointer(struct draft *draft, struct str path, const uint8_t sha256[SHA256_SIZE], int64_t size,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    if (size < 0)
        return fail(err, INVALID, NULL, "A file cannot have a negative size");
    return draft_put(draft, path, pointer_format(&arena, sha256, size), err);
}

enum status draft_put_entry(struct draft *draft, struct str path, const struct entry *entry, struct error *err)
{
    TRY(check_given(path, err));
    struct edit *edit = add_edit(draft, EDIT_PUT_ENTRY, path);
    edit->oid = entry->oid;
    edit->is_folder = entry->is_folder;
    return OK;
}

enum status draft_remove(struct draft *draft, struct str path, struct error *err)
{
    TRY(check_given(path, err));
    add_edit(draft, EDIT_REMOVE, path);
    return OK;
}

/* Building. */

static struct git_source source_of(const struct draft *draft, struct db_conn *conn)
{
    return (struct git_source){.conn = conn, .repo_id = draft->repo_id, .made = {&draft->blobs, &draft->built}};
}

static enum status make_commit(struct draft *draft, const struct draft_commit *how, const struct oid *parent,
                               struct error *err)
{
    auto_buf struct buf content = {0};
    auto_arena struct arena arena = {0};
    buf_printf(&content, "tree %.*s\n", STR_ARG(oid_hex(&arena, &draft->root)));
    if (parent)
        buf_printf(&content, "parent %.*s\n", STR_ARG(oid_hex(&arena, parent)));
    signature_add(&content, "author", &how->author);
    signature_add(&content, "committer", &how->author);
    buf_byte(&content, '\n');
    message_add(&content, how->title, how->message);

    struct commit_new *commit = &draft->commit;
    *commit = (struct commit_new){.tree = draft->root, .changes = &draft->changes};
    commit->content = arena_copy(&draft->built_arena, buf_view(&content));
    if (parent) {
        draft->parent_id = *parent;
        commit->parent = &draft->parent_id;
    }
    return git_set_add(&draft->built, GIT_COMMIT, commit->content, &commit->id, err);
}

enum status draft_build(struct draft *draft, struct arena *arena, const struct draft_commit *how, struct oid *commit,
                        bool *unchanged, struct error *err)
{
    (void)arena;
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *hold = NULL;
    struct oid before;
    forget_built(draft);
    TRY(db_reader(draft->db, &conn, err));
    struct git_source from = source_of(draft, conn);
    if (how->parent)
        TRY(commit_hold(conn, draft->repo_id, how->parent, &hold, &before, err));
    TRY(edit_apply(&from, how->parent ? &before : NULL, draft->edits, draft->edit_count, &draft->built, &draft->root,
                   err));
    *unchanged = how->parent && !how->squash && oid_eq(&draft->root, &before);
    if (*unchanged) {
        *commit = *how->parent;
        return OK;
    }
    const struct oid *parent = how->squash ? NULL : how->parent;
    TRY(tree_diff(&from, &draft->built_arena, parent ? &before : NULL, &draft->root, &draft->changes, err));
    TRY(make_commit(draft, how, parent, err));
    *commit = draft->commit.id;
    draft->squash = how->squash;
    draft->is_built = true;
    return OK;
}

/* Reading what was built. */

enum status draft_entry(struct draft *draft, struct arena *arena, struct str path, struct entry *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(draft->db, &conn, err));
    struct git_source from = source_of(draft, conn);
    return find_entry(&from, arena, &draft->root, path, NULL, out, err);
}

enum status draft_blob(struct draft *draft, struct arena *arena, const struct oid *blob, struct str *out,
                       struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(draft->db, &conn, err));
    struct git_source from = source_of(draft, conn);
    return git_read(&from, arena, GIT_BLOB, blob, out, err);
}

enum status draft_list(struct draft *draft, struct arena *arena, struct str folder, struct entry **out, size_t *count,
                       struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    bool more;
    TRY(db_reader(draft->db, &conn, err));
    struct git_source from = source_of(draft, conn);
    struct listing all = {.limit = INT64_MAX};
    return list_entries(&from, arena, &draft->root, folder, &all, NULL, out, count, &more, err);
}

/* Applying. */

enum status draft_store(struct draft *draft, struct db_conn *tx, int64_t repo_id, struct str ref,
                        const struct oid *expected, int64_t by_id, struct error *err)
{
    const struct oid *id = &draft->commit.id;
    draft->commit.by_id = by_id;
    if (expected)
        TRY(ref_move(tx, repo_id, ref, expected, id, REF_BY_COMMIT, err));
    else
        TRY(ref_insert(tx, repo_id, ref, id, id, err));
    TRY(git_set_store(&draft->blobs, tx, repo_id, err));
    TRY(git_set_store(&draft->built, tx, repo_id, err));
    return commit_insert(tx, repo_id, &draft->commit, err);
}

struct application {
    struct draft *draft;
    int64_t repo_id, by_id;
    struct str ref;
    const struct oid *expected;
    db_write_fn *also;
    void *also_context;
};

static enum status append_commit_event(struct db_conn *tx, const struct application *a, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    const struct tree_changes *changes = &a->draft->changes;
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "ref", a->ref);
    jw_key_str(&w, "old", a->expected ? oid_hex(&arena, a->expected) : (struct str){0});
    jw_key_str(&w, "new", oid_hex(&arena, &a->draft->commit.id));
    jw_key_bool(&w, "squash", a->draft->squash);
    jw_key_int(&w, "added", changes->added);
    jw_key_int(&w, "changed", changes->changed);
    jw_key_int(&w, "removed", changes->removed);
    jw_end(&w);
    return repo_event_append(tx, EVENT_COMMIT, a->repo_id, a->by_id, &body, err);
}

static enum status apply_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct application *a = context;
    TRY(repo_touch(tx, a->repo_id, err));
    TRY(draft_store(a->draft, tx, a->repo_id, a->ref, a->expected, a->by_id, err));
    TRY(append_commit_event(tx, a, err));
    return a->also ? a->also(tx, a->also_context, err) : OK;
}

enum status draft_apply(struct draft *draft, const struct repo *repo, struct str ref, const struct oid *expected,
                        int64_t by_id, db_write_fn *also, void *also_context, struct error *err)
{
    assert(draft->is_built && draft->repo_id == repo->id);
    if (!expected)
        TRY(ref_name_check(ref, err));
    struct application a = {draft, repo->id, by_id, ref, expected, also, also_context};
    return db_write(draft->db, apply_in_write, &a, err);
}

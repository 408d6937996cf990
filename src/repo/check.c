/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The check of all repos. An object is written in one transaction with what it names, or after it; so every stored
 * object, reachable or not, must have what it names, and checking each object's own references covers all of history.
 */
#include "base/text.h"
#include "repo/internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct known {
    struct oid oid;
    enum git_kind kind;
};

struct checker {
    struct db_conn *conn;
    struct findings *findings;
    /* the repo at hand */
    int64_t repo_id;
    struct str repo_name;
    struct arena arena;
    struct known *known; /* by id */
    size_t count, capacity;
};

static void finding(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void finding(struct checker *c, const char *format, ...)
{
    char text[600];
    int start = snprintf(text, sizeof text, "%.*s: ", STR_ARG(str_slice(c->repo_name, 0, 250)));
    va_list args;
    va_start(args, format);
    vsnprintf(text + start, sizeof text - (size_t)start, format, args);
    va_end(args);
    findings_add(c->findings, "%s", text);
}

/* Which objects there are. */

static const char known_sql[] = "SELECT oid, kind FROM git_object WHERE repo_id = ? ORDER BY oid";

static enum status load_known(struct checker *c, struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    TRY(db_prepare(c->conn, known_sql, &list, err));
    stmt_bind_int(list, 1, c->repo_id);
    while (stmt_next(list)) {
        if (stmt_str(list, 0).len != SHA1_SIZE) {
            finding(c, "an object's id has %zu bytes", stmt_str(list, 0).len);
            continue;
        }
        c->known = array_room(&c->arena, c->known, c->count, &c->capacity, sizeof *c->known);
        struct known *known = &c->known[c->count++];
        oid_from(&known->oid, stmt_str(list, 0));
        known->kind = (enum git_kind)stmt_int(list, 1);
    }
    return stmt_end(list, err);
}

static int compare_oid(const void *a, const void *b)
{
    return memcmp(a, ((const struct known *)b)->oid.bytes, SHA1_SIZE);
}

static void expect(struct checker *c, enum git_kind kind, const struct oid *oid, const char *what, struct str who)
{
    const struct known *known =
        c->count ? bsearch(oid->bytes, c->known, c->count, sizeof *c->known, compare_oid) : NULL;
    if (known && known->kind == kind)
        return;
    auto_arena struct arena arena = {0};
    finding(c, "%s %.*s names %.*s, which is %s", what, STR_ARG(str_slice(who, 0, 200)), STR_ARG(oid_hex(&arena, oid)),
            known ? "of another kind" : "missing");
}

/* One object. */

static bool same_parents(const struct commit *a, const struct commit *b)
{
    bool same = a->parent_count == b->parent_count;
    for (size_t i = 0; same && i < a->parent_count; i++)
        same = oid_eq(&a->parents[i], &b->parents[i]);
    return same;
}

static enum status check_commit(struct checker *c, struct arena *arena, const struct oid *oid, struct str hex,
                                struct str content, struct error *err)
{
    struct commit commit, row;
    if (!commit_parse(arena, content, &commit)) {
        finding(c, "commit %.*s is malformed", STR_ARG(hex));
        return OK;
    }
    expect(c, GIT_TREE, &commit.tree, "commit", hex);
    for (size_t i = 0; i < commit.parent_count; i++)
        expect(c, GIT_COMMIT, &commit.parents[i], "commit", hex);
    enum status status = commit_get(c->conn, arena, c->repo_id, oid, &row, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    if (status == NOT_FOUND || !oid_eq(&row.tree, &commit.tree) || !same_parents(&row, &commit))
        finding(c, "commit %.*s has no row, or one with another tree or other parents", STR_ARG(hex));
    return OK;
}

static void check_tree(struct checker *c, struct str hex, struct str content)
{
    struct tree_item item, before = {.name = STR("")};
    while (tree_next(&content, &item)) {
        bool ordered = tree_order(before.name, tree_is_folder(&before), item.name, tree_is_folder(&item)) < 0;
        if (!ordered)
            finding(c, "tree %.*s is out of order at \"%.*s\"", STR_ARG(hex), STR_ARG(str_slice(item.name, 0, 200)));
        if (item.mode != MODE_SUBMODULE)
            expect(c, tree_is_folder(&item) ? GIT_TREE : GIT_BLOB, &item.oid, "tree", hex);
        before = item;
    }
    if (content.len)
        finding(c, "tree %.*s is malformed", STR_ARG(hex));
}

/* The column is empty for files from before it was kept. */
static void check_digest(struct checker *c, struct stmt *row, struct str hex, struct str content)
{
    uint8_t digest[SHA256_SIZE];
    struct str stored = stmt_str(row, 7);
    sha256(content, digest);
    if (str_given(stored) && !str_eq(stored, (struct str){(char *)digest, sizeof digest}))
        finding(c, "the row of blob %.*s has another SHA-256 than its content", STR_ARG(hex));
}

static enum status check_blob(struct checker *c, struct stmt *row, struct str hex, struct str content,
                              struct error *err)
{
    uint8_t sha256[SHA256_SIZE];
    int64_t size = 0;
    bool is_lfs = pointer_parse(content, sha256, &size);
    struct str stored = stmt_str(row, 5);
    if (is_lfs != str_given(stored) ||
        (is_lfs && (!str_eq(stored, (struct str){(char *)sha256, sizeof sha256}) || stmt_int(row, 6) != size)))
        finding(c, "the row of blob %.*s says something else about a large file than its content", STR_ARG(hex));
    if (!is_lfs) {
        check_digest(c, row, hex, content);
        return OK;
    }
    struct object object;
    enum status status = store_lookup(c->conn, c->repo_id, sha256, &object, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    auto_arena struct arena arena = {0};
    if (status == NOT_FOUND || object.size != size)
        finding(c, "pointer %.*s names the large file %.*s of %lld bytes, which this repo does not hold", STR_ARG(hex),
                STR_ARG(hex_encode(&arena, sha256, sizeof sha256)), (long long)size);
    return OK;
}

/* People's tags mostly name commits, but git lets them name anything. */
static void check_tag(struct checker *c, struct str hex, struct str content)
{
    static const struct str names[] = {[GIT_COMMIT] = {"type commit", 11},
                                       [GIT_TREE] = {"type tree", 9},
                                       [GIT_BLOB] = {"type blob", 9},
                                       [GIT_TAG] = {"type tag", 8}};
    struct oid target;
    struct str rest = content, object, type;
    str_cut(&rest, '\n', &object);
    str_cut(&rest, '\n', &type);
    enum git_kind kind = GIT_COMMIT;
    while (kind <= GIT_TAG && !str_eq(type, names[kind]))
        kind++;
    if (kind > GIT_TAG || !str_starts(object, STR("object ")) ||
        !hex_decode(str_from(object, 7), target.bytes, sizeof target.bytes))
        finding(c, "tag %.*s is malformed", STR_ARG(hex));
    else
        expect(c, kind, &target, "tag", hex);
}

static const char objects_sql[] =
    "SELECT oid, kind, size, encoding, bytes, lfs_sha256, lfs_size, sha256 FROM git_object "
    "WHERE repo_id = ?";

/* row stands on an object of objects_sql. */
static enum status check_object(struct checker *c, struct stmt *row, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct oid oid, made;
    struct str content;
    if (stmt_str(row, 0).len != SHA1_SIZE)
        return OK; /* load_known() has told */
    oid_from(&oid, stmt_str(row, 0));
    struct str hex = oid_hex(&arena, &oid);
    enum git_kind kind = (enum git_kind)stmt_int(row, 1);
    if (kind < GIT_COMMIT || kind > GIT_TAG ||
        git_inflate(stmt_str(row, 4), stmt_int(row, 3) != 0, stmt_int(row, 2), &arena, &content, err) != OK ||
        git_oid_of(kind, content, &made, err) != OK || !oid_eq(&oid, &made)) {
        finding(c, "object %.*s is damaged: its content does not have this id", STR_ARG(hex));
        return OK;
    }
    if (kind == GIT_COMMIT)
        return check_commit(c, &arena, &oid, hex, content, err);
    if (kind == GIT_BLOB)
        return check_blob(c, row, hex, content, err);
    if (kind == GIT_TREE)
        check_tree(c, hex, content);
    else
        check_tag(c, hex, content);
    return OK;
}

static enum status check_objects(struct checker *c, struct error *err)
{
    auto_stmt struct stmt *objects = NULL;
    TRY(db_prepare(c->conn, objects_sql, &objects, err));
    stmt_bind_int(objects, 1, c->repo_id);
    while (stmt_next(objects))
        TRY(check_object(c, objects, err));
    return stmt_end(objects, err);
}

/* Refs and rows of commits. */

static const char refs_sql[] = "SELECT name, target, commit_oid FROM ref WHERE repo_id = ?";
static const char commits_sql[] = "SELECT oid FROM commit_row WHERE repo_id = ?";

static enum status check_refs(struct checker *c, struct error *err)
{
    auto_stmt struct stmt *refs = NULL;
    TRY(db_prepare(c->conn, refs_sql, &refs, err));
    stmt_bind_int(refs, 1, c->repo_id);
    while (stmt_next(refs)) {
        struct oid target, commit, tree;
        struct str name = stmt_str(refs, 0);
        oid_from(&target, stmt_str(refs, 1));
        oid_from(&commit, stmt_str(refs, 2));
        expect(c, oid_eq(&target, &commit) ? GIT_COMMIT : GIT_TAG, &target, "ref", name);
        expect(c, GIT_COMMIT, &commit, "ref", name);
        enum status status = commit_tree(c->conn, c->repo_id, &commit, &tree, err);
        if (status == NOT_FOUND)
            finding(c, "ref %.*s stands on a commit without a row", STR_ARG(str_slice(name, 0, 200)));
        else if (status != OK)
            return status;
    }
    return stmt_end(refs, err);
}

static enum status check_rows(struct checker *c, struct error *err)
{
    auto_stmt struct stmt *rows = NULL;
    TRY(db_prepare(c->conn, commits_sql, &rows, err));
    stmt_bind_int(rows, 1, c->repo_id);
    while (stmt_next(rows)) {
        auto_arena struct arena arena = {0};
        struct oid oid;
        oid_from(&oid, stmt_str(rows, 0));
        expect(c, GIT_COMMIT, &oid, "commit row", oid_hex(&arena, &oid));
    }
    return stmt_end(rows, err);
}

static enum status check_repo(struct checker *c, struct error *err)
{
    TRY(load_known(c, err));
    TRY(check_objects(c, err));
    TRY(check_rows(c, err));
    return check_refs(c, err);
}

static const char repos_sql[] = "SELECT id, ns, name FROM repo ORDER BY id";

enum status repo_check(struct db_conn *conn, struct findings *findings, struct error *err)
{
    auto_stmt struct stmt *repos = NULL;
    TRY(db_prepare(conn, repos_sql, &repos, err));
    while (stmt_next(repos)) {
        struct checker c = {.conn = conn, .findings = findings};
        c.repo_id = stmt_int(repos, 0);
        c.repo_name = arena_printf(&c.arena, "%.*s/%.*s", STR_ARG(stmt_str(repos, 1)), STR_ARG(stmt_str(repos, 2)));
        enum status status = check_repo(&c, err);
        arena_free(&c.arena);
        TRY(status);
    }
    return stmt_end(repos, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hub with one model repo, "alice/flora", and short words for what people do to it. */
#ifndef CAIRN_TESTS_REPO_FIXTURE_H
#define CAIRN_TESTS_REPO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those four first */
#include <cmocka.h>
#undef fail /* cmocka's; ours is base/error.h's */

#include "base/text.h"
#include "event/event.h"
#include "repo/draft.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWNER 7
#define PERSON 9

struct place {
    char dir[64];
    struct db *db;
    struct store *store;
    struct arena arena;
    struct repo repo;
    int64_t clock; /* seconds; each commit is one later, so that ids do not depend on the time of day */
    struct error err;
};

static inline void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void shell(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_in_range(len, 1, sizeof command - 1);
    assert_int_equal(system(command), 0);
}

#define give_up(...)                                                                                                   \
    do {                                                                                                               \
        print_error(__VA_ARGS__);                                                                                      \
        print_error("\n");                                                                                             \
        _fail(__FILE__, __LINE__);                                                                                     \
    } while (0)
#define assert_ok(p, call)                                                                                             \
    do {                                                                                                               \
        if ((call) != OK)                                                                                              \
            give_up("%s: %s", #call, (p)->err.message);                                                                \
    } while (0)
#define assert_str(got, expected)                                                                                      \
    do {                                                                                                               \
        struct str got_ = (got);                                                                                       \
        char *text_ = arena_cstr(&p->arena, got_);                                                                     \
        assert_string_equal(text_, expected);                                                                          \
    } while (0)
#define assert_failure(call, status_, words)                                                                           \
    do {                                                                                                               \
        p->err = (struct error){0};                                                                                    \
        assert_int_equal((call), (status_));                                                                           \
        assert_int_equal(p->err.status, (status_));                                                                    \
        if (!strstr(p->err.message, (words)))                                                                          \
            give_up("\"%s\" does not say \"%s\"", p->err.message, (words));                                            \
    } while (0)

static inline struct db_conn *reader(struct place *p)
{
    struct db_conn *conn = NULL;
    assert_ok(p, db_reader(p->db, &conn, &p->err));
    return conn;
}

static inline enum status new_repo(struct place *p, enum repo_kind kind, const char *name, struct repo *out)
{
    struct repo_new what = {
        .kind = kind,
        .owner_id = OWNER,
        .ns = STR("alice"),
        .name = str_of(name),
        .visibility = VISIBILITY_PUBLIC,
        .sdk = kind == KIND_SPACE ? STR("static") : STR(""),
        .by_id = PERSON,
        .by_name = STR("alice"),
        .by_email = STR("alice@example.org"),
    };
    return repo_create(p->db, &p->arena, &what, out, &p->err);
}

static inline int begin(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char path[128];
    const struct migration_set sets[] = {event_migrations, identity_migrations, store_migrations, repo_migrations};
    *state = p;
    strcpy(p->dir, "/tmp/cairn-repo-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(path, sizeof path, "%s/db", p->dir);
    assert_ok(p, db_open(path, &p->db, &p->err));
    assert_ok(p, db_migrate(p->db, sets, sizeof sets / sizeof *sets, &p->err));
    snprintf(path, sizeof path, "%s/store", p->dir);
    assert_ok(p, store_open(p->db, path, &p->store, &p->err));
    p->clock = 1700000000;
    assert_ok(p, new_repo(p, KIND_MODEL, "flora", &p->repo));
    return 0;
}

static inline int end(void **state)
{
    struct place *p = *state;
    store_close(p->store);
    db_close(p->db);
    shell("rm -rf '%s'", p->dir);
    arena_free(&p->arena);
    free(p);
    return 0;
}
#define test(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* One number out of the database. */
static inline int64_t count_of(struct place *p, const char *sql)
{
    auto_conn struct db_conn *conn = reader(p);
    auto_stmt struct stmt *stmt = NULL;
    assert_ok(p, db_prepare(conn, sql, &stmt, &p->err));
    assert_true(stmt_next(stmt));
    int64_t value = stmt_int(stmt, 0);
    assert_ok(p, stmt_end(stmt, &p->err));
    return value;
}

static inline enum status exec_in_write(struct db_conn *tx, void *sql, struct error *err)
{
    return db_exec(tx, sql, err);
}

/* Damages the database as a disk or a bug would. */
static inline void damage(struct place *p, const char *sql)
{
    assert_ok(p, db_write(p->db, exec_in_write, (void *)sql, &p->err));
}

static inline struct revision resolve(struct place *p, const char *revision)
{
    auto_conn struct db_conn *conn = reader(p);
    struct revision out;
    assert_ok(p, revision_resolve(conn, &p->arena, p->repo.id, str_of(revision), &out, &p->err));
    return out;
}

static inline enum status resolve_error(struct place *p, struct str revision)
{
    auto_conn struct db_conn *conn = reader(p);
    struct revision out;
    return revision_resolve(conn, &p->arena, p->repo.id, revision, &out, &p->err);
}

static inline const char *hex_of(struct place *p, struct oid oid)
{
    return arena_cstr(&p->arena, oid_hex(&p->arena, &oid));
}

/* Commits: "+path=content" puts, "-path" removes, "*path" puts a pointer whose size is the length of the path. */

static inline void fake_sha256(const char *name, uint8_t out[SHA256_SIZE])
{
    sha256(str_of(name), out);
}

static inline enum status make_change(struct draft *draft, const char *change, struct error *err)
{
    struct str rest = str_of(change + 1), path;
    uint8_t digest[SHA256_SIZE];
    switch (*change) {
    case '+':
        str_cut(&rest, '=', &path);
        return draft_put(draft, path, rest, err);
    case '*':
        fake_sha256(change + 1, digest);
        return draft_put_pointer(draft, rest, digest, (int64_t)rest.len, err);
    default:
        return draft_remove(draft, rest, err);
    }
}

static inline struct draft_commit saying(struct place *p, const char *title, const struct oid *parent)
{
    return (struct draft_commit){
        .title = str_of(title),
        .author = {STR("alice"), STR("alice@example.org"), p->clock++ * INT64_C(1000000)},
        .parent = parent,
    };
}

/* A draft of the changes on a branch, built. */
static inline enum status build(struct place *p, const struct oid *head, const char *title, const char *const *changes,
                                struct draft **draft, struct oid *commit, bool *unchanged)
{
    TRY(draft_new(p->db, p->repo.id, draft, &p->err));
    for (; *changes; changes++)
        TRY(make_change(*draft, *changes, &p->err));
    struct draft_commit how = saying(p, title, head);
    return draft_build(*draft, &p->arena, &how, commit, unchanged, &p->err);
}

static inline enum status try_commit(struct place *p, const char *branch, const char *title, const char *const *changes)
{
    auto_draft struct draft *draft = NULL;
    struct revision head = resolve(p, branch);
    struct oid commit;
    bool unchanged;
    TRY(build(p, &head.commit, title, changes, &draft, &commit, &unchanged));
    return unchanged ? OK : draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err);
}
#define CHANGES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define commit_to(branch, title, ...) assert_ok(p, try_commit(p, branch, title, CHANGES(__VA_ARGS__)))

static inline void branch_from(struct place *p, const char *name, const char *start)
{
    struct oid target = resolve(p, start).commit;
    struct str full = arena_printf(&p->arena, "refs/heads/%s", name);
    assert_ok(p, ref_create(p->db, &p->repo, full, &target, false, PERSON, &p->err));
}

/* Reading. */

static inline struct entry find(struct place *p, const char *revision, const char *path)
{
    auto_conn struct db_conn *conn = reader(p);
    struct oid commit = resolve(p, revision).commit;
    struct entry out;
    assert_ok(p, entry_find(conn, &p->arena, p->repo.id, &commit, str_of(path), true, &out, &p->err));
    return out;
}

static inline enum status find_error(struct place *p, const char *revision, const char *path)
{
    auto_conn struct db_conn *conn = reader(p);
    struct oid commit = resolve(p, revision).commit;
    struct entry out;
    return entry_find(conn, &p->arena, p->repo.id, &commit, str_of(path), false, &out, &p->err);
}

static inline const char *content(struct place *p, const char *revision, const char *path)
{
    struct entry entry = find(p, revision, path);
    auto_conn struct db_conn *conn = reader(p);
    struct str out;
    assert_ok(p, blob_read(conn, &p->arena, p->repo.id, &entry.oid, &out, &p->err));
    return arena_cstr(&p->arena, out);
}

/* Paths of a listing, a space between them; folders end in a slash. */
static inline const char *paths_of(struct place *p, const struct entry *entries, size_t count)
{
    struct str text = STR("");
    for (size_t i = 0; i < count; i++)
        text = arena_printf(&p->arena, "%.*s%s%.*s%s", STR_ARG(text), i ? " " : "", STR_ARG(entries[i].path),
                            entries[i].is_folder ? "/" : "");
    return arena_cstr(&p->arena, text);
}

static inline const char *files(struct place *p, const char *revision)
{
    auto_conn struct db_conn *conn = reader(p);
    struct oid commit = resolve(p, revision).commit;
    struct listing how = {.recursive = true, .limit = INT64_MAX};
    struct entry *entries;
    size_t count;
    bool more;
    assert_ok(p, entry_list(conn, &p->arena, p->repo.id, &commit, STR(""), &how, &entries, &count, &more, &p->err));
    assert_false(more);
    return paths_of(p, entries, count);
}

static inline const char *last_title(struct place *p, const char *revision, const char *path)
{
    return arena_cstr(&p->arena, find(p, revision, path).last_commit->title);
}

#endif

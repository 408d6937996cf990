/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Git objects as rows. A row says what a listing wants to know (size, large file) before the bytes, which come last. */
#include "base/library.h"
#include "repo/internal.h"
#include <assert.h>
#include <git2.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#define DEFLATE_FROM 256  /* a pointer or a small tree is mostly hash, which does not shrink */
#define DEFLATE_BEST 1032 /* a zlib stream inflates to at most this many times its length */

void oid_from(struct oid *out, struct str bytes)
{
    assert(bytes.len == sizeof out->bytes);
    memcpy(out->bytes, bytes.data, sizeof out->bytes);
}

/* Ids. */

/* What is used of libgit2, which the workers and most commands do without (base/library.h). */
static struct {
    __typeof__(git_libgit2_init) *init;
    __typeof__(git_odb_hash) *hash;
    __typeof__(git_error_last) *why;
} libgit2;
static struct error not_loaded;

static void start_libgit2(void)
{
    static const char *const names[] = {"git_libgit2_init", "git_odb_hash", "git_error_last", NULL};
    if (library_load("libgit2.so." LIBGIT2_SOVERSION, names, (void **)&libgit2, &not_loaded) == OK &&
        libgit2.init() < 0)
        abort();
}

/* libgit2's SHA-1 notices the known ways to make two contents with one id, at the cost of a quarter of the speed. */
enum status git_oid_of(enum git_kind kind, struct str content, struct oid *out, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_libgit2);
    if (not_loaded.status)
        return fail(err, not_loaded.status, NULL, "%s", not_loaded.message);
    git_oid id;
    if (libgit2.hash(&id, content.data, content.len, (git_object_t)kind) < 0) {
        const git_error *why = libgit2.why();
        if (why && why->klass == GIT_ERROR_SHA)
            return fail(err, UNPROCESSABLE, NULL, "This content is made to collide with another one in SHA-1.");
        return fail(err, INTERNAL, NULL, "Cannot hash an object: %s", why ? why->message : "no reason given");
    }
    memcpy(out->bytes, id.id, sizeof out->bytes);
    return OK;
}

/* Deflate. */

/* Level 1: a commit waits for it, and higher levels gain a few percent on trees. */
static bool deflate_into(struct str content, struct buf *out)
{
    if (content.len < DEFLATE_FROM)
        return false;
    uLongf len = compressBound(content.len);
    buf_reserve(out, len);
    if (compress2((Bytef *)out->data, &len, (const Bytef *)content.data, content.len, 1) != Z_OK)
        return false;
    out->len = len;
    return len < content.len - content.len / 4; /* less gain is not worth inflating at every read */
}

enum status git_inflate(struct str bytes, bool deflated, int64_t size, struct arena *arena, struct str *out,
                        struct error *err)
{
    /* A damaged size must not make us ask for more memory than the bytes can ever fill. */
    bool possible = size >= 0 && size <= GIT_OBJECT_LIMIT &&
                    (deflated ? (uint64_t)size <= bytes.len * (uint64_t)DEFLATE_BEST : (uint64_t)size == bytes.len);
    if (!possible)
        return fail(err, CORRUPT, NULL, "A stored git object does not have the size that its row says");
    if (!deflated) {
        *out = arena_copy(arena, bytes);
        return OK;
    }
    char *room = arena_alloc(arena, (size_t)size + 1);
    uLongf len = (uLongf)size;
    if (uncompress((Bytef *)room, &len, (const Bytef *)bytes.data, bytes.len) != Z_OK || len != (uLongf)size)
        return fail(err, CORRUPT, NULL, "A stored git object cannot be inflated");
    *out = (struct str){room, len};
    return OK;
}

/* Objects that are not stored yet. */

void git_set_free(struct git_set *set)
{
    arena_free(&set->arena);
    *set = (struct git_set){0};
}

/*
 * People choose contents, so they can choose ids that agree in their first bits; a multiplier that they do not know
 * spreads those all the same.
 */
static uint32_t *slot_of(const struct git_set *set, const struct oid *oid)
{
    uint64_t start;
    memcpy(&start, oid->bytes, sizeof start);
    size_t i = (size_t)((start * set->seed) >> 32) & (set->slot_count - 1);
    while (set->slots[i] && !oid_eq(&set->rows[set->slots[i] - 1].oid, oid))
        i = (i + 1) & (set->slot_count - 1);
    return &set->slots[i];
}

static void grow_slots(struct git_set *set)
{
    if (!set->slot_count)
        random_bytes(&set->seed, sizeof set->seed);
    set->seed |= 1;
    set->slot_count = set->slot_count ? 2 * set->slot_count : 64;
    set->slots = arena_array(&set->arena, set->slot_count, sizeof *set->slots);
    for (size_t i = 0; i < set->count; i++)
        *slot_of(set, &set->rows[i].oid) = (uint32_t)i + 1;
}

const struct git_row *git_set_find(const struct git_set *set, const struct oid *oid)
{
    uint32_t position = set->slot_count ? *slot_of(set, oid) : 0;
    return position ? &set->rows[position - 1] : NULL;
}

enum status git_set_add(struct git_set *set, enum git_kind kind, struct str content, struct oid *oid, struct error *err)
{
    if (content.len > GIT_OBJECT_LIMIT || set->count >= UINT32_MAX)
        return fail(err, TOO_LARGE, NULL, "This is too large for git; upload it as a large file.");
    TRY(git_oid_of(kind, content, oid, err));
    if (2 * (set->count + 1) > set->slot_count)
        grow_slots(set);
    uint32_t *slot = slot_of(set, oid);
    if (*slot)
        return OK;

    set->rows = array_room(&set->arena, set->rows, set->count, &set->capacity, sizeof *set->rows);
    struct git_row *row = &set->rows[set->count++];
    *slot = (uint32_t)set->count;
    *row = (struct git_row){.oid = *oid, .kind = kind, .size = (int64_t)content.len};
    row->is_lfs = kind == GIT_BLOB && pointer_parse(content, row->sha256, &row->lfs_size);
    row->has_sha256 = kind == GIT_BLOB;
    if (row->has_sha256 && !row->is_lfs)
        sha256(content, row->sha256);
    auto_buf struct buf deflated = {0};
    row->deflated = deflate_into(content, &deflated);
    row->bytes = arena_copy(&set->arena, row->deflated ? buf_view(&deflated) : content);
    set->bytes += row->bytes.len + sizeof *row;
    return OK;
}

/* Rows. */

static const char insert_sql[] =
    "INSERT INTO git_object (repo_id, oid, kind, size, lfs_sha256, lfs_size, sha256, encoding, bytes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repo_id, oid) DO NOTHING";

enum status git_set_store(const struct git_set *set, struct db_conn *tx, int64_t repo_id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    int64_t gained = 0;
    TRY(db_prepare(tx, insert_sql, &insert, err));
    for (size_t i = 0; i < set->count; i++) {
        const struct git_row *row = &set->rows[i];
        stmt_bind_int(insert, 1, repo_id);
        stmt_bind_blob(insert, 2, row->oid.bytes, sizeof row->oid.bytes);
        stmt_bind_int(insert, 3, row->kind);
        stmt_bind_int(insert, 4, row->size);
        if (row->is_lfs) {
            stmt_bind_blob(insert, 5, row->sha256, sizeof row->sha256);
            stmt_bind_int(insert, 6, row->lfs_size);
        } else {
            stmt_bind_null(insert, 5);
            stmt_bind_null(insert, 6);
        }
        if (row->has_sha256 && !row->is_lfs)
            stmt_bind_blob(insert, 7, row->sha256, sizeof row->sha256);
        else
            stmt_bind_null(insert, 7);
        stmt_bind_int(insert, 8, row->deflated);
        stmt_bind_blob(insert, 9, row->bytes.data, row->bytes.len);
        TRY(stmt_run(insert, err));
        gained += db_changes(tx) ? row->size : 0;
    }
    return store_gain(tx, repo_id, NULL, gained, err);
}

static const struct git_row *find_made(const struct git_source *from, const struct oid *oid)
{
    for (size_t i = 0; i < sizeof from->made / sizeof *from->made; i++) {
        const struct git_row *row = from->made[i] ? git_set_find(from->made[i], oid) : NULL;
        if (row)
            return row;
    }
    return NULL;
}

static enum status missing(const struct git_source *from, enum git_kind kind, const struct oid *oid, struct error *err)
{
    static const char *const names[] = {"object", "commit", "tree", "blob", "tag"};
    auto_arena struct arena arena = {0};
    return fail(err, CORRUPT, NULL, "The %s %.*s of repo %lld is missing", names[kind], STR_ARG(oid_hex(&arena, oid)),
                (long long)from->repo_id);
}

static const char read_sql[] = "SELECT kind, size, encoding, bytes FROM git_object WHERE repo_id = ? AND oid = ?";

enum status git_read(const struct git_source *from, struct arena *arena, enum git_kind kind, const struct oid *oid,
                     struct str *out, struct error *err)
{
    const struct git_row *made = find_made(from, oid);
    if (made)
        return made->kind == kind ? git_inflate(made->bytes, made->deflated, made->size, arena, out, err)
                                  : missing(from, kind, oid, err);
    auto_stmt struct stmt *read = NULL;
    TRY(db_prepare(from->conn, read_sql, &read, err));
    stmt_bind_int(read, 1, from->repo_id);
    stmt_bind_blob(read, 2, oid->bytes, sizeof oid->bytes);
    if (stmt_next(read) && stmt_int(read, 0) == kind)
        return git_inflate(stmt_str(read, 3), stmt_int(read, 2) != 0, stmt_int(read, 1), arena, out, err);
    TRY(stmt_end(read, err));
    return missing(from, kind, oid, err);
}

static const char blob_sql[] =
    "SELECT kind, size, lfs_size, coalesce(lfs_sha256, sha256) FROM git_object WHERE repo_id = ? AND oid = ?";

enum status git_blob_row(const struct git_source *from, const struct oid *oid, struct git_row *out, struct error *err)
{
    const struct git_row *made = find_made(from, oid);
    if (made) {
        *out = *made;
        return made->kind == GIT_BLOB ? OK : missing(from, GIT_BLOB, oid, err);
    }
    auto_stmt struct stmt *read = NULL;
    TRY(db_prepare(from->conn, blob_sql, &read, err));
    stmt_bind_int(read, 1, from->repo_id);
    stmt_bind_blob(read, 2, oid->bytes, sizeof oid->bytes);
    if (!stmt_next(read) || stmt_int(read, 0) != GIT_BLOB) {
        TRY(stmt_end(read, err));
        return missing(from, GIT_BLOB, oid, err);
    }
    *out = (struct git_row){.oid = *oid, .kind = GIT_BLOB, .size = stmt_int(read, 1)};
    struct str sha256 = stmt_str(read, 3);
    out->is_lfs = !stmt_is_null(read, 2);
    out->lfs_size = out->is_lfs ? stmt_int(read, 2) : 0;
    out->has_sha256 = sha256.len == SHA256_SIZE;
    if (out->has_sha256)
        memcpy(out->sha256, sha256.data, SHA256_SIZE);
    return stmt_end(read, err);
}

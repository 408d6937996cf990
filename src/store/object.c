/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Ids of objects are never used again (AUTOINCREMENT): whoever looked an object up shortly before it was swept must not
 * open another repo's file that got its number.
 */
static const char schema_sql[] =
    "CREATE TABLE container (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " size INTEGER NOT NULL, created_us INTEGER NOT NULL);"
    "CREATE TABLE object (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL);"
    "CREATE TABLE extent (object_id INTEGER NOT NULL REFERENCES object (id), seq INTEGER NOT NULL,"
    " container_id INTEGER NOT NULL REFERENCES container (id), start INTEGER NOT NULL, length INTEGER NOT NULL,"
    " encoding INTEGER NOT NULL, PRIMARY KEY (object_id, seq));"
    "CREATE INDEX extent_container ON extent (container_id);"
    "CREATE TABLE object_hold (repo_id INTEGER NOT NULL, object_id INTEGER NOT NULL REFERENCES object (id),"
    " created_us INTEGER NOT NULL, PRIMARY KEY (repo_id, object_id));"
    "CREATE INDEX object_hold_object ON object_hold (object_id);"
    "CREATE TABLE upload (id TEXT PRIMARY KEY, repo_id INTEGER NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,"
    " part_size INTEGER NOT NULL, changed_us INTEGER NOT NULL, state INTEGER NOT NULL);"
    "CREATE INDEX upload_content ON upload (repo_id, sha256);"
    "CREATE TABLE upload_part (upload_id TEXT NOT NULL REFERENCES upload (id), number INTEGER NOT NULL,"
    " etag TEXT NOT NULL, PRIMARY KEY (upload_id, number));";

static const char *const migrations[] = {schema_sql, NULL};
const struct migration_set store_migrations = {.part = "store", .sql = migrations};

static const char lookup_sql[] = "SELECT object.id, object.size FROM object"
                                 " JOIN object_hold ON object_hold.object_id = object.id"
                                 " WHERE object_hold.repo_id = ? AND object.sha256 = ?";
static const char object_exists_sql[] = "SELECT size FROM object WHERE id = ?";
static const char hold_sql[] = "INSERT INTO object_hold (repo_id, object_id, created_us) VALUES (?, ?, ?)"
                               " ON CONFLICT (repo_id, object_id) DO NOTHING";
static const char repo_bytes_sql[] =
    "SELECT COALESCE(SUM(o.size), 0) FROM object_hold h JOIN object o ON o.id = h.object_id "
    "WHERE h.repo_id = ?";
static const char release_sql[] = "DELETE FROM object_hold WHERE repo_id = ?";
static const char release_parts_sql[] =
    "DELETE FROM upload_part WHERE upload_id IN (SELECT id FROM upload WHERE repo_id = ?)";
static const char release_uploads_sql[] = "DELETE FROM upload WHERE repo_id = ?";
static const char extents_sql[] = "SELECT container.name, extent.start, extent.length, extent.encoding FROM extent"
                                  " JOIN container ON container.id = extent.container_id"
                                  " WHERE extent.object_id = ? ORDER BY extent.seq";

enum status store_lookup(struct db_conn *conn, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], struct object *out,
                         struct error *err)
{
    auto_stmt struct stmt *lookup = NULL;
    TRY(db_prepare(conn, lookup_sql, &lookup, err));
    stmt_bind_int(lookup, 1, repo_id);
    stmt_bind_blob(lookup, 2, sha256, SHA256_SIZE);
    bool found = stmt_next(lookup);
    if (found) {
        *out = (struct object){.id = stmt_int(lookup, 0), .size = stmt_int(lookup, 1)};
        memcpy(out->sha256, sha256, SHA256_SIZE);
    }
    TRY(stmt_end(lookup, err));
    if (found)
        return OK;
    char hex[2 * SHA256_SIZE + 1];
    hex_name(sha256, SHA256_SIZE, hex);
    return fail(err, NOT_FOUND, NULL, "This repo has no file with SHA-256 %s. Upload it first.", hex);
}

static enum status object_size(struct db_conn *conn, int64_t object_id, int64_t *size, struct error *err)
{
    auto_stmt struct stmt *exists = NULL;
    TRY(db_prepare(conn, object_exists_sql, &exists, err));
    stmt_bind_int(exists, 1, object_id);
    bool found = stmt_next(exists);
    *size = found ? stmt_int(exists, 0) : 0;
    TRY(stmt_end(exists, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The file is no longer there; its repo may have been deleted.");
}

enum status store_hold(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err)
{
    int64_t size;
    TRY(object_size(tx, object_id, &size, err));
    auto_stmt struct stmt *hold = NULL;
    TRY(db_prepare(tx, hold_sql, &hold, err));
    stmt_bind_int(hold, 1, repo_id);
    stmt_bind_int(hold, 2, object_id);
    stmt_bind_int(hold, 3, now_us());
    return stmt_run(hold, err);
}

enum status store_repo_bytes(struct db_conn *conn, int64_t repo_id, int64_t *bytes, struct error *err)
{
    auto_stmt struct stmt *sum = NULL;
    TRY(db_prepare(conn, repo_bytes_sql, &sum, err));
    stmt_bind_int(sum, 1, repo_id);
    *bytes = stmt_next(sum) ? stmt_int(sum, 0) : 0;
    return stmt_end(sum, err);
}

enum status store_release_repo(struct db_conn *tx, int64_t repo_id, struct error *err)
{
    /* Unfinished uploads go too, so that none of them can be finished into a repo that is no more. */
    static const char *const statements[] = {release_sql, release_parts_sql, release_uploads_sql};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        auto_stmt struct stmt *release = NULL;
        TRY(db_prepare(tx, statements[i], &release, err));
        stmt_bind_int(release, 1, repo_id);
        TRY(stmt_run(release, err));
    }
    return OK;
}

/* One extent of the object: the bytes [start, start + length) of a container. */
static enum status piece_open(struct store *store, const char *name, int64_t start, int64_t length,
                              struct store_piece *piece, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    container_path(store->root, name, path);
    struct stat status;
    *piece =
        (struct store_piece){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), .offset = start, .length = length};
    if (piece->fd < 0 && errno == ENOENT)
        return fail(err, CORRUPT, NULL, "The container %s is missing from the store; restore it from a backup.", name);
    if (piece->fd < 0 || fstat(piece->fd, &status) != 0)
        return disk_fail(err, "open a container");
    if (start > status.st_size || length > status.st_size - start)
        return fail(err, CORRUPT, NULL,
                    "The container %s has %lld bytes, fewer than the %lld it should have; restore it from a backup.",
                    name, (long long)status.st_size, (long long)(start + length));
    return OK;
}

static void view_grow(struct store_view *view)
{
    /* Nearly every object is one extent; doubling keeps the others linear. */
    if (view->count & (view->count - 1))
        return;
    size_t room = view->count ? 2 * view->count : 1;
    view->pieces = reallocarray(view->pieces, room, sizeof(*view->pieces));
    if (!view->pieces)
        abort();
}

static enum status view_fill(struct store *store, struct db_conn *conn, int64_t object_id, int64_t offset, int64_t end,
                             struct store_view *view, struct error *err)
{
    auto_stmt struct stmt *extents = NULL;
    TRY(db_prepare(conn, extents_sql, &extents, err));
    stmt_bind_int(extents, 1, object_id);
    int64_t at = 0; /* where the extent at hand begins in the object */
    while (at < end && stmt_next(extents)) {
        struct str name = stmt_str(extents, 0);
        int64_t start = stmt_int(extents, 1), length = stmt_int(extents, 2), extent_end;
        if (name.len != NAME_SIZE - 1 || start < 0 || length < 0 || length > INT64_MAX - start ||
            stmt_int(extents, 3) != ENCODING_NONE || __builtin_add_overflow(at, length, &extent_end))
            return fail(err, CORRUPT, NULL, "The database describes the object %lld in a way that cannot be.",
                        (long long)object_id);
        int64_t from = offset > at ? offset : at, to = end < extent_end ? end : extent_end;
        if (from < to) {
            char container[NAME_SIZE] = "";
            memcpy(container, name.data, name.len);
            view_grow(view);
            TRY(piece_open(store, container, start + (from - at), to - from, &view->pieces[view->count++], err));
        }
        at = extent_end;
    }
    TRY(stmt_end(extents, err));
    if (at < end)
        return fail(err, CORRUPT, NULL, "The database lacks part of the object %lld; restore it from a backup.",
                    (long long)object_id);
    return OK;
}

enum status store_view_open(struct store *store, struct db_conn *conn, int64_t object_id, int64_t offset,
                            int64_t length, struct store_view **out, struct error *err)
{
    store_assert(store);
    int64_t size;
    TRY(object_size(conn, object_id, &size, err));
    if (offset < 0 || length < 0 || offset > size || length > size - offset)
        return fail(err, BAD_RANGE, NULL, "The range ends behind the end of the file, which has %lld bytes.",
                    (long long)size);
    struct store_view *view = calloc(1, sizeof(*view));
    if (!view)
        abort();
    enum status status = view_fill(store, conn, object_id, offset, offset + length, view, err);
    if (status == OK) {
        *out = view;
        return OK;
    }
    store_view_close(view);
    /* A sweep may have taken the object since its size was read; then nothing is damaged. */
    if (status == CORRUPT)
        TRY(object_size(conn, object_id, &size, err));
    return status;
}

void store_view_close(struct store_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->count; i++)
        fd_close(&view->pieces[i].fd);
    free(view->pieces);
    free(view);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"

static const char lookup_sql[] = "SELECT object.id, object.size FROM object"
                                 " JOIN object_hold ON object_hold.object_id = object.id"
                                 " WHERE object_hold.repo_id = ? AND object.sha256 = ?";
static const char xet_hash_sql[] = "SELECT object.xet_hash FROM object"
                                   " JOIN object_hold ON object_hold.object_id = object.id"
                                   " WHERE object_hold.repo_id = ? AND object.sha256 = ?";
/* CROSS JOIN keeps the order of the tables: the other way round, all that the repo holds would be looked through. */
static const char lookup_xet_sql[] = "SELECT object.id, object.size, object.sha256 FROM object"
                                     " CROSS JOIN object_hold WHERE object_hold.object_id = object.id"
                                     " AND object_hold.repo_id = ? AND object.xet_hash = ?";
static const char object_exists_sql[] = "SELECT size, sha256 FROM object WHERE id = ?";
static const char hold_sql[] = "INSERT INTO object_hold (repo_id, object_id, created_us) VALUES (?, ?, ?)"
                               " ON CONFLICT (repo_id, object_id) DO NOTHING";
static const char repo_bytes_sql[] =
    "SELECT COALESCE(SUM(o.size), 0) FROM object_hold h JOIN object o ON o.id = h.object_id "
    "WHERE h.repo_id = ?";
static const char release_sql[] = "DELETE FROM object_hold WHERE repo_id = ?";
static const char release_parts_sql[] =
    "DELETE FROM upload_part WHERE upload_id IN (SELECT id FROM upload WHERE repo_id = ?)";
static const char release_uploads_sql[] = "DELETE FROM upload WHERE repo_id = ?";

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

enum status store_xet_hash(struct db_conn *conn, int64_t repo_id, const uint8_t sha256[SHA256_SIZE], bool *found,
                           struct chunk_hash *out, struct error *err)
{
    auto_stmt struct stmt *lookup = NULL;
    TRY(db_prepare(conn, xet_hash_sql, &lookup, err));
    stmt_bind_int(lookup, 1, repo_id);
    stmt_bind_blob(lookup, 2, sha256, SHA256_SIZE);
    struct str hash = stmt_next(lookup) ? stmt_str(lookup, 0) : (struct str){0};
    *found = hash.len == CHUNK_HASH_SIZE;
    if (*found)
        memcpy(out->bytes, hash.data, CHUNK_HASH_SIZE);
    return stmt_end(lookup, err);
}

enum status store_lookup_xet(struct db_conn *conn, int64_t repo_id, const struct chunk_hash *hash, struct object *out,
                             struct error *err)
{
    auto_stmt struct stmt *lookup = NULL;
    TRY(db_prepare(conn, lookup_xet_sql, &lookup, err));
    stmt_bind_int(lookup, 1, repo_id);
    stmt_bind_blob(lookup, 2, hash->bytes, CHUNK_HASH_SIZE);
    bool found = stmt_next(lookup) && stmt_str(lookup, 2).len == SHA256_SIZE;
    if (found) {
        *out = (struct object){.id = stmt_int(lookup, 0), .size = stmt_int(lookup, 1)};
        memcpy(out->sha256, stmt_str(lookup, 2).data, SHA256_SIZE);
    }
    TRY(stmt_end(lookup, err));
    if (found)
        return OK;
    char text[CHUNK_HASH_TEXT];
    chunk_hash_text(hash, text);
    return fail(err, NOT_FOUND, NULL, "This repo has no file with the Xet hash %s. Upload it first.", text);
}

static enum status object_get(struct db_conn *conn, int64_t object_id, struct object *out, struct error *err)
{
    auto_stmt struct stmt *exists = NULL;
    *out = (struct object){.id = object_id};
    TRY(db_prepare(conn, object_exists_sql, &exists, err));
    stmt_bind_int(exists, 1, object_id);
    bool found = stmt_next(exists) && stmt_str(exists, 1).len == SHA256_SIZE;
    if (found) {
        out->size = stmt_int(exists, 0);
        memcpy(out->sha256, stmt_str(exists, 1).data, SHA256_SIZE);
    }
    TRY(stmt_end(exists, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The file is no longer there; its repo may have been deleted.");
}

enum status object_size(struct db_conn *conn, int64_t object_id, int64_t *size, struct error *err)
{
    struct object object;
    enum status status = object_get(conn, object_id, &object, err);
    *size = object.size;
    return status;
}

/* Who grows. */

static store_gain_fn *on_gain;

void store_on_gain(store_gain_fn *fn)
{
    on_gain = fn;
}

enum status store_gain(struct db_conn *tx, int64_t repo_id, const uint8_t *sha256, int64_t bytes, struct error *err)
{
    return on_gain ? on_gain(tx, repo_id, sha256, bytes, err) : OK;
}

static store_watcher *watch; /* set before the first write */

void store_watch_holds(store_watcher *watcher)
{
    watch = watcher;
}

enum status store_hold(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err)
{
    struct object object;
    TRY(object_get(tx, object_id, &object, err));
    auto_stmt struct stmt *hold = NULL;
    TRY(db_prepare(tx, hold_sql, &hold, err));
    stmt_bind_int(hold, 1, repo_id);
    stmt_bind_int(hold, 2, object_id);
    stmt_bind_int(hold, 3, now_us());
    TRY(stmt_run(hold, err));
    if (!db_changes(tx))
        return OK;
    TRY(store_gain(tx, repo_id, object.sha256, object.size, err));
    return watch ? watch(tx, repo_id, object_id, err) : OK;
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

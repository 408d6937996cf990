/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single rows of containers, xorbs, keys, objects and extents: what uploads of every kind write. */
#include "base/time.h"
#include "store/internal.h"

static const char container_sql[] = "INSERT INTO container (name, size, created_us) VALUES (?, ?, ?)";
static const char xorb_sql[] =
    "INSERT INTO xorb (hash, container_id, start, stored, table_at, length, chunks, created_us,"
    " mentioned_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char by_hash_sql[] = "SELECT " XORB_COLUMNS " FROM xorb WHERE hash = ?";
static const char by_id_sql[] = "SELECT " XORB_COLUMNS " FROM xorb WHERE id = ?";
static const char key_sql[] =
    "INSERT INTO dedup_key (chunk, xorb_id) VALUES (?, ?) ON CONFLICT (chunk, xorb_id) DO NOTHING";
static const char find_object_sql[] = "SELECT id FROM object WHERE sha256 = ?";
static const char object_sql[] = "INSERT INTO object (sha256, size, xet_hash, created_us) VALUES (?, ?, ?, ?)";
static const char extent_sql[] =
    "INSERT INTO extent (object_id, at, xorb_id, length, chunk_start, chunk_end, stored_at,"
    " stored, packed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

enum status container_insert(struct db_conn *tx, const char *name, int64_t size, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, container_sql, &insert, err));
    stmt_bind_str(insert, 1, str_of(name));
    stmt_bind_int(insert, 2, size);
    stmt_bind_int(insert, 3, now_us());
    TRY(stmt_run(insert, err));
    *id = db_last_id(tx);
    return OK;
}

enum status xorb_insert(struct db_conn *tx, const struct xorb_new *new, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, xorb_sql, &insert, err));
    stmt_bind_blob(insert, 1, new->hash.bytes, CHUNK_HASH_SIZE);
    stmt_bind_int(insert, 2, new->container);
    stmt_bind_int(insert, 3, new->start);
    stmt_bind_int(insert, 4, new->stored);
    stmt_bind_int(insert, 5, new->table_at);
    stmt_bind_int(insert, 6, new->length);
    stmt_bind_int(insert, 7, new->chunks);
    stmt_bind_int(insert, 8, now_us());
    stmt_bind_int(insert, 9, new->mentioned_us);
    TRY(stmt_run(insert, err));
    *id = db_last_id(tx);
    return OK;
}

void xorb_of_row(struct stmt *row, int column, struct xorb *out)
{
    struct str hash = stmt_str(row, column + 1);
    *out = (struct xorb){
        .id = stmt_int(row, column),
        .container = stmt_int(row, column + 2),
        .start = stmt_int(row, column + 3),
        .stored = stmt_int(row, column + 4),
        .table_at = stmt_int(row, column + 5),
        .length = (uint32_t)stmt_int(row, column + 6), /* no xorb with chunks has more */
        .chunks = (uint32_t)stmt_int(row, column + 7),
    };
    if (hash.len == CHUNK_HASH_SIZE)
        memcpy(out->hash.bytes, hash.data, CHUNK_HASH_SIZE);
}

enum status xorb_by_hash(struct db_conn *conn, const struct chunk_hash *hash, bool *found, struct xorb *out,
                         struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, by_hash_sql, &find, err));
    stmt_bind_blob(find, 1, hash->bytes, CHUNK_HASH_SIZE);
    *found = stmt_next(find);
    if (*found)
        xorb_of_row(find, 0, out);
    return stmt_end(find, err);
}

enum status store_xorb_get(struct db_conn *conn, int64_t xorb_id, struct xorb *out, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, by_id_sql, &find, err));
    stmt_bind_int(find, 1, xorb_id);
    bool found = stmt_next(find);
    if (found)
        xorb_of_row(find, 0, out);
    TRY(stmt_end(find, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The xorb is no longer there.");
}

enum status dedup_key_insert(struct db_conn *tx, const struct chunk_hash *chunk, int64_t xorb_id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, key_sql, &insert, err));
    stmt_bind_blob(insert, 1, chunk->bytes, CHUNK_HASH_SIZE);
    stmt_bind_int(insert, 2, xorb_id);
    return stmt_run(insert, err);
}

enum status object_insert(struct db_conn *tx, const uint8_t sha256[SHA256_SIZE], int64_t size,
                          const struct chunk_hash *xet_hash, int64_t *id, bool *made, struct error *err)
{
    auto_stmt struct stmt *find = NULL, *insert = NULL;
    TRY(db_prepare(tx, find_object_sql, &find, err));
    stmt_bind_blob(find, 1, sha256, SHA256_SIZE);
    *made = !stmt_next(find);
    *id = *made ? 0 : stmt_int(find, 0);
    TRY(stmt_end(find, err));
    if (!*made)
        return OK;
    TRY(db_prepare(tx, object_sql, &insert, err));
    stmt_bind_blob(insert, 1, sha256, SHA256_SIZE);
    stmt_bind_int(insert, 2, size);
    if (xet_hash)
        stmt_bind_blob(insert, 3, xet_hash->bytes, CHUNK_HASH_SIZE);
    else
        stmt_bind_null(insert, 3);
    stmt_bind_int(insert, 4, now_us());
    TRY(stmt_run(insert, err));
    *id = db_last_id(tx);
    return OK;
}

enum status extent_insert(struct db_conn *tx, int64_t object_id, const struct extent *extent, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, extent_sql, &insert, err));
    stmt_bind_int(insert, 1, object_id);
    stmt_bind_int(insert, 2, extent->at);
    stmt_bind_int(insert, 3, extent->xorb.id);
    stmt_bind_int(insert, 4, extent->length);
    stmt_bind_int(insert, 5, extent->start);
    stmt_bind_int(insert, 6, extent->end);
    stmt_bind_int(insert, 7, extent->stored_at);
    stmt_bind_int(insert, 8, extent->stored);
    stmt_bind_int(insert, 9, extent->packed);
    return stmt_run(insert, err);
}

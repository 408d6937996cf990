/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tensor/internal.h"

/* Writing. */

static struct str shape_bytes(struct arena *arena, const struct tensor *tensor)
{
    auto_buf struct buf out = {0};
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        for (int byte = 7; byte >= 0; byte--)
            buf_byte(&out, (char)((uint64_t)tensor->shape[i] >> (8 * byte)));
    return arena_copy(arena, buf_view(&out));
}

/* The same for the same content, whatever it is called. */
static void content_digest(const struct tensor *tensor, uint8_t out[SHA256_SIZE])
{
    auto_buf struct buf entry = {0};
    struct tensor nameless = *tensor;
    nameless.name = STR("");
    tensor_entry(&nameless, &entry);
    sha256(buf_view(&entry), out);
}

static const char insert_sql[] = "INSERT INTO tensor (file_id, position, name, dtype, shape, at, size, digest, content)"
                                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

enum status rows_insert(struct db_conn *tx, int64_t file_id, int64_t position, const struct tensor_row *row,
                        struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *insert = NULL;
    const struct tensor *tensor = &row->tensor;
    struct str shape = shape_bytes(&arena, tensor);
    uint8_t content[SHA256_SIZE];
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, file_id);
    stmt_bind_int(insert, 2, position);
    stmt_bind_str(insert, 3, tensor->name);
    stmt_bind_str(insert, 4, str_of(tensor_dtype_name(tensor->dtype)));
    stmt_bind_blob(insert, 5, shape.data, shape.len);
    stmt_bind_int(insert, 6, tensor->begin);
    stmt_bind_int(insert, 7, tensor->end - tensor->begin);
    stmt_bind_blob(insert, 8, tensor->digest, SHA256_SIZE);
    content_digest(tensor, content);
    if (row->trivial)
        stmt_bind_null(insert, 9);
    else
        stmt_bind_blob(insert, 9, content, SHA256_SIZE);
    return stmt_run(insert, err);
}

/* Reading. */

static const char count_sql[] = "SELECT COALESCE(MAX(position) + 1, 0) FROM tensor WHERE file_id = ?";

enum status rows_count(struct db_conn *conn, int64_t file_id, int64_t *count, struct error *err)
{
    auto_stmt struct stmt *last = NULL;
    TRY(db_prepare(conn, count_sql, &last, err));
    stmt_bind_int(last, 1, file_id);
    *count = stmt_next(last) ? stmt_int(last, 0) : 0;
    return stmt_end(last, err);
}

static void read_shape(struct arena *arena, struct str bytes, struct tensor *out)
{
    int64_t *shape = arena_array(arena, bytes.len / 8 + 1, sizeof *shape);
    out->dimensions = (uint32_t)(bytes.len / 8);
    for (size_t i = 0; i < bytes.len / 8 * 8; i++)
        shape[i / 8] = (int64_t)((uint64_t)shape[i / 8] << 8 | (uint8_t)bytes.data[i]);
    out->shape = shape;
}

static enum status read_row(struct arena *arena, struct stmt *row, struct tensor *out, struct error *err)
{
    struct str digest = stmt_str(row, 5);
    *out = (struct tensor){.name = arena_copy(arena, stmt_str(row, 0)), .begin = stmt_int(row, 3)};
    out->end = out->begin + stmt_int(row, 4);
    if (!tensor_dtype_find(stmt_str(row, 1), &out->dtype) || digest.len != SHA256_SIZE)
        return fail(err, CORRUPT, NULL, "The database has a tensor that cannot be.");
    read_shape(arena, stmt_str(row, 2), out);
    memcpy(out->digest, digest.data, SHA256_SIZE);
    return OK;
}

static const char read_sql[] = "SELECT name, dtype, shape, at, size, digest FROM tensor"
                               " WHERE file_id = ? AND position >= ? ORDER BY position LIMIT ?";

enum status rows_read(struct db_conn *conn, struct arena *arena, int64_t file_id, int64_t position, int64_t limit,
                      struct tensor *out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, read_sql, &row, err));
    stmt_bind_int(row, 1, file_id);
    stmt_bind_int(row, 2, position);
    stmt_bind_int(row, 3, limit);
    for (*count = 0; stmt_next(row); ++*count)
        TRY(read_row(arena, row, &out[*count], err));
    return stmt_end(row, err);
}

/* Removing what is of use to nobody: contents that no repo's commit names any more. */

#define REMOVED_AT_ONCE 2000 /* rows; a write must be short */

static const char unseen_sql[] = "SELECT id FROM tensor_file WHERE id > ? AND NOT EXISTS"
                                 " (SELECT 1 FROM tensor_seen WHERE file_id = tensor_file.id) ORDER BY id LIMIT 1";
static const char forget_sql[] = "UPDATE tensor_file SET state = 0 WHERE id = ? AND NOT EXISTS"
                                 " (SELECT 1 FROM tensor_seen WHERE file_id = tensor_file.id)";
static const char trim_sql[] = "DELETE FROM tensor WHERE file_id = ? AND position >= ?";
static const char remove_sql[] = "DELETE FROM tensor_file WHERE id = ? AND NOT EXISTS"
                                 " (SELECT 1 FROM tensor_seen WHERE file_id = tensor_file.id)";

static enum status next_unseen(struct db *db, int64_t after, int64_t *id, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *next = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, unseen_sql, &next, err));
    stmt_bind_int(next, 1, after);
    *id = stmt_next(next) ? stmt_int(next, 0) : 0;
    return stmt_end(next, err);
}

struct removing {
    int64_t file_id;
    bool more;
};

/*
 * One step. Rows go from the last one on, and the file is no longer "done" from the first step: should a commit name it
 * again meanwhile, a pass goes on behind the rows that are left.
 */
static enum status remove_some(struct db_conn *tx, void *context, struct error *err)
{
    struct removing *removing = context;
    auto_stmt struct stmt *forget = NULL, *trim = NULL, *remove = NULL;
    int64_t count;
    removing->more = false;
    TRY(db_prepare(tx, forget_sql, &forget, err));
    stmt_bind_int(forget, 1, removing->file_id);
    TRY(stmt_run(forget, err));
    if (db_changes(tx) == 0)
        return OK;
    TRY(rows_count(tx, removing->file_id, &count, err));
    removing->more = count > REMOVED_AT_ONCE;
    TRY(db_prepare(tx, trim_sql, &trim, err));
    stmt_bind_int(trim, 1, removing->file_id);
    stmt_bind_int(trim, 2, removing->more ? count - REMOVED_AT_ONCE : 0);
    TRY(stmt_run(trim, err));
    if (removing->more)
        return OK;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, removing->file_id);
    return stmt_run(remove, err);
}

enum status rows_job(struct hub *hub, struct error *err)
{
    for (struct removing removing = {0};;) {
        TRY(next_unseen(hub->db, removing.file_id, &removing.file_id, err));
        if (removing.file_id == 0 || hub->stopping)
            return OK;
        for (removing.more = true; removing.more && !hub->stopping;)
            TRY(db_write(hub->db, remove_some, &removing, err));
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tables of xorbs: which chunks one has, and where. They stand in its container, so that the database does not grow with them. */
#include "base/file.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static const char container_name_sql[] = "SELECT name FROM container WHERE id = ?";

void chunk_row_write(uint8_t out[CHUNK_ROW], const struct chunk *chunk)
{
    uint32_t ends[2] = {htole32(chunk->stored_end), htole32(chunk->end)};
    memcpy(out, chunk->hash.bytes, CHUNK_HASH_SIZE);
    memcpy(out + CHUNK_HASH_SIZE, ends, sizeof ends);
    out[40] = (uint8_t)chunk->scheme;
    out[41] = chunk->is_key;
    out[42] = out[43] = 0;
}

static void chunk_row_read(const uint8_t in[CHUNK_ROW], struct chunk *chunk)
{
    uint32_t ends[2];
    memcpy(chunk->hash.bytes, in, CHUNK_HASH_SIZE);
    memcpy(ends, in + CHUNK_HASH_SIZE, sizeof ends);
    chunk->stored_end = le32toh(ends[0]);
    chunk->end = le32toh(ends[1]);
    chunk->scheme = (enum scheme)in[40];
    chunk->is_key = in[41] != 0;
}

enum status container_open(struct store *store, struct db_conn *conn, int64_t container_id, int *fd, struct error *err)
{
    char name[NAME_SIZE] = "", path[STORE_PATH_LIMIT];
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, container_name_sql, &find, err));
    stmt_bind_int(find, 1, container_id);
    bool found = stmt_next(find);
    struct str stored = found ? stmt_str(find, 0) : STR("");
    memcpy(name, stored.data, stored.len < NAME_SIZE ? stored.len : NAME_SIZE - 1);
    TRY(stmt_end(find, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "The file is no longer there; its repo may have been deleted.");
    if (!name_valid(name))
        return fail(err, CORRUPT, NULL, "The database names a container in a way that cannot be.");
    container_path(store->root, name, path);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 && errno == ENOENT)
        return fail(err, CORRUPT, NULL, "The container %s is missing from the store; restore it from a backup.", name);
    return *fd < 0 ? disk_fail(err, "open a container") : OK;
}

/* What a disk may have changed must not lead us outside of anything. */
static bool row_follows(const struct xorb *xorb, const struct chunk *before, const struct chunk *row)
{
    return row->scheme <= SCHEME_GROUP4_LZ4 && row->end > before->end && row->end - before->end <= CHUNK_MAX &&
           row->end <= xorb->length && row->stored_end > before->stored_end && row->stored_end <= xorb->stored &&
           row->stored_end - before->stored_end <= XORB_PAYLOAD_MOST &&
           (row->scheme != SCHEME_NONE || row->stored_end - before->stored_end == row->end - before->end);
}

enum status chunks_read(int fd, const struct xorb *xorb, uint32_t from, uint32_t to, struct chunk *before,
                        struct chunk *out, struct error *err)
{
    *before = (struct chunk){0};
    if (from > to || to > xorb->chunks || xorb->chunks > XORB_CHUNKS_MOST)
        return fail(err, BAD_RANGE, NULL, "The xorb has %u chunks, fewer than %u.", xorb->chunks, to);
    if (from == to)
        return OK;
    uint32_t first = from > 0 ? from - 1 : 0;
    size_t size = (size_t)(to - first) * CHUNK_ROW;
    uint8_t *rows = malloc(size);
    if (!rows)
        abort();
    enum status status = pread_full(fd, rows, size, xorb->table_at + (int64_t)first * CHUNK_ROW, err);
    for (uint32_t i = first; i < to && status == OK; i++) {
        struct chunk *row = i < from ? before : &out[i - from];
        const struct chunk *previous = i == first  ? (i < from ? NULL : before)
                                       : i == from ? before
                                                   : &out[i - from - 1];
        chunk_row_read(rows + (size_t)(i - first) * CHUNK_ROW, row);
        if (previous && !row_follows(xorb, previous, row))
            status = fail(err, CORRUPT, NULL, "The table of a xorb in the store is damaged; restore it from a backup.");
    }
    free(rows);
    return status;
}

enum status store_chunks(struct store *store, const struct xorb *xorb, uint32_t from, uint32_t to, struct chunk *before,
                         struct chunk *out, struct error *err)
{
    store_assert(store);
    auto_fd int fd = -1;
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    TRY(container_open(store, conn, xorb->container, &fd, err));
    db_release(&conn);
    return chunks_read(fd, xorb, from, to, before, out, err);
}

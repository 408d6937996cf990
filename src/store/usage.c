/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a repo takes. */
#include "cas/xorb.h"
#include "store/internal.h"
#include <stdlib.h>

static const char objects_sql[] = "SELECT count(*), COALESCE(SUM(o.size), 0) FROM object_hold h"
                                  " JOIN object o ON o.id = h.object_id WHERE h.repo_id = ?";
/* A chunk is never empty, so ranges of payload bytes overlap exactly where ranges of chunks do; and xorbs without
 * chunks have such ranges too. */
static const char ranges_sql[] =
    "SELECT DISTINCT e.xorb_id, e.stored_at, e.stored, e.chunk_end, e.length, e.packed FROM object_hold h"
    " JOIN extent e ON e.object_id = h.object_id WHERE h.repo_id = ? ORDER BY e.xorb_id, e.stored_at, e.stored DESC";
static const char elsewhere_sql[] = "SELECT 1 FROM extent e JOIN object_hold h ON h.object_id = e.object_id"
                                    " WHERE e.xorb_id = ? AND h.repo_id <> ? LIMIT 1";

struct range {
    int64_t xorb, stored_at, stored_end, length;
    uint32_t chunk_end;
    bool packed;
};

/* How much of a xorb has been counted, coming from its start. */
struct counted {
    int64_t xorb, stored_end;
    uint32_t chunk_end;
    bool shared;
};

static enum status count_objects(struct db_conn *conn, int64_t repo_id, struct store_usage *out, struct error *err)
{
    auto_stmt struct stmt *count = NULL;
    TRY(db_prepare(conn, objects_sql, &count, err));
    stmt_bind_int(count, 1, repo_id);
    if (stmt_next(count)) {
        out->objects = stmt_int(count, 0);
        out->logical = stmt_int(count, 1);
    }
    return stmt_end(count, err);
}

static enum status used_elsewhere(struct db_conn *conn, int64_t xorb_id, int64_t repo_id, bool *used, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, elsewhere_sql, &find, err));
    stmt_bind_int(find, 1, xorb_id);
    stmt_bind_int(find, 2, repo_id);
    *used = stmt_next(find);
    return stmt_end(find, err);
}

/* The bytes of the chunks [from, to) of a xorb, by its table. */
static enum status chunk_bytes(struct store *store, struct db_conn *conn, int64_t xorb_id, uint32_t from, uint32_t to,
                               int64_t *bytes, struct error *err)
{
    struct xorb xorb;
    struct chunk before;
    *bytes = 0;
    TRY(store_xorb_get(conn, xorb_id, &xorb, err));
    if (from >= to || to > XORB_CHUNKS_MOST)
        return fail(err, CORRUPT, NULL, "The database gives a file a range of chunks that cannot be. Run cairn fsck.");
    struct chunk *chunks = malloc((to - from) * sizeof(*chunks));
    if (!chunks)
        abort();
    enum status status = store_chunks(store, &xorb, from, to, &before, chunks, err);
    if (status == OK)
        *bytes = chunks[to - from - 1].end - before.end;
    free(chunks);
    return status;
}

/* Adds what of a range has not been counted yet. */
static enum status count_range(struct store *store, struct db_conn *conn, const struct range *range,
                               struct counted *counted, struct store_usage *out, struct error *err)
{
    int64_t bytes = range->length, stored = range->stored_end - range->stored_at;
    if (range->stored_end <= counted->stored_end)
        return OK;
    if (range->stored_at < counted->stored_end) {
        bytes = stored = range->stored_end - counted->stored_end;
        if (range->packed)
            TRY(chunk_bytes(store, conn, range->xorb, counted->chunk_end, range->chunk_end, &bytes, err));
    }
    counted->stored_end = range->stored_end;
    counted->chunk_end = range->chunk_end;
    out->unique += bytes;
    out->stored += stored;
    out->shared += counted->shared ? stored : 0;
    return OK;
}

enum status store_usage(struct store *store, struct db_conn *conn, int64_t repo_id, struct store_usage *out,
                        struct error *err)
{
    *out = (struct store_usage){0};
    struct counted counted = {0};
    auto_stmt struct stmt *ranges = NULL;
    TRY(count_objects(conn, repo_id, out, err));
    TRY(db_prepare(conn, ranges_sql, &ranges, err));
    stmt_bind_int(ranges, 1, repo_id);
    while (stmt_next(ranges)) {
        struct range range = {
            .xorb = stmt_int(ranges, 0),
            .stored_at = stmt_int(ranges, 1),
            .stored_end = stmt_int(ranges, 1) + stmt_int(ranges, 2),
            .chunk_end = (uint32_t)stmt_int(ranges, 3),
            .length = stmt_int(ranges, 4),
            .packed = stmt_int(ranges, 5) != 0,
        };
        if (range.xorb != counted.xorb) {
            counted = (struct counted){.xorb = range.xorb};
            TRY(used_elsewhere(conn, range.xorb, repo_id, &counted.shared, err));
        }
        TRY(count_range(store, conn, &range, &counted, out, err));
    }
    return stmt_end(ranges, err);
}

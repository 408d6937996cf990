/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an object is put together. */
#include "store/internal.h"

static const char extents_sql[] =
    "SELECT " XORB_COLUMNS ", extent.at, extent.length, extent.chunk_start, extent.chunk_end, extent.stored_at,"
    " extent.stored, extent.packed FROM extent JOIN xorb ON xorb.id = extent.xorb_id WHERE extent.object_id = ?"
    " AND extent.at >= COALESCE((SELECT MAX(at) FROM extent WHERE object_id = ? AND at <= ?), 0) AND extent.at < ?"
    " ORDER BY extent.at LIMIT ?";

/* What a damaged database may say must not lead us outside of anything. */
static bool extent_of_row(struct stmt *row, struct extent *out)
{
    xorb_of_row(row, 0, &out->xorb);
    int64_t start = stmt_int(row, XORB_COLUMN_COUNT + 2), end = stmt_int(row, XORB_COLUMN_COUNT + 3);
    out->at = stmt_int(row, XORB_COLUMN_COUNT);
    out->length = stmt_int(row, XORB_COLUMN_COUNT + 1);
    out->stored_at = stmt_int(row, XORB_COLUMN_COUNT + 4);
    out->stored = stmt_int(row, XORB_COLUMN_COUNT + 5);
    out->packed = stmt_int(row, XORB_COLUMN_COUNT + 6) != 0;
    if (start < 0 || start > end || end > out->xorb.chunks || (out->packed && start == end))
        return false;
    out->start = (uint32_t)start;
    out->end = (uint32_t)end;
    return within(out->at, out->length, INT64_MAX) && out->length > 0 &&
           within(out->xorb.start, out->xorb.stored, INT64_MAX) && out->xorb.table_at >= 0 &&
           within(out->stored_at, out->stored, out->xorb.stored) && (out->packed || out->stored == out->length);
}

static enum status extents_damaged(int64_t object_id, struct error *err)
{
    return fail(err, CORRUPT, NULL, "The database lacks part of the object %lld; restore it from a backup.",
                (long long)object_id);
}

enum status store_extents(struct db_conn *conn, int64_t object_id, int64_t offset, int64_t length, struct extent *out,
                          size_t most, size_t *count, struct error *err)
{
    int64_t end = offset + length, covered = offset, size;
    auto_stmt struct stmt *extents = NULL;
    *count = 0;
    if (length == 0 || most == 0)
        return OK;
    TRY(db_prepare(conn, extents_sql, &extents, err));
    stmt_bind_int(extents, 1, object_id);
    stmt_bind_int(extents, 2, object_id);
    stmt_bind_int(extents, 3, offset);
    stmt_bind_int(extents, 4, end);
    stmt_bind_int(extents, 5, (int64_t)most);
    while (*count < most && stmt_next(extents)) {
        struct extent *extent = &out[*count];
        if (!extent_of_row(extents, extent) || (*count ? extent->at != covered : extent->at > covered))
            return extents_damaged(object_id, err);
        covered = extent->at + extent->length;
        ++*count;
    }
    TRY(stmt_end(extents, err));
    if (covered >= end || *count == most)
        return covered > offset ? OK : extents_damaged(object_id, err);
    TRY(object_size(conn, object_id, &size, err));
    return extents_damaged(object_id, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct part {
    struct store *store;
    int fd;
    struct upload upload;
    char etag[NAME_SIZE];           /* of the part as it is in the file already; "" when it is not */
    int64_t number, offset, length; /* offset and length within the file */
    int64_t got, flushed;           /* bytes of the part; offset in the file up to which write-back was started */
};

static const char read_part_sql[] = "SELECT etag FROM upload_part WHERE upload_id = ? AND number = ?";
static const char delete_part_sql[] = "DELETE FROM upload_part WHERE upload_id = ? AND number = ?";
static const char keep_part_sql[] = "INSERT INTO upload_part (upload_id, number, etag)"
                                    " SELECT id, ?, ? FROM upload WHERE id = ? AND state = 0";

/* The etag of a complete part, or "". */
static enum status part_etag(struct db_conn *conn, const char *upload, int64_t number, char etag[NAME_SIZE],
                             struct error *err)
{
    auto_stmt struct stmt *read = NULL;
    TRY(db_prepare(conn, read_part_sql, &read, err));
    stmt_bind_str(read, 1, str_of(upload));
    stmt_bind_int(read, 2, number);
    memset(etag, 0, NAME_SIZE);
    if (stmt_next(read)) {
        struct str stored = str_slice(stmt_str(read, 0), 0, NAME_SIZE - 1);
        memcpy(etag, stored.data, stored.len);
    }
    return stmt_end(read, err);
}

static enum status part_check(const struct upload *upload, int64_t number, int64_t length, struct error *err)
{
    if (upload->state != UPLOAD_OPEN)
        return fail(err, CONFLICT, NULL, "This upload is complete already.");
    if (number < 1 || number > upload->part_count)
        return fail(err, INVALID, NULL, "The upload has the parts 1 to %lld, but not %lld.",
                    (long long)upload->part_count, (long long)number);
    int64_t left = upload->size - (number - 1) * upload->part_size;
    int64_t expected = left < upload->part_size ? left : upload->part_size;
    if (length != expected)
        return fail(err, INVALID, NULL, "Part %lld has %lld bytes, not %lld.", (long long)number, (long long)expected,
                    (long long)length);
    return OK;
}

/* Afterwards the upload can be neither finished nor swept while this part is open. */
static enum status part_lock(struct part *part, struct error *err)
{
    struct stat status;
    if (!file_lock(part->fd, part->offset, part->length))
        return fail(err, CONFLICT, NULL, "Part %lld is being received already, or the upload is being finished.",
                    (long long)part->number);
    if (fstat(part->fd, &status) != 0)
        return disk_fail(err, "look at an incoming file");
    return status.st_nlink > 0 ? OK : fail(err, NOT_FOUND, NULL, "This upload has ended. Begin again.");
}

enum status part_open(struct store *store, struct str upload_id, int64_t repo_id, int64_t number, int64_t length,
                      struct part **out, struct error *err)
{
    store_assert(store);
    struct upload upload;
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    TRY(upload_read(conn, upload_id, repo_id, &upload, err));
    TRY(part_check(&upload, number, length, err));
    auto_part struct part *part = calloc(1, sizeof(*part));
    if (!part)
        abort();
    *part = (struct part){.store = store, .fd = -1, .upload = upload, .number = number, .length = length};
    part->offset = part->flushed = (number - 1) * upload.part_size;
    TRY(upload_open_file(store, &upload, &part->fd, err));
    TRY(part_lock(part, err));
    /* Between opening the file and locking it, it may have become a container, which nobody may write to any more. */
    TRY(upload_read(conn, upload_id, repo_id, &upload, err));
    TRY(part_check(&upload, number, length, err));
    TRY(part_etag(conn, upload.id, number, part->etag, err));
    *out = part;
    part = NULL;
    return OK;
}

static bool same_on_disk(int fd, const char *data, size_t len, int64_t offset)
{
    char piece[16384];
    while (len > 0) {
        size_t n = len < sizeof(piece) ? len : sizeof(piece);
        if (pread_full(fd, piece, n, offset, NULL) != OK || memcmp(piece, data, n) != 0)
            return false;
        data += n;
        len -= n;
        offset += (int64_t)n;
    }
    return true;
}

static enum status write_forget_part(struct db_conn *tx, void *context, struct error *err)
{
    const struct part *part = context;
    auto_stmt struct stmt *forget = NULL;
    TRY(db_prepare(tx, delete_part_sql, &forget, err));
    stmt_bind_str(forget, 1, str_of(part->upload.id));
    stmt_bind_int(forget, 2, part->number);
    return stmt_run(forget, err);
}

/*
 * Clients send a part again when an answer got lost. What is in the file already, because the part was complete or
 * because the running ingest got so far, is compared instead of written; so the same bytes leave the etag and the
 * ingest as they are. At the first difference both go, the row first: whoever brings the ingest forward looks for it
 * after it has claimed the ingest.
 */
static enum status part_compare(struct part *part, const char *data, size_t len, bool *same, struct error *err)
{
    int64_t at = part->offset + part->got, known = running_position(&part->store->running, part->upload.id);
    if (part->etag[0])
        known = part->offset + part->length;
    *same = false;
    if (known <= at)
        return OK;
    size_t overlap = known - at < (int64_t)len ? (size_t)(known - at) : len;
    if (same_on_disk(part->fd, data, overlap, at)) {
        *same = overlap == len;
        return OK;
    }
    if (part->etag[0])
        TRY(db_write(part->store->db, write_forget_part, part, err));
    part->etag[0] = '\0';
    running_forget(&part->store->running, part->upload.id);
    return OK;
}

/* A full disk gets its space back at once, though we and others have the file open; after other failures the part can
 * be sent again. */
static enum status part_failed(struct part *part, enum status status, struct error *err)
{
    if (status == NO_SPACE && ftruncate(part->fd, 0) == 0)
        upload_discard(part->store, part->upload.id);
    return disk_explain(status, err);
}

enum status part_write(struct part *part, const void *data, size_t len, struct error *err)
{
    int64_t at = part->offset + part->got;
    if (len > (uint64_t)(part->length - part->got))
        return fail(err, INVALID, NULL, "Part %lld has more than its %lld bytes.", (long long)part->number,
                    (long long)part->length);
    bool same;
    enum status status = part_compare(part, data, len, &same, err);
    if (status == OK && !same)
        status = pwrite_full(part->fd, data, len, at, err);
    if (status != OK)
        return part_failed(part, status, err);
    part->got += (int64_t)len;
    running_wrote(part->store, part->upload.id, at, data, len);
    disk_flush_early(part->fd, part->offset + part->got, &part->flushed);
    return OK;
}

static enum status write_keep_part(struct db_conn *tx, void *context, struct error *err)
{
    const struct part *part = context;
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_part_sql, &keep, err));
    stmt_bind_int(keep, 1, part->number);
    stmt_bind_str(keep, 2, str_of(part->etag));
    stmt_bind_str(keep, 3, str_of(part->upload.id));
    TRY(stmt_run(keep, err));
    return db_changes(tx) == 1 ? OK : fail(err, NOT_FOUND, NULL, "This upload has ended. Begin again.");
}

/*
 * Parts that came in ahead of their turn were not ingested on the way. Whoever completes a part does it with those that
 * follow it, a few at a time, so that no client waits for long.
 */
#define CATCH_UP_BYTES (256 * MIB)

static void part_catch_up(struct part *part)
{
    const struct upload *upload = &part->upload;
    struct running_table *table = &part->store->running;
    struct running *slot = running_claim(table, upload->id);
    if (!slot)
        return;
    auto_conn struct db_conn *conn = NULL;
    enum status status = db_reader(part->store->db, &conn, NULL);
    int64_t position = slot->position, limit = position + CATCH_UP_BYTES;
    while (status == OK && position < upload->size && position < limit) {
        char etag[NAME_SIZE];
        int64_t index = position / upload->part_size, left = upload->size - index * upload->part_size;
        int64_t end = left < upload->part_size ? upload->size : (index + 1) * upload->part_size;
        status = part_etag(conn, upload->id, index + 1, etag, NULL);
        if (status != OK || !etag[0])
            break;
        status = ingest_file(slot->ingest, part->fd, position, end - position, NULL);
        position = end;
    }
    if (status != OK)
        running_forget(table, upload->id);
    running_unclaim(table, slot, position);
}

static enum status part_complete(struct part *part, struct error *err)
{
    if (fdatasync(part->fd) != 0) {
        /* The kernel takes what did not reach the disk for clean now, so nothing in the file can be relied on. */
        enum status status = part_failed(part, disk_fail(err, "sync an incoming file"), err);
        upload_discard(part->store, part->upload.id);
        return status;
    }
    /* The digest of the whole is what counts, so an etag need not be one: it only says which sending of the part it
     * was. */
    random_name(part->etag);
    return part_failed(part, db_write(part->store->db, write_keep_part, part, err), err);
}

enum status part_keep(struct part **part, char etag[33], struct error *err)
{
    auto_part struct part *mine = *part;
    *part = NULL;
    if (mine->got != mine->length)
        return fail(err, INVALID, NULL, "Part %lld has %lld bytes, but only %lld arrived.", (long long)mine->number,
                    (long long)mine->length, (long long)mine->got);
    if (!mine->etag[0])
        TRY(part_complete(mine, err));
    part_catch_up(mine);
    memcpy(etag, mine->etag, NAME_SIZE);
    return OK;
}

void part_drop(struct part **part)
{
    struct part *mine = *part;
    if (!mine)
        return;
    fd_close(&mine->fd);
    free(mine);
    *part = NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * An upload in parts is a row, one incoming file named like it, and a row for each part that is complete and durable in
 * that file. A part in flight holds the lock on its bytes (part.c); finishing holds the lock on all of them.
 */
#define PARTS_AIM 1000
#define PARTS_LIMIT 9999 /* and one for the rest: what the protocol can number is more */

/* Locked by whoever finishes an upload, behind every byte of a file, so that a repeated call waits for the first. */
#define FINISH_BYTE (INT64_MAX - 1)

static const char find_upload_sql[] = "SELECT id, part_size FROM upload WHERE repo_id = ? AND sha256 = ? AND size = ?"
                                      " AND state = 0 ORDER BY changed_us DESC, id LIMIT 1";
static const char insert_upload_sql[] = "INSERT INTO upload (id, repo_id, sha256, size, part_size, changed_us, state)"
                                        " VALUES (?, ?, ?, ?, ?, ?, 0)";
static const char read_upload_sql[] = "SELECT size, part_size, state, sha256 FROM upload WHERE id = ? AND repo_id = ?";
static const char delete_upload_sql[] = "DELETE FROM upload WHERE id = ?";
static const char delete_parts_sql[] = "DELETE FROM upload_part WHERE upload_id = ?";
static const char list_parts_sql[] = "SELECT number, etag FROM upload_part WHERE upload_id = ? ORDER BY number";

int64_t store_part_least = 64 * MIB;

static int64_t part_size_for(int64_t size)
{
    int64_t least = size / PARTS_AIM / MIB * MIB + MIB;
    return least > store_part_least ? least : store_part_least;
}

static int64_t part_count_for(int64_t size, int64_t part_size)
{
    return size / part_size + (size % part_size != 0);
}

enum status upload_read(struct db_conn *conn, struct str id, int64_t repo_id, struct upload *upload, struct error *err)
{
    auto_stmt struct stmt *read = NULL;
    TRY(db_prepare(conn, read_upload_sql, &read, err));
    stmt_bind_str(read, 1, id);
    stmt_bind_int(read, 2, repo_id);
    bool found = stmt_next(read), sound = false;
    if (found) {
        struct str sha256 = stmt_str(read, 3);
        *upload =
            (struct upload){.size = stmt_int(read, 0), .part_size = stmt_int(read, 1), .state = (int)stmt_int(read, 2)};
        sound = id.len == NAME_SIZE - 1 && sha256.len == SHA256_SIZE &&
                upload->part_size >= upload->size / PARTS_LIMIT && upload->part_size > 0 && upload->size >= 0;
        if (sound) {
            upload->part_count = part_count_for(upload->size, upload->part_size);
            memcpy(upload->id, id.data, id.len);
            memcpy(upload->sha256, sha256.data, SHA256_SIZE);
        }
    }
    TRY(stmt_end(read, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "There is no such upload; it may have ended. Begin again.");
    return sound ? OK : fail(err, CORRUPT, NULL, "The database describes an upload in a way that cannot be.");
}

static enum status write_discard(struct db_conn *tx, void *context, struct error *err)
{
    static const char *const statements[] = {delete_parts_sql, delete_upload_sql};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        auto_stmt struct stmt *discard = NULL;
        TRY(db_prepare(tx, statements[i], &discard, err));
        stmt_bind_str(discard, 1, str_of(context));
        TRY(stmt_run(discard, err));
    }
    return OK;
}

/* The file goes first because the disk may be full; should the rows stay behind for the same reason, they name a file
 * that is missing, and the upload is as good as gone. */
void upload_discard(struct store *store, const char *id)
{
    incoming_remove(store, id);
    running_forget(&store->running, id);
    (void)db_write(store->db, write_discard, (void *)id, NULL);
}

enum status upload_open_file(struct store *store, const struct upload *upload, int *fd, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    incoming_path(store->root, upload->id, path);
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0 && errno == ENOENT)
        return fail(err, NOT_FOUND, NULL, "This upload has ended. Begin again.");
    return *fd < 0 ? disk_fail(err, "open an incoming file") : OK;
}

struct begin {
    int64_t repo_id, size, part_size;
    const uint8_t *sha256;
    char own[NAME_SIZE];   /* the incoming file made for a new upload */
    char found[NAME_SIZE]; /* the upload to go on with */
};

/* Leaves begin->found empty when there is none. */
static enum status upload_find(struct db_conn *conn, struct begin *begin, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_upload_sql, &find, err));
    stmt_bind_int(find, 1, begin->repo_id);
    stmt_bind_blob(find, 2, begin->sha256, SHA256_SIZE);
    stmt_bind_int(find, 3, begin->size);
    begin->found[0] = '\0';
    if (stmt_next(find)) {
        struct str id = stmt_str(find, 0);
        if (id.len != NAME_SIZE - 1)
            return fail(err, CORRUPT, NULL, "The database names an upload in a way that cannot be.");
        memcpy(begin->found, id.data, id.len);
        begin->found[id.len] = '\0';
        begin->part_size = stmt_int(find, 1);
    }
    return stmt_end(find, err);
}

static bool upload_has_file(struct store *store, const char *id)
{
    char path[STORE_PATH_LIMIT];
    incoming_path(store->root, id, path);
    return access(path, F_OK) == 0;
}

struct begin_write {
    struct begin *begin;
    char lost[NAME_SIZE]; /* an upload that was found, but not its file */
};

static enum status write_begin(struct db_conn *tx, void *context, struct error *err)
{
    struct begin_write *write = context;
    struct begin *begin = write->begin;
    TRY(upload_find(tx, begin, err));
    if (begin->found[0] && memcmp(begin->found, write->lost, NAME_SIZE) != 0)
        return OK;
    begin->part_size = part_size_for(begin->size);
    memcpy(begin->found, begin->own, NAME_SIZE);
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, insert_upload_sql, &insert, err));
    stmt_bind_str(insert, 1, str_of(begin->own));
    stmt_bind_int(insert, 2, begin->repo_id);
    stmt_bind_blob(insert, 3, begin->sha256, SHA256_SIZE);
    stmt_bind_int(insert, 4, begin->size);
    stmt_bind_int(insert, 5, begin->part_size);
    stmt_bind_int(insert, 6, now_us());
    return stmt_run(insert, err);
}

static enum status upload_new(struct store *store, struct begin *begin, struct error *err)
{
    auto_fd int fd = -1;
    struct begin_write write = {.begin = begin};
    memcpy(write.lost, begin->found, NAME_SIZE);
    TRY(incoming_new(store, begin->own, &fd, err));
    char folder[STORE_PATH_LIMIT];
    incoming_path(store->root, "", folder);
    enum status status = folder_sync(folder, err);
    if (status == OK)
        status = db_write(store->db, write_begin, &write, err);
    if (status != OK || memcmp(begin->found, begin->own, NAME_SIZE) != 0)
        incoming_remove(store, begin->own);
    return disk_explain(status, err);
}

enum status parts_begin(struct store *store, struct arena *arena, int64_t repo_id, const uint8_t sha256[SHA256_SIZE],
                        int64_t size, struct parts_plan *plan, struct error *err)
{
    store_assert(store);
    if (size < 0)
        return fail(err, INVALID, NULL, "A file cannot have %lld bytes.", (long long)size);
    struct begin begin = {.repo_id = repo_id, .size = size, .sha256 = sha256};
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    TRY(upload_find(conn, &begin, err));
    db_release(&conn);
    /* An upload without its file is one that is being finished right now, or that a full disk or a crash took. */
    if (!begin.found[0] || !upload_has_file(store, begin.found))
        TRY(upload_new(store, &begin, err));
    plan->id = arena_copy(arena, str_of(begin.found));
    plan->part_size = begin.part_size;
    plan->part_count = part_count_for(size, begin.part_size);
    return OK;
}

/* Waits for a call that is finishing the same upload, and looks again at what became of it. *fd stays -1 when it is
 * finished. */
static enum status finish_lock(struct store *store, struct str id, int64_t repo_id, struct upload *upload, int *fd,
                               struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    TRY(upload_read(conn, id, repo_id, upload, err));
    db_release(&conn);
    if (upload->state == UPLOAD_FINISHED)
        return OK;
    enum status opened = upload_open_file(store, upload, fd, err);
    if (opened == NOT_FOUND) {
        /* That other call may be between renaming the file and committing its rows. */
        char container[STORE_PATH_LIMIT];
        container_path(store->root, upload->id, container);
        *fd = open(container, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    }
    if (*fd >= 0)
        TRY(file_lock_wait(*fd, FINISH_BYTE, 1, err));
    TRY(db_reader(store->db, &conn, err));
    TRY(upload_read(conn, id, repo_id, upload, err));
    if (upload->state == UPLOAD_FINISHED) {
        fd_close(fd);
        return OK;
    }
    if (opened != OK)
        return opened;
    return file_lock(*fd, 0, FINISH_BYTE) ? OK
                                          : fail(err, CONFLICT, NULL, "A part of this upload is still being received.");
}

static struct str unquoted(struct str etag)
{
    bool quoted = etag.len >= 2 && etag.data[0] == '"' && etag.data[etag.len - 1] == '"';
    return quoted ? str_slice(etag, 1, etag.len - 2) : etag;
}

/* claimed[n] is the etag claimed for part n, absent when there is none. */
static enum status parts_compare(struct db_conn *conn, const struct upload *upload, const struct str *claimed,
                                 struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    TRY(db_prepare(conn, list_parts_sql, &list, err));
    stmt_bind_str(list, 1, str_of(upload->id));
    int64_t next = 1; /* the part that must come next */
    while (next <= upload->part_count && stmt_next(list) && stmt_int(list, 0) == next) {
        if (!str_given(claimed[next]))
            return fail(err, INVALID, NULL, "Part %lld is not in the list of parts.", (long long)next);
        if (!str_eq(claimed[next], stmt_str(list, 1)))
            return fail(err, INVALID, NULL, "Part %lld was received with another ETag; send it again.",
                        (long long)next);
        next++;
    }
    TRY(stmt_end(list, err));
    if (next <= upload->part_count)
        return fail(err, INVALID, NULL, "Part %lld of %lld has not been received; send it.", (long long)next,
                    (long long)upload->part_count);
    return OK;
}

static enum status claims_check(struct store *store, const struct upload *upload, const struct part_claim *claims,
                                size_t count, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct str *claimed = arena_array(&arena, (size_t)upload->part_count + 1, sizeof(*claimed));
    for (size_t i = 0; i < count; i++) {
        if (claims[i].number < 1 || claims[i].number > upload->part_count)
            return fail(err, INVALID, NULL, "The upload has the parts 1 to %lld, but not %lld.",
                        (long long)upload->part_count, (long long)claims[i].number);
        claimed[claims[i].number] = unquoted(claims[i].etag);
    }
    TRY(db_reader(store->db, &conn, err));
    return parts_compare(conn, upload, claimed, err);
}

/* What counts is the digest of what is in the file. Behind its bytes there may be the tables of a finish that a crash
 * ended. */
static enum status finish_read(const struct upload *upload, int fd, struct ingest *ingest, int64_t position,
                               const struct ingested **file, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return disk_fail(err, "look at an incoming file");
    if (status.st_size < upload->size)
        return fail(err, UNPROCESSABLE, NULL,
                    "The file was announced with %lld bytes, but %lld are there. Nothing was kept; upload it again.",
                    (long long)upload->size, (long long)status.st_size);
    TRY(ingest_file(ingest, fd, position, upload->size - position, err));
    *file = ingest_result(ingest);
    return digest_check(upload->sha256, (*file)->sha256, err);
}

enum status parts_finish(struct store *store, struct str upload_id, int64_t repo_id, const struct part_claim *claims,
                         size_t count, struct error *err)
{
    store_assert(store);
    struct upload upload;
    auto_fd int fd = -1;
    TRY(finish_lock(store, upload_id, repo_id, &upload, &fd, err));
    if (upload.state == UPLOAD_FINISHED)
        return OK;
    TRY(claims_check(store, &upload, claims, count, err));
    int64_t position;
    auto_ingest struct ingest *ingest = running_take(store, upload.id, &position);
    struct arrival arrival = {.name = upload.id, .repo_id = repo_id, .upload = upload.id, .ingest = ingest};
    enum status status = finish_read(&upload, fd, ingest, position, &arrival.file, err);
    if (status != OK && status != UNPROCESSABLE)
        return status;
    if (status == OK)
        status = commit_arrival(store, fd, &arrival, err);
    /* After a failed sync the kernel takes what did not reach the disk for clean, so there is nothing left to try again
     * with. */
    if (status != OK) {
        fd_close(&fd);
        upload_discard(store, upload.id);
    }
    return status;
}

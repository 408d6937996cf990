/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char containers_sql[] = "SELECT name, size FROM container ORDER BY id";
static const char xorbs_of_sql[] =
    "SELECT count(*) FROM xorb JOIN container ON container.id = xorb.container_id WHERE container.name = ?";

static enum status copy_run(int in, int out, int64_t from, int64_t to, struct error *err)
{
    char *piece = malloc((size_t)MIB);
    if (!piece)
        abort();
    enum status status = OK;
    for (int64_t at = from, flushed = from; status == OK && at < to;) {
        size_t len = to - at < MIB ? (size_t)(to - at) : (size_t)MIB;
        status = pread_full(in, piece, len, at, err);
        if (status == OK)
            status = pwrite_full(out, piece, len, at, err);
        at += (int64_t)len;
        disk_flush_early(out, at, &flushed);
    }
    free(piece);
    return status;
}

/* Holes stay holes: where the bytes of swept xorbs were, nothing is copied. */
static enum status copy_bytes(const char *from, const char *to, int64_t size, struct error *err)
{
    auto_fd int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return fail_errno(err, "opening a container");
    auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return fail_errno(err, "creating a file of the backup");
    for (int64_t at = 0; at < size;) {
        int64_t data = lseek(in, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* nothing but a hole is left */
        int64_t hole = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
        if (hole < 0)
            return fail_errno(err, "looking for the bytes of a container");
        at = hole < size ? hole : size;
        TRY(copy_run(in, out, data, at, err));
    }
    if (ftruncate(out, size) != 0 || fdatasync(out) != 0)
        return fail_errno(err, "writing a file of the backup to disk");
    return OK;
}

/* A copy takes its name when it is complete, so that a backup that was broken off can be run again into the same
 * folder. */
static enum status copy_container(const char *from, const char *root, const char *to, const char *name, int64_t size,
                                  struct error *err)
{
    char partial[STORE_PATH_LIMIT];
    incoming_path(root, name, partial);
    enum status status = copy_bytes(from, partial, size, err);
    if (status == OK && rename(partial, to) != 0)
        status = fail_errno(err, "naming a file of the backup");
    if (status != OK)
        unlink(partial);
    return status;
}

static enum status backup_container(struct store *store, const char *root, struct str name, int64_t size,
                                    struct error *err)
{
    char from[STORE_PATH_LIMIT], to[STORE_PATH_LIMIT], text[NAME_SIZE];
    struct error finding = {0};
    enum status status = container_check(store->root, name, size, &finding);
    if (status != OK)
        return fail(err, status, NULL, "The backup is not complete; of a container, %s Run cairn fsck.",
                    finding.message);
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    container_path(store->root, text, from);
    container_path(root, text, to);
    TRY(container_folder_make(root, text, err));
    if (link(from, to) != 0 && errno != EEXIST)
        TRY(copy_container(from, root, to, text, size, err));
    status = container_check(root, name, size, &finding);
    return status == OK ? OK : fail(err, status, NULL, "The backup is damaged; of a container, %s", finding.message);
}

static enum status xorbs_of(struct db_conn *conn, struct str name, int64_t *count, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, xorbs_of_sql, &stmt, err));
    stmt_bind_str(stmt, 1, name);
    *count = stmt_next(stmt) ? stmt_int(stmt, 0) : 0;
    return stmt_end(stmt, err);
}

/* Called behind the copy: a sweep removes the row of a xorb before its bytes, and lets bytes alone that have a link. */
static enum status check_unswept(struct store *store, struct db_conn *snapshot, struct str name, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t named, left;
    TRY(db_reader(store->db, &conn, err));
    TRY(xorbs_of(snapshot, name, &named, err));
    TRY(xorbs_of(conn, name, &left, err));
    if (left < named)
        return fail(err, STALE, NULL,
                    "The backup is not complete: the hub removed files for good while it was made. Remove the folder "
                    "and run cairn backup again.");
    return OK;
}

enum status store_backup(struct store *store, struct db_conn *snapshot, const char *root, struct error *err)
{
    store_assert(store);
    TRY(store_root_make(root, err));
    auto_stmt struct stmt *containers = NULL;
    TRY(db_prepare(snapshot, containers_sql, &containers, err));
    while (stmt_next(containers)) {
        enum status status = backup_container(store, root, stmt_str(containers, 0), stmt_int(containers, 1), err);
        TRY(check_unswept(store, snapshot, stmt_str(containers, 0), err));
        TRY(status);
    }
    TRY(stmt_end(containers, err));
    char folder[STORE_PATH_LIMIT];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof(folder), "%s/containers/%02x", root, i);
        if (access(folder, F_OK) == 0)
            TRY(folder_sync(folder, err));
    }
    snprintf(folder, sizeof(folder), "%s/containers", root);
    return folder_sync(folder, err);
}

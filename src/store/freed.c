/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes of xorbs that have gone from a container that stays. */
#include "base/time.h"
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far longer than the time between a view's look at the rows and its lock on the bytes. */
#define RANGE_AGE_US (3600 * SECOND_US)

static const char insert_sql[] = "INSERT INTO freed_range (container_id, start, length, freed_us) VALUES (?, ?, ?, ?)";
static const char forget_sql[] = "DELETE FROM freed_range WHERE container_id = ?";
static const char delete_sql[] = "DELETE FROM freed_range WHERE container_id = ? AND start = ?";
static const char next_sql[] =
    "SELECT freed_range.container_id, freed_range.start, freed_range.length, container.name FROM freed_range"
    " JOIN container ON container.id = freed_range.container_id"
    " WHERE (freed_range.container_id, freed_range.start) > (?, ?) AND freed_range.freed_us <= ?"
    " ORDER BY freed_range.container_id, freed_range.start LIMIT 1";

enum status freed_range_insert(struct db_conn *tx, const struct freed_range *range, int64_t now, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    if (range->length == 0) /* an empty file from before the store knew chunks */
        return OK;
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, range->container);
    stmt_bind_int(insert, 2, range->start);
    stmt_bind_int(insert, 3, range->length);
    stmt_bind_int(insert, 4, now);
    return stmt_run(insert, err);
}

enum status freed_ranges_forget(struct db_conn *tx, int64_t container_id, struct error *err)
{
    auto_stmt struct stmt *forget = NULL;
    TRY(db_prepare(tx, forget_sql, &forget, err));
    stmt_bind_int(forget, 1, container_id);
    return stmt_run(forget, err);
}

static enum status write_punched(struct db_conn *tx, void *context, struct error *err)
{
    const struct freed_range *range = context;
    auto_stmt struct stmt *delete = NULL;
    TRY(db_prepare(tx, delete_sql, &delete, err));
    stmt_bind_int(delete, 1, range->container);
    stmt_bind_int(delete, 2, range->start);
    return stmt_run(delete, err);
}

/* The first one that is due behind the one given; its length is 0 at the end. */
static enum status next_due(const struct sweep *sweep, struct freed_range *range, char name[NAME_SIZE],
                            struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    TRY(db_prepare(sweep->conn, next_sql, &next, err));
    stmt_bind_int(next, 1, range->container);
    stmt_bind_int(next, 2, range->start);
    stmt_bind_int(next, 3, sweep->now - RANGE_AGE_US);
    *range = (struct freed_range){0};
    if (stmt_next(next)) {
        *range = (struct freed_range){stmt_int(next, 0), stmt_int(next, 1), stmt_int(next, 2)};
        snprintf(name, NAME_SIZE, "%.*s", STR_ARG(stmt_str(next, 3)));
    }
    return stmt_end(next, err);
}

/* *fd stays -1 when the bytes have to wait: for a reader, or for a backup that shares the file to be removed. */
static enum status range_lock(const struct sweep *sweep, const struct freed_range *range, const char *name, int *fd,
                              struct error *err)
{
    char path[STORE_PATH_LIMIT];
    struct stat file;
    container_path(sweep->store->root, name, path);
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0)
        return errno == ENOENT ? OK : disk_fail(err, "open a container to sweep");
    if (!file_lock(*fd, range->start, range->length)) {
        fd_close(fd);
        return OK;
    }
    if (fstat(*fd, &file) != 0)
        return disk_fail(err, "look at a container to sweep");
    if (file.st_nlink != 1)
        fd_close(fd);
    return OK;
}

/* The row goes last: after a crash the range is punched out once more. */
static enum status sweep_range(const struct sweep *sweep, struct freed_range *range, const char *name,
                               struct error *err)
{
    auto_fd int fd = -1;
    bool stays;
    TRY(container_stays(sweep, range->container, &stays, err));
    if (!stays || !name_valid(name)) /* the whole file counts, or will; a name of other making is for store_check() */
        return OK;
    TRY(range_lock(sweep, range, name, &fd, err));
    if (fd < 0)
        return OK;
    if (!sweep->dry_run) {
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range->start, range->length) != 0)
            return OK; /* a file system without holes keeps the bytes */
        TRY(db_write(sweep->store->db, write_punched, range, err));
    }
    sweep->freed->bytes += range->length;
    return OK;
}

enum status sweep_freed_ranges(const struct sweep *sweep, struct error *err)
{
    char name[NAME_SIZE];
    for (struct freed_range range = {0};;) {
        TRY(next_due(sweep, &range, name, err));
        if (range.length == 0)
            return OK;
        TRY(sweep_range(sweep, &range, name, err));
    }
}

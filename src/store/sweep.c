/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far longer than the time between the last byte of a file, or its last change of name, and the commit of the row that
 * names it. Files that somebody works on are locked besides. */
#define SWEEP_AGE_US (24 * 3600 * SECOND_US)

/* Clients name xorbs that they were told of for 21 days without asking again (xet-protocol 3.6); and a day of slack. */
#define MENTION_AGE_US (22 * 24 * 3600 * SECOND_US)
#define XORB_AGE_US (3600 * SECOND_US) /* of one that no client was told of */

/* A backup may have the file too (store_backup); then its bytes stay on the disk. */
static void count_file(const struct sweep *sweep, const struct stat *file)
{
    sweep->freed->files++;
    sweep->freed->bytes += file->st_nlink == 1 ? (int64_t)file->st_blocks * 512 : 0;
}

/* Runs a statement about one row by its id; true in *found when it gives a row. */
static enum status run_for(struct db_conn *conn, const char *sql, int64_t id, bool *found, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    stmt_bind_int(stmt, 1, id);
    *found = stmt_next(stmt);
    return stmt_end(stmt, err);
}

/* Objects. */

static const char unheld_sql[] =
    "SELECT id FROM object WHERE id > ? AND NOT EXISTS"
    " (SELECT 1 FROM object_hold WHERE object_hold.object_id = object.id) ORDER BY id LIMIT 1";
static const char held_sql[] = "SELECT 1 FROM object_hold WHERE object_id = ? LIMIT 1";
static const char delete_extents_sql[] = "DELETE FROM extent WHERE object_id = ?";
static const char delete_object_sql[] = "DELETE FROM object WHERE id = ?";

struct object_removal {
    int64_t id;
    bool removed;
};

static enum status write_object_removal(struct db_conn *tx, void *context, struct error *err)
{
    struct object_removal *removal = context;
    bool held, row;
    TRY(run_for(tx, held_sql, removal->id, &held, err));
    if (held)
        return OK;
    TRY(run_for(tx, delete_extents_sql, removal->id, &row, err));
    TRY(run_for(tx, delete_object_sql, removal->id, &row, err));
    removal->removed = true;
    return OK;
}

static enum status next_unheld(struct db_conn *conn, int64_t after, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    TRY(db_prepare(conn, unheld_sql, &next, err));
    stmt_bind_int(next, 1, after);
    *id = stmt_next(next) ? stmt_int(next, 0) : 0;
    return stmt_end(next, err);
}

static enum status sweep_objects(const struct sweep *sweep, struct error *err)
{
    for (struct object_removal removal = {0};;) {
        TRY(next_unheld(sweep->conn, removal.id, &removal.id, err));
        if (removal.id == 0)
            return OK;
        removal.removed = sweep->dry_run;
        if (!sweep->dry_run)
            TRY(db_write(sweep->store->db, write_object_removal, &removal, err));
        sweep->freed->objects += removal.removed;
    }
}

/* Xorbs. */

/* Objects without a hold count as gone, so that a dry run sees what the sweep will see. */
#define FORGOTTEN "xorb.mentioned_us < ? AND (xorb.mentioned_us > 0 OR xorb.created_us < ?)"
#define SPARE                                                                                                          \
    FORGOTTEN " AND NOT EXISTS (SELECT 1 FROM extent JOIN object_hold ON object_hold.object_id = extent.object_id"     \
              " WHERE extent.xorb_id = xorb.id)"

static const char next_container_sql[] =
    "SELECT xorb.container_id, container.name FROM xorb JOIN container ON container.id = xorb.container_id"
    " WHERE xorb.container_id > ? AND " SPARE " ORDER BY xorb.container_id LIMIT 1";
static const char staying_sql[] = "SELECT 1 FROM xorb WHERE xorb.container_id = ? AND NOT (" SPARE ") LIMIT 1";
static const char next_xorb_sql[] = "SELECT xorb.id, xorb.start, xorb.stored FROM xorb WHERE xorb.container_id = ?"
                                    " AND " SPARE " AND xorb.id > ? ORDER BY xorb.id LIMIT 1";
static const char still_spare_sql[] = "SELECT 1 FROM xorb WHERE xorb.id = ? AND " FORGOTTEN
                                      " AND NOT EXISTS (SELECT 1 FROM extent WHERE extent.xorb_id = xorb.id)";
static const char delete_keys_sql[] = "DELETE FROM dedup_key WHERE xorb_id = ?";
static const char delete_senders_sql[] = "DELETE FROM xorb_sender WHERE xorb_id = ?";
static const char delete_xorb_sql[] = "DELETE FROM xorb WHERE id = ?";
static const char has_xorbs_sql[] = "SELECT 1 FROM xorb WHERE container_id = ? LIMIT 1";
static const char delete_container_sql[] = "DELETE FROM container WHERE id = ?";

static enum status prepare_spare(const struct sweep *sweep, struct db_conn *conn, const char *sql, int64_t id,
                                 struct stmt **out, struct error *err)
{
    TRY(db_prepare(conn, sql, out, err));
    stmt_bind_int(*out, 1, id);
    stmt_bind_int(*out, 2, sweep->now - MENTION_AGE_US);
    stmt_bind_int(*out, 3, sweep->now - XORB_AGE_US);
    return OK;
}

static enum status spare_row(const struct sweep *sweep, struct db_conn *conn, const char *sql, int64_t id, bool *found,
                             struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(prepare_spare(sweep, conn, sql, id, &find, err));
    *found = stmt_next(find);
    return stmt_end(find, err);
}

enum status container_stays(const struct sweep *sweep, int64_t container_id, bool *stays, struct error *err)
{
    return spare_row(sweep, sweep->conn, staying_sql, container_id, stays, err);
}

struct xorb_removal {
    const struct sweep *sweep;
    int64_t id;
    struct freed_range range;
    bool removed, container_removed;
};

/* A row of a range hangs on that of its container. */
static enum status free_range(struct db_conn *tx, struct xorb_removal *removal, struct error *err)
{
    const struct freed_range *range = &removal->range;
    bool stays, row;
    TRY(run_for(tx, has_xorbs_sql, range->container, &stays, err));
    if (stays)
        return freed_range_insert(tx, range, removal->sweep->now, err);
    TRY(freed_ranges_forget(tx, range->container, err));
    TRY(run_for(tx, delete_container_sql, range->container, &row, err));
    removal->container_removed = true;
    return OK;
}

/* Whoever builds on a xorb mentions it first and names it in a write of his own: he finds it, or that it has gone. */
static enum status write_xorb_removal(struct db_conn *tx, void *context, struct error *err)
{
    static const char *const deletes[] = {delete_keys_sql, delete_senders_sql, delete_xorb_sql};
    struct xorb_removal *removal = context;
    bool row;
    TRY(spare_row(removal->sweep, tx, still_spare_sql, removal->id, &removal->removed, err));
    if (!removal->removed)
        return OK;
    for (size_t i = 0; i < sizeof(deletes) / sizeof(deletes[0]); i++)
        TRY(run_for(tx, deletes[i], removal->id, &row, err));
    return free_range(tx, removal, err);
}

static enum status next_spare_xorb(struct xorb_removal *removal, bool *found, struct error *err)
{
    const struct sweep *sweep = removal->sweep;
    auto_stmt struct stmt *next = NULL;
    TRY(prepare_spare(sweep, sweep->conn, next_xorb_sql, removal->range.container, &next, err));
    stmt_bind_int(next, 4, removal->id);
    *found = stmt_next(next);
    if (*found) {
        removal->id = stmt_int(next, 0);
        removal->range.start = stmt_int(next, 1);
        removal->range.length = stmt_int(next, 2);
    }
    return stmt_end(next, err);
}

/* A container of which nothing stays is removed as a whole, which leaves its readers undisturbed; of others the bytes
 * of spare xorbs go later (freed.c). */
static enum status sweep_container(const struct sweep *sweep, int64_t id, const char *name, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    struct xorb_removal removal = {.sweep = sweep, .range.container = id};
    struct stat file;
    bool stays, found;
    container_path(sweep->store->root, name, path);
    TRY(container_stays(sweep, id, &stays, err));
    for (;;) {
        TRY(next_spare_xorb(&removal, &found, err));
        if (!found)
            break;
        removal.removed = sweep->dry_run;
        if (!sweep->dry_run)
            TRY(db_write(sweep->store->db, write_xorb_removal, &removal, err));
        sweep->freed->xorbs += removal.removed;
    }
    if (sweep->dry_run ? stays : !removal.container_removed)
        return OK;
    if (lstat(path, &file) != 0)
        return errno == ENOENT ? OK : disk_fail(err, "look at a container to sweep");
    count_file(sweep, &file);
    if (!sweep->dry_run && unlink(path) != 0 && errno != ENOENT)
        return disk_fail(err, "remove a container");
    return OK;
}

/* The rows go first: a file without a row is swept some day, a row without its file would be damage. */
static enum status sweep_xorbs(const struct sweep *sweep, struct error *err)
{
    for (int64_t id = 0;;) {
        char name[NAME_SIZE] = "";
        auto_stmt struct stmt *next = NULL;
        TRY(prepare_spare(sweep, sweep->conn, next_container_sql, id, &next, err));
        bool found = stmt_next(next);
        if (found) {
            id = stmt_int(next, 0);
            snprintf(name, sizeof(name), "%.*s", STR_ARG(stmt_str(next, 1)));
        }
        TRY(stmt_end(next, err));
        if (!found)
            return OK;
        if (name_valid(name)) /* what else stands there is for store_check() to tell */
            TRY(sweep_container(sweep, id, name, err));
    }
}

/* Files without rows. */

static const char container_named_sql[] = "SELECT 1 FROM container WHERE name = ?";
static const char upload_named_sql[] = "SELECT 1 FROM upload WHERE id = ? AND state = 0";

static enum status row_exists(struct db_conn *conn, const char *sql, const char *name, bool *exists, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    stmt_bind_str(stmt, 1, str_of(name));
    *exists = stmt_next(stmt);
    return stmt_end(stmt, err);
}

/* The time of the last change counts, not that of the last write: a new name is a change too. */
static bool is_old(const struct sweep *sweep, const struct stat *status)
{
    return (int64_t)status->st_ctim.tv_sec * SECOND_US + status->st_ctim.tv_nsec / 1000 < sweep->before_us;
}

/*
 * Opens and locks a file that is old and that nobody works on; *fd stays -1 when it is to be left alone. The row is
 * looked for only after that: whoever had the file under lock may have committed it in the meantime.
 */
static enum status old_file_lock(const struct sweep *sweep, const char *path, int *fd, struct error *err)
{
    struct stat status;
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0)
        return errno == ENOENT ? OK : disk_fail(err, "open a file to sweep");
    if (fstat(*fd, &status) != 0)
        return disk_fail(err, "look at a file to sweep");
    if (!S_ISREG(status.st_mode) || !is_old(sweep, &status) || !file_lock(*fd, 0, 0))
        fd_close(fd);
    return OK;
}

static enum status count_open_file(const struct sweep *sweep, int fd, struct error *err)
{
    struct stat file;
    if (fstat(fd, &file) != 0)
        return disk_fail(err, "look at a file to sweep");
    count_file(sweep, &file);
    return OK;
}

static enum status sweep_file(const struct sweep *sweep, const char *folder, const char *name, const char *named_sql,
                              struct error *err)
{
    char path[STORE_PATH_LIMIT];
    bool named;
    auto_fd int fd = -1;
    TRY(row_exists(sweep->conn, named_sql, name, &named, err));
    if (named)
        return OK;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    TRY(old_file_lock(sweep, path, &fd, err));
    if (fd < 0)
        return OK;
    TRY(row_exists(sweep->conn, named_sql, name, &named, err));
    if (named)
        return OK;
    TRY(count_open_file(sweep, fd, err));
    if (!sweep->dry_run && unlink(path) != 0 && errno != ENOENT)
        return disk_fail(err, "remove a file that nothing names");
    return OK;
}

static void folder_close(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* Only files with names of our making are looked at; what else is there belongs to somebody else. */
static enum status sweep_folder(const struct sweep *sweep, const char *path, const char *named_sql, struct error *err)
{
    __attribute__((cleanup(folder_close))) DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? OK : disk_fail(err, "read one of its folders"); /* nothing large was stored yet */
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (name_valid(entry->d_name))
            TRY(sweep_file(sweep, path, entry->d_name, named_sql, err));
    }
    return OK;
}

static const char old_upload_sql[] = "SELECT id FROM upload WHERE id > ? AND changed_us < ? ORDER BY id LIMIT 1";
static const char finished_sql[] = "SELECT 1 FROM upload WHERE id = ? AND state = 1";

static enum status next_old_upload(const struct sweep *sweep, char id[NAME_SIZE], bool *found, struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    char last[NAME_SIZE];
    memcpy(last, id, NAME_SIZE);
    TRY(db_prepare(sweep->conn, old_upload_sql, &next, err));
    stmt_bind_str(next, 1, str_of(last));
    stmt_bind_int(next, 2, sweep->before_us);
    *found = stmt_next(next);
    if (*found)
        snprintf(id, NAME_SIZE, "%.*s", STR_ARG(stmt_str(next, 0)));
    return stmt_end(next, err);
}

/*
 * A large upload may take days; it is old when its file is. One that is finished is only rows, and so is one whose file
 * is lost, but not while that file is already a container: then it is being finished.
 */
static enum status sweep_upload(const struct sweep *sweep, const char *id, struct error *err)
{
    auto_fd int fd = -1;
    char incoming[STORE_PATH_LIMIT], container[STORE_PATH_LIMIT];
    bool finished;
    incoming_path(sweep->store->root, id, incoming);
    container_path(sweep->store->root, id, container);
    TRY(old_file_lock(sweep, incoming, &fd, err));
    TRY(row_exists(sweep->conn, finished_sql, id, &finished, err));
    if (fd >= 0)
        TRY(count_open_file(sweep, fd, err));
    bool lost = access(incoming, F_OK) != 0 && access(container, F_OK) != 0;
    if (!sweep->dry_run && (finished || fd >= 0 || lost))
        upload_discard(sweep->store, id);
    return OK;
}

static enum status sweep_uploads(const struct sweep *sweep, struct error *err)
{
    bool found;
    char id[NAME_SIZE] = "";
    for (;;) {
        TRY(next_old_upload(sweep, id, &found, err));
        if (!found)
            return OK;
        TRY(sweep_upload(sweep, id, err));
    }
}

/* A backup shares it, for as long as what it copies must stay; a sweep has it alone. */
static enum status sweep_lock_open(const struct store *store, int *fd, struct error *err)
{
    char path[STORE_PATH_LIMIT];
    snprintf(path, sizeof(path), "%s/sweep.lock", store->root);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd < 0 ? disk_fail(err, "open its sweep.lock") : OK;
}

enum status store_hold_sweep(struct store *store, int *fd, struct error *err)
{
    store_assert(store);
    TRY(sweep_lock_open(store, fd, err));
    while (flock(*fd, LOCK_SH) != 0)
        if (errno != EINTR)
            return disk_fail(err, "lock its sweep.lock");
    return OK;
}

static enum status sweep_all(const struct sweep *sweep, struct error *err)
{
    char folder[STORE_PATH_LIMIT];
    TRY(sweep_uploads(sweep, err));
    TRY(sweep_objects(sweep, err));
    TRY(sweep_xorbs(sweep, err));
    TRY(sweep_freed_ranges(sweep, err));
    snprintf(folder, sizeof(folder), "%s/incoming", sweep->store->root);
    TRY(sweep_folder(sweep, folder, upload_named_sql, err));
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof(folder), "%s/containers/%02x", sweep->store->root, i);
        TRY(sweep_folder(sweep, folder, container_named_sql, err));
    }
    return OK;
}

enum status store_sweep(struct store *store, int64_t now, bool dry_run, struct store_freed *out, struct error *err)
{
    store_assert(store);
    *out = (struct store_freed){0};
    auto_fd int lock = -1;
    auto_conn struct db_conn *conn = NULL;
    if (!dry_run)
        TRY(sweep_lock_open(store, &lock, err));
    if (!dry_run && flock(lock, LOCK_EX | LOCK_NB) != 0) {
        out->busy = errno == EWOULDBLOCK;
        return out->busy ? OK : disk_fail(err, "lock its sweep.lock");
    }
    TRY(db_reader(store->db, &conn, err));
    const struct sweep sweep = {
        .store = store, .conn = conn, .now = now, .before_us = now - SWEEP_AGE_US, .dry_run = dry_run, .freed = out};
    return sweep_all(&sweep, err);
}

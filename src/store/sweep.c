/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far longer than the time between the last byte of a file, or its last change of name, and the commit of the row that
 * names it. Files that somebody works on are locked besides. */
#define SWEEP_AGE_US (24 * 3600 * SECOND_US)

struct sweep {
    struct store *store;
    struct db_conn *conn;
    int64_t before_us; /* what was touched later stays */
};

static const char unheld_sql[] =
    "SELECT id FROM object WHERE id > ? AND NOT EXISTS"
    " (SELECT 1 FROM object_hold WHERE object_hold.object_id = object.id) ORDER BY id LIMIT 1";
static const char held_sql[] = "SELECT 1 FROM object_hold WHERE object_id = ? LIMIT 1";
static const char raw_containers_sql[] =
    "SELECT DISTINCT container.name FROM extent JOIN container ON container.id = extent.container_id"
    " WHERE extent.object_id = ? AND container.kind = 0";
static const char delete_extents_sql[] = "DELETE FROM extent WHERE object_id = ?";
static const char delete_object_sql[] = "DELETE FROM object WHERE id = ?";
static const char delete_container_sql[] = "DELETE FROM container WHERE name = ? AND NOT EXISTS"
                                           " (SELECT 1 FROM extent WHERE extent.container_id = container.id)";

struct removal {
    int64_t object_id;
    struct buf names; /* of the containers that go with it, NAME_SIZE bytes each */
};

/* Runs a statement about one object; true in *found when it has a row. */
static enum status run_for_object(struct db_conn *conn, const char *sql, int64_t object_id, bool *found,
                                  struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    stmt_bind_int(stmt, 1, object_id);
    *found = stmt_next(stmt);
    return stmt_end(stmt, err);
}

static enum status raw_containers(struct db_conn *tx, int64_t object_id, struct buf *names, struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    TRY(db_prepare(tx, raw_containers_sql, &list, err));
    stmt_bind_int(list, 1, object_id);
    while (stmt_next(list)) {
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "%.*s", STR_ARG(stmt_str(list, 0)));
        if (name_valid(name))
            buf_add(names, name, NAME_SIZE);
    }
    return stmt_end(list, err);
}

static enum status delete_container(struct db_conn *tx, const char *name, bool *deleted, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, delete_container_sql, &stmt, err));
    stmt_bind_str(stmt, 1, str_of(name));
    TRY(stmt_run(stmt, err));
    *deleted = db_changes(tx) == 1;
    return OK;
}

static enum status write_removal(struct db_conn *tx, void *context, struct error *err)
{
    struct removal *removal = context;
    auto_buf struct buf names = {0};
    bool held, deleted;
    removal->names.len = 0;
    TRY(run_for_object(tx, held_sql, removal->object_id, &held, err));
    if (held)
        return OK;
    TRY(raw_containers(tx, removal->object_id, &names, err));
    TRY(run_for_object(tx, delete_extents_sql, removal->object_id, &deleted, err));
    TRY(run_for_object(tx, delete_object_sql, removal->object_id, &deleted, err));
    for (size_t at = 0; at < names.len; at += NAME_SIZE) {
        TRY(delete_container(tx, names.data + at, &deleted, err));
        if (deleted)
            buf_add(&removal->names, names.data + at, NAME_SIZE);
    }
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

/* The rows go first: a file without a row is swept some day, a row without its file would be damage. */
static enum status sweep_objects(struct sweep *sweep, struct error *err)
{
    for (int64_t id = 0;;) {
        TRY(next_unheld(sweep->conn, id, &id, err));
        if (id == 0)
            return OK;
        struct removal removal = {.object_id = id};
        enum status status = db_write(sweep->store->db, write_removal, &removal, err);
        for (size_t at = 0; status == OK && at < removal.names.len; at += NAME_SIZE) {
            char path[STORE_PATH_LIMIT];
            container_path(sweep->store->root, removal.names.data + at, path);
            unlink(path);
        }
        buf_free(&removal.names);
        TRY(status);
    }
}

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
    if (!named && unlink(path) != 0 && errno != ENOENT)
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
        return disk_fail(err, "read one of its folders");
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
    if (finished || fd >= 0 || (access(incoming, F_OK) != 0 && access(container, F_OK) != 0))
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

enum status store_sweep(struct store *store, int64_t now, struct error *err)
{
    store_assert(store);
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    struct sweep sweep = {.store = store, .conn = conn, .before_us = now - SWEEP_AGE_US};
    char folder[STORE_PATH_LIMIT];
    TRY(sweep_uploads(&sweep, err));
    TRY(sweep_objects(&sweep, err));
    snprintf(folder, sizeof(folder), "%s/incoming", store->root);
    TRY(sweep_folder(&sweep, folder, upload_named_sql, err));
    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof(folder), "%s/containers/%02x", store->root, i);
        TRY(sweep_folder(&sweep, folder, container_named_sql, err));
    }
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "db/sqlite.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum status check_structure(struct db_conn *conn, struct error *err)
{
    auto_stmt struct stmt *check = NULL;
    TRY(db_prepare(conn, "PRAGMA integrity_check(1)", &check, err));
    enum status status = OK;
    while (stmt_next(check))
        if (status == OK && !str_eq(stmt_str(check, 0), STR("ok")))
            status = fail(err, CORRUPT, NULL, "The database is damaged (%.*s). Restore it from a backup.",
                          STR_ARG(stmt_str(check, 0)));
    TRY(stmt_end(check, err));
    return status;
}

static enum status check_keys(struct db_conn *conn, struct error *err)
{
    auto_stmt struct stmt *check = NULL;
    TRY(db_prepare(conn, "PRAGMA foreign_key_check", &check, err));
    if (stmt_next(check))
        return fail(err, CORRUPT, NULL,
                    "The database is damaged (row %lld of %.*s names a row of %.*s that is missing).",
                    (long long)stmt_int(check, 1), STR_ARG(stmt_str(check, 0)), STR_ARG(stmt_str(check, 2)));
    return stmt_end(check, err);
}

enum status db_check(struct db *db, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(check_structure(conn, err));
    return check_keys(conn, err);
}

/* All pages in one step see one snapshot, and in WAL mode that holds nobody up. */
static enum status copy_pages(struct db_conn *from, const char *path, struct error *err)
{
    struct db_conn to = {0};
    int code =
        sqlite3_open_v2(path, &to.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    /* We sync the file when it is whole, and throw it away when it is not. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(to.handle, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL, NULL);
    sqlite3_backup *backup = code == SQLITE_OK ? sqlite3_backup_init(to.handle, "main", from->handle, "main") : NULL;
    if (backup != NULL) {
        sqlite3_backup_step(backup, -1);
        code = sqlite3_backup_finish(backup);
    } else if (code == SQLITE_OK) {
        code = sqlite3_extended_errcode(to.handle);
    }
    enum status status = code == SQLITE_OK ? OK : conn_fail(&to, code, err);
    sqlite3_close(to.handle);
    return status;
}

static enum status sync_file(const char *path, struct error *err)
{
    auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? OK : fail_errno(err, "cannot write the backup");
}

static enum status fail_exists(const char *path, struct error *err)
{
    return fail(err, CONFLICT, NULL, "%s exists already, and a backup never replaces a file.", path);
}

static bool exists(const char *path)
{
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Puts the finished file in its place. File systems that cannot refuse to replace one (NFS) have to be asked first. */
static enum status put_in_place(const char *temporary, const char *path, struct error *err)
{
    int code = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
    if (code != 0 && errno == EINVAL && !exists(path))
        code = rename(temporary, path);
    if (code != 0 && exists(path))
        return fail_exists(path, err);
    if (code != 0)
        return fail_errno(err, "cannot name the backup");

    auto_buf struct buf folder = {0};
    buf_add(&folder, path, strlen(path) + 1);
    return folder_sync(dirname(folder.data), err);
}

/*
 * The copy gets its name when it is whole, so that a crash on the way leaves nothing that looks like a backup. The name
 * starts with a folder, so that SQLite cannot take it for ":memory:".
 */
enum status db_backup(struct db *db, const char *path, struct error *err)
{
    if (exists(path))
        return fail_exists(path, err);
    auto_buf struct buf temporary = {0};
    buf_printf(&temporary, "%s%s.XXXXXX", path[0] == '/' ? "" : "./", path);
    buf_byte(&temporary, '\0');
    auto_fd int fd = mkostemp(temporary.data, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return fail_errno(err, "cannot create the backup");
    fd_close(&fd);

    auto_conn struct db_conn *from = NULL;
    enum status status = db_reader(db, &from, err);
    if (status == OK)
        status = copy_pages(from, temporary.data, err);
    if (status == OK)
        status = sync_file(temporary.data, err);
    if (status == OK)
        status = put_in_place(temporary.data, path, err);
    if (status != OK)
        unlink(temporary.data);
    return status;
}

/* Deleted cells are zeroed in their pages (secure_delete); older copies of the pages are in the log until it is cut
 * off. */
enum status db_forget(struct db *db, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *fold = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "PRAGMA wal_checkpoint(TRUNCATE)", &fold, err));
    bool done = stmt_next(fold) && stmt_int(fold, 0) == 0;
    TRY(stmt_end(fold, err));
    return done ? OK
                : fail(err, UNAVAILABLE, NULL,
                       "What was deleted is still being read, so copies of it stay on the disk for now. Try again.");
}

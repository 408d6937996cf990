/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/sqlite.h"
#include "base/file.h"
#include "base/time.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BUSY_LIMIT_US (10 * SECOND_US)

static const char writer_setup[] = "PRAGMA synchronous = FULL;"
                                   "PRAGMA foreign_keys = ON;"
                                   "PRAGMA cache_size = -16384;"
                                   /* Savepoints keep old pages in a temporary file unless told otherwise, and that file
                                    * could find its disk full. */
                                   "PRAGMA temp_store = MEMORY;"
                                   "PRAGMA secure_delete = ON;" /* Debian's default; db_forget() relies on it */
                                   /* Pages are folded back into the database after so many, by the writer, while all
                                    * wait. Most of them are the same few again and again: four times as seldom is a
                                    * quarter of the work. */
                                   "PRAGMA wal_autocheckpoint = 4000;"
                                   "PRAGMA journal_size_limit = 67108864;";

static const char reader_setup[] = "PRAGMA query_only = ON;"
                                   "PRAGMA cache_size = -512;"
                                   "PRAGMA mmap_size = 268435456;"
                                   "PRAGMA temp_store = MEMORY;";

/* A quota or a limit on the size of files (ulimit -f) is as good as a full disk. */
static bool is_full(int system_error)
{
    return system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG;
}

/*
 * What the system said about a failed read or write. SQLite asks for errno late, after the failing transaction has been
 * cleaned up, so for the log we take what was kept with the file.
 */
static int system_error_of(sqlite3 *handle, int code)
{
    int error = sqlite3_system_errno(handle);
    if (code != SQLITE_IOERR_WRITE && code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_TRUNCATE)
        return error;
    int kept = 0;
    sqlite3_file *log = NULL;
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log != NULL && log->pMethods != NULL)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &kept);
    return kept != 0 ? kept : error;
}

static enum status status_of(int code, int system_error)
{
    if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID ||
        code == SQLITE_CONSTRAINT_FOREIGNKEY)
        return CONFLICT;
    if (code == SQLITE_IOERR_CORRUPTFS)
        return CORRUPT;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return NO_SPACE;
    case SQLITE_IOERR:
        return is_full(system_error) ? NO_SPACE : UNAVAILABLE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
        return UNAVAILABLE;
    case SQLITE_TOOBIG:
        return TOO_LARGE;
    default:
        return INTERNAL;
    }
}

static const char *sentence_of(enum status status)
{
    switch (status) {
    case CONFLICT:
        return "This clashes with what is stored already (%s).";
    case NO_SPACE:
        return "The disk that holds the database is full, so nothing was changed (%s). Free some space and try again.";
    case CORRUPT:
        return "The database is damaged (%s). Run cairn fsck, and restore it from a backup.";
    case UNAVAILABLE:
        return "The database cannot be used at the moment (%s).";
    case TOO_LARGE:
        return "A value is too large for the database (%s).";
    default:
        return "The database refused a statement (%s).";
    }
}

enum status conn_fail(struct db_conn *conn, int code, struct error *err)
{
    /* "Aborted" says that the transaction went down under a statement; why it did is what came before. */
    if ((code & 0xff) != SQLITE_ABORT || conn->failure.status == OK) {
        /* The connection's message is richer, but belongs to another call when its code is another. */
        bool own = sqlite3_extended_errcode(conn->handle) == code;
        const char *reason = own ? sqlite3_errmsg(conn->handle) : sqlite3_errstr(code);
        enum status status = status_of(code, system_error_of(conn->handle, code));
        fail(&conn->failure, status, NULL, sentence_of(status), reason);
        conn->failure_code = code;
    }
    if (err != NULL)
        *err = conn->failure;
    return conn->failure.status;
}

/*
 * Another process that writes all the time leaves the lock free only for moments, so we look often: SQLite's own
 * handler sleeps 100 ms at a time and can miss such moments for all of its ten seconds.
 */
static int wait_for_lock(void *context, int tries)
{
    struct db_conn *conn = context;
    if (tries == 0)
        conn->busy_since_us = monotonic_us();
    else if (monotonic_us() - conn->busy_since_us > BUSY_LIMIT_US)
        return 0;
    nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    return 1;
}

/* Without the statistics malloc needs no global lock; file names are never URIs here. */
static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_URI, 0);
}

static enum status conn_open(const char *path, struct db_conn **out, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_sqlite);

    struct db_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        abort();
    conn->magic = CONN_MAGIC;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &conn->handle, flags, NULL);
    if (conn->handle == NULL)
        abort();
    if (code != SQLITE_OK) {
        enum status status = conn_fail(conn, code, err);
        conn_close(conn);
        return status;
    }
    sqlite3_busy_handler(conn->handle, wait_for_lock, conn);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    *out = conn;
    return OK;
}

void conn_close(struct db_conn *conn)
{
    assert(conn->magic == CONN_MAGIC && conn->stmts_lent == 0);
    conn_free_statements(conn);
    int code = sqlite3_close(conn->handle);
    assert(code == SQLITE_OK);
    conn->magic = 0;
    free(conn);
}

static enum status wal_begin(struct db_conn *conn, struct error *err)
{
    auto_stmt struct stmt *mode = NULL;
    TRY(db_prepare(conn, "PRAGMA journal_mode = WAL", &mode, err));
    bool wal = stmt_next(mode) && str_eq(stmt_str(mode, 0), STR("wal"));
    TRY(stmt_end(mode, err));
    if (!wal)
        return fail(err, UNAVAILABLE, NULL, "The file system of the database does not support shared memory.");
    return OK;
}

/* The switch to WAL does not wait for other processes that do the same with a new file, so we wait for them. */
static enum status wal_begin_patiently(struct db_conn *conn, struct error *err)
{
    int64_t start = monotonic_us();
    enum status status;
    while ((status = wal_begin(conn, err)) == UNAVAILABLE && (conn->failure_code & 0xff) == SQLITE_BUSY &&
           monotonic_us() - start < BUSY_LIMIT_US)
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    return status;
}

static enum status writer_prepare(struct db_conn *conn, struct error *err)
{
    /* SQLite opens a file that we may only read all the same, and each write would fail later. */
    if (sqlite3_db_readonly(conn->handle, "main") == 1)
        return fail(err, UNAVAILABLE, NULL, "The database may not be written by this user.");
    TRY(db_exec(conn, "PRAGMA page_size = 8192", err)); /* works on a new file only */
    TRY(wal_begin_patiently(conn, err));
    TRY(db_exec(conn, writer_setup, err));
    return db_exec(conn, "SELECT 1 FROM sqlite_master LIMIT 1", err); /* parses the schema: is it a database at all? */
}

enum status conn_open_writer(const char *path, struct db_conn **out, struct error *err)
{
    struct db_conn *conn = NULL;
    TRY(conn_open(path, &conn, err));
    enum status status = writer_prepare(conn, err);
    if (status != OK) {
        conn_close(conn);
        return status;
    }
    *out = conn;
    return OK;
}

enum status conn_open_reader(const char *path, struct db_conn **out, struct error *err)
{
    struct db_conn *conn = NULL;
    TRY(conn_open(path, &conn, err));
    enum status status = db_exec(conn, reader_setup, err);
    if (status != OK) {
        conn_close(conn);
        return status;
    }
    *out = conn;
    return OK;
}

/*
 * Makes the file ourselves when it is missing, because SQLite would let the umask decide who can read it; SQLite gives
 * the files beside it the same mode. A file that exists is not opened here: to close it again would drop the locks that
 * another connection of this process may hold.
 */
static enum status file_create(const char *path, struct error *err)
{
    auto_fd int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno == EEXIST)
        return OK;
    struct error reason;
    if (fail_errno(&reason, "cannot create the database") == NO_SPACE)
        return fail(err, NO_SPACE, NULL, "%s", reason.message);
    return fail(err, UNAVAILABLE, NULL, "%s", reason.message);
}

enum status db_open(const char *path, struct db **out, struct error *err)
{
    TRY(file_create(path, err));
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return fail(err, UNAVAILABLE, NULL, "The database cannot be found (%s).", strerror(errno));
    struct db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        abort();
    db->magic = DB_MAGIC;
    db->path = absolute;
    enum status status = conn_open_writer(absolute, &db->writer.conn, err);
    if (status == OK && (status = writer_start(db, err)) != OK)
        conn_close(db->writer.conn);
    if (status != OK) {
        free(db->path);
        free(db);
        return status;
    }
    pool_init(&db->pool);
    *out = db;
    return OK;
}

void db_close(struct db *db)
{
    assert(db->magic == DB_MAGIC);
    writer_stop(db);
    pool_close(&db->pool);
    /* The last connection to close does this itself; when another process has one, it need not inherit our log. */
    sqlite3_wal_checkpoint_v2(db->writer.conn->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    conn_close(db->writer.conn);
    db->magic = 0;
    free(db->path);
    free(db);
}

enum status db_exec(struct db_conn *conn, const char *sql, struct error *err)
{
    assert(conn->magic == CONN_MAGIC);
    const char *rest = sql;
    while (*rest != '\0') {
        sqlite3_stmt *handle = NULL;
        int code = sqlite3_prepare_v2(conn->handle, rest, -1, &handle, &rest);
        if (code == SQLITE_OK && handle == NULL)
            continue; /* white space or a comment */
        if (code == SQLITE_OK && conn->in_job && sqlite3_get_autocommit(conn->handle))
            code = SQLITE_ABORT_ROLLBACK;
        while (code == SQLITE_OK || code == SQLITE_ROW)
            code = sqlite3_step(handle);
        enum status status = code == SQLITE_DONE ? OK : conn_fail(conn, code, err);
        sqlite3_finalize(handle);
        TRY(status);
    }
    return OK;
}

int64_t db_changes(struct db_conn *tx)
{
    assert(tx->magic == CONN_MAGIC);
    return sqlite3_changes64(tx->handle);
}

int64_t db_last_id(struct db_conn *tx)
{
    assert(tx->magic == CONN_MAGIC);
    return sqlite3_last_insert_rowid(tx->handle);
}

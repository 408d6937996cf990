/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_DB_DB_H
#define CAIRN_DB_DB_H

#include "base/error.h"
#include "base/str.h"

/*
 * The database: many readers, one queue of writers. sqlite.c stands behind this header today; the header names nothing
 * of SQLite, so that postgres.c can stand beside it.
 *
 * SQL is the subset that both speak, with ? for parameters, written as static strings: a connection keeps the prepared
 * statement of each string it has seen, found by its address.
 */
struct db;
struct db_conn; /* a connection lent out: a reader's, or the transaction of a write */
struct stmt;    /* a prepared statement lent out by its connection */

/*
 * Opens or creates the database at path (a file, mode 0600) and starts the writer thread. UNAVAILABLE when the disk
 * does not let us, CORRUPT when the file is not a database or its header is damaged.
 */
enum status db_open(const char *path, struct db **out, struct error *err);
void db_close(struct db *db); /* waits for queued writes; all readers have been released */

/* Reading. */

/*
 * Lends a read connection to the calling thread until db_release(). Each statement sees all writes acknowledged before
 * it began; but while one is between its first row and its end, others of the same connection share its view.
 * UNAVAILABLE when all readers stay lent out for ten seconds.
 */
enum status db_reader(struct db *db, struct db_conn **out, struct error *err);
/*
 * From the next statement until db_release() all statements of the reader see one and the same state. Also the cheaper
 * way to run several: the lock is taken once. Not for long: what is written meanwhile cannot be folded back into the
 * database file.
 */
enum status db_snapshot(struct db_conn *conn, struct error *err);
void db_release(struct db_conn **conn); /* sets *conn to NULL; nothing when it is NULL already */
#define auto_conn __attribute__((cleanup(db_release)))

/* Writing. */

/*
 * Runs fn on the writer thread inside a transaction and returns once it is durable (fsync), or with fn's error and
 * nothing changed. Writes that wait together share one transaction and one fsync, each under its own savepoint; so fn
 * must be short, must do nothing but SQL on tx and memory, and sees what earlier writes of the group did. fn must not
 * call db_write(). CORRUPT, NO_SPACE (disk full) and UNAVAILABLE also come from the commit.
 */
typedef enum status db_write_fn(struct db_conn *tx, void *context, struct error *err);
enum status db_write(struct db *db, db_write_fn *fn, void *context, struct error *err);

/*
 * From now on fn runs once for each group of writes, on the writer thread, after the last of them and before the
 * commit, when at least one has succeeded: it sees what they did and may write more. When it fails, all writes of the
 * group fail with its error and nothing is changed; when the commit fails after it, what it did elsewhere has to be put
 * right by fn itself, the next time. It may write to another database, never to this one. NULL: no longer.
 */
void db_before_commit(struct db *db, db_write_fn *fn, void *context);

/* Statements. */

#define auto_stmt __attribute__((cleanup(stmt_release)))

/* sql must be a string that lives as long as the connection: a static one. *out is given back by stmt_release(). */
enum status db_prepare(struct db_conn *conn, const char *sql, struct stmt **out, struct error *err);
void stmt_release(struct stmt **stmt); /* sets *stmt to NULL */

/*
 * Positions count from 1. Text and blobs are not copied: they must live until the statement is released or reset, which
 * also forgets all values. Each parameter needs one before the first stmt_next(), NULL by name too; INTERNAL otherwise.
 */
void stmt_bind_int(struct stmt *stmt, int position, int64_t value);
void stmt_bind_str(struct stmt *stmt, int position, struct str value); /* NULL when absent; text */
void stmt_bind_blob(struct stmt *stmt, int position, const void *data, size_t len);
void stmt_bind_null(struct stmt *stmt, int position);

/*
 * Steps to the next row. The loop is  while (stmt_next(s)) { … }  TRY(stmt_end(s, err));  an error ends the loop and is
 * remembered for stmt_end(). A failed UNIQUE or FOREIGN KEY constraint is CONFLICT.
 */
bool stmt_next(struct stmt *stmt);
enum status stmt_end(struct stmt *stmt, struct error *err); /* also resets, so that it can be bound and run again */
enum status stmt_run(struct stmt *stmt, struct error *err); /* for statements without rows: next until done, then end */

/* Columns count from 0. Views are valid until the next stmt_next, stmt_end or release. */
int64_t stmt_int(struct stmt *stmt, int column);
struct str stmt_str(struct stmt *stmt, int column); /* text or blob; absent when NULL */
bool stmt_is_null(struct stmt *stmt, int column);

int64_t
db_changes(struct db_conn *tx); /* rows changed by the last statement run on tx: the answer of a compare-and-swap */
int64_t db_last_id(struct db_conn *tx); /* the id of the last row inserted */

/* Statements that take one number each, the same; sqls ends with NULL, and may be NULL. */
enum status db_run_each(struct db_conn *tx, const char *const *sqls, int64_t number, struct error *err);

/* One statement without parameters or rows, or several separated by ';'. Not cached. For migrations. */
enum status db_exec(struct db_conn *conn, const char *sql, struct error *err);

/* The schema. */

/* A part's SQL in order; its version in the database is the number already run. Never edit one that has been released:
 * add one. */
struct migration_set {
    const char *part;
    const char *const *sql; /* ends with NULL */
};
enum status db_migrate(struct db *db, const struct migration_set *sets, size_t count, struct error *err);

/* Care. */

/* Reads every page and checks the structure and all foreign keys; CORRUPT with the first finding. */
enum status db_check(struct db *db, struct error *err);
/* A consistent copy into a new file at path, while readers and writers go on. CONFLICT when path exists. */
enum status db_backup(struct db *db, const char *path, struct error *err);
/* What was deleted or overwritten before is then gone from the database's files too. UNAVAILABLE while readers still
 * see it. */
enum status db_forget(struct db *db, struct error *err);

struct db_stats {
    int64_t writes, groups; /* since the start: begun, and the transactions that they shared */
    int64_t writes_waiting; /* in the queue now */
    int64_t readers_lent, readers_open;
};
void db_stats(struct db *db, struct db_stats *out);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_DB_SQLITE_H
#define CAIRN_DB_SQLITE_H

#include "base/arena.h"
#include "db/db.h"
#include <pthread.h>
#include <sqlite3.h>

/* What the files of this folder share; nobody else includes it. */

enum stmt_state { STMT_READY, STMT_ROW, STMT_DONE, STMT_FAILED };

#define STMT_MAGIC 0x73716c73u

struct stmt {
    uint32_t magic;
    enum stmt_state state;
    bool lent;
    uint64_t bound; /* bit n is set once parameter n + 1 has a value */
    struct db_conn *conn;
    const char *sql;
    sqlite3_stmt *handle;
    struct stmt *twin;    /* the same SQL prepared again, because the first was lent out at the time */
    struct error failure; /* for stmt_end(), while the state is STMT_FAILED */
};

#define CONN_MAGIC 0x73716c63u

struct db_conn {
    uint32_t magic;
    bool in_job; /* the writer's connection while a db_write_fn runs */
    unsigned stmts_lent;
    sqlite3 *handle;
    struct arena arena;  /* of the statements and their table */
    struct stmt **table; /* open hash by the address of the SQL; the capacity is a power of two */
    size_t capacity, count;
    int64_t busy_since_us;
    struct error failure; /* the last one: the reason when a transaction turns out to be lost */
    int failure_code;     /* SQLite's, of the same */
    struct pool *pool;    /* a reader's; NULL for the writer's connection */
    struct db_conn *next; /* in the pool */
};

struct job; /* one db_write() that waits */

struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, **last;
    bool stop;
    int64_t writes, groups, waiting;
    int64_t expected; /* writes of the last group, and those that were waiting when it ended */
    int64_t wanted;   /* how many have to wait for the thread to be woken */
    db_write_fn *before_commit;
    void *before_commit_context;
    struct db_conn *conn; /* touched by the writer thread alone */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    struct db_conn *idle; /* the most recently used first: its cache is warm */
    unsigned open, lent;
};

#define DB_MAGIC 0x73716c64u

struct db {
    uint32_t magic;
    char *path; /* absolute, so that neither ":memory:" nor "file:" can mean something else to SQLite */
    struct writer writer;
    struct pool pool;
};

/* sqlite.c */
enum status conn_open_writer(const char *path, struct db_conn **out, struct error *err);
enum status conn_open_reader(const char *path, struct db_conn **out, struct error *err);
void conn_close(struct db_conn *conn);
/* Runs one cached statement without rows, also outside of a transaction. */
enum status conn_run(struct db_conn *conn, const char *sql, struct error *err);
/* fail() for a result code of SQLite, with the connection's message; kept in conn->failure as well. */
enum status conn_fail(struct db_conn *conn, int code, struct error *err);

/* statement.c */
void conn_free_statements(struct db_conn *conn);

/* queue.c */
enum status writer_start(struct db *db, struct error *err);
void writer_stop(struct db *db); /* runs what is queued first */

/* pool.c */
void pool_init(struct pool *pool);
void pool_close(struct pool *pool);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "db/sqlite.h"
#include <assert.h>
#include <time.h>

/* More readers than this would mean that somebody does not give them back. */
#define READERS_LIMIT 128
#define READER_WAIT_SECONDS 10

void pool_init(struct pool *pool)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given_back, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&pool->lock, NULL);
}

void pool_close(struct pool *pool)
{
    assert(pool->lent == 0);
    while (pool->idle != NULL) {
        struct db_conn *conn = pool->idle;
        pool->idle = conn->next;
        conn_close(conn);
    }
    pthread_cond_destroy(&pool->given_back);
    pthread_mutex_destroy(&pool->lock);
}

/* Takes an idle reader, or the right to open one (*out stays NULL). Waits while neither is to be had. */
static enum status pool_take(struct pool *pool, struct db_conn **out, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += READER_WAIT_SECONDS;

    int late = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->idle == NULL && pool->open >= READERS_LIMIT && late == 0)
        late = pthread_cond_timedwait(&pool->given_back, &pool->lock, &until);
    bool got = pool->idle != NULL || pool->open < READERS_LIMIT;
    if (pool->idle != NULL) {
        *out = pool->idle;
        pool->idle = pool->idle->next;
    } else if (got) {
        pool->open++;
    }
    pool->lent += got;
    pthread_mutex_unlock(&pool->lock);
    if (!got)
        return fail(err, UNAVAILABLE, NULL, "All %d readers of the database are busy.", READERS_LIMIT);
    return OK;
}

enum status db_reader(struct db *db, struct db_conn **out, struct error *err)
{
    assert(db->magic == DB_MAGIC);
    struct pool *pool = &db->pool;
    struct db_conn *conn = NULL;
    TRY(pool_take(pool, &conn, err));
    if (conn == NULL) {
        enum status status = conn_open_reader(db->path, &conn, err);
        if (status != OK) {
            pthread_mutex_lock(&pool->lock);
            pool->open--;
            pool->lent--;
            pthread_cond_signal(&pool->given_back);
            pthread_mutex_unlock(&pool->lock);
            return status;
        }
        conn->pool = pool;
    }
    *out = conn;
    return OK;
}

enum status db_snapshot(struct db_conn *conn, struct error *err)
{
    assert(conn->magic == CONN_MAGIC && conn->pool != NULL && conn->stmts_lent == 0);
    return conn_run(conn, "BEGIN", err);
}

void db_release(struct db_conn **lent)
{
    struct db_conn *conn = *lent;
    if (conn == NULL)
        return;
    /* A statement still lent out here would read through a connection that is somebody else's by then. */
    assert(conn->magic == CONN_MAGIC && conn->pool != NULL && conn->stmts_lent == 0);
    if (!sqlite3_get_autocommit(conn->handle))
        conn_run(conn, "COMMIT", NULL); /* the end of a snapshot; there is nothing in it that could be lost */
    struct pool *pool = conn->pool;
    pthread_mutex_lock(&pool->lock);
    conn->next = pool->idle;
    pool->idle = conn;
    pool->lent--;
    pthread_cond_signal(&pool->given_back);
    pthread_mutex_unlock(&pool->lock);
    *lent = NULL;
}

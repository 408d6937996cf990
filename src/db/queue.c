/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "db/sqlite.h"
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

/* Bounds how long the first of a group waits for the last; far more gains nothing, the fsync is shared by then. */
#define GROUP_LIMIT 256
/* A hundred threads need about 0.3 ms on two cores to take their answers and ask again; a group takes 4 to 10 ms. */
#define GATHER_NS (500 * 1000)
#define SECOND_NS (1000 * 1000 * 1000)

struct job {
    db_write_fn *fn;
    void *context;
    struct error *err;
    enum status status;
    sem_t done;
    struct job *next;
};

static _Thread_local const struct writer *own_writer; /* of a writer thread */

/* Foreign keys that are checked at commit: found here they cost this job its write, found there the whole group. */
static enum status check_deferred_keys(struct db_conn *tx, struct error *err)
{
    int open = 0, unused = 0;
    sqlite3_db_status(tx->handle, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &unused, 0);
    return open == 0 ? OK : conn_fail(tx, SQLITE_CONSTRAINT_FOREIGNKEY, err);
}

/* Afterwards tx->failure says why, should the transaction around the call be lost. */
static enum status call_guarded(struct db_conn *tx, db_write_fn *fn, void *context, struct error *err)
{
    tx->failure = (struct error){.status = INTERNAL, .message = "A write ended its transaction itself."};
    tx->in_job = true;
    enum status status = fn(tx, context, err);
    tx->in_job = false;
    assert(tx->stmts_lent == 0);
    return status;
}

/* Runs one job under its savepoint. False when the transaction around it cannot go on; tx->failure then says why. */
static bool job_run(struct db_conn *tx, struct job *job)
{
    if (conn_run(tx, "SAVEPOINT job", NULL) != OK)
        return false;
    job->status = call_guarded(tx, job->fn, job->context, job->err);
    if (sqlite3_get_autocommit(tx->handle))
        return false;
    if (job->status == OK)
        job->status = check_deferred_keys(tx, job->err);
    if (job->status != OK && conn_run(tx, "ROLLBACK TO job", NULL) != OK)
        return false;
    return conn_run(tx, "RELEASE job", NULL) == OK;
}

/* Runs what db_before_commit() asked for. False when the group may not be committed; tx->failure then says why. */
static bool hook_run(struct writer *writer, const struct job *group)
{
    pthread_mutex_lock(&writer->lock);
    db_write_fn *fn = writer->before_commit;
    void *context = writer->before_commit_context;
    pthread_mutex_unlock(&writer->lock);
    bool any = false;
    for (const struct job *job = group; job != NULL; job = job->next)
        any = any || job->status == OK;
    if (!any || fn == NULL)
        return true;

    struct db_conn *tx = writer->conn;
    struct error reason = {0};
    enum status status = call_guarded(tx, fn, context, &reason);
    if (sqlite3_get_autocommit(tx->handle))
        return false;
    if (status == OK)
        status = check_deferred_keys(tx, &reason);
    if (status == OK)
        return true;
    tx->failure = reason;
    tx->failure.status = status;
    return false;
}

/* Runs the jobs in one transaction. False when they all came to nothing; tx->failure then says why. */
static bool group_commit(struct writer *writer, struct job *group)
{
    struct db_conn *tx = writer->conn;
    if (conn_run(tx, "BEGIN IMMEDIATE", NULL) != OK)
        return false;
    bool going = true;
    for (struct job *job = group; job != NULL && going; job = job->next)
        going = job_run(tx, job);
    if (going && hook_run(writer, group) && conn_run(tx, "COMMIT", NULL) == OK)
        return true;
    /* Undoing the rest must not hide the reason. Where SQLite has rolled back already there is nothing left to undo. */
    struct error reason = tx->failure;
    if (!sqlite3_get_autocommit(tx->handle))
        conn_run(tx, "ROLLBACK", NULL);
    tx->failure = reason;
    return false;
}

static void group_run(struct writer *writer, struct job *group)
{
    const struct db_conn *tx = writer->conn;
    bool committed = group_commit(writer, group);
    pthread_mutex_lock(&writer->lock);
    writer->expected += writer->waiting;
    pthread_mutex_unlock(&writer->lock);
    for (struct job *job = group, *next; job != NULL; job = next) {
        if (!committed) {
            job->status = tx->failure.status;
            if (job->err != NULL)
                *job->err = tx->failure;
        }
        next = job->next; /* the job is on the stack of the thread that wakes now */
        sem_post(&job->done);
    }
}

/*
 * Under the lock. Waits for a write, and then, though not for long, for as many as the last group had and left waiting:
 * those whom it woke come back within moments, and who comes a moment too late waits for the whole of this group and
 * then for the next. Whoever writes alone has a group of one behind it and waits for nobody.
 */
static void group_gather(struct writer *writer)
{
    struct timespec until;
    int late = 0;
    writer->wanted = 1;
    while (writer->first == NULL && !writer->stop)
        pthread_cond_wait(&writer->more, &writer->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GATHER_NS;
    if (until.tv_nsec >= SECOND_NS) {
        until.tv_sec++;
        until.tv_nsec -= SECOND_NS;
    }
    writer->wanted = writer->expected < GROUP_LIMIT ? writer->expected : GROUP_LIMIT;
    while (writer->waiting < writer->wanted && !writer->stop && late == 0)
        late = pthread_cond_clockwait(&writer->more, &writer->lock, CLOCK_MONOTONIC, &until);
}

/* Takes what is waiting. NULL when there is nothing and never will be. */
static struct job *group_take(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    group_gather(writer);
    struct job *group = writer->first, **end = &writer->first;
    int64_t count = 0;
    for (; *end != NULL && count < GROUP_LIMIT; count++)
        end = &(*end)->next;
    writer->first = *end;
    if (writer->first == NULL)
        writer->last = &writer->first;
    else
        *end = NULL;
    writer->writes += count;
    writer->groups += group != NULL;
    writer->waiting -= count;
    writer->expected = count;
    pthread_mutex_unlock(&writer->lock);
    return group;
}

static void *writer_main(void *context)
{
    struct writer *writer = context;
    own_writer = writer;
    for (struct job *group; (group = group_take(writer)) != NULL;)
        group_run(writer, group);
    return NULL;
}

enum status writer_start(struct db *db, struct error *err)
{
    struct writer *writer = &db->writer;
    writer->last = &writer->first;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->more, NULL);

    /* Signals are the business of the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&writer->thread, NULL, writer_main, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return fail(err, UNAVAILABLE, NULL, "Cannot start the writer of the database (%s).", strerror(code));
    pthread_setname_np(writer->thread, "db-writer");
    return OK;
}

void writer_stop(struct db *db)
{
    struct writer *writer = &db->writer;
    pthread_mutex_lock(&writer->lock);
    writer->stop = true;
    pthread_cond_signal(&writer->more);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->more);
    pthread_mutex_destroy(&writer->lock);
}

enum status db_write(struct db *db, db_write_fn *fn, void *context, struct error *err)
{
    assert(db->magic == DB_MAGIC);
    struct writer *writer = &db->writer;
    assert(own_writer != writer); /* it would wait for itself */
    struct job job = {.fn = fn, .context = context, .err = err};
    sem_init(&job.done, 0, 0);

    pthread_mutex_lock(&writer->lock);
    assert(!writer->stop);
    writer->waiting++;
    *writer->last = &job;
    writer->last = &job.next;
    if (writer->waiting >= writer->wanted)
        pthread_cond_signal(&writer->more);
    pthread_mutex_unlock(&writer->lock);

    while (sem_wait(&job.done) != 0)
        assert(errno == EINTR);
    sem_destroy(&job.done);
    return job.status;
}

void db_before_commit(struct db *db, db_write_fn *fn, void *context)
{
    assert(db->magic == DB_MAGIC);
    pthread_mutex_lock(&db->writer.lock);
    db->writer.before_commit = fn;
    db->writer.before_commit_context = context;
    pthread_mutex_unlock(&db->writer.lock);
}

void db_stats(struct db *db, struct db_stats *out)
{
    assert(db->magic == DB_MAGIC);
    pthread_mutex_lock(&db->writer.lock);
    out->writes = db->writer.writes;
    out->groups = db->writer.groups;
    out->writes_waiting = db->writer.waiting;
    pthread_mutex_unlock(&db->writer.lock);
    pthread_mutex_lock(&db->pool.lock);
    out->readers_lent = db->pool.lent;
    out->readers_open = db->pool.open;
    pthread_mutex_unlock(&db->pool.lock);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_UNIT_DB_HELPER_H
#define CAIRN_TESTS_UNIT_DB_HELPER_H

#include "db/db.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* After the standard headers that it needs. */
#include <cmocka.h>
#undef fail /* cmocka's; ours is base/error.h's */

/* A folder for one test, removed with what is in it; the test's database goes into folder.db. */
struct folder {
    char path[256], db[300], other[300];
};

static inline int folder_setup(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof(folder->path), "%s/cairn-db-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder->path) == NULL)
        return -1;
    snprintf(folder->db, sizeof(folder->db), "%s/test.db", folder->path);
    snprintf(folder->other, sizeof(folder->other), "%s/other.db", folder->path);
    *state = folder;
    return 0;
}

static inline void folder_empty(struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
}

static inline int folder_teardown(void **state)
{
    struct folder *folder = *state;
    folder_empty(folder);
    rmdir(folder->path);
    free(folder);
    return 0;
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

/* Shows the message of an unexpected error, which assert_int_equal alone would not. */
static inline void expect(enum status want, enum status got, const struct error *err, const char *file, int line)
{
    if (want != got)
        print_error("%s:%d: status %d, not %d: %s\n", file, line, got, want, got == OK ? "" : err->message);
    assert_int_equal(want, got);
}

#define EXPECT(want, call)                                                                                             \
    do {                                                                                                               \
        struct error failure = {0}, *err = &failure;                                                                   \
        expect(want, call, err, __FILE__, __LINE__);                                                                   \
    } while (0)
#define GOOD(call) EXPECT(OK, call)

static inline enum status run_script(struct db_conn *tx, void *sql, struct error *err)
{
    return db_exec(tx, sql, err);
}

/* Runs SQL as one write. */
static inline enum status script(struct db *db, const char *sql, struct error *err)
{
    return db_write(db, run_script, (void *)(uintptr_t)sql, err);
}

/* The number that a query gives, -1 for no row. */
static inline enum status read_number(struct db *db, const char *sql, int64_t *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(db, &conn, err));
    auto_stmt struct stmt *query = NULL;
    TRY(db_prepare(conn, sql, &query, err));
    *out = stmt_next(query) ? stmt_int(query, 0) : -1;
    return stmt_end(query, err);
}

static inline int64_t number(struct db *db, const char *sql)
{
    int64_t value = -1;
    GOOD(read_number(db, sql, &value, err));
    return value;
}

/* Runs body in a child process and gives how it ended, as waitpid() does. The caller must have no threads. */
static inline int child_status(void (*body)(void *), void *context)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body(context);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* True when an assertion stops body. */
static inline bool is_refused_as_a_bug(void (*body)(void *), void *context)
{
    fflush(NULL);
    int saved = dup(STDERR_FILENO), silence = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(silence, STDERR_FILENO);
    pid_t child = fork();
    if (child == 0) {
        /* cmocka would take the signal for the failure of a test in the child. */
        signal(SIGABRT, SIG_DFL);
        prctl(PR_SET_DUMPABLE, 0);
        body(context);
        _exit(0);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(silence);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Makes the disk look full: files of this process cannot grow beyond it. */
static inline void limit_file_size(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* A write that holds the writer until it is opened, so that those behind it wait together. */
struct turnstile {
    struct db *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, open;
};

static inline enum status turnstile_wait(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx, (void)err;
    struct turnstile *gate = context;
    pthread_mutex_lock(&gate->lock);
    gate->entered = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return OK;
}

static inline void *turnstile_main(void *context)
{
    struct turnstile *gate = context;
    db_write(gate->db, turnstile_wait, gate, NULL);
    return NULL;
}

static inline void turnstile_close(struct turnstile *gate, struct db *db)
{
    *gate = (struct turnstile){.db = db};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
    pthread_create(&gate->thread, NULL, turnstile_main, gate);
    pthread_mutex_lock(&gate->lock);
    while (!gate->entered)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static inline void turnstile_open(struct turnstile *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    pthread_join(gate->thread, NULL);
}

static inline void await_queued(struct db *db, int64_t count)
{
    struct db_stats stats;
    for (db_stats(db, &stats); stats.writes_waiting != count; db_stats(db, &stats))
        usleep(1000);
}

/* A write in a thread of its own. */
struct task {
    struct db *db;
    db_write_fn *fn;
    void *context;
    pthread_t thread;
    enum status status;
    struct error err;
};

static inline void *task_main(void *context)
{
    struct task *task = context;
    task->status = db_write(task->db, task->fn, task->context, &task->err);
    return NULL;
}

/* Queues the writes in their order behind a closed gate, so that they make one group. */
static inline void run_as_one_group(struct db *db, struct task *tasks, int count)
{
    struct turnstile gate;
    turnstile_close(&gate, db);
    for (int i = 0; i < count; i++) {
        tasks[i].db = db;
        pthread_create(&tasks[i].thread, NULL, task_main, &tasks[i]);
        await_queued(db, i + 1);
    }
    turnstile_open(&gate);
    for (int i = 0; i < count; i++)
        pthread_join(tasks[i].thread, NULL);
}

#endif

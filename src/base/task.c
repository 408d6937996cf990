/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/task.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

enum state { IDLE = 0, QUEUED, RUNNING, DONE };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for the queue and every task's state */
static pthread_cond_t queued = PTHREAD_COND_INITIALIZER;
/* One for all tasks: a wait is for a task that one of our threads is at, so there are never many that wait. */
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static struct task *first, **last = &first;

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first)
            pthread_cond_wait(&queued, &lock);
        struct task *task = first;
        first = task->next;
        if (!first)
            last = &first;
        task->state = RUNNING;
        pthread_mutex_unlock(&lock);
        task->run(task->context);
        pthread_mutex_lock(&lock);
        task->state = DONE;
        pthread_cond_broadcast(&done);
    }
    return NULL;
}

/* Where a thread cannot be had, tasks are done by those who wait for them. */
static void start_threads(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    sigset_t all, before;
    sigfillset(&all); /* signals are the business of the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (long i = 0; i < (count > 1 ? count : 1); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            break;
        pthread_setname_np(thread, "task");
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void task_start(struct task *task)
{
    pthread_once(&once, start_threads);
    pthread_mutex_lock(&lock);
    assert(task->state == IDLE);
    task->state = QUEUED;
    task->next = NULL;
    *last = task;
    last = &task->next;
    pthread_cond_signal(&queued);
    pthread_mutex_unlock(&lock);
}

static void take_off_queue(struct task *task)
{
    struct task **at = &first;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    if (!*at)
        last = at;
}

void task_finish(struct task *task)
{
    pthread_mutex_lock(&lock);
    assert(task->state != IDLE);
    if (task->state == QUEUED) {
        take_off_queue(task);
        pthread_mutex_unlock(&lock);
        task->run(task->context);
    } else {
        while (task->state != DONE)
            pthread_cond_wait(&done, &lock);
        pthread_mutex_unlock(&lock);
    }
    task->state = IDLE; /* it is the caller's alone again, and may be started anew */
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_TASK_H
#define CAIRN_BASE_TASK_H

/*
 * A piece of work beside one's own: start it, do something else, wait for it. Work is only for the processor: it must not
 * wait for anything. A few threads (one less than there are processors, at least one) do what was started, in order; when none
 * of them has come to a task by the time it is awaited, the waiting thread does it itself, so that nothing ever waits for room.
 */
struct task {
    void (*run)(void *context);
    void *context;
    /* Kept by task.c: */
    struct task *next;
    int state;
};

/* task must stay where it is until task_finish(). Threads are started with the first task, and live as long as the program. */
void task_start(struct task *task);
void task_finish(struct task *task);

#endif

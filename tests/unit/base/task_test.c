/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Also meant for ThreadSanitizer: what a task writes, whoever finished it reads without a lock. */
#include "base/task.h"

#include "check.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

struct sum {
    struct task task;
    uint64_t from, to, result;
    pthread_t done_by;
};

static void add_up(void *context)
{
    struct sum *sum = context;
    sum->result = 0;
    for (uint64_t i = sum->from; i < sum->to; i++)
        sum->result += i;
    sum->done_by = pthread_self();
}

static void sum_start(struct sum *sum, uint64_t from, uint64_t to)
{
    *sum = (struct sum){.task = {.run = add_up, .context = sum}, .from = from, .to = to};
    task_start(&sum->task);
}

static void what_was_started_is_done_once_it_is_finished(void **state)
{
    (void)state;
    struct sum sum;
    sum_start(&sum, 0, 101);
    task_finish(&sum.task);
    assert_int_equal(sum.result, 5050);
}

static void a_finished_task_can_be_started_again(void **state)
{
    (void)state;
    struct sum sum;
    sum_start(&sum, 0, 11);
    task_finish(&sum.task);
    assert_int_equal(sum.result, 55);
    sum.to = 101;
    task_start(&sum.task);
    task_finish(&sum.task);
    assert_int_equal(sum.result, 5050);
}

static void tasks_may_be_finished_in_any_order(void **state)
{
    (void)state;
    enum { COUNT_OF_TASKS = 200 };
    struct sum *sums = calloc(COUNT_OF_TASKS, sizeof *sums);
    for (int round = 0; round < 20; round++) {
        for (unsigned i = 0; i < COUNT_OF_TASKS; i++)
            sum_start(&sums[i], 0, i + 1);
        for (unsigned i = 0; i < COUNT_OF_TASKS; i++) {
            unsigned at = i * 77 % COUNT_OF_TASKS; /* 77 has no divisor in common with 200: each comes once */
            task_finish(&sums[at].task);
            assert_int_equal(sums[at].result, at * (at + 1) / 2);
        }
    }
    free(sums);
}

/* A task that holds its thread until it is told to go on; the tests alone may wait in tasks. */
struct blocker {
    struct task task;
    sem_t begun, go_on;
};

static void block(void *context)
{
    struct blocker *blocker = context;
    sem_post(&blocker->begun);
    sem_wait(&blocker->go_on);
}

static void blocker_start(struct blocker *blocker)
{
    blocker->task = (struct task){.run = block, .context = blocker};
    sem_init(&blocker->begun, 0, 0);
    sem_init(&blocker->go_on, 0, 0);
    task_start(&blocker->task);
    sem_wait(&blocker->begun);
}

static void blocker_finish(struct blocker *blocker)
{
    sem_post(&blocker->go_on);
    task_finish(&blocker->task);
    sem_destroy(&blocker->begun);
    sem_destroy(&blocker->go_on);
}

static int threads_of_the_header(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    return count > 1 ? (int)count : 1;
}

static void a_thread_works_beside_the_one_that_started(void **state)
{
    (void)state;
    struct blocker blocker; /* blocker_start() would wait for ever if its task were only done by task_finish() */
    blocker_start(&blocker);
    blocker_finish(&blocker);
}

static void a_task_that_no_thread_came_to_is_done_by_whoever_waits(void **state)
{
    (void)state;
    int threads = threads_of_the_header();
    struct blocker *blockers = calloc((size_t)threads, sizeof *blockers);
    for (int i = 0; i < threads; i++)
        blocker_start(&blockers[i]);
    struct sum sums[3];
    for (int i = 0; i < 3; i++)
        sum_start(&sums[i], 0, 101);
    static const int order[] = {1, 2, 0}; /* out of the middle, off the end, and the only one */
    for (int i = 0; i < 3; i++) {
        task_finish(&sums[order[i]].task);
        assert_int_equal(sums[order[i]].result, 5050);
        assert_true(pthread_equal(sums[order[i]].done_by, pthread_self()));
    }
    for (int i = 0; i < threads; i++)
        blocker_finish(&blockers[i]);
    free(blockers);
}

static void the_queue_goes_on_after_its_last_task_was_taken_back(void **state)
{
    (void)state;
    int threads = threads_of_the_header();
    struct blocker *blockers = calloc((size_t)threads, sizeof *blockers), late = {0};
    for (int i = 0; i < threads; i++)
        blocker_start(&blockers[i]);
    struct sum sum;
    sum_start(&sum, 0, 101);
    task_finish(&sum.task);
    late.task = (struct task){.run = block, .context = &late};
    sem_init(&late.begun, 0, 0);
    sem_init(&late.go_on, 0, 0);
    task_start(&late.task);
    for (int i = 0; i < threads; i++)
        blocker_finish(&blockers[i]);
    sem_wait(&late.begun); /* a thread found it */
    blocker_finish(&late);
    free(blockers);
}

static void *many_sums(void *context)
{
    struct sum sums[4];
    uint64_t *total = context;
    for (uint64_t round = 0; round < 500; round++) {
        for (unsigned i = 0; i < COUNT(sums); i++)
            sum_start(&sums[i], round, round + 50);
        for (unsigned i = 0; i < COUNT(sums); i++) {
            task_finish(&sums[i].task);
            *total += sums[i].result;
        }
    }
    return NULL;
}

static void threads_do_not_get_in_each_others_way(void **state)
{
    (void)state;
    pthread_t threads[8];
    uint64_t totals[COUNT(threads)] = {0}, expected = 0;
    for (unsigned i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_sums, &totals[i]), 0);
    for (uint64_t round = 0; round < 500; round++)
        expected += 4 * (50 * round + 49 * 50 / 2);
    for (unsigned i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(totals[i], expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_started_is_done_once_it_is_finished),
        cmocka_unit_test(a_finished_task_can_be_started_again),
        cmocka_unit_test(tasks_may_be_finished_in_any_order),
        cmocka_unit_test(a_thread_works_beside_the_one_that_started),
        cmocka_unit_test(a_task_that_no_thread_came_to_is_done_by_whoever_waits),
        cmocka_unit_test(the_queue_goes_on_after_its_last_task_was_taken_back),
        cmocka_unit_test(threads_do_not_get_in_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

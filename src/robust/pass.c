/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MOST 16

struct work {
    const struct pass *pass;
    atomic_size_t next, failed; /* failed: the number of the first stripe that has, or SIZE_MAX */
    enum status statuses[ROBUST_STRIPES];
    struct error errors[ROBUST_STRIPES];
};

size_t robust_block(size_t rows)
{
    return rows <= 128 ? ROBUST_PIECE_MOST : ROBUST_PIECE_MOST / 4;
}

static enum status run_stripe(const struct pass *pass, void *state, size_t stripe, struct error *err)
{
    int64_t size = (int64_t)pass->block, blocks = (pass->width + size - 1) / size;
    int64_t from = blocks * (int64_t)stripe / (int64_t)pass->stripes;
    int64_t to = blocks * (int64_t)(stripe + 1) / (int64_t)pass->stripes;
    for (int64_t block = from; block < to; block++) {
        int64_t at = block * size, left = pass->width - at;
        size_t count = left < size ? (size_t)left : pass->block;
        TRY(pass->visit(pass->context, state, stripe, at, count, err));
    }
    return OK;
}

static void *run_stripes(void *context)
{
    struct work *work = context;
    void *state = aligned_alloc(64, (work->pass->state + 63) / 64 * 64);
    if (!state)
        abort();
    memset(state, 0, work->pass->state);
    for (;;) {
        size_t stripe = atomic_fetch_add(&work->next, 1);
        if (stripe >= work->pass->stripes || atomic_load(&work->failed) != 0)
            break;
        work->statuses[stripe] = run_stripe(work->pass, state, stripe, &work->errors[stripe]);
        if (work->statuses[stripe] != OK)
            atomic_store(&work->failed, 1);
    }
    free(state);
    return NULL;
}

static size_t thread_count(const struct pass *pass)
{
    long processors = pass->threads ? (long)pass->threads : sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = processors < 1 ? 1 : processors > THREADS_MOST ? THREADS_MOST : (size_t)processors;
    return count < pass->stripes ? count : pass->stripes;
}

enum status pass_run(const struct pass *pass, struct error *err)
{
    struct work work = {.pass = pass};
    pthread_t threads[THREADS_MOST];
    size_t wanted = thread_count(pass), started = 0;
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, run_stripes, &work) == 0)
        started++;
    run_stripes(&work);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < pass->stripes; i++)
        if (work.statuses[i] != OK) {
            if (err)
                *err = work.errors[i];
            return work.statuses[i];
        }
    return OK;
}

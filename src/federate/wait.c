/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/wait.h"
#include "base/time.h"
#include <time.h>

#define SLICE_US (SECOND_US / 4) /* in which it is seen that the server stops */

void waits_begin(struct waits *waits)
{
    pthread_condattr_t how;
    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
    pthread_mutex_init(&waits->lock, NULL);
    pthread_cond_init(&waits->told, &how);
    pthread_condattr_destroy(&how);
}

void waits_end(struct waits *waits)
{
    pthread_mutex_destroy(&waits->lock);
    pthread_cond_destroy(&waits->told);
}

void waits_changed(struct waits *waits)
{
    pthread_mutex_lock(&waits->lock);
    waits->changes++;
    pthread_cond_broadcast(&waits->told);
    pthread_mutex_unlock(&waits->lock);
}

uint64_t waits_seen(struct waits *waits)
{
    pthread_mutex_lock(&waits->lock);
    uint64_t seen = waits->changes;
    pthread_mutex_unlock(&waits->lock);
    return seen;
}

static void wait_a_slice(struct waits *waits, int64_t until_us)
{
    int64_t end = monotonic_us() + SLICE_US;
    end = end < until_us ? end : until_us;
    const struct timespec when = {end / SECOND_US, end % SECOND_US * 1000};
    pthread_cond_timedwait(&waits->told, &waits->lock, &when);
}

bool waits_for_change(struct waits *waits, struct http_request *rq, uint64_t seen, int64_t until_us)
{
    pthread_mutex_lock(&waits->lock);
    if (waits->waiting < WAITING_MOST) {
        waits->waiting++;
        while (waits->changes == seen && monotonic_us() < until_us && !http_is_stopping(rq))
            wait_a_slice(waits, until_us);
        waits->waiting--;
    }
    bool changed = waits->changes != seen;
    pthread_mutex_unlock(&waits->lock);
    return changed;
}

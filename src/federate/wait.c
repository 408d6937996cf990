/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who has nothing to do waits here for the round to end, on a thread of the server, and not by asking again and again. */
#include "federate/internal.h"
#include <time.h>

#define WAITING_MOST 64           /* threads; who comes then asks now and then */
#define SLICE_US (SECOND_US / 4)  /* in which it is seen that the server stops */

void waits_begin(struct federate *federate)
{
    pthread_condattr_t how;
    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
    pthread_mutex_init(&federate->waits.lock, NULL);
    pthread_cond_init(&federate->waits.told, &how);
    pthread_condattr_destroy(&how);
}

void waits_end(struct federate *federate)
{
    pthread_mutex_destroy(&federate->waits.lock);
    pthread_cond_destroy(&federate->waits.told);
}

void rounds_changed(struct federate *federate)
{
    pthread_mutex_lock(&federate->waits.lock);
    federate->waits.changes++;
    pthread_cond_broadcast(&federate->waits.told);
    pthread_mutex_unlock(&federate->waits.lock);
}

uint64_t rounds_changes(struct federate *federate)
{
    pthread_mutex_lock(&federate->waits.lock);
    uint64_t changes = federate->waits.changes;
    pthread_mutex_unlock(&federate->waits.lock);
    return changes;
}

bool rounds_wait(struct federate *federate, struct http_request *rq, uint64_t changes, int64_t until_us)
{
    pthread_mutex_lock(&federate->waits.lock);
    bool waits = federate->waits.waiting < WAITING_MOST;
    federate->waits.waiting++;
    for (int64_t now; waits && federate->waits.changes == changes; waits = now < until_us && !http_is_stopping(rq)) {
        now = monotonic_us();
        int64_t until = until_us - now < SLICE_US ? until_us : now + SLICE_US;
        const struct timespec when = {until / SECOND_US, until % SECOND_US * 1000};
        pthread_cond_timedwait(&federate->waits.told, &federate->waits.lock, &when);
    }
    federate->waits.waiting--;
    waits = federate->waits.changes != changes;
    pthread_mutex_unlock(&federate->waits.lock);
    return waits;
}

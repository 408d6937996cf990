/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tensor/internal.h"
#include <pthread.h>
#include <time.h>

#define TURNS 4
#define WAIT_SECONDS 10

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given_back = PTHREAD_COND_INITIALIZER;
static int taken_turns;

enum status turn_take(struct error *err)
{
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS;
    pthread_mutex_lock(&lock);
    while (taken_turns == TURNS && late == 0)
        late = pthread_cond_timedwait(&given_back, &lock, &until);
    bool got = taken_turns < TURNS;
    taken_turns += got;
    pthread_mutex_unlock(&lock);
    return got ? OK : fail(err, UNAVAILABLE, NULL, "Many ask about tensors at the moment. Try again in a minute.");
}

void turn_give(bool *taken)
{
    if (!*taken)
        return;
    pthread_mutex_lock(&lock);
    taken_turns--;
    pthread_cond_signal(&given_back);
    pthread_mutex_unlock(&lock);
    *taken = false;
}

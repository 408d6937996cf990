/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is asked when. A round sends one checkpoint to all, so that their cosignatures are of the same one. */
#include "base/time.h"
#include "witness/internal.h"

#include <assert.h>
#include <stdlib.h>

#define PERIOD_US SECOND_US      /* between rounds when nobody tells of a new checkpoint */
#define PAUSE_US (SECOND_US / 8) /* at least between rounds: witnesses sync their disks for each */

static void take_newest(struct witness *witness)
{
    struct sent *sent = &witness->sent;
    auto_buf struct buf note = {0};
    struct note parsed;
    struct error err = {0};
    ledger_checkpoint(witness->ledger, &note);
    if (str_eq(buf_view(&note), sent->note))
        return;
    arena_reset(&witness->sent_arena);
    sent->note = arena_copy(&witness->sent_arena, buf_view(&note));
    enum status status =
        checkpoint_open(&witness->sent_arena, sent->note, &witness->log, &parsed, &sent->checkpoint, &err);
    assert(status == OK); /* the ledger's own, of the key that it names */
    sent->text = parsed.text;
    witness_renew(witness);
}

struct asking {
    struct witness *witness;
    struct peer *peer;
    int timeout_ms;
    pthread_t thread;
};

static void *ask(void *context)
{
    struct asking *asking = context;
    peer_ask(asking->witness, asking->peer, asking->timeout_ms);
    return NULL;
}

/* All at once, so that a slow one holds up nobody else's signature. */
void witness_round(struct witness *witness, int timeout_ms)
{
    take_newest(witness);
    struct asking *asking = calloc(witness->peer_count, sizeof *asking);
    size_t count = 0;
    if (!asking)
        abort();
    for (size_t i = 0; i < witness->peer_count; i++) {
        if (monotonic_us() < witness->peers[i].due_us)
            continue;
        asking[count] = (struct asking){witness, &witness->peers[i], timeout_ms, 0};
        if (pthread_create(&asking[count].thread, NULL, ask, &asking[count]) == 0)
            count++;
        else
            ask(&asking[count]);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(asking[i].thread, NULL);
    free(asking);
    witness_keep(witness);
}

/* Under the lock. Returns at that time of the monotonic clock, or earlier for a reason. */
static void wait_until(struct witness *witness, int64_t us, const bool *reason)
{
    struct timespec until = {us / SECOND_US, us % SECOND_US * 1000};
    while (!witness->stop && !*reason && monotonic_us() < us)
        pthread_cond_timedwait(&witness->wake, &witness->lock, &until);
}

static bool wait_for_round(struct witness *witness, int64_t last_us)
{
    pthread_mutex_lock(&witness->lock);
    wait_until(witness, last_us + PAUSE_US, &witness->stop);
    wait_until(witness, last_us + PERIOD_US, &witness->noticed);
    witness->noticed = false;
    bool go_on = !witness->stop;
    pthread_mutex_unlock(&witness->lock);
    return go_on;
}

void *witness_rounds(void *context)
{
    struct witness *witness = context;
    int64_t last_us = 0;
    while (wait_for_round(witness, last_us)) {
        last_us = monotonic_us();
        witness_round(witness, WITNESS_TIMEOUT_MS);
    }
    return NULL;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_WAIT_H
#define CAIRN_FEDERATE_WAIT_H

#include "net/http.h"
#include <pthread.h>

/* Participants for whom there is nothing to do wait here, each on a thread of the server, and need not ask again and again. */
struct waits {
    pthread_mutex_t lock;
    pthread_cond_t told;
    uint64_t changes; /* so far, of whatever is waited for */
    unsigned waiting;
};

#define WAITING_MOST 64 /* who comes then asks now and then: threads are for others, too */

void waits_begin(struct waits *waits);
void waits_end(struct waits *waits);
/* After a write that changed something. */
void waits_changed(struct waits *waits);
/* What to compare with, read before it is looked whether there is something to do. */
uint64_t waits_seen(struct waits *waits);
/* Until there is a change that was not seen. False: there is none until then, the server stops, or too many wait already. */
bool waits_for_change(struct waits *waits, struct http_request *rq, uint64_t seen, int64_t until_us);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_RATE_H
#define CAIRN_QUOTA_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How often somebody may do something: GCRA, one time per subject and unit (specs/access.md C12). With T the time that one
 * request takes up and tau the tolerance, a request is allowed iff now >= TAT - tau; then TAT = max(TAT, now) + cost * T.
 * So there are no windows that all clients wait for at once, and the wait is known to the nanosecond.
 *
 * The table is of fixed size. Where a bucket is full, a time that has passed makes room, of which nothing is lost; else the
 * earliest goes, which lets its subject have a little more than it should.
 */
struct rate_table;
struct rate_table *rate_table_new(size_t slots); /* rounded up to a power of two */
void rate_table_free(struct rate_table *table);

struct rate {
    int64_t each_ns;  /* T; 0: no limit */
    int64_t burst_ns; /* tau */
    int64_t most;     /* requests at once, as headers and answers show it: tau / T */
};
/* rate requests per per_s seconds, and burst at once. */
struct rate rate_of(int64_t rate, int64_t per_s, int64_t burst);

/* A subject as the table knows it. kind keeps a key, a person and a network with the same number apart. */
uint64_t rate_subject(const struct rate_table *table, unsigned kind, unsigned unit, uint64_t high, uint64_t low);

/* Costs are in tenths: a HEAD, or what was not modified, costs one of them. */
#define RATE_WHOLE 10
#define RATE_LITTLE 1

struct rate_ask {
    uint64_t subject;
    struct rate rate;
};
struct rate_answer {
    bool allowed;
    size_t strictest;  /* which of the asks the rest is about: the one that refuses, or has the least left */
    int64_t remaining; /* whole requests that may follow at once */
    int64_t wait_ns;   /* until the next one is allowed; 0: now */
    int64_t full_ns;   /* until nothing counts any more */
};
/*
 * Asks all scopes, and charges all of them or none. count may be 0: then all is allowed. now_ns is monotonic. On any thread.
 */
struct rate_answer rate_take(struct rate_table *table, const struct rate_ask *asks, size_t count, int tenths,
                             int64_t now_ns);
/* Gives back what has turned out to cost less. */
void rate_give(struct rate_table *table, const struct rate_ask *asks, size_t count, int tenths);

int64_t rate_now_ns(void);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/rate.h"
#include "base/hash.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define WAYS 8 /* slots that a subject may be in: two cache lines */
#define LOCKS 64

struct slot {
    uint64_t subject; /* 0: free */
    int64_t tat_ns;
};

struct rate_table {
    size_t buckets;
    uint64_t secret; /* nobody can choose addresses that fall into one bucket */
    struct {
        pthread_mutex_t mutex;
    } __attribute__((aligned(64))) locks[LOCKS];
    struct slot (*slots)[WAYS];
};

struct rate_table *rate_table_new(size_t slots)
{
    struct rate_table *table = aligned_alloc(64, sizeof *table);
    size_t buckets = LOCKS;
    while (buckets * WAYS < slots)
        buckets *= 2;
    if (!table)
        abort();
    *table = (struct rate_table){.buckets = buckets, .slots = calloc(buckets, sizeof *table->slots)};
    if (!table->slots)
        abort();
    random_bytes(&table->secret, sizeof table->secret);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&table->locks[i].mutex, NULL);
    return table;
}

void rate_table_free(struct rate_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&table->locks[i].mutex);
    free(table->slots);
    free(table);
}

struct rate rate_of(int64_t rate, int64_t per_s, int64_t burst)
{
    assert(rate > 0 && per_s > 0 && burst > 0);
    int64_t each = per_s * INT64_C(1000000000) / rate;
    if (each == 0)
        each = 1;
    return (struct rate){.each_ns = each, .burst_ns = burst * each, .most = burst};
}

/* Steele, Lea and Flood: SplittableRandom's finaliser. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t rate_subject(const struct rate_table *table, unsigned kind, unsigned unit, uint64_t high, uint64_t low)
{
    uint64_t x = mix(table->secret ^ ((uint64_t)kind << 32 | unit));
    x = mix(x + high);
    x = mix((x ^ table->secret) + low);
    return x ? x : 1;
}

/* The subject's slot, made when it has none. Its lock is held. */
static struct slot *find(struct rate_table *table, uint64_t subject, int64_t now_ns)
{
    struct slot *bucket = table->slots[subject & (table->buckets - 1)], *oldest = bucket;
    for (size_t i = 0; i < WAYS; i++) {
        if (bucket[i].subject == subject)
            return &bucket[i];
        if (bucket[i].tat_ns < oldest->tat_ns)
            oldest = &bucket[i];
    }
    *oldest = (struct slot){subject, now_ns};
    return oldest;
}

static pthread_mutex_t *lock_of(struct rate_table *table, uint64_t subject)
{
    return &table->locks[subject % LOCKS].mutex; /* buckets are a multiple of LOCKS: one lock for all of a bucket */
}

static int64_t floor_at(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static struct rate_answer answer_of(const struct rate *rate, int64_t tat, int64_t now)
{
    int64_t slack = now + rate->burst_ns - tat;
    int64_t left = slack >= 0 ? slack / rate->each_ns + 1 : 0;
    return (struct rate_answer){.remaining = left < rate->most ? left : rate->most,
                                .wait_ns = floor_at(-slack, 0),
                                .full_ns = floor_at(tat - now, 0)};
}

static struct rate_answer take_one(struct rate_table *table, const struct rate_ask *ask, int tenths, int64_t now)
{
    pthread_mutex_t *lock = lock_of(table, ask->subject);
    pthread_mutex_lock(lock);
    struct slot *slot = find(table, ask->subject, now);
    bool allowed = now >= slot->tat_ns - ask->rate.burst_ns;
    if (allowed)
        slot->tat_ns = floor_at(slot->tat_ns, now) + ask->rate.each_ns * tenths / RATE_WHOLE;
    struct rate_answer answer = answer_of(&ask->rate, slot->tat_ns, now);
    pthread_mutex_unlock(lock);
    answer.allowed = allowed;
    return answer;
}

void rate_give(struct rate_table *table, const struct rate_ask *asks, size_t count, int tenths)
{
    for (size_t i = 0; i < count; i++) {
        pthread_mutex_t *lock = lock_of(table, asks[i].subject);
        struct slot *bucket = table->slots[asks[i].subject & (table->buckets - 1)];
        pthread_mutex_lock(lock);
        for (size_t way = 0; way < WAYS; way++)
            if (bucket[way].subject == asks[i].subject)
                bucket[way].tat_ns -= asks[i].rate.each_ns * tenths / RATE_WHOLE;
        pthread_mutex_unlock(lock);
    }
}

/*
 * Two requests that are asked for at the same time may both be charged where one is refused later and given back: for that
 * moment others have a little less, never more. Of several refusals the longest wait counts: what comes earlier is refused
 * again.
 */
struct rate_answer rate_take(struct rate_table *table, const struct rate_ask *asks, size_t count, int tenths,
                             int64_t now_ns)
{
    struct rate_answer strictest = {.allowed = true, .remaining = INT64_MAX};
    for (size_t i = 0; i < count; i++) {
        struct rate_answer answer = take_one(table, &asks[i], strictest.allowed ? tenths : 0, now_ns);
        answer.strictest = i;
        if (strictest.allowed && !answer.allowed)
            rate_give(table, asks, i, tenths);
        bool stricter = strictest.allowed ? !answer.allowed || answer.remaining < strictest.remaining
                                          : !answer.allowed && answer.wait_ns > strictest.wait_ns;
        if (stricter)
            strictest = answer;
    }
    return strictest;
}

int64_t rate_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

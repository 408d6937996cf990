/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/watch.h"
#include "base/time.h"
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STRIPES 16
#define WAYS 16
#define AGAIN_HALVES 12   /* half hours after which a signal that stays is written down anew */
#define VOLUME_BINS 33    /* by powers of two, of KiB */
#define VOLUMES_LEAST 100 /* days, before anything is called more than usual */

struct watch {
    size_t slots, stripe_buckets;
    pthread_mutex_t locks[STRIPES]; /* each of its share of the slots */
    atomic_int_least64_t volumes[VOLUME_BINS];
    int64_t *keys; /* of the trails, stripe by stripe, bucket by bucket; 0: a free place */
    struct trail *trails;
};

static void *take_pages(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED)
        abort();
    return pages;
}

struct watch *watch_new(size_t slots)
{
    assert(slots >= 1024 && (slots & (slots - 1)) == 0);
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->slots = slots;
    w->stripe_buckets = slots / STRIPES / WAYS;
    w->keys = take_pages(slots * sizeof *w->keys);
    w->trails = take_pages(slots * sizeof *w->trails);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&w->locks[i], NULL);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&w->locks[i]);
    munmap(w->keys, w->slots * sizeof *w->keys);
    munmap(w->trails, w->slots * sizeof *w->trails);
    free(w);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static pthread_mutex_t *lock_of(struct watch *w, int64_t key_id)
{
    return &w->locks[mix((uint64_t)key_id) % STRIPES];
}

/* Each key may stand in two buckets of its stripe, so that one that is full by chance costs nobody a place. */
static void buckets_of(const struct watch *w, int64_t key_id, size_t out[2])
{
    uint64_t hash = mix((uint64_t)key_id);
    size_t stripe = hash % STRIPES * w->stripe_buckets, mask = w->stripe_buckets - 1;
    out[0] = (stripe + (hash >> 8 & mask)) * WAYS;
    out[1] = (stripe + (hash >> 36 & mask)) * WAYS;
}

static struct trail *find(struct watch *w, int64_t key_id)
{
    size_t buckets[2];
    buckets_of(w, key_id, buckets);
    for (size_t i = 0; i < 2 * WAYS; i += 8)
        __builtin_prefetch(&w->keys[buckets[i / WAYS] + i % WAYS]);
    for (size_t i = 0; i < 2 * WAYS; i++) {
        struct trail *t = &w->trails[buckets[i / WAYS] + i % WAYS];
        if (w->keys[buckets[i / WAYS] + i % WAYS] != key_id)
            continue;
        for (size_t line = 0; line < sizeof *t; line += 64) /* all at once, not one after another */
            __builtin_prefetch((const char *)t + line);
        return t;
    }
    return NULL;
}

static size_t used(const struct watch *w, size_t bucket)
{
    size_t count = 0;
    for (size_t i = 0; i < WAYS; i++)
        count += w->keys[bucket + i] != 0;
    return count;
}

/* In the emptier bucket; where both are full, in the place of the coldest. */
static struct trail *add(struct watch *w, int64_t key_id)
{
    size_t buckets[2];
    buckets_of(w, key_id, buckets);
    size_t first = used(w, buckets[1]) < used(w, buckets[0]), at = buckets[first];
    for (size_t i = 0; i < 2 * WAYS; i++) {
        size_t slot = buckets[(i / WAYS + first) % 2] + i % WAYS;
        if (!w->keys[slot] || (w->keys[at] && w->trails[slot].seen_s < w->trails[at].seen_s))
            at = slot;
        if (!w->keys[slot])
            break;
    }
    w->keys[at] = key_id;
    w->trails[at] = (struct trail){0};
    return &w->trails[at];
}

/* Volumes. */

static size_t bin_of(uint32_t kib)
{
    return kib ? 32U - (size_t)__builtin_clz(kib) : 0;
}

static uint32_t busy_kib(struct watch *w)
{
    int64_t all = 0, above = 0;
    for (size_t i = 0; i < VOLUME_BINS; i++)
        all += atomic_load_explicit(&w->volumes[i], memory_order_relaxed);
    if (all < VOLUMES_LEAST)
        return 0;
    size_t bin = VOLUME_BINS - 1;
    for (; bin > 0; bin--) {
        above += atomic_load_explicit(&w->volumes[bin], memory_order_relaxed);
        if (above * 100 > all)
            break;
    }
    return bin < 32 ? 1U << bin : UINT32_MAX; /* the end of the bin in which the 99 % lie */
}

/* Seeing. */

static unsigned raise(struct trail *t, unsigned signals, uint32_t now_s)
{
    unsigned raised =
        signals & 1U << BURST; /* whether it is one is known only outside: each repo more may make it one */
    uint16_t half = (uint16_t)(now_s / 1800) ? (uint16_t)(now_s / 1800) : 1;
    for (size_t i = 0; i <= KEY_SIGNALS; i++)
        if ((signals & 1U << i) && (!t->raised_half[i] || (uint16_t)(half - t->raised_half[i]) >= AGAIN_HALVES)) {
            t->raised_half[i] = half;
            raised |= 1U << i;
        }
    return raised;
}

struct seen watch_see(struct watch *w, const struct sight *sight)
{
    struct seen seen = {0};
    bool wakes = sight->used_us && sight->at_us - sight->used_us > INT64_C(86400) * SECOND_US;
    uint32_t busy = wakes ? busy_kib(w) : 0;
    pthread_mutex_t *lock = lock_of(w, sight->key_id);
    pthread_mutex_lock(lock);
    struct trail *t = find(w, sight->key_id);
    if (!t) {
        t = add(w, sight->key_id);
        seen.is_new = true;
    }
    if (t->woke_day && !busy)
        busy = busy_kib(w);
    seen.found = trail_add(t, sight, busy);
    seen.raised = raise(t, seen.found.signals, (uint32_t)(sight->at_us / SECOND_US));
    pthread_mutex_unlock(lock);
    if (seen.found.day_kib)
        atomic_fetch_add_explicit(&w->volumes[bin_of(seen.found.day_kib)], 1, memory_order_relaxed);
    return seen;
}

bool watch_remember(struct watch *w, int64_t key_id, uint32_t clients, uint32_t woke)
{
    pthread_mutex_t *lock = lock_of(w, key_id);
    pthread_mutex_lock(lock);
    struct trail *t = find(w, key_id);
    if (t) {
        t->new_clients |= (t->clients | clients) != clients;
        t->clients |= clients;
    }
    pthread_mutex_unlock(lock);
    return clients && (woke & ~clients);
}

void watch_forget(struct watch *w, int64_t key_id)
{
    pthread_mutex_t *lock = lock_of(w, key_id);
    pthread_mutex_lock(lock);
    struct trail *t = find(w, key_id);
    if (t)
        w->keys[t - w->trails] = 0;
    pthread_mutex_unlock(lock);
}

bool watch_unwritten(struct watch *w, size_t *cursor, int64_t *key_id, uint32_t *clients)
{
    size_t share = w->stripe_buckets * WAYS;
    while (*cursor < w->slots) {
        pthread_mutex_t *lock = &w->locks[*cursor / share];
        size_t end = (*cursor / share + 1) * share;
        bool found = false;
        pthread_mutex_lock(lock);
        for (; !found && *cursor < end; ++*cursor) {
            struct trail *t = &w->trails[*cursor];
            if (!w->keys[*cursor] || !t->new_clients)
                continue;
            *key_id = w->keys[*cursor];
            *clients = t->clients;
            t->new_clients = false;
            found = true;
        }
        pthread_mutex_unlock(lock);
        if (found)
            return true;
    }
    return false;
}

size_t watch_bytes(const struct watch *w)
{
    return sizeof *w + w->slots * (sizeof *w->keys + sizeof *w->trails);
}

size_t watch_count(struct watch *w)
{
    size_t count = 0, share = w->stripe_buckets * WAYS;
    for (size_t i = 0; i < w->slots; i++) {
        if (i % share == 0)
            pthread_mutex_lock(&w->locks[i / share]);
        count += w->keys[i] != 0;
        if (i % share == share - 1)
            pthread_mutex_unlock(&w->locks[i / share]);
    }
    return count;
}

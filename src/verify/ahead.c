/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "verify/ahead.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define SLOTS 16 /* of a megabyte at most */
#define THREADS 8

struct slot {
    struct ahead_item item;
    struct arena arena;
    bool ready;
};

struct ahead {
    const struct source *source;
    uint64_t size, count;     /* entries, bundles */
    uint64_t taken, given;    /* bundles that a thread has begun with; that have been asked for */
    struct slot slots[SLOTS]; /* bundle n is in slot n % SLOTS */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t threads[THREADS];
    unsigned thread_count;
};

static void fill(const struct ahead *ahead, struct slot *slot, uint64_t number)
{
    struct ahead_item *item = &slot->item;
    struct tile tile = {TILE_ENTRIES, number, tile_width(ahead->size, 0, number)};
    item->bundle_status = source_tile(ahead->source, &slot->arena, &tile, &item->bundle, &item->bundle_error);
    tile.level = 0;
    item->tile_status = source_tile(ahead->source, &slot->arena, &tile, &item->tile, &item->tile_error);
}

static void *read_ahead(void *context)
{
    struct ahead *ahead = context;
    pthread_mutex_lock(&ahead->lock);
    while (ahead->taken < ahead->count) {
        if (ahead->taken >= ahead->given + SLOTS - 1) { /* the one that was given last is still looked at */
            pthread_cond_wait(&ahead->changed, &ahead->lock);
            continue;
        }
        uint64_t number = ahead->taken++;
        struct slot *slot = &ahead->slots[number % SLOTS];
        pthread_mutex_unlock(&ahead->lock);
        arena_free(&slot->arena);
        fill(ahead, slot, number);
        pthread_mutex_lock(&ahead->lock);
        slot->ready = true;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

struct ahead *ahead_start(const struct source *source, uint64_t size)
{
    struct ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        abort();
    *ahead = (struct ahead){.source = source, .size = size, .count = (size - 1) / TILE_WIDTH + 1};
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    while (ahead->thread_count < THREADS && ahead->thread_count < ahead->count &&
           pthread_create(&ahead->threads[ahead->thread_count], NULL, read_ahead, ahead) == 0)
        ahead->thread_count++;
    if (ahead->thread_count == 0)
        abort();
    return ahead;
}

const struct ahead_item *ahead_next(struct ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    assert(ahead->given < ahead->count);
    struct slot *slot = &ahead->slots[ahead->given++ % SLOTS];
    pthread_cond_broadcast(&ahead->changed); /* the one before is free */
    while (!slot->ready)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    slot->ready = false;
    pthread_mutex_unlock(&ahead->lock);
    return &slot->item;
}

void ahead_end(struct ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    ahead->count = 0;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    while (ahead->thread_count > 0)
        pthread_join(ahead->threads[--ahead->thread_count], NULL);
    for (size_t i = 0; i < SLOTS; i++)
        arena_free(&ahead->slots[i].arena);
    pthread_mutex_destroy(&ahead->lock);
    pthread_cond_destroy(&ahead->changed);
    free(ahead);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <assert.h>

/*
 * A running ingest is a shortcut, never the truth: it says what the first bytes of an incoming file come to, so that
 * finishing the upload need not read them again. It is dropped before those bytes change, when the table is full, and
 * with the server; whoever needs the digest then reads the file.
 */

void running_init(struct running_table *table)
{
    pthread_mutex_init(&table->mutex, NULL);
}

static void slot_free(struct running *slot)
{
    ingest_free(&slot->ingest);
    *slot = (struct running){0};
}

void running_free(struct running_table *table)
{
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        assert(!table->slots[i].busy);
        if (table->slots[i].ingest)
            slot_free(&table->slots[i]);
    }
    pthread_mutex_destroy(&table->mutex);
}

static struct running *slot_find(struct running_table *table, const char *upload)
{
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        struct running *slot = &table->slots[i];
        if (slot->ingest && !slot->stale && memcmp(slot->upload, upload, NAME_SIZE) == 0) {
            slot->used = ++table->clock;
            return slot;
        }
    }
    return NULL;
}

/* A free slot, or else the one that was not used for longest. NULL when all are busy. */
static struct running *slot_new(struct store *store, const char *upload)
{
    struct running_table *table = &store->running;
    struct running *best = NULL;
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        struct running *slot = &table->slots[i];
        if (!slot->busy && (!best || slot->used < best->used))
            best = slot; /* a free slot has used 0 */
    }
    if (!best)
        return NULL;
    if (best->ingest)
        slot_free(best);
    best->ingest = ingest_new(store);
    best->used = ++table->clock;
    memcpy(best->upload, upload, NAME_SIZE);
    return best;
}

void running_wrote(struct store *store, const char *upload, int64_t offset, const void *data, size_t len)
{
    struct running_table *table = &store->running;
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (!slot && offset == 0)
        slot = slot_new(store, upload);
    if (slot && !slot->busy && slot->position >= offset && slot->position - offset < (int64_t)len) {
        size_t known = (size_t)(slot->position - offset);
        slot->busy = true;
        pthread_mutex_unlock(&table->mutex);
        if (ingest_add(slot->ingest, (const char *)data + known, len - known, NULL) != OK)
            running_forget(table, upload);
        running_unclaim(table, slot, offset + (int64_t)len);
        return;
    }
    pthread_mutex_unlock(&table->mutex);
}

int64_t running_position(struct running_table *table, const char *upload)
{
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    int64_t position = slot ? slot->position : 0;
    pthread_mutex_unlock(&table->mutex);
    return position;
}

void running_forget(struct running_table *table, const char *upload)
{
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (slot && slot->busy)
        slot->stale = true;
    else if (slot)
        slot_free(slot);
    pthread_mutex_unlock(&table->mutex);
}

struct ingest *running_take(struct store *store, const char *upload, int64_t *position)
{
    struct running_table *table = &store->running;
    struct ingest *ingest = NULL;
    *position = 0;
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (slot && !slot->busy) {
        ingest = slot->ingest;
        *position = slot->position;
        *slot = (struct running){0};
    }
    pthread_mutex_unlock(&table->mutex);
    return ingest ? ingest : ingest_new(store);
}

struct running *running_claim(struct running_table *table, const char *upload)
{
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (slot && slot->busy)
        slot = NULL;
    if (slot)
        slot->busy = true;
    pthread_mutex_unlock(&table->mutex);
    return slot;
}

void running_unclaim(struct running_table *table, struct running *slot, int64_t position)
{
    pthread_mutex_lock(&table->mutex);
    slot->busy = false;
    slot->position = position;
    if (slot->stale)
        slot_free(slot);
    pthread_mutex_unlock(&table->mutex);
}

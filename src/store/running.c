/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <assert.h>

/*
 * A running hash is a shortcut, never the truth: it says what the digest of the first bytes of an incoming file is, so
 * that finishing the upload need not read them again. It is dropped before those bytes change, when the table is full,
 * and with the server; whoever needs the digest then reads the file.
 */

void running_init(struct running_table *table)
{
    pthread_mutex_init(&table->mutex, NULL);
}

static void slot_free(struct running *slot)
{
    hasher_free(slot->hasher);
    *slot = (struct running){0};
}

void running_free(struct running_table *table)
{
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        assert(!table->slots[i].busy);
        if (table->slots[i].hasher)
            slot_free(&table->slots[i]);
    }
    pthread_mutex_destroy(&table->mutex);
}

static struct running *slot_find(struct running_table *table, const char *upload)
{
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        struct running *slot = &table->slots[i];
        if (slot->hasher && !slot->stale && memcmp(slot->upload, upload, NAME_SIZE) == 0) {
            slot->used = ++table->clock;
            return slot;
        }
    }
    return NULL;
}

/* A free slot, or else the one that was not used for longest. NULL when all are busy. */
static struct running *slot_new(struct running_table *table, const char *upload)
{
    struct running *best = NULL;
    for (size_t i = 0; i < RUNNING_LIMIT; i++) {
        struct running *slot = &table->slots[i];
        if (!slot->busy && (!best || slot->used < best->used))
            best = slot; /* a free slot has used 0 */
    }
    if (!best)
        return NULL;
    if (best->hasher)
        slot_free(best);
    best->hasher = hasher_sha256();
    best->used = ++table->clock;
    memcpy(best->upload, upload, NAME_SIZE);
    return best;
}

void running_wrote(struct running_table *table, const char *upload, int64_t offset, const void *data, size_t len)
{
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (!slot && offset == 0)
        slot = slot_new(table, upload);
    if (slot && !slot->busy && slot->position >= offset && slot->position - offset < (int64_t)len) {
        size_t known = (size_t)(slot->position - offset);
        slot->busy = true;
        pthread_mutex_unlock(&table->mutex);
        hasher_add(slot->hasher, (const char *)data + known, len - known);
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

struct hasher *running_take(struct running_table *table, const char *upload, int64_t *position)
{
    struct hasher *hasher = NULL;
    *position = 0;
    pthread_mutex_lock(&table->mutex);
    struct running *slot = slot_find(table, upload);
    if (slot && !slot->busy) {
        hasher = slot->hasher;
        *position = slot->position;
        *slot = (struct running){0};
    }
    pthread_mutex_unlock(&table->mutex);
    return hasher ? hasher : hasher_sha256();
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

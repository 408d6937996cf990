/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When keys and sessions were last used. A row written with each request would cost more than most requests do; so it is kept here,
 * and written once a minute for all keys that were used. What a crash loses is a minute of it.
 */
#include "identity/internal.h"
#include "identity/key.h"
#include <pthread.h>
#include <stdlib.h>

#define SLOTS_MOST (1 << 20) /* 16 MiB; keys beyond that are written down the next time */

struct use {
    int64_t what; /* twice the key's id, and one more for its old secret; 0: an empty slot */
    int64_t at_us;
};

static struct {
    pthread_mutex_t lock;
    struct use *slots;
    size_t size, count; /* size is a power of two, and more than count */
} uses = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct use *find_slot(struct use *slots, size_t size, int64_t what)
{
    size_t at = (size_t)((uint64_t)what * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (size - 1);
    while (slots[at].what && slots[at].what != what)
        at = (at + 1) & (size - 1);
    return &slots[at];
}

static bool make_room(void)
{
    if (uses.count < uses.size / 2)
        return true;
    if (uses.size == SLOTS_MOST)
        return false;
    size_t size = uses.size ? uses.size * 2 : 256;
    struct use *slots = calloc(size, sizeof *slots);
    if (!slots)
        abort();
    for (size_t i = 0; i < uses.size; i++)
        if (uses.slots[i].what)
            *find_slot(slots, size, uses.slots[i].what) = uses.slots[i];
    free(uses.slots);
    uses.slots = slots;
    uses.size = size;
    return true;
}

static void remember(int64_t what, int64_t at_us)
{
    pthread_mutex_lock(&uses.lock);
    struct use *slot = uses.size ? find_slot(uses.slots, uses.size, what) : NULL;
    if ((!slot || !slot->what) && make_room()) {
        slot = find_slot(uses.slots, uses.size, what);
        slot->what = what;
        uses.count++;
    }
    if (slot && slot->what == what && slot->at_us < at_us)
        slot->at_us = at_us;
    pthread_mutex_unlock(&uses.lock);
}

void key_used(int64_t key_id, bool old_secret, int64_t at_us)
{
    remember(key_id * 2 + old_secret, at_us);
}

int64_t key_used_last(int64_t key_id, bool old_secret, int64_t stored_us)
{
    int64_t what = key_id * 2 + old_secret, at_us = 0;
    pthread_mutex_lock(&uses.lock);
    const struct use *slot = uses.size ? find_slot(uses.slots, uses.size, what) : NULL;
    if (slot && slot->what)
        at_us = slot->at_us;
    pthread_mutex_unlock(&uses.lock);
    return at_us > stored_us ? at_us : stored_us;
}

struct batch {
    struct use *slots;
    size_t size;
};

static const char use_sql[] = "UPDATE api_key SET used_us = ? WHERE id = ?";
/* Of the secrets that a key has had, only the last but one can have been used. */
static const char old_use_sql[] =
    "UPDATE api_key_old SET used_us = ? WHERE key_id = ? AND "
    "until_us = (SELECT max(o.until_us) FROM api_key_old o WHERE o.key_id = api_key_old.key_id)";

static const char session_use_sql[] = "UPDATE session SET used_us = ? WHERE id = ?";

static enum status write_uses(struct db_conn *tx, void *context, struct error *err)
{
    const struct batch *batch = context;
    for (size_t i = 0; i < batch->size; i++) {
        const struct use *use = &batch->slots[i];
        auto_stmt struct stmt *update = NULL;
        if (!use->what)
            continue;
        bool session = use->what / 2 >= SESSION_FIRST;
        TRY(db_prepare(tx, session ? session_use_sql : use->what % 2 ? old_use_sql : use_sql, &update, err));
        stmt_bind_int(update, 1, use->at_us);
        stmt_bind_int(update, 2, use->what / 2);
        TRY(stmt_run(update, err));
    }
    return OK;
}

enum status key_uses_write(struct db *db, struct error *err)
{
    pthread_mutex_lock(&uses.lock);
    struct batch batch = {uses.slots, uses.size};
    uses.slots = NULL;
    uses.size = uses.count = 0;
    pthread_mutex_unlock(&uses.lock);
    if (!batch.size)
        return OK;
    enum status status = db_write(db, write_uses, &batch, err);
    for (size_t i = 0; status != OK && i < batch.size; i++) /* for the next time */
        if (batch.slots[i].what)
            remember(batch.slots[i].what, batch.slots[i].at_us);
    free(batch.slots);
    return status;
}

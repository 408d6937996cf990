/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ledger/internal.h"

#include <assert.h>

/*
 * A tile takes twice the room of its hashes, because the inner nodes stand behind them, a row of 128, one of 64 and so
 * on to one of 2 (its root is a hash of the next level). Otherwise every proof would have to fold up to 255 hashes for
 * each tile on its way, which takes longer than all else together.
 */
#define TILE_PLACES (2 * TILE_WIDTH)

static unsigned row_start(unsigned row)
{
    return TILE_PLACES - (TILE_PLACES >> row);
}

int64_t node_offset(unsigned level, uint64_t index)
{
    struct tile_place place = tile_place(level, index);
    unsigned row = level % TILE_HEIGHT;
    return (int64_t)((place.number * TILE_PLACES + row_start(row) + (place.first >> row)) * SHA256_SIZE);
}

void growth_start(struct growth *growth, const struct tlog_frontier *frontier, uint64_t bytes)
{
    growth->frontier = *frontier;
    growth->from = frontier->size;
    growth->bytes = bytes;
}

static struct tlog_hash *growth_place(struct growth *growth, unsigned level, uint64_t index)
{
    if (level > TILE_HEIGHT)
        return &growth->high[level];
    return &growth->rows[row_start(level) + (index - (growth->from >> level))];
}

void growth_add(struct growth *growth, struct str entry)
{
    struct tlog_hash leaf = tlog_leaf_hash(entry), complete[TLOG_LEVELS];
    uint64_t index = growth->frontier.size;
    assert(index / TILE_WIDTH == growth->from / TILE_WIDTH);
    unsigned count = tlog_append(&growth->frontier, &leaf, complete);
    for (unsigned level = 0; level < count; level++)
        *growth_place(growth, level, index >> level) = complete[level];
    growth->bytes += 2 + entry.len;
}

bool growth_full(const struct growth *growth)
{
    return growth->frontier.size > growth->from && growth->frontier.size % TILE_WIDTH == 0;
}

enum status growth_give(struct growth *growth, growth_taker *take, void *context, struct error *err)
{
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        uint64_t first = growth->from >> level, count = (growth->frontier.size >> level) - first;
        if (count == 0)
            break; /* then nothing grew above either */
        TRY(take(context, level, first, growth_place(growth, level, first), count, err));
    }
    growth->from = growth->frontier.size;
    return OK;
}

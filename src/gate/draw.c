/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/draw.h"
#include <assert.h>
#include <stdio.h>

static int64_t weight(const struct candidate *one, bool also_had_them)
{
    return one->free > 0 && (also_had_them || !one->had_them) ? one->free : 0;
}

static size_t pick_among(const struct candidate *candidates, size_t count, uint64_t random, bool also_had_them)
{
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += weight(&candidates[i], also_had_them);
    if (total == 0)
        return count;
    int64_t at = (int64_t)(((unsigned __int128)random * (uint64_t)total) >> 64);
    for (size_t i = 0; i < count; i++)
        if ((at -= weight(&candidates[i], also_had_them)) < 0)
            return i;
    assert(!"at is less than the total");
    return count;
}

size_t draw_pick(const struct candidate *candidates, size_t count, uint64_t random)
{
    size_t found = pick_among(candidates, count, random, false);
    return found < count ? found : pick_among(candidates, count, random, true);
}

int64_t draw_place(const uint8_t seed[SHA256_SIZE], int64_t request_id, int64_t cycle)
{
    char text[SHA256_SIZE + 48];
    uint8_t digest[SHA256_SIZE];
    uint64_t head = 0;
    memcpy(text, seed, SHA256_SIZE);
    int len =
        snprintf(text + SHA256_SIZE, sizeof text - SHA256_SIZE, "%lld/%lld", (long long)request_id, (long long)cycle);
    sha256((struct str){text, SHA256_SIZE + (size_t)len}, digest);
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | digest[i];
    return (int64_t)(((unsigned __int128)head * 1000000) >> 64);
}

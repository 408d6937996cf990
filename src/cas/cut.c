/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/cut.h"
#include "cas/gear_table.h"
#include <stdbool.h>

/* Each byte moves those before it one bit up, so that after 64 more nothing is left of it. */
#define WINDOW 64
/* A chunk ends where the upper 16 bits are zero: every 64 KiB, on average. */
#define CUT_BELOW (UINT64_C(1) << 48)

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Continues the hash over [from, to) up to and with the first byte behind which it says cut. Returns where that byte
 * ends and sets *cut, or returns to. This is where the time goes: on one byte after the other, each with a shift and an
 * addition that wait for those before them; unrolled, the compiler makes of it two loads, a lea and a compare with
 * branch.
 */
static const uint8_t *gear_search(uint64_t *gear, const uint8_t *from, const uint8_t *to, bool *cut)
{
    uint64_t hash = *gear;
    const uint8_t *at = from;
#define STEP(i)                                                                                                        \
    hash = (hash << 1) + gear_table[at[i]];                                                                            \
    if (__builtin_expect(hash < CUT_BELOW, 0)) {                                                                       \
        *cut = true;                                                                                                   \
        return at + (i) + 1;                                                                                           \
    }
    for (; to - at >= 8; at += 8) {
        STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
    }
    for (; at < to; at++) {
        STEP(0)
    }
#undef STEP
    *gear = hash;
    return to;
}

size_t cutter_next(struct cutter *cutter, const uint8_t *data, size_t len)
{
    size_t at = 0, size = cutter->size;
    if (len == 0)
        return 0;
    /* No hash is looked at before CHUNK_MIN bytes, and then only its window counts. */
    if (size < CHUNK_MIN - WINDOW) {
        at = smaller(len, CHUNK_MIN - WINDOW - size);
        size += at;
    }
    uint64_t gear = cutter->gear;
    for (; size < CHUNK_MIN - 1 && at < len; at++, size++)
        gear = (gear << 1) + gear_table[data[at]];
    bool cut = false;
    size_t to = at + smaller(len - at, CHUNK_MAX - size);
    size_t end = (size_t)(gear_search(&gear, data + at, data + to, &cut) - data);
    size += end - at;
    if (cut || size == CHUNK_MAX) {
        *cutter = (struct cutter){0};
        return end;
    }
    *cutter = (struct cutter){.gear = gear, .size = size};
    return 0;
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Batcher's odd-even merge sort as a list of comparators, for any n. */
#include "robust/internal.h"
#include <assert.h>
#include <stdlib.h>

struct list {
    struct comparator *items;
    size_t count, capacity;
};

static void append(struct list *list, size_t low, size_t high)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 256;
        list->items = realloc(list->items, list->capacity * sizeof *list->items);
        if (!list->items)
            abort();
    }
    list->items[list->count++] = (struct comparator){(uint16_t)low, (uint16_t)high};
}

/* The Art of Computer Programming, 5.2.2, Algorithm M. */
static void batcher(size_t n, struct list *list)
{
    size_t top = 1;
    while (top * 2 < n)
        top *= 2;
    for (size_t p = top; p > 0; p /= 2) {
        size_t q = top, r = 0, distance = p;
        for (;;) {
            for (size_t i = 0; i + distance < n; i++)
                if ((i & p) == r)
                    append(list, i, i + distance);
            if (q == p)
                break;
            distance = q - p;
            q /= 2;
            r = p;
        }
    }
}

/* From the end to the start: a comparator matters when one of its outputs does, and then both of its inputs do. */
static void prune(struct list *list, size_t n, size_t from, size_t to)
{
    bool *matters = calloc(n, sizeof *matters);
    size_t kept = list->count;
    if (!matters)
        abort();
    for (size_t i = from; i < to; i++)
        matters[i] = true;
    for (size_t i = list->count; i-- > 0;) {
        struct comparator one = list->items[i];
        if (!matters[one.low] && !matters[one.high])
            continue;
        matters[one.low] = matters[one.high] = true;
        list->items[--kept] = one;
    }
    list->count -= kept;
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = list->items[kept + i];
    free(matters);
}

void network_make(size_t n, size_t from, size_t to, struct comparator **out, size_t *count)
{
    struct list list = {0};
    assert(n <= ROBUST_COLUMN_MOST && from <= to && to <= n);
    if (n > 1)
        batcher(n, &list);
    prune(&list, n, from, to);
    *out = list.items;
    *count = list.count;
}

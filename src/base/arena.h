/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_ARENA_H
#define CAIRN_BASE_ARENA_H

#include "base/str.h"

/*
 * Memory that dies together: a request's, a job's. Not thread-safe. Out of memory aborts, so nothing here returns NULL;
 * what comes from outside is limited before it is copied in.
 */
struct arena {
    struct arena_block *blocks;
    size_t used, total; /* bytes taken from the newest block; bytes held in all blocks */
};

#define auto_arena __attribute__((cleanup(arena_free)))

void arena_free(struct arena *arena);  /* gives all memory back; the arena can be used again */
void arena_reset(struct arena *arena); /* as arena_free, but keeps one block of ordinary size for the next request */
void *arena_alloc(struct arena *arena, size_t size);                    /* zeroed, aligned for any type */
void *arena_array(struct arena *arena, size_t count, size_t item_size); /* zeroed; aborts when the product overflows */
struct str arena_copy(struct arena *arena, struct str s);               /* the copy is NUL-terminated */
char *arena_cstr(struct arena *arena, struct str s);                    /* the same, as a C string */
struct str arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for one more item at the end of an array that lives in arena; the array doubles. */
void *array_room(struct arena *arena, void *items, size_t count, size_t *capacity, size_t item_size);

#endif

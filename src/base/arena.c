/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Under AddressSanitizer what is not handed out is poisoned, and a guard byte keeps neighbours apart. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GUARD 1
#else
#define ASAN_POISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#define GUARD 0
#endif

#define BLOCK_SIZE ((size_t)16 * 1024)
#define ALIGNMENT _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(max_align_t) unsigned char data[];
};

/* Fresh blocks are zero; an ordinary block that arena_reset() kept is not, which is why arena_alloc() clears. */
static struct arena_block *block_make(struct arena *arena, size_t size)
{
    size_t whole;
    struct arena_block *block;
    if (__builtin_add_overflow(size, sizeof *block, &whole) || !(block = calloc(1, whole)))
        abort();
    block->size = size;
    arena->total += size;
    ASAN_POISON_MEMORY_REGION(block->data, size);
    return block;
}

static void *block_take(struct arena_block *block, size_t offset, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(block->data + offset, size);
    return block->data + offset;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t room; /* no allocation is empty, so that each has an address of its own */
    if (__builtin_add_overflow(size ? size : 1, GUARD + ALIGNMENT - 1, &room))
        abort();
    room -= room % ALIGNMENT;

    struct arena_block *block = arena->blocks;
    if (block && block->size - arena->used >= room) {
        void *data = block_take(block, arena->used, size);
        arena->used += room;
        return memset(data, 0, size);
    }
    if (block && room > BLOCK_SIZE / 4) { /* behind the newest block, whose remaining room stays in use */
        struct arena_block *own = block_make(arena, room);
        own->next = block->next;
        block->next = own;
        return block_take(own, 0, size);
    }
    arena->blocks = block_make(arena, room > BLOCK_SIZE ? room : BLOCK_SIZE);
    arena->blocks->next = block;
    arena->used = room;
    return block_take(arena->blocks, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t item_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size))
        abort();
    return arena_alloc(arena, size);
}

static void free_all_but(struct arena *arena, struct arena_block *kept)
{
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *next = block->next;
        if (block != kept)
            free(block);
        block = next;
    }
    *arena = (struct arena){.blocks = kept, .total = kept ? kept->size : 0};
}

void arena_free(struct arena *arena)
{
    free_all_but(arena, NULL);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    while (kept && kept->size != BLOCK_SIZE)
        kept = kept->next;
    free_all_but(arena, kept);
    if (kept) {
        kept->next = NULL;
        ASAN_POISON_MEMORY_REGION(kept->data, kept->size);
    }
}

char *arena_cstr(struct arena *arena, struct str s)
{
    if (s.len == SIZE_MAX)
        abort();
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return copy;
}

struct str arena_copy(struct arena *arena, struct str s)
{
    return (struct str){arena_cstr(arena, s), s.len};
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    char small[256]; /* most results fit, and are then formatted once */
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, format, args);
    if (len < 0)
        abort();
    struct str result = {small, (size_t)len};
    if (result.len < sizeof small) {
        result = arena_copy(arena, result);
    } else {
        char *data = arena_alloc(arena, result.len + 1);
        vsnprintf(data, result.len + 1, format, again);
        result.data = data;
    }
    va_end(again);
    va_end(args);
    return result;
}

void *array_room(struct arena *arena, void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    void *room = arena_array(arena, *capacity, item_size);
    if (count)
        memcpy(room, items, count * item_size);
    return room;
}

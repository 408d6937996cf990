/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE (16 << 10)
#define ALIGNMENT 16

struct arena_block {
    struct arena_block *next;
    size_t size, used; /* of data */
    _Alignas(ALIGNMENT) char data[];
};

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_free(struct arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL, **link = &arena->blocks;
    for (; *link; link = &(*link)->next) {
        if ((*link)->size == BLOCK_SIZE) {
            kept = *link;
            *link = kept->next;
            break;
        }
    }
    arena_free(arena);
    if (kept) {
        kept->next = NULL;
        kept->used = 0;
        *arena = (struct arena){.blocks = kept, .total = BLOCK_SIZE};
    }
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = malloc(sizeof *block + size);
    if (!block)
        abort();
    block->size = size;
    block->used = 0;
    /* A large piece goes behind the block in use, so that what is left there still serves the small ones. */
    if (arena->blocks && size != BLOCK_SIZE) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    arena->total += size;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t rounded;
    if (__builtin_add_overflow(size, ALIGNMENT - 1, &rounded) || rounded > SIZE_MAX / 2)
        abort();
    rounded &= ~(size_t)(ALIGNMENT - 1);
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded)
        block = add_block(arena, rounded > BLOCK_SIZE / 4 ? rounded : BLOCK_SIZE);
    void *piece = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    return memset(piece, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t item_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size))
        abort();
    return arena_alloc(arena, size);
}

struct str arena_copy(struct arena *arena, struct str s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return (struct str){copy, s.len};
}

char *arena_cstr(struct arena *arena, struct str s) { return (char *)arena_copy(arena, s).data; }

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0)
        abort();
    char *text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (struct str){text, (size_t)len};
}

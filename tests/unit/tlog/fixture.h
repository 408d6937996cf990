/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of this part share: a tree that keeps all its nodes, and the fixture log with two witnesses of its
 * own. */
#ifndef CAIRN_TEST_TLOG_FIXTURE_H
#define CAIRN_TEST_TLOG_FIXTURE_H

#include "base/text.h"
#include "tessera_log.h"
#include "tlog/checkpoint.h"
#include "tlog/tile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FOREST_MOST 1024

/* Every node of a small tree, by level and index. */
struct forest {
    struct tlog_frontier frontier;
    struct tlog_hash nodes[11][FOREST_MOST];
    unsigned asked; /* nodes read so far */
};

static inline void forest_add(struct forest *forest, struct tlog_hash leaf)
{
    struct tlog_hash complete[TLOG_LEVELS];
    uint64_t index = forest->frontier.size;
    unsigned count = tlog_append(&forest->frontier, &leaf, complete);
    for (unsigned level = 0; level < count; level++)
        forest->nodes[level][index >> level] = complete[level];
}

static inline enum status forest_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out,
                                      struct error *err)
{
    struct forest *forest = context;
    /* The parentheses keep cmocka's macro of that name away. */
    if (level >= COUNT(forest->nodes) || (index + 1) << level > forest->frontier.size)
        return (fail)(err, INTERNAL, NULL, "No complete subtree is there.");
    *out = forest->nodes[level][index];
    forest->asked++;
    return OK;
}

static inline struct tlog_source forest_source(struct forest *forest)
{
    return (struct tlog_source){forest_node, forest};
}

/* The forest over size leaves that each say their number; to be freed. */
static inline struct forest *forest_of(uint64_t size)
{
    struct forest *forest = calloc(1, sizeof *forest);
    assert_non_null(forest);
    for (uint64_t i = 0; i < size; i++) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        forest_add(forest, tlog_leaf_hash(str_of(text)));
    }
    return forest;
}

/* A log is told from its witnesses by the kind of its key; seeds are numbers, the same byte 32 times. */
static inline struct note_signer signer_of(struct arena *arena, enum note_kind kind, const char *name, uint8_t number)
{
    uint8_t seed[NOTE_SEED_SIZE];
    struct note_signer signer;
    memset(seed, number, sizeof seed);
    assert_int_equal(note_signer_make(arena, kind, str_of(name), seed, &signer, NULL), OK);
    return signer;
}

static inline struct str vkey_of(struct arena *arena, const struct note_signer *signer)
{
    auto_buf struct buf text = {0};
    note_verifier_write(&text, &signer->verifier);
    return arena_copy(arena, buf_view(&text));
}

static inline struct note_signer tessera_signer(struct arena *arena)
{
    uint8_t seed[NOTE_SEED_SIZE];
    struct note_signer signer;
    assert_true(hex_decode(STR(TESSERA_SEED), seed, sizeof seed));
    assert_int_equal(note_signer_make(arena, NOTE_ED25519, STR(TESSERA_ORIGIN), seed, &signer, NULL), OK);
    return signer;
}

/* The note that the fixture log published for that size. */
static inline struct str tessera_checkpoint(struct arena *arena, unsigned size)
{
    return arena_printf(arena, TESSERA_ORIGIN "\n%u\n%s\n\n\xE2\x80\x94 " TESSERA_ORIGIN " %s\n", size,
                        tessera_checkpoints[size].root, tessera_checkpoints[size].signature);
}

static inline struct str from_hex(struct arena *arena, const char *hex)
{
    size_t len = strlen(hex) / 2;
    char *bytes = arena_alloc(arena, len + 1);
    assert_true(hex_decode(str_of(hex), (uint8_t *)bytes, len));
    return (struct str){bytes, len};
}

static inline void assert_str(struct str actual, struct str expected)
{
    assert_int_equal(actual.len, expected.len);
    assert_memory_equal(actual.data, expected.data, expected.len);
}

/* A copy with one bit of one byte changed. */
static inline struct str with_flipped_bit(struct arena *arena, struct str s, size_t at)
{
    char *copy = arena_cstr(arena, s);
    copy[at] ^= 1;
    return (struct str){copy, s.len};
}

static inline struct str joined(struct arena *arena, struct str a, struct str b)
{
    auto_buf struct buf all = {0};
    buf_str(&all, a);
    buf_str(&all, b);
    return arena_copy(arena, buf_view(&all));
}

#endif

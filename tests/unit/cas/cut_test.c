/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/cut.h"

#include "cas/gear_table.h"
#include "cas/hash.h"
#include "splitmix.h"

#include <blake3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CUTS_MOST 1000

struct cuts {
    size_t count, ends[CUTS_MOST];
};

static void cuts_add(struct cuts *cuts, size_t end)
{
    assert_true(cuts->count < CUTS_MOST);
    cuts->ends[cuts->count++] = end;
}

static void assert_cuts(const struct cuts *actual, const struct cuts *expected)
{
    assert_int_equal(actual->count, expected->count);
    assert_memory_equal(actual->ends, expected->ends, expected->count * sizeof(expected->ends[0]));
}

/* Cuts data that comes in pieces of a length that *chance decides, up to most; in one piece when chance is NULL. */
static void cut_pieces(const uint8_t *data, size_t len, uint64_t *chance, size_t most, struct cuts *cuts)
{
    struct cutter cutter = {0};
    *cuts = (struct cuts){0};
    for (size_t at = 0; at < len;) {
        size_t piece = chance ? splitmix(chance) % (most + 1) : len - at;
        piece = piece < len - at ? piece : len - at;
        for (size_t end = at + piece; at < end;) {
            size_t taken = cutter_next(&cutter, data + at, end - at);
            assert_true(taken <= end - at);
            at = taken ? at + taken : end;
            if (taken)
                cuts_add(cuts, at);
        }
    }
    if (cutter.size)
        cuts_add(cuts, len);
}

static void cut_whole(const uint8_t *data, size_t len, struct cuts *cuts)
{
    cut_pieces(data, len, NULL, 0, cuts);
}

/* The rule of xet-protocol 2.4, byte by byte and with nothing skipped. */
static void cut_plainly(const uint8_t *data, size_t len, struct cuts *cuts)
{
    uint64_t hash = 0;
    size_t size = 0;
    *cuts = (struct cuts){0};
    for (size_t i = 0; i < len; i++) {
        hash = (hash << 1) + gear_table[data[i]];
        size++;
        if ((size >= 8192 && (hash & UINT64_C(0xffff000000000000)) == 0) || size == 131072) {
            cuts_add(cuts, i + 1);
            hash = size = 0;
        }
    }
    if (size)
        cuts_add(cuts, len);
}

static uint8_t *stream(uint64_t seed, size_t len)
{
    uint8_t *data = malloc(len);
    splitmix_fill(seed, data, len);
    return data;
}

static void assert_hash(struct chunk_hash hash, const char *text)
{
    char actual[CHUNK_HASH_TEXT];
    chunk_hash_text(&hash, actual);
    assert_string_equal(actual, text);
}

struct names {
    struct chunk_hash first, xorb, range, file;
};

static struct names names_of(const uint8_t *data, const struct cuts *cuts)
{
    struct names names = {0};
    struct merkle merkle = {0};
    struct term_proof *proof = term_proof_new();
    for (size_t i = 0, at = 0; i < cuts->count; at = cuts->ends[i++]) {
        struct chunk_hash hash = chunk_hash_of(data + at, cuts->ends[i] - at);
        merkle_add(&merkle, &hash, cuts->ends[i] - at);
        term_proof_add(proof, &hash);
        if (i == 0)
            names.first = hash;
    }
    names.xorb = merkle_root(&merkle);
    names.range = term_proof_end(proof);
    names.file = file_hash_of(&names.xorb);
    term_proof_free(proof);
    return names;
}

static void the_table_is_that_of_the_protocol(void **state)
{
    (void)state;
    assert_int_equal(COUNT(gear_table), 256);
    assert_true(gear_table[0] == UINT64_C(0xb088d3a9e840f559));
    assert_true(gear_table[1] == UINT64_C(0x5652c7f739ed20d6));
    assert_true(gear_table[255] == UINT64_C(0x63c7a906c1dd187b));
    uint64_t all = 0;
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    for (size_t i = 0; i < 256; i++) {
        uint64_t word = htole64(gear_table[i]);
        blake3_hasher_update(&hasher, &word, sizeof(word));
        all ^= gear_table[i];
    }
    assert_true(all == UINT64_C(0x6aa26c5ca5f6cbfc));
    struct chunk_hash digest, swapped;
    blake3_hasher_finalize(&hasher, swapped.bytes, CHUNK_HASH_SIZE);
    chunk_hash_swap(swapped.bytes, digest.bytes);
    assert_hash(digest, "f60341922f1af687111d59d36d19c4726158eefb2544163b58ff06de0509ec0c");
}

static void a_million_bytes_are_cut_and_named_as_in_the_specification(void **state)
{
    (void)state;
    static const struct cuts expected = {19,
                                         {84493, 134421, 144853, 243318, 271793, 336457, 467529, 494581, 582000, 596735,
                                          616815, 653164, 678202, 724510, 815591, 827760, 958832, 991092, 1000000}};
    uint8_t *data = stream(0, 1000000);
    struct cuts cuts;
    cut_whole(data, 1000000, &cuts);
    assert_cuts(&cuts, &expected);
    struct names names = names_of(data, &cuts);
    assert_hash(names.first, "6eca1e7dadaf08cca5d82d318c800f07c2ddcec115a7e8627e5edd9605b94b8d");
    assert_hash(names.xorb, "6f2ce16ca5e317f0100ff0e7e5bf40a0de9032e9ee1ad04b6b8ff4e36cdfbf6c");
    assert_hash(names.range, "6daf15a7ed258b91f607e8f5e6723a8564292d12c8104c156f7bad9c255a0180");
    assert_hash(names.file, "3d17b2d7d64a0e011b6717a52d9a16bd2c3f05b743fa8adf52a7d75dafab6d89");
    free(data);
}

/*
 * Stock JavaScript clients (@huggingface/xetchunk-wasm 0.2.0) look at the hash from the 8128th byte of a chunk on and
 * take any cut, although the window is not full before CHUNK_MIN bytes. So theirs may have a few bytes less than
 * CHUNK_MIN; ours must not.
 */
static void cut_like_javascript(const uint8_t *data, size_t len, struct cuts *cuts)
{
    uint64_t hash = 0;
    size_t size = 0;
    *cuts = (struct cuts){0};
    for (size_t i = 0; i < len; i++) {
        if (size++ < 8127)
            continue;
        hash = (hash << 1) + gear_table[data[i]];
        if (hash >> 48 == 0 || size == 131072) {
            cuts_add(cuts, i + 1);
            hash = size = 0;
        }
    }
    if (size)
        cuts_add(cuts, len);
}

static void twelve_million_bytes_as_cut_by_javascript_are_named_as_in_the_specification(void **state)
{
    (void)state;
    uint8_t *data = stream(0, 12000000);
    struct cuts cuts;
    cut_like_javascript(data, 12000000, &cuts);
    assert_int_equal(cuts.count, 196);
    struct names names = names_of(data, &cuts);
    assert_hash(names.xorb, "d8eb94afdc4d3759c0129a759a3c1d116cb7aed6c65581e4d4048f8f182a59e9");
    assert_hash(names.file, "700d7fe24a0cc58a12008528e2ff8a4f37fe5f4a9ac6267d6baa07153f0946ff");
    free(data);
}

static void twelve_million_bytes_are_cut_as_by_the_plain_rule_not_as_by_javascript(void **state)
{
    (void)state;
    uint8_t *data = stream(0, 12000000);
    struct cuts cuts, plain;
    cut_whole(data, 12000000, &cuts);
    cut_plainly(data, 12000000, &plain);
    assert_cuts(&cuts, &plain);
    assert_int_equal(cuts.count, 191);
    free(data);
}

static void bytes_of_one_value_are_cut_as_by_the_plain_rule(void **state)
{
    (void)state;
    uint8_t *data = malloc(300000);
    for (int value = 0; value < 256; value++) {
        struct cuts cuts, plain;
        memset(data, value, 300000);
        cut_whole(data, 300000, &cuts);
        cut_plainly(data, 300000, &plain);
        assert_cuts(&cuts, &plain);
    }
    free(data);
}

static void random_bytes_are_cut_as_by_the_plain_rule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint8_t *data = stream(seed, 1500000);
        struct cuts cuts, plain;
        cut_whole(data, 1500000, &cuts);
        cut_plainly(data, 1500000, &plain);
        assert_cuts(&cuts, &plain);
        free(data);
    }
}

/* 64 bytes behind which the hash says cut, whatever stands before them: the window, all of it. */
static void find_cutting_window(uint8_t window[64])
{
    uint64_t chance = 1;
    for (;;) {
        uint64_t hash = 0;
        splitmix_fill(splitmix(&chance), window, 64);
        for (size_t i = 0; i < 64; i++)
            hash = (hash << 1) + gear_table[window[i]];
        if (hash >> 48 == 0)
            return;
    }
}

/* A window that says cut ends with each of the sizes around the least one, in turn. */
static void no_chunk_but_the_last_is_smaller_than_the_least_size(void **state)
{
    (void)state;
    static uint8_t data[3 * CHUNK_MIN];
    uint8_t window[64];
    find_cutting_window(window);
    for (size_t end = CHUNK_MIN - 130; end <= CHUNK_MIN + 130; end++) {
        struct cuts cuts, plain;
        memset(data, 0, sizeof(data));
        memcpy(data + end - 64, window, 64);
        cut_whole(data, sizeof(data), &cuts);
        cut_plainly(data, sizeof(data), &plain);
        assert_cuts(&cuts, &plain);
        assert_int_equal(cuts.ends[0], end < CHUNK_MIN ? sizeof(data) : end);
    }
}

/* The same around the largest size: a chunk that ends there by its hash ends once. */
static void no_chunk_is_larger_than_the_largest_size(void **state)
{
    (void)state;
    static uint8_t data[CHUNK_MAX + 3 * CHUNK_MIN];
    uint8_t window[64];
    find_cutting_window(window);
    for (size_t end = CHUNK_MAX - 2; end <= CHUNK_MAX + 70; end++) {
        struct cuts cuts, plain;
        memset(data, 0, sizeof(data));
        memcpy(data + end - 64, window, 64);
        cut_whole(data, sizeof(data), &cuts);
        cut_plainly(data, sizeof(data), &plain);
        assert_cuts(&cuts, &plain);
        assert_int_equal(cuts.ends[0], end < CHUNK_MAX ? end : CHUNK_MAX);
    }
}

static void pieces_of_any_size_give_the_same_cuts(void **state)
{
    (void)state;
    static const size_t most[] = {1, 3, 64, 100, 8192, 70000, 131072, 500000};
    uint64_t chance = 42;
    uint8_t *data = stream(5, 1000003);
    struct cuts whole, pieces;
    cut_whole(data, 1000003, &whole);
    for (size_t i = 0; i < COUNT(most); i++) {
        for (int again = 0; again < 4; again++) {
            cut_pieces(data, 1000003, &chance, most[i], &pieces);
            assert_cuts(&pieces, &whole);
        }
    }
    data[whole.ends[2] - 1] ^= 1;
    cut_whole(data, 1000003, &pieces);
    assert_int_not_equal(pieces.ends[2], whole.ends[2]);
    free(data);
}

static void a_chunk_that_ends_with_its_piece_is_reported_with_it(void **state)
{
    (void)state;
    uint8_t *data = stream(0, 134421);
    struct cutter cutter = {0};
    assert_int_equal(cutter_next(&cutter, data, 84492), 0);
    assert_int_equal(cutter.size, 84492);
    assert_int_equal(cutter_next(&cutter, data + 84492, 1), 1);
    assert_int_equal(cutter.size, 0);
    assert_int_equal(cutter_next(&cutter, data + 84493, 134421 - 84493), 134421 - 84493);
    free(data);
}

static void nothing_more_changes_nothing(void **state)
{
    (void)state;
    struct cutter cutter = {0};
    uint8_t byte = 0;
    assert_int_equal(cutter_next(&cutter, &byte, 0), 0);
    assert_int_equal(cutter_next(&cutter, &byte, 1), 0);
    assert_int_equal(cutter_next(&cutter, NULL, 0), 0);
    assert_int_equal(cutter.size, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_that_of_the_protocol),
        cmocka_unit_test(a_million_bytes_are_cut_and_named_as_in_the_specification),
        cmocka_unit_test(twelve_million_bytes_as_cut_by_javascript_are_named_as_in_the_specification),
        cmocka_unit_test(twelve_million_bytes_are_cut_as_by_the_plain_rule_not_as_by_javascript),
        cmocka_unit_test(bytes_of_one_value_are_cut_as_by_the_plain_rule),
        cmocka_unit_test(random_bytes_are_cut_as_by_the_plain_rule),
        cmocka_unit_test(no_chunk_but_the_last_is_smaller_than_the_least_size),
        cmocka_unit_test(no_chunk_is_larger_than_the_largest_size),
        cmocka_unit_test(pieces_of_any_size_give_the_same_cuts),
        cmocka_unit_test(a_chunk_that_ends_with_its_piece_is_reported_with_it),
        cmocka_unit_test(nothing_more_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/hash.h"

#include "base/text.h"
#include "splitmix.h"

#include <blake3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ENTRIES_MOST 3000
#define ANY_REST 4 /* a remainder by 4 that no number has */

static struct chunk_hash parsed(const char *text)
{
    struct chunk_hash hash;
    assert_true(chunk_hash_parse(str_of(text), &hash));
    return hash;
}

static void assert_hash(struct chunk_hash hash, const char *text)
{
    char actual[CHUNK_HASH_TEXT];
    chunk_hash_text(&hash, actual);
    assert_string_equal(actual, text);
}

static struct chunk_hash hello(void)
{
    return chunk_hash_of("Hello World!", 12);
}

static struct chunk_hash root_of(const struct merkle_entry *entries, size_t count)
{
    struct merkle merkle = {0};
    for (size_t i = 0; i < count; i++)
        merkle_add(&merkle, &entries[i].hash, entries[i].length);
    return merkle_root(&merkle);
}

static struct chunk_hash proof_of(const struct chunk_hash *hashes, size_t count)
{
    struct term_proof *proof = term_proof_new();
    for (size_t i = 0; i < count; i++)
        term_proof_add(proof, &hashes[i]);
    struct chunk_hash hash = term_proof_end(proof);
    term_proof_free(proof);
    return hash;
}

static void the_text_form_reverses_each_group_of_eight_bytes(void **state)
{
    (void)state;
    struct chunk_hash hash;
    for (uint8_t i = 0; i < CHUNK_HASH_SIZE; i++)
        hash.bytes[i] = i;
    assert_hash(hash, "07060504030201000f0e0d0c0b0a090817161514131211101f1e1d1c1b1a1918");
}

static void a_text_of_either_case_is_parsed_back(void **state)
{
    (void)state;
    struct chunk_hash lower = parsed("d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb");
    struct chunk_hash upper = parsed("D8D408E608FB9CA213B9909A65D86D725F2DE4D8D540324BE8A363E7A6E228CB");
    assert_true(chunk_hash_eq(&lower, &upper));
    assert_hash(lower, "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb");
}

static void a_text_that_is_not_exactly_64_digits_is_refused(void **state)
{
    (void)state;
    const char *good = "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb";
    char longer[66], wrong[65];
    struct chunk_hash hash;
    snprintf(longer, sizeof(longer), "%s0", good);
    assert_false(chunk_hash_parse(STR(""), &hash));
    assert_false(chunk_hash_parse((struct str){NULL, 0}, &hash));
    assert_false(chunk_hash_parse((struct str){good, 63}, &hash));
    assert_false(chunk_hash_parse((struct str){good, 62}, &hash));
    assert_false(chunk_hash_parse((struct str){longer, 65}, &hash));
    for (size_t i = 0; i < 64; i++) {
        memcpy(wrong, good, sizeof(wrong));
        wrong[i] = "g/:@`G \n"[i % 8];
        assert_false(chunk_hash_parse((struct str){wrong, 64}, &hash));
    }
    assert_true(chunk_hash_parse((struct str){longer, 64}, &hash));
}

/* The SHA-256 of "Hello World!" and the bytes that stand for it in a shard. */
static void a_sha256_is_swapped_into_its_stored_form_and_back(void **state)
{
    (void)state;
    struct chunk_hash usual = parsed("53fcf17f65b1837f5dd6a14881c12db92877d6a31f4b2dfc69906d1200d2dd4a"), stored, back;
    chunk_hash_swap(usual.bytes, stored.bytes);
    chunk_hash_swap(stored.bytes, back.bytes);
    assert_true(chunk_hash_eq(&back, &usual));
    assert_false(chunk_hash_eq(&stored, &usual));
    static const uint8_t digest_begins[] = {0x7f, 0x83, 0xb1, 0x65, 0x7f, 0xf1, 0xfc, 0x53};
    static const uint8_t stored_begins[] = {0x53, 0xfc, 0xf1, 0x7f, 0x65, 0xb1, 0x83, 0x7f};
    assert_memory_equal(usual.bytes, digest_begins, sizeof(digest_begins));
    assert_memory_equal(stored.bytes, stored_begins, sizeof(stored_begins));
    chunk_hash_swap(back.bytes, back.bytes);
    assert_true(chunk_hash_eq(&back, &stored));
}

static void the_hashes_of_hello_world_are_those_of_the_specification(void **state)
{
    (void)state;
    struct chunk_hash hash = hello();
    uint8_t key[CHUNK_HASH_SIZE];
    for (uint8_t i = 0; i < CHUNK_HASH_SIZE; i++)
        key[i] = i;
    assert_hash(hash, "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb");
    assert_hash(file_hash_of(&hash), "a9dae0ad88b060bdd7e7c87abdcf95b132c95a0414b06d4f6beb68d287b87165");
    assert_hash(proof_of(&hash, 1), "89cb63458e98cb4c75be6b50a5a7b7234b82f05d5348e6925fb71aaf5dc3862b");
    assert_hash(chunk_hash_keyed(&hash, key), "213944381648fd3a12bf8dfc98576416734cf1afdb7ddced216b33a217c15167");
}

static void other_bytes_and_other_keys_give_other_hashes(void **state)
{
    (void)state;
    struct chunk_hash hash = hello(), other = chunk_hash_of("Hello World?", 12);
    assert_false(chunk_hash_eq(&hash, &other));
    uint8_t key[CHUNK_HASH_SIZE] = {1}, other_key[CHUNK_HASH_SIZE] = {2};
    struct chunk_hash keyed = chunk_hash_keyed(&hash, key), other_keyed = chunk_hash_keyed(&hash, other_key);
    assert_false(chunk_hash_eq(&keyed, &other_keyed));
}

static void only_a_hash_of_zeros_is_zero(void **state)
{
    (void)state;
    struct chunk_hash hash = {0};
    assert_true(chunk_hash_is_zero(&hash));
    for (size_t i = 0; i < CHUNK_HASH_SIZE; i++) {
        hash.bytes[i] = 1;
        assert_false(chunk_hash_is_zero(&hash));
        hash.bytes[i] = 0;
    }
}

static void an_empty_file_has_the_zero_hash(void **state)
{
    (void)state;
    struct chunk_hash root = root_of(NULL, 0), file = file_hash_of(&root);
    assert_true(chunk_hash_is_zero(&root));
    assert_true(chunk_hash_is_zero(&file));
    root.bytes[31] = 1;
    file = file_hash_of(&root);
    assert_false(chunk_hash_is_zero(&file));
}

static void a_key_is_a_hash_whose_last_number_is_0_modulo_1024(void **state)
{
    (void)state;
    struct chunk_hash hash = parsed("ffffffffffffffffffffffffffffffffffffffffffffffff123456789abcdc00");
    assert_true(chunk_hash_is_key(&hash));
    hash = parsed("ffffffffffffffffffffffffffffffffffffffffffffffff123456789abcde00");
    assert_false(chunk_hash_is_key(&hash));
    hash = parsed("ffffffffffffffffffffffffffffffffffffffffffffffff123456789abcdc01");
    assert_false(chunk_hash_is_key(&hash));
    hash = parsed("000000000000000000000000000000000000000000000000fc00000000000001");
    assert_false(chunk_hash_is_key(&hash));
}

static void the_node_of_two_is_that_of_the_draft(void **state)
{
    (void)state;
    struct merkle_entry entries[] = {
        {parsed("c28f58387a60d4aa200c311cda7c7f77f686614864f5869eadebf765d0a14a69"), 100},
        {parsed("6e4e3263e073ce2c0e78cc770c361e2778db3b054b98ab65e277fc084fa70f22"), 200},
    };
    struct chunk_hash hashes[] = {entries[0].hash, entries[1].hash};
    assert_hash(root_of(entries, 2), "be64c7003ccd3cf4357364750e04c9592b3c36705dee76a71590c011766b6c14");
    assert_hash(proof_of(hashes, 2), "eb06a8ad81d588ac05d1d9a079232d9c1e7d0b07232fa58091caa7bf333a2768");
}

static void three_leaves_give_the_xorb_and_file_of_the_specification(void **state)
{
    (void)state;
    struct merkle_entry entries[] = {
        {parsed("cfc5d07f6f03c29bbf424132963fe08d19a37d5757aaf520bf08119f05cd56d6"), 100},
        {parsed("c3e67584b5c4fc2a89837ec39e40f2c8a6bb0b2987ac94cd4b31e5fbdd210a72"), 200},
        {parsed("0d2beb91b9196929a5ddec9f6e306924ddf4a24268e3e59fd8464738d525af37"), 300},
    };
    struct chunk_hash root = root_of(entries, COUNT(entries));
    assert_hash(root, "71ec1275fca074724e2dd666921b3277c7cee603e4d025bcab2d4050015be2bc");
    assert_hash(file_hash_of(&root), "54e55dccc6653c612bdb5576c5d3cb34bb31bc4e100248abccf4c908b3ef7715");
}

static void twenty_chunks_of_a_byte_give_the_xorb_and_file_of_the_specification(void **state)
{
    (void)state;
    struct merkle_entry entries[20];
    for (uint8_t i = 0; i < 20; i++)
        entries[i] = (struct merkle_entry){chunk_hash_of(&i, 1), 1};
    struct chunk_hash root = root_of(entries, 20);
    assert_hash(root, "66fc37019f244e74e857c7a1fdf380598fbc16263e500d25eacaef7377ea7a1f");
    assert_hash(file_hash_of(&root), "2fd2f0a32402564fb45a5ba4845ef78445474a2033286de7e63d53f886234e4a");
}

static void the_root_of_one_entry_is_its_own_hash(void **state)
{
    (void)state;
    struct merkle_entry entry = {hello(), 12};
    struct chunk_hash root = root_of(&entry, 1);
    assert_true(chunk_hash_eq(&root, &entry.hash));
    struct merkle_entry twice[] = {entry, entry};
    root = root_of(twice, 2);
    assert_false(chunk_hash_eq(&root, &entry.hash));
}

static void lengths_and_order_are_part_of_the_root(void **state)
{
    (void)state;
    struct merkle_entry entries[] = {{hello(), 12}, {chunk_hash_of("x", 1), 1}}, longer[2], turned[2];
    memcpy(longer, entries, sizeof(entries));
    longer[1].length++;
    turned[0] = entries[1];
    turned[1] = entries[0];
    struct chunk_hash root = root_of(entries, 2), other = root_of(longer, 2);
    assert_false(chunk_hash_eq(&root, &other));
    other = root_of(turned, 2);
    assert_false(chunk_hash_eq(&root, &other));
}

static void a_tree_is_empty_again_after_its_root(void **state)
{
    (void)state;
    struct merkle merkle = {0};
    struct chunk_hash hash = hello();
    for (int i = 0; i < 100; i++)
        merkle_add(&merkle, &hash, 12);
    merkle_root(&merkle);
    struct chunk_hash root = merkle_root(&merkle);
    assert_true(chunk_hash_is_zero(&root));
    merkle_add(&merkle, &hash, 12);
    root = merkle_root(&merkle);
    assert_true(chunk_hash_eq(&root, &hash));
}

static void a_proof_begins_anew_after_its_end(void **state)
{
    (void)state;
    struct term_proof *proof = term_proof_new();
    struct chunk_hash hash = hello();
    term_proof_add(proof, &hash);
    struct chunk_hash first = term_proof_end(proof);
    term_proof_add(proof, &hash);
    struct chunk_hash again = term_proof_end(proof);
    term_proof_add(proof, &hash);
    term_proof_add(proof, &hash);
    struct chunk_hash twice = term_proof_end(proof);
    assert_true(chunk_hash_eq(&first, &again));
    assert_false(chunk_hash_eq(&first, &twice));
    term_proof_free(proof);
    term_proof_free(NULL);
}

/* The rule as xet-protocol 2.3 writes it: pass after pass over the whole list. */

static size_t plain_group(const struct merkle_entry *entries, size_t remaining)
{
    if (remaining <= 2)
        return remaining;
    size_t most = remaining < 9 ? remaining : 9;
    for (size_t i = 2; i < most; i++) {
        if (entries[i].hash.bytes[24] % 4 == 0)
            return i + 1;
    }
    return most;
}

static struct merkle_entry plain_node(const struct merkle_entry *group, size_t count)
{
    struct merkle_entry node = {0};
    uint8_t key[BLAKE3_KEY_LEN];
    assert_true(hex_decode(STR("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f"), key, sizeof(key)));
    blake3_hasher hasher;
    blake3_hasher_init_keyed(&hasher, key);
    for (size_t i = 0; i < count; i++) {
        char text[CHUNK_HASH_TEXT], line[128];
        chunk_hash_text(&group[i].hash, text);
        snprintf(line, sizeof(line), "%s : %llu\n", text, (unsigned long long)group[i].length);
        blake3_hasher_update(&hasher, line, strlen(line));
        node.length += group[i].length;
    }
    blake3_hasher_finalize(&hasher, node.hash.bytes, CHUNK_HASH_SIZE);
    return node;
}

static struct chunk_hash plain_root(const struct merkle_entry *entries, size_t count)
{
    if (count == 0)
        return (struct chunk_hash){0};
    struct merkle_entry *list = malloc(count * sizeof(*list));
    memcpy(list, entries, count * sizeof(*list));
    while (count > 1) {
        size_t above = 0;
        for (size_t at = 0, group; at < count; at += group) {
            group = plain_group(list + at, count - at);
            list[above++] = plain_node(list + at, group);
        }
        count = above;
    }
    struct chunk_hash root = list[0].hash;
    free(list);
    return root;
}

/* Random entries; rest says what their last numbers leave when divided by 4. */
static void fill_entries(uint64_t *chance, uint8_t rest, struct merkle_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        splitmix_fill(splitmix(chance), entries[i].hash.bytes, CHUNK_HASH_SIZE);
        if (rest != ANY_REST)
            entries[i].hash.bytes[24] = (uint8_t)((entries[i].hash.bytes[24] & ~3) | rest);
        entries[i].length = splitmix(chance) % (i % 100 ? 131073 : UINT64_C(1) << 50);
    }
}

static void check_lists(uint8_t rest, size_t every_to, int larger)
{
    static struct merkle_entry entries[ENTRIES_MOST];
    uint64_t chance = rest;
    for (size_t count = 0; count < every_to + (size_t)larger; count++) {
        size_t many = count < every_to ? count : every_to + splitmix(&chance) % (ENTRIES_MOST - every_to + 1);
        fill_entries(&chance, rest, entries, many);
        struct chunk_hash root = root_of(entries, many), plain = plain_root(entries, many);
        if (!chunk_hash_eq(&root, &plain))
            fail_msg("%zu entries of rest %u", many, rest);
    }
}

static void the_tree_equals_the_plain_rule_on_random_lists(void **state)
{
    (void)state;
    check_lists(ANY_REST, 260, 20);
}

static void the_tree_equals_the_plain_rule_when_every_third_entry_ends_a_group(void **state)
{
    (void)state;
    check_lists(0, 100, 5);
}

static void the_tree_equals_the_plain_rule_when_no_entry_ends_a_group(void **state)
{
    (void)state;
    check_lists(1, 100, 5);
}

static void the_tree_equals_the_plain_rule_for_all_lists_of_up_to_ten_entries(void **state)
{
    (void)state;
    struct merkle_entry entries[10];
    uint64_t chance = 7;
    fill_entries(&chance, 1, entries, 10);
    for (size_t count = 0; count <= 10; count++) {
        for (unsigned ends = 0; ends < 1u << count; ends++) {
            for (size_t i = 0; i < count; i++)
                entries[i].hash.bytes[24] = (uint8_t)((entries[i].hash.bytes[24] & ~3) | (ends >> i & 1 ? 0 : 2));
            struct chunk_hash root = root_of(entries, count), plain = plain_root(entries, count);
            assert_true(chunk_hash_eq(&root, &plain));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_form_reverses_each_group_of_eight_bytes),
        cmocka_unit_test(a_text_of_either_case_is_parsed_back),
        cmocka_unit_test(a_text_that_is_not_exactly_64_digits_is_refused),
        cmocka_unit_test(a_sha256_is_swapped_into_its_stored_form_and_back),
        cmocka_unit_test(the_hashes_of_hello_world_are_those_of_the_specification),
        cmocka_unit_test(other_bytes_and_other_keys_give_other_hashes),
        cmocka_unit_test(only_a_hash_of_zeros_is_zero),
        cmocka_unit_test(an_empty_file_has_the_zero_hash),
        cmocka_unit_test(a_key_is_a_hash_whose_last_number_is_0_modulo_1024),
        cmocka_unit_test(the_node_of_two_is_that_of_the_draft),
        cmocka_unit_test(three_leaves_give_the_xorb_and_file_of_the_specification),
        cmocka_unit_test(twenty_chunks_of_a_byte_give_the_xorb_and_file_of_the_specification),
        cmocka_unit_test(the_root_of_one_entry_is_its_own_hash),
        cmocka_unit_test(lengths_and_order_are_part_of_the_root),
        cmocka_unit_test(a_tree_is_empty_again_after_its_root),
        cmocka_unit_test(a_proof_begins_anew_after_its_end),
        cmocka_unit_test(the_tree_equals_the_plain_rule_on_random_lists),
        cmocka_unit_test(the_tree_equals_the_plain_rule_when_every_third_entry_ends_a_group),
        cmocka_unit_test(the_tree_equals_the_plain_rule_when_no_entry_ends_a_group),
        cmocka_unit_test(the_tree_equals_the_plain_rule_for_all_lists_of_up_to_ten_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

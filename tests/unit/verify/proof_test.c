/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Proof files from which something is missing, or in which a bit was changed. */
#include "fixture.h"

static void a_proof_verifies(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct trust trust = {0};
    struct str proof = make_proof(&arena, &trust);
    assert_true(verifies(&trust, proof));
}

/* "extra" stands on the second line; nothing vouches for it but the leaf that it holds, which is all of it here but for
 * the names of members that are not needed. */
static void no_bit_of_a_proof_can_be_changed(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct trust trust = {0};
    struct str proof = make_proof(&arena, &trust);
    char *bytes = arena_cstr(&arena, proof);
    const char *extra = strchr(bytes, '\n') + 1, *extra_end = strchr(extra, '\n');
    for (size_t i = 0; i < proof.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            if (bytes + i > extra && bytes + i < extra_end && (i % 16 || bit))
                continue; /* below, and only some of it: it is long */
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (verifies(&trust, (struct str){bytes, proof.len}))
                fail_msg("bit %d of byte %zu does not matter", bit, i);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    assert_true(verifies(&trust, (struct str){bytes, proof.len}));
}

static void no_end_of_a_proof_can_be_cut_off(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct trust trust = {0};
    struct str proof = make_proof(&arena, &trust);
    for (size_t len = 0; len < proof.len; len++)
        if (verifies(&trust, str_slice(proof, 0, len)))
            fail_msg("%zu of %zu bytes are enough", len, proof.len);
}

static void a_leaf_that_was_changed_does_not_verify(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct trust trust = {0};
    struct str bytes = make_proof(&arena, &trust);
    struct proof proof;
    struct error err;
    assert_int_equal(OK, proof_parse(&arena, bytes, &proof, &err));
    char *leaf = arena_cstr(&arena, str_of(manifest_text));
    for (size_t i = 0; leaf[i]; i++) {
        auto_buf struct buf extra = {0}, file = {0};
        leaf[i]++;
        extra_write(&arena, &(struct extra){.leaf = str_of(leaf)}, &extra);
        leaf[i]--;
        proof.extra = buf_view(&extra);
        assert_int_equal(OK, proof_write(&file, &proof, &err));
        assert_false(verifies(&trust, buf_view(&file)));
    }
}

static void a_key_that_is_named_counts_alone(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct trust trust = {0};
    struct str proof = make_proof(&arena, &trust);
    struct trust named = {.log = trust.policy.logs[0].verifier, .has_log = true};
    assert_true(verifies(&named, proof));
    named.log.public_key[5] ^= 1;
    assert_false(verifies(&named, proof));
    assert_false(verifies(&(struct trust){0}, proof));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_verifies),
        cmocka_unit_test(no_bit_of_a_proof_can_be_changed),
        cmocka_unit_test(no_end_of_a_proof_can_be_cut_off),
        cmocka_unit_test(a_leaf_that_was_changed_does_not_verify),
        cmocka_unit_test(a_key_that_is_named_counts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

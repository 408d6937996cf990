/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 9861 section 5 for TurboSHAKE128, the VDAF draft's vector for the XOF over it, and reading in any pieces for all. */
#include "base/hash.h"
#include "vdaf/xof.h"
#include "vectors.h"

static void pattern(uint8_t *out, size_t len) /* ptn() of the RFC */
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(i % 251);
}

static void turboshake128_is_that_of_rfc_9861(void **state)
{
    (void)state;
    static const struct {
        size_t len, skip;
        const char *digest;
    } cases[] = {
        {0, 0, "1e415f1c5983aff2169217277d17bb538cd945a397ddec541f1ce41af2c1b74c"},
        {0, 10000, "a3b9b0385900ce761f22aed548e754da10a5242d62e8c658e3f3a923a7555607"},
        {1, 0, "55cedd6f60af7bb29a4042ae832ef3f58db7299f893ebb9247247d856958daa9"},
        {17, 0, "9c97d036a3bac819db70ede0ca554ec6e4c2a1a4ffbfd9ec269ca6a111161233"},
    };
    auto_arena struct arena arena = {0};
    uint8_t message[17], skipped[10000], digest[32];
    pattern(message, sizeof message);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct keccak sponge = {0};
        turboshake128_add(&sponge, message, cases[i].len);
        turboshake128_read(&sponge, 0x1f, skipped, cases[i].skip);
        turboshake128_read(&sponge, 0x1f, digest, sizeof digest);
        assert_bytes(((struct str){(char *)digest, 32}), hex_bytes(&arena, str_of(cases[i].digest)));
    }
}

static void the_vector_of_the_draft_is_reproduced(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_json json_t *vector = vector_read("vdaf/draft-20", "XofTurboShake128.json");
    struct str seed = hex_field(&arena, vector, "seed"), binder = hex_field(&arena, vector, "binder"),
               want = hex_field(&arena, vector, "expanded_vec_field128");
    auto_xof struct xof xof;
    assert_int_equal(seed.len, xof_seed_size(XOF_TURBOSHAKE128));
    xof_begin(&xof, XOF_TURBOSHAKE128, (const uint8_t *)seed.data, hex_field(&arena, vector, "dst"));
    xof_add(&xof, binder.data, binder.len);
    uint8_t *out = arena_alloc(&arena, want.len);
    xof_read(&xof, out, want.len); /* none of these elements is skipped */
    assert_bytes(((struct str){(char *)out, want.len}), want);
    assert_bytes(((struct str){(char *)out, 32}), hex_field(&arena, vector, "derived_seed"));
}

static void begin(struct xof *xof, enum xof_kind kind, uint8_t first, const char *tag, const char *binder)
{
    uint8_t seed[SEED_SIZE_MAX] = {first, 2, 3};
    xof_begin(xof, kind, seed, str_of(tag));
    for (const char *c = binder; *c; c++)
        xof_add(xof, c, 1);
}

static void output_does_not_depend_on_how_it_is_read(void **state)
{
    (void)state;
    for (int kind = XOF_TURBOSHAKE128; kind <= XOF_HMAC_SHA256_AES128; kind++) {
        uint8_t whole[3000], pieces[3000];
        auto_xof struct xof one, two;
        begin(&one, (enum xof_kind)kind, 1, "tag", "binder");
        begin(&two, (enum xof_kind)kind, 1, "tag", "binder");
        xof_read(&one, whole, sizeof whole);
        for (size_t at = 0, step = 1; at < sizeof pieces; at += step, step = 3 * step % 251) {
            if (step > sizeof pieces - at)
                step = sizeof pieces - at;
            xof_read(&two, pieces + at, step);
        }
        assert_memory_equal(whole, pieces, sizeof whole);
    }
}

static void any_place_can_be_read(void **state)
{
    (void)state;
    uint8_t whole[5000], piece[100];
    auto_xof struct xof xof;
    begin(&xof, XOF_HMAC_SHA256_AES128, 1, "tag", "binder");
    memset(xof.counter, 0, sizeof xof.counter);
    xof_read(&xof, whole, sizeof whole);
    for (size_t at = 0; at + sizeof piece <= sizeof whole; at += 37) {
        xof_seek(&xof, at);
        xof_read(&xof, piece, sizeof piece);
        assert_memory_equal(piece, whole + at, sizeof piece);
    }
}

/* Seed, tag and binder each change the output, and their borders count. */
static void other_inputs_give_other_outputs(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        const char *tag, *binder;
    } inputs[] = {
        {1, "tag", "binder"}, {2, "tag", "binder"}, {1, "tagb", "inder"}, {1, "ta", "gbinder"}, {1, "tag", ""}};
    for (int kind = XOF_TURBOSHAKE128; kind <= XOF_HMAC_SHA256_AES128; kind++) {
        uint8_t out[COUNT(inputs)][32];
        for (size_t i = 0; i < COUNT(inputs); i++) {
            auto_xof struct xof xof;
            begin(&xof, (enum xof_kind)kind, inputs[i].first, inputs[i].tag, inputs[i].binder);
            xof_read(&xof, out[i], 32);
            for (size_t j = 0; j < i; j++)
                assert_memory_not_equal(out[i], out[j], 32);
        }
    }
}

/* The definition, by HMAC of base and one AES block: the first output is E(key, counter). */
static void hmac_and_aes_are_put_together_as_defined(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE], seed[SEED_SIZE_MAX] = {1, 2, 3}, none[1];
    auto_xof struct xof xof;
    begin(&xof, XOF_HMAC_SHA256_AES128, 1, "tag", "binder");
    xof_read(&xof, none, 0);
    hmac_sha256((struct str){(char *)seed, 32}, STR("\x03tagbinder"), digest);
    assert_memory_equal(xof.key, digest, 16);
    assert_memory_equal(xof.counter, digest + 16, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turboshake128_is_that_of_rfc_9861),
        cmocka_unit_test(the_vector_of_the_draft_is_reproduced),
        cmocka_unit_test(output_does_not_depend_on_how_it_is_read),
        cmocka_unit_test(any_place_can_be_read),
        cmocka_unit_test(other_inputs_give_other_outputs),
        cmocka_unit_test(hmac_and_aes_are_put_together_as_defined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

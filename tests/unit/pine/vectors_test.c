/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything that the draft's own implementation sends is, to the byte, what we send. */
#include "pine/field.h"
#include "report.h"

static bool portable; /* what runs on every machine, where this one has better */

static const struct {
    const char *name;
    unsigned bits;
    enum xof_kind xof;
    uint32_t algorithm;
} variants[] = {
    {"Pine64_", 64, XOF_TURBOSHAKE128_OLD, 0xffffffff},
    {"Pine128_", 128, XOF_TURBOSHAKE128_OLD, 0xffffffff},
    {"Pine64HmacSha256Aes128_", 64, XOF_HMAC_SHA256_AES128, 0xffff1004},
    {"Pine32HmacSha256Aes128_", 32, XOF_HMAC_SHA256_AES128, 0xffff1005},
    {"Pine40HmacSha256Aes128_", 40, XOF_HMAC_SHA256_AES128, 0xffff1006},
};

static struct pine pine_of(const char *name, const json_t *vector)
{
    struct pine pine;
    struct error err;
    struct pine_config c = {.ctx = STR("")};
    for (size_t i = 0; i < COUNT(variants); i++)
        if (strncmp(name, variants[i].name, strlen(variants[i].name)) == 0) {
            c.field_bits = variants[i].bits;
            c.xof = variants[i].xof;
            c.algorithm = variants[i].algorithm;
        }
    c.norm_bound = (uint64_t)json_get_int(vector, "l2_norm_bound", 0);
    c.dimension = (size_t)json_get_int(vector, "dimension", 0);
    c.chunk = (size_t)json_get_int(vector, "chunk_length", 0);
    c.chunk_norm_equality = (size_t)json_get_int(vector, "chunk_length_norm_equality", 0);
    c.proofs = (unsigned)json_get_int(vector, "proofs", 0);
    c.proofs_norm_equality = (unsigned)json_get_int(vector, "proofs_norm_equality", 0);
    c.checks = (unsigned)json_get_int(vector, "num_wr_checks", 0);
    c.successes = (unsigned)json_get_int(vector, "num_wr_successes", 0);
    expect(OK, pine_make(&c, &pine, &err));
    if (portable && c.field_bits == 32)
        pine.field = &pine_field32;
    if (portable && c.field_bits == 64)
        pine.field = &pine_field64;
    return pine;
}

static void shard_like(struct report *r, struct arena *arena, const json_t *vector, const json_t *prep)
{
    struct error err;
    size_t d = r->pine.config.dimension;
    const json_t *measurement = json_object_get(prep, "measurement");
    int32_t *x = arena_array(arena, d, sizeof *x);
    double scale = (double)(1 << json_get_int(vector, "num_frac_bits", 0));
    for (size_t i = 0; i < d; i++)
        x[i] = (int32_t)(json_number_value(json_array_get(measurement, i)) * scale);
    struct str rand = hex_field(arena, prep, "rand"), nonce = hex_field(arena, prep, "nonce"),
               key = hex_field(arena, vector, "verify_key");
    assert_int_equal(rand.len, r->pine.rand);
    assert_int_equal(nonce.len, sizeof r->nonce);
    assert_int_equal(key.len, r->pine.seed);
    memcpy(r->nonce, nonce.data, nonce.len);
    memcpy(r->key, key.data, key.len);
    expect(OK, report_shard(r, x, (const uint8_t *)rand.data, &err));
    const json_t *shares = json_object_get(prep, "input_shares");
    assert_bytes(((struct str){(char *)r->public_share, r->pine.public_share}), hex_field(arena, prep, "public_share"));
    assert_int_equal(r->leader.len, r->pine.leader_share);
    assert_bytes(report_share(r, 0), hex_item(arena, shares, 0));
    assert_bytes(report_share(r, 1), hex_item(arena, shares, 1));
}

static void prepare_like(struct report *r, struct arena *arena, const json_t *prep, uint8_t *sums[2])
{
    struct error err;
    const json_t *shares = json_array_get(json_object_get(prep, "prep_shares"), 0);
    expect(OK, report_check(r, &err));
    assert_bytes(buf_view(&r->prep[0]), hex_item(arena, shares, 0));
    assert_bytes(buf_view(&r->prep[1]), hex_item(arena, shares, 1));
    assert_bytes(((struct str){(char *)r->message, r->pine.prep_message}),
                 hex_item(arena, json_object_get(prep, "prep_messages"), 0));
    for (int house = 0; house < 2; house++) {
        const json_t *elements = json_array_get(json_object_get(prep, "out_shares"), (size_t)house);
        uint8_t *sum = arena_alloc(arena, r->pine.agg_share);
        expect(OK, report_sum(r, house, sum, &err));
        for (size_t i = 0; i < r->pine.config.dimension; i++)
            assert_bytes(((struct str){(char *)sum + i * r->pine.element, r->pine.element}),
                         hex_item(arena, elements, i));
        expect(OK, report_sum(r, house, sums[house], &err));
    }
}

static void reproduce(const char *name, json_t *vector)
{
    struct error err;
    auto_arena struct arena arena = {0};
    auto_report struct report r = {.pine = pine_of(name, vector)};
    size_t d = r.pine.config.dimension, i;
    json_t *prep, *shares = json_object_get(vector, "agg_shares"), *result = json_object_get(vector, "agg_result");
    uint8_t *sums[2] = {arena_alloc(&arena, r.pine.agg_share), arena_alloc(&arena, r.pine.agg_share)};
    json_array_foreach(json_object_get(vector, "prep"), i, prep)
    {
        shard_like(&r, &arena, vector, prep);
        prepare_like(&r, &arena, prep, sums);
    }
    for (int house = 0; house < 2; house++)
        assert_bytes(((struct str){(char *)sums[house], r.pine.agg_share}), hex_item(&arena, shares, (size_t)house));
    int64_t *total = arena_array(&arena, d, sizeof *total);
    expect(OK, pine_unshard(&r.pine, sums[0], sums[1], d, total, &err));
    for (i = 0; i < d; i++)
        assert_true((double)total[i] / (double)(1 << json_get_int(vector, "num_frac_bits", 0)) ==
                    json_number_value(json_array_get(result, i)));
}

static void all_vectors_of_the_draft_are_reproduced(void **state)
{
    (void)state;
    assert_int_equal(vectors_each("pine", "Pine", reproduce), 32);
}

static void they_are_without_vector_instructions_too(void **state)
{
    (void)state;
    portable = true;
    assert_int_equal(vectors_each("pine", "Pine", reproduce), 32);
    portable = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_vectors_of_the_draft_are_reproduced),
        cmocka_unit_test(they_are_without_vector_instructions_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

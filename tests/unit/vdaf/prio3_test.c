/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prio3 does, step by step and byte for byte, what the draft's vectors say: also where they say that a step fails. */
#include "base/hash.h"
#include "vdaf/prio3.h"
#include "vectors.h"

static const struct {
    const char *name;
    enum prio3_kind kind;
    uint32_t algorithm;
    unsigned field_bits, proofs;
    const char *max;
} kinds[] = {
    {"Prio3Count_", PRIO3_COUNT, 1, 64, 1, ""},
    {"Prio3Sum_", PRIO3_SUM, 2, 64, 1, "max_measurement"},
    {"Prio3SumVec_", PRIO3_SUM_VEC, 3, 128, 1, "max_measurement"},
    {"Prio3Histogram_", PRIO3_HISTOGRAM, 4, 128, 1, ""},
    {"Prio3MultihotCountVec_", PRIO3_MULTIHOT, 5, 128, 1, "max_weight"},
    {"Prio3SumVecWithMultiproof_", PRIO3_SUM_VEC, 0xffffffff, 64, 3, "max_measurement"},
    {"Prio3HigherDegree_", PRIO3_HIGHER_DEGREE, 0xffffffff, 64, 1, ""},
};

/* One report of a vector, on its way. */
struct report {
    struct buf public_share, shares[PRIO3_SHARES_MAX], verifiers[PRIO3_SHARES_MAX], message;
    struct prio3_state states[PRIO3_SHARES_MAX];
};

struct vector {
    struct arena arena;
    struct prio3 prio3;
    const char *name;
    json_t *json;
    const uint8_t *key;
    struct report reports[16];
    uint8_t *sums[PRIO3_SHARES_MAX];
};

static struct prio3 prio3_of(struct arena *arena, const char *name, const json_t *json)
{
    struct prio3 prio3;
    struct error err = {0};
    struct prio3_config c = {.ctx = hex_field(arena, json, "ctx")};
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strncmp(name, kinds[i].name, strlen(kinds[i].name)) == 0) {
            c.kind = kinds[i].kind;
            c.algorithm = kinds[i].algorithm;
            c.field_bits = kinds[i].field_bits;
            c.proofs = kinds[i].proofs;
            c.max = (uint64_t)json_get_int(json, kinds[i].max, 0);
        }
    c.shares = (unsigned)json_get_int(json, "shares", 0);
    c.length = (uint64_t)json_get_int(json, "length", 0);
    c.chunk = (uint64_t)json_get_int(json, "chunk_length", 0);
    if (prio3_make(&c, &prio3, &err) != OK)
        broken("%s: %s", name, err.message);
    return prio3;
}

static void numbers(const json_t *value, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        out[i] = json_is_boolean(item) ? json_is_true(item) : (uint64_t)json_integer_value(item);
    }
}

static enum status do_shard(struct vector *v, const json_t *json, struct report *r)
{
    uint64_t *measurement = arena_array(&v->arena, v->prio3.values, sizeof *measurement);
    struct str rand = hex_field(&v->arena, json, "rand"), nonce = hex_field(&v->arena, json, "nonce");
    auto_buf struct buf public_share = {0};
    struct buf shares[PRIO3_SHARES_MAX] = {0};
    numbers(json_object_get(json, "measurement"), measurement, v->prio3.values);
    assert_int_equal(rand.len, v->prio3.rand);
    enum status status = prio3_shard(&v->prio3, measurement, (const uint8_t *)nonce.data, (const uint8_t *)rand.data,
                                     &public_share, shares, NULL);
    assert_bytes(buf_view(&public_share), buf_view(&r->public_share));
    for (unsigned i = 0; i < v->prio3.config.shares; i++) {
        assert_bytes(buf_view(&shares[i]), buf_view(&r->shares[i]));
        buf_free(&shares[i]);
    }
    return status;
}

static enum status do_verify_init(struct vector *v, const json_t *json, struct report *r, unsigned aggregator)
{
    struct str nonce = hex_field(&v->arena, json, "nonce");
    const json_t *round = json_array_get(json_object_get(json, "verifier_shares"), 0);
    enum status status =
        prio3_verify_init(&v->prio3, v->key, aggregator, (const uint8_t *)nonce.data, buf_view(&r->public_share),
                          buf_view(&r->shares[aggregator]), &r->states[aggregator], &r->verifiers[aggregator], NULL);
    assert_bytes(buf_view(&r->verifiers[aggregator]), hex_item(&v->arena, round, aggregator));
    return status;
}

static enum status do_message(struct vector *v, const json_t *json, struct report *r)
{
    struct str shares[PRIO3_SHARES_MAX];
    for (unsigned i = 0; i < v->prio3.config.shares; i++)
        shares[i] = buf_view(&r->verifiers[i]);
    enum status status = prio3_verifier_message(&v->prio3, shares, &r->message, NULL);
    if (status == OK)
        assert_bytes(buf_view(&r->message), hex_item(&v->arena, json_object_get(json, "verifier_messages"), 0));
    return status;
}

static enum status do_verify_next(struct vector *v, const json_t *json, struct report *r, unsigned aggregator)
{
    struct str message = hex_item(&v->arena, json_object_get(json, "verifier_messages"), 0);
    enum status status = prio3_verify_next(&v->prio3, &r->states[aggregator], message, NULL);
    if (status == OK)
        assert_bytes(buf_view(&r->states[aggregator].out_share),
                     hex_item(&v->arena, json_object_get(json, "out_shares"), aggregator));
    return status;
}

static enum status do_aggregate(struct vector *v, unsigned aggregator)
{
    size_t count = json_array_size(json_object_get(v->json, "reports"));
    v->sums[aggregator] = arena_alloc(&v->arena, v->prio3.out_share);
    for (size_t i = 0; i < count; i++)
        TRY(prio3_add(&v->prio3, v->sums[aggregator], buf_view(&v->reports[i].states[aggregator].out_share), NULL));
    assert_bytes(((struct str){(char *)v->sums[aggregator], v->prio3.out_share}),
                 hex_item(&v->arena, json_object_get(v->json, "agg_shares"), aggregator));
    return OK;
}

static enum status do_unshard(struct vector *v)
{
    struct str sums[PRIO3_SHARES_MAX];
    uint64_t *got = arena_array(&v->arena, v->prio3.sums, sizeof *got),
             *want = arena_array(&v->arena, v->prio3.sums, 8);
    for (unsigned i = 0; i < v->prio3.config.shares; i++)
        sums[i] = (struct str){(char *)v->sums[i], v->prio3.out_share};
    TRY(prio3_unshard(&v->prio3, sums, got, NULL));
    numbers(json_object_get(v->json, "agg_result"), want, v->prio3.sums);
    assert_memory_equal(got, want, v->prio3.sums * sizeof *got);
    return OK;
}

static enum status do_operation(struct vector *v, const json_t *operation)
{
    struct str what = json_get_str(operation, "operation");
    size_t number = (size_t)json_get_int(operation, "report_index", 0);
    unsigned aggregator = (unsigned)json_get_int(operation, "aggregator_id", 0);
    const json_t *json = json_array_get(json_object_get(v->json, "reports"), number);
    struct report *r = &v->reports[number];
    if (str_eq(what, STR("shard")))
        return do_shard(v, json, r);
    if (str_eq(what, STR("verify_init")))
        return do_verify_init(v, json, r, aggregator);
    if (str_eq(what, STR("verifier_shares_to_message")))
        return do_message(v, json, r);
    if (str_eq(what, STR("verify_next")))
        return do_verify_next(v, json, r, aggregator);
    if (str_eq(what, STR("aggregate")))
        return do_aggregate(v, aggregator);
    if (str_eq(what, STR("unshard")))
        return do_unshard(v);
    broken("%s has an unknown step %.*s", v->name, STR_ARG(what));
    return INTERNAL;
}

static int refusals;

static void follow(const char *name, json_t *json)
{
    struct vector v = {.name = name, .json = json};
    json_t *item;
    size_t i;
    v.prio3 = prio3_of(&v.arena, name, json);
    v.key = (const uint8_t *)hex_field(&v.arena, json, "verify_key").data;
    json_array_foreach(json_object_get(json, "reports"), i, item)
    {
        assert_true(i < COUNT(v.reports));
        struct str public_share = hex_field(&v.arena, item, "public_share");
        buf_str(&v.reports[i].public_share, public_share);
        for (unsigned j = 0; j < v.prio3.config.shares; j++)
            buf_str(&v.reports[i].shares[j], hex_item(&v.arena, json_object_get(item, "input_shares"), j));
    }
    json_array_foreach(json_object_get(json, "operations"), i, item)
    {
        bool good = json_is_true(json_object_get(item, "success"));
        enum status status = do_operation(&v, item);
        if ((status == OK) != good)
            broken("%s: step %zu ends with status %d", name, i, status);
        refusals += !good;
    }
    for (i = 0; i < COUNT(v.reports); i++) {
        buf_free(&v.reports[i].public_share);
        buf_free(&v.reports[i].message);
        for (unsigned j = 0; j < PRIO3_SHARES_MAX; j++) {
            buf_free(&v.reports[i].shares[j]);
            buf_free(&v.reports[i].verifiers[j]);
            buf_free(&v.reports[i].states[j].out_share);
        }
    }
    arena_free(&v.arena);
}

static void all_vectors_of_the_draft_are_followed(void **state)
{
    (void)state;
    refusals = 0;
    assert_int_equal(vectors_each("vdaf/draft-20/vdaf", "Prio3", follow), 25);
    assert_int_equal(refusals, 8);
}

static void measurements_out_of_range_are_not_sharded(void **state)
{
    (void)state;
    static const struct {
        struct prio3_config config;
        uint64_t good[4], bad[4];
    } cases[] = {
        {{PRIO3_COUNT, 1, 64, 2, 1, .ctx = {"", 0}}, {1}, {2}},
        {{PRIO3_SUM, 2, 64, 2, 1, .max = 1337, .ctx = {"", 0}}, {1337}, {1338}},
        {{PRIO3_SUM, 2, 64, 2, 1, .max = 1, .ctx = {"", 0}}, {1}, {2}},
        {{PRIO3_SUM_VEC, 3, 128, 2, 1, 4, 9, 3, {"", 0}}, {0, 9, 1, 2}, {0, 10, 0, 0}},
        {{PRIO3_HISTOGRAM, 4, 128, 2, 1, 4, 0, 2, {"", 0}}, {3}, {4}},
        {{PRIO3_MULTIHOT, 5, 128, 2, 1, 4, 2, 2, {"", 0}}, {1, 0, 1, 0}, {1, 1, 1, 0}},
        {{PRIO3_MULTIHOT, 5, 128, 2, 1, 4, 2, 2, {"", 0}}, {0, 0, 0, 0}, {2, 0, 0, 0}},
    };
    uint8_t rand[4 * PRIO3_SEED_SIZE] = {1}, nonce[PRIO3_NONCE_SIZE] = {2};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prio3 prio3;
        auto_buf struct buf public_share = {0};
        struct buf shares[2] = {0};
        assert_int_equal(prio3_make(&cases[i].config, &prio3, NULL), OK);
        assert_int_equal(prio3_shard(&prio3, cases[i].bad, nonce, rand, &public_share, shares, NULL), INVALID);
        assert_int_equal(shares[0].len, 0);
        assert_int_equal(prio3_shard(&prio3, cases[i].good, nonce, rand, &public_share, shares, NULL), OK);
        buf_free(&shares[0]);
        buf_free(&shares[1]);
    }
}

static void shares_of_another_size_are_refused(void **state)
{
    (void)state;
    const struct prio3_config config = {PRIO3_HISTOGRAM, 4, 128, 2, 1, 10, 0, 3, {"", 0}};
    struct prio3 prio3;
    uint8_t key[PRIO3_SEED_SIZE] = {0}, nonce[PRIO3_NONCE_SIZE] = {0}, rand[4 * PRIO3_SEED_SIZE] = {7};
    auto_buf struct buf public_share = {0}, verifier = {0};
    struct buf shares[2] = {0};
    struct prio3_state s = {0};
    assert_int_equal(prio3_make(&config, &prio3, NULL), OK);
    assert_int_equal(prio3_shard(&prio3, (const uint64_t[]){5}, nonce, rand, &public_share, shares, NULL), OK);
    for (unsigned a = 0; a < 2; a++)
        for (int change = -1; change <= 1; change++) {
            struct str share = buf_view(&shares[a]), parts = buf_view(&public_share);
            struct str longer = {shares[a].data, (size_t)((int)share.len + change)};
            enum status want = change ? INVALID : OK;
            assert_int_equal(prio3_verify_init(&prio3, key, a, nonce, parts, longer, &s, &verifier, NULL), want);
            longer = (struct str){parts.data, (size_t)((int)parts.len + change)};
            assert_int_equal(prio3_verify_init(&prio3, key, a, nonce, longer, share, &s, &verifier, NULL), want);
        }
    memset(shares[0].data + 16, 0xff, 16);
    assert_int_equal(
        prio3_verify_init(&prio3, key, 0, nonce, buf_view(&public_share), buf_view(&shares[0]), &s, &verifier, NULL),
        INVALID);
    buf_free(&s.out_share);
    buf_free(&shares[0]);
    buf_free(&shares[1]);
}

static void tasks_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const struct prio3_config good = {PRIO3_MULTIHOT, 5, 128, 2, 1, 10, 3, 3, {"", 0}};
    struct prio3_config c = good;
    struct prio3 prio3;
    assert_int_equal(prio3_make(&c, &prio3, NULL), OK);
#define BAD(change) (c = good, (change), assert_int_equal(prio3_make(&c, &prio3, NULL), INVALID))
    BAD(c.shares = 1);
    BAD(c.shares = PRIO3_SHARES_MAX + 1);
    BAD(c.proofs = 0);
    BAD(c.field_bits = 32);
    BAD(c.length = 0);
    BAD(c.length = UINT64_MAX);
    BAD(c.chunk = 0);
    BAD(c.max = 0);
    BAD(c.max = 11);
    BAD(c.ctx.len = PRIO3_CTX_MAX + 1);
    BAD((c.length = 1 << 20, c.chunk = 1));
    BAD((c.kind = PRIO3_SUM, c.max = UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_vectors_of_the_draft_are_followed),
        cmocka_unit_test(measurements_out_of_range_are_not_sharded),
        cmocka_unit_test(shares_of_another_size_are_refused),
        cmocka_unit_test(tasks_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

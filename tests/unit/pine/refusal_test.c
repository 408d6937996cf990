/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a client or the way changes in a report, the houses refuse it; and what they accept, they sum exactly. */
#include "pine/field.h"
#include "report.h"

#define CTX "0123456789abcdef0123456789abcdef"

static const unsigned fields[] = {32, 40, 64, 128};

static struct pine pine_for(unsigned bits, size_t d, uint64_t bound)
{
    struct pine pine;
    struct error err;
    struct pine_config config = pine_config_cairn(bits, d, bound, STR(CTX));
    expect(OK, pine_make(&config, &pine, &err));
    return pine;
}

/* A good report of d coordinates with a norm of exactly bound (3, 4 and zeros, where bound is 5 times scale). */
static void report_make(struct report *r, unsigned bits, size_t d)
{
    struct error err;
    uint8_t rand[7 * SEED_SIZE_MAX];
    int32_t *x = test_calloc(d, sizeof *x);
    x[0] = 600;
    x[d - 1] = -800;
    r->pine = pine_for(bits, d, 1000);
    random_bytes(rand, sizeof rand);
    random_bytes(r->nonce, sizeof r->nonce);
    random_bytes(r->key, sizeof r->key);
    expect(OK, report_shard(r, x, rand, &err));
    test_free(x);
}

static void a_norm_at_the_bound_is_accepted_and_one_above_is_not_sharded(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        auto_report struct report r = {0};
        struct error err;
        report_make(&r, fields[i], 33);
        expect(OK, report_check(&r, &err));
        int32_t x[33] = {600, 1, [32] = -800};
        uint8_t rand[7 * SEED_SIZE_MAX];
        random_bytes(rand, sizeof rand);
        expect(INVALID, report_shard(&r, x, rand, &err));
        assert_non_null(strstr(err.message, "norm is over the bound"));
    }
}

/* A client that lies about its bound makes a proof for a larger one; houses check it against theirs. Both bounds need the same
 * number of bits, so that everything has its place. */
static void a_proof_for_a_larger_bound_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        auto_report struct report r = {.pine = pine_for(fields[i], 20, 1001)};
        struct error err;
        int32_t x[20] = {601, -800};
        uint8_t rand[7 * SEED_SIZE_MAX];
        random_bytes(rand, sizeof rand);
        expect(OK, report_shard(&r, x, rand, &err));
        expect(OK, report_check(&r, &err));
        size_t size = r.pine.leader_share;
        r.pine = pine_for(fields[i], 20, 1000);
        assert_int_equal(r.pine.leader_share, size);
        expect(FORBIDDEN, report_check(&r, &err));
        assert_string_equal(err.code, "ProofRefused");
    }
}

/* True when the houses refuse the report as it is now. */
static bool refused(struct report *r)
{
    struct error err;
    enum status status = report_check(r, &err);
    return status == FORBIDDEN || status == INVALID;
}

static void flip_each(struct report *r, uint8_t *bytes, size_t len, size_t step, const char *what)
{
    for (size_t at = 0; at < len; at += step) {
        bytes[at] ^= 1;
        if (!refused(r))
            broken("a report with another bit in byte %zu of %s is accepted", at, what);
        bytes[at] ^= 1;
    }
}

static void any_changed_bit_of_a_share_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        auto_report struct report r = {0};
        struct error err;
        report_make(&r, fields[i], 40);
        size_t blinds = r.pine.leader_share - 2 * r.pine.seed;
        flip_each(&r, (uint8_t *)r.leader.data, 41 * r.pine.element, r.pine.element, "the leader's coordinates");
        flip_each(&r, (uint8_t *)r.leader.data, blinds, 53 * r.pine.element, "the leader's share");
        flip_each(&r, (uint8_t *)r.leader.data + blinds, 2 * r.pine.seed, 5, "the leader's blinds");
        flip_each(&r, r.helper, r.pine.helper_share, 7, "the helper's share");
        flip_each(&r, r.nonce, sizeof r.nonce, 5, "the nonce");
        expect(OK, report_check(&r, &err));
    }
}

/* A house replaces its own part by what it computes; so a changed part is seen by the other house's seed. */
static void any_changed_part_of_the_public_share_is_refused(void **state)
{
    (void)state;
    auto_report struct report r = {0};
    struct error err;
    report_make(&r, 32, 40);
    flip_each(&r, r.public_share, r.pine.public_share, 9, "the public share");
    expect(OK, report_check(&r, &err));
}

static void any_changed_bit_between_the_houses_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++) {
        auto_report struct report r = {0};
        struct error err;
        report_make(&r, fields[i], 40);
        expect(OK, report_check(&r, &err));
        for (int house = 0; house < 2; house++)
            for (size_t at = 0; at < r.pine.prep_share; at += r.pine.element) {
                r.prep[house].data[at] ^= 1;
                enum status status = report_decide(&r, &err);
                if (status == OK) /* a changed part: the houses' own seeds tell */
                    status = pine_prep_next(&r.pine, &r.states[0], r.message, &err);
                if (status != FORBIDDEN && status != INVALID)
                    broken("byte %zu of house %d's answer is not looked at", at, house);
                r.prep[house].data[at] ^= 1;
            }
        expect(OK, report_decide(&r, &err));
        r.message[r.pine.prep_message - 1] ^= 0x80;
        expect(FORBIDDEN, pine_prep_next(&r.pine, &r.states[1], r.message, &err));
    }
}

static void houses_with_different_keys_or_contexts_refuse(void **state)
{
    (void)state;
    auto_report struct report r = {0};
    struct error err;
    report_make(&r, 32, 40);
    expect(OK, report_init(&r, 0, &err));
    r.key[0] ^= 1;
    expect(OK, report_init(&r, 1, &err));
    expect(FORBIDDEN, report_decide(&r, &err));
    expect(OK, report_check(&r, &err));
    r.pine.ctx[0] ^= 1; /* the report of another round */
    expect(FORBIDDEN, report_check(&r, &err));
}

static void two_reports_do_not_mix(void **state)
{
    (void)state;
    auto_report struct report a = {0}, b = {0};
    report_make(&a, 64, 40);
    report_make(&b, 64, 40);
    memcpy(b.key, a.key, sizeof b.key);
    memcpy(b.helper, a.helper, sizeof b.helper);
    assert_true(refused(&b));
}

static void truncated_shares_are_refused(void **state)
{
    (void)state;
    auto_report struct report r = {0};
    struct error err;
    report_make(&r, 32, 40);
    for (size_t cut = 1; cut < r.leader.len; cut += 977) {
        size_t len = r.leader.len;
        r.leader.len -= cut;
        expect(INVALID, report_init(&r, 0, &err));
        r.leader.len = len;
    }
    expect(OK, report_check(&r, &err));
}

/* q itself is no encoding of 0. */
static void numbers_that_are_no_field_elements_are_refused(void **state)
{
    (void)state;
    auto_report struct report r = {0};
    struct error err;
    report_make(&r, 32, 40);
    static const uint8_t q[4] = {0x01, 0x00, 0xf0, 0xff};
    const size_t places[] = {0, 39 * 4, 41 * 4, r.leader.len - 2 * r.pine.seed - 4};
    for (size_t i = 0; i < COUNT(places); i++) {
        char kept[4];
        memcpy(kept, r.leader.data + places[i], 4);
        memcpy(r.leader.data + places[i], q, 4);
        expect(INVALID, report_init(&r, 0, &err));
        if (i < 2) {
            uint8_t sum[40 * 4] = {0};
            expect(INVALID, report_sum(&r, 0, sum, &err));
        }
        memcpy(r.leader.data + places[i], kept, 4);
    }
    expect(OK, report_check(&r, &err));
    memcpy(r.prep[1].data, q, 4);
    expect(INVALID, report_decide(&r, &err));
    uint8_t a[4] = {0}, b[4];
    int64_t out;
    memcpy(b, q, 4);
    expect(INVALID, pine_unshard(&r.pine, a, b, 1, &out, &err));
    expect(INVALID, pine_unshard(&r.pine, b, a, 1, &out, &err));
    expect(INVALID, pine_sum_add(&r.pine, b, &out, 1, &err));
}

static void sums_of_many_reports_and_noise_are_exact(void **state)
{
    (void)state;
    enum { D = 20000, REPORTS = 5 };
    for (size_t i = 0; i < COUNT(fields); i++) {
        auto_report struct report r = {.pine = pine_for(fields[i], D, 30000)};
        struct error err;
        uint8_t rand[7 * SEED_SIZE_MAX],
            *sums[2] = {test_calloc(1, r.pine.agg_share), test_calloc(1, r.pine.agg_share)};
        int32_t *x = test_calloc(D, sizeof *x);
        int64_t *want = test_calloc(D, sizeof *want), *noise = test_calloc(D, sizeof *noise),
                *got = test_calloc(D, sizeof *got);
        for (int report = 0; report < REPORTS; report++) {
            random_bytes(rand, sizeof rand);
            random_bytes(r.nonce, sizeof r.nonce);
            random_bytes(x, D * sizeof *x);
            for (size_t j = 0; j < D; j++)
                want[j] += x[j] = x[j] % 300;
            expect(OK, report_shard(&r, x, rand, &err));
            expect(OK, report_check(&r, &err));
            expect(OK, report_sum(&r, 0, sums[0], &err));
            expect(OK, report_sum(&r, 1, sums[1], &err));
        }
        for (size_t j = 0; j < D; j++)
            want[j] += noise[j] = (int64_t)j * 37 % 100001 - 50000;
        expect(OK, pine_sum_add(&r.pine, sums[1], noise, D, &err));
        expect(OK, pine_unshard(&r.pine, sums[0], sums[1], D, got, &err));
        assert_memory_equal(got, want, D * sizeof *got);
        test_free(sums[0]);
        test_free(sums[1]);
        test_free(x);
        test_free(want);
        test_free(noise);
        test_free(got);
    }
}

static void both_texts_of_a_field_give_the_same_bytes(void **state)
{
    (void)state;
    const struct pine_field *portable[] = {&pine_field32, &pine_field64};
    for (size_t i = 0; i < COUNT(portable); i++) {
        enum { D = 30000 };
        auto_report struct report a = {.pine = pine_for(portable[i]->bits, D, 30000)}, b = {.pine = a.pine};
        struct error err;
        uint8_t rand[7 * SEED_SIZE_MAX];
        int32_t *x = test_calloc(D, sizeof *x);
        for (int j = 0; j < D; j++)
            x[j] = j * 7919 % 301 - 150;
        random_bytes(rand, sizeof rand);
        b.pine.field = portable[i];
        expect(OK, report_shard(&a, x, rand, &err));
        expect(OK, report_shard(&b, x, rand, &err));
        assert_bytes(buf_view(&a.leader), buf_view(&b.leader));
        expect(OK, report_check(&a, &err));
        expect(OK, report_check(&b, &err));
        assert_bytes(buf_view(&a.prep[0]), buf_view(&b.prep[0]));
        assert_bytes(buf_view(&a.prep[1]), buf_view(&b.prep[1]));
        test_free(x);
    }
}

static void parameters_that_are_not_sound_are_refused(void **state)
{
    (void)state;
    struct pine pine;
    struct error err;
    struct pine_config good = pine_config_cairn(32, 1000, 1 << 15, STR(CTX)), c;
    expect(OK, pine_make(&good, &pine, &err));
#define BAD(change) (c = good, change, check_status(INVALID, pine_make(&c, &pine, &err), &err, __FILE__, __LINE__))
    BAD(c.norm_bound = 0);
    BAD(c.norm_bound = (uint64_t)1 << 31);
    BAD(c.dimension = 0);
    BAD(c.dimension = PINE_DIMENSION_MAX + 1);
    BAD(c.field_bits = 48);
    BAD(c.chunk = 0);
    BAD(c.chunk_norm_equality = 0);
    BAD(c.chunk_norm_equality = 1001);
    BAD((c.dimension = 1 << 24, c.chunk_norm_equality = (1 << 16) + 1));
    BAD((c.dimension = (1 << 20) + 1, c.xof = XOF_TURBOSHAKE128_OLD));
    BAD(c.proofs = 0);
    BAD(c.proofs_norm_equality = 17);
    BAD(c.checks = 0);
    BAD(c.checks = 129);
    BAD(c.successes = 101);
    BAD(c.successes = 0);
    BAD((c.dimension = 1 << 20, c.chunk_norm_equality = 1));
    BAD(c.ctx.len = PINE_CTX_MAX + 1);
    c = good, c.norm_bound = 37832; /* the largest with q > 3 B^2 + 2 */
    expect(OK, pine_make(&c, &pine, &err));
    c.norm_bound++;
    expect(INVALID, pine_make(&c, &pine, &err));
}

/* Federated.md 2.4 has a table of what is sent; ours is not longer. */
static void uploads_are_as_short_as_promised(void **state)
{
    (void)state;
    static const struct {
        unsigned bits;
        size_t d;
        double most; /* of d float32 */
    } sizes[] = {
        {32, 100000, 1.07}, {32, 1000000, 1.02}, {32, 10000000, 1.004}, {32, 100000000, 1.001}, {64, 1000000, 2.03},
    };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct pine pine = pine_for(sizes[i].bits, sizes[i].d, 1 << 15);
        assert_true((double)pine.leader_share / (4.0 * (double)sizes[i].d) <= sizes[i].most);
        assert_int_equal(pine.helper_share, 128);
    }
    assert_int_equal(pine_for(32, 1000, 1 << 15).reports_most, 65520); /* q / 2^16, rounded down */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_norm_at_the_bound_is_accepted_and_one_above_is_not_sharded),
        cmocka_unit_test(a_proof_for_a_larger_bound_is_refused),
        cmocka_unit_test(any_changed_bit_of_a_share_is_refused),
        cmocka_unit_test(any_changed_part_of_the_public_share_is_refused),
        cmocka_unit_test(any_changed_bit_between_the_houses_is_refused),
        cmocka_unit_test(houses_with_different_keys_or_contexts_refuse),
        cmocka_unit_test(two_reports_do_not_mix),
        cmocka_unit_test(truncated_shares_are_refused),
        cmocka_unit_test(numbers_that_are_no_field_elements_are_refused),
        cmocka_unit_test(sums_of_many_reports_and_noise_are_exact),
        cmocka_unit_test(both_texts_of_a_field_give_the_same_bytes),
        cmocka_unit_test(parameters_that_are_not_sound_are_refused),
        cmocka_unit_test(uploads_are_as_short_as_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

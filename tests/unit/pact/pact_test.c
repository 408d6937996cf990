/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What houses and participants share: the draw, the choice of a field, sizes, keys and sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail

#include "base/file.h"
#include "pact/sum.h"
#include "tlog/tree.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_US (INT64_C(86400) * 1000000)

/* The draw. */

static void buckets_have_their_size_or_one_more(void **state)
{
    (void)state;
    for (size_t count = 1; count < 60; count++)
        for (size_t bucket = 0; bucket <= 8; bucket++) {
            size_t of[60], members[60] = {0}, buckets = draw_count(count, bucket);
            const uint8_t seed[32] = {(uint8_t)count, (uint8_t)bucket};
            draw_buckets(seed, count, bucket, of);
            for (size_t i = 0; i < count; i++) {
                assert_true(of[i] < buckets);
                members[of[i]]++;
            }
            for (size_t i = 0; i < buckets; i++) {
                assert_true(members[i] >= count / buckets && members[i] <= count / buckets + 1);
                assert_true(bucket == 0 || count < bucket || members[i] >= bucket);
            }
        }
}

/* Each pair shares one of 3 buckets of 4 with a chance of 3 in 11; of 20,000 draws, six standard deviations are 380. */
static void who_shares_a_bucket_is_as_likely_for_all(void **state)
{
    (void)state;
    int together[12][12] = {{0}};
    for (uint32_t draw = 0; draw < 20000; draw++) {
        uint8_t seed[32] = {0};
        size_t of[12];
        memcpy(seed, &draw, sizeof draw);
        draw_buckets(seed, 12, 4, of);
        for (int a = 0; a < 12; a++)
            for (int b = 0; b < a; b++)
                together[a][b] += of[a] == of[b];
    }
    for (int a = 0; a < 12; a++)
        for (int b = 0; b < a; b++)
            assert_true(abs(together[a][b] - 20000 * 3 / 11) < 380);
}

/* Another list, configuration, or random bytes of either house: another draw. */
static void the_seed_comes_of_all_that_was_agreed_on(void **state)
{
    (void)state;
    uint8_t parts[4][32] = {{1}, {2}, {3}, {4}}, seed[32], other[32];
    draw_seed(parts[0], parts[1], parts[2], parts[3], seed);
    for (int i = 0; i < 4; i++) {
        parts[i][31] ^= 1;
        draw_seed(parts[0], parts[1], parts[2], parts[3], other);
        assert_memory_not_equal(seed, other, 32);
        parts[i][31] ^= 1;
    }
    uint8_t draw[32], noise[32];
    round_secret(seed, "draw", draw);
    round_secret(seed, "noise", noise);
    assert_memory_not_equal(draw, noise, 32);
}

/* Choosing. */

static void the_field_follows_from_the_number_of_parameters(void **state)
{
    (void)state;
    static const int64_t dimensions[] = {1, 1000, PACT_NARROW_ABOVE, PACT_NARROW_ABOVE + 1, 1000000, 100000000};
    static const double bounds[] = {1e-9, 0.3, 1, 10, 12345.6, 1e20}, sigmas[] = {0, 0.1, 1, 12, 1000};
    struct error err;
    for (size_t d = 0; d < 6; d++)
        for (size_t b = 0; b < 6; b++)
            for (size_t s = 0; s < 5; s++) {
                struct pact pact = {.dimension = dimensions[d], .bound = bounds[b]};
                if (pact_choose(&pact, sigmas[s], &err) != OK) {
                    assert_true(sigmas[s] > 12); /* 1,000 times the bound has no room over 32 bits at 10^8 */
                    continue;
                }
                assert_int_equal(pact.field_bits, dimensions[d] > PACT_NARROW_ABOVE ? 32 : 64);
                double exact = ldexp(bounds[b], (int)pact.fraction_bits);
                assert_true((double)pact.norm_bound <= exact && exact < (double)pact.norm_bound + 1);
                assert_true((sigmas[s] > 0) == (pact.noise > 0));
                assert_true((double)pact.noise >= sigmas[s] * (double)pact.norm_bound);
                /* 1,000 reports at the bound and the noise of both houses do not wrap around. */
                double most = 1000.0 * (double)pact.norm_bound + 20 * (double)pact.noise;
                assert_true(most < ldexp(1, (int)pact.field_bits - 1) * 0.999);
            }
}

static void sizes_that_say_too_much_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t minimum, bucket;
        bool noisy, good;
    } cases[] = {{1, 0, false, false},  {2, 0, false, true},   {2, 0, true, true},    {1, 0, true, false},
                 {12, 4, false, true},  {11, 4, false, false}, {12, 3, false, false}, {12, 6, false, true},
                 {12, 7, false, false}, {4, 2, true, true},    {3, 2, true, false},   {12, 1, true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = {0};
        bool good = pact_check_sizes(cases[i].minimum, cases[i].bucket, cases[i].noisy, &err) == OK;
        if (good != cases[i].good)
            print_error("case %zu: %s\n", i, err.message);
        assert_int_equal(good, cases[i].good);
    }
}

/* Keys. */

static void keys_stay_and_are_renewed_before_they_end(void **state)
{
    (void)state;
    char path[] = "/tmp/cairn-keys-XXXXXX";
    struct identity first, again, later, last;
    struct error err;
    struct stat about;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(identity_open(path, 0, &first, &err), OK);
    assert_true(stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    assert_int_equal(identity_open(path, 300 * DAY_US, &again, &err), OK);
    assert_memory_equal(&first.sign, &again.sign, sizeof first.sign);
    assert_int_equal(again.count, 1);
    assert_int_equal(identity_open(path, 310 * DAY_US, &later, &err), OK);
    assert_int_equal(later.count, 2);
    assert_memory_not_equal(later.seals[0].public_key, first.seals[0].public_key, 32);
    assert_non_null(identity_seal(&later, first.seals[0].public_key)); /* for rounds that were begun with it */
    assert_int_equal(identity_open(path, 1000 * DAY_US, &last, &err), OK);
    assert_null(identity_seal(&last, first.seals[0].public_key));
    assert_int_equal(file_write_durable(path, STR("{\"sign\":\"00\"}"), 0600, &err), OK);
    assert_int_equal(identity_open(path, 0, &first, &err), CORRUPT);
    unlink(path);
}

static void a_program_that_runs_on_renews_its_keys_and_goes_on_with_the_old_ones(void **state)
{
    (void)state;
    char path[] = "/tmp/cairn-keys-XXXXXX";
    struct identity *_Atomic keys = NULL;
    struct identity again;
    struct error err;
    close(mkstemp(path));
    unlink(path);
    assert_int_equal(identity_renew(path, 0, &keys, &err), OK);
    const struct identity *first = keys;
    const struct identity_seal *old = &first->seals[0];
    assert_int_equal(identity_renew(path, 300 * DAY_US, &keys, &err), OK);
    assert_ptr_equal(keys, first);
    assert_int_equal(identity_renew(path, 310 * DAY_US, &keys, &err), OK);
    const struct identity *second = keys;
    assert_ptr_not_equal(second, first);
    assert_memory_equal(&second->sign, &first->sign, sizeof first->sign);
    assert_memory_not_equal(second->seals[0].public_key, old->public_key, 32);
    assert_memory_equal(identity_seal(second, old->public_key)->private_key, old->private_key, 32);
    assert_int_equal(identity_open(path, 310 * DAY_US, &again, &err), OK);
    assert_memory_equal(&again.seals, &second->seals, sizeof again.seals);
    /* One that cannot be kept is not used. */
    assert_int_not_equal(identity_renew("/nowhere/house.json", 700 * DAY_US, &keys, &err), OK);
    assert_ptr_equal(keys, second);
    identity_end(&keys);
    assert_null(keys);
    unlink(path);
}

static void a_signature_is_of_one_key_one_type_and_one_text(void **state)
{
    (void)state;
    const uint8_t seeds[2][32] = {{1}, {2}};
    struct pact_key keys[2];
    uint8_t signature[PACT_SIGNATURE_SIZE];
    pact_key_make(&keys[0], seeds[0]);
    pact_key_make(&keys[1], seeds[1]);
    pact_sign_text(&keys[0], PACT_TYPE, STR("text"), signature);
    assert_true(pact_text_signed(keys[0].public_key, PACT_TYPE, STR("text"), signature));
    assert_false(pact_text_signed(keys[1].public_key, PACT_TYPE, STR("text"), signature));
    assert_false(pact_text_signed(keys[0].public_key, RECORD_TYPE, STR("text"), signature));
    assert_false(pact_text_signed(keys[0].public_key, PACT_TYPE, STR("texT"), signature));
}

/* RFC 8032, 7.1, test 1. */
static void signatures_are_those_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                     0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                     0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    static const uint8_t begins[8] = {0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72};
    struct pact_key key;
    uint8_t signature[PACT_SIGNATURE_SIZE];
    pact_key_make(&key, seed);
    pact_sign(&key, STR(""), signature);
    assert_memory_equal(signature, begins, sizeof begins);
}

/* Sums, in blocks. */

struct in_memory {
    struct str *shares;
    size_t count, at;
};

static enum status next(void *context, struct pine_source *out, bool *found, struct error *err)
{
    (void)err;
    struct in_memory *memory = context;
    *found = memory->at < memory->count;
    if (*found)
        *out = pine_source_memory(&memory->shares[memory->at++]);
    return OK;
}

static enum status into_buf(void *context, const uint8_t *data, size_t len, struct error *err)
{
    (void)err;
    buf_add(context, data, len);
    return OK;
}

static int scratch(void)
{
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

enum { WIDE = 40000, REPORTS = 3 };

/* Over more than two blocks, with noise that both houses draw again as they like: the mean is that of the integers. */
static void a_mean_is_that_of_the_integers_and_the_noise_stays(void **state)
{
    (void)state;
    struct error err;
    struct pact pact = {.dimension = WIDE, .bound = 1};
    struct pine pine;
    uint8_t ctx[32] = {5}, helpers[REPORTS][4 * SEED_SIZE_MAX], public_share[4 * SEED_SIZE_MAX], digests[2][32];
    struct buf leaders[REPORTS] = {{0}};
    struct str shares[2][REPORTS];
    int32_t *x = calloc(WIDE, sizeof *x);
    double *wanted = calloc(WIDE, sizeof *wanted), norm, squares = 0;
    float *found = calloc(WIDE, sizeof *found);
    assert_int_equal(pact_choose(&pact, 0, &err), OK);
    assert_int_equal(pact_pine(&pact, ctx, &pine, &err), OK);
    for (int r = 0; r < REPORTS; r++) {
        uint8_t rand[16 * SEED_SIZE_MAX], nonce[PINE_NONCE_SIZE];
        random_bytes(rand, sizeof rand);
        random_bytes(nonce, sizeof nonce);
        for (int i = 0; i < WIDE; i++) {
            x[i] = (r + 1) * (i % 1001 - 500);
            wanted[i] += x[i];
        }
        assert_int_equal(pine_shard(&pine, x, nonce, rand, (struct pine_sink){into_buf, &leaders[r]}, helpers[r],
                                    public_share, &err),
                         OK);
        shares[0][r] = buf_view(&leaders[r]);
        shares[1][r] = (struct str){(char *)helpers[r], sizeof helpers[r]};
    }
    int fds[2] = {scratch(), scratch()}, out = scratch();
    for (int noise = 0; noise < 2; noise++) {
        for (int house = 0; house < 2; house++) {
            uint8_t again[32];
            const uint8_t seed[32] = {(uint8_t)house};
            for (int twice = 0; twice < 2; twice++) {
                struct in_memory memory = {shares[house], REPORTS, 0};
                assert_int_equal(sum_bucket(&pine, house, &(struct shares){next, &memory}, seed, noise * 1000, 0,
                                            fds[house], 0, twice ? again : digests[house], &err),
                                 OK);
            }
            assert_memory_equal(again, digests[house], 32);
        }
        assert_int_equal(sum_mean(&pine, fds[0], fds[1], 0, REPORTS, (int)pact.fraction_bits, out, 0, &norm, &err), OK);
        assert_int_equal(pread_full(out, found, WIDE * sizeof *found, 0, &err), OK);
        squares = 0;
        for (int i = 0; i < WIDE; i++) {
            double off = ldexp(found[i], (int)pact.fraction_bits) * REPORTS - wanted[i];
            squares += off * off;
            assert_true(noise || fabs(off) < 0.5);
        }
        /* Both houses': the square root of two, of 40,000 draws within two hundredths. */
        assert_true(!noise || fabs(sqrt(squares / WIDE) / (1000 * sqrt(2)) - 1) < 0.02);
    }
    for (int r = 0; r < REPORTS; r++)
        buf_free(&leaders[r]);
    close(fds[0]);
    close(fds[1]);
    close(out);
    free(x);
    free(wanted);
    free(found);
}

static void the_root_is_of_all_signatures_in_their_order(void **state)
{
    (void)state;
    uint8_t signatures[3][PACT_SIGNATURE_SIZE] = {{1}, {2}, {3}}, root[SHA256_SIZE], other[SHA256_SIZE];
    struct tlog_hash leaves[3];
    for (int i = 0; i < 3; i++)
        leaves[i] = tlog_leaf_hash((struct str){(char *)signatures[i], PACT_SIGNATURE_SIZE});
    struct tlog_hash pair = tlog_node_hash(&leaves[0], &leaves[1]), wanted = tlog_node_hash(&pair, &leaves[2]);
    reports_root((const uint8_t(*)[PACT_SIGNATURE_SIZE])signatures, 3, root);
    assert_memory_equal(root, wanted.bytes, SHA256_SIZE);
    reports_root((const uint8_t(*)[PACT_SIGNATURE_SIZE])signatures, 2, other);
    assert_memory_not_equal(root, other, SHA256_SIZE);
    signatures[1][PACT_SIGNATURE_SIZE - 1] ^= 1;
    reports_root((const uint8_t(*)[PACT_SIGNATURE_SIZE])signatures, 3, other);
    assert_memory_not_equal(root, other, SHA256_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_have_their_size_or_one_more),
        cmocka_unit_test(who_shares_a_bucket_is_as_likely_for_all),
        cmocka_unit_test(the_seed_comes_of_all_that_was_agreed_on),
        cmocka_unit_test(the_root_is_of_all_signatures_in_their_order),
        cmocka_unit_test(the_field_follows_from_the_number_of_parameters),
        cmocka_unit_test(sizes_that_say_too_much_are_refused),
        cmocka_unit_test(keys_stay_and_are_renewed_before_they_end),
        cmocka_unit_test(a_program_that_runs_on_renews_its_keys_and_goes_on_with_the_old_ones),
        cmocka_unit_test(a_signature_is_of_one_key_one_type_and_one_text),
        cmocka_unit_test(signatures_are_those_of_the_rfc),
        cmocka_unit_test(a_mean_is_that_of_the_integers_and_the_noise_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tests of one field against OpenSSL's big numbers, and of its polynomials against their definition; the file that includes this
 * defines FIELD_BITS. */
#include "../base/check.h"
#include "base/hash.h"
#include "vdaf/flp.h"
#include <openssl/bn.h>

static BIGNUM *bn_of(fe a)
{
    uint8_t bytes[FE_SIZE];
    fe_write(bytes, a);
    BIGNUM *n = BN_lebin2bn(bytes, FE_SIZE, NULL);
    assert_non_null(n);
    return n;
}

static fe fe_of_bn(const BIGNUM *n)
{
    uint8_t bytes[FE_SIZE];
    fe a;
    assert_int_equal(BN_bn2lebinpad(n, bytes, FE_SIZE), FE_SIZE);
    assert_true(fe_read(bytes, &a));
    return a;
}

static fe random_element(void)
{
    uint8_t bytes[FE_SIZE];
    fe a;
    do
        random_bytes(bytes, sizeof bytes);
    while (!fe_read(bytes, &a));
    return a;
}

/* Numbers where carries and reductions turn. */
static const fe edges[] = {
    0,
    1,
    2,
    3,
    FE_MODULUS - 1,
    FE_MODULUS - 2,
    FE_MODULUS / 2,
    FE_MODULUS / 2 + 1,
    FE_EXCESS,
    FE_EXCESS + 1,
    FE_EXCESS - 1,
    (fe)1 << FE_SHIFT,
    ((fe)1 << FE_SHIFT) - 1,
    (fe)1 << (FIELD_BITS - 1),
    ((fe)1 << (FIELD_BITS - 1)) - 1,
    ((fe)1 << FIELD_BITS / 2),
    ((fe)1 << FIELD_BITS / 2) - 1,
    FE_MODULUS - ((fe)1 << FIELD_BITS / 2),
};

static void agree(fe a, fe b)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *x = bn_of(a), *y = bn_of(b), *q = bn_of(FE_MODULUS), *r = BN_new();
    assert_true(context && r && BN_mod_add(r, x, y, q, context));
    assert_true(fe_add(a, b) == fe_of_bn(r));
    assert_true(BN_mod_sub(r, x, y, q, context));
    assert_true(fe_sub(a, b) == fe_of_bn(r));
    assert_true(BN_mod_mul(r, x, y, q, context));
    assert_true(fe_mul(a, b) == fe_of_bn(r));
    BN_free(x);
    BN_free(y);
    BN_free(q);
    BN_free(r);
    BN_CTX_free(context);
}

static void arithmetic_is_that_of_big_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(edges); i++)
        for (size_t j = 0; j < COUNT(edges); j++)
            agree(edges[i], edges[j]);
    for (int i = 0; i < 2000; i++) {
        fe a = random_element();
        agree(a, random_element());
        agree(a, edges[(size_t)i % COUNT(edges)]);
        if (a)
            assert_true(fe_mul(a, fe_inverse(a)) == 1);
    }
}

static void the_modulus_is_prime_and_the_root_has_its_order(void **state)
{
    (void)state;
    BIGNUM *q = bn_of(FE_MODULUS);
    assert_int_equal(BN_check_prime(q, NULL, NULL), 1);
    BN_free(q);
    for (unsigned log = 1; log <= FE_SHIFT && log <= 30; log++) {
        fe root = fe_root(log);
        assert_true(fe_pow(root, (u128)1 << (log - 1)) == FE_MODULUS - 1);
        assert_true(fe_mul(fe_root(log), fe_root(log)) == fe_root(log - 1));
    }
    assert_true(fe_root(0) == 1);
}

static void signed_numbers_keep_their_sign(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0,         1,         -1,        12345,       -12345,    INT32_MAX,
                                      INT32_MIN, INT64_MAX, INT64_MIN, -4293918721, 4293918722};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        BN_CTX *context = BN_CTX_new();
        BIGNUM *n = BN_new(), *q = bn_of(FE_MODULUS);
        uint64_t magnitude = numbers[i] < 0 ? 0 - (uint64_t)numbers[i] : (uint64_t)numbers[i];
        assert_true(BN_set_word(n, magnitude));
        BN_set_negative(n, numbers[i] < 0);
        assert_true(BN_nnmod(n, n, q, context));
        assert_true(fe_of_wide(numbers[i]) == fe_of_bn(n));
        if (FIELD_BITS >= 64 || magnitude < (uint64_t)FE_MODULUS)
            assert_true(fe_of_signed(numbers[i]) == fe_of_bn(n));
        BN_free(n);
        BN_free(q);
        BN_CTX_free(context);
    }
}

static void only_reduced_numbers_are_read(void **state)
{
    (void)state;
    uint8_t bytes[FE_SIZE];
    fe a;
    for (size_t i = 0; i < COUNT(edges); i++) {
        fe_write(bytes, edges[i]);
        assert_true(fe_read(bytes, &a) && a == edges[i]);
    }
    for (int more = 0; more < 3; more++) {
        fe_write(bytes, (fe)(FE_MODULUS + (fe)more));
        assert_false(fe_read(bytes, &a));
    }
    memset(bytes, 0xff, sizeof bytes);
    assert_false(fe_read(bytes, &a));
}

static void transforms_are_evaluations(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 64; n *= 2) {
        fe a[64], b[64], weights[64], x = random_element(), sum = 0, at = 1;
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = random_element();
        poly_values(b, n);
        for (size_t k = 0; k < n; k++, at = fe_mul(at, fe_root(log_of(n))))
            assert_true(b[k] == poly_at(a, n, at));
        assert_true(poly_lagrange(weights, n, x));
        for (size_t k = 0; k < n; k++)
            sum = fe_add(sum, fe_mul(weights[k], b[k]));
        assert_true(sum == poly_at(a, n, x));
        assert_false(poly_lagrange(weights, n, fe_root(log_of(n))));
        poly_coefficients(b, n);
        assert_true(memcmp(a, b, n * sizeof *a) == 0);
    }
}

static void missing_values_follow_from_the_degree(void **state)
{
    (void)state;
    for (size_t n = 2; n <= 32; n *= 2)
        for (size_t len = 1; len <= n; len++) {
            fe a[32] = {0}, b[32];
            for (size_t i = 0; i < len; i++)
                a[i] = random_element();
            memcpy(b, a, sizeof b);
            poly_values(b, n);
            for (size_t i = len; i < n; i++)
                b[i] = random_element(); /* not looked at */
            poly_complete(b, len, n);
            assert_true(memcmp(a, b, n * sizeof *a) == 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_is_that_of_big_numbers),
        cmocka_unit_test(the_modulus_is_prime_and_the_root_has_its_order),
        cmocka_unit_test(signed_numbers_keep_their_sign),
        cmocka_unit_test(only_reduced_numbers_are_read),
        cmocka_unit_test(transforms_are_evaluations),
        cmocka_unit_test(missing_values_follow_from_the_degree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

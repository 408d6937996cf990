/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys and signatures that OpenSSL makes are verified, and nothing that is like them. */
#include "../base/check.h"
#include "webauthn/cose.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

struct maker {
    EVP_PKEY *key;
    struct buf cose;
    enum cose_algorithm algorithm;
};

static void put_head(struct buf *out, unsigned major, size_t number)
{
    if (number < 24)
        buf_byte(out, (char)(major << 5 | number));
    else if (number < 256)
        buf_printf(out, "%c%c", (int)(major << 5 | 24), (int)number);
    else {
        buf_byte(out, (char)(major << 5 | 25));
        buf_byte(out, (char)(number >> 8));
        buf_byte(out, (char)number);
    }
}

static void put_number(struct buf *out, int64_t number)
{
    put_head(out, number < 0, (size_t)(number < 0 ? -1 - number : number));
}

static void put_bytes(struct buf *out, const void *bytes, size_t len)
{
    put_head(out, 2, len);
    buf_add(out, bytes, len);
}

static void put_param(struct maker *maker, int64_t label, const char *name, size_t len)
{
    unsigned char bytes[512];
    BIGNUM *number = NULL;
    assert_int_equal(1, EVP_PKEY_get_bn_param(maker->key, name, &number));
    len = len ? len : (size_t)BN_num_bytes(number);
    assert_int_equal(len, BN_bn2binpad(number, bytes, (int)len));
    BN_free(number);
    put_number(&maker->cose, label);
    put_bytes(&maker->cose, bytes, len);
}

static struct maker make_key(enum cose_algorithm algorithm)
{
    struct maker maker = {.algorithm = algorithm};
    int64_t kty = algorithm == COSE_ES256 ? 2 : algorithm == COSE_EDDSA ? 1 : 3;
    maker.key = algorithm == COSE_ES256   ? EVP_EC_gen("P-256")
                : algorithm == COSE_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                          : EVP_RSA_gen(2048);
    assert_non_null(maker.key);
    put_head(&maker.cose, 5, algorithm == COSE_ES256 ? 5 : 4);
    put_number(&maker.cose, 1), put_number(&maker.cose, kty);
    put_number(&maker.cose, 3), put_number(&maker.cose, algorithm);
    if (algorithm == COSE_RS256) {
        put_param(&maker, -1, OSSL_PKEY_PARAM_RSA_N, 256);
        put_param(&maker, -2, OSSL_PKEY_PARAM_RSA_E, 0);
        return maker;
    }
    put_number(&maker.cose, -1), put_number(&maker.cose, algorithm == COSE_ES256 ? 1 : 6);
    if (algorithm == COSE_ES256) {
        put_param(&maker, -2, OSSL_PKEY_PARAM_EC_PUB_X, 32);
        put_param(&maker, -3, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
        return maker;
    }
    unsigned char raw[32];
    size_t len = sizeof raw;
    assert_int_equal(1, EVP_PKEY_get_raw_public_key(maker.key, raw, &len));
    put_number(&maker.cose, -2), put_bytes(&maker.cose, raw, len);
    return maker;
}

static struct str sign(const struct maker *maker, struct str data, unsigned char out[512])
{
    size_t len = 512;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = maker->algorithm == COSE_EDDSA ? NULL : EVP_sha256();
    assert_int_equal(1, EVP_DigestSignInit(context, NULL, digest, NULL, maker->key));
    assert_int_equal(1, EVP_DigestSign(context, out, &len, (const unsigned char *)data.data, data.len));
    EVP_MD_CTX_free(context);
    return (struct str){(const char *)out, len};
}

static void end(struct maker *maker)
{
    EVP_PKEY_free(maker->key);
    buf_free(&maker->cose);
}

static const enum cose_algorithm algorithms[] = {COSE_ES256, COSE_EDDSA, COSE_RS256};

static void signatures_are_verified_and_no_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        struct maker maker = make_key(algorithms[i]), other = make_key(algorithms[i]);
        struct cose_key key, others;
        size_t used;
        unsigned char room[512];
        struct str signature = sign(&maker, STR("what was signed"), room);
        assert_int_equal(OK, cose_key_read(buf_view(&maker.cose), &key, &used, NULL));
        assert_int_equal(maker.cose.len, used);
        assert_int_equal(OK, cose_key_read(buf_view(&other.cose), &others, &used, NULL));
        assert_true(cose_verify(&key, STR("what was signed"), signature));
        assert_false(cose_verify(&key, STR("what was not"), signature));
        assert_false(cose_verify(&others, STR("what was signed"), signature));
        assert_false(cose_verify(&key, STR("what was signed"), str_slice(signature, 0, signature.len - 1)));
        assert_false(cose_verify(&key, STR("what was signed"), STR("")));
        for (size_t at = 0; at < signature.len; at += 7) {
            room[at] ^= 1;
            assert_false(cose_verify(&key, STR("what was signed"), signature));
            room[at] ^= 1;
        }
        end(&maker);
        end(&other);
    }
}

static void a_key_that_is_cut_or_has_a_byte_changed_never_verifies_what_it_should_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(algorithms); i++) {
        struct maker maker = make_key(algorithms[i]);
        struct cose_key key;
        size_t used;
        unsigned char room[512];
        struct str signature = sign(&maker, STR("data"), room);
        for (size_t cut = 0; cut < maker.cose.len; cut++) {
            struct str copy = exact(str_slice(buf_view(&maker.cose), 0, cut));
            assert_int_equal(INVALID, cose_key_read(copy, &key, &used, NULL));
            done(copy);
        }
        for (size_t at = 0; at < maker.cose.len; at++) {
            maker.cose.data[at] ^= 4;
            if (cose_key_read(buf_view(&maker.cose), &key, &used, NULL) == OK)
                assert_false(cose_verify(&key, STR("data"), signature));
            maker.cose.data[at] ^= 4;
        }
        end(&maker);
    }
}

static void what_follows_a_key_is_left_alone(void **state)
{
    (void)state;
    struct maker maker = make_key(COSE_EDDSA);
    struct cose_key key;
    size_t used, len = maker.cose.len;
    buf_str(&maker.cose, STR("more"));
    assert_int_equal(OK, cose_key_read(buf_view(&maker.cose), &key, &used, NULL));
    assert_int_equal(len, used);
    end(&maker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_verified_and_no_others),
        cmocka_unit_test(a_key_that_is_cut_or_has_a_byte_changed_never_verifies_what_it_should_not),
        cmocka_unit_test(what_follows_a_key_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

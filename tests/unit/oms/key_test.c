/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

static const char *const kinds[] = {"P-256", "P-384", "P-521", "ED25519"};

static void keys_survive_the_round_trip(void **state)
{
    (void)state;
    struct error err;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        auto_key EVP_PKEY *key = make_key(kinds[i]), *public = NULL, *private = NULL;
        auto_buf struct buf public_text = {0}, private_text = {0};
        oms_key_write_public(key, &public_text);
        oms_key_write_private(key, &private_text);
        expect(OK, oms_key_read_public(buf_view(&public_text), &public, &err));
        expect(OK, oms_key_read_private(buf_view(&private_text), &private, &err));
        assert_int_equal(EVP_PKEY_eq(key, public), 1);
        assert_int_equal(EVP_PKEY_eq(key, private), 1);
        assert_int_equal(oms_key_is_ecdsa(public), i < 3);
    }
}

static void a_private_key_is_no_public_key_and_the_reverse(void **state)
{
    (void)state;
    struct error err;
    auto_key EVP_PKEY *key = make_key("P-256"), *read = NULL;
    auto_buf struct buf public_text = {0}, private_text = {0};
    oms_key_write_public(key, &public_text);
    oms_key_write_private(key, &private_text);
    expect(INVALID, oms_key_read_public(buf_view(&private_text), &read, &err));
    expect(INVALID, oms_key_read_private(buf_view(&public_text), &read, &err));
    assert_null(read);
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_key EVP_PKEY *key = make_key("P-256"), *read = NULL;
    auto_buf struct buf text = {0};
    oms_key_write_public(key, &text);
    expect(INVALID, oms_key_read_public(STR(""), &read, &err));
    expect(INVALID, oms_key_read_public((struct str){0}, &read, &err));
    expect(INVALID, oms_key_read_public(STR("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"), &read, &err));
    for (size_t len = 0; len + 1 < text.len; len += 7) {
        struct str cut = exact((struct str){text.data, len});
        expect(INVALID, oms_key_read_public(cut, &read, &err));
        done(cut);
    }
    buf_reserve(&text, OMS_PEM_MOST);
    while (text.len <= OMS_PEM_MOST)
        buf_byte(&text, '\n');
    expect(TOO_LARGE, oms_key_read_public(buf_view(&text), &read, &err));
}

static void other_kinds_of_keys_are_refused(void **state)
{
    (void)state;
    struct error err;
    auto_key EVP_PKEY *rsa = EVP_RSA_gen(2048), *other_curve = EVP_EC_gen("secp256k1"), *read = NULL;
    EVP_PKEY *keys[] = {rsa, other_curve};
    for (size_t i = 0; i < COUNT(keys); i++) {
        auto_buf struct buf text = {0};
        oms_key_write_public(keys[i], &text);
        expect(UNSUPPORTED, oms_key_read_public(buf_view(&text), &read, &err));
        expect_message("P-256");
    }
}

/* Numbers may say P-256 with another generator, for which anyone can make signatures (CVE-2020-0601). */
static void a_curve_in_numbers_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_key EVP_PKEY *key = make_key("P-256"), *read = NULL;
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "encoding", "explicit"), 1);
    auto_buf struct buf text = {0};
    oms_key_write_public(key, &text);
    assert_true(text.len > 300);
    expect(UNSUPPORTED, oms_key_read_public(buf_view(&text), &read, &err));
    assert_int_equal(EVP_PKEY_set_utf8_string_param(key, "encoding", "named_curve"), 1);
    text.len = 0;
    oms_key_write_public(key, &text);
    expect(OK, oms_key_read_public(buf_view(&text), &read, &err));
}

static void nobody_is_asked_for_a_passphrase(void **state)
{
    (void)state;
    struct error err;
    auto_key EVP_PKEY *key = make_key("P-256"), *read = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    long len = BIO_get_mem_data(bio, &text);
    expect(INVALID, oms_key_read_private((struct str){text, (size_t)len}, &read, &err));
    expect_message("passphrase");
    BIO_free(bio);
}

/* The hint that model_signing 1.1.1 wrote for this key. */
static void the_hint_is_the_hash_of_the_pem_text(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = NULL, *other = make_key("P-256");
    char hint[OMS_HINT_SIZE];
    struct oms_bundle bundle;
    expect(OK, oms_key_read_public(vector(&arena, "tool-key.pub.pem"), &key, &err));
    expect(OK, oms_bundle_read(&arena, vector(&arena, "tool-sha256-files.json"), &bundle, &err));
    oms_key_hint(key, hint);
    assert_str(bundle.hint, hint);
    oms_key_hint(other, hint);
    assert_false(str_eq(bundle.hint, str_of(hint)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_survive_the_round_trip),
        cmocka_unit_test(a_private_key_is_no_public_key_and_the_reverse),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(other_kinds_of_keys_are_refused),
        cmocka_unit_test(a_curve_in_numbers_is_refused),
        cmocka_unit_test(nobody_is_asked_for_a_passphrase),
        cmocka_unit_test(the_hint_is_the_hash_of_the_pem_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

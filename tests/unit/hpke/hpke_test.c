/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 9180 appendix A.1.1, RFC 5869 appendix A, RFC 7748 section 5.2; and what must not open. */
#include "hpke/hpke.h"

#include "../base/check.h"
#include "base/hash.h"

#define expect(want, call) assert_int_equal((call), (want))

static struct str hex(struct arena *arena, const char *digits)
{
    size_t len = strlen(digits) / 2;
    uint8_t *out = arena_alloc(arena, len + 1);
    assert_true(hex_decode(str_of(digits), out, len));
    return (struct str){(char *)out, len};
}
#define HEX(digits) hex(&arena, (digits))
#define BYTES(digits) ((const uint8_t *)HEX(digits).data)

#define INFO "4f6465206f6e2061204772656369616e2055726e"
#define PLAIN "4265617574792069732074727574682c20747275746820626561757479"
#define PUBLIC "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
#define PRIVATE "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"
#define EPHEMERAL "52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736"
#define ENC "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"

static const struct {
    uint64_t number;
    const char *aad, *sealed;
} messages[] = {
    {0, "436f756e742d30", "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"},
    {1, "436f756e742d31", "af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84"},
    {2, "436f756e742d32", "498dfcabd92e8acedc281e85af1cb4e3e31c7dc394a1ca20e173cb72516491588d96a19ad4a683518973dcc180"},
    {4, "436f756e742d34", "583bd32bc67a5994bb8ceaca813d369bca7b2a42408cddef5e22f880b631215a09fc0012bc69fccaa251c0246d"},
    {255, "436f756e742d323535",
     "7175db9717964058640a3a11fb9007941a5d1757fda1a6935c805c21af32505bf106deefec4a49ac38d71c9e0a"},
    {256, "436f756e742d323536",
     "957f9800542b0b8891badb026d79cc54597cb2d225b54c00c5238c25d05c30e3fbeda97d2e0e1aba483a2df9f2"},
};

static void the_vectors_of_rfc_9180_are_reproduced(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_hpke struct hpke sender = {0}, recipient = {0};
    uint8_t enc[32], out[64];
    expect(OK, hpke_sender_with(&sender, BYTES(PUBLIC), HEX(INFO), BYTES(EPHEMERAL), enc, NULL));
    assert_memory_equal(enc, BYTES(ENC), 32);
    assert_memory_equal(sender.key, BYTES("4531685d41d65f03dc48f6b8302c05b0"), 16);
    assert_memory_equal(sender.nonce, BYTES("56d890e5accaaf011cff4b7d"), 12);
    assert_memory_equal(sender.exporter, BYTES("45ff1c2e220db587171952c0592d5f5ebe103f1561a2614e38f2ffd47e99e3f8"), 32);
    expect(OK, hpke_recipient(&recipient, BYTES(PRIVATE), enc, HEX(INFO), NULL));
    for (size_t i = 0; i < COUNT(messages); i++) {
        struct str plain = HEX(PLAIN), sealed = HEX(messages[i].sealed);
        hpke_seal(&sender, messages[i].number, HEX(messages[i].aad), plain, out);
        assert_int_equal(sealed.len, plain.len + HPKE_TAG_SIZE);
        assert_memory_equal(out, sealed.data, sealed.len);
        expect(OK, hpke_open(&recipient, messages[i].number, HEX(messages[i].aad), sealed, out, NULL));
        assert_memory_equal(out, plain.data, plain.len);
    }
}

static void its_exported_values_are_reproduced(void **state)
{
    (void)state;
    static const char *const exports[][2] = {
        {"", "3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee"},
        {"00", "2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5"},
        {"54657374436f6e74657874", "e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931"},
    };
    auto_arena struct arena arena = {0};
    auto_hpke struct hpke hpke = {0};
    uint8_t out[32];
    expect(OK, hpke_recipient(&hpke, BYTES(PRIVATE), BYTES(ENC), HEX(INFO), NULL));
    for (size_t i = 0; i < COUNT(exports); i++) {
        hpke_export(&hpke, HEX(exports[i][0]), out, sizeof out);
        assert_memory_equal(out, BYTES(exports[i][1]), sizeof out);
    }
}

static void nothing_else_opens(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_hpke struct hpke hpke = {0}, other_info = {0}, other_key = {0}, other_enc = {0};
    uint8_t out[64], private_key[32], public_key[32], enc[32];
    struct str sealed = HEX(messages[1].sealed), aad = HEX(messages[1].aad);
    expect(OK, hpke_recipient(&hpke, BYTES(PRIVATE), BYTES(ENC), HEX(INFO), NULL));
    expect(OK, hpke_open(&hpke, 1, aad, sealed, out, NULL));
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        ((uint8_t *)sealed.data)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect(FORBIDDEN, hpke_open(&hpke, 1, aad, sealed, out, NULL));
        ((uint8_t *)sealed.data)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t i = 0; i < sealed.len - HPKE_TAG_SIZE; i++)
        assert_int_equal(out[i], 0);
    for (size_t len = 0; len < sealed.len; len++)
        expect(FORBIDDEN, hpke_open(&hpke, 1, aad, str_slice(sealed, 0, len), out, NULL));
    expect(FORBIDDEN, hpke_open(&hpke, 0, aad, sealed, out, NULL));
    expect(FORBIDDEN, hpke_open(&hpke, 1, HEX(messages[2].aad), sealed, out, NULL));
    expect(OK, hpke_recipient(&other_info, BYTES(PRIVATE), BYTES(ENC), STR(""), NULL));
    expect(FORBIDDEN, hpke_open(&other_info, 1, aad, sealed, out, NULL));
    hpke_key_make(private_key, public_key);
    expect(OK, hpke_recipient(&other_key, private_key, BYTES(ENC), HEX(INFO), NULL));
    expect(FORBIDDEN, hpke_open(&other_key, 1, aad, sealed, out, NULL));
    memcpy(enc, BYTES(ENC), 32);
    enc[3] ^= 4;
    expect(OK, hpke_recipient(&other_enc, BYTES(PRIVATE), enc, HEX(INFO), NULL));
    expect(FORBIDDEN, hpke_open(&other_enc, 1, aad, sealed, out, NULL));
    expect(OK, hpke_open(&hpke, 1, aad, sealed, out, NULL));
}

static void fresh_senders_never_share_a_key(void **state)
{
    (void)state;
    uint8_t private_key[32], public_key[32], enc[2][32], sealed[2][5 + HPKE_TAG_SIZE], out[5];
    auto_hpke struct hpke one = {0}, two = {0}, recipient = {0};
    hpke_key_make(private_key, public_key);
    expect(OK, hpke_sender(&one, public_key, STR("round"), enc[0], NULL));
    expect(OK, hpke_sender(&two, public_key, STR("round"), enc[1], NULL));
    hpke_seal(&one, 0, STR(""), STR("share"), sealed[0]);
    hpke_seal(&two, 0, STR(""), STR("share"), sealed[1]);
    assert_memory_not_equal(sealed[0], sealed[1], sizeof sealed[0]);
    expect(OK, hpke_recipient(&recipient, private_key, enc[1], STR("round"), NULL));
    expect(OK, hpke_open(&recipient, 0, STR(""), (struct str){(char *)sealed[1], sizeof sealed[1]}, out, NULL));
    assert_memory_equal(out, "share", 5);
}

static void points_of_small_order_are_refused(void **state)
{
    (void)state;
    /* 0, 1 and the two points of order 8 (RFC 7748 section 7) */
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    };
    auto_arena struct arena arena = {0};
    uint8_t enc[32], shared[32];
    for (size_t i = 0; i < COUNT(points); i++) {
        struct hpke hpke = {0};
        expect(INVALID, hpke_sender(&hpke, BYTES(points[i]), STR(""), enc, NULL));
        expect(INVALID, hpke_recipient(&hpke, BYTES(PRIVATE), BYTES(points[i]), STR(""), NULL));
        expect(INVALID, x25519(BYTES(PRIVATE), BYTES(points[i]), shared, NULL));
    }
}

static void x25519_is_that_of_rfc_7748(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    uint8_t shared[32], other[32], public_key[32], one[2][32], two[2][32];
    expect(OK, x25519(BYTES("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                      BYTES("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"), shared, NULL));
    assert_memory_equal(shared, BYTES("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"), 32);
    hpke_key_public(BYTES(PRIVATE), public_key);
    assert_memory_equal(public_key, BYTES(PUBLIC), 32);
    hpke_key_make(one[0], one[1]);
    hpke_key_make(two[0], two[1]);
    expect(OK, x25519(one[0], two[1], shared, NULL));
    expect(OK, x25519(two[0], one[1], other, NULL));
    assert_memory_equal(shared, other, 32);
}

static void hkdf_is_that_of_rfc_5869(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *salt, *info, *out;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    auto_arena struct arena arena = {0};
    uint8_t out[42];
    for (size_t i = 0; i < COUNT(cases); i++) {
        hkdf_sha256(HEX(cases[i].secret), HEX(cases[i].salt), HEX(cases[i].info), out, sizeof out);
        assert_memory_equal(out, BYTES(cases[i].out), sizeof out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_9180_are_reproduced),
        cmocka_unit_test(its_exported_values_are_reproduced),
        cmocka_unit_test(nothing_else_opens),
        cmocka_unit_test(fresh_senders_never_share_a_key),
        cmocka_unit_test(points_of_small_order_are_refused),
        cmocka_unit_test(x25519_is_that_of_rfc_7748),
        cmocka_unit_test(hkdf_is_that_of_rfc_5869),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

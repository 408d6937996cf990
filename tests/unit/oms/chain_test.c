/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "chain_fixture.h"

#include <openssl/rsa.h>

static enum status verify(struct arena *arena, const struct family *family, size_t count, struct str anchors,
                          int64_t time_us, struct error *err)
{
    struct chain_leaf leaf;
    TRY(chain_verify(arena, family->chain, count, anchors, time_us, &leaf, err));
    assert_int_equal(EVP_PKEY_eq(leaf.key, family->leaf_key), 1);
    oms_key_free(&leaf.key);
    return OK;
}

static enum status verify_wishes(const struct wish *middle, const struct wish *leaf, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, middle, leaf, NULL);
    return verify(&arena, &family, 2, family.root_pem, NOON_US, err);
}

static void a_chain_up_to_a_trusted_certificate_holds(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    auto_family struct family other = make_family(&arena, &good_middle, &good_leaf, NULL);
    expect(OK, verify(&arena, &family, 2, family.root_pem, NOON_US, &err));
    expect(OK, verify(&arena, &family, 1, family.middle_pem, NOON_US, &err));
    expect(OK, verify(&arena, &family, 2,
                      arena_printf(&arena, "%s\n%s", vector(&arena, "tool-ca.pem").data, family.root_pem.data), NOON_US,
                      &err));
    expect(UNPROCESSABLE, verify(&arena, &family, 2, other.root_pem, NOON_US, &err));
    expect(UNPROCESSABLE, verify(&arena, &family, 1, family.root_pem, NOON_US, &err)); /* a link is missing */
    family.chain[1] = other.chain[1];                                                  /* of the same name */
    expect(UNPROCESSABLE, verify(&arena, &family, 2, family.root_pem, NOON_US, &err));
}

static void the_leaf_is_described(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    struct chain_leaf leaf;
    uint8_t digest[SHA256_SIZE];
    expect(OK, chain_verify(&arena, family.chain, 2, family.root_pem, NOON_US, &leaf, &err));
    sha256(family.chain[0], digest);
    assert_str(leaf.subject, "CN=Ada Lovelace");
    assert_true(str_eq(leaf.fingerprint, hex_of(&arena, digest)));
    assert_int_equal(leaf.not_before, NOON - DAY);
    assert_int_equal(leaf.not_after, NOON + DAY);
    oms_key_free(&leaf.key);
}

static void every_certificate_must_be_valid_at_the_given_time(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    struct wish old = good_leaf, coming = good_leaf, old_middle = good_middle;
    expect(OK, verify(&arena, &family, 2, family.root_pem, (NOON - DAY) * 1000000, &err));
    expect(UNPROCESSABLE, verify(&arena, &family, 2, family.root_pem, (NOON - DAY - 1) * 1000000, &err));
    expect_message("not yet valid");
    expect(UNPROCESSABLE, verify(&arena, &family, 2, family.root_pem, (NOON + DAY + 1) * 1000000, &err));
    expect_message("expired");
    old.not_after = NOON - 1;
    coming.not_before = NOON + 1;
    old_middle.not_after = NOON - 1;
    expect(UNPROCESSABLE, verify_wishes(&good_middle, &old, &err));
    expect(UNPROCESSABLE, verify_wishes(&good_middle, &coming, &err));
    expect(UNPROCESSABLE, verify_wishes(&old_middle, &good_leaf, &err));
}

static void a_leaf_must_be_meant_for_signing(void **state)
{
    (void)state;
    static const struct {
        const char *usage, *extended;
        enum status status;
    } cases[] = {
        {"digitalSignature", NULL, OK},
        {NULL, "codeSigning", OK},
        {"digitalSignature", "codeSigning", OK},
        {"keyAgreement", "codeSigning", OK},
        {NULL, NULL, UNPROCESSABLE},
        {"keyAgreement", NULL, UNPROCESSABLE},
        {"keyCertSign", "serverAuth", UNPROCESSABLE},
        {NULL, "serverAuth", UNPROCESSABLE},
    };
    struct error err;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wish wish = good_leaf;
        wish.usage = cases[i].usage;
        wish.extended = cases[i].extended;
        expect(cases[i].status, verify_wishes(&good_middle, &wish, &err));
    }
}

static void only_an_authority_may_certify(void **state)
{
    (void)state;
    struct error err;
    struct wish no_authority = good_middle, no_right = good_middle;
    no_authority.constraints = "critical,CA:FALSE";
    no_right.usage = "critical,digitalSignature";
    expect(OK, verify_wishes(&good_middle, &good_leaf, &err));
    expect(UNPROCESSABLE, verify_wishes(&no_authority, &good_leaf, &err));
    expect(UNPROCESSABLE, verify_wishes(&no_right, &good_leaf, &err));
}

static void weak_hashes_are_refused(void **state)
{
    (void)state;
    struct error err;
    struct wish weak = good_leaf;
    weak.hash = EVP_sha1();
    expect(UNPROCESSABLE, verify_wishes(&good_middle, &weak, &err));
}

static void a_leaf_must_have_a_key_for_ecdsa(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family rsa = make_family(&arena, &good_middle, &good_leaf, EVP_RSA_gen(2048));
    auto_family struct family edwards = make_family(&arena, &good_middle, &good_leaf, make_key("ED25519"));
    expect(UNSUPPORTED, verify(&arena, &rsa, 2, rsa.root_pem, NOON_US, &err));
    expect(UNSUPPORTED, verify(&arena, &edwards, 2, edwards.root_pem, NOON_US, &err));
}

static void what_is_no_certificate_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    struct str leaf = family.chain[0], many[CHAIN_MOST + 1];
    struct chain_leaf out;
    for (size_t len = 0; len < leaf.len; len += 5) {
        family.chain[0] = exact((struct str){leaf.data, len});
        expect(INVALID, verify(&arena, &family, 2, family.root_pem, NOON_US, &err));
        done(family.chain[0]);
    }
    family.chain[0] = (struct str){arena_alloc(&arena, leaf.len + 1), leaf.len + 1}; /* a byte behind its end */
    memcpy((char *)family.chain[0].data, leaf.data, leaf.len);
    expect(INVALID, verify(&arena, &family, 2, family.root_pem, NOON_US, &err));
    family.chain[0] = (struct str){arena_alloc(&arena, CHAIN_CERTIFICATE_MOST + 1), CHAIN_CERTIFICATE_MOST + 1};
    expect(TOO_LARGE, verify(&arena, &family, 2, family.root_pem, NOON_US, &err));
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = leaf;
    expect(INVALID, chain_verify(&arena, many, COUNT(many), family.root_pem, NOON_US, &out, &err));
    expect(INVALID, chain_verify(&arena, many, 0, family.root_pem, NOON_US, &out, &err));
}

static void trusted_certificates_must_all_be_readable(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    const char *pem = family.root_pem.data;
    expect(OK, verify(&arena, &family, 2, arena_printf(&arena, "a comment\n%s\nanother\n", pem), NOON_US, &err));
    expect(INVALID, verify(&arena, &family, 2, STR(""), NOON_US, &err));
    expect(INVALID, verify(&arena, &family, 2, (struct str){0}, NOON_US, &err));
    expect(INVALID,
           verify(&arena, &family, 2,
                  arena_printf(&arena, "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pem),
                  NOON_US, &err));
    expect(INVALID, verify(&arena, &family, 2, arena_printf(&arena, "%s%.*s", pem, 200, pem), NOON_US, &err));
}

static struct str leaf_pem(struct arena *arena, const struct family *family)
{
    const unsigned char *at = (const unsigned char *)family->chain[0].data;
    X509 *leaf = d2i_X509(NULL, &at, (long)family->chain[0].len);
    struct str pem = pem_of(arena, leaf);
    X509_free(leaf);
    return pem;
}

static void a_signers_chain_is_read_without_its_root(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    const char *leaf = leaf_pem(&arena, &family).data, *middle = family.middle_pem.data, *root = family.root_pem.data;
    struct str *chain;
    size_t count;
    expect(OK,
           chain_read_pem(&arena, arena_printf(&arena, "%s\nCN=x\n%s%s", leaf, middle, root), &chain, &count, &err));
    assert_int_equal(count, 2);
    assert_true(str_eq(chain[0], family.chain[0]) && str_eq(chain[1], family.chain[1]));
    expect(OK, chain_read_pem(&arena, arena_printf(&arena, "%s%s", leaf, middle), &chain, &count, &err));
    assert_int_equal(count, 2);
    expect(OK, chain_read_pem(&arena, family.root_pem, &chain, &count, &err)); /* who vouches for themselves, alone */
    assert_int_equal(count, 1);
}

static void what_is_no_chain_in_pem_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf many = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    struct str *chain, leaf = leaf_pem(&arena, &family),
                       large = {arena_alloc(&arena, CHAIN_ANCHORS_MOST + 1), CHAIN_ANCHORS_MOST + 1};
    size_t count;
    for (int i = 0; i <= CHAIN_MOST; i++)
        buf_str(&many, leaf);
    expect(INVALID, chain_read_pem(&arena, buf_view(&many), &chain, &count, &err));
    expect(INVALID, chain_read_pem(&arena, STR(""), &chain, &count, &err));
    expect(INVALID, chain_read_pem(&arena, str_slice(leaf, 0, leaf.len - 40), &chain, &count, &err));
    expect(INVALID,
           chain_read_pem(&arena, arena_printf(&arena, "%s%.*s", leaf.data, 200, leaf.data), &chain, &count, &err));
    expect(TOO_LARGE, chain_read_pem(&arena, large, &chain, &count, &err));
    expect(OK, chain_check_anchors(buf_view(&many), &err)); /* of anchors there may be more */
    expect(INVALID, chain_check_anchors(STR("nothing"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_up_to_a_trusted_certificate_holds),
        cmocka_unit_test(the_leaf_is_described),
        cmocka_unit_test(every_certificate_must_be_valid_at_the_given_time),
        cmocka_unit_test(a_leaf_must_be_meant_for_signing),
        cmocka_unit_test(only_an_authority_may_certify),
        cmocka_unit_test(weak_hashes_are_refused),
        cmocka_unit_test(a_leaf_must_have_a_key_for_ecdsa),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(trusted_certificates_must_all_be_readable),
        cmocka_unit_test(a_signers_chain_is_read_without_its_root),
        cmocka_unit_test(what_is_no_chain_in_pem_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "chain_fixture.h"

#define TOOL_TIME_US                                                                                                   \
    (INT64_C(1796083200) * 1000000) /* 2026-12-01, within the certificate that the tool signed with   \
                                                      */

static struct str statement_of(struct arena *arena)
{
    struct error err;
    auto_buf struct buf out = {0};
    const struct manifest_file files[] = {file_of("config.json", "{}"), file_of("w.bin", "weights")};
    struct manifest manifest = manifest_of(arena, files, 2);
    expect(OK, oms_statement_write(arena, &manifest, STR("flora"), &out, &err));
    return arena_copy(arena, buf_view(&out));
}

static struct str signature_of(struct arena *arena, struct str type, struct str payload, EVP_PKEY *key)
{
    struct error err;
    struct str sig;
    expect(OK, dsse_sign(arena, type, payload, key, &sig, &err));
    return sig;
}

static struct str text_of(struct arena *arena, const struct oms_bundle *bundle)
{
    struct error err;
    auto_buf struct buf out = {0};
    expect(OK, oms_bundle_write(arena, bundle, &out, &err));
    return arena_copy(arena, buf_view(&out));
}

/* A bundle by that key as text. */
static struct str key_bundle(struct arena *arena, EVP_PKEY *key)
{
    struct error err;
    struct oms_bundle bundle;
    struct str statement = statement_of(arena);
    struct str sig = signature_of(arena, STR(INTOTO_MEDIA_TYPE), statement, key);
    expect(OK, oms_bundle_of_key(arena, statement, sig, key, &bundle, &err));
    return text_of(arena, &bundle);
}

static enum status verify_text(struct arena *arena, struct str text, EVP_PKEY *key, struct error *err)
{
    struct oms_bundle bundle;
    struct oms_statement statement;
    TRY(oms_bundle_read(arena, text, &bundle, err));
    return oms_bundle_verify_key(arena, &bundle, key, &statement, err);
}

static void the_published_bundles_are_read(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_bundle bundle;
    expect(OK, oms_bundle_read(&arena, vector(&arena, "key.bundle.json"), &bundle, &err));
    assert_int_equal(bundle.method, OMS_BY_KEY);
    assert_str(bundle.hint, "e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e");
    expect(OK, oms_bundle_read(&arena, vector(&arena, "certificate.bundle.json"), &bundle, &err));
    assert_int_equal(bundle.method, OMS_BY_CERTIFICATE);
    assert_int_equal(bundle.certificate_count, 2);
    expect(OK, oms_bundle_read(&arena, vector(&arena, "sigstore.bundle.json"), &bundle, &err));
    assert_int_equal(bundle.method, OMS_BY_SIGSTORE);
}

static void the_invalid_published_bundles_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"empty.bundle.json", "missing-envelope.bundle.json",
                                        "missing-tlog-entries.bundle.json",
                                        "missing-verification-material.bundle.json"};
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_bundle bundle;
    for (size_t i = 0; i < COUNT(names); i++)
        expect(INVALID, oms_bundle_read(&arena, vector(&arena, names[i]), &bundle, &err));
}

/* Its signature is another's, so its payload is read here as if the signature had held. */
static void the_published_statement_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_bundle bundle;
    struct oms_statement statement;
    expect(OK, oms_bundle_read(&arena, vector(&arena, "wrong-predicate.bundle.json"), &bundle, &err));
    expect(UNPROCESSABLE, oms_statement_read(&arena, bundle.envelope.payload, &statement, &err));
    expect_message("not a model");
    expect(OK, oms_bundle_read(&arena, vector(&arena, "key.bundle.json"), &bundle, &err));
    expect(OK, oms_statement_read(&arena, bundle.envelope.payload, &statement, &err));
}

/* The published chain lacks its root, which nobody published: its intermediate is trusted instead. */
static void the_published_bundle_by_certificate_is_verified(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_bundle bundle;
    struct oms_statement statement;
    struct chain_leaf leaf;
    expect(OK, oms_bundle_read(&arena, vector(&arena, "certificate.bundle.json"), &bundle, &err));
    const unsigned char *at = (const unsigned char *)bundle.certificates[1].data;
    X509 *middle = d2i_X509(NULL, &at, (long)bundle.certificates[1].len);
    struct str anchors = pem_of(&arena, middle);
    X509_free(middle);
    expect(OK, oms_bundle_verify_chain(&arena, &bundle, anchors, TOOL_TIME_US, &leaf, &statement, &err));
    assert_str(leaf.subject, "CN=intermediate-ca");
    assert_int_equal(statement.count, 2);
    oms_key_free(&leaf.key);
    expect(UNPROCESSABLE, oms_bundle_verify_chain(&arena, &bundle, vector(&arena, "tool-ca.pem"), TOOL_TIME_US, &leaf,
                                                  &statement, &err));
    expect(UNPROCESSABLE, oms_bundle_verify_chain(&arena, &bundle, anchors, 0, &leaf, &statement, &err));
    ((char *)bundle.envelope.payload.data)[100] ^= 1;
    expect(UNPROCESSABLE, oms_bundle_verify_chain(&arena, &bundle, anchors, TOOL_TIME_US, &leaf, &statement, &err));
    assert_null(leaf.key);
}

static void what_the_reference_tool_signed_by_certificate_is_verified(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_bundle bundle;
    struct oms_statement statement;
    struct chain_leaf leaf;
    struct str anchors = vector(&arena, "tool-ca.pem");
    expect(OK, oms_bundle_read(&arena, vector(&arena, "tool-certificate.json"), &bundle, &err));
    expect(OK, oms_bundle_verify_chain(&arena, &bundle, anchors, TOOL_TIME_US, &leaf, &statement, &err));
    assert_str(leaf.subject, "CN=papa signer");
    oms_key_free(&leaf.key);
    /* The tool would accept this one for ever, since it looks at the beginning of the leaf's own validity. */
    expect(UNPROCESSABLE, oms_bundle_verify_chain(&arena, &bundle, anchors, TOOL_TIME_US + 400 * DAY * 1000000, &leaf,
                                                  &statement, &err));
}

static void a_bundle_by_key_survives_the_round_trip_and_no_other_key_fits(void **state)
{
    (void)state;
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    struct error err;
    for (size_t i = 0; i < COUNT(curves); i++) {
        auto_arena struct arena arena = {0};
        auto_key EVP_PKEY *key = make_key(curves[i]), *other = make_key(curves[i]);
        struct str text = key_bundle(&arena, key);
        expect(OK, verify_text(&arena, text, key, &err));
        expect(UNPROCESSABLE, verify_text(&arena, text, other, &err));
        expect_message("another key");
    }
}

static void a_hint_proves_nothing(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256"), *other = make_key("P-256");
    char hint[OMS_HINT_SIZE], other_hint[OMS_HINT_SIZE];
    oms_key_hint(key, hint);
    oms_key_hint(other, other_hint);
    struct str text = swapped(&arena, key_bundle(&arena, key), hint, other_hint);
    expect(UNPROCESSABLE, verify_text(&arena, text, other, &err));
    expect_message("The signature does not fit");
    expect(UNPROCESSABLE, verify_text(&arena, text, key, &err));
}

static void a_bundle_from_before_hints_is_verified_with_the_readers_key(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256"), *other = make_key("P-256");
    char hint[OMS_HINT_SIZE];
    oms_key_hint(key, hint);
    struct str from = arena_printf(&arena, "\"hint\":\"%s\"", hint), text = key_bundle(&arena, key);
    struct str old =
        swapped(&arena, text, from.data, "\"rawBytes\":\"AAAA\",\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\"");
    expect(OK, verify_text(&arena, old, key, &err));
    expect(UNPROCESSABLE, verify_text(&arena, old, other, &err));
    expect(INVALID, verify_text(&arena, swapped(&arena, text, from.data, ""), key, &err));
    expect(INVALID,
           verify_text(&arena, swapped(&arena, text, from.data, "\"hint\":7,\"rawBytes\":\"AAAA\""), key, &err));
}

static void a_bundle_by_certificate_survives_the_round_trip(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_family struct family family = make_family(&arena, &good_middle, &good_leaf, NULL);
    auto_family struct family other = make_family(&arena, &good_middle, &good_leaf, NULL);
    struct oms_bundle bundle, read;
    struct oms_statement out;
    struct chain_leaf leaf;
    struct str statement = statement_of(&arena);
    struct str sig = signature_of(&arena, STR(INTOTO_MEDIA_TYPE), statement, family.leaf_key);
    expect(OK, oms_bundle_of_chain(&arena, statement, sig, family.chain, 2, &bundle, &err));
    expect(OK, oms_bundle_read(&arena, text_of(&arena, &bundle), &read, &err));
    expect(OK, oms_bundle_verify_chain(&arena, &read, family.root_pem, NOON_US, &leaf, &out, &err));
    assert_str(out.model, "flora");
    oms_key_free(&leaf.key);
    expect(UNPROCESSABLE, oms_bundle_verify_chain(&arena, &read, other.root_pem, NOON_US, &leaf, &out, &err));
    expect(UNPROCESSABLE, oms_bundle_of_chain(&arena, statement, sig, other.chain, 2, &bundle, &err));
    expect(UNSUPPORTED, oms_bundle_verify_key(&arena, &read, family.leaf_key, &out, &err));
}

static void a_bundle_is_made_only_of_a_signature_that_fits(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256"), *other = make_key("P-256"), *edwards = make_key("ED25519");
    struct oms_bundle bundle;
    struct str type = STR(INTOTO_MEDIA_TYPE), statement = statement_of(&arena), text = STR("no statement");
    struct str sig = signature_of(&arena, type, statement, key);
    expect(UNPROCESSABLE, oms_bundle_of_key(&arena, statement, sig, other, &bundle, &err));
    expect(UNPROCESSABLE, oms_bundle_of_key(&arena, statement, STR(""), key, &bundle, &err));
    expect(INVALID, oms_bundle_of_key(&arena, text, signature_of(&arena, type, text, key), key, &bundle, &err));
    sig = signature_of(&arena, type, statement, edwards);
    expect(UNSUPPORTED, oms_bundle_of_key(&arena, statement, sig, edwards, &bundle, &err));
}

/* The type in the envelope is covered by the signature, so a signer of something else does not sign a model. */
static void a_statement_signed_as_another_type_is_no_model(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    struct str statement = statement_of(&arena);
    struct dsse_signature signature = {signature_of(&arena, STR("text/plain"), statement, key), STR("")};
    struct oms_bundle bundle = {.method = OMS_BY_KEY, .envelope = {STR("text/plain"), statement, &signature, 1}};
    struct oms_statement out;
    expect(UNPROCESSABLE, oms_bundle_verify_key(&arena, &bundle, key, &out, &err));
    expect_message("not a model");
    bundle.envelope.type = STR(INTOTO_MEDIA_TYPE);
    expect(UNPROCESSABLE, oms_bundle_verify_key(&arena, &bundle, key, &out, &err));
    expect_message("does not fit");
}

/* A payload that is not even JSON gives away that it was parsed, if it was. */
static void nothing_is_read_before_it_is_verified(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    struct oms_bundle bundle;
    struct oms_statement out;
    expect(OK, oms_bundle_read(&arena, key_bundle(&arena, key), &bundle, &err));
    bundle.envelope.payload = STR("{");
    expect(UNPROCESSABLE, oms_bundle_verify_key(&arena, &bundle, key, &out, &err));
    expect_message("The signature does not fit");
}

static void what_is_not_exactly_a_bundle_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum status status;
        const char *from, *to;
    } changes[] = {
        {UNSUPPORTED, "bundle.v0.3+json", "bundle.v0.2+json"},
        {UNSUPPORTED, "bundle.v0.3+json", "bundle+json;version=0.3"},
        {UNSUPPORTED, "bundle.v0.3+json", "bundle.v0.3+json "},
        {INVALID, "\"mediaType\"", "\"mediatype\""},
        {INVALID, "{\"mediaType\"", "{\"more\":1,\"mediaType\""},
        {INVALID, "{\"mediaType\"", "{\"mediaType\":\"x\",\"mediaType\""},
        {INVALID, "{\"mediaType\"", "[{\"mediaType\""},
        {INVALID, "\"publicKey\":{", "\"publicKeys\":{"},
        {INVALID, "\"publicKey\":{", "\"certificate\":{\"rawBytes\":\"AAAA\"},\"publicKey\":{"},
        {INVALID, "\"tlogEntries\":[]", "\"tlogEntries\":{}"},
        {INVALID, "\"tlogEntries\":[]", "\"tlogEntries\":[],\"more\":1"},
        {INVALID, "\"dsseEnvelope\"", "\"messageSignature\""},
        {INVALID, "\"signatures\":[", "\"signatures\":[{\"sig\":\"AAAA\"},"},
        {INVALID, "\"keyid\":\"\"", "\"keyid\":\"\",\"more\":1"},
        {INVALID, "\"payload\":\"", "\"payload\":\"\\n"},
    };
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    struct str good = key_bundle(&arena, key);
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct str text = exact(swapped(&arena, good, changes[i].from, changes[i].to));
        enum status status = verify_text(&arena, text, key, &err);
        if (status != changes[i].status)
            broken("change %zu gave status %d: %s", i, status, status ? err.message : "");
        done(text);
    }
    expect(OK, verify_text(&arena, swapped(&arena, good, ",\"tlogEntries\":[]", ""), key, &err));
}

static void a_bundle_that_is_too_large_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    auto_buf struct buf text = {0};
    struct oms_bundle bundle;
    buf_str(&text, key_bundle(&arena, key));
    buf_reserve(&text, OMS_BUNDLE_MOST);
    while (text.len < OMS_BUNDLE_MOST)
        buf_byte(&text, ' ');
    expect(OK, oms_bundle_read(&arena, buf_view(&text), &bundle, &err));
    buf_byte(&text, ' ');
    expect(TOO_LARGE, oms_bundle_read(&arena, buf_view(&text), &bundle, &err));
}

static void a_bundle_by_sigstore_is_not_taken_for_another(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    auto_buf struct buf text = {0};
    struct oms_bundle bundle;
    struct oms_statement out;
    struct chain_leaf leaf;
    expect(OK, oms_bundle_read(&arena, vector(&arena, "sigstore.bundle.json"), &bundle, &err));
    expect(UNSUPPORTED, oms_bundle_verify_key(&arena, &bundle, key, &out, &err));
    expect(UNSUPPORTED,
           oms_bundle_verify_chain(&arena, &bundle, vector(&arena, "tool-ca.pem"), TOOL_TIME_US, &leaf, &out, &err));
    expect(UNSUPPORTED, oms_bundle_write(&arena, &bundle, &text, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_bundles_are_read),
        cmocka_unit_test(the_invalid_published_bundles_are_refused),
        cmocka_unit_test(the_published_statement_of_another_kind_is_refused),
        cmocka_unit_test(the_published_bundle_by_certificate_is_verified),
        cmocka_unit_test(what_the_reference_tool_signed_by_certificate_is_verified),
        cmocka_unit_test(a_bundle_by_key_survives_the_round_trip_and_no_other_key_fits),
        cmocka_unit_test(a_hint_proves_nothing),
        cmocka_unit_test(a_bundle_from_before_hints_is_verified_with_the_readers_key),
        cmocka_unit_test(a_bundle_by_certificate_survives_the_round_trip),
        cmocka_unit_test(a_bundle_is_made_only_of_a_signature_that_fits),
        cmocka_unit_test(a_statement_signed_as_another_type_is_no_model),
        cmocka_unit_test(nothing_is_read_before_it_is_verified),
        cmocka_unit_test(what_is_not_exactly_a_bundle_is_refused),
        cmocka_unit_test(a_bundle_that_is_too_large_is_refused),
        cmocka_unit_test(a_bundle_by_sigstore_is_not_taken_for_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

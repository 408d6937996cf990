/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#define TYPE STR("application/example")
#define PAYLOAD STR("{\"a\":1}")
#define ENVELOPE                                                                                                       \
    "{\"payload\":\"eyJhIjoxfQ==\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":\"AAAA\",\"keyid\":\"\"}]}"

static struct dsse_envelope signed_by(struct arena *arena, EVP_PKEY *key)
{
    struct error err;
    struct dsse_envelope envelope = {TYPE, PAYLOAD, arena_alloc(arena, sizeof *envelope.signatures), 1};
    expect(OK, dsse_sign(arena, TYPE, PAYLOAD, key, &envelope.signatures[0].sig, &err));
    return envelope;
}

/* The example of the DSSE protocol. */
static void the_signed_bytes_say_how_long_their_parts_are(void **state)
{
    (void)state;
    auto_buf struct buf pae = {0};
    dsse_pae(STR("http://example.com/HelloWorld"), STR("hello world"), &pae);
    assert_str(buf_view(&pae), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    pae.len = 0;
    dsse_pae(STR(""), STR(""), &pae);
    assert_str(buf_view(&pae), "DSSEv1 0  0 ");
}

static void every_kind_of_key_signs_and_no_other_key_verifies(void **state)
{
    (void)state;
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "ED25519"};
    struct error err;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        auto_arena struct arena arena = {0};
        auto_key EVP_PKEY *key = make_key(kinds[i]), *same_kind = make_key(kinds[i]),
                          *other = make_key(kinds[(i + 1) % 4]);
        struct dsse_envelope envelope = signed_by(&arena, key);
        expect(OK, dsse_verify(&envelope, key, &err));
        expect(UNPROCESSABLE, dsse_verify(&envelope, same_kind, &err));
        expect(UNPROCESSABLE, dsse_verify(&envelope, other, &err));
    }
}

static void a_change_of_one_bit_anywhere_is_seen(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    struct dsse_envelope envelope = signed_by(&arena, key), good = envelope;
    envelope.payload = STR("{\"a\":3}");
    expect(UNPROCESSABLE, dsse_verify(&envelope, key, &err));
    envelope = good;
    envelope.type = STR("application/examplf");
    expect(UNPROCESSABLE, dsse_verify(&envelope, key, &err));
    envelope = good;
    char *sig = arena_cstr(&arena, good.signatures[0].sig);
    envelope.signatures = &(struct dsse_signature){{sig, good.signatures[0].sig.len}, STR("")};
    for (size_t i = 0; i < good.signatures[0].sig.len; i++) {
        sig[i] ^= 1;
        expect(UNPROCESSABLE, dsse_verify(&envelope, key, &err));
        sig[i] ^= 1;
    }
    expect(OK, dsse_verify(&envelope, key, &err));
    envelope.signatures[0].sig.len--;
    expect(UNPROCESSABLE, dsse_verify(&envelope, key, &err));
}

static void bytes_cannot_move_between_type_and_payload(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-256");
    struct dsse_envelope envelope = {STR("t 1"), STR("x"), arena_alloc(&arena, sizeof *envelope.signatures), 1};
    expect(OK, dsse_sign(&arena, STR("t"), STR("1 x"), key, &envelope.signatures[0].sig, &err));
    expect(UNPROCESSABLE, dsse_verify(&envelope, key, &err));
}

static void one_of_several_signers_is_enough_to_be_a_signer(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *first = make_key("P-256"), *second = make_key("ED25519"), *third = make_key("ED25519");
    struct dsse_signature signatures[2] = {signed_by(&arena, first).signatures[0],
                                           signed_by(&arena, second).signatures[0]};
    struct dsse_envelope envelope = {TYPE, PAYLOAD, signatures, 2};
    expect(OK, dsse_verify(&envelope, first, &err));
    expect(OK, dsse_verify(&envelope, second, &err));
    expect(UNPROCESSABLE, dsse_verify(&envelope, third, &err));
}

static void an_envelope_survives_the_round_trip(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_key EVP_PKEY *key = make_key("P-384");
    struct dsse_envelope envelope = signed_by(&arena, key), read;
    auto_buf struct buf text = {0};
    struct json_writer json = jw_to(&text);
    dsse_write(&arena, &envelope, &json);
    expect(OK, dsse_read(&arena, buf_view(&text), &read, &err));
    assert_true(str_eq(read.type, TYPE));
    assert_true(str_eq(read.payload, PAYLOAD));
    assert_str(read.signatures[0].keyid, "");
    expect(OK, dsse_verify(&read, key, &err));
}

static void a_keyid_may_be_absent_or_null(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct dsse_envelope read;
    expect(OK, dsse_read(&arena, swapped(&arena, STR(ENVELOPE), "\"keyid\":\"\"", "\"keyid\":null"), &read, &err));
    assert_false(str_given(read.signatures[0].keyid));
    expect(OK, dsse_read(&arena, swapped(&arena, STR(ENVELOPE), ",\"keyid\":\"\"", ""), &read, &err));
    assert_false(str_given(read.signatures[0].keyid));
    expect(INVALID, dsse_read(&arena, swapped(&arena, STR(ENVELOPE), "\"keyid\":\"\"", "\"keyid\":7"), &read, &err));
}

static void what_is_not_exactly_an_envelope_is_refused(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"eyJhIjoxfQ==", ""},
        {"eyJhIjoxfQ==", "eyJhIjoxfQ"},
        {"eyJhIjoxfQ==", "eyJhIjoxfR=="},
        {"eyJhIjoxfQ==", "eyJhIjoxfQ==\\n"},
        {"eyJhIjoxfQ==", "eyJhIjoxf-_="},
        {"\"eyJhIjoxfQ==\"", "null"},
        {"\"payload\"", "\"Payload\""},
        {"\"payload\":\"eyJhIjoxfQ==\",", ""},
        {"\"payload\"", "\"extra\":1,\"payload\""},
        {"\"payload\"", "\"payload\":\"AAAA\",\"payload\""},
        {"\"t\"", "\"\""},
        {"\"t\"", "7"},
        {"\"payloadType\":\"t\",", ""},
        {"[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[]"},
        {"[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "{}"},
        {"[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", "[1]"},
        {",\"signatures\":[{\"sig\":\"AAAA\",\"keyid\":\"\"}]", ""},
        {"\"AAAA\"", "\"\""},
        {"\"AAAA\"", "\"AAA\""},
        {"\"sig\":\"AAAA\",", ""},
        {"\"sig\"", "\"cert\":\"\",\"sig\""},
        {"]}", "]}{}"},
        {"]}", "]"},
    };
    struct error err;
    auto_arena struct arena arena = {0};
    struct dsse_envelope read;
    expect(OK, dsse_read(&arena, STR(ENVELOPE), &read, &err));
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct str text = exact(swapped(&arena, STR(ENVELOPE), changes[i][0], changes[i][1]));
        if (dsse_read(&arena, text, &read, &err) != INVALID)
            broken("change %zu went through", i);
        done(text);
    }
}

static void what_would_fill_the_memory_is_refused_before_it_is_parsed(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct dsse_envelope read;
    auto_buf struct buf text = {0};
    buf_str(&text, STR("{\"payload\":["));
    for (int i = 0; i < 2000; i++)
        buf_str(&text, STR("{},"));
    buf_str(&text, STR("1]}"));
    expect(TOO_LARGE, dsse_read(&arena, buf_view(&text), &read, &err));
    text.len = 0;
    for (int i = 0; i < 20; i++)
        buf_str(&text, STR("{\"payload\":"));
    expect(INVALID, dsse_read(&arena, buf_view(&text), &read, &err));
    expect_message("nested");
    text.len = 0;
    buf_reserve(&text, DSSE_MOST + 1);
    memset(text.data, ' ', DSSE_MOST + 1);
    text.len = DSSE_MOST + 1;
    expect(TOO_LARGE, dsse_read(&arena, buf_view(&text), &read, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signed_bytes_say_how_long_their_parts_are),
        cmocka_unit_test(every_kind_of_key_signs_and_no_other_key_verifies),
        cmocka_unit_test(a_change_of_one_bit_anywhere_is_seen),
        cmocka_unit_test(bytes_cannot_move_between_type_and_payload),
        cmocka_unit_test(one_of_several_signers_is_enough_to_be_a_signer),
        cmocka_unit_test(an_envelope_survives_the_round_trip),
        cmocka_unit_test(a_keyid_may_be_absent_or_null),
        cmocka_unit_test(what_is_not_exactly_an_envelope_is_refused),
        cmocka_unit_test(what_would_fill_the_memory_is_refused_before_it_is_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

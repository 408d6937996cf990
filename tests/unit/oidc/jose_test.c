/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens that others have signed are verified, and nothing that is like them; ours are verified by what they publish. */
#include "../base/check.h"
#include "base/buf.h"
#include "base/text.h"
#include "base/time.h"
#include "oidc/jose.h"
#include "oidc/provider.h"
#include <openssl/ec.h>

/* RFC 7515 appendix A.3. */
static const char rfc_key[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"%s}]}";
static const char rfc_token[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
    "cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

/* Made by joserfc 1.8.0. */
static const char rsa_keys[] =
    "{\"keys\":[{\"n\":\"tM5tsntHk7MuHkgWeLz88FChJjsP4iACiQa4TEptVIiX2WCg_5V-gu82eYOSb3_CfOq6t84f-l4"
    "CBuNiRa8V803HUccehJI9aP1z5iMaM4RK0apv1vItvHvXdMw73pFTPOeyOAau_5J0RTDKtVFioK2yhRcmMAQmCB9tT"
    "RsiXOOBBi7CmqhLc948xxxKxtLNezUEXFtfg2tNZugF8Ri657MzriX8vbPhuGr4f9lcWmRsfZofeXOCI2vnNwI71gn"
    "RV6prP95QiR0RXq_QjLYe9sdMrE2Ln2WTXbu61kwDpAN3X06MQOtG-S_1PdwXxPQ7VQdq_rZoJonX_8WeLxOyuw\",\""
    "e\":\"AQAB\",\"kid\":\"r\",\"use\":\"sig\",\"alg\":\"RS256\",\"kty\":\"RSA\"}]}";
static const char rsa_token[] =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGx"
    "lIiwic3ViIjoic29tZWJvZHkiLCJhdWQiOiJjYWlybi1odWIiLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MSwibm9uY"
    "2UiOiJuIn0.Y8AYDoc04j3ajWeLAEGk8D-3-nJO7DjZXKZxLgoCJFXaXmSmP00wYbm-VaStjXaPJLrGqJCA3pF7soK"
    "2pfzjZkk5xrN3nJi1tV4ad7KZUnSMZqrJ9JX14j36o2hlLEK9PiU43Pn8ghKA-FOe8kryfm0zp4My7YSDg3qmaBxWD"
    "GtNlM4DhQpkxGGVMWB9-O4V_el8NoT58Go69OuUsSsYewsq-v8M6Rocw4BSx0jqpoPe-b7YWjpbb3mt6SzzFcEkpY2"
    "4rNqkkjqhtZHbgOXt6JaUTg8o7j2f-k2oFdltmAeXIjFnCM20oXpz4vJHq6_JKLYHI5FZ1B2ujYyZOs8Fsg";

static enum status verify(struct str token, struct str keys)
{
    auto_arena struct arena arena = {0};
    auto_json json_t *payload = NULL;
    enum status status = jose_verify(&arena, token, keys, &payload, NULL);
    assert_int_equal(status == OK, payload != NULL);
    assert_true(!payload || json_is_object(payload));
    return status;
}

static void tokens_of_others_are_verified(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str keys = arena_printf(&arena, rfc_key, "");
    assert_int_equal(verify(str_of(rfc_token), keys), OK);
    assert_int_equal(verify(str_of(rsa_token), str_of(rsa_keys)), OK);
    assert_int_equal(verify(str_of(rsa_token), keys), NOT_FOUND);
    assert_int_equal(verify(str_of(rfc_token), str_of(rsa_keys)), NOT_FOUND);
}

static void each_letter_of_a_token_counts(void **state)
{
    (void)state;
    static const char *const tokens[] = {rfc_token, rsa_token};
    for (int which = 0; which < 2; which++) {
        auto_arena struct arena arena = {0};
        struct str keys = which ? str_of(rsa_keys) : arena_printf(&arena, rfc_key, "");
        size_t len = strlen(tokens[which]);
        for (size_t i = 0; i < len; i++) {
            char *token = arena_cstr(&arena, str_of(tokens[which]));
            /* The last letter of each part may hold bits that stand for nothing, which are refused where set. */
            token[i] = token[i] == 'A' ? 'B' : 'A';
            assert_int_not_equal(verify((struct str){token, len}, keys), OK);
            assert_int_not_equal(verify(str_slice(str_of(tokens[which]), 0, i), keys), OK);
        }
    }
}

static void a_key_binds_to_what_it_says_of_itself(void **state)
{
    (void)state;
    static const char *const good[] = {"", ",\"use\":\"sig\"", ",\"alg\":\"ES256\"", ",\"kid\":\"any\""};
    static const char *const bad[] = {",\"use\":\"enc\"", ",\"alg\":\"ES384\"", ",\"alg\":\"none\"", ",\"use\":1",
                                      ",\"alg\":null"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        auto_arena struct arena arena = {0};
        assert_int_equal(verify(str_of(rfc_token), arena_printf(&arena, rfc_key, good[i])), OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        auto_arena struct arena arena = {0};
        assert_int_equal(verify(str_of(rfc_token), arena_printf(&arena, rfc_key, bad[i])), NOT_FOUND);
    }
}

static struct str with_header(struct arena *arena, const char *header, const char *signature)
{
    return arena_printf(arena, "%.*s.e30.%s", STR_ARG(base64url_encode(arena, str_of(header))), signature);
}

static void headers_that_ask_for_more_are_refused(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"ES384\"}",
        "{\"alg\":\"PS256\"}",
        "{\"alg\":[\"ES256\"]}",
        "{}",
        "[]",
        "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}",
        "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"alg\":\"none\"}",
    };
    auto_arena struct arena arena = {0};
    struct str keys = arena_printf(&arena, rfc_key, "");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(verify(with_header(&arena, headers[i], "AAAA"), keys), UNAUTHENTICATED);
    /* A signature of zeros, which verifies under broken implementations. */
    char zeros[87] = {0};
    memset(zeros, 'A', 86);
    assert_int_equal(verify(with_header(&arena, "{\"alg\":\"ES256\"}", zeros), keys), UNAUTHENTICATED);
    assert_int_equal(verify(str_of(".."), keys), UNAUTHENTICATED);
    assert_int_equal(verify(str_of(rfc_token), STR("{\"keys\":{}}")), NOT_FOUND);
    assert_int_equal(verify(str_of(rfc_token), STR("[")), UNAUTHENTICATED);
}

static void our_own_tokens_are_verified_by_the_key_that_we_publish(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) { /* numbers with leading zeros come up */
        auto_arena struct arena arena = {0};
        auto_buf struct buf keys = {0};
        struct json_writer w = jw_to(&keys);
        EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
        jw_object(&w);
        jw_key(&w, "keys");
        jw_array(&w);
        jose_write_key(&w, &arena, key);
        jw_end(&w);
        jw_end(&w);
        struct str kid = jose_thumbprint(&arena, key), payload = STR("{\"sub\":\"x\"}");
        assert_int_equal(verify(jose_sign(&arena, key, kid, payload), buf_view(&keys)), OK);
        assert_int_equal(verify(jose_sign(&arena, other, kid, payload), buf_view(&keys)), UNAUTHENTICATED);
        assert_int_equal(verify(jose_sign(&arena, key, STR("x"), payload), buf_view(&keys)), NOT_FOUND);
        assert_int_equal(verify(jose_sign(&arena, key, kid, STR("[1]")), buf_view(&keys)), UNAUTHENTICATED);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
    }
}

static enum status check(const char *text)
{
    auto_json json_t *claims = NULL;
    assert_int_equal(json_read(str_of(text), 4096, &claims, NULL), OK);
    return provider_check_claims(STR("https://issuer.example"), STR("us"), STR("n"), claims, NULL);
}

#define CLAIMS(aud, exp, iat)                                                                                          \
    "{\"iss\":\"https://issuer.example\",\"sub\":\"s\",\"nonce\":\"n\",\"aud\":%s,\"exp\":%lld,\"iat\":%lld}", aud,    \
        (long long)(exp), (long long)(iat)

static void claims_count_now_and_for_us(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    long long now = now_us() / SECOND_US;
    const struct {
        const char *aud;
        long long exp, iat;
        enum status wanted;
    } cases[] = {
        {"\"us\"", now + 300, now, OK},
        {"[\"us\"]", now + 300, now, OK},
        {"[\"us\",\"them\"]", now + 300, now, UNAUTHENTICATED},
        {"[\"us\",\"them\"],\"azp\":\"us\"", now + 300, now, OK},
        {"\"us\",\"azp\":\"them\"", now + 300, now, UNAUTHENTICATED},
        {"\"us \"", now + 300, now, UNAUTHENTICATED},
        {"[[\"us\"]]", now + 300, now, UNAUTHENTICATED},
        {"\"us\"", now - 61, now - 300, UNAUTHENTICATED},
        {"\"us\"", now + 300, now + 120, UNAUTHENTICATED},
        {"\"us\"", now + 300, now - 601, UNAUTHENTICATED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(check(arena_printf(&arena, CLAIMS(cases[i].aud, cases[i].exp, cases[i].iat)).data),
                         cases[i].wanted);
    const char *token = arena_printf(&arena, CLAIMS("\"us\"", now + 300, now)).data;
    assert_int_equal(check(token), OK);
    clock_travel(400 * SECOND_US);
    assert_int_equal(check(token), UNAUTHENTICATED);
    clock_travel(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_others_are_verified),
        cmocka_unit_test(each_letter_of_a_token_counts),
        cmocka_unit_test(a_key_binds_to_what_it_says_of_itself),
        cmocka_unit_test(headers_that_ask_for_more_are_refused),
        cmocka_unit_test(our_own_tokens_are_verified_by_the_key_that_we_publish),
        cmocka_unit_test(claims_count_now_and_for_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

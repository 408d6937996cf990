/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"
#include "tier/signature.h"

#include "../base/check.h"
#include <stdio.h>

/* Made with: printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test_secret_1234 */
#define SECRET STR("whsec_test_secret_1234")
#define BODY STR("{\"id\":\"evt_1\"}")
#define AT 1492774577

static struct str sign(struct arena *arena, const char *text)
{
    uint8_t digest[SHA256_SIZE];
    hmac_sha256(SECRET, str_of(text), digest);
    return hex_encode(arena, digest, sizeof digest);
}

static bool fits(struct arena *arena, const char *header, struct str body, struct str secret, int64_t now)
{
    struct str signature = sign(arena, "1492774577.{\"id\":\"evt_1\"}");
    char text[1024];
    snprintf(text, sizeof text, header, STR_ARG(signature));
    return signature_matches(str_of(text), body, secret, now);
}

static void a_message_that_is_signed_now_is_believed(void **state)
{
    auto_arena struct arena arena = {0};
    (void)state;
    assert_true(fits(&arena, "t=1492774577,v1=%.*s", BODY, SECRET, AT));
    assert_true(fits(&arena, "t=1492774577,v1=%.*s", BODY, SECRET, AT + 300));
    assert_true(fits(&arena, "t=1492774577,v1=%.*s", BODY, SECRET, AT - 300));
    assert_true(fits(&arena, "v0=abc, v1=00, v1=%.*s ,t=1492774577", BODY, SECRET, AT));
}

static void anything_else_is_not(void **state)
{
    auto_arena struct arena arena = {0};
    (void)state;
    assert_false(fits(&arena, "t=1492774577,v1=%.*s", BODY, SECRET, AT + 301));
    assert_false(fits(&arena, "t=1492774577,v1=%.*s", BODY, SECRET, AT - 301));
    assert_false(fits(&arena, "t=1492774578,v1=%.*s", BODY, SECRET, AT));
    assert_false(fits(&arena, "t=1492774577,v1=%.*s", STR("{\"id\":\"evt_2\"}"), SECRET, AT));
    assert_false(fits(&arena, "t=1492774577,v1=%.*s", BODY, STR("whsec_test_secret_1235"), AT));
    assert_false(fits(&arena, "t=1492774577,v0=%.*s", BODY, SECRET, AT));
    assert_false(fits(&arena, "v1=%.*s", BODY, SECRET, AT));
    assert_false(fits(&arena, "t=,v1=%.*s", BODY, SECRET, AT));
    assert_false(fits(&arena, "t=99999999999999999999,v1=%.*s", BODY, SECRET, AT));
    assert_false(fits(&arena, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,t=1492774577,v1=%.*s", BODY, SECRET, AT));
    assert_false(signature_matches((struct str){0}, BODY, SECRET, AT));
    assert_false(signature_matches(STR("t=1492774577,v1="), BODY, SECRET, AT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_signed_now_is_believed),
        cmocka_unit_test(anything_else_is_not),
    };
    return cmocka_run_group_tests_name("tier/signature", tests, NULL, NULL);
}

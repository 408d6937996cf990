/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The body that ends an upload in parts. */
#include "base/buf.h"
#include "hub/part_claims.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static size_t must_read(const char *body, struct part_claim **claims)
{
    size_t count;
    struct error err;
    if (part_claims_parse(&arena, str_of(body), claims, &count, &err) != OK)
        fail_msg("%s: %s", body, err.message);
    return count;
}

static void must_refuse(struct str body)
{
    struct part_claim *claims;
    size_t count;
    struct error err = {0};
    assert_int_equal(INVALID, part_claims_parse(&arena, body, &claims, &count, &err));
    assert_true(err.message[0]);
}

static void claims_are_read_in_their_order(void **state)
{
    (void)state;
    struct part_claim *claims;
    assert_int_equal(2, must_read("{\"oid\":\"x\",\"parts\":[{\"partNumber\":2,\"etag\":\"\\\"b\\\"\"},"
                                  "{\"partNumber\":1,\"etag\":\"a\"}]}",
                                  &claims));
    assert_int_equal(2, claims[0].number);
    assert_string_equal("\"b\"", arena_cstr(&arena, claims[0].etag));
    assert_int_equal(1, claims[1].number);
    assert_string_equal("a", arena_cstr(&arena, claims[1].etag));
    assert_int_equal(0, must_read("{\"parts\":[]}", &claims));
}

static void what_is_no_claim_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"parts\":{}}",
        "{\"parts\":[1]}",
        "{\"parts\":[{}]}",
        "{\"parts\":[{\"partNumber\":1}]}",
        "{\"parts\":[{\"etag\":\"a\"}]}",
        "{\"parts\":[{\"partNumber\":\"1\",\"etag\":\"a\"}]}",
        "{\"parts\":[{\"partNumber\":0,\"etag\":\"a\"}]}",
        "{\"parts\":[{\"partNumber\":-1,\"etag\":\"a\"}]}",
        "{\"parts\":[{\"partNumber\":10001,\"etag\":\"a\"}]}",
        "{\"parts\":[{\"partNumber\":1,\"etag\":\"\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        must_refuse(str_of(bodies[i]));
}

static void there_is_a_limit_to_claims(void **state)
{
    (void)state;
    auto_buf struct buf body = {0};
    struct part_claim *claims;
    buf_str(&body, STR("{\"parts\":["));
    for (int i = 1; i <= PART_CLAIMS_LIMIT; i++)
        buf_printf(&body, "%s{\"partNumber\":%d,\"etag\":\"a\"}", i > 1 ? "," : "", i);
    size_t fits = body.len;
    buf_str(&body, STR("]}"));
    buf_byte(&body, '\0');
    assert_int_equal(PART_CLAIMS_LIMIT, must_read(body.data, &claims));
    body.len = fits;
    buf_str(&body, STR(",{\"partNumber\":1,\"etag\":\"a\"}]}"));
    must_refuse(buf_view(&body));
}

static int free_all(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_read_in_their_order),
        cmocka_unit_test(what_is_no_claim_is_refused),
        cmocka_unit_test(there_is_a_limit_to_claims),
    };
    return cmocka_run_group_tests(tests, NULL, free_all);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The small readers: versions of package URLs, and the text of a member. */
#include "attest/member_text.h"
#include "attest/purl.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_str_equal(expected, found)                                                                              \
    do {                                                                                                               \
        struct str found_ = (found);                                                                                   \
        assert_int_equal(strlen(expected), found_.len);                                                                \
        assert_memory_equal(expected, found_.data, found_.len);                                                        \
    } while (0)

static void a_package_url_tells_its_version(void **state)
{
    (void)state;
    static const struct {
        const char *purl, *version;
    } good[] = {
        {"pkg:generic/ns/name@1.0", "1.0"},
        {"pkg:npm/@angular/http@7.2.16", "7.2.16"},
        {"pkg:npm/%40angular/http@7.2.16#src", "7.2.16"},
        {"pkg:oci/image@sha256%3Afedcba09?repository_url=example.org/@x/y&tag=v1", "sha256:fedcba09"},
        {"pkg:generic/a@b/c@2", "2"},
    };
    auto_arena struct arena arena = {0};
    struct str version;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(purl_version(&arena, str_of(good[i].purl), &version));
        assert_str_equal(good[i].version, version);
    }
}

static void what_has_no_version_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "1.0",           "pkg:",          "pkg:generic/ns/name",   "pkg:generic/ns/name@",
        "npm/x@1",    "pkg:a/x@%00",   "pkg:a/x@1%0A2", "pkg:npm/@angular/http", "pkg:a/x@%zz",
        "pkg:a/x@ 1", "pkg:a/x?v=y@1", "pkg:a/x#y@1",   "pkg:a/x@1\xc3\xa9",     "PKG:a/x@1",
    };
    auto_arena struct arena arena = {0};
    struct str version;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(purl_version(&arena, str_of(bad[i]), &version));
}

static void a_members_text_is_as_it_was_written(void **state)
{
    (void)state;
    static const struct {
        const char *object, *text;
    } good[] = {
        {"{\"p\":1}", "1"},
        {"{ \"p\" : { \"a\": [1, {\"p\": 2}] } }", "{ \"a\": [1, {\"p\": 2}] }"},
        {"{\"x\":{\"p\":1},\"p\":2}", "2"},
        {"{\"x\":\"\\\"p\\\":1,\",\"p\":\"}\"}", "\"}\""},
        {"{\"x\":[\"p\",\"p\"],\"p\":\n[]\t,\"y\":\"p\"}", "[]"},
        {"{\"x\":\"p\",\"p\":null}", "null"},
        {"{\"x\":\"\\\\\",\"p\":\"\\\\\"}", "\"\\\\\""},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_str_equal(good[i].text, member_text(str_of(good[i].object), STR("p")));
}

static void a_member_that_is_not_there_has_no_text(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",    "[]", "{\"x\":\"p\"}",     "{\"x\":{\"p\":1}}", "{\"\\u0070\":1}", "[{\"p\":1}]",
        "\"p\"", "",   "{\"x\":[\"p\",1]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_given(member_text(str_of(bad[i]), STR("p"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_package_url_tells_its_version),
        cmocka_unit_test(what_has_no_version_is_refused),
        cmocka_unit_test(a_members_text_is_as_it_was_written),
        cmocka_unit_test(a_member_that_is_not_there_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

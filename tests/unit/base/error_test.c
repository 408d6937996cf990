/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/error.h"

#include "check.h"

#include <errno.h>

static void a_failure_carries_its_status_code_and_message(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(fail(&err, NOT_FOUND, "EntryNotFound", "no file %s", "a.txt"), NOT_FOUND);
    assert_int_equal(err.status, NOT_FOUND);
    assert_string_equal(err.code, "EntryNotFound");
    assert_string_equal(err.message, "no file a.txt");
}

static void a_caller_who_does_not_care_passes_null(void **state)
{
    (void)state;
    assert_int_equal(fail(NULL, CONFLICT, NULL, "exists"), CONFLICT);
}

static void a_message_may_be_built_from_the_message_it_replaces(void **state)
{
    (void)state;
    struct error err;
    fail(&err, CORRUPT, "Bad", "inner");
    fail(&err, INTERNAL, err.code, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
    assert_string_equal(err.code, "Bad");
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    for (int shift = 0; shift < 5; shift++) {
        struct error err;
        char text[sizeof err.message + 100];
        memset(text, 'x', sizeof text);
        for (size_t i = (size_t)shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xF0\x9F\x97\xBB", 4);
        text[sizeof text - 1] = '\0';
        fail(&err, INVALID, NULL, "%s", text);
        assert_true(strlen(err.message) > sizeof err.message - 5);
        assert_true(str_is_utf8(str_of(err.message)));
    }
}

static void a_message_that_just_fits_is_kept_whole(void **state)
{
    (void)state;
    struct error err;
    char text[sizeof err.message];
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 3, "\xC3\xA9", 3);
    fail(&err, INVALID, NULL, "%s", text);
    assert_string_equal(err.message, text);
}

static void a_long_code_is_cut(void **state)
{
    (void)state;
    struct error err;
    char code[100] = {0};
    memset(code, 'C', sizeof code - 1);
    fail(&err, INVALID, code, "x");
    assert_int_equal(strlen(err.code), sizeof err.code - 1);
}

static void errno_becomes_the_status_that_says_what_to_do(void **state)
{
    (void)state;
    const struct {
        int number;
        enum status status;
    } table[] = {{ENOSPC, NO_SPACE}, {EDQUOT, NO_SPACE}, {ENOENT, NOT_FOUND}, {EACCES, FORBIDDEN},
                 {EPERM, FORBIDDEN}, {EIO, INTERNAL},    {EBADF, INTERNAL}};
    for (size_t i = 0; i < COUNT(table); i++) {
        struct error err;
        errno = table[i].number;
        assert_int_equal(fail_errno(&err, "a file"), table[i].status);
        assert_true(str_starts(str_of(err.message), STR("a file: ")));
        assert_true(str_has(str_of(err.message), str_of(strerror(table[i].number))));
    }
}

static enum status twice(enum status first, enum status second)
{
    TRY(first);
    TRY(second);
    return OK;
}

static void try_returns_the_first_failure_and_goes_on_without_one(void **state)
{
    (void)state;
    assert_int_equal(twice(OK, OK), OK);
    assert_int_equal(twice(STALE, INVALID), STALE);
    assert_int_equal(twice(OK, INVALID), INVALID);
}

static void every_status_has_its_http_status(void **state)
{
    (void)state;
    const int expected[] = {200, 400, 401, 402, 403, 404, 405, 408, 409, 412, 413, 416, 422, 429, 500, 500, 501, 503, 507};
    for (int status = OK; status <= NO_SPACE; status++)
        assert_int_equal(status_http((enum status)status), expected[status]);
    assert_int_equal(COUNT(expected), NO_SPACE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_carries_its_status_code_and_message),
        cmocka_unit_test(a_caller_who_does_not_care_passes_null),
        cmocka_unit_test(a_message_may_be_built_from_the_message_it_replaces),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(a_message_that_just_fits_is_kept_whole),
        cmocka_unit_test(a_long_code_is_cut),
        cmocka_unit_test(errno_becomes_the_status_that_says_what_to_do),
        cmocka_unit_test(try_returns_the_first_failure_and_goes_on_without_one),
        cmocka_unit_test(every_status_has_its_http_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

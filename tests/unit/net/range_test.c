/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/range.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

/* Last: it needs what the standard headers define. */
#include <cmocka.h>

#define WHOLE (-1) /* the header does not make a single range: the whole file is meant */
#define NONE (-2)  /* it does, and the range lies past the end */

static void the_range_is_what_the_table_says(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t size, offset, length;
    } table[] = {
        {"bytes=0-0", 10, 0, 1},
        {"bytes=0-9", 10, 0, 10},
        {"bytes=0-", 10, 0, 10},
        {"bytes=3-5", 10, 3, 3},
        {"bytes=9-", 10, 9, 1},
        {"bytes=9-9", 10, 9, 1},
        {"bytes=10-", 10, NONE, 0},
        {"bytes=10-12", 10, NONE, 0},
        {"bytes=3-99", 10, 3, 7},
        {"bytes=3-99999999999999999999999", 10, 3, 7},
        {"bytes=99999999999999999999999-", 10, NONE, 0},
        {"bytes=9223372036854775807-", INT64_MAX, NONE, 0},
        {"bytes=9223372036854775806-9223372036854775807", INT64_MAX, INT64_MAX - 1, 1},
        {"bytes=0-9223372036854775807", INT64_MAX, 0, INT64_MAX},
        {"bytes=-1", 10, 9, 1},
        {"bytes=-10", 10, 0, 10},
        {"bytes=-11", 10, 0, 10},
        {"bytes=-99999999999999999999999", 10, 0, 10},
        {"bytes=-0", 10, NONE, 0},
        {"bytes=0-", 0, NONE, 0},
        {"bytes=0-0", 0, NONE, 0},
        {"bytes=-1", 0, NONE, 0},
        {"BYTES=1-2", 10, 1, 2},
        {"bytes=007-008", 10, 7, 2},
        {NULL, 10, WHOLE, 0},
        {"", 10, WHOLE, 0},
        {"bytes", 10, WHOLE, 0},
        {"bytes=", 10, WHOLE, 0},
        {"bytes=-", 10, WHOLE, 0},
        {"bytes=5", 10, WHOLE, 0},
        {"bytes=5-3", 10, WHOLE, 0},
        {"bytes=20-13", 10, WHOLE, 0},
        {"bytes=0-1,3-4", 10, WHOLE, 0},
        {"bytes=0-1,", 10, WHOLE, 0},
        {"bytes=,0-1", 10, WHOLE, 0},
        {"bytes=0-1 ", 10, WHOLE, 0},
        {"bytes= 0-1", 10, WHOLE, 0},
        {"bytes =0-1", 10, WHOLE, 0},
        {"bytes=0 -1", 10, WHOLE, 0},
        {"bytes=+0-1", 10, WHOLE, 0},
        {"bytes=0x0-1", 10, WHOLE, 0},
        {"bytes=--1", 10, WHOLE, 0},
        {"bytes=0--1", 10, WHOLE, 0},
        {"bytes=a-b", 10, WHOLE, 0},
        {"items=0-1", 10, WHOLE, 0},
        {"items=0-1", 0, WHOLE, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool partial;
        int64_t offset, length;
        struct error err = {0};
        enum status status = range_parse(str_of(table[i].header), table[i].size, &partial, &offset, &length, &err);
        bool right = table[i].offset == NONE ? status == BAD_RANGE && err.status == BAD_RANGE
                     : table[i].offset == WHOLE
                         ? status == OK && !partial && offset == 0 && length == table[i].size
                         : status == OK && partial && offset == table[i].offset && length == table[i].length;
        if (!right)
            fail_msg("%s of %lld: status %d, partial %d, %lld+%lld", table[i].header ? table[i].header : "(absent)",
                     (long long)table[i].size, (int)status, partial, (long long)offset, (long long)length);
    }
}

#define MOST 4

static void expect_refused(const char *header, int64_t size, enum status expected)
{
    struct range ranges[MOST];
    size_t count;
    struct error err = {0};
    enum status status = ranges_parse(str_of(header), size, ranges, MOST, &count, &err);
    if (status != expected || err.status != expected || !err.message[0] || count != 0)
        fail_msg("%s of %lld: status %d, count %zu", header ? header : "(absent)", (long long)size, (int)status, count);
}

static void several_closed_ranges_are_taken_in_their_order(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        int64_t size;
        size_t count;
        struct range ranges[MOST];
    } table[] = {
        {"bytes=0-0", 10, 1, {{0, 1}}},
        {"bytes=0-9", 10, 1, {{0, 10}}},
        {"BYTES=3-5", 10, 1, {{3, 3}}},
        {"bytes=0-1,3-4", 10, 2, {{0, 2}, {3, 2}}},
        {"bytes=8-9,0-1,0-9", 10, 3, {{8, 2}, {0, 2}, {0, 10}}},
        {"bytes=1-1,2-2,3-3,4-4", 10, MOST, {{1, 1}, {2, 1}, {3, 1}, {4, 1}}},
        {"bytes=0-9223372036854775806", INT64_MAX, 1, {{0, INT64_MAX}}},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct range ranges[MOST];
        size_t count;
        struct error err = {0};
        if (ranges_parse(str_of(table[i].header), table[i].size, ranges, MOST, &count, &err) != OK)
            fail_msg("%s: %s", table[i].header, err.message);
        assert_int_equal(count, table[i].count);
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(ranges[j].offset, table[i].ranges[j].offset);
            assert_int_equal(ranges[j].length, table[i].ranges[j].length);
        }
    }
}

static void anything_but_closed_ranges_is_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=0-",
        "bytes=-1",
        "bytes=5-3",
        "bytes=0-1,",
        "bytes=,0-1",
        "bytes=0-1,,2-3",
        "bytes=0-1 ",
        "bytes= 0-1",
        "bytes=0-1, 2-3",
        "bytes=0-1;2-3",
        "bytes=0-1-2",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=--1",
        "bytes=0--1",
        "bytes=a-b",
        "items=0-1",
        "bytes=0-1,5-3",
        "bytes=0-1,4-",
        "0-1",
        "bytes=99999999999999999999-0",
        "bytes=0-1,-1",
        "bytes=0-1\r",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refused(bad[i], 10, INVALID);
}

static void a_range_that_is_not_within_the_size_is_refused_and_not_shortened(void **state)
{
    (void)state;
    expect_refused("bytes=0-10", 10, BAD_RANGE);
    expect_refused("bytes=10-10", 10, BAD_RANGE);
    expect_refused("bytes=0-1,9-10", 10, BAD_RANGE);
    expect_refused("bytes=0-0", 0, BAD_RANGE);
    expect_refused("bytes=0-99999999999999999999999", 10, BAD_RANGE);
    expect_refused("bytes=0-9223372036854775807", INT64_MAX, BAD_RANGE);
    expect_refused("bytes=99999999999999999999-99999999999999999999", INT64_MAX, BAD_RANGE);
}

static void more_ranges_than_the_caller_takes_are_refused(void **state)
{
    (void)state;
    expect_refused("bytes=1-1,2-2,3-3,4-4,5-5", 10, INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_range_is_what_the_table_says),
        cmocka_unit_test(several_closed_ranges_are_taken_in_their_order),
        cmocka_unit_test(anything_but_closed_ranges_is_invalid),
        cmocka_unit_test(a_range_that_is_not_within_the_size_is_refused_and_not_shortened),
        cmocka_unit_test(more_ranges_than_the_caller_takes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

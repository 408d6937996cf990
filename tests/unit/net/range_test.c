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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_range_is_what_the_table_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

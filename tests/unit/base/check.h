/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_BASE_CHECK_H
#define CAIRN_TESTS_BASE_CHECK_H

#include "base/arena.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* is the function of base/error.h here, which is why broken() stands in for cmocka's fail_msg() */

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define assert_str(actual, expected) check_str((actual), (expected), __FILE__, __LINE__)

#define broken(...) (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

static inline void check_str(struct str actual, const char *expected, const char *file, int line)
{
    if (str_given(actual) && str_eq(actual, str_of(expected)))
        return;
    print_error("got      \"%.*s\"\nexpected \"%s\"\n", STR_ARG(actual), expected);
    _fail(file, line);
}

/* A copy of exactly this size on the heap, so that AddressSanitizer sees every read past the end. */
static inline struct str exact(struct str s)
{
    char *copy = test_malloc(s.len ? s.len : 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return (struct str){copy, s.len};
}

static inline void done(struct str copy)
{
    test_free((void *)copy.data);
}

#endif

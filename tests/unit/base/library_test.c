/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/library.h"

#include "check.h"
#include <math.h>

static void functions_come_in_the_order_of_their_names(void **state)
{
    (void)state;
    struct {
        double (*square_root)(double), (*round_up)(double);
    } found;
    const char *const names[] = {"sqrt", "ceil", NULL};
    struct error err;
    assert_int_equal(library_load("libm.so.6", names, (void **)&found, &err), OK);
    assert_true(found.square_root(49) == 7 && found.round_up(1.5) == 2);
}

static void what_the_system_does_not_have_is_told(void **state)
{
    (void)state;
    void *found[2] = {NULL};
    struct error err;
    const char *const names[] = {"sqrt", "a_function_of_no_library", NULL};
    assert_int_equal(library_load("libm.so.6", names, found, &err), UNAVAILABLE);
    assert_non_null(strstr(err.message, "a_function_of_no_library"));
    assert_int_equal(library_load("libnobody.so.1", names, found, &err), UNAVAILABLE);
    assert_non_null(strstr(err.message, "libnobody.so.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_come_in_the_order_of_their_names),
        cmocka_unit_test(what_the_system_does_not_have_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

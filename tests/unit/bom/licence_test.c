/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bom/licence.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void licences_of_both_lists_get_the_name_that_spdx_gives_them(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"apache-2.0", "Apache-2.0"}, {"mit", "MIT"},       {"MIT", "MIT"},
        {"wtfpl", "WTFPL"},           {"zlib", "Zlib"},     {"odbl", "ODbL-1.0"},
        {"gpl-3.0", "GPL-3.0"},       {"pddl", "PDDL-1.0"}, {"etalab-2.0", "etalab-2.0"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct licence licence = licence_of(str_of(pairs[i][0]));
        assert_true(str_eq(licence.spdx, str_of(pairs[i][1])));
        assert_true(str_eq(licence.name, str_of(pairs[i][0])));
    }
}

static void what_spdx_does_not_list_or_lists_several_times_stays_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"llama2", "openrail", "other", "gpl", "bsd", "cc", "apache", "mit ", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(str_given(licence_of(str_of(names[i])).spdx));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(licences_of_both_lists_get_the_name_that_spdx_gives_them),
        cmocka_unit_test(what_spdx_does_not_list_or_lists_several_times_stays_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

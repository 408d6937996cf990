/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terms/classify.h"

#include "../base/check.h"

#define LICENCE                                                                                                        \
    "# Licence\n\n1. You may use the model for research.\n2. You must name the model in what you publish.\n"           \
    "3. It is made in Bern.\n"

static enum change of(const char *before, const char *after)
{
    auto_arena struct arena arena = {0};
    return classify(&arena, str_of(before), str_of(after));
}

#define IS(want, before, after) assert_string_equal(change_name(want), change_name(of(before, after)))

static void white_space_marks_case_and_what_links_lead_to_are_editorial(void **state)
{
    (void)state;
    IS(CHANGE_EDITORIAL, LICENCE, LICENCE);
    IS(CHANGE_EDITORIAL, "You may use it,\nfor research.", "  you may USE it for\n\n research\n");
    IS(CHANGE_EDITORIAL, "See [the text](https://a.example/1) first.", "See [the text](https://b.example/2) first!");
    IS(CHANGE_EDITORIAL, "See https://a.example/1 first.", "See http://other.example first.");
    IS(CHANGE_EDITORIAL, "", "\n\n");
}

static void one_letter_in_a_long_word_is_a_typing_error(void **state)
{
    (void)state;
    IS(CHANGE_EDITORIAL, "You must publsh results.", "You must publish results.");
    IS(CHANGE_EDITORIAL, "You must publish resultts.", "You must publish results.");
    IS(CHANGE_EDITORIAL, "You must pablish results.", "You must publish results.");
    /* not so: short words, other beginnings, numbers, two letters, another number of words */
    IS(CHANGE_MATERIAL, "This is now allowed.", "This is not allowed.");
    IS(CHANGE_MATERIAL, "This is moral use.", "This is amoral use.");
    IS(CHANGE_MATERIAL, "Within 10000 days.", "Within 10001 days.");
    IS(CHANGE_MATERIAL, "This is lawful use.", "This is unlawful use.");
    IS(CHANGE_MATERIAL, "You may sell cannot it.", "You may sell can not it.");
}

static void lines_that_only_give_are_minor(void **state)
{
    (void)state;
    IS(CHANGE_MINOR, LICENCE, LICENCE "4. You may also use it for teaching.\n");
    IS(CHANGE_MINOR, LICENCE, "You are free to print it.\n" LICENCE "You can share figures.\n");
    IS(CHANGE_MINOR, "Sie müssen zitieren.\n", "Sie müssen zitieren.\nSie dürfen es auch in der Lehre nutzen.\n");
}

static void lines_that_bind_or_limit_or_vanish_are_material(void **state)
{
    (void)state;
    IS(CHANGE_MATERIAL, LICENCE, LICENCE "4. You must pay.\n");
    IS(CHANGE_MATERIAL, LICENCE, LICENCE "4. You may use it only at home.\n");
    IS(CHANGE_MATERIAL, LICENCE, LICENCE "4. You may not sell it.\n");
    IS(CHANGE_MATERIAL, LICENCE, LICENCE "4. You may use it for teaching if you pay.\n");
    IS(CHANGE_MATERIAL, LICENCE,
       "# Licence\n\n2. You must name the model in what you publish.\n3. It is made in Bern.\n");
    IS(CHANGE_MATERIAL, "You must cite.\nYou may sell.", "You may sell.\nYou must cite.");
    IS(CHANGE_MATERIAL, "Sie müssen zitieren.\n", "Sie müssen zitieren.\nSie dürfen es nur in der Lehre nutzen.\n");
    IS(CHANGE_MATERIAL, "You may use it.", "You may use it for research.");
}

static void what_the_rule_does_not_understand_is_material(void **state)
{
    (void)state;
    IS(CHANGE_MATERIAL, LICENCE, LICENCE "4. The moon is round.\n");
    IS(CHANGE_MATERIAL, "Vous pouvez l'utiliser.\n", "Vous pouvez l'utiliser.\nVous pouvez le vendre.\n");
    IS(CHANGE_MATERIAL, "", "x");
    IS(CHANGE_MATERIAL, LICENCE, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_marks_case_and_what_links_lead_to_are_editorial),
        cmocka_unit_test(one_letter_in_a_long_word_is_a_typing_error),
        cmocka_unit_test(lines_that_only_give_are_minor),
        cmocka_unit_test(lines_that_bind_or_limit_or_vanish_are_material),
        cmocka_unit_test(what_the_rule_does_not_understand_is_material),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

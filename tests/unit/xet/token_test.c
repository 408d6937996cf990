/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the tokens of the CAS. */
#include "../base/check.h"
#include "xet/token.h"

const struct module *const modules[] = {NULL};

#define WHOLE "xet1.w.17.4.1800000000.00ff"

static void a_whole_token_says_for_what_it_is(void **state)
{
    (void)state;
    struct xet_token token;
    assert_true(xet_token_read(STR(WHOLE), &token));
    assert_true(token.write);
    assert_int_equal(17, token.key_id);
    assert_int_equal(4, token.repo_id);
    assert_int_equal(1800000000, token.until_s);
    assert_true(xet_token_read(STR("xet1.r.1.4.5."), &token));
    assert_false(token.write);
}

/* Fills what the next call will find on its stack with the bytes of a scope that may write. */
static __attribute__((noinline)) void leave_a_stack_of_lies(void)
{
    struct str lies[64];
    for (size_t i = 0; i < 64; i++)
        lies[i] = STR("w");
    __asm__ volatile("" : : "r"(lies) : "memory");
}

static void expect_none(struct str text)
{
    const struct xet_token before = {true, -7, -8, -9};
    struct xet_token token = before;
    leave_a_stack_of_lies();
    if (xet_token_read(text, &token))
        print_error("taken: %.*s\n", STR_ARG(text));
    assert_memory_equal(&before, &token, sizeof token);
}

/* Each of them once had its scope looked at although there was none. */
static void a_token_of_too_few_parts_says_nothing(void **state)
{
    (void)state;
    expect_none((struct str){0});
    for (size_t len = 0; len < sizeof "xet1.w.17.4." - 1; len++) /* where the fifth part has no byte yet */
        expect_none(str_slice(STR(WHOLE), 0, len));
}

static void what_is_no_token_says_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"xet2.w.17.4.18.ff",
                                        "xet1.ww.17.4.18.ff",
                                        "xet1..17.4.18.ff",
                                        "xet1.w..4.18.ff",
                                        "xet1.w.1x.4.18.ff",
                                        "xet1.w.17.4.18z.ff",
                                        ".....",
                                        "....",
                                        "xet1.w.17.-.18.ff",
                                        " xet1.w.17.4.18.ff",
                                        "XET1.w.17.4.18.ff",
                                        "w",
                                        "xet1.w.99999999999999999999.4.18.ff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_none(str_of(texts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_token_says_for_what_it_is),
        cmocka_unit_test(a_token_of_too_few_parts_says_nothing),
        cmocka_unit_test(what_is_no_token_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#define STATEMENT                                                                                                      \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"m\",\"digest\":{\"dirHash1\":\"ab01\"}}," \
    "{\"name\":\"n\",\"digest\":{\"sha256\":\"cd\"}}],\"predicateType\":\"https://example.com/p\","                    \
    "\"predicate\":{\"x\":1}}"

static void a_statement_is_written_as_the_specification_shows_it(void **state)
{
    (void)state;
    auto_buf struct buf out = {0};
    const struct intoto_subject subjects[] = {{STR("m"), "dirHash1", STR("ab01")}, {STR("n"), "sha256", STR("cd")}};
    intoto_write(&out, "https://example.com/p", subjects, 2, STR("{\"x\":1}"));
    assert_str(buf_view(&out), STATEMENT);
}

static void a_statement_tells_what_it_is_about(void **state)
{
    (void)state;
    struct error err;
    struct intoto_statement read;
    expect(OK, intoto_read(STR(STATEMENT), &read, &err));
    assert_str(read.predicate_type, "https://example.com/p");
    assert_int_equal(json_get_int(read.predicate, "x", 0), 1);
    assert_true(intoto_is_about(&read, "dirHash1", STR("ab01")));
    assert_true(intoto_is_about(&read, "dirHash", STR("ab01")));
    assert_true(intoto_is_about(&read, "sha256", STR("cd")));
    assert_false(intoto_is_about(&read, "sha256", STR("ab01")));
    assert_false(intoto_is_about(&read, "dirHash1", STR("ab")));
    assert_false(intoto_is_about(&read, "gitCommit", STR("cd")));
    json_decref(read.root);
}

static void what_is_not_a_statement_is_refused(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"Statement/v1", "Statement/v0.1"},
        {"\"_type\"", "\"type\""},
        {"\"_type\"", "\"more\":1,\"_type\""},
        {"\"ab01\"", "\"AB01\""},
        {"\"ab01\"", "\"\""},
        {"\"ab01\"", "1"},
        {"{\"dirHash1\":\"ab01\"}", "{}"},
        {"{\"dirHash1\":\"ab01\"}", "\"ab01\""},
        {"\"name\":\"m\"", "\"name\":1"},
        {"\"https://example.com/p\"", "\"\""},
        {"\"https://example.com/p\"", "null"},
        {"{\"x\":1}", "[]"},
        {",\"predicate\":{\"x\":1}", ""},
        {"{\"x\":1}", "{\"x\":1,\"x\":2}"},
        {"{\"x\":1}", "{\"x\":NaN}"},
    };
    struct error err;
    auto_arena struct arena arena = {0};
    struct intoto_statement read;
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct str text = exact(swapped(&arena, STR(STATEMENT), changes[i][0], changes[i][1]));
        if (intoto_read(text, &read, &err) != INVALID || read.root)
            broken("change %zu went through", i);
        done(text);
    }
    expect(INVALID, intoto_read(STR("[]"), &read, &err));
    expect(INVALID, intoto_read(STR(""), &read, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_is_written_as_the_specification_shows_it),
        cmocka_unit_test(a_statement_tells_what_it_is_about),
        cmocka_unit_test(what_is_not_a_statement_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

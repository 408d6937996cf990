/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .gitattributes and .gitignore, with the real git as the judge. */
#include "git_oracle.h"
#include "scan/attributes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ITEMS(array) (sizeof(array) / sizeof *(array))
#define PATHS_MOST 64

static struct arena arena;
static struct oracle git;

static int start(void **state)
{
    (void)state;
    oracle_start(&git);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    oracle_stop(&git);
    arena_free(&arena);
    return 0;
}

static bool is_lfs(const char *text, const char *path)
{
    struct attributes *attributes;
    assert_int_equal(OK, attributes_parse(&arena, str_of(text), &attributes, NULL));
    return attributes_is_lfs(attributes, str_of(path));
}

static bool is_ignored(const char *text, const char *path)
{
    struct ignore *ignore;
    assert_int_equal(OK, ignore_parse(&arena, str_of(text), &ignore, NULL));
    return ignore_matches(ignore, str_of(path));
}

/* Agreeing with git. */

static void must_agree_on_lfs(struct str text, const struct str *paths, size_t count)
{
    struct attributes *attributes;
    bool says[PATHS_MOST];
    assert_int_equal(OK, attributes_parse(&arena, text, &attributes, NULL));
    oracle_lfs(&git, text, paths, count, says);
    for (size_t i = 0; i < count; i++)
        if (attributes_is_lfs(attributes, paths[i]) != says[i])
            fail_msg("git says %d for \"%.*s\" with:\n%.*s", says[i], STR_ARG(paths[i]), STR_ARG(text));
}

static void must_agree_on_ignored(struct str text, const struct str *paths, size_t count)
{
    struct ignore *ignore;
    bool says[PATHS_MOST];
    assert_int_equal(OK, ignore_parse(&arena, text, &ignore, NULL));
    oracle_ignored(&git, text, paths, count, says);
    for (size_t i = 0; i < count; i++)
        if (ignore_matches(ignore, paths[i]) != says[i])
            fail_msg("git says %d for \"%.*s\" with:\n%.*s", says[i], STR_ARG(paths[i]), STR_ARG(text));
}

static const struct str table_paths[] = {
    STR("a"),         STR("b"),           STR("a.bin"),
    STR("x/a.bin"),   STR("x/y/a.bin"),   STR("x/y/z/a.bin"),
    STR("model.bin"), STR("x/model.bin"), STR("a b"),
    STR("x/a b"),     STR("\"q\""),       STR("#c"),
    STR("!n"),        STR("[a]"),         STR("*"),
    STR("a*"),        STR("a\\b"),        STR("caf\xc3\xa9.bin"),
    STR("build/a"),   STR("build/x/a"),   STR("x/build/a"),
    STR("a/build"),   STR("foo"),         STR("foo/bar"),
    STR("foobar"),    STR("foo/x/bar"),   STR("foo/x/y/bar"),
    STR("x/foo/bar"), STR("a "),          STR("a\tb"),
    STR(" a"),        STR("-"),           STR("]"),
    STR("a-z"),       STR("m"),           STR("M"),
    STR("7"),         STR("a\r"),
};

static void tables_of_attributes_agree_with_git(void **state)
{
    static const char *const texts[] = {
        "*.bin filter=lfs",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        "*.bin filter",
        "*.bin filter=other",
        "*.bin filter=lfs\n*.bin -filter",
        "*.bin filter=lfs\n*.bin !filter",
        "*.bin filter=lfs\nmodel.bin filter=other",
        "*.bin -filter\n*.bin filter=lfs",
        "*.bin filter=lfs -filter",
        "*.bin -filter filter=lfs",
        "*.bin text",
        "*.bin filter=lfs\n*.bin text",
        "# *.bin filter=lfs",
        "  *.bin filter=lfs",
        "\t*.bin\tfilter=lfs",
        "#c filter=lfs",
        "\\#c filter=lfs",
        "!n filter=lfs",
        "\\!n filter=lfs",
        "\"!n\" filter=lfs",
        "\"#c\" filter=lfs",
        "\"a b\" filter=lfs",
        "\"a\\tb\" filter=lfs",
        "\"a\\040b\" filter=lfs",
        "\"a\\40b\" filter=lfs",
        "\"a b filter=lfs",
        "\"\\\"q\\\"\" filter=lfs",
        "\"q\" filter=lfs",
        "a\\ b filter=lfs",
        "\"a\"filter=lfs",
        "\"\" filter=lfs",
        "\"caf\\303\\251.bin\" filter=lfs",
        "caf\xc3\xa9.bin filter=lfs",
        "[attr]big filter=lfs",
        "[attr]big filter=lfs\nx text",
        "/a.bin filter=lfs",
        "x/a.bin filter=lfs",
        "x/*.bin filter=lfs",
        "x/** filter=lfs",
        "**/a.bin filter=lfs",
        "x/**/a.bin filter=lfs",
        "/** filter=lfs",
        "** filter=lfs",
        "* filter=lfs",
        "/* filter=lfs",
        "*/* filter=lfs",
        "x/ filter=lfs",
        "x filter=lfs",
        "build/ filter=lfs",
        "fo** filter=lfs",
        "foo** filter=lfs",
        "foo/**bar filter=lfs",
        "x/foo** filter=lfs",
        "foo/***/bar filter=lfs",
        "[a] filter=lfs",
        "\\[a\\] filter=lfs",
        "\\* filter=lfs",
        "a\\* filter=lfs",
        "[!a] filter=lfs",
        "[^a] filter=lfs",
        "[]] filter=lfs",
        "[]-] filter=lfs",
        "[a filter=lfs",
        "a[ filter=lfs",
        "[a-m] filter=lfs",
        "[\\]] filter=lfs",
        "a?b filter=lfs",
        "x?a.bin filter=lfs",
        "x[/]a.bin filter=lfs",
        "*.bin filter=lfs\r\n",
        "\xef\xbb\xbf*.bin filter=lfs",
        "*.bin filter=lfs bad$name",
        "*.bin bad$name filter=lfs",
        "*.bin -filter=lfs",
        "*.bin !filter=lfs",
        "*.bin filter=LFS",
        "*.bin Filter=lfs",
        "*.bin filter=lfs=x",
        "*.bin =x filter=lfs",
        "*.bin --x filter=lfs",
        "*.bin -=x filter=lfs",
        "*.bin - filter=lfs",
        "*.bin ! filter=lfs",
        "*.bin",
        "",
        "\n\n",
        "*.bin\nfilter=lfs",
        "a\\ filter=lfs",
        "\\a filter=lfs",
        "foo/**/ filter=lfs",
        "**/ filter=lfs",
        "/ filter=lfs",
        "// filter=lfs",
        "a// filter=lfs",
        "//a filter=lfs",
        "./a filter=lfs",
    };
    (void)state;
    for (size_t i = 0; i < ITEMS(texts); i++)
        must_agree_on_lfs(str_of(texts[i]), table_paths, ITEMS(table_paths));
}

static void tables_of_exclusions_agree_with_git(void **state)
{
    static const char *const texts[] = {
        "*.bin",
        "*.bin\n!model.bin",
        "!model.bin\n*.bin",
        "x/",
        "x",
        "/x",
        "/x/",
        "build",
        "build/",
        "/build",
        "build/*",
        "build/*\n!build/x",
        "build/*\n!build/x/",
        "build/\n!build/a",
        "build/**\n!build/a",
        "*\n!*.bin",
        "/*\n!/foo\n/foo/*\n!/foo/bar",
        "*\n!*/\n!*.bin",
        "foo/bar",
        "/foo/bar",
        "foo/*",
        "foo/**",
        "**/bar",
        "foo/**/bar",
        "**/foo/bar",
        "**/foo",
        "**/foo/**",
        "a/",
        "#c",
        "\\#c",
        "!n",
        "\\!n",
        "a ",
        "a\\ ",
        "a b",
        "a b  ",
        " a",
        "a\\",
        "a\t",
        "a\r\n*.bin\r\n",
        "a\r",
        "*.bin\r",
        "\r",
        "!",
        "/",
        "!/",
        "\\",
        "[a",
        "[a]",
        "\\[a\\]",
        "\\*",
        "[!a]",
        "a?b",
        "\"q\"",
        "caf\xc3\xa9.bin",
        "caf?.bin",
        "caf??.bin",
        "\xef\xbb\xbf*.bin",
        "*.bin\n!*.bin\nx/a.bin",
        "**",
        "***",
        "*/",
        "**/",
        "foo**",
        "fo**bar",
        "x/foo**",
        "!foo\nfoo",
        "foo\n!foo",
        "foo/\n!foo/bar\n!foo/",
        "a\\\\ ",
        "a\\\\\\ ",
        "x/**/a.bin",
        "x/*/a.bin",
        "x/*/*/a.bin",
        "**/*.bin",
        "/**/a.bin",
        "/**/*.bin",
        "x/**/**/a.bin",
        "//",
        "a//b",
        "./a",
    };
    (void)state;
    for (size_t i = 0; i < ITEMS(texts); i++)
        must_agree_on_ignored(str_of(texts[i]), table_paths, ITEMS(table_paths));
}

/* And on what nobody thought of. */

static uint32_t random_state;

static uint32_t random_below(uint32_t most)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % most;
}

static const char *one_of(const char *const *list, size_t count)
{
    return list[random_below((uint32_t)count)];
}

static void random_segments(struct buf *out, const char *const *list, size_t count)
{
    for (uint32_t more = 1 + random_below(4); more > 0; more--)
        buf_printf(out, "%s%s", one_of(list, count), more > 1 ? "/" : "");
}

static void random_pattern(struct buf *out)
{
    static const char *const whole[] = {"a",   "b",   "ab",   "abc",   "x.y", "*",   "a*",     "*b",
                                        "?",   "a?",  "[ab]", "[!a]",  "**",  "**",  "[a-c]*", "\\*",
                                        "*.*", "*.y", "\\a",  "[^b]c", "a*c", "???", "*b*",    "x[.]y"};
    static const char *const letters[] = {"a", "b", "c", ".",    "x",    "y",     "*",  "?",
                                          "/", "/", "*", "[ab]", "[!c]", "[a-b]", "\\*"};
    if (random_below(4) == 0)
        buf_byte(out, '/');
    if (random_below(3)) {
        random_segments(out, whole, ITEMS(whole));
    } else {
        for (uint32_t more = 1 + random_below(7); more > 0; more--)
            buf_str(out, str_of(one_of(letters, ITEMS(letters))));
    }
    if (random_below(5) == 0)
        buf_byte(out, '/');
}

static void random_paths(struct str *paths)
{
    static const char *const names[] = {"a", "b", "ab", "abc", "x.y", "acx", "*", "bc", "ac", "c", "aab", "x"};
    for (size_t i = 0; i < PATHS_MOST; i++) {
        auto_buf struct buf path = {0};
        random_segments(&path, names, ITEMS(names));
        paths[i] = arena_copy(&arena, buf_view(&path));
    }
}

static void random_attributes_agree_with_git(void **state)
{
    static const char *const states[] = {"filter=lfs", "filter=lfs", "filter=lfs -text", "-filter", "!filter", "text"};
    struct str paths[PATHS_MOST];
    (void)state;
    random_state = 20250307;
    for (int round = 0; round < 150; round++) {
        auto_buf struct buf text = {0};
        for (uint32_t rules = 1 + random_below(4); rules > 0; rules--) {
            random_pattern(&text);
            buf_printf(&text, " %s\n", one_of(states, ITEMS(states)));
        }
        random_paths(paths);
        must_agree_on_lfs(buf_view(&text), paths, PATHS_MOST);
    }
}

static void random_exclusions_agree_with_git(void **state)
{
    struct str paths[PATHS_MOST];
    (void)state;
    random_state = 20250308;
    for (int round = 0; round < 150; round++) {
        auto_buf struct buf text = {0};
        for (uint32_t rules = 1 + random_below(4); rules > 0; rules--) {
            buf_str(&text, random_below(4) ? STR("") : STR("!"));
            random_pattern(&text);
            buf_byte(&text, '\n');
        }
        random_paths(paths);
        must_agree_on_ignored(buf_view(&text), paths, PATHS_MOST);
    }
}

/* Adding rules. */

static const struct str odd_names[] = {
    STR("model.bin"),
    STR("x/model.bin"),
    STR("a b.bin"),
    STR("x y/a b"),
    STR(" lead"),
    STR("trail "),
    STR("[1].bin"),
    STR("x/[a-z]*?.bin"),
    STR("*"),
    STR("**"),
    STR("?"),
    STR("\"quoted\".bin"),
    STR("a \"b\" c"),
    STR("#hash"),
    STR("!bang"),
    STR("caf\xc3\xa9 \xe6\xa8\xa1\xe5\x9e\x8b.bin"),
    STR("\xe6\xa8\xa1\xe5\x9e\x8b"),
    STR("[attr]x"),
    STR("tab\there"),
    STR("back\\slash"),
    STR("back \\slash [x] \"q\""),
    STR("-"),
    STR("a=b"),
    STR("new\nline"),
    STR("cr\r"),
};

static void an_added_rule_makes_git_take_exactly_this_path_for_large(void **state)
{
    (void)state;
    for (size_t i = 0; i < ITEMS(odd_names); i++) {
        struct str paths[ITEMS(odd_names) + 1];
        bool says[ITEMS(odd_names) + 1];
        memcpy(paths, odd_names, sizeof odd_names);
        paths[ITEMS(odd_names)] = arena_printf(&arena, "sub/%.*s", STR_ARG(odd_names[i]));
        struct str text = attributes_add_lfs(&arena, STR("*.txt text"), odd_names[i]);
        oracle_lfs(&git, text, paths, ITEMS(paths), says);
        for (size_t k = 0; k < ITEMS(paths); k++)
            if (says[k] != (k == i))
                fail_msg("git says %d for \"%.*s\" with:\n%.*s", says[k], STR_ARG(paths[k]), STR_ARG(text));
        must_agree_on_lfs(text, paths, ITEMS(paths));
    }
}

static void an_added_rule_leaves_the_others_as_they_are(void **state)
{
    (void)state;
    struct str text = attributes_add_lfs(&arena, STR("*.txt text\n"), STR("x/a.bin"));
    assert_string_equal("*.txt text\n/x/a.bin filter=lfs diff=lfs merge=lfs -text\n", arena_cstr(&arena, text));
    text = attributes_add_lfs(&arena, STR("*.txt text"), STR("a"));
    assert_string_equal("*.txt text\n/a filter=lfs diff=lfs merge=lfs -text\n", arena_cstr(&arena, text));
    text = attributes_add_lfs(&arena, (struct str){0}, STR("a"));
    assert_string_equal("/a filter=lfs diff=lfs merge=lfs -text\n", arena_cstr(&arena, text));
}

/* Limits. */

static struct str repeated(const char *piece, size_t count)
{
    auto_buf struct buf text = {0};
    for (size_t i = 0; i < count; i++)
        buf_str(&text, str_of(piece));
    return arena_copy(&arena, buf_view(&text));
}

static void ten_thousand_rules_are_read_and_one_more_is_not(void **state)
{
    struct attributes *attributes;
    struct ignore *ignore;
    struct error err;
    (void)state;
    assert_int_equal(OK, attributes_parse(&arena, repeated("a filter=lfs\n", RULES_LIMIT), &attributes, &err));
    assert_true(attributes_is_lfs(attributes, STR("x/a")));
    assert_int_equal(TOO_LARGE,
                     attributes_parse(&arena, repeated("a filter=lfs\n", RULES_LIMIT + 1), &attributes, &err));
    assert_int_equal(OK, attributes_parse(&arena, repeated("a text\n", RULES_LIMIT + 1), &attributes, &err));
    assert_int_equal(OK, ignore_parse(&arena, repeated("a\n", RULES_LIMIT), &ignore, &err));
    assert_int_equal(TOO_LARGE, ignore_parse(&arena, repeated("a\n", RULES_LIMIT + 1), &ignore, &err));
}

static void a_megabyte_is_read_and_one_byte_more_is_not(void **state)
{
    struct attributes *attributes;
    struct ignore *ignore;
    (void)state;
    struct str text = repeated("#", RULES_TEXT_LIMIT + 1), fits = str_slice(text, 0, RULES_TEXT_LIMIT);
    assert_int_equal(OK, attributes_parse(&arena, fits, &attributes, NULL));
    assert_int_equal(TOO_LARGE, attributes_parse(&arena, text, &attributes, NULL));
    assert_int_equal(OK, ignore_parse(&arena, fits, &ignore, NULL));
    assert_int_equal(TOO_LARGE, ignore_parse(&arena, text, &ignore, NULL));
}

static void a_line_that_git_finds_too_long_is_ignored(void **state)
{
    (void)state;
    struct str pad = repeated(" ", 2048);
    struct str fits = arena_printf(&arena, "a%.*sfilter=lfs", (int)(2047 - 11), pad.data);
    struct str beyond = arena_printf(&arena, "a%.*sfilter=lfs", (int)(2048 - 11), pad.data);
    assert_true(is_lfs(fits.data, "a"));
    assert_false(is_lfs(beyond.data, "a"));
    must_agree_on_lfs(fits, table_paths, 1);
    must_agree_on_lfs(beyond, table_paths, 1);
}

/* Without a bound this would take minutes. */
static void rules_that_would_take_for_ever_stop_matching(void **state)
{
    struct ignore *ignore;
    (void)state;
    struct str stars = repeated("*a*a*a*a*a*a*a*/*a*a*a*a*a*a*a*b?\n", 9000);
    struct str text = arena_printf(&arena, "x*y\n%.*s", STR_ARG(stars));
    assert_int_equal(OK, ignore_parse(&arena, text, &ignore, NULL));
    assert_false(ignore_matches(ignore, repeated("a/", 511)));
    assert_false(ignore_matches(ignore, STR("a")));
    assert_true(ignore_matches(ignore, STR("xy")));
}

static void absent_and_empty_texts_have_no_rules(void **state)
{
    struct attributes *attributes;
    struct ignore *ignore;
    (void)state;
    assert_int_equal(OK, attributes_parse(&arena, (struct str){0}, &attributes, NULL));
    assert_false(attributes_is_lfs(attributes, STR("a")));
    assert_int_equal(OK, ignore_parse(&arena, (struct str){0}, &ignore, NULL));
    assert_false(ignore_matches(ignore, STR("a")));
    assert_false(is_lfs("", "a"));
    assert_false(is_ignored("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_attributes_agree_with_git),
        cmocka_unit_test(tables_of_exclusions_agree_with_git),
        cmocka_unit_test(random_attributes_agree_with_git),
        cmocka_unit_test(random_exclusions_agree_with_git),
        cmocka_unit_test(an_added_rule_makes_git_take_exactly_this_path_for_large),
        cmocka_unit_test(an_added_rule_leaves_the_others_as_they_are),
        cmocka_unit_test(ten_thousand_rules_are_read_and_one_more_is_not),
        cmocka_unit_test(a_megabyte_is_read_and_one_byte_more_is_not),
        cmocka_unit_test(a_line_that_git_finds_too_long_is_ignored),
        cmocka_unit_test(rules_that_would_take_for_ever_stop_matching),
        cmocka_unit_test(absent_and_empty_texts_have_no_rules),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

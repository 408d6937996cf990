/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include "check.h"

struct row {
    const char *pattern, *path;
};

static void all_match(bool expected, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str pattern = exact(str_of(rows[i].pattern)), path = exact(str_of(rows[i].path));
        if (glob_match(pattern, path) != expected)
            broken("\"%s\" %s \"%s\"", rows[i].pattern, expected ? "does not match" : "matches", rows[i].path);
        done(pattern);
        done(path);
    }
}

static void a_pattern_matches_what_gitignore_says(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"", ""},
        {"a", "a"},
        {"*", "a.bin"},
        {"*", ""},
        {"*.bin", "model.bin"},
        {"*.bin", ".bin"},
        {"a*b*c", "a1b2b3c"},
        {"a?c", "abc"},
        {"[a-c]x", "bx"},
        {"[!a-c]x", "dx"},
        {"[^a-c]x", "dx"},
        {"[]x]", "]"},
        {"[a-]", "-"},
        {"[\\]]", "]"},
        {"\\*", "*"},
        {"\\?\\[\\\\", "?[\\"},
        {"a/*/c", "a/b/c"},
        {"**", "a/b/c"},
        {"**/foo", "foo"},
        {"**/foo", "a/b/foo"},
        {"a/**", "a/b"},
        {"a/**", "a/b/c"},
        {"a/**/b", "a/b"},
        {"a/**/b", "a/x/y/b"},
        {"**/a/**/b/*.c", "x/a/y/b/z.c"},
        {"**/*.bin", "x.bin"},
        {"**/**/x", "x"},
        {"x*/**/y*", "x1/a/b/y2"},
        {"**/a*b/c", "ab/x/a1b/c"},
        {"na\xC3\xAFve*", "na\xC3\xAFve.txt"},
    };
    all_match(true, rows, COUNT(rows));
}

static void a_pattern_matches_nothing_else(void **state)
{
    (void)state;
    const struct row rows[] = {
        {"", "a"},
        {"a", ""},
        {"a", "A"},
        {"a", "ab"},
        {"*", "a/b"},
        {"*.bin", "a/b.bin"},
        {"*.bin", "a.bin.txt"},
        {"a?c", "a/c"},
        {"a?c", "ac"},
        {"a[/]c", "a/c"},
        {"a[!x]c", "a/c"},
        {"[a-c]x", "dx"},
        {"[!a-c]x", "ax"},
        {"\\*", "a"},
        {"a/*/c", "a/c"},
        {"a/*/c", "a/b/b/c"},
        {"**/foo", "xfoo"},
        {"**/foo", "foo/x"},
        {"a/**", "a"},
        {"a/**", "b/a/c"},
        {"a/**/b", "ab"},
        {"a/**/b", "a/xb"},
        {"a/**/b", "a/bx"},
        {"[z-a]", "m"},
    };
    all_match(false, rows, COUNT(rows));
}

/* Each of these takes longer than the age of the universe when every '*' is tried against every length. */
static void no_pattern_takes_exponential_time(void **state)
{
    (void)state;
    auto_buf struct buf stars = {0}, deep = {0}, name = {0}, folders = {0};
    while (stars.len + 2 < 1000)
        buf_str(&stars, STR("*a"));
    buf_str(&stars, STR("b"));
    while (deep.len + 5 < 1000)
        buf_str(&deep, STR("**/a/"));
    buf_str(&deep, STR("b"));
    while (name.len < 1000)
        buf_byte(&name, 'a');
    while (folders.len + 3 < 1000)
        buf_str(&folders, STR("a/"));
    buf_str(&folders, STR("a"));
    assert_false(glob_match(buf_view(&stars), buf_view(&name)));
    assert_false(glob_match(buf_view(&deep), buf_view(&folders)));
    buf_byte(&name, 'b');
    assert_true(glob_match(buf_view(&stars), buf_view(&name)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_matches_what_gitignore_says),
        cmocka_unit_test(a_pattern_matches_nothing_else),
        cmocka_unit_test(no_pattern_takes_exponential_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

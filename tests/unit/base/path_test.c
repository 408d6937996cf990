/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/path.h"

#include "check.h"

static enum status checked(struct str path, enum status (*check)(struct str, struct error *), struct error *err)
{
    struct str copy = exact(path);
    *err = (struct error){0};
    enum status status = check(copy, err);
    done(copy);
    return status;
}

static void all_are(enum status expected, enum status (*check)(struct str, struct error *), const struct str *paths,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error err;
        if (checked(paths[i], check, &err) != expected)
            broken("\"%.*s\": %s", STR_ARG(paths[i]), err.message[0] ? err.message : "accepted");
        assert_true(str_is_utf8(str_of(err.message)));
    }
}

static void awful_but_harmless_names_are_accepted(void **state)
{
    (void)state;
    const struct str good[] = {
        STR("a"),
        STR("README.md"),
        STR("a/b/c.txt"),
        STR(".gitattributes"),
        STR(".gitignore"),
        STR(".github/workflows/x.yml"),
        STR("foo.git"),
        STR("foo.git/bar"),
        STR(".gi"),
        STR(".gitx"),
        STR(".git2"),
        STR("git"),
        STR("git~"),
        STR("git~2"),
        STR("git~10"),
        STR("a.git"),
        STR("x.git:y"),
        STR("..."),
        STR("..a"),
        STR("a.."),
        STR(".a/..b"),
        STR("what? 100%: yes, no"),
        STR(" leading and trailing "),
        STR("a%2Fb"),
        STR("%00"),
        STR("*[x]\"<>|"),
        STR("na\xC3\xAFve/\xE6\x97\xA5\xE6\x9C\xAC/\xF0\x9F\xA4\x97.bin"),
        STR("nbsp\xC2\xA0here"),
        STR("g\xE2\x80\x8Cit"), /* ignorable on HFS+, but folds to "git" */
        STR("a:b"),
        STR("-rf"),
        STR("~"),
    };
    all_are(OK, path_check, good, COUNT(good));
}

static void paths_that_leave_their_place_are_refused(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),      {NULL, 0},     STR("/"),    STR("/a"),      STR("a/"),          STR("a//b"),
        STR("."),     STR(".."),     STR("./a"),  STR("../a"),    STR("a/."),         STR("a/.."),
        STR("a/./b"), STR("a/../b"), STR("a\\b"), STR("..\\ddd"), STR("\\\\host\\x"),
    };
    all_are(UNPROCESSABLE, path_check, bad, COUNT(bad));
}

static void everything_that_some_file_system_takes_for_dot_git_is_refused(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(".git"),
        STR(".git/config"),
        STR("a/.git/b"),
        STR("a/.git"),
        STR(".GIT"),
        STR(".gIt/x"),
        STR(".git."),
        STR(".git "),
        STR(".git. . ."),
        STR(".git.../x"),
        STR("git~1"),
        STR("GIT~1/config"),
        STR("git~1 ."),
        STR("git~1:x"),
        STR(".git:stream"),
        STR(".git::$INDEX_ALLOCATION/config"),
        STR(".git .:x"),
        STR(".g\xE2\x80\x8Cit"),
        STR("\xEF\xBB\xBF.git"),
        STR(".git\xE2\x80\x8F"),
        STR(".\xE2\x80\xAAg\xE2\x80\xAEi\xE2\x81\xAAT\xE2\x81\xAF/x"),
        STR(".git\xE2\x80\x8D."),
    };
    all_are(UNPROCESSABLE, path_check, bad, COUNT(bad));
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR("a\0b"),
        STR("a\nb"),
        STR("a\rb"),
        STR("\x01"),
        STR("a\x1F"),
        STR("a\x7F"),
        STR("a\xC2\x9B"
            "b"),
        STR("\xC2\x80"),
        STR("\xFF"),
        STR("a/\xC0\xAF/b"),
        STR("\xED\xA0\x80"),
        STR("a\xC3"),
    };
    all_are(UNPROCESSABLE, path_check, bad, COUNT(bad));
}

static void the_limits_are_exact(void **state)
{
    (void)state;
    char path[PATH_LIMIT + 1];
    memset(path, 'a', sizeof path);
    struct error err;
    assert_int_equal(checked((struct str){path, PATH_NAME_LIMIT}, path_check, &err), OK);
    assert_int_equal(checked((struct str){path, PATH_NAME_LIMIT + 1}, path_check, &err), UNPROCESSABLE);
    for (size_t i = 200; i < sizeof path - 1; i += 200)
        path[i] = '/';
    assert_int_equal(checked((struct str){path, PATH_LIMIT}, path_check, &err), OK);
    assert_int_equal(checked((struct str){path, PATH_LIMIT + 1}, path_check, &err), UNPROCESSABLE);
}

static void a_long_refused_path_still_leaves_room_for_the_reason(void **state)
{
    (void)state;
    char path[900];
    memset(path, 'a', sizeof path);
    for (size_t i = 100; i < sizeof path; i += 100)
        path[i] = '/';
    memcpy(path + 896, "/.//", 4);
    struct error err;
    assert_int_equal(checked((struct str){path, sizeof path}, path_check, &err), UNPROCESSABLE);
    assert_true(str_ends(str_of(err.message), STR("are not names of files or folders.")));
}

static void a_message_cuts_a_path_between_characters(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        auto_buf struct buf path = {0};
        buf_printf(&path, "../%.*s", shift, "aaa");
        while (path.len < 500)
            buf_str(&path, STR("\xF0\x9F\xA4\x97"));
        const struct str bad = buf_view(&path);
        assert_true(str_is_utf8(bad));
        all_are(UNPROCESSABLE, path_check, &bad, 1);
    }
}

static void names_that_git_accepts_for_branches_and_tags_are_accepted(void **state)
{
    (void)state;
    const struct str good[] = {
        STR("main"),     STR("feat/x"), STR("v1.0"), STR("refs/pr/1"), STR("a@b"),
        STR("a/@"),      STR("@a"),     STR("head"), STR("HEAD/x"),    STR("x.locked"),
        STR("a.lock.b"), STR("a-"),     STR("a{b"),  STR("a%b,c;d"),   STR("\xC3\xA9t\xC3\xA9"),
        STR("a.b/c.d"),  STR("#1"),     STR("x]"),
    };
    all_are(OK, ref_name_check, good, COUNT(good));
}

static void names_that_git_refuses_for_branches_and_tags_are_refused(void **state)
{
    (void)state;
    const struct str bad[] = {
        STR(""),      {NULL, 0},   STR("@"),     STR("HEAD"), STR("-a"),   STR("/a"),     STR("a/"),       STR("a//b"),
        STR(".a"),    STR("a/.b"), STR("a."),    STR("a..b"), STR("a b"),  STR("a~1"),    STR("a^"),       STR("a:b"),
        STR("a?"),    STR("a*"),   STR("a[b"),   STR("a\\b"), STR("a@{b"), STR("a.lock"), STR("a.lock/b"), STR("a\tb"),
        STR("a\x7F"), STR("a\0b"), STR("a\xFF"), STR("/"),    STR("."),    STR(".."),
    };
    all_are(INVALID, ref_name_check, bad, COUNT(bad));
}

static void a_ref_name_has_at_most_255_bytes(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'a', sizeof name);
    struct error err;
    assert_int_equal(checked((struct str){name, 255}, ref_name_check, &err), OK);
    assert_int_equal(checked((struct str){name, 256}, ref_name_check, &err), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(awful_but_harmless_names_are_accepted),
        cmocka_unit_test(paths_that_leave_their_place_are_refused),
        cmocka_unit_test(everything_that_some_file_system_takes_for_dot_git_is_refused),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(the_limits_are_exact),
        cmocka_unit_test(a_long_refused_path_still_leaves_room_for_the_reason),
        cmocka_unit_test(a_message_cuts_a_path_between_characters),
        cmocka_unit_test(names_that_git_accepts_for_branches_and_tags_are_accepted),
        cmocka_unit_test(names_that_git_refuses_for_branches_and_tags_are_refused),
        cmocka_unit_test(a_ref_name_has_at_most_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

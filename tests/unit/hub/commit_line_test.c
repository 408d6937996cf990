/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line of a commit's NDJSON body. */
#include "hub/commit_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct reading {
    struct arena arena;
    struct buf content;
    struct commit_line line;
    struct error err;
};

static enum status read_line(struct reading *r, const char *text)
{
    return commit_line_parse(&r->arena, str_of(text), &r->line, &r->content, &r->err);
}

static int begin(void **state)
{
    *state = calloc(1, sizeof(struct reading));
    return 0;
}

static int end(void **state)
{
    struct reading *r = *state;
    arena_free(&r->arena);
    buf_free(&r->content);
    free(r);
    return 0;
}

static void a_header_carries_summary_description_and_parent(void **state)
{
    struct reading *r = *state;
    assert_int_equal(
        OK,
        read_line(
            r, "{\"key\":\"header\",\"value\":{\"summary\":\"s\",\"description\":\"\",\"parentCommit\":\"abcde\"}}"));
    assert_int_equal(LINE_HEADER, r->line.kind);
    assert_true(str_eq(r->line.summary, STR("s")));
    assert_true(str_given(r->line.description) && r->line.description.len == 0);
    assert_true(str_eq(r->line.parent_commit, STR("abcde")));
}

static void a_header_without_summary_or_with_a_bad_parent_is_refused(void **state)
{
    struct reading *r = *state;
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"header\",\"value\":{}}"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"header\",\"value\":{\"summary\":\"  \"}}"));
    assert_int_equal(INVALID,
                     read_line(r, "{\"key\":\"header\",\"value\":{\"summary\":\"s\",\"parentCommit\":\"abcd\"}}"));
    assert_int_equal(INVALID,
                     read_line(r, "{\"key\":\"header\",\"value\":{\"summary\":\"s\",\"parentCommit\":\"wxyz0\"}}"));
}

static void a_message_has_a_limit(void **state)
{
    struct reading *r = *state;
    char most[MESSAGE_LIMIT + 1];
    memset(most, 'a', MESSAGE_LIMIT);
    most[MESSAGE_LIMIT] = '\0';
    struct str fits = arena_printf(&r->arena, "{\"key\":\"header\",\"value\":{\"summary\":\"%s\"}}", most);
    struct str over =
        arena_printf(&r->arena, "{\"key\":\"header\",\"value\":{\"summary\":\"%s\",\"description\":\"b\"}}", most);
    assert_int_equal(OK, read_line(r, fits.data));
    assert_int_equal(TOO_LARGE, read_line(r, over.data));
}

static void a_file_is_decoded(void **state)
{
    struct reading *r = *state;
    assert_int_equal(
        OK,
        read_line(r, "{\"key\":\"file\",\"value\":{\"path\":\"a/b\",\"content\":\"aGk=\",\"encoding\":\"base64\"}}"));
    assert_true(str_eq(buf_view(&r->content), STR("hi")));
    assert_int_equal(
        OK,
        read_line(r, "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"\\u00e9\",\"encoding\":\"utf-8\"}}"));
    assert_true(str_eq(buf_view(&r->content), STR("\xc3\xa9")));
}

static void a_file_with_broken_base64_or_an_unknown_encoding_is_refused(void **state)
{
    struct reading *r = *state;
    assert_int_equal(
        INVALID,
        read_line(r, "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"aGk\",\"encoding\":\"base64\"}}"));
    assert_int_equal(
        INVALID,
        read_line(r, "{\"key\":\"file\",\"value\":{\"path\":\"a\",\"content\":\"a\",\"encoding\":\"rot13\"}}"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"file\",\"value\":{\"path\":\"a\"}}"));
}

static void paths_that_git_cannot_hold_are_refused(void **state)
{
    static const char *const bad[] = {"../a", "a/../b", "/a", ".git/config", "a//b", "..\\\\ddd", "a\\u0000b", ""};
    struct reading *r = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[128];
        snprintf(line, sizeof line, "{\"key\":\"deletedFile\",\"value\":{\"path\":\"%s\"}}", bad[i]);
        assert_int_not_equal(OK, read_line(r, line));
    }
}

static void a_large_file_may_leave_its_size_out_but_not_its_name(void **state)
{
    struct reading *r = *state;
    assert_int_equal(OK, read_line(r, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"m\",\"algo\":\"sha256\",\"oid\":"
                                      "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}"));
    assert_int_equal(-1, r->line.size);
    assert_int_equal(0xe3, r->line.sha256[0]);
    assert_int_equal(INVALID,
                     read_line(r, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"m\",\"oid\":\"e3b0\",\"size\":1}}"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"lfsFile\",\"value\":{\"path\":\"m\",\"algo\":\"md5\",\"oid\":"
                                           "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}}"));
}

static void a_folder_may_end_in_a_slash(void **state)
{
    struct reading *r = *state;
    assert_int_equal(OK, read_line(r, "{\"key\":\"deletedFolder\",\"value\":{\"path\":\"a/b/\"}}"));
    assert_true(str_eq(r->line.path, STR("a/b")));
}

static void what_is_not_an_operation_is_refused(void **state)
{
    struct reading *r = *state;
    assert_int_equal(INVALID, read_line(r, "[]"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"chmod\",\"value\":{}}"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"file\",\"value\":1}"));
    assert_int_equal(INVALID, read_line(r, "{\"key\":\"file\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_header_carries_summary_description_and_parent),
        TEST(a_header_without_summary_or_with_a_bad_parent_is_refused),
        TEST(a_message_has_a_limit),
        TEST(a_file_is_decoded),
        TEST(a_file_with_broken_base64_or_an_unknown_encoding_is_refused),
        TEST(paths_that_git_cannot_hold_are_refused),
        TEST(a_large_file_may_leave_its_size_out_but_not_its_name),
        TEST(a_folder_may_end_in_a_slash),
        TEST(what_is_not_an_operation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

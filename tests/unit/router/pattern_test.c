/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a pattern finds in a path. */
#include "router/pattern.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static struct pattern_match must_match(const char *pattern, const char *path)
{
    struct pattern_match m;
    if (!pattern_match(&arena, pattern, str_of(path), &m))
        fail_msg("%s does not match %s", pattern, path);
    return m;
}

static void must_not_match(const char *pattern, const char *path)
{
    struct pattern_match m;
    if (pattern_match(&arena, pattern, str_of(path), &m))
        fail_msg("%s matches %s", pattern, path);
}

#define assert_str(expected, actual) assert_string_equal(expected, arena_cstr(&arena, actual))

static void literal_paths_match_themselves_only(void **state)
{
    (void)state;
    must_match("/healthz", "/healthz");
    must_match("/", "/");
    must_not_match("/healthz", "/healthz/");
    must_not_match("/healthz", "/health");
    must_not_match("/", "/x");
    must_not_match("/x", "x");
}

static void an_api_pattern_finds_kind_and_repo(void **state)
{
    (void)state;
    struct pattern_match m = must_match("/api/{api}/refs", "/api/datasets/org/name/refs");
    assert_int_equal(KIND_DATASET, m.kind);
    assert_str("org", m.ns);
    assert_str("name", m.name);
    must_not_match("/api/{api}/refs", "/api/dataset/org/name/refs");
    must_not_match("/api/{api}/refs", "/api/books/org/name/refs");
}

static void a_one_segment_id_is_a_repo_without_a_name(void **state)
{
    (void)state;
    struct pattern_match m = must_match("/api/{api}", "/api/models/bert");
    assert_true(m.has_repo && !str_given(m.name));
    assert_str("bert", m.ns);
    m = must_match("/{web}/resolve/{rev}/{path*}", "/bert/resolve/main/config.json");
    assert_false(str_given(m.name));
}

static void web_addresses_of_models_have_no_prefix(void **state)
{
    (void)state;
    struct pattern_match m = must_match("/{web}/resolve/{rev}/{path*}", "/a/b/resolve/main/x%20y/z");
    assert_int_equal(KIND_MODEL, m.kind);
    assert_str("x y/z", m.params[1]);
    m = must_match("/{web}/resolve/{rev}/{path*}", "/spaces/a/b/resolve/main/z");
    assert_int_equal(KIND_SPACE, m.kind);
}

static void a_revision_is_decoded_after_splitting(void **state)
{
    (void)state;
    struct pattern_match m = must_match("/api/{api}/tree/{rev}/{path*}", "/api/models/a/b/tree/feat%2Fx/p%2Fq");
    assert_str("feat/x", m.params[0]);
    assert_str("p/q", m.params[1]);
    m = must_match("/api/{api}/tree/{rev}/{path*}", "/api/models/a/b/tree/main");
    assert_int_equal(0, m.params[1].len);
}

static void pull_request_refs_may_stand_unescaped(void **state)
{
    (void)state;
    struct pattern_match m = must_match("/{web}/resolve/{rev}/{path*}", "/a/b/resolve/refs/pr/12/f");
    assert_str("refs/pr/12", m.params[0]);
    assert_str("f", m.params[1]);
    m = must_match("/{web}/resolve/{rev}/{path*}", "/a/b/resolve/refs%2Fpr%2F12/f");
    assert_str("refs/pr/12", m.params[0]);
    m = must_match("/{web}/resolve/{rev}/{path*}", "/a/b/resolve/refs/heads/f");
    assert_str("refs", m.params[0]);
}

static void a_git_suffix_is_taken_off(void **state)
{
    (void)state;
    const char *pattern = "/{web}.git/info/lfs/objects/batch";
    struct pattern_match m = must_match(pattern, "/a/b.git/info/lfs/objects/batch");
    assert_str("b", m.name);
    must_not_match(pattern, "/a/b/info/lfs/objects/batch");
    must_not_match(pattern, "/a/.git/info/lfs/objects/batch");
    must_not_match(pattern, "/.git/info/lfs/objects/batch");
}

static void the_place_of_the_repo_is_known_for_redirects(void **state)
{
    (void)state;
    const char *path = "/datasets/a/b/resolve/main/f";
    struct pattern_match m = must_match("/{web}/resolve/{rev}/{path*}", path);
    assert_memory_equal("a/b", path + m.repo_start, m.repo_end - m.repo_start);
    assert_int_equal(3, m.repo_end - m.repo_start);
}

static void bad_escapes_and_empty_segments_match_nothing(void **state)
{
    (void)state;
    must_not_match("/api/{api}/tree/{rev}/{path*}", "/api/models/a/b/tree/%zz");
    must_not_match("/api/{api}/tree/{rev}/{path*}", "/api/models/a/b/tree/main/%00");
    must_not_match("/api/{api}", "/api/models//b");
    must_not_match("/api/{api}/refs", "/api/models/a/b/refs/");
}

static int end(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_paths_match_themselves_only),
        cmocka_unit_test(an_api_pattern_finds_kind_and_repo),
        cmocka_unit_test(a_one_segment_id_is_a_repo_without_a_name),
        cmocka_unit_test(web_addresses_of_models_have_no_prefix),
        cmocka_unit_test(a_revision_is_decoded_after_splitting),
        cmocka_unit_test(pull_request_refs_may_stand_unescaped),
        cmocka_unit_test(a_git_suffix_is_taken_off),
        cmocka_unit_test(the_place_of_the_repo_is_known_for_redirects),
        cmocka_unit_test(bad_escapes_and_empty_segments_match_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}

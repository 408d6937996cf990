/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listings, histories, and which commit last changed a path. */
#include "fixture.h"

static enum status list(struct place *p, const char *revision, const char *folder, const struct listing *how,
                        struct entry **entries, size_t *count, bool *more)
{
    auto_conn struct db_conn *conn = reader(p);
    struct oid commit = resolve(p, revision).commit;
    return entry_list(conn, &p->arena, p->repo.id, &commit, str_of(folder), how, entries, count, more, &p->err);
}

static const char *flat(struct place *p, const char *folder)
{
    struct listing how = {.limit = 1000};
    struct entry *entries;
    size_t count;
    bool more;
    assert_ok(p, list(p, "main", folder, &how, &entries, &count, &more));
    return paths_of(p, entries, count);
}

/* All pages of a listing, joined. */
static const char *paged(struct place *p, const char *folder, bool recursive, int64_t limit)
{
    struct listing how = {.recursive = recursive, .last_commit = true, .limit = limit};
    struct str text = STR("");
    bool more = true;
    while (more) {
        struct entry *entries;
        size_t count;
        assert_ok(p, list(p, "main", folder, &how, &entries, &count, &more));
        assert_true(count == (size_t)limit || !more);
        assert_true(count > 0);
        text = arena_printf(&p->arena, "%.*s%s%s", STR_ARG(text), text.len ? " " : "", paths_of(p, entries, count));
        how.after = entries[count - 1].path;
    }
    return arena_cstr(&p->arena, text);
}

static void a_listing_has_files_and_folders_in_the_order_of_git(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a/x=1", "+a.txt=2", "+a-b=3", "+a0=4", "+b/c/d=5", "-.gitattributes");
    assert_string_equal(flat(p, ""), "a-b a.txt a/ a0 b/");
    assert_string_equal(flat(p, "b"), "b/c/");
    assert_string_equal(flat(p, "b/c"), "b/c/d");
    assert_string_equal(files(p, "main"), "a-b a.txt a/ a/x a0 b/ b/c/ b/c/d");
}

static void sizes_are_those_of_the_files_not_of_their_pointers(void **state)
{
    struct place *p = *state;
    uint8_t sha256[SHA256_SIZE];
    commit_to("main", "add", "+text=hello", "*models/w.bin", "+empty=", "-.gitattributes");
    fake_sha256("models/w.bin", sha256);
    struct entry large = find(p, "main", "models/w.bin"), text = find(p, "main", "text"), root = find(p, "main", "");
    assert_true(large.is_lfs);
    assert_int_equal(large.size, 12);
    assert_int_equal(large.pointer_size, strlen(content(p, "main", "models/w.bin")));
    assert_memory_equal(large.sha256, sha256, sizeof sha256);
    assert_false(text.is_lfs);
    assert_int_equal(text.size, 5);
    assert_string_equal(hex_of(p, text.oid), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"); /* git hash-object */
    assert_int_equal(find(p, "main", "empty").size, 0);
    assert_true(root.is_folder);
    assert_int_equal(find(p, "main", "models").size, 0);
    assert_true(find(p, "main", "models").is_folder);
}

static void a_path_that_is_not_there_is_not_found(void **state)
{
    struct place *p = *state;
    struct listing how = {.limit = 10};
    struct entry *entries;
    size_t count;
    bool more;
    commit_to("main", "add", "+dir/a=1");
    const char *const bad[] = {"b", "dir/b", "dir/a/x", "di", "dir/", "/dir", "dir//a", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_failure(find_error(p, "main", bad[i]), NOT_FOUND, bad[i]);
        assert_string_equal(p->err.code, "EntryNotFound");
        assert_failure(list(p, "main", bad[i], &how, &entries, &count, &more), NOT_FOUND, bad[i]);
    }
    assert_failure(list(p, "main", "dir/a", &how, &entries, &count, &more), NOT_FOUND, "dir/a");
    assert_ok(p, list(p, "main", "dir", &how, &entries, &count, &more));
}

static void pages_together_are_the_whole(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a/x=1", "+a/y/z=1", "+a/y/zz=1", "+a.txt=2", "+a-b=3", "+a0=4", "+b/c/d=5", "+b/c/e/f=5",
              "+b/c/e.f=5", "+b/c/e-f=5", "+z=1");
    const char *whole = paged(p, "", true, 1000), *top = paged(p, "", false, 1000), *below = paged(p, "b", true, 1000);
    assert_string_equal(whole, files(p, "main"));
    assert_string_equal(below, "b/c/ b/c/d b/c/e-f b/c/e.f b/c/e/ b/c/e/f");
    for (int64_t limit = 1; limit < 20; limit++) {
        assert_string_equal(paged(p, "", true, limit), whole);
        assert_string_equal(paged(p, "", false, limit), top);
        assert_string_equal(paged(p, "b", true, limit), below);
    }
}

static void a_page_goes_on_when_the_last_path_is_gone(void **state)
{
    struct place *p = *state;
    struct listing how = {.recursive = true, .limit = 100};
    struct entry *entries;
    size_t count;
    bool more;
    commit_to("main", "add", "+a=1", "+c/x=1", "+c/z=1", "+e=1", "-.gitattributes");
    const struct {
        struct str after;
        const char *rest;
    } table[] = {
        {STR("b"), "c/ c/x c/z e"},
        {STR("b/deep/er"), "c/ c/x c/z e"},
        {STR("c/y"), "c/z e"},
        {STR("c/y/deep"), "c/z e"},
        {STR("d"), "e"},
        {STR("zz"), ""},
        {STR(""), "a c/ c/x c/z e"},
        {STR("c"), "c/x c/z e"},
        {STR("c/z"), "e"},
        {STR("e/was/folder"), ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        how.after = table[i].after;
        assert_ok(p, list(p, "main", "", &how, &entries, &count, &more));
        assert_false(more);
        assert_string_equal(paths_of(p, entries, count), table[i].rest);
    }
}

static void a_limit_of_nothing_lists_nothing(void **state)
{
    struct place *p = *state;
    struct listing how = {.limit = 0};
    struct entry *entries;
    size_t count;
    bool more;
    assert_ok(p, list(p, "main", "", &how, &entries, &count, &more));
    assert_int_equal(count, 0);
    assert_true(more);
}

static void each_path_knows_the_commit_that_changed_it_last(void **state)
{
    struct place *p = *state;
    commit_to("main", "one", "+a=1", "+b=1", "+dir/x=1", "+dir/sub/y=1");
    commit_to("main", "two", "+b=2", "+dir/sub/y=2");
    commit_to("main", "three", "-a", "+c=1");
    commit_to("main", "four", "+a=1");
    commit_to("main", "five", "-c", "+c/file=1");
    commit_to("main", "six", "-c", "+c=1");
    const struct {
        const char *path, *title;
    } table[] = {
        {"a", "four"},
        {"b", "two"},
        {"dir", "two"},
        {"dir/x", "one"},
        {"dir/sub", "two"},
        {"dir/sub/y", "two"},
        {".gitattributes", "initial commit"},
        {"c", "six"},
        {"", "six"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(last_title(p, "main", table[i].path), table[i].title);
}

static void branches_do_not_see_each_others_commits(void **state)
{
    struct place *p = *state;
    commit_to("main", "base", "+a=1", "+b=1");
    branch_from(p, "dev", "main");
    commit_to("dev", "dev a", "+a=2");
    commit_to("main", "main b", "+b=2");
    commit_to("dev", "dev b", "+b=3");
    branch_from(p, "late", "dev");
    commit_to("main", "main a", "+a=4");
    assert_string_equal(last_title(p, "main", "a"), "main a");
    assert_string_equal(last_title(p, "main", "b"), "main b");
    assert_string_equal(last_title(p, "dev", "a"), "dev a");
    assert_string_equal(last_title(p, "dev", "b"), "dev b");
    assert_string_equal(last_title(p, "late", "a"), "dev a");
    const char *old = hex_of(p, find(p, "dev", "a").last_commit->parents[0]);
    assert_string_equal(last_title(p, old, "a"), "base");
}

static void a_copied_folder_belongs_to_the_commit_that_copied_it(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+dir/x=1", "+dir/y=1");
    struct entry folder = find(p, "main", "dir");
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, "copy", &head.commit);
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_put_entry(draft, STR("copy"), &folder, &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    assert_string_equal(last_title(p, "main", "copy/x"), "copy");
    assert_string_equal(last_title(p, "main", "dir/x"), "add");
}

static void history_is_listed_newest_first_in_pages(void **state)
{
    struct place *p = *state;
    for (int i = 1; i <= 9; i++) {
        struct str change = arena_printf(&p->arena, "+a=%d", i);
        commit_to("main", arena_cstr(&p->arena, arena_printf(&p->arena, "c%d", i)), arena_cstr(&p->arena, change));
    }
    auto_conn struct db_conn *conn = reader(p);
    struct oid head = resolve(p, "main").commit;
    for (int64_t skip = 0; skip < 12; skip += 3) {
        struct commit *commits;
        size_t count;
        int64_t total;
        assert_ok(p, commit_list(conn, &p->arena, p->repo.id, &head, skip, 3, &commits, &count, &total, &p->err));
        assert_int_equal(total, 10);
        assert_int_equal(count, skip == 9 ? 1 : 3);
        for (size_t i = 0; i < count && skip + (int64_t)i < 9; i++)
            assert_str(commits[i].title, arena_cstr(&p->arena, arena_printf(&p->arena, "c%d", 9 - (int)skip - (int)i)));
    }
    struct oid nothing = {{7}};
    struct commit *commits, one;
    size_t count;
    assert_failure(commit_list(conn, &p->arena, p->repo.id, &nothing, 0, 3, &commits, &count, NULL, &p->err), NOT_FOUND,
                   "Invalid rev id");
    assert_failure(commit_get(conn, &p->arena, p->repo.id, &nothing, &one, &p->err), NOT_FOUND, "Invalid rev id");
}

/* Nothing makes merges yet; pushes will. The rows of one are put here by hand: m has the parents a2 (first) and b1. */
static void a_merge_lists_both_sides_and_counts_as_the_change_it_brings(void **state)
{
    struct place *p = *state;
    commit_to("main", "base", "+a=1", "+b=1");
    branch_from(p, "side", "main");
    commit_to("side", "b1", "+b=2");
    commit_to("main", "a2", "+a=2");
    struct oid a2 = resolve(p, "main").commit, b1 = resolve(p, "side").commit;
    commit_to("main", "m", "+b=2");
    struct str sql = arena_printf(&p->arena, "UPDATE commit_row SET parents = x'%s%s', history = 5 WHERE title = 'm'",
                                  hex_of(p, a2), hex_of(p, b1));
    damage(p, arena_cstr(&p->arena, sql));
    auto_conn struct db_conn *conn = reader(p);
    struct oid head = resolve(p, "main").commit;
    struct commit *commits;
    size_t count;
    struct str titles = STR("");
    assert_ok(p, commit_list(conn, &p->arena, p->repo.id, &head, 0, 100, &commits, &count, NULL, &p->err));
    for (size_t i = 0; i < count; i++)
        titles = arena_printf(&p->arena, "%.*s %.*s", STR_ARG(titles), STR_ARG(commits[i].title));
    assert_str(titles, " m a2 b1 base initial commit");
    assert_int_equal(commits[0].parent_count, 2);
    assert_string_equal(last_title(p, "main", "b"), "m");
    assert_string_equal(last_title(p, "side", "b"), "b1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_listing_has_files_and_folders_in_the_order_of_git),
        test(sizes_are_those_of_the_files_not_of_their_pointers),
        test(a_path_that_is_not_there_is_not_found),
        test(pages_together_are_the_whole),
        test(a_page_goes_on_when_the_last_path_is_gone),
        test(a_limit_of_nothing_lists_nothing),
        test(each_path_knows_the_commit_that_changed_it_last),
        test(branches_do_not_see_each_others_commits),
        test(a_copied_folder_belongs_to_the_commit_that_copied_it),
        test(history_is_listed_newest_first_in_pages),
        test(a_merge_lists_both_sides_and_counts_as_the_change_it_brings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

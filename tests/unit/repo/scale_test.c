/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Large commits and long histories. Nothing here looks at a clock; what is quadratic shows as a test that does not end.
 */
#include "base/time.h"
#include "fixture.h"

#define MANY 100000

static struct draft *draft_on(struct place *p)
{
    struct draft *draft;
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    return draft;
}

static void put_number(struct place *p, struct draft *draft, const char *format, int a, int b, bool large)
{
    char path[64];
    uint8_t digest[SHA256_SIZE] = {0};
    int len = snprintf(path, sizeof path, format, a, b);
    struct str name = {path, (size_t)len};
    memcpy(digest, &a, sizeof a);
    memcpy(digest + 8, &b, sizeof b);
    assert_ok(p, large ? draft_put_pointer(draft, name, digest, a, &p->err) : draft_put(draft, name, name, &p->err));
}

static void finish(struct place *p, struct draft *draft, const char *title)
{
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, title, &head.commit);
    struct oid commit;
    bool unchanged;
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_false(unchanged);
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    draft_free(&draft);
}

/* What a step took, for whoever reads the log. */
static void lap(int64_t *since, const char *what)
{
    int64_t now = monotonic_us();
    print_message("    %-40s %6lld ms\n", what, (long long)((now - *since) / 1000));
    *since = now;
}

static size_t list_all(struct place *p, const char *folder, bool recursive, bool last_commit, int64_t limit,
                       size_t *pages)
{
    auto_conn struct db_conn *conn = reader(p);
    struct oid commit = resolve(p, "main").commit;
    struct listing how = {.recursive = recursive, .last_commit = last_commit, .limit = limit};
    size_t total = 0;
    bool more = true;
    for (*pages = 0; more; ++*pages) {
        auto_arena struct arena arena = {0};
        struct entry *entries;
        size_t count;
        assert_ok(
            p, entry_list(conn, &arena, p->repo.id, &commit, str_of(folder), &how, &entries, &count, &more, &p->err));
        total += count;
        if (count)
            how.after = arena_copy(&p->arena, entries[count - 1].path);
    }
    return total;
}

static void one_commit_takes_a_hundred_thousand_files_in_one_folder(void **state)
{
    struct place *p = *state;
    size_t pages;
    int64_t since = monotonic_us();
    struct draft *draft = draft_on(p);
    for (int i = 0; i < MANY; i++)
        put_number(p, draft, "shard-%06d-of-%06d", i, MANY, true);
    lap(&since, "put");
    finish(p, draft, "many");
    lap(&since, "build and apply");
    assert_int_equal(list_all(p, "", false, false, 10000, &pages), MANY + 1);
    assert_int_equal(pages, 11);
    lap(&since, "list in pages of 10000");
    assert_int_equal(list_all(p, "", true, true, INT64_MAX, &pages), MANY + 1);
    lap(&since, "list at once, with last commits");
    commit_to("main", "one more", "+one-more=1");
    lap(&since, "one more file");
    draft = draft_on(p);
    for (int i = 0; i < MANY; i += 2) {
        char path[64];
        int len = snprintf(path, sizeof path, "shard-%06d-of-%06d", i, MANY);
        assert_ok(p, draft_remove(draft, (struct str){path, (size_t)len}, &p->err));
    }
    finish(p, draft, "half");
    lap(&since, "remove half");
    assert_int_equal(list_all(p, "", true, false, INT64_MAX, &pages), MANY / 2 + 2);
}

static void one_commit_takes_a_hundred_thousand_files_in_a_thousand_folders(void **state)
{
    struct place *p = *state;
    size_t pages;
    int64_t since = monotonic_us();
    struct draft *draft = draft_on(p);
    for (int i = 0; i < MANY; i++)
        put_number(p, draft, "part/%04d/%06d.txt", i % 1000, i, false);
    lap(&since, "put");
    finish(p, draft, "many");
    lap(&since, "build and apply");
    assert_int_equal(list_all(p, "", true, false, 1000, &pages), MANY + 1000 + 2);
    lap(&since, "list in pages of 1000");
    assert_int_equal(list_all(p, "part", false, true, 1000, &pages), 1000);
    lap(&since, "list 1000 folders with last commits");
    commit_to("main", "one more", "+part/0500/one-more=1");
    lap(&since, "one more file");
    commit_to("main", "gone", "-part");
    lap(&since, "remove the folder");
    assert_int_equal(list_all(p, "", true, false, 1000, &pages), 1);
}

static void ten_thousand_entries_are_one_short_listing(void **state)
{
    struct place *p = *state;
    size_t pages;
    struct draft *draft = draft_on(p);
    for (int i = 0; i < 10000; i++)
        put_number(p, draft, "f%d.%d", i, i, true);
    finish(p, draft, "many");
    int64_t since = monotonic_us();
    assert_int_equal(list_all(p, "", false, false, INT64_MAX, &pages), 10001);
    lap(&since, "list 10000");
    list_all(p, "", false, false, INT64_MAX, &pages);
    lap(&since, "list 10000 again");
    list_all(p, "", false, true, INT64_MAX, &pages);
    lap(&since, "with last commits");
}

static void a_long_history_is_walked_once_for_a_page(void **state)
{
    struct place *p = *state;
    size_t pages;
    commit_to("main", "old", "+old/a=1", "+old/b=1", "+old/c=1");
    for (int i = 0; i < 1000; i++) {
        char change[32];
        snprintf(change, sizeof change, "+new=%d", i);
        commit_to("main", "new", change);
    }
    int64_t since = monotonic_us();
    assert_int_equal(list_all(p, "", true, true, INT64_MAX, &pages), 6);
    lap(&since, "last commits over 1000 commits");
    assert_string_equal(last_title(p, "main", "old/b"), "old");
    assert_string_equal(last_title(p, "main", "new"), "new");
    auto_conn struct db_conn *conn = reader(p);
    struct oid head = resolve(p, "main").commit;
    struct commit *commits;
    size_t count;
    int64_t total;
    since = monotonic_us();
    assert_ok(p, commit_list(conn, &p->arena, p->repo.id, &head, 990, 100, &commits, &count, &total, &p->err));
    lap(&since, "the last page of the history");
    assert_int_equal(total, 1002);
    assert_int_equal(count, 12);
    assert_ok(p, repo_delete(p->db, &p->repo, PERSON, &p->err));
    lap(&since, "delete the repo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(one_commit_takes_a_hundred_thousand_files_in_one_folder),
        test(one_commit_takes_a_hundred_thousand_files_in_a_thousand_folders),
        test(ten_thousand_entries_are_one_short_listing),
        test(a_long_history_is_walked_once_for_a_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a commit can do to a tree. */
#include "fixture.h"

static void a_commit_adds_changes_and_removes_files(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a.txt=one", "+dir/b.txt=two");
    assert_string_equal(files(p, "main"), ".gitattributes a.txt dir/ dir/b.txt");
    commit_to("main", "change", "+a.txt=three", "-dir/b.txt");
    assert_string_equal(files(p, "main"), ".gitattributes a.txt");
    assert_string_equal(content(p, "main", "a.txt"), "three");
}

static void the_last_change_of_a_path_counts(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a=1", "+a=2", "+b=1", "-b", "+c=1", "-c", "+c=2");
    assert_string_equal(files(p, "main"), ".gitattributes a c");
    assert_string_equal(content(p, "main", "a"), "2");
    assert_string_equal(content(p, "main", "c"), "2");
}

static void a_folder_is_deleted_and_filled_again_in_one_commit(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+dir/old=1", "+dir/sub/old=1", "+dir/kept=1");
    commit_to("main", "replace", "-dir", "+dir/new=2", "+dir/kept=1");
    assert_string_equal(files(p, "main"), ".gitattributes dir/ dir/kept dir/new");
}

static void a_folder_goes_with_its_last_file(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a/b/c/d=1", "+x=1");
    commit_to("main", "remove", "-a/b/c/d");
    assert_string_equal(files(p, "main"), ".gitattributes x");
    assert_failure(find_error(p, "main", "a"), NOT_FOUND, "a");
    commit_to("main", "file in its place", "+a=now a file");
    assert_string_equal(files(p, "main"), ".gitattributes a x");
}

static void a_file_becomes_a_folder_when_it_is_removed_first(void **state)
{
    struct place *p = *state;
    commit_to("main", "file", "+a=1");
    assert_failure(try_commit(p, "main", "folder", CHANGES("+a/b=1")), UNPROCESSABLE,
                   "a file where a folder is needed");
    assert_failure(try_commit(p, "main", "deep", CHANGES("+a/b/c=1")), UNPROCESSABLE,
                   "a file where a folder is needed");
    commit_to("main", "folder", "-a", "+a/b=1");
    assert_string_equal(files(p, "main"), ".gitattributes a/ a/b");
}

static void a_folder_becomes_a_file_when_it_is_removed_first(void **state)
{
    struct place *p = *state;
    commit_to("main", "folder", "+a/b=1", "+a/c=1");
    assert_failure(try_commit(p, "main", "file", CHANGES("+a=1")), UNPROCESSABLE, "a folder of this name");
    commit_to("main", "file", "-a", "+a=1");
    assert_string_equal(files(p, "main"), ".gitattributes a");
    commit_to("main", "and back, file by file", "-a", "+a/b=1");
    commit_to("main", "file", "-a/b", "+a=1");
    assert_string_equal(files(p, "main"), ".gitattributes a");
}

static void one_commit_cannot_make_a_path_both_file_and_folder(void **state)
{
    struct place *p = *state;
    assert_failure(try_commit(p, "main", "x", CHANGES("+a=1", "+a/b=1")), UNPROCESSABLE, "folder is needed");
    assert_failure(try_commit(p, "main", "x", CHANGES("+a/b=1", "+a=1")), UNPROCESSABLE, "a folder of this name");
    commit_to("main", "x", "+a=1", "-a", "+a/b=1");
    assert_string_equal(files(p, "main"), ".gitattributes a/ a/b");
}

static void removing_what_is_not_there_is_an_error(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+dir/a=1", "+file=1");
    const char *const missing[] = {"-nothing", "-dir/b", "-dir/a/b", "-file/x", "-nowhere/at/all"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        assert_failure(try_commit(p, "main", "x", CHANGES(missing[i])), NOT_FOUND,
                       "A file with this name doesn't exist");
        assert_string_equal(p->err.code, "EntryNotFound");
    }
    assert_failure(try_commit(p, "main", "twice", CHANGES("-file", "-file")), NOT_FOUND, "doesn't exist");
    assert_failure(try_commit(p, "main", "in it", CHANGES("-dir", "-dir/a")), NOT_FOUND, "doesn't exist");
    assert_string_equal(files(p, "main"), ".gitattributes dir/ dir/a file");
}

static void a_commit_that_changes_nothing_is_told_apart(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a=1", "+dir/b=2");
    struct revision head = resolve(p, "main");
    const char *const *const nothing[] = {CHANGES("+a=1"), CHANGES("-a", "+a=1"), CHANGES("+new=1", "-new"),
                                          CHANGES("+deep/er/new=1", "-deep"), CHANGES("-dir", "+dir/b=2")};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        auto_draft struct draft *draft = NULL;
        struct oid commit;
        bool unchanged = false;
        assert_ok(p, build(p, &head.commit, "nothing", nothing[i], &draft, &commit, &unchanged));
        assert_true(unchanged);
        assert_true(oid_eq(&commit, &head.commit));
    }
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged = true;
    assert_ok(p, build(p, &head.commit, "something", CHANGES("+a=2"), &draft, &commit, &unchanged));
    assert_false(unchanged);
    assert_false(oid_eq(&commit, &head.commit));
}

static void an_entry_of_another_revision_is_put_file_or_folder(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+a=1", "+dir/sub/b=2", "*dir/large.bin");
    struct oid old = resolve(p, "main").commit;
    struct entry file = find(p, "main", "a"), folder = find(p, "main", "dir");
    commit_to("main", "remove", "-dir", "+a=changed");

    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, "bring back", &head.commit);
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_put_entry(draft, STR("a"), &file, &p->err));
    assert_ok(p, draft_put_entry(draft, STR("dir"), &folder, &p->err));
    assert_ok(p, draft_put_entry(draft, STR("copy/of/dir"), &folder, &p->err));
    assert_ok(p, make_change(draft, "+copy/of/dir/more=3", &p->err));
    assert_ok(p, make_change(draft, "-copy/of/dir/sub/b", &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    assert_string_equal(files(p, "main"), ".gitattributes a copy/ copy/of/ copy/of/dir/ copy/of/dir/large.bin "
                                          "copy/of/dir/more dir/ dir/large.bin dir/sub/ dir/sub/b");
    assert_string_equal(content(p, "main", "a"), "1");
    assert_true(find(p, "main", "copy/of/dir/large.bin").is_lfs);
    struct entry now = find(p, "main", "dir");
    assert_true(oid_eq(&now.oid, &folder.oid));
    assert_false(oid_eq(&old, &commit));

    how = saying(p, "in the way", &commit);
    assert_ok(p, draft_put_entry(draft, STR("a"), &folder, &p->err));
    assert_failure(draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err), UNPROCESSABLE,
                   "a file where a folder is needed");
}

static void an_entry_of_another_repo_cannot_be_put(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+secret=1", "+dir/secret=2");
    struct entry file = find(p, "main", "secret"), folder = find(p, "main", "dir");
    const struct entry *const entries[] = {&file, &folder};
    assert_ok(p, new_repo(p, KIND_MODEL, "other", &p->repo));
    for (size_t i = 0; i < 2; i++) {
        auto_draft struct draft *draft = NULL;
        struct oid commit, head = resolve(p, "main").commit;
        bool unchanged;
        struct draft_commit how = saying(p, "steal", &head);
        assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
        assert_ok(p, draft_put_entry(draft, STR("mine"), entries[i], &p->err));
        assert_failure(draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err), CORRUPT, "is missing");
    }
}

static void a_draft_is_read_before_it_is_stored(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+README.md=old", "+dir/a=1");
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    assert_ok(p, build(p, &head.commit, "new", CHANGES("+README.md=new", "*w.bin"), &draft, &commit, &unchanged));
    struct entry entry, *entries;
    struct str text;
    size_t count;
    assert_ok(p, draft_entry(draft, &p->arena, STR("README.md"), &entry, &p->err));
    assert_int_equal(entry.size, 3);
    assert_ok(p, draft_blob(draft, &p->arena, &entry.oid, &text, &p->err));
    assert_str(text, "new");
    assert_ok(p, draft_entry(draft, &p->arena, STR("w.bin"), &entry, &p->err));
    assert_true(entry.is_lfs);
    assert_int_equal(entry.size, 5);
    assert_ok(p, draft_list(draft, &p->arena, STR(""), &entries, &count, &p->err));
    assert_string_equal(paths_of(p, entries, count), ".gitattributes README.md dir/ w.bin");
    assert_ok(p, draft_list(draft, &p->arena, STR("dir"), &entries, &count, &p->err));
    assert_string_equal(paths_of(p, entries, count), "dir/a");
    assert_failure(draft_entry(draft, &p->arena, STR("none"), &entry, &p->err), NOT_FOUND, "none");
    assert_string_equal(content(p, "main", "README.md"), "old");
}

static void an_empty_tree_is_a_tree(void **state)
{
    struct place *p = *state;
    commit_to("main", "remove all", "-.gitattributes");
    assert_string_equal(files(p, "main"), "");
    commit_to("main", "add", "+a=1");
    assert_string_equal(files(p, "main"), "a");
}

static void a_pull_request_starts_on_the_head_of_main(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit, main_head = resolve(p, "main").commit;
    bool unchanged;
    assert_ok(p, build(p, &main_head, "propose", CHANGES("+a=1"), &draft, &commit, &unchanged));
    assert_ok(p, draft_apply(draft, &p->repo, STR("refs/pr/1"), NULL, PERSON, NULL, NULL, &p->err));
    assert_true(resolve(p, "refs/pr/1").is_branch);
    assert_failure(draft_apply(draft, &p->repo, STR("refs/pr/1"), NULL, PERSON, NULL, NULL, &p->err), CONFLICT,
                   "Reference refs/pr/1 already exists");
    assert_failure(draft_apply(draft, &p->repo, STR("refs/heads/a..b"), NULL, PERSON, NULL, NULL, &p->err), INVALID,
                   "");
    commit_to("refs/pr/1", "more", "+b=1");
    assert_string_equal(files(p, "refs/pr/1"), ".gitattributes a b");
    assert_string_equal(files(p, "main"), ".gitattributes");
}

static void after_a_stale_head_the_draft_is_built_again(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    assert_ok(p, build(p, &head.commit, "mine", CHANGES("+mine=1"), &draft, &commit, &unchanged));
    commit_to("main", "theirs", "+theirs=1");
    int64_t events = count_of(p, "SELECT count(*) FROM event");
    assert_failure(draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err), STALE,
                   "The branch was updated since you opened this page. Please refresh and try again.");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event"), events);
    head = resolve(p, "main");
    struct draft_commit how = saying(p, "mine", &head.commit);
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    assert_string_equal(files(p, "main"), ".gitattributes mine theirs");
}

static enum status refuse(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx;
    (void)context;
    return fail(err, UNPROCESSABLE, NULL, "the card is wrong");
}

static enum status note(struct db_conn *tx, void *context, struct error *err)
{
    (void)tx;
    (void)err;
    *(bool *)context = true;
    return OK;
}

static void what_goes_along_with_a_commit_shares_its_fate(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged, ran = false;
    struct revision head = resolve(p, "main");
    assert_ok(p, build(p, &head.commit, "x", CHANGES("+a=1"), &draft, &commit, &unchanged));
    assert_failure(draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, refuse, NULL, &p->err), UNPROCESSABLE,
                   "the card is wrong");
    assert_string_equal(files(p, "main"), ".gitattributes");
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, note, &ran, &p->err));
    assert_true(ran);
    assert_string_equal(files(p, "main"), ".gitattributes a");
}

static void a_squash_leaves_one_commit_with_the_same_tree(void **state)
{
    struct place *p = *state;
    commit_to("main", "one", "+a=1", "+dir/b=1");
    commit_to("main", "two", "+a=2");
    branch_from(p, "keep", "main");
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, "squashed", &head.commit);
    how.squash = true;
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_false(unchanged);
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));

    auto_conn struct db_conn *conn = reader(p);
    struct commit *commits;
    size_t count;
    int64_t total;
    assert_ok(p, commit_list(conn, &p->arena, p->repo.id, &commit, 0, 10, &commits, &count, &total, &p->err));
    assert_int_equal(count, 1);
    assert_int_equal(total, 1);
    assert_int_equal(commits[0].parent_count, 0);
    assert_string_equal(files(p, "main"), files(p, "keep"));
    assert_string_equal(last_title(p, "main", "dir/b"), "squashed");
    assert_string_equal(last_title(p, "keep", "dir/b"), "one");
}

static void a_new_branch_can_start_empty(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct draft_commit how = saying(p, "start", NULL);
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_false(unchanged);
    assert_ok(p, draft_apply(draft, &p->repo, STR("refs/heads/empty"), NULL, PERSON, NULL, NULL, &p->err));
    assert_string_equal(files(p, "empty"), "");
}

static void names_and_messages_cannot_break_the_commit(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, "title", &head.commit);
    how.title = STR("  first line\nsecond\x01\0line");
    how.message = STR("  body\n\nmore\n\n");
    how.author.name = STR("Eve <eve@example.org> 1 +0000\ncommitter Mallory");
    how.author.email = STR("<>\n");
    how.author.at_us = -5;
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, make_change(draft, "+a=1", &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    auto_conn struct db_conn *conn = reader(p);
    struct commit got;
    assert_ok(p, commit_get(conn, &p->arena, p->repo.id, &commit, &got, &p->err));
    assert_str(got.title, "first line");
    assert_str(got.message, "second  line\n\nbody\n\nmore");
    assert_str(got.author_name, "Eve eve@example.org 1 +0000committer Mallory");
    assert_str(got.author_email, "");
    assert_int_equal(got.at_us, 0);
}

static void a_draft_of_a_deleted_repo_is_refused(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    assert_ok(p, build(p, &head.commit, "x", CHANGES("+a=1"), &draft, &commit, &unchanged));
    assert_ok(p, repo_delete(p->db, &p->repo, PERSON, &p->err));
    assert_failure(draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err), NOT_FOUND,
                   "Repository not found");
    /* Enough to be flushed at once. */
    size_t len = 9 << 20;
    char *noise = arena_alloc(&p->arena, len);
    random_bytes(noise, len);
    assert_failure(draft_put(draft, STR("b"), (struct str){noise, len}, &p->err), NOT_FOUND, "Repository not found");
    assert_int_equal(count_of(p, "SELECT count(*) FROM git_object"), 0);
}

static void large_contents_are_flushed_and_read_back(void **state)
{
    struct place *p = *state;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct str texts[5];
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    for (size_t i = 0; i < 5; i++) {
        char *noise = arena_alloc(&p->arena, 3 << 20);
        random_bytes(noise, 3 << 20);
        texts[i] = (struct str){noise, 3 << 20};
        assert_ok(p, draft_put(draft, arena_printf(&p->arena, "f%zu", i), texts[i], &p->err));
    }
    assert_int_equal(count_of(p, "SELECT count(*) FROM git_object WHERE size > 1000000"), 3);
    struct draft_commit how = saying(p, "large", &head.commit);
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 5; i++) {
            struct entry entry;
            struct str got;
            assert_ok(p, draft_entry(draft, &p->arena, arena_printf(&p->arena, "f%zu", i), &entry, &p->err));
            assert_int_equal(entry.size, texts[i].len);
            assert_ok(p, draft_blob(draft, &p->arena, &entry.oid, &got, &p->err));
            assert_true(str_eq(got, texts[i]));
        }
        if (round == 0)
            assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
    }
}

static void the_longest_path_is_a_path(void **state)
{
    struct place *p = *state;
    char path[1025] = "", change[1100];
    for (size_t i = 0; i < 512; i++)
        memcpy(path + 2 * i, "d/", 2);
    path[1023] = '\0';
    snprintf(change, sizeof change, "+%s=deep", path);
    commit_to("main", "deep", change);
    assert_string_equal(content(p, "main", path), "deep");
    assert_string_equal(last_title(p, "main", path), "deep");
    snprintf(change, sizeof change, "-%s", path);
    commit_to("main", "gone", change);
    assert_string_equal(files(p, "main"), ".gitattributes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_commit_adds_changes_and_removes_files),
        test(the_last_change_of_a_path_counts),
        test(a_folder_is_deleted_and_filled_again_in_one_commit),
        test(a_folder_goes_with_its_last_file),
        test(a_file_becomes_a_folder_when_it_is_removed_first),
        test(a_folder_becomes_a_file_when_it_is_removed_first),
        test(one_commit_cannot_make_a_path_both_file_and_folder),
        test(removing_what_is_not_there_is_an_error),
        test(a_commit_that_changes_nothing_is_told_apart),
        test(an_entry_of_another_revision_is_put_file_or_folder),
        test(an_entry_of_another_repo_cannot_be_put),
        test(a_draft_is_read_before_it_is_stored),
        test(an_empty_tree_is_a_tree),
        test(a_pull_request_starts_on_the_head_of_main),
        test(after_a_stale_head_the_draft_is_built_again),
        test(what_goes_along_with_a_commit_shares_its_fate),
        test(a_squash_leaves_one_commit_with_the_same_tree),
        test(a_new_branch_can_start_empty),
        test(names_and_messages_cannot_break_the_commit),
        test(a_draft_of_a_deleted_repo_is_refused),
        test(large_contents_are_flushed_and_read_back),
        test(the_longest_path_is_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

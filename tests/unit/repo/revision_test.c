/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refs, tags, and what a revision means. */
#include "fixture.h"
#include "repo/pull.h"

static enum status make_ref(struct place *p, const char *name, const struct oid *target, bool overwrite)
{
    return ref_create(p->db, &p->repo, str_of(name), target, overwrite, PERSON, &p->err);
}

static enum status make_tag(struct place *p, const char *name, struct str message, const struct oid *target)
{
    struct signature alice = {STR("alice"), STR("alice@example.org"), INT64_C(1700000000000000)};
    return tag_create(p->db, &p->repo, str_of(name), message, target, &alice, PERSON, &p->err);
}

static const char *refs(struct place *p)
{
    auto_conn struct db_conn *conn = reader(p);
    struct ref *list;
    size_t count;
    struct str text = STR("");
    assert_ok(p, ref_list(conn, &p->arena, p->repo.id, &list, &count, &p->err));
    for (size_t i = 0; i < count; i++)
        text = arena_printf(&p->arena, "%.*s%s%.*s", STR_ARG(text), i ? " " : "", STR_ARG(list[i].name));
    return arena_cstr(&p->arena, text);
}

static void a_revision_is_a_branch_a_tag_a_full_name_or_a_commit(void **state)
{
    struct place *p = *state;
    struct oid first = resolve(p, "main").commit;
    commit_to("main", "second", "+a=1");
    struct oid second = resolve(p, "main").commit;
    assert_ok(p, make_ref(p, "refs/heads/feat/x", &first, false));
    assert_ok(p, make_ref(p, "refs/pr/1", &second, false));
    assert_ok(p, make_ref(p, "refs/convert/parquet", &first, false));
    assert_ok(p, make_tag(p, "v1", (struct str){0}, &first));
    assert_ok(p, make_tag(p, "v2", STR("The second"), &second));
    char first7[8] = "", second39[40] = "";
    memcpy(first7, hex_of(p, first), 7);
    memcpy(second39, hex_of(p, second), 39);
    const struct {
        const char *revision;
        const struct oid *commit;
        const char *ref;
        bool is_branch;
    } table[] = {
        {"main", &second, "refs/heads/main", true},
        {"refs/heads/main", &second, "refs/heads/main", true},
        {"feat/x", &first, "refs/heads/feat/x", true},
        {"refs/pr/1", &second, "refs/pr/1", true},
        {"refs/convert/parquet", &first, "refs/convert/parquet", true},
        {"v1", &first, "refs/tags/v1", false},
        {"v2", &second, "refs/tags/v2", false},
        {"refs/tags/v2", &second, "refs/tags/v2", false},
        {hex_of(p, first), &first, NULL, false},
        {first7, &first, NULL, false},
        {second39, &second, NULL, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct revision got = resolve(p, table[i].revision);
        assert_true(oid_eq(&got.commit, table[i].commit));
        assert_int_equal(got.is_branch, table[i].is_branch);
        assert_int_equal(str_given(got.ref), table[i].ref != NULL);
        if (table[i].ref)
            assert_str(got.ref, table[i].ref);
    }
}

static void what_names_no_commit_is_not_found(void **state)
{
    struct place *p = *state;
    const char *hex = hex_of(p, resolve(p, "main").commit);
    char wrong[41], tree[41];
    memcpy(wrong, hex, 41);
    wrong[39] = wrong[39] == '0' ? '1' : '0';
    struct entry root = find(p, "main", "");
    memcpy(tree, hex_of(p, root.oid), 41);
    const char *const bad[] = {"",           "Main", "nope", "refs/heads/nope", "refs/",  "pr/1",
                               "heads/main", wrong,  tree,   "0123456",         "main\n", "%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_failure(resolve_error(p, str_of(bad[i])), NOT_FOUND, "Invalid rev id: ");
        assert_string_equal(p->err.code, "RevisionNotFound");
    }
    assert_failure(resolve_error(p, str_slice(str_of(hex), 0, 6)), NOT_FOUND, "Invalid rev id: ");
    assert_failure(resolve_error(p, arena_printf(&p->arena, "%s0", hex)), NOT_FOUND, "Invalid rev id: ");
    assert_failure(resolve_error(p, STR("main\0x")), NOT_FOUND, "Invalid rev id: ");
}

static void a_commit_of_another_repo_is_not_found(void **state)
{
    struct place *p = *state;
    commit_to("main", "only here", "+x=1");
    struct oid mine = resolve(p, "main").commit;
    assert_ok(p, new_repo(p, KIND_MODEL, "other", &p->repo));
    assert_failure(resolve_error(p, oid_hex(&p->arena, &mine)), NOT_FOUND, "Invalid rev id");
}

static void a_short_id_of_two_commits_is_not_found(void **state)
{
    struct place *p = *state;
    damage(p, "INSERT INTO commit_row (repo_id, oid, tree, parents, history, at_us, author_name, author_email, title, "
              "message)"
              " VALUES (1, x'aabbccddee000000000000000000000000000000', x'00', x'', 1, 0, '', '', '', ''),"
              " (1, x'aabbccddff000000000000000000000000000000', x'00', x'', 1, 0, '', '', '', '')");
    assert_failure(resolve_error(p, STR("aabbccdd")), NOT_FOUND, "Invalid rev id: aabbccdd");
    assert_failure(resolve_error(p, STR("aabbccd")), NOT_FOUND, "Invalid rev id: aabbccd");
    assert_string_equal(hex_of(p, resolve(p, "aabbccdde").commit), "aabbccddee000000000000000000000000000000");
    assert_string_equal(hex_of(p, resolve(p, "AABBCCDDFF").commit), "aabbccddff000000000000000000000000000000");
}

static void a_branch_wins_over_a_tag_and_a_commit_id_over_both(void **state)
{
    struct place *p = *state;
    struct oid first = resolve(p, "main").commit;
    commit_to("main", "second", "+a=1");
    struct oid second = resolve(p, "main").commit;
    assert_ok(p, make_ref(p, "refs/heads/same", &first, false));
    assert_ok(p, make_tag(p, "same", STR("a message"), &second));
    struct oid got = resolve(p, "same").commit;
    assert_true(oid_eq(&got, &first));
    got = resolve(p, "refs/tags/same").commit;
    assert_true(oid_eq(&got, &second));

    /* Who pins a commit gets that commit, whatever others call their branches. */
    struct str trap = arena_printf(&p->arena, "refs/heads/%s", hex_of(p, first));
    assert_ok(p, make_ref(p, arena_cstr(&p->arena, trap), &second, false));
    got = resolve(p, hex_of(p, first)).commit;
    assert_true(oid_eq(&got, &first));
    assert_ok(p, make_ref(p, "refs/heads/refs/tags/same", &first, false));
    got = resolve(p, "refs/tags/same").commit;
    assert_true(oid_eq(&got, &second));

    assert_ok(p, ref_delete(p->db, &p->repo, STR("refs/heads/same"), PERSON, &p->err));
    got = resolve(p, "same").commit;
    assert_true(oid_eq(&got, &second));
}

static void a_ref_is_made_once_unless_it_is_to_be_overwritten(void **state)
{
    struct place *p = *state;
    struct oid first = resolve(p, "main").commit;
    commit_to("main", "second", "+a=1");
    struct oid second = resolve(p, "main").commit;
    assert_ok(p, make_ref(p, "refs/heads/x", &first, false));
    assert_failure(make_ref(p, "refs/heads/x", &second, false), CONFLICT, "Reference refs/heads/x already exists");
    assert_ok(p, make_ref(p, "refs/heads/x", &second, true));
    struct oid got = resolve(p, "x").commit;
    assert_true(oid_eq(&got, &second));
    assert_ok(p, make_tag(p, "t", (struct str){0}, &first));
    assert_failure(make_tag(p, "t", STR("again"), &first), CONFLICT, "Reference refs/tags/t already exists");
    assert_string_equal(refs(p), "refs/heads/main refs/heads/x refs/tags/t");
}

static void refs_that_git_could_not_hold_are_refused(void **state)
{
    struct place *p = *state;
    struct oid head = resolve(p, "main").commit, nothing = {{1}};
    assert_failure(make_ref(p, "main2", &head, false), INVALID, "full name");
    assert_failure(make_ref(p, "refs/heads/a..b", &head, false), INVALID, "");
    assert_failure(make_ref(p, "refs/heads/x.lock", &head, false), INVALID, "");
    assert_failure(make_ref(p, "refs/heads/new", &nothing, false), NOT_FOUND, "Invalid rev id: 01000000");
    assert_failure(make_tag(p, "a b", (struct str){0}, &head), INVALID, "");
    /* a file and a folder in a clone */
    assert_failure(make_ref(p, "refs/heads/main/x", &head, false), CONFLICT, "refs/heads/main already exists");
    assert_ok(p, make_ref(p, "refs/heads/a/b", &head, false));
    assert_failure(make_ref(p, "refs/heads/a", &head, false), CONFLICT, "refs/heads/a/b already exists");
    assert_ok(p, make_ref(p, "refs/heads/a-b", &head, false));
    assert_ok(p, make_ref(p, "refs/heads/a0", &head, false));
    assert_ok(p, make_ref(p, "refs/heads/a/c", &head, false));
    assert_string_equal(refs(p), "refs/heads/a-b refs/heads/a/b refs/heads/a/c refs/heads/a0 refs/heads/main");
}

static void a_deleted_ref_is_gone_and_cannot_be_deleted_again(void **state)
{
    struct place *p = *state;
    branch_from(p, "x", "main");
    assert_ok(p, ref_delete(p->db, &p->repo, STR("refs/heads/x"), PERSON, &p->err));
    assert_failure(ref_delete(p->db, &p->repo, STR("refs/heads/x"), PERSON, &p->err), NOT_FOUND, "Invalid rev id: x");
    assert_string_equal(p->err.code, "RevisionNotFound");
    assert_failure(ref_delete(p->db, &p->repo, STR("refs/tags/main"), PERSON, &p->err), NOT_FOUND,
                   "Invalid rev id: main");
    assert_string_equal(refs(p), "refs/heads/main");
}

static void pull_requests_are_numbered_one_after_the_other(void **state)
{
    struct place *p = *state;
    struct repo other;
    int64_t number;
    assert_ok(p, new_repo(p, KIND_MODEL, "other", &other));
    for (int64_t i = 1; i <= 3; i++) {
        assert_ok(p, pull_open(p->db, p->repo.id, STR("refs/heads/main"), STR("a"), PERSON, &number, &p->err));
        assert_int_equal(number, i);
    }
    assert_ok(p, pull_open(p->db, other.id, STR("refs/heads/main"), STR("a"), PERSON, &number, &p->err));
    assert_int_equal(number, 1);
    assert_failure(pull_open(p->db, 99, STR("refs/heads/main"), STR("a"), PERSON, &number, &p->err), NOT_FOUND,
                   "Repository not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_revision_is_a_branch_a_tag_a_full_name_or_a_commit),
        test(what_names_no_commit_is_not_found),
        test(a_commit_of_another_repo_is_not_found),
        test(a_short_id_of_two_commits_is_not_found),
        test(a_branch_wins_over_a_tag_and_a_commit_id_over_both),
        test(a_ref_is_made_once_unless_it_is_to_be_overwritten),
        test(refs_that_git_could_not_hold_are_refused),
        test(a_deleted_ref_is_gone_and_cannot_be_deleted_again),
        test(pull_requests_are_numbered_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The check finds damage, and nothing where there is none. */
#include "fixture.h"

struct heard {
    struct place *p;
    struct str text;
};

static void take(void *context, const char *finding)
{
    struct heard *f = context;
    f->text = arena_printf(&f->p->arena, "%.*s%s\n", STR_ARG(f->text), finding);
}

static const char *check(struct place *p, int64_t expected)
{
    auto_conn struct db_conn *conn = reader(p);
    struct heard f = {p, STR("")};
    struct findings findings = {take, &f};
    assert_ok(p, repo_check(conn, &findings, &p->err));
    if (findings.count != expected)
        give_up("%lld findings instead of %lld:\n%.*s", (long long)findings.count, (long long)expected,
                STR_ARG(f.text));
    return arena_cstr(&p->arena, f.text);
}

static void assert_finds(struct place *p, int64_t count, const char *words)
{
    const char *text = check(p, count);
    if (!strstr(text, words))
        give_up("\"%s\" does not say \"%s\"", text, words);
}

/* A large file that the repo holds, with its pointer at a path. */
static void upload(struct place *p, const char *path, const char *bytes)
{
    uint8_t digest[SHA256_SIZE];
    struct receipt *receipt;
    auto_draft struct draft *draft = NULL;
    struct oid commit;
    bool unchanged;
    struct revision head = resolve(p, "main");
    struct draft_commit how = saying(p, "upload", &head.commit);
    sha256(str_of(bytes), digest);
    assert_ok(p, receipt_open(p->store, &receipt, &p->err));
    assert_ok(p, receipt_write(receipt, bytes, strlen(bytes), &p->err));
    assert_ok(p, receipt_keep(&receipt, p->repo.id, digest, (int64_t)strlen(bytes), &p->err));
    assert_ok(p, draft_new(p->db, p->repo.id, &draft, &p->err));
    assert_ok(p, draft_put_pointer(draft, str_of(path), digest, (int64_t)strlen(bytes), &p->err));
    assert_ok(p, draft_build(draft, &p->arena, &how, &commit, &unchanged, &p->err));
    assert_ok(p, draft_apply(draft, &p->repo, head.ref, &head.commit, PERSON, NULL, NULL, &p->err));
}

static void fill(struct place *p)
{
    struct signature alice = {STR("alice"), STR("alice@example.org"), 0};
    commit_to("main", "text", "+a.txt=some text", "+dir/sub/b.txt=more text");
    upload(p, "dir/w.bin", "weights");
    branch_from(p, "dev", "main");
    commit_to("dev", "dev", "-a.txt");
    struct oid head = resolve(p, "main").commit;
    assert_ok(p, tag_create(p->db, &p->repo, STR("v1"), STR("First"), &head, &alice, PERSON, &p->err));
}

static void a_sound_hub_has_no_findings(void **state)
{
    struct place *p = *state;
    struct repo space;
    fill(p);
    assert_ok(p, new_repo(p, KIND_SPACE, "show", &space));
    check(p, 0);
}

static void a_removed_object_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "DELETE FROM git_object WHERE kind = 3 AND bytes = CAST('more text' AS BLOB)");
    assert_finds(p, 1, "is missing");
}

static void a_removed_tree_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "DELETE FROM git_object WHERE oid = (SELECT tree FROM commit_row WHERE title = 'dev')");
    assert_finds(p, 1, "alice/flora: commit ");
}

static void a_removed_commit_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "DELETE FROM git_object WHERE oid = (SELECT oid FROM commit_row WHERE title = 'text')");
    assert_finds(p, 2, "commit row "); /* and the commit above it */
}

static void a_wrong_byte_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET bytes = CAST('some tex7' AS BLOB) WHERE bytes = CAST('some text' AS BLOB)");
    assert_finds(p, 1, "is damaged");
}

static void a_wrong_byte_in_a_deflated_object_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET bytes = CAST(substr(bytes, 1, 40) || x'00' || substr(bytes, 42) AS BLOB) "
              "WHERE encoding = 1");
    assert_finds(p, 1, "is damaged");
}

static void a_size_that_cannot_be_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET size = 500000000 WHERE encoding = 1");
    damage(p, "UPDATE git_object SET size = -1 WHERE bytes = CAST('some text' AS BLOB)");
    assert_finds(p, 2, "is damaged");
}

static void an_object_of_another_kind_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET kind = 4 WHERE bytes = CAST('some text' AS BLOB)");
    const char *text = check(p, 3); /* the two trees that name it, and its own id */
    assert_non_null(strstr(text, "of another kind"));
    assert_non_null(strstr(text, "is damaged"));
}

static void a_dangling_ref_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE ref SET target = x'0100000000000000000000000000000000000000', "
              "commit_oid = x'0100000000000000000000000000000000000000' WHERE name = 'refs/heads/dev'");
    assert_finds(p, 3, "ref refs/heads/dev");
}

static void a_commit_row_that_lies_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE commit_row SET tree = (SELECT tree FROM commit_row WHERE title = 'text') WHERE title = 'dev'");
    assert_finds(p, 1, "another tree");
}

static void a_commit_row_with_other_parents_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE commit_row SET parents = x'' WHERE title = 'dev'");
    assert_finds(p, 1, "other parents");
}

static void a_tag_of_a_missing_commit_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET kind = 3 WHERE oid = (SELECT target FROM ref WHERE name = 'refs/tags/v1')");
    assert_finds(p, 2, "of another kind"); /* and its content has another id as a blob */
}

static void a_pointer_to_nothing_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    commit_to("main", "not uploaded", "*ghost.bin");
    assert_finds(p, 1, "does not hold");
}

static void a_row_that_lies_about_a_large_file_is_found(void **state)
{
    struct place *p = *state;
    fill(p);
    damage(p, "UPDATE git_object SET lfs_size = 70 WHERE lfs_size = 7");
    assert_finds(p, 1, "something else about a large file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_sound_hub_has_no_findings),
        test(a_removed_object_is_found),
        test(a_removed_tree_is_found),
        test(a_removed_commit_is_found),
        test(a_wrong_byte_is_found),
        test(a_wrong_byte_in_a_deflated_object_is_found),
        test(a_size_that_cannot_be_is_found),
        test(an_object_of_another_kind_is_found),
        test(a_dangling_ref_is_found),
        test(a_commit_row_that_lies_is_found),
        test(a_commit_row_with_other_parents_is_found),
        test(a_tag_of_a_missing_commit_is_found),
        test(a_pointer_to_nothing_is_found),
        test(a_row_that_lies_about_a_large_file_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

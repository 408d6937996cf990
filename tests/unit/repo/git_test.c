/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An outside judge: stock git is given every object that we made, and must agree with each id and find nothing wrong.
 */
#include "fixture.h"

#define GIT "env -i PATH=\"$PATH\" HOME='%s' GIT_CONFIG_NOSYSTEM=1 git --git-dir='%s/out.git' "

static void write_file(struct place *p, const char *name, struct str content)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

static const char *read_command(struct place *p, const char *command)
{
    char *text = arena_alloc(&p->arena, 1 << 16);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(text, 1, (1 << 16) - 1, pipe);
    text[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return text;
}

/* Reads objects by the way that a draft reads them, so that the test needs no word about how they are stored. */
#include "repo/internal.h"

static void export_object(struct place *p, struct db_conn *conn, const struct oid *oid, enum git_kind kind)
{
    static const char *const names[] = {"", "commit", "tree", "blob", "tag"};
    struct git_source from = {.conn = conn, .repo_id = p->repo.id};
    struct str content;
    char command[512];
    assert_ok(p, git_read(&from, &p->arena, kind, oid, &content, &p->err));
    write_file(p, "object", content);
    snprintf(command, sizeof command, GIT "hash-object -t %s -w '%s/object'", p->dir, p->dir, names[kind], p->dir);
    const char *id = read_command(p, command);
    assert_memory_equal(id, hex_of(p, *oid), 40);
}

static void export_all(struct place *p)
{
    auto_conn struct db_conn *conn = reader(p);
    auto_stmt struct stmt *rows = NULL;
    char command[512];
    shell(GIT "init -q --bare -b main", p->dir, p->dir);
    /* Blobs before trees before commits before tags: git wants to have seen what an object names. */
    assert_ok(p,
              db_prepare(conn,
                         "SELECT oid, kind FROM git_object WHERE repo_id = 1 ORDER BY kind = 4, kind = 1, kind = 2, id",
                         &rows, &p->err));
    while (stmt_next(rows)) {
        struct oid oid;
        oid_from(&oid, stmt_str(rows, 0));
        export_object(p, conn, &oid, (enum git_kind)stmt_int(rows, 1));
    }
    assert_ok(p, stmt_end(rows, &p->err));
    auto_stmt struct stmt *refs = NULL;
    assert_ok(p, db_prepare(conn, "SELECT name, target FROM ref WHERE repo_id = 1", &refs, &p->err));
    while (stmt_next(refs)) {
        struct oid oid;
        oid_from(&oid, stmt_str(refs, 1));
        snprintf(command, sizeof command, GIT "update-ref %.*s %s", p->dir, p->dir, STR_ARG(stmt_str(refs, 0)),
                 hex_of(p, oid));
        read_command(p, command);
    }
    assert_ok(p, stmt_end(refs, &p->err));
}

static const char *git(struct place *p, const char *arguments)
{
    char command[512];
    snprintf(command, sizeof command, GIT "%s", p->dir, p->dir, arguments);
    return read_command(p, command);
}

static void stock_git_agrees_with_every_id_and_finds_nothing_wrong(void **state)
{
    struct place *p = *state;
    struct signature alice = {STR("Alice <of> Wonderland"), STR("alice@example.org"), INT64_C(1700000000000000)};
    commit_to("main", "mixed", "+a.txt=one", "+a/b=two", "+a-b=three", "+a0=four", "*models/w.bin", "+empty=");
    commit_to("main", "Zeilen\nund mehr", "+models/deep/er/x=1", "-a.txt", "+\xc3\xa4/\xe6\x9d\xb1=1");
    branch_from(p, "dev", "main");
    commit_to("dev", "d", "-a", "+a=file now", "-models/deep", "+models/deep=file too");
    commit_to("main", "all gone", "-.gitattributes", "-a", "-a-b", "-a0", "-models", "-empty", "-\xc3\xa4");
    struct oid head = resolve(p, "dev").commit;
    assert_ok(
        p, tag_create(p->db, &p->repo, STR("v1"), STR("The first\n\nwith a body\n"), &head, &alice, PERSON, &p->err));

    export_all(p);
    assert_string_equal(git(p, "fsck --strict --full --no-dangling 2>&1"), "");
    assert_string_equal(
        git(p, "ls-tree -r -t --name-only -z refs/tags/v1 | tr '\\000' ' '"),
        ".gitattributes a a-b a0 empty models models/deep models/w.bin \xc3\xa4 \xc3\xa4/\xe6\x9d\xb1 ");
    assert_string_equal(
        files(p, "dev"),
        ".gitattributes a a-b a0 empty models/ models/deep models/w.bin \xc3\xa4/ \xc3\xa4/\xe6\x9d\xb1");
    assert_string_equal(git(p, "ls-tree -r refs/heads/main"), "");
    assert_string_equal(git(p, "log --format=%s refs/heads/main"),
                        "all gone\nZeilen und mehr\nmixed\ninitial commit\n");
    assert_string_equal(git(p, "log -1 --format=%at:%an:%ae refs/heads/main"), "1700000003:alice:alice@example.org\n");
    assert_string_equal(git(p, "tag -l --format='%(taggername)|%(contents:subject)|%(contents:body)'"),
                        "Alice of Wonderland|The first|with a body\n\n");
}

/* The same tree, made by git from the list of its files. */
static void the_root_id_is_what_git_computes_from_the_files(void **state)
{
    struct place *p = *state;
    commit_to("main", "add", "+x/y/z=1", "+x.y=2", "+x-=3", "+xy=4", "-.gitattributes");
    shell(GIT "init -q --bare -b main", p->dir, p->dir);
    char command[1024];
    snprintf(command, sizeof command,
             "cd '%s' && mkdir -p work/x/y && printf 1 >work/x/y/z && printf 2 >work/x.y && printf 3 >work/x- && "
             "printf 4 >work/xy && " GIT "--work-tree=work add -A . && " GIT "write-tree",
             p->dir, p->dir, p->dir, p->dir, p->dir);
    assert_memory_equal(read_command(p, command), hex_of(p, find(p, "main", "").oid), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(stock_git_agrees_with_every_id_and_finds_nothing_wrong),
        test(the_root_id_is_what_git_computes_from_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

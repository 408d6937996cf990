/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of repos: making, finding, moving, deleting. */
#include "fixture.h"
#include "repo/protect.h"

static enum status look_up(struct place *p, const char *ns, const char *name, struct repo *out, bool *moved)
{
    auto_conn struct db_conn *conn = reader(p);
    return repo_find(conn, &p->arena, KIND_MODEL, str_of(ns), str_of(name), out, moved, &p->err);
}

static enum status move_to(struct place *p, const struct repo *repo, const char *ns, const char *name)
{
    return repo_move(p->db, repo, OWNER + 1, str_of(ns), str_of(name), PERSON, &p->err);
}

static void a_new_model_has_one_commit_with_gitattributes(void **state)
{
    struct place *p = *state;
    assert_string_equal(files(p, "main"), ".gitattributes");
    struct entry entry = find(p, "main", ".gitattributes");
    assert_str(entry.last_commit->title, "initial commit");
    assert_str(entry.last_commit->author_name, "alice");
    assert_int_equal(entry.last_commit->parent_count, 0);
    const char *text = content(p, "main", ".gitattributes");
    assert_non_null(strstr(text, "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"));
    assert_null(strstr(text, "*.png"));
    assert_int_equal(p->repo.public_id.len, 24);
    assert_str(p->repo.full_name, "alice/flora");
}

static void datasets_and_spaces_have_their_own_first_files(void **state)
{
    struct place *p = *state;
    assert_ok(p, new_repo(p, KIND_DATASET, "flora", &p->repo));
    assert_string_equal(files(p, "main"), ".gitattributes");
    assert_non_null(strstr(content(p, "main", ".gitattributes"), "*.png filter=lfs"));
    assert_ok(p, new_repo(p, KIND_SPACE, "flora", &p->repo));
    assert_string_equal(files(p, "main"), ".gitattributes README.md index.html style.css");
    assert_non_null(strstr(content(p, "main", "README.md"), "sdk: \"static\""));
    assert_str(p->repo.sdk, "static");
}

static void a_repo_is_found_without_case(void **state)
{
    struct place *p = *state;
    struct repo found;
    bool moved;
    assert_ok(p, look_up(p, "Alice", "FLORA", &found, &moved));
    assert_false(moved);
    assert_int_equal(found.id, p->repo.id);
    assert_str(found.full_name, "alice/flora");
    assert_failure(look_up(p, "alice", "flor", &found, &moved), NOT_FOUND, "Repository not found");
    assert_string_equal(p->err.code, "RepoNotFound");
    assert_failure(look_up(p, "bob", "flora", &found, &moved), NOT_FOUND, "Repository not found");
}

static void a_name_is_given_once_per_kind(void **state)
{
    struct place *p = *state;
    struct repo other;
    int64_t events = count_of(p, "SELECT count(*) FROM event");
    assert_failure(new_repo(p, KIND_MODEL, "flora", &other), CONFLICT, "You already created this model repo");
    assert_failure(new_repo(p, KIND_MODEL, "Flora", &other), CONFLICT, "You already created this model repo");
    assert_int_equal(count_of(p, "SELECT count(*) FROM event"), events);
    assert_ok(p, new_repo(p, KIND_DATASET, "flora", &other));
    assert_failure(new_repo(p, KIND_DATASET, "flora", &other), CONFLICT, "You already created this dataset repo");
}

static void names_that_clients_cannot_use_are_refused(void **state)
{
    struct place *p = *state;
    struct repo other;
    const char *const bad[] = {"a.git", "a.GIT", "", "-a", "a--b", "a..b", "a/b", "a b", ".."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_failure(new_repo(p, KIND_MODEL, bad[i], &other), INVALID, "");
    assert_ok(p, new_repo(p, KIND_MODEL, "a.gitx", &other));
    assert_failure(move_to(p, &p->repo, "alice", "x.git"), INVALID, ".git");
}

static void a_moved_repo_is_found_by_its_old_name_and_moves_back(void **state)
{
    struct place *p = *state;
    struct repo found;
    bool moved;
    assert_ok(p, move_to(p, &p->repo, "bob", "fauna"));
    assert_ok(p, look_up(p, "bob", "Fauna", &found, &moved));
    assert_false(moved);
    assert_int_equal(found.owner_id, OWNER + 1);
    assert_ok(p, look_up(p, "ALICE", "flora", &found, &moved));
    assert_true(moved);
    assert_str(found.full_name, "bob/fauna");

    assert_ok(p, move_to(p, &found, "alice", "flora"));
    assert_ok(p, look_up(p, "alice", "flora", &found, &moved));
    assert_false(moved);
    assert_ok(p, look_up(p, "bob", "fauna", &found, &moved));
    assert_true(moved);
    assert_int_equal(found.id, p->repo.id);
}

static void a_new_repo_takes_an_old_name_over(void **state)
{
    struct place *p = *state;
    struct repo other, found;
    bool moved;
    assert_ok(p, move_to(p, &p->repo, "bob", "fauna"));
    assert_ok(p, new_repo(p, KIND_MODEL, "flora", &other));
    assert_ok(p, look_up(p, "alice", "flora", &found, &moved));
    assert_false(moved);
    assert_int_equal(found.id, other.id);
    assert_failure(new_repo(p, KIND_MODEL, "FLORA", &other), CONFLICT, "You already created");
}

static void a_name_changes_its_case_only(void **state)
{
    struct place *p = *state;
    struct repo found;
    bool moved;
    assert_ok(p, move_to(p, &p->repo, "alice", "Flora"));
    assert_ok(p, look_up(p, "alice", "flora", &found, &moved));
    assert_false(moved);
    assert_str(found.name, "Flora");
    assert_int_equal(count_of(p, "SELECT count(*) FROM repo_alias"), 0);
}

static void moving_onto_another_repo_is_refused_but_onto_an_old_name_is_not(void **state)
{
    struct place *p = *state;
    struct repo other, found;
    bool moved;
    assert_ok(p, new_repo(p, KIND_MODEL, "fauna", &other));
    assert_failure(move_to(p, &other, "alice", "flora"), CONFLICT,
                   "A model repository called `alice/flora` already exists");
    assert_ok(p, move_to(p, &p->repo, "bob", "flora"));
    assert_ok(p, move_to(p, &other, "alice", "flora"));
    assert_ok(p, look_up(p, "alice", "flora", &found, &moved));
    assert_false(moved);
    assert_int_equal(found.id, other.id);
}

static void a_deleted_repo_leaves_nothing_and_frees_its_names(void **state)
{
    struct place *p = *state;
    struct repo old = p->repo, found;
    bool moved;
    commit_to("main", "x", "+a=1", "+b/c=2");
    assert_ok(p, move_to(p, &p->repo, "alice", "fauna"));
    assert_ok(p, repo_delete(p->db, &p->repo, PERSON, &p->err));
    assert_failure(look_up(p, "alice", "flora", &found, &moved), NOT_FOUND, "");
    assert_failure(look_up(p, "alice", "fauna", &found, &moved), NOT_FOUND, "");
    assert_failure(repo_delete(p->db, &p->repo, PERSON, &p->err), NOT_FOUND, "Repository not found");
    assert_int_equal(count_of(p, "SELECT (SELECT count(*) FROM git_object) + (SELECT count(*) FROM commit_row) + "
                                 "(SELECT count(*) FROM path_touch) + (SELECT count(*) FROM ref) + "
                                 "(SELECT count(*) FROM repo_alias) + (SELECT count(*) FROM repo)"),
                     0);
    assert_ok(p, new_repo(p, KIND_MODEL, "flora", &p->repo));
    assert_true(p->repo.id > old.id);
    assert_false(str_eq(p->repo.public_id, old.public_id));
}

static void the_other_repo_survives_a_deletion(void **state)
{
    struct place *p = *state;
    struct repo other;
    assert_ok(p, new_repo(p, KIND_MODEL, "fauna", &other));
    assert_ok(p, repo_delete(p->db, &other, PERSON, &p->err));
    assert_string_equal(files(p, "main"), ".gitattributes");
    assert_string_equal(last_title(p, "main", ".gitattributes"), "initial commit");
}

static void settings_change_what_is_given_and_nothing_else(void **state)
{
    struct place *p = *state;
    struct repo now;
    enum visibility private = VISIBILITY_PRIVATE;
    struct repo_settings gate = {.gated = STR("manual")}, hide = {.visibility = &private}, open = {.gated = STR("")},
                         wrong = {.gated = STR("maybe")};
    bool moved;
    assert_ok(p, repo_set(p->db, &p->repo, &gate, PERSON, &p->err));
    assert_ok(p, repo_set(p->db, &p->repo, &hide, PERSON, &p->err));
    assert_ok(p, look_up(p, "alice", "flora", &now, &moved));
    assert_str(now.gated, "manual");
    assert_int_equal(now.visibility, VISIBILITY_PRIVATE);
    assert_ok(p, repo_set(p->db, &p->repo, &open, PERSON, &p->err));
    assert_ok(p, look_up(p, "alice", "flora", &now, &moved));
    assert_str(now.gated, "");
    assert_int_equal(now.visibility, VISIBILITY_PRIVATE);
    assert_failure(repo_set(p->db, &p->repo, &wrong, PERSON, &p->err), INVALID, "gated");
    assert_ok(p, repo_delete(p->db, &p->repo, PERSON, &p->err));
    assert_failure(repo_set(p->db, &p->repo, &gate, PERSON, &p->err), NOT_FOUND, "Repository not found");
}

static void the_xet_setting_is_on_until_it_is_turned_off(void **state)
{
    struct place *p = *state;
    struct repo now;
    bool moved, off = false, on = true;
    struct repo_settings without = {.xet_enabled = &off}, with = {.xet_enabled = &on}, gate = {.gated = STR("auto")};
    assert_true(p->repo.xet_enabled);
    assert_ok(p, repo_set(p->db, &p->repo, &without, PERSON, &p->err));
    assert_ok(p, repo_set(p->db, &p->repo, &gate, PERSON, &p->err));
    assert_ok(p, look_up(p, "alice", "flora", &now, &moved));
    assert_false(now.xet_enabled);
    assert_str(now.gated, "auto");
    assert_ok(p, repo_set(p->db, &p->repo, &with, PERSON, &p->err));
    assert_ok(p, look_up(p, "alice", "flora", &now, &moved));
    assert_true(now.xet_enabled);
    auto_conn struct db_conn *conn = reader(p);
    auto_stmt struct stmt *bodies = NULL;
    struct str told = STR("");
    assert_ok(p, db_prepare(conn, "SELECT body FROM event WHERE body LIKE '%xet%' ORDER BY id", &bodies, &p->err));
    while (stmt_next(bodies))
        told = arena_printf(&p->arena, "%.*s%.*s", STR_ARG(told), STR_ARG(stmt_str(bodies, 0)));
    assert_ok(p, stmt_end(bodies, &p->err));
    assert_str(told, "{\"xetEnabled\":false}{\"xetEnabled\":true}");
}

static enum status insert_old_repo(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return db_exec(tx,
                   "INSERT INTO repo (id, public_id, kind, owner_id, ns, name, ns_key, name_key, visibility,"
                   " created_us, updated_us) VALUES (1, 'a', 1, 7, 'n', 'old', 'n', 'old', 1, 0, 0)",
                   err);
}

static void a_repo_from_before_xet_has_it_on(void **state)
{
    struct place *p = *state;
    struct repo old;
    struct db *db;
    const struct migration_set first = {"repo", (const char *const[]){repo_migrations.sql[0], NULL}};
    const char *path = arena_cstr(&p->arena, arena_printf(&p->arena, "%s/old.db", p->dir));
    assert_ok(p, db_open(path, &db, &p->err));
    assert_ok(p, db_migrate(db, &first, 1, &p->err));
    assert_ok(p, db_write(db, insert_old_repo, NULL, &p->err));
    assert_ok(p, db_migrate(db, &repo_migrations, 1, &p->err));
    struct db_conn *conn;
    assert_ok(p, db_reader(db, &conn, &p->err));
    assert_ok(p, repo_get(conn, &p->arena, 1, &old, &p->err));
    assert_true(old.xet_enabled);
    db_release(&conn);
    db_close(db);
}

static void every_change_is_one_event(void **state)
{
    struct place *p = *state;
    struct repo_settings gate = {.gated = STR("auto")};
    const struct ref_rule rule = {.ref = STR("refs/heads/main"), .approvals = 1, .role = ROLE_WRITE};
    commit_to("main", "x", "+a=1");
    branch_from(p, "b", "main");
    assert_ok(p, ref_delete(p->db, &p->repo, STR("refs/heads/b"), PERSON, &p->err));
    assert_ok(p, repo_set(p->db, &p->repo, &gate, PERSON, &p->err));
    assert_ok(p, rule_set(p->db, p->repo.id, &rule, PERSON, &p->err));
    assert_ok(p, move_to(p, &p->repo, "bob", "flora"));
    assert_ok(p, repo_delete(p->db, &p->repo, PERSON, &p->err));
    auto_conn struct db_conn *conn = reader(p);
    auto_stmt struct stmt *events = NULL;
    struct str kinds = STR("");
    assert_ok(p, db_prepare(conn, "SELECT kind, body FROM event WHERE repo_id = 1 AND actor_id = 9 ORDER BY id",
                            &events, &p->err));
    while (stmt_next(events))
        kinds = arena_printf(&p->arena, "%.*s %.*s", STR_ARG(kinds), STR_ARG(stmt_str(events, 0)));
    assert_ok(p, stmt_end(events, &p->err));
    assert_str(kinds, " repo.create commit ref.create ref.delete repo.settings repo.protect repo.move "
                      "repo.delete");
    for (const struct event_kind *kind = repo_events; kind->name; kind++)
        assert_true(str_has(kinds, str_of(kind->name)));
}

static void kinds_have_their_words(void **state)
{
    (void)state;
    enum repo_kind kind;
    assert_true(repo_kind_parse(STR("datasets"), &kind) && kind == KIND_DATASET);
    assert_true(repo_kind_parse(STR("space"), &kind) && kind == KIND_SPACE);
    assert_false(repo_kind_parse(STR("modelss"), &kind));
    assert_false(repo_kind_parse(STR(""), &kind));
    assert_true(str_eq(repo_kind_prefix(KIND_MODEL), STR("")));
    assert_true(str_eq(repo_kind_prefix(KIND_SPACE), STR("spaces/")));
    assert_true(str_eq(repo_kind_plural(KIND_DATASET), STR("datasets")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(a_new_model_has_one_commit_with_gitattributes),
        test(datasets_and_spaces_have_their_own_first_files),
        test(a_repo_is_found_without_case),
        test(a_name_is_given_once_per_kind),
        test(names_that_clients_cannot_use_are_refused),
        test(a_moved_repo_is_found_by_its_old_name_and_moves_back),
        test(a_new_repo_takes_an_old_name_over),
        test(a_name_changes_its_case_only),
        test(moving_onto_another_repo_is_refused_but_onto_an_old_name_is_not),
        test(a_deleted_repo_leaves_nothing_and_frees_its_names),
        test(the_other_repo_survives_a_deletion),
        test(settings_change_what_is_given_and_nothing_else),
        test(the_xet_setting_is_on_until_it_is_turned_off),
        test(a_repo_from_before_xet_has_it_on),
        test(every_change_is_one_event),
        cmocka_unit_test(kinds_have_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

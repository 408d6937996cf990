/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys that are limited to some repos: never worth more than the same key without limit, nor less than no key. */
#include "../identity/helper.h"
#include "access/access.h"

struct door {
    struct town *town;
    struct db_conn *conn;
    int64_t ada, acme;
};

/* The door reads gates and holds too; here there are none. */
static const struct migration_set repos = {"repo",
                                           (const char *const[]){"CREATE TABLE repo (id INTEGER PRIMARY KEY)", NULL}};

static void fill(struct door *door, struct town *town)
{
    const struct migration_set sets[] = {repos, access_migrations};
    GOOD(db_migrate(town->db, sets, 2, err));
    *door = (struct door){.town = town, .ada = add_user(town, "ada"), .acme = add_org(town, "acme")};
    GOOD(join(town, "acme", "ada", ROLE_ADMIN, err));
    GOOD(db_reader(town->db, &door->conn, err));
}

static struct actor ada_with(const struct door *door, const struct key_scope *scopes, size_t count)
{
    return (struct actor){.account = {.id = door->ada, .kind = ACCOUNT_USER},
                          .key_role = ROLE_WRITE,
                          .is_scoped = scopes != NULL,
                          .scopes = scopes,
                          .scope_count = count};
}

static struct access_object repo(int64_t id, int64_t owner_id, enum visibility visibility)
{
    return (struct access_object){.repo_id = id,
                                  .owner_id = owner_id,
                                  .visibility = visibility,
                                  .kind_name = STR("model"),
                                  .full_name = STR("owner/name")};
}

static enum status ask(const struct door *door, const struct actor *actor, enum action action,
                       struct access_object object)
{
    return access_decide(door->conn, actor, action, &object, NULL);
}

static void a_key_for_one_repo_opens_no_other(void **state)
{
    struct door door;
    const struct key_scope scopes[] = {{.repo_id = 7, .role = ROLE_WRITE}};
    fill(&door, *state);
    struct actor key = ada_with(&door, scopes, 1);
    assert_int_equal(OK, ask(&door, &key, ACT_WRITE, repo(7, door.ada, VISIBILITY_PRIVATE)));
    assert_int_equal(OK, ask(&door, &key, ACT_READ, repo(7, door.ada, VISIBILITY_PRIVATE)));
    assert_int_equal(NOT_FOUND, ask(&door, &key, ACT_READ, repo(8, door.ada, VISIBILITY_PRIVATE)));
    assert_int_equal(FORBIDDEN, ask(&door, &key, ACT_WRITE, repo(8, door.ada, VISIBILITY_PUBLIC)));
    assert_int_equal(FORBIDDEN, ask(&door, &key, ACT_CREATE, repo(0, door.ada, 0)));
    assert_int_equal(FORBIDDEN, ask(&door, &key, ACT_ADMINISTER, repo(7, door.ada, VISIBILITY_PUBLIC)));
    db_release(&door.conn);
}

static void a_key_for_a_name_space_opens_all_of_it_and_its_new_repos(void **state)
{
    struct door door;
    const struct key_scope scopes[] = {{.owner_id = 0, .repo_id = 99, .role = ROLE_READ}, {.role = ROLE_WRITE}};
    struct key_scope mine[2] = {scopes[0], scopes[1]};
    fill(&door, *state);
    mine[1].owner_id = door.acme;
    struct actor key = ada_with(&door, mine, 2);
    assert_int_equal(OK, ask(&door, &key, ACT_WRITE, repo(7, door.acme, VISIBILITY_PRIVATE)));
    assert_int_equal(OK, ask(&door, &key, ACT_CREATE, repo(0, door.acme, 0)));
    assert_int_equal(FORBIDDEN, ask(&door, &key, ACT_CREATE, repo(0, door.ada, 0)));
    assert_int_equal(NOT_FOUND, ask(&door, &key, ACT_SEE, repo(8, door.ada, VISIBILITY_PRIVATE)));
    assert_int_equal(OK, ask(&door, &key, ACT_SEE, repo(99, door.ada, VISIBILITY_PRIVATE)));
    assert_int_equal(FORBIDDEN, ask(&door, &key, ACT_WRITE, repo(99, door.ada, VISIBILITY_PRIVATE)));
    db_release(&door.conn);
}

/* A repo that is gone leaves a key that was for it alone with nothing, not with everything. */
static void a_key_that_is_limited_to_nothing_is_as_no_key(void **state)
{
    struct door door;
    static const struct key_scope none[1];
    fill(&door, *state);
    struct actor key = ada_with(&door, none, 0), zeros = ada_with(&door, none, 1);
    for (int i = 0; i < 2; i++) {
        const struct actor *actor = i ? &zeros : &key;
        assert_int_equal(OK, ask(&door, actor, ACT_READ, repo(7, door.ada, VISIBILITY_PUBLIC)));
        assert_int_equal(NOT_FOUND, ask(&door, actor, ACT_READ, repo(7, door.ada, VISIBILITY_PRIVATE)));
        assert_int_equal(FORBIDDEN, ask(&door, actor, ACT_CREATE, repo(0, door.ada, 0)));
    }
    db_release(&door.conn);
}

static void a_limited_key_cannot_change_how_its_owner_is_known(void **state)
{
    struct door door;
    struct key_scope all[2] = {{.role = ROLE_ADMIN}, {.role = ROLE_ADMIN}};
    fill(&door, *state);
    all[0].owner_id = door.ada;
    all[1].owner_id = door.acme;
    struct actor limited = ada_with(&door, all, 2), whole = ada_with(&door, NULL, 0);
    assert_int_equal(FORBIDDEN, access_decide(door.conn, &limited, ACT_SELF_CHANGE, NULL, NULL));
    assert_int_equal(OK, access_decide(door.conn, &whole, ACT_SELF_CHANGE, NULL, NULL));
    assert_int_equal(OK, access_decide(door.conn, &limited, ACT_SELF, NULL, NULL));
    db_release(&door.conn);
}

/* access B57, for every action and kind of repo, under random limits. */
static void a_limit_only_takes_away_and_never_below_what_everybody_has(void **state)
{
    struct door door;
    unsigned seed = 20261125;
    fill(&door, *state);
    const struct actor nobody = {0};
    int allowed = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        struct key_scope scopes[3];
        size_t count = (size_t)rand_r(&seed) % 4;
        for (size_t s = 0; s < count; s++) {
            bool whole = rand_r(&seed) % 2;
            scopes[s] = (struct key_scope){.owner_id = whole ? (rand_r(&seed) % 2 ? door.ada : door.acme) : 0,
                                           .repo_id = whole ? 0 : 1 + rand_r(&seed) % 3,
                                           .role = (enum role)(1 + rand_r(&seed) % 3)};
        }
        struct access_object object = repo(1 + rand_r(&seed) % 3, rand_r(&seed) % 2 ? door.ada : door.acme,
                                           rand_r(&seed) % 2 ? VISIBILITY_PUBLIC : VISIBILITY_PRIVATE);
        object.gated = rand_r(&seed) % 2;
        object.disabled = rand_r(&seed) % 8 == 0;
        enum action action = (enum action)(ACT_CREATE + rand_r(&seed) % (ACTIONS - ACT_CREATE));
        struct actor limited = ada_with(&door, scopes, count), whole = ada_with(&door, NULL, 0);
        limited.key_role = whole.key_role = (enum role)(1 + rand_r(&seed) % 3);
        bool with = ask(&door, &limited, action, object) == OK;
        if (ask(&door, &nobody, action, object) == OK)
            assert_true(with);
        if (with)
            assert_int_equal(OK, ask(&door, &whole, action, object));
        allowed += with;
        refused += !with;
    }
    assert_true(allowed > 1000 && refused > 1000); /* so that it has been about something */
    db_release(&door.conn);
}

/* Keys that look misused. */

static void a_key_that_is_suspended_is_as_no_key_but_may_appeal(void **state)
{
    struct door door;
    fill(&door, *state);
    struct actor key = ada_with(&door, NULL, 0), nobody = {0};
    struct error err = {0};
    key.hold = KEY_SUSPENDED;
    assert_int_equal(OK, access_decide(door.conn, &key, ACT_APPEAL, NULL, NULL));
    assert_int_equal(FORBIDDEN, access_decide(door.conn, &key, ACT_SELF, NULL, &err));
    assert_string_equal("TokenHeld", err.code);
    assert_int_equal(FORBIDDEN, access_decide(door.conn, &key, ACT_SELF_CHANGE, NULL, NULL));
    assert_int_equal(NOT_FOUND, ask(&door, &key, ACT_SEE, repo(7, door.ada, VISIBILITY_PRIVATE)));
    for (enum action action = ACT_SEE; action < ACTIONS; action++) {
        struct access_object open = repo(7, door.ada, VISIBILITY_PUBLIC);
        assert_int_equal(ask(&door, &nobody, action, open) == OK, ask(&door, &key, action, open) == OK);
    }
    assert_int_equal(UNAUTHENTICATED, access_decide(door.conn, &nobody, ACT_APPEAL, NULL, NULL));
    db_release(&door.conn);
}

static void a_key_that_is_held_does_all_but_make_other_keys(void **state)
{
    struct door door;
    fill(&door, *state);
    struct actor key = ada_with(&door, NULL, 0);
    for (enum key_hold hold = KEY_ASKED; hold <= KEY_SLOWED; hold++) {
        key.hold = hold;
        assert_int_equal(FORBIDDEN, access_decide(door.conn, &key, ACT_SELF_CHANGE, NULL, NULL));
        assert_int_equal(OK, access_decide(door.conn, &key, ACT_SELF, NULL, NULL));
        assert_int_equal(OK, ask(&door, &key, ACT_WRITE, repo(7, door.ada, VISIBILITY_PRIVATE)));
    }
    key.hold = KEY_FREE;
    assert_int_equal(OK, access_decide(door.conn, &key, ACT_SELF_CHANGE, NULL, NULL));
    db_release(&door.conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(a_key_for_one_repo_opens_no_other),
        in_town(a_key_for_a_name_space_opens_all_of_it_and_its_new_repos),
        in_town(a_key_that_is_limited_to_nothing_is_as_no_key),
        in_town(a_limited_key_cannot_change_how_its_owner_is_known),
        in_town(a_key_that_is_suspended_is_as_no_key_but_may_appeal),
        in_town(a_key_that_is_held_does_all_but_make_other_keys),
        in_town(a_limit_only_takes_away_and_never_below_what_everybody_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

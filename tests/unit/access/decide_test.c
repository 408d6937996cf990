/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../identity/helper.h"
#include "access/access.h"

/* Who asks. */

/* In the order of their rights towards the repo, which belongs to the organisation acme, or to ada where ada asks. */
enum who { NO_ONE, STRANGER, READER, WRITER, ORG_ADMIN, ADA, HUB_ADMIN, READING_HUB_ADMIN, WHO };

static const char *const who_names[WHO] = {"nobody",
                                           "a stranger",
                                           "a reader",
                                           "a writer",
                                           "org admin",
                                           "ada",
                                           "a hub administrator",
                                           "a hub administrator who is a reader"};

struct door {
    struct town *town;
    int64_t acme, ids[WHO];
};

static int64_t add_member(struct town *town, const char *name, enum role role)
{
    int64_t id = add_user(town, name);
    if (role != ROLE_NONE)
        GOOD(join(town, "acme", name, role, err));
    return id;
}

/* The door reads gates and holds too; here there are none. */
static const struct migration_set repos = {"repo",
                                           (const char *const[]){"CREATE TABLE repo (id INTEGER PRIMARY KEY)", NULL}};

static void fill(struct door *door, struct town *town)
{
    const struct migration_set sets[] = {repos, access_migrations};
    GOOD(db_migrate(town->db, sets, 2, err));
    *door = (struct door){.town = town, .acme = add_org(town, "acme")};
    door->ids[STRANGER] = add_member(town, "stranger", ROLE_NONE);
    door->ids[READER] = add_member(town, "reader", ROLE_READ);
    door->ids[WRITER] = add_member(town, "writer", ROLE_WRITE);
    door->ids[ORG_ADMIN] = add_member(town, "boss", ROLE_ADMIN);
    door->ids[ADA] = add_member(town, "ada", ROLE_NONE);
    door->ids[HUB_ADMIN] = add_member(town, "operator", ROLE_NONE);
    door->ids[READING_HUB_ADMIN] = add_member(town, "auditor", ROLE_READ);
}

static struct actor actor_of(const struct door *door, enum who who, enum role key)
{
    struct actor actor = {.account = {.id = door->ids[who], .kind = ACCOUNT_USER}, .key_role = key};
    actor.account.is_admin = who == HUB_ADMIN || who == READING_HUB_ADMIN;
    return who == NO_ONE ? (struct actor){0} : actor;
}

static struct access_object repo_of(const struct door *door, enum who who, enum visibility visibility, bool disabled)
{
    return (struct access_object){
        .repo_id = 1,
        .owner_id = who == ADA ? door->ids[ADA] : door->acme,
        .visibility = visibility,
        .disabled = disabled,
        .kind_name = STR("model"),
        .full_name = STR("owner/secret-name"),
    };
}

static enum status ask(const struct door *door, const struct actor *actor, enum action action,
                       const struct access_object *object, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    assert_int_equal(OK, db_reader(door->town->db, &conn, err));
    return access_decide(conn, actor, action, object, err);
}

/* The whole table. */

/*
 * One letter an action: + yes, s sign in first (401), h hidden (401 or 404 RepoNotFound), f your rights do not reach
 * (403), k the key's role does not reach (403), d disabled (403).
 */
static char letter_of(enum status status, const struct error *err)
{
    if (status == OK)
        return '+';
    assert_int_equal(status, err->status);
    bool hidden = strcmp(err->code, "RepoNotFound") == 0 && strcmp(err->message, "Repository not found") == 0;
    if (hidden && (status == UNAUTHENTICATED || status == NOT_FOUND))
        return 'h';
    assert_string_equal("", err->code);
    if (status == UNAUTHENTICATED)
        return strncmp(err->message, "Sign in", 7) == 0 ? 's' : '?';
    if (status != FORBIDDEN)
        return '?';
    if (strcmp(err->message, "Access to this resource is disabled.") == 0)
        return 'd';
    return strncmp(err->message, "This token may only ", 20) == 0 ? 'k'
           : strncmp(err->message, "You may not ", 12) == 0       ? 'f'
                                                                  : '?';
}

/* Each row: public list appeal self self-change | create govern countersign | see read apply attest | take-part propose write administer. */
static const struct row {
    enum who who;
    enum role key;
    const char *open, *closed, *open_disabled, *closed_disabled; /* public and private repos */
} table[] = {
    {NO_ONE, ROLE_NONE, "++ssssss++ssssss", "++sssssshhhhhhhh", "++ssssssdddddddd", "++sssssshhhhhhhh"},

    {STRANGER, ROLE_READ, "++++kfff++++kkff", "++++kfffhhhhhhhh", "++++kfffdddddddd", "++++kfffhhhhhhhh"},
    {STRANGER, ROLE_WRITE, "+++++fff++++++ff", "+++++fffhhhhhhhh", "+++++fffdddddddd", "+++++fffhhhhhhhh"},
    {STRANGER, ROLE_ADMIN, "+++++fff++++++ff", "+++++fffhhhhhhhh", "+++++fffdddddddd", "+++++fffhhhhhhhh"},

    {READER, ROLE_READ, "++++kfff++++kkff", "++++kfff++++kkff", "++++kfffdddddddd", "++++kfffdddddddd"},
    {READER, ROLE_WRITE, "+++++fff++++++ff", "+++++fff++++++ff", "+++++fffdddddddd", "+++++fffdddddddd"},
    {READER, ROLE_ADMIN, "+++++fff++++++ff", "+++++fff++++++ff", "+++++fffdddddddd", "+++++fffdddddddd"},

    {WRITER, ROLE_READ, "++++kkff++++kkkf", "++++kkff++++kkkf", "++++kkffdddddddd", "++++kkffdddddddd"},
    {WRITER, ROLE_WRITE, "++++++ff+++++++f", "++++++ff+++++++f", "++++++ffdddddddd", "++++++ffdddddddd"},
    {WRITER, ROLE_ADMIN, "++++++ff+++++++f", "++++++ff+++++++f", "++++++ffdddddddd", "++++++ffdddddddd"},

    {ORG_ADMIN, ROLE_READ, "++++kkkk++++kkkk", "++++kkkk++++kkkk", "++++kkkkdddddddd", "++++kkkkdddddddd"},
    {ORG_ADMIN, ROLE_WRITE, "++++++++++++++++", "++++++++++++++++", "++++++++dddddddd", "++++++++dddddddd"},
    {ORG_ADMIN, ROLE_ADMIN, "++++++++++++++++", "++++++++++++++++", "++++++++dddddddd", "++++++++dddddddd"},

    {ADA, ROLE_READ, "++++kkkk++++kkkk", "++++kkkk++++kkkk", "++++kkkkdddddddd", "++++kkkkdddddddd"},
    {ADA, ROLE_WRITE, "++++++++++++++++", "++++++++++++++++", "++++++++dddddddd", "++++++++dddddddd"},
    {ADA, ROLE_ADMIN, "++++++++++++++++", "++++++++++++++++", "++++++++dddddddd", "++++++++dddddddd"},

    /* With a lesser key, a hub administrator is whoever they would be without the office. */
    {HUB_ADMIN, ROLE_READ, "++++kfff++++kkff", "++++kfffhhhhhhhh", "++++kfffdddddddd", "++++kfffhhhhhhhh"},
    {HUB_ADMIN, ROLE_WRITE, "+++++fff++++++ff", "+++++fffhhhhhhhh", "+++++fffdddddddd", "+++++fffhhhhhhhh"},
    {HUB_ADMIN, ROLE_ADMIN, "+++++ff+++++++++", "+++++ff+++++++++", "+++++ff++ddddddd", "+++++ff++ddddddd"},
    {READING_HUB_ADMIN, ROLE_READ, "++++kfff++++kkff", "++++kfff++++kkff", "++++kfffdddddddd", "++++kfffdddddddd"},
    {READING_HUB_ADMIN, ROLE_WRITE, "+++++fff++++++ff", "+++++fff++++++ff", "+++++fffdddddddd", "+++++fffdddddddd"},
    {READING_HUB_ADMIN, ROLE_ADMIN, "+++++ff+++++++++", "+++++ff+++++++++", "+++++ff++ddddddd", "+++++ff++ddddddd"},
};
#define ROWS (sizeof table / sizeof *table)

static void check_row(const struct door *door, const struct row *row, enum visibility visibility, bool disabled)
{
    struct actor actor = actor_of(door, row->who, row->key);
    struct access_object object = repo_of(door, row->who, visibility, disabled);
    bool open = visibility == VISIBILITY_PUBLIC;
    const char *want = disabled ? open ? row->open_disabled : row->closed_disabled : open ? row->open : row->closed;
    char got[ACTIONS + 1] = {0};
    for (enum action action = 0; action < ACTIONS; action++) {
        struct error err = {0};
        got[action] = letter_of(ask(door, &actor, action, &object, &err), &err);
    }
    if (strcmp(want, got) != 0)
        print_error("%s with a %.*s key, %s%s repo: want %s, got %s\n", who_names[row->who],
                    STR_ARG(role_name(row->key)), open ? "public" : "private", disabled ? " disabled" : "", want, got);
    assert_string_equal(want, got);
}

static void the_door_answers_as_the_table_says(void **state)
{
    struct door door;
    fill(&door, *state);
    assert_int_equal(1 + 3 * (WHO - 1), ROWS); /* everybody with every key */
    for (size_t i = 0; i < ROWS; i++)
        for (enum visibility visibility = VISIBILITY_PUBLIC; visibility <= VISIBILITY_PRIVATE; visibility++)
            for (int disabled = 0; disabled <= 1; disabled++)
                check_row(&door, &table[i], visibility, disabled);
}

/* An archived one can be seen, read and administered as before by the same people; nobody writes to it or proposes changes. */
static void an_archived_repo_is_only_closed_to_changes(void **state)
{
    struct door door;
    int refused = 0;
    fill(&door, *state);
    for (size_t i = 0; i < ROWS; i++)
        for (enum visibility visibility = VISIBILITY_PUBLIC; visibility <= VISIBILITY_PRIVATE; visibility++)
            for (enum action action = 0; action < ACTIONS; action++) {
                struct actor actor = actor_of(&door, table[i].who, table[i].key);
                struct access_object object = repo_of(&door, table[i].who, visibility, false);
                struct error plain = {0}, archived = {0};
                enum status was = ask(&door, &actor, action, &object, &plain);
                object.archived = true;
                enum status is = ask(&door, &actor, action, &object, &archived);
                bool change = action == ACT_WRITE || action == ACT_PROPOSE;
                refused += was == OK && change;
                assert_int_equal(is, was == OK && change ? FORBIDDEN : was);
                assert_string_equal(archived.code, was == OK && change ? "RepoArchived" : plain.code);
            }
    assert_true(refused > 20);
}

/* What must hold whatever the table says. */

static bool allows(const struct door *door, const struct actor *actor, enum action action,
                   const struct access_object *object)
{
    return ask(door, actor, action, object, NULL) == OK;
}

static const struct access_object every_repo[] = {
    {.repo_id = 1, .visibility = VISIBILITY_PUBLIC},
    {.repo_id = 1, .visibility = VISIBILITY_PRIVATE},
    {.repo_id = 1, .visibility = VISIBILITY_PUBLIC, .disabled = true},
    {.repo_id = 1, .visibility = VISIBILITY_PRIVATE, .disabled = true},
    {.repo_id = 1, .visibility = 0},
};
#define REPOS (sizeof every_repo / sizeof *every_repo)

static void assert_includes(const struct door *door, const struct actor *more, const struct actor *less)
{
    for (size_t i = 0; i < REPOS; i++)
        for (enum action action = 0; action < ACTIONS; action++) {
            struct access_object object = every_repo[i];
            object.owner_id = door->acme;
            assert_true(!allows(door, less, action, &object) || allows(door, more, action, &object));
        }
}

static void a_stronger_key_never_opens_less(void **state)
{
    struct door door;
    fill(&door, *state);
    struct actor nobody = {0};
    for (enum who who = STRANGER; who < WHO; who++)
        for (enum role key = ROLE_READ; key <= ROLE_ADMIN; key++) {
            struct actor less = actor_of(&door, who, key - 1), more = actor_of(&door, who, key);
            assert_includes(&door, &more, key == ROLE_READ ? &nobody : &less);
        }
}

static void a_higher_role_never_opens_less(void **state)
{
    struct door door;
    fill(&door, *state);
    for (enum who who = STRANGER; who < ORG_ADMIN; who++)
        for (enum role key = ROLE_READ; key <= ROLE_ADMIN; key++) {
            struct actor less = actor_of(&door, who, key), more = actor_of(&door, who + 1, key);
            assert_includes(&door, &more, &less);
        }
}

static void the_office_of_hub_administrator_never_takes_anything_away(void **state)
{
    struct door door;
    fill(&door, *state);
    for (enum who who = STRANGER; who <= ORG_ADMIN; who++)
        for (enum role key = ROLE_READ; key <= ROLE_ADMIN; key++) {
            struct actor less = actor_of(&door, who, key), more = less;
            more.account.is_admin = true;
            /* A member who may create in acme goes on doing so: the office is about repos that exist. */
            assert_includes(&door, &more, &less);
        }
}

static void an_office_without_a_key_of_its_role_is_nothing(void **state)
{
    struct door door;
    fill(&door, *state);
    for (enum who who = STRANGER; who <= ORG_ADMIN; who++)
        for (enum role key = ROLE_READ; key <= ROLE_WRITE; key++) {
            struct actor plain = actor_of(&door, who, key), officer = plain;
            officer.account.is_admin = true;
            assert_includes(&door, &plain, &officer);
        }
}

static void nobody_changes_anything_without_a_key(void **state)
{
    struct door door;
    fill(&door, *state);
    struct actor nobody = {0};
    static const enum action changes[] = {ACT_CREATE, ACT_ATTEST,     ACT_TAKE_PART, ACT_PROPOSE,
                                          ACT_WRITE,  ACT_ADMINISTER, ACT_SELF,      ACT_SELF_CHANGE};
    for (size_t i = 0; i < REPOS; i++)
        for (size_t j = 0; j < sizeof changes / sizeof *changes; j++) {
            struct access_object object = every_repo[i];
            assert_false(allows(&door, &nobody, changes[j], &object)); /* owned by account 0, like nobody */
            object.owner_id = door.acme;
            assert_false(allows(&door, &nobody, changes[j], &object));
        }
}

static void a_read_key_changes_nothing(void **state)
{
    struct door door;
    fill(&door, *state);
    static const enum action changes[] = {ACT_CREATE, ACT_TAKE_PART,  ACT_PROPOSE,
                                          ACT_WRITE,  ACT_ADMINISTER, ACT_SELF_CHANGE};
    for (enum who who = STRANGER; who < WHO; who++)
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
            struct actor actor = actor_of(&door, who, ROLE_READ);
            struct access_object object = repo_of(&door, who, VISIBILITY_PUBLIC, false);
            assert_false(allows(&door, &actor, changes[i], &object));
        }
}

static void a_public_repo_opens_at_least_what_a_private_one_does(void **state)
{
    struct door door;
    fill(&door, *state);
    for (size_t i = 0; i < ROWS; i++)
        for (enum action action = 0; action < ACTIONS; action++) {
            struct actor actor = actor_of(&door, table[i].who, table[i].key);
            struct access_object open = repo_of(&door, table[i].who, VISIBILITY_PUBLIC, false);
            struct access_object closed = repo_of(&door, table[i].who, VISIBILITY_PRIVATE, false);
            assert_true(!allows(&door, &actor, action, &closed) || allows(&door, &actor, action, &open));
        }
}

static void nobody_creates_in_a_name_space_that_does_not_exist(void **state)
{
    struct door door;
    fill(&door, *state);
    struct access_object nowhere = {.owner_id = 0};
    for (size_t i = 0; i < ROWS; i++) {
        struct actor actor = actor_of(&door, table[i].who, table[i].key);
        struct access_object theirs = {.owner_id = door.ids[table[i].who == STRANGER ? ADA : STRANGER]};
        struct error missing = {0}, foreign = {0};
        assert_int_not_equal(OK, ask(&door, &actor, ACT_CREATE, &nowhere, &missing));
        assert_int_not_equal(OK, ask(&door, &actor, ACT_CREATE, &theirs, &foreign));
        assert_memory_equal(&missing, &foreign, sizeof missing);
    }
}

/* The words. */

static void a_hidden_repo_answers_exactly_like_a_missing_one(void **state)
{
    struct door door;
    fill(&door, *state);
    for (enum who who = NO_ONE; who <= STRANGER; who++)
        for (enum action action = ACT_SEE; action < ACTIONS; action++)
            for (int disabled = 0; disabled <= 1; disabled++) {
                struct actor actor = actor_of(&door, who, ROLE_WRITE);
                struct access_object object = repo_of(&door, who, VISIBILITY_PRIVATE, disabled);
                struct error hidden = {0}, missing = {0};
                assert_int_equal(access_hidden(&actor, &missing), ask(&door, &actor, action, &object, &hidden));
                assert_memory_equal(&missing, &hidden, sizeof hidden);
            }
}

static void a_missing_repo_is_401_to_nobody_and_404_to_others(void **state)
{
    (void)state;
    struct actor nobody = {0}, somebody = {.account.id = 1, .key_role = ROLE_READ};
    struct error err = {0};
    assert_int_equal(UNAUTHENTICATED, access_hidden(&nobody, &err));
    assert_string_equal("RepoNotFound", err.code);
    assert_int_equal(NOT_FOUND, access_hidden(&somebody, &err));
    assert_string_equal("RepoNotFound", err.code);
    assert_string_equal("Repository not found", err.message);
}

static void refusal(const struct door *door, enum who who, enum role key, enum action action, struct error *err)
{
    struct actor actor = actor_of(door, who, key);
    struct access_object object = repo_of(door, who, VISIBILITY_PUBLIC, false);
    *err = (struct error){0};
    ask(door, &actor, action, &object, err);
}

static void a_refusal_says_what_is_missing_and_what_to_do(void **state)
{
    struct door door;
    struct error err;
    fill(&door, *state);
    refusal(&door, NO_ONE, ROLE_NONE, ACT_WRITE, &err);
    assert_string_equal("Sign in to do this: send a token of this hub in the Authorization header (hf auth login)",
                        err.message);
    refusal(&door, WRITER, ROLE_READ, ACT_WRITE, &err);
    assert_string_equal("This token may only read. Create one with role write.", err.message);
    refusal(&door, STRANGER, ROLE_WRITE, ACT_WRITE, &err);
    assert_string_equal(
        "You may not write to the model owner/secret-name: it takes its owner, or a member of the owning "
        "organisation with role write. Propose the change in a pull request, or ask them",
        err.message);
    refusal(&door, WRITER, ROLE_WRITE, ACT_ADMINISTER, &err);
    assert_string_equal(
        "You may not administer the model owner/secret-name: it takes its owner, or a member of the owning "
        "organisation with role admin",
        err.message);
    refusal(&door, READER, ROLE_WRITE, ACT_CREATE, &err);
    assert_string_equal(
        "You may not create repos in this name space: it takes its owner, or a member of the organisation with "
        "role write",
        err.message);
}

/* A new key would not help them, so the missing right is named first. */
static void who_lacks_right_and_key_learns_of_the_right(void **state)
{
    struct door door;
    struct error err;
    fill(&door, *state);
    refusal(&door, STRANGER, ROLE_READ, ACT_WRITE, &err);
    assert_non_null(strstr(err.message, "You may not write"));
}

/* As if the database held nonsense. */
static void a_repo_that_is_neither_public_nor_private_is_hidden(void **state)
{
    struct door door;
    fill(&door, *state);
    for (enum visibility visibility = 0; visibility <= 3; visibility += 3)
        for (enum who who = NO_ONE; who <= STRANGER; who++) {
            struct actor actor = actor_of(&door, who, ROLE_WRITE);
            struct access_object object = repo_of(&door, who, visibility, false);
            struct error err = {0};
            assert_int_equal('h', letter_of(ask(&door, &actor, ACT_SEE, &object, &err), &err));
        }
}

static void roles_are_those_of_now(void **state)
{
    struct door door;
    fill(&door, *state);
    struct actor reader = actor_of(&door, READER, ROLE_WRITE);
    struct access_object object = repo_of(&door, READER, VISIBILITY_PRIVATE, false);
    assert_true(allows(&door, &reader, ACT_READ, &object));
    assert_false(allows(&door, &reader, ACT_WRITE, &object));
    GOOD(join(door.town, "acme", "reader", ROLE_WRITE, err));
    assert_true(allows(&door, &reader, ACT_WRITE, &object));
    GOOD(join(door.town, "acme", "reader", ROLE_NONE, err));
    assert_false(allows(&door, &reader, ACT_READ, &object));
}

static void a_database_that_cannot_answer_is_no_yes(void **state)
{
    struct door door;
    fill(&door, *state);
    GOOD(script(door.town->db, "DROP TABLE member", err));
    struct actor writer = actor_of(&door, WRITER, ROLE_WRITE);
    struct access_object object = repo_of(&door, WRITER, VISIBILITY_PRIVATE, false);
    for (enum action action = ACT_CREATE; action < ACTIONS; action++)
        assert_false(allows(&door, &writer, action, &object));
}

static void actions_have_names_of_their_own(void **state)
{
    (void)state;
    for (enum action one = 0; one < ACTIONS; one++)
        for (enum action other = 0; other < one; other++)
            assert_string_not_equal(action_name(one), action_name(other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(the_door_answers_as_the_table_says),
        in_town(an_archived_repo_is_only_closed_to_changes),
        in_town(a_stronger_key_never_opens_less),
        in_town(a_higher_role_never_opens_less),
        in_town(the_office_of_hub_administrator_never_takes_anything_away),
        in_town(an_office_without_a_key_of_its_role_is_nothing),
        in_town(nobody_changes_anything_without_a_key),
        in_town(a_read_key_changes_nothing),
        in_town(a_public_repo_opens_at_least_what_a_private_one_does),
        in_town(nobody_creates_in_a_name_space_that_does_not_exist),
        in_town(a_hidden_repo_answers_exactly_like_a_missing_one),
        cmocka_unit_test(a_missing_repo_is_401_to_nobody_and_404_to_others),
        in_town(a_refusal_says_what_is_missing_and_what_to_do),
        in_town(who_lacks_right_and_key_learns_of_the_right),
        in_town(a_repo_that_is_neither_public_nor_private_is_hidden),
        in_town(roles_are_those_of_now),
        in_town(a_database_that_cannot_answer_is_no_yes),
        cmocka_unit_test(actions_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

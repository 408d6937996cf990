/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"

/* Names. */

#define X48 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void good_names_are_accepted(void **state)
{
    (void)state;
    static const char *const names[] = {"a",
                                        "A",
                                        "7",
                                        "_",
                                        "__x__",
                                        "a-b",
                                        "a.b",
                                        "a_b",
                                        "x.-y",
                                        "9lives",
                                        X48 X48,
                                        "admin",
                                        "user",
                                        "models",
                                        "api",
                                        "a.git",
                                        "Org-1.x",
                                        "_a",
                                        "__DUMMY_TRANSFORMERS_USER__"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        GOOD(account_name_check(str_of(names[i]), err));
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const struct str names[] = {
        {NULL, 0},           {"", 0},    {".", 1},    {"..", 2},          {"-", 1},    {"a--b", 4}, {"a..b", 4},
        {"-a", 2},           {"a-", 2},  {".a", 2},   {"a.", 2},          {"a b", 3},  {" a", 2},   {"a\n", 2},
        {"a\0b", 3},         {"a/b", 3}, {"a\\b", 3}, {"caf\xc3\xa9", 5}, {"\xff", 1}, {"a%2e", 4}, {"a@b", 3},
        {"a:b", 3},          {"a+b", 3}, {"a~", 2},   {"--data", 6},      {"a'b", 3},  {"a\"b", 3}, {X48 X48 "x", 97},
        {".well-known", 11},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        EXPECT(INVALID, account_name_check(names[i], err));
}

static void names_of_the_hubs_own_addresses_are_reserved_in_any_case(void **state)
{
    static const char *const names[] = {
        "api",     "datasets", "spaces", "models",        "kernels", "buckets", "log",      "oauth",     "healthz",
        "metrics", "settings", "login",  "organizations", "join",    "new",     "static",   "assets",    "docs",
        "git",     "lfs",      "me",     "transfer",      "API",     "Models",  "DataSets", "robots.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EXPECT(INVALID, make(*state, ACCOUNT_USER, names[i], NULL, err));
        EXPECT(INVALID, make(*state, ACCOUNT_ORG, names[i], NULL, err));
    }
    assert_int_equal(0, event_count(*state));
}

static void names_that_only_look_reserved_are_free(void **state)
{
    static const char *const names[] = {"admin",       "user", "__DUMMY_TRANSFORMERS_USER__", "apis", "model",
                                        "my-datasets", "_api"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_user(*state, names[i]);
}

/* Accounts. */

static void a_person_is_found_as_created(void **state)
{
    struct town *town = *state;
    struct account found;
    int64_t id;
    struct account_new new = {ACCOUNT_USER, STR("Ada"), STR("Ada Lovelace"), STR("ada@example.org"), true};
    GOOD(account_create(town->db, &new, 0, &id, err));
    GOOD(find(town, "Ada", &found, err));
    assert_int_equal(id, found.id);
    assert_int_equal(ACCOUNT_USER, found.kind);
    assert_text("Ada", found.name);
    assert_text("Ada Lovelace", found.full_name);
    assert_text("ada@example.org", found.email);
    assert_true(found.is_admin);
    assert_false(found.default_private);
    assert_true(found.created_us > 0);
}

static void a_person_without_full_name_goes_by_the_name(void **state)
{
    struct account found;
    add_user(*state, "ada");
    GOOD(find(*state, "ada", &found, err));
    assert_text("ada", found.full_name);
    assert_false(str_given(found.email));
    assert_false(found.is_admin);
}

static void an_organisation_has_no_address_and_administers_nothing(void **state)
{
    struct town *town = *state;
    struct account found;
    struct account_new new = {ACCOUNT_ORG, STR("acme"), STR("Acme"), STR("acme@example.org"), true};
    GOOD(account_create(town->db, &new, 0, NULL, err));
    GOOD(find(town, "acme", &found, err));
    assert_int_equal(ACCOUNT_ORG, found.kind);
    assert_false(str_given(found.email));
    assert_false(found.is_admin);
    assert_text("Acme", found.full_name);
}

static void names_are_found_in_any_case_and_keep_theirs(void **state)
{
    struct account found;
    int64_t id = add_user(*state, "Ada.L");
    GOOD(find(*state, "aDA.l", &found, err));
    assert_int_equal(id, found.id);
    assert_text("Ada.L", found.name);
}

static void an_account_is_got_by_its_number(void **state)
{
    struct town *town = *state;
    auto_conn struct db_conn *conn = NULL;
    struct account found;
    int64_t id = add_user(town, "ada");
    GOOD(db_reader(town->db, &conn, err));
    GOOD(account_get(conn, &town->arena, id, &found, err));
    assert_text("ada", found.name);
    EXPECT(NOT_FOUND, account_get(conn, &town->arena, id + 1, &found, err));
    EXPECT(NOT_FOUND, account_get(conn, &town->arena, 0, &found, err));
}

static void nobody_else_is_found(void **state)
{
    struct account found;
    add_user(*state, "ada");
    EXPECT(NOT_FOUND, find(*state, "ad", &found, err));
    EXPECT(NOT_FOUND, find(*state, "ada2", &found, err));
    EXPECT(NOT_FOUND, find(*state, "%", &found, err));
    EXPECT(NOT_FOUND, find(*state, "", &found, err));
}

static void what_is_no_name_is_not_repeated_in_the_answer(void **state)
{
    struct account found;
    struct error err = {0};
    find(*state, "x\r\nSet-Cookie: a=b", &found, &err);
    assert_int_equal(NOT_FOUND, err.status);
    assert_null(strpbrk(err.message, "\r\n"));
    assert_null(strstr(err.message, "Cookie"));
}

static void a_name_is_taken_once_for_people_and_organisations(void **state)
{
    add_user(*state, "ada");
    EXPECT(CONFLICT, make(*state, ACCOUNT_USER, "ada", NULL, err));
    EXPECT(CONFLICT, make(*state, ACCOUNT_USER, "ADA", NULL, err));
    EXPECT(CONFLICT, make(*state, ACCOUNT_ORG, "Ada", NULL, err));
    assert_int_equal(1, event_count(*state));
}

static void full_names_and_addresses_are_one_good_line(void **state)
{
    struct town *town = *state;
    static const struct {
        enum status status;
        struct str full_name, email;
    } cases[] = {
        {OK, {"Ad\xc3\xa1 L.", 7}, {"a@b", 3}},
        {OK, {"", 0}, {NULL, 0}},
        {INVALID, {"two\nlines", 9}, {NULL, 0}},
        {INVALID, {"\xff", 1}, {NULL, 0}},
        {INVALID, {"nul\0", 4}, {NULL, 0}},
        {INVALID, {"\x7f", 1}, {NULL, 0}},
        {INVALID, {NULL, 0}, {"", 0}},
        {INVALID, {NULL, 0}, {"ada", 3}},
        {INVALID, {NULL, 0}, {"@b", 2}},
        {INVALID, {NULL, 0}, {"a@", 2}},
        {INVALID, {NULL, 0}, {"a @b", 4}},
        {INVALID, {NULL, 0}, {"a@b\nc", 5}},
        {INVALID, {X48 X48 X48 X48 X48, 240}, {NULL, 0}},
        {INVALID, {NULL, 0}, {"a@" X48 X48 X48 X48 X48 X48, 290}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str name = arena_printf(&town->arena, "u%zu", i);
        struct account_new new = {ACCOUNT_USER, name, cases[i].full_name, cases[i].email, false};
        EXPECT(cases[i].status, account_create(town->db, &new, 0, NULL, err));
    }
}

struct racer {
    struct town *town;
    pthread_t thread;
    enum status status;
};

static void *race(void *context)
{
    struct racer *racer = context;
    racer->status = make(racer->town, ACCOUNT_USER, "ada", NULL, NULL);
    return NULL;
}

static void of_many_who_want_a_name_at_once_one_gets_it(void **state)
{
    struct racer racers[8];
    int winners = 0;
    for (size_t i = 0; i < 8; i++) {
        racers[i] = (struct racer){.town = *state};
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(racers[i].thread, NULL);
        assert_true(racers[i].status == OK || racers[i].status == CONFLICT);
        winners += racers[i].status == OK;
    }
    assert_int_equal(1, winners);
    assert_int_equal(1, event_count(*state));
}

/* Roles. */

static void roles_have_names(void **state)
{
    (void)state;
    enum role role;
    for (enum role each = ROLE_READ; each <= ROLE_ADMIN; each++) {
        assert_true(role_parse(role_name(each), &role));
        assert_int_equal(each, role);
    }
    assert_text("none", role_name(ROLE_NONE));
}

static void what_is_no_role_is_refused(void **state)
{
    (void)state;
    enum role role;
    static const struct str names[] = {{NULL, 0},     {"", 0},     {"none", 4},  {"Read", 4},
                                       {"reader", 6}, {"writ", 4}, {"admin ", 6}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(role_parse(names[i], &role));
}

static void a_member_has_the_role_that_was_set_last(void **state)
{
    int64_t ada = add_user(*state, "ada"), acme = add_org(*state, "acme");
    assert_int_equal(ROLE_NONE, role_in(*state, ada, acme));
    GOOD(join(*state, "ACME", "Ada", ROLE_READ, err));
    assert_int_equal(ROLE_READ, role_in(*state, ada, acme));
    GOOD(join(*state, "acme", "ada", ROLE_ADMIN, err));
    assert_int_equal(ROLE_ADMIN, role_in(*state, ada, acme));
    GOOD(join(*state, "acme", "ada", ROLE_WRITE, err));
    assert_int_equal(ROLE_WRITE, role_in(*state, ada, acme));
}

static void a_member_who_is_removed_has_no_role(void **state)
{
    int64_t ada = add_user(*state, "ada"), acme = add_org(*state, "acme");
    EXPECT(NOT_FOUND, join(*state, "acme", "ada", ROLE_NONE, err));
    GOOD(join(*state, "acme", "ada", ROLE_ADMIN, err));
    GOOD(join(*state, "acme", "ada", ROLE_NONE, err));
    assert_int_equal(ROLE_NONE, role_in(*state, ada, acme));
}

static void everybody_is_admin_of_their_own_name_space_only(void **state)
{
    int64_t ada = add_user(*state, "ada"), bob = add_user(*state, "bob");
    assert_int_equal(ROLE_ADMIN, role_in(*state, ada, ada));
    assert_int_equal(ROLE_NONE, role_in(*state, ada, bob));
}

/* An unknown name space has owner 0, and so has somebody without an account. */
static void nobody_owns_nothing(void **state)
{
    int64_t ada = add_user(*state, "ada");
    assert_int_equal(ROLE_NONE, role_in(*state, 0, 0));
    assert_int_equal(ROLE_NONE, role_in(*state, 0, ada));
    assert_int_equal(ROLE_NONE, role_in(*state, ada, 0));
}

static void membership_does_not_work_backwards(void **state)
{
    int64_t ada = add_user(*state, "ada"), acme = add_org(*state, "acme");
    GOOD(join(*state, "acme", "ada", ROLE_ADMIN, err));
    assert_int_equal(ROLE_NONE, role_in(*state, acme, ada));
}

static void only_people_join_and_only_organisations_are_joined(void **state)
{
    add_user(*state, "ada");
    add_user(*state, "bob");
    add_org(*state, "acme");
    add_org(*state, "other");
    EXPECT(INVALID, join(*state, "ada", "bob", ROLE_READ, err));
    EXPECT(INVALID, join(*state, "acme", "other", ROLE_READ, err));
    EXPECT(NOT_FOUND, join(*state, "nowhere", "ada", ROLE_READ, err));
    EXPECT(NOT_FOUND, join(*state, "acme", "nobody", ROLE_READ, err));
    assert_int_equal(4, event_count(*state));
}

struct listing {
    struct arena *arena;
    struct str text;
};

static void add_to_listing(void *context, const struct account *org, enum role role)
{
    struct listing *list = context;
    list->text =
        arena_printf(list->arena, "%.*s%.*s:%.*s ", STR_ARG(list->text), STR_ARG(org->name), STR_ARG(role_name(role)));
}

static void a_persons_organisations_are_listed_by_name(void **state)
{
    struct town *town = *state;
    auto_conn struct db_conn *conn = NULL;
    struct listing mine = {&town->arena, STR("")}, theirs = {&town->arena, STR("")};
    int64_t ada = add_user(town, "ada"), bob = add_user(town, "bob");
    static const char *const orgs[] = {"zeta", "Beta", "alpha", "other"};
    for (size_t i = 0; i < 4; i++)
        add_org(town, orgs[i]);
    for (size_t i = 0; i < 3; i++)
        GOOD(join(town, orgs[i], "ada", ROLE_ADMIN - i, err));
    GOOD(db_reader(town->db, &conn, err));
    GOOD(account_orgs(conn, &town->arena, ada, add_to_listing, &mine, err));
    GOOD(account_orgs(conn, &town->arena, bob, add_to_listing, &theirs, err));
    assert_text("alpha:read Beta:write zeta:admin ", mine.text);
    assert_text("", theirs.text);
}

static void new_repos_of_an_organisation_can_be_private_by_default(void **state)
{
    struct town *town = *state;
    struct account acme, other;
    add_org(town, "acme");
    add_org(town, "other");
    add_user(town, "ada");
    GOOD(org_set_default_private(town->db, STR("ACME"), true, 0, err));
    GOOD(find(town, "acme", &acme, err));
    GOOD(find(town, "other", &other, err));
    assert_true(acme.default_private);
    assert_false(other.default_private);
    GOOD(org_set_default_private(town->db, STR("acme"), false, 0, err));
    GOOD(find(town, "acme", &acme, err));
    assert_false(acme.default_private);
    EXPECT(INVALID, org_set_default_private(town->db, STR("ada"), true, 0, err));
    EXPECT(NOT_FOUND, org_set_default_private(town->db, STR("nowhere"), true, 0, err));
}

/* Events. */

static void every_change_appends_one_event_without_the_address(void **state)
{
    struct town *town = *state;
    struct account_new new = {ACCOUNT_USER, STR("ada"), STR("Ada L."), STR("ada@example.org"), true};
    GOOD(account_create(town->db, &new, 7, NULL, err));
    assert_text("account.create {\"account\":1,\"kind\":\"user\",\"name\":\"ada\",\"is_admin\":true}",
                last_event(town));
    assert_int_equal(7, number(town->db, "SELECT max(actor_id) FROM event"));
    add_org(town, "acme");
    assert_text("account.create {\"account\":2,\"kind\":\"org\",\"name\":\"acme\",\"is_admin\":false}",
                last_event(town));
    GOOD(join(town, "acme", "ada", ROLE_WRITE, err));
    assert_text("member.set {\"org\":2,\"org_name\":\"acme\",\"user\":1,\"user_name\":\"ada\",\"role\":\"write\"}",
                last_event(town));
    GOOD(join(town, "acme", "ada", ROLE_NONE, err));
    assert_has(last_event(town), "\"role\":\"none\"");
    GOOD(org_set_default_private(town->db, STR("acme"), true, 0, err));
    assert_text("org.default_private {\"org\":2,\"org_name\":\"acme\",\"on\":true}", last_event(town));
    assert_int_equal(5, event_count(town));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names_are_accepted),
        cmocka_unit_test(bad_names_are_refused),
        in_town(names_of_the_hubs_own_addresses_are_reserved_in_any_case),
        in_town(names_that_only_look_reserved_are_free),
        in_town(a_person_is_found_as_created),
        in_town(a_person_without_full_name_goes_by_the_name),
        in_town(an_organisation_has_no_address_and_administers_nothing),
        in_town(names_are_found_in_any_case_and_keep_theirs),
        in_town(an_account_is_got_by_its_number),
        in_town(nobody_else_is_found),
        in_town(what_is_no_name_is_not_repeated_in_the_answer),
        in_town(a_name_is_taken_once_for_people_and_organisations),
        in_town(full_names_and_addresses_are_one_good_line),
        in_town(of_many_who_want_a_name_at_once_one_gets_it),
        cmocka_unit_test(roles_have_names),
        cmocka_unit_test(what_is_no_role_is_refused),
        in_town(a_member_has_the_role_that_was_set_last),
        in_town(a_member_who_is_removed_has_no_role),
        in_town(everybody_is_admin_of_their_own_name_space_only),
        in_town(nobody_owns_nothing),
        in_town(membership_does_not_work_backwards),
        in_town(only_people_join_and_only_organisations_are_joined),
        in_town(a_persons_organisations_are_listed_by_name),
        in_town(new_repos_of_an_organisation_can_be_private_by_default),
        in_town(every_change_appends_one_event_without_the_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

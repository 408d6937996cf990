/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "helper.h"
#include <sys/mman.h>

/* The command line is part of the program, not of a library, so it is compiled into its test. */
#include "../../../src/admin.c"

/* Of a part above; tests/e2e/test_misuse.py makes honey keys. */
enum status honey_make(struct db *db, struct arena *arena, struct str account, struct str note, struct str *token,
                       struct error *err)
{
    (void)db, (void)arena, (void)account, (void)note;
    *token = STR("");
    return fail(err, INTERNAL, NULL, "not here");
}

/* In the program this runs the migrations of all parts; here those that the command line needs. */
enum status hub_data_open(const char *dir, struct db **out, struct error *err)
{
    const struct migration_set sets[] = {event_migrations, identity_migrations};
    char path[400];
    snprintf(path, sizeof path, "%s/test.db", dir);
    TRY(db_open(path, out, err));
    enum status status = db_migrate(*out, sets, 2, err);
    if (status != OK)
        db_close(*out);
    return status;
}

/* What stands above this part, and is tested end to end (test_log_drills.py): here it only tells what it was asked. */

static char was_asked[200];

enum status hub_data_lock(const char *dir, int *fd, struct error *err)
{
    (void)dir, (void)err;
    *fd = -1;
    return OK;
}

enum status erase_person(const char *data, struct db *db, struct str name, struct str reason, struct person_erased *out,
                         struct error *err)
{
    (void)data, (void)db, (void)err;
    snprintf(was_asked, sizeof was_asked, "erase %.*s %.*s", STR_ARG(name), STR_ARG(reason));
    *out = (struct person_erased){.name = "erased-7", .count = 3, .nonce = {0xab}, .logged = true, .index = 12};
    return OK;
}

enum status record_begin_anew(const char *dir, struct str origin, const char *program, struct db *db, int64_t *number,
                              struct error *err)
{
    (void)dir, (void)program, (void)db, (void)err;
    snprintf(was_asked, sizeof was_asked, "begin %.*s", STR_ARG(origin));
    *number = 1;
    return OK;
}

enum status key_scope_add(struct db_conn *conn, struct arena *arena, const struct actor *actor, struct str text,
                          enum role otherwise, struct key_scope scopes[KEY_SCOPES_MOST], size_t *count,
                          struct error *err)
{
    (void)conn, (void)arena, (void)actor, (void)err;
    snprintf(was_asked, sizeof was_asked, "scope %.*s %d", STR_ARG(text), otherwise);
    scopes[(*count)++] = (struct key_scope){.owner_id = (int64_t)*count, .role = otherwise};
    return OK;
}

enum status gate_import(struct db *db, const struct repo *repo, struct str file, struct import *how, struct error *err)
{
    (void)db, (void)repo, (void)file, (void)how;
    return fail(err, INVALID, NULL, "no gates here");
}

enum status tier_publish(struct db *db, struct str text, int64_t by_id, int64_t *seq, struct error *err)
{
    (void)db, (void)text, (void)by_id, (void)seq;
    return fail(err, INVALID, NULL, "no tiers here");
}

enum status tier_give(struct db *db, struct str account, struct str slug, int64_t by_id, struct error *err)
{
    (void)db, (void)account, (void)slug, (void)by_id;
    return fail(err, INVALID, NULL, "no tiers here");
}

enum status payment_source_set(struct db *db, struct str name, struct str secret, struct error *err)
{
    (void)db, (void)name, (void)secret;
    return fail(err, INVALID, NULL, "no payments here");
}

bool repo_kind_parse(struct str name, enum repo_kind *out)
{
    (void)name, (void)out;
    return false;
}

enum status repo_find(struct db_conn *conn, struct arena *arena, enum repo_kind kind, struct str ns, struct str name,
                      struct repo *out, bool *moved, struct error *err)
{
    (void)conn, (void)arena, (void)kind, (void)ns, (void)name, (void)out, (void)moved;
    return fail(err, NOT_FOUND, NULL, "no repos here");
}

/* Running a command. */

struct shown {
    int status;
    char out[8192], err[8192];
};

static int redirect(int fd, int *saved)
{
    int file = memfd_create("output", MFD_CLOEXEC);
    fflush(NULL);
    *saved = dup(fd);
    dup2(file, fd);
    return file;
}

static void restore(int fd, int saved, int file, char *text, size_t size)
{
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
    ssize_t len = pread(file, text, size - 1, 0);
    close(file);
    assert_true(len >= 0);
    text[len] = '\0';
}

/* The words of the command line, {0} at the end. */
static struct shown run_words(const char *const *words)
{
    char *argv[32] = {"admin"};
    int argc = 1, saved_out, saved_err;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    struct shown outcome;
    int out = redirect(STDOUT_FILENO, &saved_out), err = redirect(STDERR_FILENO, &saved_err);
    outcome.status = admin_main(argc, argv);
    restore(STDERR_FILENO, saved_err, err, outcome.err, sizeof outcome.err);
    restore(STDOUT_FILENO, saved_out, out, outcome.out, sizeof outcome.out);
    return outcome;
}
#define RUN(...) run_words((const char *const[]){__VA_ARGS__, NULL})
/* In the town's own folder, while its database is open here as it is in a running server. */
#define ADMIN(...) RUN("--data", ((struct town *)*state)->folder->path, __VA_ARGS__)

static void check_done(struct shown outcome, int line)
{
    if (outcome.status != 0)
        print_error("line %d: exit status %d: %s", line, outcome.status, outcome.err);
    assert_int_equal(0, outcome.status);
    assert_string_equal("", outcome.err);
}
#define DONE(...) check_done(ADMIN(__VA_ARGS__), __LINE__)

/* One sentence on standard error, nothing on standard output. */
static void check_refused(struct shown outcome, int status, int line)
{
    if (outcome.status != status)
        print_error("line %d: exit status %d: %s%s", line, outcome.status, outcome.out, outcome.err);
    assert_int_equal(status, outcome.status);
    assert_string_equal("", outcome.out);
    assert_int_equal(0, strncmp(outcome.err, "cairn admin: ", 13));
    assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
}
#define REFUSED(...) check_refused(ADMIN(__VA_ARGS__), 1, __LINE__)
#define MISUSED(...) check_refused(ADMIN(__VA_ARGS__), 2, __LINE__)

static struct str token_of(const char *output)
{
    return str_trim(str_of(output));
}

/* What people do. */

static void a_person_is_made_with_all_flags(void **state)
{
    struct account found;
    DONE("user", "create", "__x__", "--admin", "--email", "x@example.org", "--full-name", "X. Ample");
    GOOD(find(*state, "__x__", &found, err));
    assert_int_equal(ACCOUNT_USER, found.kind);
    assert_true(found.is_admin);
    assert_text("x@example.org", found.email);
    assert_text("X. Ample", found.full_name);
    DONE("user", "create", "plain");
    GOOD(find(*state, "plain", &found, err));
    assert_false(found.is_admin);
}

static void a_token_stands_alone_on_standard_output_and_signs_in(void **state)
{
    struct actor actor = {0};
    static const char *const roles[] = {"read", "write", "admin"};
    DONE("user", "create", "ada");
    for (size_t i = 0; i < 3; i++) {
        struct shown made = ADMIN("token", "create", "ada", "--name", roles[i], "--role", roles[i]);
        check_done(made, __LINE__);
        assert_int_equal(59, strlen(made.out));
        assert_int_equal('\n', made.out[58]);
        GOOD(authenticate(*state, token_of(made.out), &actor, err));
        assert_int_equal(ROLE_READ + i, actor.key_role);
    }
}

static void a_token_is_imported(void **state)
{
    struct actor actor = {0};
    char longest[4097];
    memset(longest, 'y', 4096);
    longest[4096] = '\0';
    const char *const values[] = {"x", "hf_abc", "--data", "a=b", longest};
    DONE("user", "create", "ada");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%zu", i);
        struct shown made = ADMIN("token", "create", "ada", "--name", name, "--role", "write", "--value", values[i]);
        check_done(made, __LINE__);
        assert_text(values[i], token_of(made.out));
        GOOD(authenticate(*state, str_of(values[i]), &actor, err));
    }
    REFUSED("token", "create", "ada", "--name", "again", "--role", "write", "--value", "hf_abc");
    REFUSED("token", "create", "ada", "--name", "empty", "--role", "write", "--value", "");
    REFUSED("token", "create", "ada", "--name", "space", "--role", "write", "--value", "a b");
}

static void a_token_is_revoked_by_name(void **state)
{
    struct actor actor = {0};
    DONE("user", "create", "ada");
    struct shown made = ADMIN("token", "create", "ada", "--name", "laptop", "--role", "write");
    REFUSED("token", "create", "ada", "--name", "laptop", "--role", "write");
    REFUSED("token", "revoke", "ada", "--name", "lap");
    GOOD(authenticate(*state, token_of(made.out), &actor, err));
    DONE("token", "revoke", "ada", "--name", "laptop");
    EXPECT(UNAUTHENTICATED, authenticate(*state, token_of(made.out), &actor, err));
    REFUSED("token", "revoke", "ada", "--name", "laptop");
    DONE("token", "create", "ada", "--name", "laptop", "--role", "write");
}

static void a_token_has_an_end_and_limits(void **state)
{
    struct town *town = *state;
    struct actor actor = {0};
    DONE("user", "create", "ada");
    struct shown made = ADMIN("token", "create", "ada", "--name", "ci", "--role", "write", "--days", "7", "--repos",
                              "ada/a:read, ada/b", "--addresses", "192.0.2.0/24", "--bytes-per-day", "1000");
    check_done(made, __LINE__);
    assert_string_equal("scope ada/b 2", was_asked);
    GOOD(authenticate(town, token_of(made.out), &actor, err));
    assert_in_range((actor.key_ends_us - actor.key_created_us) / DAY_US, 7, 7);
    assert_true(actor.is_scoped && actor.scope_count == 2 && actor.bytes_per_day == 1000);
    DONE("token", "create", "ada", "--name", "plain", "--role", "read");
    assert_int_equal(KEY_DAYS, number(town->db, "SELECT days FROM api_key WHERE name = 'plain'"));
    REFUSED("token", "create", "ada", "--name", "ever", "--role", "read", "--days", "0");
    REFUSED("token", "create", "ada", "--name", "long", "--role", "read", "--days", "367");
    REFUSED("token", "create", "ada", "--name", "from", "--role", "read", "--addresses", "10.0.0.1/8");
    MISUSED("token", "create", "ada", "--name", "soon", "--role", "read", "--days", "soon");
    MISUSED("token", "create", "ada", "--name", "neg", "--role", "read", "--bytes-per-day", "-1");
    assert_int_equal(2, number(town->db, "SELECT count(*) FROM api_key"));
}

static void a_token_gets_a_new_secret(void **state)
{
    struct actor actor = {0};
    DONE("user", "create", "ada");
    struct shown old = ADMIN("token", "create", "ada", "--name", "ci", "--role", "read"),
                 new = ADMIN("token", "rotate", "ada", "--name", "ci", "--overlap", "1");
    check_done(new, __LINE__);
    GOOD(authenticate(*state, token_of(old.out), &actor, err));
    GOOD(authenticate(*state, token_of(new.out), &actor, err));
    struct shown last = ADMIN("token", "rotate", "ada", "--name", "ci", "--overlap", "0");
    check_done(last, __LINE__);
    EXPECT(UNAUTHENTICATED, authenticate(*state, token_of(old.out), &actor, err));
    EXPECT(UNAUTHENTICATED, authenticate(*state, token_of(new.out), &actor, err));
    GOOD(authenticate(*state, token_of(last.out), &actor, err));
    REFUSED("token", "rotate", "ada", "--name", "ci", "--overlap", "8");
    REFUSED("token", "rotate", "ada", "--name", "other");
}

static enum role role_of(struct town *town, const char *org, const char *user)
{
    struct account a, b;
    GOOD(find(town, org, &a, err));
    GOOD(find(town, user, &b, err));
    return role_in(town, b.id, a.id);
}

static void an_organisation_gets_members_and_loses_them(void **state)
{
    DONE("org", "create", "acme");
    DONE("user", "create", "ada");
    DONE("org", "add-member", "acme", "ada", "--role", "admin");
    assert_int_equal(ROLE_ADMIN, role_of(*state, "acme", "ada"));
    DONE("org", "add-member", "acme", "ada", "--role", "read");
    assert_int_equal(ROLE_READ, role_of(*state, "acme", "ada"));
    DONE("org", "remove-member", "acme", "ada");
    assert_int_equal(ROLE_NONE, role_of(*state, "acme", "ada"));
    REFUSED("org", "remove-member", "acme", "ada");
    REFUSED("org", "add-member", "acme", "nobody", "--role", "read");
    REFUSED("org", "add-member", "ada", "acme", "--role", "read");
}

static void an_organisations_new_repos_are_private_or_not(void **state)
{
    struct account found;
    DONE("org", "create", "acme", "--full-name", "Acme Inc.");
    DONE("org", "set", "acme", "--default-private", "on");
    GOOD(find(*state, "acme", &found, err));
    assert_true(found.default_private);
    assert_text("Acme Inc.", found.full_name);
    DONE("org", "set", "acme", "--default-private=off");
    GOOD(find(*state, "acme", &found, err));
    assert_false(found.default_private);
    MISUSED("org", "set", "acme", "--default-private", "yes");
    MISUSED("org", "set", "acme", "--default-private", "");
    MISUSED("org", "set", "acme");
}

static void names_that_cannot_be_are_refused(void **state)
{
    REFUSED("user", "create", "api");
    REFUSED("user", "create", "a b");
    REFUSED("user", "create", "a--b");
    REFUSED("user", "create", "");
    REFUSED("org", "create", "Datasets");
    REFUSED("user", "create", "ada", "--email", "nowhere");
    DONE("user", "create", "ada");
    REFUSED("user", "create", "ADA");
    REFUSED("org", "create", "ada");
}

/* The command line itself. */

static void flags_may_stand_anywhere(void **state)
{
    struct town *town = *state;
    const char *dir = town->folder->path;
    char joined[300];
    snprintf(joined, sizeof joined, "--data=%s", dir);
    check_done(RUN("user", "create", "a", "--data", dir), __LINE__);
    check_done(RUN("--data", dir, "user", "create", "b"), __LINE__);
    check_done(RUN("user", "--data", dir, "--admin", "create", "c"), __LINE__);
    check_done(RUN("user", joined, "create", "--full-name=D=D", "d"), __LINE__);
    assert_int_equal(4, number(town->db, "SELECT count(*) FROM account"));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM account WHERE full_name = 'D=D'"));
}

static void the_folder_may_stand_in_the_environment(void **state)
{
    struct town *town = *state;
    setenv("CAIRN_DATA", town->folder->path, 1);
    check_done(RUN("user", "create", "ada"), __LINE__);
    setenv("CAIRN_DATA", "/nonexistent/folder", 1);
    check_done(RUN("user", "create", "bob", "--data", town->folder->path), __LINE__);
    check_refused(RUN("user", "create", "eve"), 1, __LINE__);
    unsetenv("CAIRN_DATA");
    assert_int_equal(2, number(town->db, "SELECT count(*) FROM account"));
}

/* A name in the environment of some other program must not become the name of a key. */
static void no_other_flag_is_taken_from_the_environment(void **state)
{
    DONE("user", "create", "ada");
    setenv("CAIRN_NAME", "laptop", 1);
    setenv("CAIRN_ROLE", "admin", 1);
    MISUSED("token", "create", "ada");
    unsetenv("CAIRN_NAME");
    unsetenv("CAIRN_ROLE");
}

static void what_is_not_understood_changes_nothing(void **state)
{
    struct town *town = *state;
    DONE("user", "create", "ada");
    MISUSED("user");
    MISUSED("user", "delete", "ada");
    MISUSED("User", "create", "bob");
    MISUSED("user", "create");
    MISUSED("user", "create", "bob", "eve");
    MISUSED("user", "create", "bob", "eve", "joe");
    MISUSED("user", "create", "bob", "--name", "x");
    MISUSED("user", "create", "bob", "--admin=yes");
    MISUSED("user", "create", "bob", "--email");
    MISUSED("user", "create", "bob", "--bogus");
    MISUSED("user", "create", "bob", "-v");
    MISUSED("user", "create", "bob", "--");
    MISUSED("user", "create", "bob", "--data=");
    MISUSED("token", "create", "ada");
    MISUSED("token", "create", "ada", "--name", "x");
    MISUSED("token", "create", "ada", "--role", "read");
    MISUSED("token", "create", "ada", "--name", "x", "--role", "owner");
    MISUSED("token", "create", "ada", "--name", "x", "--role", "none");
    MISUSED("token", "revoke", "ada");
    MISUSED("org", "add-member", "acme", "--role", "read");
    MISUSED("org", "add-member", "acme", "ada");
    assert_int_equal(1, event_count(town));
}

static void help_is_a_page_on_standard_output(void **state)
{
    (void)state;
    static const char *const asked[] = {"--help", "-h"};
    for (size_t i = 0; i < 2; i++) {
        struct shown page = RUN(asked[i]);
        assert_int_equal(0, page.status);
        assert_string_equal("", page.err);
        for (size_t j = 0; j < sizeof commands / sizeof *commands; j++) {
            char words[80];
            snprintf(words, sizeof words, "cairn admin %s%s%s %s", commands[j].noun, commands[j].verb ? " " : "",
                     commands[j].verb ? commands[j].verb : "", commands[j].names);
            assert_non_null(strstr(page.out, words));
        }
        for (size_t j = 0; j < FLAGS; j++)
            assert_non_null(strstr(page.out, flags[j].name));
    }
    assert_int_equal(0, RUN("token", "create", "--help").status);
}

static void without_words_the_page_goes_to_standard_error(void **state)
{
    (void)state;
    struct shown page = run_words((const char *const[]){NULL});
    assert_int_equal(2, page.status);
    assert_string_equal("", page.out);
    assert_non_null(strstr(page.err, "cairn admin user create NAME"));
}

static void who_could_not_be_told_the_token_learns_that(void **state)
{
    struct town *town = *state;
    DONE("user", "create", "ada");
    int saved_out, full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    close(redirect(STDOUT_FILENO, &saved_out));
    dup2(full, STDOUT_FILENO);
    char *argv[] = {"admin",  "--data", town->folder->path, "token", "create", "ada",
                    "--name", "k",      "--role",           "read",  NULL};
    int saved_err, err = redirect(STDERR_FILENO, &saved_err), status = admin_main(10, argv);
    char text[600];
    restore(STDERR_FILENO, saved_err, err, text, sizeof text);
    dup2(saved_out, STDOUT_FILENO);
    close(saved_out);
    close(full);
    clearerr(stdout);
    assert_int_equal(1, status);
    assert_non_null(strstr(text, "standard output"));
}

static void an_erasure_names_its_reason_and_prints_the_receipt(void **state)
{
    struct shown done = ADMIN("user", "erase", "ada", "--reason", "law");
    check_done(done, __LINE__);
    assert_string_equal("erase ada law", was_asked);
    assert_non_null(strstr(done.out, "erased-7"));
    assert_non_null(strstr(done.out, ": ab00"));
    was_asked[0] = '\0';
    MISUSED("user", "erase", "ada");
    MISUSED("user", "erase", "ada", "--reason", "whim");
    MISUSED("user", "erase", "--reason", "law");
    assert_string_equal("", was_asked);
}

static void a_new_log_has_a_name(void **state)
{
    struct shown done = ADMIN("log", "begin-anew", "--origin", "hub.example.org/log/2");
    check_done(done, __LINE__);
    assert_string_equal("begin hub.example.org/log/2", was_asked);
    assert_non_null(strstr(done.out, "log.1"));
    was_asked[0] = '\0';
    MISUSED("log", "begin-anew");
    MISUSED("log", "begin-anew", "now", "--origin", "x");
    assert_string_equal("", was_asked);
}

int main(void)
{
    unsetenv("CAIRN_DATA");
    const struct CMUnitTest tests[] = {
        in_town(a_person_is_made_with_all_flags),
        in_town(a_token_stands_alone_on_standard_output_and_signs_in),
        in_town(a_token_is_imported),
        in_town(a_token_is_revoked_by_name),
        in_town(a_token_has_an_end_and_limits),
        in_town(a_token_gets_a_new_secret),
        in_town(an_organisation_gets_members_and_loses_them),
        in_town(an_organisations_new_repos_are_private_or_not),
        in_town(names_that_cannot_be_are_refused),
        in_town(flags_may_stand_anywhere),
        in_town(the_folder_may_stand_in_the_environment),
        in_town(no_other_flag_is_taken_from_the_environment),
        in_town(an_erasure_names_its_reason_and_prints_the_receipt),
        in_town(a_new_log_has_a_name),
        in_town(what_is_not_understood_changes_nothing),
        cmocka_unit_test(help_is_a_page_on_standard_output),
        cmocka_unit_test(without_words_the_page_goes_to_standard_error),
        in_town(who_could_not_be_told_the_token_learns_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A key's end, its new secrets, where it may be used from, and when it was. */
#include "base/buf.h"
#include "base/time.h"
#include "helper.h"

static int back_to_today(void **state)
{
    clock_travel(0);
    return town_teardown(state);
}
#define in_time(test) cmocka_unit_test_setup_teardown(test, town_setup, back_to_today)

static enum status try_token(struct town *town, struct str token, struct actor *actor, struct error *err)
{
    *actor = (struct actor){0};
    return authenticate(town, token, actor, err);
}

static void assert_works(struct town *town, struct str token)
{
    struct actor actor;
    GOOD(try_token(town, token, &actor, err));
}

static void assert_refused(struct town *town, struct str token, const char *code)
{
    struct actor actor;
    struct error err = {0};
    assert_int_equal(UNAUTHENTICATED, try_token(town, token, &actor, &err));
    assert_string_equal("Invalid credentials in Authorization header", err.message);
    assert_string_equal(code, err.code);
    assert_int_equal(0, actor.account.id);
}

static struct str make_key(struct town *town, const struct key_new *like)
{
    struct key_new new = *like;
    struct str token = {0};
    new.user = STR("ada");
    new.name = str_given(new.name) ? new.name : STR("laptop");
    new.role = new.role ? new.role : ROLE_WRITE;
    new.days = new.days ? new.days : KEY_DAYS;
    GOOD(key_create(town->db, &town->arena, &new, &token, err));
    return token;
}

static struct str rotate(struct town *town, int64_t overlap_days, bool renew)
{
    const struct key_rotation rotation = {
        .user = STR("ada"), .name = STR("laptop"), .overlap_days = overlap_days, .renew = renew};
    struct str token = {0};
    int64_t until_us;
    GOOD(key_rotate(town->db, &town->arena, &rotation, &token, &until_us, err));
    return token;
}

/* The end. */

static void a_key_works_to_its_end_and_not_beyond(void **state)
{
    add_user(*state, "ada");
    struct str token = make_key(*state, &(struct key_new){.days = 3});
    clock_travel(3 * DAY_US - 60 * SECOND_US); /* the clock of the machine goes on, too */
    assert_works(*state, token);
    clock_travel(3 * DAY_US + SECOND_US);
    assert_refused(*state, token, "TokenExpired");
}

static void a_key_says_that_it_ends_soon(void **state)
{
    struct actor actor;
    add_user(*state, "ada");
    struct str token = make_key(*state, &(struct key_new){.days = 30});
    GOOD(try_token(*state, token, &actor, err));
    assert_false(str_given(actor.warning));
    clock_travel(24 * DAY_US);
    GOOD(try_token(*state, token, &actor, err));
    assert_has(actor.warning, "ends on");
}

static void no_key_lasts_for_ever(void **state)
{
    struct town *town = *state;
    static const int64_t days[] = {0, -1, KEY_DAYS_MOST + 1, INT64_MAX};
    struct str token;
    add_user(town, "ada");
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        const struct key_new new = {.user = STR("ada"), .name = STR("k"), .role = ROLE_READ, .days = days[i]};
        EXPECT(INVALID, key_create(town->db, &town->arena, &new, &token, err));
    }
    make_key(town, &(struct key_new){.days = KEY_DAYS_MOST});
}

static void a_key_that_another_made_does_not_outlive_it(void **state)
{
    int64_t end = now_us() + 2 * DAY_US;
    add_user(*state, "ada");
    struct str token = make_key(*state, &(struct key_new){.days = 30, .ends_most_us = end});
    clock_travel(2 * DAY_US + SECOND_US);
    assert_refused(*state, token, "TokenExpired");
}

/* As a database of before was: the key has no end until the migration gives it one. */
static void keys_of_before_get_a_year(void **state)
{
    struct town *town = *state;
    struct actor actor;
    add_user(town, "ada");
    struct str token = new_token(town, "ada", "laptop");
    const char *const undo =
        "DROP TABLE api_key_old; DROP TABLE key_scope; DROP INDEX api_key_end;"
        "ALTER TABLE api_key DROP COLUMN expires_us; ALTER TABLE api_key DROP COLUMN days;"
        "ALTER TABLE api_key DROP COLUMN used_us; ALTER TABLE api_key DROP COLUMN noticed;"
        "ALTER TABLE api_key DROP COLUMN scoped; ALTER TABLE api_key DROP COLUMN addresses;"
        "ALTER TABLE api_key DROP COLUMN bytes_per_day; UPDATE schema_version SET version = 2 WHERE part = 'identity';";
    GOOD(script(town->db, undo, err));
    const struct migration_set set = {"identity",
                                      (const char *const[]){identity_migrations.sql[0], identity_migrations.sql[1],
                                                            identity_migrations.sql[2], NULL}};
    GOOD(db_migrate(town->db, &set, 1, err));
    GOOD(try_token(town, token, &actor, err));
    int64_t left = actor.key_ends_us - now_us();
    assert_in_range(left / DAY_US, 365, 366);
}

/* New secrets. */

static void both_secrets_work_while_they_overlap(void **state)
{
    struct actor old_actor, new_actor;
    add_user(*state, "ada");
    struct str old = make_key(*state, &(struct key_new){0}), new = rotate(*state, 2, true);
    assert_false(str_eq(old, new));
    assert_true(str_eq(str_slice(old, 0, 20), str_slice(new, 0, 20))); /* the id stays, as logs know it */
    GOOD(try_token(*state, old, &old_actor, err));
    GOOD(try_token(*state, new, &new_actor, err));
    assert_int_equal(old_actor.key_id, new_actor.key_id);
    assert_has(old_actor.warning, "was replaced");
    assert_false(str_given(new_actor.warning));
}

static void the_old_secret_ends_with_the_overlap_even_in_use(void **state)
{
    add_user(*state, "ada");
    struct str old = make_key(*state, &(struct key_new){0}), new = rotate(*state, 2, true);
    for (int64_t half_days = 0; half_days < 4; half_days++) { /* never silent for a day */
        clock_travel(half_days * DAY_US / 2);
        assert_works(*state, old);
    }
    clock_travel(2 * DAY_US + SECOND_US);
    assert_refused(*state, old, "TokenReplaced");
    assert_works(*state, new);
}

static void the_old_secret_retires_after_a_day_of_silence(void **state)
{
    struct town *town = *state;
    add_user(town, "ada");
    struct str old = make_key(town, &(struct key_new){0}), new = rotate(town, 7, true);
    clock_travel(DAY_US / 2);
    assert_works(town, old);
    GOOD(key_uses_write(town->db, err)); /* what counts is kept, whether in memory or in the database */
    clock_travel(DAY_US + DAY_US / 4);
    assert_works(town, old);
    clock_travel(2 * DAY_US + DAY_US / 2);
    assert_refused(town, old, "TokenReplaced");
    assert_works(town, new);
}

static void without_overlap_the_old_secret_ends_at_once(void **state)
{
    add_user(*state, "ada");
    struct str old = make_key(*state, &(struct key_new){0}), new = rotate(*state, 0, true);
    assert_refused(*state, old, "TokenReplaced");
    assert_works(*state, new);
}

static void there_are_never_three_secrets(void **state)
{
    add_user(*state, "ada");
    struct str first = make_key(*state, &(struct key_new){0}), second = rotate(*state, 7, true),
               third = rotate(*state, 7, true);
    assert_refused(*state, first, "TokenReplaced");
    assert_works(*state, second);
    assert_works(*state, third);
}

static void revoking_ends_both_secrets(void **state)
{
    add_user(*state, "ada");
    struct str old = make_key(*state, &(struct key_new){0}), new = rotate(*state, 7, true);
    GOOD(revoke_key(*state, "ada", "laptop", err));
    assert_refused(*state, old, "");
    assert_refused(*state, new, "");
}

static void a_replaced_secret_cannot_be_imported(void **state)
{
    struct town *town = *state;
    struct str token;
    add_user(town, "ada");
    struct str old = make_key(town, &(struct key_new){0});
    rotate(town, 0, true);
    EXPECT(CONFLICT, add_key(town, "ada", "again", old.data, &token, err));
}

static void only_some_rotations_make_a_key_last_anew(void **state)
{
    struct town *town = *state;
    add_user(town, "ada");
    make_key(town, &(struct key_new){.days = 10});
    clock_travel(8 * DAY_US);
    struct str kept = rotate(town, 0, false);
    clock_travel(10 * DAY_US + SECOND_US);
    assert_refused(town, kept, "TokenExpired");
    clock_travel(9 * DAY_US);
    struct str renewed = rotate(town, 0, true);
    clock_travel(18 * DAY_US);
    assert_works(town, renewed);
}

static void a_key_that_has_ended_is_not_rotated_and_the_overlap_has_bounds(void **state)
{
    struct town *town = *state;
    struct str token;
    int64_t until_us;
    struct key_rotation rotation = {.user = STR("ada"), .name = STR("laptop"), .overlap_days = 8};
    add_user(town, "ada");
    make_key(town, &(struct key_new){.days = 1});
    EXPECT(INVALID, key_rotate(town->db, &town->arena, &rotation, &token, &until_us, err));
    rotation.overlap_days = -1;
    EXPECT(INVALID, key_rotate(town->db, &town->arena, &rotation, &token, &until_us, err));
    rotation.overlap_days = 0;
    clock_travel(2 * DAY_US);
    EXPECT(CONFLICT, key_rotate(town->db, &town->arena, &rotation, &token, &until_us, err));
    rotation.name = STR("nothing");
    EXPECT(NOT_FOUND, key_rotate(town->db, &town->arena, &rotation, &token, &until_us, err));
}

static void a_rotation_is_an_event_without_the_secret(void **state)
{
    struct town *town = *state;
    add_user(town, "ada");
    make_key(town, &(struct key_new){0});
    int64_t before = event_count(town);
    struct str new = rotate(town, 1, true), event = last_event(town);
    assert_int_equal(before + 1, event_count(town));
    assert_has(event, "key.rotate");
    assert_false(str_has(event, str_slice(new, 20, 32)));
}

/* What was shown. */

static enum auth_level shown_by(struct town *town, struct str token)
{
    struct actor actor;
    GOOD(try_token(town, token, &actor, err));
    assert_int_equal(AUTH_KEY, actor.level);
    return actor.shown;
}

static void a_secret_counts_as_the_session_that_gave_it(void **state)
{
    struct town *town = *state;
    struct str second, third;
    int64_t until_us;
    struct key_rotation by = {.user = STR("ada"), .name = STR("laptop"), .overlap_days = 7};
    add_user(town, "ada");
    struct str first = make_key(town, &(struct key_new){.shown = AUTH_PASSWORD});
    assert_int_equal(AUTH_PASSWORD, shown_by(town, first));
    by.shown = AUTH_PASSKEY;
    GOOD(key_rotate(town->db, &town->arena, &by, &second, &until_us, err));
    assert_int_equal(AUTH_PASSKEY, shown_by(town, second));
    assert_int_equal(AUTH_PASSWORD, shown_by(town, first)); /* whoever had it before has shown no more than then */
    by.shown = AUTH_NONE;
    GOOD(key_rotate(town->db, &town->arena, &by, &third, &until_us, err));
    assert_int_equal(AUTH_NONE, shown_by(town, third));
    assert_int_equal(AUTH_PASSKEY, shown_by(town, second));
}

static enum auth_level strength_of(struct town *town, int64_t id)
{
    auto_conn struct db_conn *conn = NULL;
    enum auth_level level;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(account_strength(conn, id, &level, err));
    return level;
}

static void an_account_is_as_strong_as_the_factors_that_it_has_now(void **state)
{
    struct town *town = *state;
    int64_t ada = add_user(town, "ada");
    add_user(town, "eve");
    assert_int_equal(AUTH_PASSWORD, strength_of(town, ada));
    GOOD(script(town->db, "INSERT INTO totp SELECT id, x'00', name = 'eve', 0 FROM account", err));
    assert_int_equal(AUTH_PASSWORD, strength_of(town, ada)); /* not confirmed */
    GOOD(script(town->db, "UPDATE totp SET confirmed = 1", err));
    assert_int_equal(AUTH_TOTP, strength_of(town, ada));
    GOOD(script(town->db,
                "INSERT INTO passkey SELECT NULL, id, name, x'00', 0, 'phone', 1, 1 FROM account WHERE name = 'ada'",
                err));
    assert_int_equal(AUTH_PASSKEY, strength_of(town, ada));
    GOOD(script(town->db, "DELETE FROM passkey; DELETE FROM totp", err));
    assert_int_equal(AUTH_PASSWORD, strength_of(town, ada));
}

static void levels_have_one_name_each(void **state)
{
    (void)state;
    enum auth_level level;
    for (level = AUTH_PASSWORD; level <= AUTH_PASSKEY; level++) {
        enum auth_level read = AUTH_NONE;
        assert_true(sign_in_parse(sign_in_name(level), &read));
        assert_int_equal(level, read);
    }
    assert_false(str_given(sign_in_name(AUTH_NONE)) || str_given(sign_in_name(AUTH_KEY)));
    static const char *const others[] = {"", "key", "none", "totp", "Password", "passkey ", "two factor", NULL};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(sign_in_parse(str_of(others[i]), &level));
}

/* From where. */

static enum status from(struct town *town, struct str token, const char *address, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct actor actor = {0};
    TRY(db_reader(town->db, &conn, err));
    return actor_authenticate(conn, &town->arena, token, str_of(address), &actor, err);
}

static void a_key_works_only_from_its_addresses(void **state)
{
    struct town *town = *state;
    struct network addresses[KEY_ADDRESSES_MOST];
    size_t count;
    struct error why = {0};
    add_user(town, "ada");
    GOOD(key_addresses_parse(STR("192.0.2.0/24, 2001:db8::/32"), addresses, &count, err));
    assert_int_equal(2, count);
    struct str token = make_key(town, &(struct key_new){.addresses = addresses, .address_count = count});
    GOOD(from(town, token, "192.0.2.200", err));
    GOOD(from(town, token, "2001:db8::77", err));
    GOOD(from(town, token, "::ffff:192.0.2.9", err));
    static const char *const elsewhere[] = {"192.0.3.1", "2001:db9::1", "nonsense", "", NULL};
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        assert_int_equal(FORBIDDEN, from(town, token, elsewhere[i], &why));
        assert_string_equal("TokenAddress", why.code);
    }
    struct str anywhere = make_key(town, &(struct key_new){.name = STR("other")});
    GOOD(from(town, anywhere, "203.0.113.1", err));
}

static void ranges_that_are_none_are_refused(void **state)
{
    (void)state;
    struct network addresses[KEY_ADDRESSES_MOST];
    size_t count;
    static const char *const texts[] = {"", "10.0.0.1/8", "here", "192.0.2.1,", ",", "192.0.2.1;192.0.2.2"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        EXPECT(INVALID, key_addresses_parse(str_of(texts[i]), addresses, &count, err));
    auto_buf struct buf many = {0};
    for (int i = 0; i <= KEY_ADDRESSES_MOST; i++)
        buf_printf(&many, "%s10.0.0.%d", i ? "," : "", i);
    EXPECT(INVALID, key_addresses_parse(buf_view(&many), addresses, &count, err));
}

/* When. */

static void last_use_is_kept_in_memory_and_written_for_all_at_once(void **state)
{
    struct town *town = *state;
    struct str tokens[300];
    add_user(town, "ada");
    for (size_t i = 0; i < 300; i++)
        tokens[i] = make_key(town, &(struct key_new){.name = arena_printf(&town->arena, "k%zu", i)});
    int64_t before = now_us();
    for (size_t i = 0; i < 300; i++)
        assert_works(town, tokens[i]);
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM api_key WHERE used_us > 0"));
    assert_true(key_used_last(1, false, 0) >= before);
    GOOD(key_uses_write(town->db, err));
    assert_int_equal(300, number(town->db, "SELECT count(*) FROM api_key WHERE used_us > 0"));
    assert_true(number(town->db, "SELECT min(used_us) FROM api_key") >= before);
    assert_int_equal(0, key_used_last(1, false, 0)); /* it is in the database now */
    GOOD(key_uses_write(town->db, err));
}

static void a_key_that_was_refused_was_not_used(void **state)
{
    struct town *town = *state;
    add_user(town, "ada");
    struct str token = make_key(town, &(struct key_new){.days = 1});
    clock_travel(2 * DAY_US);
    assert_refused(town, token, "TokenExpired");
    assert_int_equal(0, key_used_last(1, false, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_time(a_key_works_to_its_end_and_not_beyond),
        in_time(a_key_says_that_it_ends_soon),
        in_time(no_key_lasts_for_ever),
        in_time(a_key_that_another_made_does_not_outlive_it),
        in_time(keys_of_before_get_a_year),
        in_time(both_secrets_work_while_they_overlap),
        in_time(the_old_secret_ends_with_the_overlap_even_in_use),
        in_time(the_old_secret_retires_after_a_day_of_silence),
        in_time(without_overlap_the_old_secret_ends_at_once),
        in_time(there_are_never_three_secrets),
        in_time(revoking_ends_both_secrets),
        in_time(a_replaced_secret_cannot_be_imported),
        in_time(only_some_rotations_make_a_key_last_anew),
        in_time(a_key_that_has_ended_is_not_rotated_and_the_overlap_has_bounds),
        in_time(a_rotation_is_an_event_without_the_secret),
        in_time(a_secret_counts_as_the_session_that_gave_it),
        in_time(an_account_is_as_strong_as_the_factors_that_it_has_now),
        in_time(levels_have_one_name_each),
        in_time(a_key_works_only_from_its_addresses),
        in_time(ranges_that_are_none_are_refused),
        in_time(last_use_is_kept_in_memory_and_written_for_all_at_once),
        in_time(a_key_that_was_refused_was_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

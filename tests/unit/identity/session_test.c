/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "helper.h"
#include "identity/passkey.h"
#include "identity/password.h"
#include "identity/session.h"
#include <stdatomic.h>

static int back_to_today(void **state)
{
    clock_travel(0);
    return town_teardown(state);
}
#define in_time(test) cmocka_unit_test_setup_teardown(test, town_setup, back_to_today)

struct call {
    struct town *town;
    struct session_new new;
    int64_t id, account_id, count;
    enum auth_level level;
    struct str token;
};

static enum status do_create(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    return session_create(tx, &call->town->arena, &call->new, &call->token, &call->id, err);
}

static enum status do_raise(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    return session_raise(tx, call->id, call->level, err);
}

static enum status do_end(struct db_conn *tx, void *context, struct error *err)
{
    struct call *call = context;
    return session_end(tx, call->account_id, call->id, err);
}

static enum status do_sweep(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return sessions_sweep(tx, err);
}

static struct call begin(struct town *town, int64_t account_id, enum auth_level level)
{
    struct call call = {
        .town = town, .account_id = account_id, .new = {account_id, level, STR("agent"), STR("192.0.2.1")}};
    GOOD(db_write(town->db, do_create, &call, err));
    return call;
}

static enum status who(struct town *town, struct str token, struct actor *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    *out = (struct actor){0};
    TRY(db_reader(town->db, &conn, err));
    return session_authenticate(conn, &town->arena, token, out, err);
}

static void a_session_is_its_person_with_the_rights_of_a_writing_key(void **state)
{
    struct actor actor;
    enum auth_level level;
    int64_t at_us, ada = add_user(*state, "ada"), before = now_us();
    struct call call = begin(*state, ada, AUTH_TOTP);
    GOOD(who(*state, call.token, &actor, err));
    assert_int_equal(ada, actor.account.id);
    assert_true(actor.is_session && actor.key_id == call.id && !actor.is_scoped);
    assert_int_equal(ROLE_WRITE, actor.key_role);
    actor_auth(&actor, &level, &at_us);
    assert_int_equal(AUTH_TOTP, level);
    assert_true(at_us >= before && at_us <= now_us());
}

static void a_token_of_one_kind_is_none_of_the_other(void **state)
{
    struct actor actor;
    int64_t ada = add_user(*state, "ada");
    struct call call = begin(*state, ada, AUTH_PASSWORD);
    struct str key = new_token(*state, "ada", "laptop");
    EXPECT(UNAUTHENTICATED, authenticate(*state, call.token, &actor, err));
    EXPECT(NOT_FOUND, who(*state, key, &actor, err));
    EXPECT(NOT_FOUND, who(*state, STR(""), &actor, err));
    EXPECT(NOT_FOUND, who(*state, str_slice(call.token, 0, 31), &actor, err));
}

static void what_a_session_signed_ends_with_it(void **state)
{
    struct town *town = *state;
    struct actor actor = {0};
    auto_conn struct db_conn *conn = NULL;
    int64_t ada = add_user(town, "ada");
    struct call call = begin(town, ada, AUTH_PASSWORD);
    GOOD(db_reader(town->db, &conn, err));
    GOOD(actor_of_key(conn, &town->arena, call.id, STR("192.0.2.1"), &actor, err));
    assert_int_equal(ada, actor.account.id);
    GOOD(db_write(town->db, do_end, &call, err));
    EXPECT(UNAUTHENTICATED, actor_of_key(conn, &town->arena, call.id, STR("192.0.2.1"), &actor, err));
    EXPECT(NOT_FOUND, db_write(town->db, do_end, &call, err));
}

static void nobody_ends_the_session_of_another(void **state)
{
    struct town *town = *state;
    struct actor actor;
    struct call call = begin(town, add_user(town, "ada"), AUTH_PASSWORD);
    call.account_id = add_user(town, "eve");
    EXPECT(NOT_FOUND, db_write(town->db, do_end, &call, err));
    GOOD(who(town, call.token, &actor, err));
}

static void a_session_ends_after_a_week_without_use_and_a_month_with(void **state)
{
    struct town *town = *state;
    struct actor actor;
    int64_t ada = add_user(town, "ada");
    struct call used = begin(town, ada, AUTH_PASSWORD), idle = begin(town, ada, AUTH_PASSWORD);
    for (int64_t day = 0; day < 30; day += 6) {
        clock_travel(day * DAY_US);
        GOOD(who(town, used.token, &actor, err));
        if (day % 12 == 0)
            GOOD(key_uses_write(town->db, err)); /* whether in memory or in the database */
    }
    EXPECT(NOT_FOUND, who(town, idle.token, &actor, err));
    clock_travel(30 * DAY_US + SECOND_US);
    EXPECT(NOT_FOUND, who(town, used.token, &actor, err));
    GOOD(db_write(town->db, do_sweep, NULL, err));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM session"));
}

static void a_level_only_rises(void **state)
{
    struct town *town = *state;
    struct actor actor;
    struct call call = begin(town, add_user(town, "ada"), AUTH_PASSWORD);
    static const enum auth_level shown[] = {AUTH_TOTP, AUTH_PASSWORD, AUTH_PASSKEY, AUTH_TOTP},
                                 wanted[] = {AUTH_TOTP, AUTH_TOTP, AUTH_PASSKEY, AUTH_PASSKEY};
    int64_t at_us = 0;
    for (size_t i = 0; i < 4; i++) {
        clock_travel((int64_t)i * 60 * SECOND_US);
        call.level = shown[i];
        int64_t events = event_count(town);
        GOOD(db_write(town->db, do_raise, &call, err));
        GOOD(who(town, call.token, &actor, err));
        assert_int_equal(wanted[i], actor.level);
        assert_int_equal(shown[i] == wanted[i], actor.auth_us > at_us); /* less is nothing new */
        assert_int_equal(shown[i] == wanted[i], event_count(town) - events);
        at_us = actor.auth_us;
    }
}

static void sessions_and_sign_in_end_with_the_account(void **state)
{
    struct town *town = *state;
    struct actor actor;
    struct call call = begin(town, add_user(town, "ada"), AUTH_PASSWORD);
    GOOD(password_set(town->db, STR("ada"), STR("correct horse battery"), call.id, 0, err));
    GOOD(who(town, call.token, &actor, err));
    GOOD(account_close(town->db, STR("ada"), 0, err));
    EXPECT(NOT_FOUND, who(town, call.token, &actor, err));
    assert_int_equal(0, number(town->db, "SELECT count(*) FROM password"));
}

/* Passwords. */

static void only_the_password_matches_and_the_hash_says_how_it_was_made(void **state)
{
    (void)state;
    char first[PASSWORD_HASH_SIZE], second[PASSWORD_HASH_SIZE];
    bool matches;
    GOOD(password_hash(STR("correct horse battery"), first, err));
    GOOD(password_hash(STR("correct horse battery"), second, err));
    assert_string_not_equal(first, second);
    assert_memory_equal("$argon2id$v=19$m=19456,t=2,p=1$", first, 31); /* OWASP's setting */
    GOOD(password_matches(str_of(first), STR("correct horse battery"), &matches, err));
    assert_true(matches);
    GOOD(password_matches(str_of(first), STR("correct horse batterY"), &matches, err));
    assert_false(matches);
    GOOD(password_matches(str_of(first), STR(""), &matches, err));
    assert_false(matches);
    GOOD(password_matches((struct str){0}, STR("correct horse battery"), &matches, err));
    assert_false(matches);
    GOOD(password_matches(STR("nonsense"), STR("correct horse battery"), &matches, err));
    assert_false(matches);
}

struct crowd {
    atomic_int in, away, wrong;
};

static void *come(void *context)
{
    struct crowd *crowd = context;
    struct error err = {0};
    bool matches = true;
    enum status status = password_matches((struct str){0}, STR("whatever it is"), &matches, &err);
    if (status == OK && !matches)
        crowd->in++;
    else if (status == TOO_MANY)
        crowd->away++;
    else
        crowd->wrong++;
    return NULL;
}

static void a_crowd_waits_up_to_a_number_and_the_rest_is_sent_away(void **state)
{
    (void)state;
    pthread_t threads[64];
    struct crowd crowd = {0};
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, come, &crowd));
    for (size_t i = 0; i < 64; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(64, crowd.in + crowd.away);
    assert_int_equal(0, crowd.wrong);
    assert_true(crowd.in >= 17); /* one at work, as many as may wait */
}

/* Challenges. */

struct answer {
    struct str challenge;
    enum challenge_purpose purpose;
    int64_t account_id;
};

static const uint8_t secret[32] = {42}, other_secret[32] = {43};

static enum status do_answer(struct db_conn *tx, void *context, struct error *err)
{
    const struct answer *answer = context;
    return challenge_take(tx, secret, answer->purpose, answer->account_id, answer->challenge, err);
}

static void a_challenge_is_answered_once_in_time_for_its_purpose_and_person(void **state)
{
    struct town *town = *state;
    struct answer answer = {challenge_make(&town->arena, secret, CHALLENGE_STEP_UP, 7), CHALLENGE_STEP_UP, 7};
    struct answer wrong[] = {
        {answer.challenge, CHALLENGE_SIGN_IN, 7},
        {answer.challenge, CHALLENGE_STEP_UP, 8},
        {challenge_make(&town->arena, other_secret, CHALLENGE_STEP_UP, 7), CHALLENGE_STEP_UP, 7},
        {str_slice(answer.challenge, 0, answer.challenge.len - 1), CHALLENGE_STEP_UP, 7},
        {STR(""), CHALLENGE_STEP_UP, 7},
        {STR("%%%"), CHALLENGE_STEP_UP, 7},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        EXPECT(UNAUTHENTICATED, db_write(town->db, do_answer, &wrong[i], err));
    GOOD(db_write(town->db, do_answer, &answer, err));
    EXPECT(UNAUTHENTICATED, db_write(town->db, do_answer, &answer, err));
    answer.challenge = challenge_make(&town->arena, secret, CHALLENGE_STEP_UP, 7);
    clock_travel((CHALLENGE_SECONDS + 1) * SECOND_US);
    EXPECT(UNAUTHENTICATED, db_write(town->db, do_answer, &answer, err));
    answer.challenge = challenge_make(&town->arena, secret, CHALLENGE_STEP_UP, 7);
    GOOD(db_write(town->db, do_answer, &answer, err));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM challenge_used")); /* the old one is forgotten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_time(a_session_is_its_person_with_the_rights_of_a_writing_key),
        in_time(a_token_of_one_kind_is_none_of_the_other),
        in_time(what_a_session_signed_ends_with_it),
        in_time(nobody_ends_the_session_of_another),
        in_time(a_session_ends_after_a_week_without_use_and_a_month_with),
        in_time(a_level_only_rises),
        in_time(sessions_and_sign_in_end_with_the_account),
        cmocka_unit_test(only_the_password_matches_and_the_hash_says_how_it_was_made),
        cmocka_unit_test(a_crowd_waits_up_to_a_number_and_the_rest_is_sent_away),
        in_time(a_challenge_is_answered_once_in_time_for_its_purpose_and_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "base/time.h"
#include "helper.h"
#include "identity/totp.h"

static int back_to_today(void **state)
{
    clock_travel(0);
    return town_teardown(state);
}
#define in_time(test) cmocka_unit_test_setup_teardown(test, town_setup, back_to_today)

/* RFC 6238, appendix B, the rows of SHA-1. */
static void codes_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        uint32_t code;
    } rows[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
                {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(rows[i].code, totp_code(STR("12345678901234567890"), rows[i].seconds / 30, 8));
        assert_int_equal(rows[i].code % 1000000, totp_code(STR("12345678901234567890"), rows[i].seconds / 30, 6));
    }
    /* RFC 4226, appendix D */
    static const uint32_t hotp[] = {755224, 287082, 359152, 969429, 338314, 254676, 287922, 162583, 399871, 520489};
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(hotp[i], totp_code(STR("12345678901234567890"), i, 6));
}

static void secrets_are_written_as_apps_read_them(void **state)
{
    struct town *town = *state;
    assert_text("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                totp_secret_text(&town->arena, (const uint8_t *)"12345678901234567890"));
}

struct person {
    struct town *town;
    int64_t id;
    uint8_t key[32], secret[TOTP_SECRET_SIZE];
    struct str code, codes[RECOVERY_CODES];
    bool confirm;
};

static enum status do_begin(struct db_conn *tx, void *context, struct error *err)
{
    struct person *person = context;
    return totp_begin(tx, person->id, person->key, person->secret, err);
}

static enum status do_take(struct db_conn *tx, void *context, struct error *err)
{
    struct person *person = context;
    return totp_take(tx, &person->town->arena, person->id, person->key, person->code, person->confirm, person->codes,
                     err);
}

static enum status do_clear(struct db_conn *tx, void *context, struct error *err)
{
    const struct person *person = context;
    return totp_clear(tx, person->id, 0, err);
}

static enum status take(struct person *person, struct str code, struct error *err)
{
    person->code = code;
    return db_write(person->town->db, do_take, person, err);
}

static struct str code_at(struct person *person, int64_t steps)
{
    uint64_t step = (uint64_t)(now_us() / SECOND_US / TOTP_STEP_SECONDS + steps);
    struct str secret = {(const char *)person->secret, TOTP_SECRET_SIZE};
    return arena_printf(&person->town->arena, "%06u", totp_code(secret, step, 6));
}

/* To the beginning of a step, so that the test does not run over into the next. */
static void at_the_beginning_of_a_step(int64_t more_seconds)
{
    clock_travel(0);
    int64_t into = now_us() / SECOND_US % TOTP_STEP_SECONDS;
    clock_travel((TOTP_STEP_SECONDS - into + more_seconds) * SECOND_US);
}

static void set_up(struct person *person, struct town *town)
{
    *person = (struct person){.town = town, .id = add_user(town, "ada"), .key = {7}, .confirm = true};
    at_the_beginning_of_a_step(0);
    GOOD(db_write(town->db, do_begin, person, err));
    GOOD(take(person, code_at(person, 0), err));
    person->confirm = false;
}

static void a_code_works_once_and_none_before_it(void **state)
{
    struct person ada;
    set_up(&ada, *state);
    EXPECT(UNAUTHENTICATED, take(&ada, code_at(&ada, 0), err));
    EXPECT(UNAUTHENTICATED, take(&ada, code_at(&ada, -1), err));
    struct str next = code_at(&ada, 1);
    GOOD(take(&ada, next, err));
    EXPECT(UNAUTHENTICATED, take(&ada, next, err));
    EXPECT(UNAUTHENTICATED, take(&ada, code_at(&ada, 0), err));
}

static void clocks_may_differ_by_a_step_and_no_more(void **state)
{
    struct person ada;
    set_up(&ada, *state);
    at_the_beginning_of_a_step(10 * TOTP_STEP_SECONDS);
    EXPECT(UNAUTHENTICATED, take(&ada, code_at(&ada, -2), err));
    EXPECT(UNAUTHENTICATED, take(&ada, code_at(&ada, 2), err));
    GOOD(take(&ada, code_at(&ada, -1), err));
    GOOD(take(&ada, code_at(&ada, 0), err));
    GOOD(take(&ada, code_at(&ada, 1), err));
}

static void what_is_no_code_is_refused(void **state)
{
    struct person ada;
    static const char *const texts[] = {"", "12345", "1234567", "abcdef", "-12345", "12 456", "AAAA-AAAA-AAAA-AAAA"};
    set_up(&ada, *state);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        EXPECT(UNAUTHENTICATED, take(&ada, str_of(texts[i]), err));
    EXPECT(UNAUTHENTICATED, take(&ada, (struct str){"\0\0\0\0\0\0", 6}, err));
}

static void each_recovery_code_works_once(void **state)
{
    struct person ada;
    set_up(&ada, *state);
    for (size_t i = 0; i < RECOVERY_CODES; i++) {
        assert_int_equal(19, ada.codes[i].len);
        GOOD(take(&ada, i % 2 ? str_lower(&ada.town->arena, ada.codes[i]) : ada.codes[i], err));
        EXPECT(UNAUTHENTICATED, take(&ada, ada.codes[i], err));
    }
}

static void codes_do_not_count_before_one_was_shown(void **state)
{
    struct person ada = {.town = *state, .id = add_user(*state, "ada"), .key = {7}};
    EXPECT(NOT_FOUND, take(&ada, STR("123456"), err));
    GOOD(db_write(ada.town->db, do_begin, &ada, err));
    EXPECT(NOT_FOUND, take(&ada, code_at(&ada, 0), err));
    GOOD(db_write(ada.town->db, do_begin, &ada, err)); /* begun again: another secret */
    ada.confirm = true;
    GOOD(take(&ada, code_at(&ada, 0), err));
    EXPECT(CONFLICT, take(&ada, code_at(&ada, 1), err));
    EXPECT(CONFLICT, db_write(ada.town->db, do_begin, &ada, err));
    GOOD(db_write(ada.town->db, do_clear, &ada, err));
    EXPECT(NOT_FOUND, db_write(ada.town->db, do_clear, &ada, err));
    assert_int_equal(0, number(ada.town->db, "SELECT count(*) FROM recovery_code"));
}

static void the_secret_in_the_database_is_of_no_use_without_the_key(void **state)
{
    struct person ada;
    set_up(&ada, *state);
    assert_int_equal(0, number(ada.town->db, "SELECT count(*) FROM totp WHERE length(secret) <= 20"));
    ada.key[0]++;
    EXPECT(UNAVAILABLE, take(&ada, code_at(&ada, 1), err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_time(codes_are_those_of_the_standard),
        in_time(secrets_are_written_as_apps_read_them),
        in_time(a_code_works_once_and_none_before_it),
        in_time(clocks_may_differ_by_a_step_and_no_more),
        in_time(what_is_no_code_is_refused),
        in_time(each_recovery_code_works_once),
        in_time(codes_do_not_count_before_one_was_shown),
        in_time(the_secret_in_the_database_is_of_no_use_without_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

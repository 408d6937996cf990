/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "helper.h"

/* The form of a token. */

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Written from the definition of CRC-32 (bits in the order in which they are sent), to check the one that makes tokens.
 */
static uint32_t crc32_by_definition(struct str data)
{
    uint32_t crc = 0xffffffff, reversed = 0;
    for (size_t i = 0; i < data.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t in = (uint8_t)data.data[i] >> bit & 1;
            crc = (crc >> 31 ^ in) ? crc << 1 ^ 0x04c11db7 : crc << 1;
        }
    for (int bit = 0; bit < 32; bit++)
        reversed |= (crc >> bit & 1) << (31 - bit);
    return ~reversed;
}

static bool has_form(struct str token)
{
    if (token.len != 58 || !str_starts(token, STR("hf_cairn_")) || token.data[19] != '_')
        return false;
    for (size_t i = 9; i < token.len; i++)
        if (i != 19 && !strchr(digits, token.data[i]))
            return false;
    uint64_t check = 0;
    for (size_t i = 52; i < 58; i++)
        check = check * 62 + (uint64_t)(strchr(digits, token.data[i]) - digits);
    return check == crc32_by_definition(str_slice(token, 0, 52));
}

static void a_made_token_has_the_form_that_scanners_look_for(void **state)
{
    assert_int_equal(0xcbf43926, crc32_by_definition(STR("123456789")));
    add_user(*state, "ada");
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%d", i);
        assert_true(has_form(new_token(*state, "ada", name)));
    }
}

static void a_token_with_one_character_changed_has_not(void **state)
{
    struct town *town = *state;
    struct str token;
    add_user(town, "ada");
    token = new_token(town, "ada", "laptop");
    for (size_t i = 0; i < token.len; i++) {
        char *other = arena_cstr(&town->arena, token);
        other[i] = other[i] == 'a' ? 'b' : 'a';
        assert_false(has_form((struct str){other, token.len}));
    }
}

static void no_two_tokens_share_an_id_or_a_secret(void **state)
{
    add_user(*state, "ada");
    struct str one = new_token(*state, "ada", "one"), two = new_token(*state, "ada", "two");
    assert_memory_not_equal(one.data + 6, two.data + 6, 10);
    assert_memory_not_equal(one.data + 17, two.data + 17, 32);
}

/* Signing in. */

static void a_token_signs_its_person_in(void **state)
{
    struct town *town = *state;
    struct actor actor = {0};
    struct str token;
    int64_t ada = add_user(town, "ada");
    GOOD(add_key_by(town, "ADA", "my laptop", ROLE_READ, (struct str){0}, 0, &token, err));
    GOOD(authenticate(town, token, &actor, err));
    assert_int_equal(ada, actor.account.id);
    assert_text("ada", actor.account.name);
    assert_text("my laptop", actor.key_name);
    assert_int_equal(ROLE_READ, actor.key_role);
    assert_true(actor.key_id > 0);
    assert_true(actor.key_created_us > 0);
}

static void assert_bad_credentials(struct town *town, struct str token)
{
    struct actor actor = {0};
    struct error err = {0};
    assert_int_equal(UNAUTHENTICATED, authenticate(town, token, &actor, &err));
    assert_int_equal(UNAUTHENTICATED, err.status);
    assert_string_equal("Invalid credentials in Authorization header", err.message);
    assert_string_equal("", err.code);
    assert_int_equal(0, actor.account.id);
    assert_int_equal(ROLE_NONE, actor.key_role);
}

static void anything_else_is_bad_credentials(void **state)
{
    struct town *town = *state;
    add_user(town, "ada");
    struct str token = new_token(town, "ada", "laptop");
    assert_bad_credentials(town, (struct str){0});
    assert_bad_credentials(town, STR(""));
    assert_bad_credentials(town, STR("hf_something"));
    assert_bad_credentials(town, STR("ada"));
    assert_bad_credentials(town, STR("' OR 1=1 --"));
    assert_bad_credentials(town, str_slice(token, 0, token.len - 1));
    assert_bad_credentials(town, str_from(token, 1));
    assert_bad_credentials(town, arena_printf(&town->arena, "%.*s ", STR_ARG(token)));
    assert_bad_credentials(town, (struct str){"\0\xff\x80", 3});
}

/* Whoever reads the database learns hashes; they must not be worth anything. */
static void the_stored_hash_does_not_sign_in(void **state)
{
    struct town *town = *state;
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *hash = NULL;
    add_user(town, "ada");
    new_token(town, "ada", "laptop");
    GOOD(db_reader(town->db, &conn, err));
    GOOD(db_prepare(conn, "SELECT secret_sha256, lower(hex(secret_sha256)), public_id FROM api_key", &hash, err));
    assert_true(stmt_next(hash));
    for (int column = 0; column < 3; column++)
        assert_bad_credentials(town, arena_copy(&town->arena, stmt_str(hash, column)));
}

static struct str repeated(struct arena *arena, char c, size_t count)
{
    char *text = arena_alloc(arena, count + 1);
    memset(text, c, count);
    return (struct str){text, count};
}

static void tokens_from_elsewhere_work_at_any_length(void **state)
{
    struct town *town = *state;
    static const size_t lengths[] = {1, 2, 7, 37, 55, 64, 1000, 4096};
    add_user(town, "ada");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct str value = repeated(&town->arena, 'x', lengths[i]), token = {0};
        struct str name = arena_printf(&town->arena, "k%zu", i);
        struct actor actor = {0};
        GOOD(add_key_by(town, "ada", name.data, ROLE_WRITE, value, 0, &token, err));
        assert_true(str_eq(value, token));
        GOOD(authenticate(town, value, &actor, err));
        assert_true(str_eq(name, actor.key_name));
    }
    assert_bad_credentials(town, repeated(&town->arena, 'x', 3));
    assert_bad_credentials(town, repeated(&town->arena, 'x', 4097));
    assert_bad_credentials(town, repeated(&town->arena, 'x', 10 << 20));
}

static void what_no_header_could_carry_is_not_imported(void **state)
{
    struct town *town = *state;
    struct str token;
    add_user(town, "ada");
    const struct str values[] = {{"", 0},     {"a b", 3},  {" a", 2},          {"a\n", 2},
                                 {"a\0b", 3}, {"\x7f", 1}, {"caf\xc3\xa9", 5}, repeated(&town->arena, 'x', 4097)};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        EXPECT(INVALID, add_key_by(town, "ada", "k", ROLE_WRITE, values[i], 0, &token, err));
    assert_int_equal(1, event_count(town));
}

/* The life of a key. */

static void a_revoked_token_is_bad_credentials_and_others_go_on(void **state)
{
    struct actor actor = {0};
    add_user(*state, "ada");
    struct str laptop = new_token(*state, "ada", "laptop"), server = new_token(*state, "ada", "server");
    GOOD(revoke_key(*state, "Ada", "laptop", err));
    assert_bad_credentials(*state, laptop);
    GOOD(authenticate(*state, server, &actor, err));
}

static void a_name_can_be_used_again_after_revocation(void **state)
{
    struct actor actor = {0};
    struct str token;
    add_user(*state, "ada");
    struct str old = new_token(*state, "ada", "laptop");
    EXPECT(CONFLICT, add_key(*state, "ada", "laptop", NULL, &token, err));
    GOOD(revoke_key(*state, "ada", "laptop", err));
    token = new_token(*state, "ada", "laptop");
    assert_bad_credentials(*state, old);
    GOOD(authenticate(*state, token, &actor, err));
    GOOD(revoke_key(*state, "ada", "laptop", err));
    assert_bad_credentials(*state, token);
}

static void two_people_may_use_the_same_name_for_a_key(void **state)
{
    struct actor actor = {0};
    add_user(*state, "ada");
    add_user(*state, "bob");
    struct str hers = new_token(*state, "ada", "laptop");
    new_token(*state, "bob", "laptop");
    GOOD(revoke_key(*state, "bob", "laptop", err));
    GOOD(authenticate(*state, hers, &actor, err));
    assert_text("ada", actor.account.name);
}

static void a_value_belongs_to_one_key_for_ever(void **state)
{
    struct str token;
    add_user(*state, "ada");
    add_user(*state, "bob");
    GOOD(add_key(*state, "ada", "one", "hf_leaked", &token, err));
    EXPECT(CONFLICT, add_key(*state, "ada", "two", "hf_leaked", &token, err));
    EXPECT(CONFLICT, add_key(*state, "bob", "one", "hf_leaked", &token, err));
    GOOD(revoke_key(*state, "ada", "one", err));
    EXPECT(CONFLICT, add_key(*state, "ada", "one", "hf_leaked", &token, err));
    assert_bad_credentials(*state, STR("hf_leaked"));
}

static void no_refusal_repeats_a_token(void **state)
{
    struct str token;
    struct error refusal = {0};
    add_user(*state, "ada");
    GOOD(add_key(*state, "ada", "one", "hf_leaked", &token, err));
    assert_int_equal(CONFLICT, add_key(*state, "ada", "two", "hf_leaked", &token, &refusal));
    assert_null(strstr(refusal.message, "hf_leaked"));
    assert_int_equal(INVALID, add_key(*state, "ada", "two", "hf leaked", &token, &refusal));
    assert_null(strstr(refusal.message, "hf leaked"));
}

static void only_people_hold_keys(void **state)
{
    struct str token;
    add_org(*state, "acme");
    EXPECT(INVALID, add_key(*state, "acme", "k", NULL, &token, err));
    EXPECT(NOT_FOUND, add_key(*state, "nobody", "k", NULL, &token, err));
}

static void a_key_that_is_not_there_cannot_be_revoked(void **state)
{
    add_user(*state, "ada");
    add_user(*state, "bob");
    new_token(*state, "ada", "laptop");
    EXPECT(NOT_FOUND, revoke_key(*state, "ada", "Laptop", err));
    EXPECT(NOT_FOUND, revoke_key(*state, "bob", "laptop", err));
    EXPECT(NOT_FOUND, revoke_key(*state, "nobody", "laptop", err));
    GOOD(revoke_key(*state, "ada", "laptop", err));
    EXPECT(NOT_FOUND, revoke_key(*state, "ada", "laptop", err));
}

static void key_names_are_one_line(void **state)
{
    static const char *const good[] = {"a", "my laptop", "Ordi de caf\xc3\xa9", "hf-cli (2)", "%s"};
    static const char *const bad[] = {"", " a", "a ", "a\nb", "\t", "\xff"};
    struct town *town = *state;
    struct str token;
    add_user(town, "ada");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        GOOD(add_key(town, "ada", good[i], NULL, &token, err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT(INVALID, add_key(town, "ada", bad[i], NULL, &token, err));
    GOOD(add_key(town, "ada", repeated(&town->arena, 'n', 100).data, NULL, &token, err));
    EXPECT(INVALID, add_key(town, "ada", repeated(&town->arena, 'n', 101).data, NULL, &token, err));
}

static void a_signed_address_speaks_for_its_key_until_that_is_revoked(void **state)
{
    struct town *town = *state;
    auto_conn struct db_conn *conn = NULL;
    struct actor actor = {0}, again = {0};
    int64_t ada = add_user(town, "ada");
    GOOD(authenticate(town, new_token(town, "ada", "laptop"), &actor, err));
    GOOD(db_reader(town->db, &conn, err));
    GOOD(actor_of_key(conn, &town->arena, actor.key_id, STR("192.0.2.7"), &again, err));
    assert_int_equal(ada, again.account.id);
    assert_int_equal(actor.key_id, again.key_id);
    assert_int_equal(ROLE_WRITE, again.key_role);
    EXPECT(UNAUTHENTICATED, actor_of_key(conn, &town->arena, actor.key_id + 1, STR("192.0.2.7"), &again, err));
    GOOD(revoke_key(town, "ada", "laptop", err));
    EXPECT(UNAUTHENTICATED, actor_of_key(conn, &town->arena, actor.key_id, STR("192.0.2.7"), &again, err));
}

/* Secrets. */

static bool is_on_disk(struct folder *folder, struct str text)
{
    bool found = false;
    DIR *dir = opendir(folder->path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[600];
        auto_buf struct buf bytes = {0};
        snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
        if (entry->d_name[0] != '.') {
            GOOD(file_read_all(path, 64 << 20, &bytes, err));
            found = found || str_has(buf_view(&bytes), text);
        }
    }
    closedir(dir);
    return found;
}

static void no_byte_of_a_token_reaches_the_disk(void **state)
{
    struct town *town = *state;
    struct str imported;
    add_user(town, "ada");
    struct str made = new_token(town, "ada", "laptop");
    GOOD(add_key(town, "ada", "old", "hf_oPenSesame0123456789", &imported, err));
    EXPECT(CONFLICT, add_key(town, "ada", "older", "hf_oPenSesame0123456789", &imported, err));
    GOOD(revoke_key(town, "ada", "laptop", err));
    struct str secret = str_slice(made, 20, 38), public_id = str_slice(made, 9, 10);
    assert_true(is_on_disk(town->folder, public_id)); /* so the search does find what is there */
    assert_false(is_on_disk(town->folder, secret));
    assert_false(is_on_disk(town->folder, str_slice(secret, 0, 16)));
    assert_false(is_on_disk(town->folder, STR("oPenSesame")));
}

static void every_change_appends_one_event_without_the_token(void **state)
{
    struct town *town = *state;
    struct str token;
    add_user(town, "ada");
    int64_t before = event_count(town);
    GOOD(add_key_by(town, "ada", "laptop", ROLE_READ, (struct str){0}, 1, &token, err));
    struct str created = last_event(town);
    GOOD(revoke_key(town, "ada", "laptop", err));
    struct str revoked = last_event(town);
    assert_int_equal(before + 2, event_count(town));
    struct str id = str_slice(token, 9, 10);
    struct str want =
        arena_printf(&town->arena,
                     "key.create {\"key\":1,\"public_id\":\"%.*s\",\"name\":\"laptop\",\"role\":\"read\",\"ends\":%lld,"
                     "\"user\":1,\"user_name\":\"ada\"}",
                     STR_ARG(id), (long long)number(town->db, "SELECT expires_us FROM api_key"));
    assert_text(want.data, created);
    want = arena_printf(
        &town->arena,
        "key.revoke {\"key\":1,\"public_id\":\"%.*s\",\"name\":\"laptop\",\"user\":1,\"user_name\":\"ada\"}",
        STR_ARG(id));
    assert_text(want.data, revoked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(a_made_token_has_the_form_that_scanners_look_for),
        in_town(a_token_with_one_character_changed_has_not),
        in_town(no_two_tokens_share_an_id_or_a_secret),
        in_town(a_token_signs_its_person_in),
        in_town(anything_else_is_bad_credentials),
        in_town(the_stored_hash_does_not_sign_in),
        in_town(tokens_from_elsewhere_work_at_any_length),
        in_town(what_no_header_could_carry_is_not_imported),
        in_town(a_revoked_token_is_bad_credentials_and_others_go_on),
        in_town(a_name_can_be_used_again_after_revocation),
        in_town(two_people_may_use_the_same_name_for_a_key),
        in_town(a_value_belongs_to_one_key_for_ever),
        in_town(no_refusal_repeats_a_token),
        in_town(only_people_hold_keys),
        in_town(a_key_that_is_not_there_cannot_be_revoked),
        in_town(key_names_are_one_line),
        in_town(a_signed_address_speaks_for_its_key_until_that_is_revoked),
        in_town(no_byte_of_a_token_reaches_the_disk),
        in_town(every_change_appends_one_event_without_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

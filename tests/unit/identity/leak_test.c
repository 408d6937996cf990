/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys that were found where they do not belong. */
#include "helper.h"

static void a_token_is_known_by_its_check_and_nothing_like_it_is(void **state)
{
    struct town *town = *state;
    struct str token = key_make_token(&town->arena);
    char copy[80];
    assert_true(key_is_ours(token) && token.len < sizeof copy);
    assert_false(key_is_ours(STR("")) || key_is_ours(STR("hf_cairn_")) || key_is_ours((struct str){0}));
    for (size_t i = 0; i < token.len; i++) {
        memcpy(copy, token.data, token.len);
        copy[i] ^= 1;
        assert_false(key_is_ours((struct str){copy, token.len}));
        assert_false(key_is_ours(str_slice(token, 0, i)));
    }
    assert_false(key_is_ours(arena_printf(&town->arena, "%.*s0", STR_ARG(token))));
}

static bool works(struct town *town, struct str token)
{
    struct actor actor = {0};
    return authenticate(town, token, &actor, NULL) == OK;
}

static enum status end_leak(struct db_conn *tx, void *context, struct error *err)
{
    struct key_leak *leak = context;
    auto_arena struct arena arena = {0};
    TRY(key_leak_find(tx, &arena, leak, err));
    TRY(leak->key_id ? key_leak_end(tx, &arena, leak, err) : OK);
    leak->name = (struct str){0};
    return OK;
}

static struct key_leak leak_of(struct town *town, struct str token)
{
    struct key_leak leak = {0};
    sha256(token, leak.digest);
    GOOD(db_write(town->db, end_leak, &leak, err));
    return leak;
}

static void of_a_key_that_was_found_the_secret_ends_and_a_newer_one_works_on(void **state)
{
    struct town *town = *state;
    const struct key_rotation rotation = {.user = STR("ada"), .name = STR("laptop"), .overlap_days = 7};
    struct str new;
    int64_t until_us;
    add_user(town, "ada");
    struct str old = new_token(town, "ada", "laptop"), other = new_token(town, "ada", "other");
    GOOD(key_rotate(town->db, &town->arena, &rotation, &new, &until_us, err));
    assert_int_equal(0, leak_of(town, key_make_token(&town->arena)).key_id);
    assert_true(works(town, old) && works(town, new));
    struct key_leak leak = leak_of(town, old);
    assert_true(leak.key_id && leak.old && !works(town, old) && works(town, new));
    assert_int_equal(0, leak_of(town, old).key_id); /* once */
    leak = leak_of(town, new);
    assert_true(leak.key_id && !leak.old && !works(town, new) && works(town, other));
    assert_int_equal(2, number(town->db, "SELECT count(*) FROM event WHERE kind = 'key.rotate'"));
    assert_int_equal(1, number(town->db, "SELECT count(*) FROM event WHERE kind = 'key.revoke'"));
}

static enum status revoke_all(struct db_conn *tx, void *context, struct error *err)
{
    auto_arena struct arena arena = {0};
    return keys_revoke(tx, &arena, *(int64_t *)context, 0, 0, err);
}

static void all_keys_of_an_account_end_at_once_and_no_other(void **state)
{
    struct town *town = *state;
    int64_t ada = add_user(town, "ada");
    add_user(town, "ben");
    struct str one = new_token(town, "ada", "one"), two = new_token(town, "ada", "two"),
               bens = new_token(town, "ben", "one");
    GOOD(db_write(town->db, revoke_all, &ada, err));
    assert_true(!works(town, one) && !works(town, two) && works(town, bens));
    assert_int_equal(2, number(town->db, "SELECT count(*) FROM event WHERE kind = 'key.revoke'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(a_token_is_known_by_its_check_and_nothing_like_it_is),
        in_town(of_a_key_that_was_found_the_secret_ends_and_a_newer_one_works_on),
        in_town(all_keys_of_an_account_end_at_once_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

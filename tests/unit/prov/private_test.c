/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "base/file.h"
#include "base/text.h"
#include "prov/private.h"

static const uint8_t repo[LEAF_REPO_SIZE] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                             0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
static const uint8_t other_repo[LEAF_REPO_SIZE] = {1};
static const struct commitment_place place = {.repo = repo, .rseq = 3, .field = "ref"};

static struct persons *open_persons(struct folder *folder)
{
    struct persons *persons = NULL;
    GOOD(persons_open(folder->db, &persons, err));
    return persons;
}

static struct person key_of(struct persons *persons, int64_t account_id)
{
    struct person person = {.account_id = account_id};
    GOOD(persons_keys(persons, &person, 1, err));
    return person;
}

static void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
    auto_arena struct arena arena = {0};
    assert_string_equal(hex_encode(&arena, bytes, len).data, hex);
}

/* ---- derivation; the values are from Python's hmac */

static void test_secrets_and_commitments_are_as_the_specification_derives_them(void **state)
{
    (void)state;
    uint8_t key[PERSON_KEY_SIZE], secret[SHA256_SIZE], commitment[SHA256_SIZE], actor[LEAF_ACTOR_SIZE];
    memset(key, 2, sizeof key);
    commitment_secret(key, &place, secret);
    assert_hex(secret, sizeof secret, "aa50d434c17864b3104079731f48dcad6152b10db1547d6c46d16a7711158728");
    commitment_make(secret, &place, STR("refs/heads/main"), commitment);
    assert_hex(commitment, sizeof commitment, "af72cedc18690ed99df5469b75d981f9e9419d6f1d212befb91838a8876d5337");
    person_pseudonym(key, repo, actor);
    assert_hex(actor, sizeof actor, "3bc3fe91657582f642d88ef37a1a5f02");
}

static void test_an_opening_opens_its_commitment_and_no_other(void **state)
{
    (void)state;
    uint8_t key[PERSON_KEY_SIZE] = {7}, secret[SHA256_SIZE], commitment[SHA256_SIZE];
    struct commitment_place next = place, elsewhere = place, of_name = place;
    next.rseq++;
    elsewhere.repo = other_repo;
    of_name.field = "name";
    commitment_secret(key, &place, secret);
    commitment_make(secret, &place, STR("refs/heads/main"), commitment);
    assert_true(commitment_opens(commitment, secret, &place, STR("refs/heads/main")));
    assert_false(commitment_opens(commitment, secret, &place, STR("refs/heads/mai")));
    assert_false(commitment_opens(commitment, secret, &next, STR("refs/heads/main")));
    assert_false(commitment_opens(commitment, secret, &elsewhere, STR("refs/heads/main")));
    assert_false(commitment_opens(commitment, secret, &of_name, STR("refs/heads/main")));
    secret[0] ^= 1;
    assert_false(commitment_opens(commitment, secret, &place, STR("refs/heads/main")));
}

static void test_the_secret_of_one_commitment_is_not_that_of_another(void **state)
{
    (void)state;
    uint8_t key[PERSON_KEY_SIZE] = {7}, one[SHA256_SIZE], two[SHA256_SIZE];
    struct commitment_place next = place;
    next.rseq++;
    commitment_secret(key, &place, one);
    commitment_secret(key, &next, two);
    assert_memory_not_equal(one, two, sizeof one);
}

static void test_pseudonyms_differ_by_person_and_by_repo_and_stay(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person ann = key_of(persons, 1), bob = key_of(persons, 2);
    uint8_t here[LEAF_ACTOR_SIZE], again[LEAF_ACTOR_SIZE], there[LEAF_ACTOR_SIZE], bobs[LEAF_ACTOR_SIZE];
    person_pseudonym(ann.key, repo, here);
    persons_close(persons);
    persons = open_persons(*state);
    ann = key_of(persons, 1);
    person_pseudonym(ann.key, repo, again);
    person_pseudonym(ann.key, other_repo, there);
    person_pseudonym(bob.key, repo, bobs);
    assert_memory_equal(here, again, sizeof here);
    assert_memory_not_equal(here, there, sizeof here);
    assert_memory_not_equal(here, bobs, sizeof here);
    persons_close(persons);
}

/* ---- keys */

static void test_people_who_are_asked_for_together_get_the_keys_that_they_have_alone(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person one = key_of(persons, 5), many[] = {{.account_id = 4}, {.account_id = 5}, {.account_id = 4}};
    GOOD(persons_keys(persons, many, 3, err));
    assert_memory_equal(many[1].key, one.key, PERSON_KEY_SIZE);
    assert_memory_equal(many[0].key, many[2].key, PERSON_KEY_SIZE);
    assert_memory_not_equal(many[0].key, many[1].key, PERSON_KEY_SIZE);
    persons_close(persons);
}

/* ---- erasure */

static bool is_in_a_file(struct folder *folder, const uint8_t *bytes, size_t len)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    bool found = false;
    for (size_t i = 0; i < 3; i++) {
        char path[400];
        auto_buf struct buf content = {0};
        snprintf(path, sizeof path, "%s%s", folder->db, ends[i]);
        if (file_read_all(path, 64 << 20, &content, NULL) == OK)
            found = found || str_has(buf_view(&content), (struct str){(const char *)bytes, len});
    }
    return found;
}

static void test_an_opening_can_be_had_until_the_person_is_erased(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person ann = key_of(persons, 1), bob = key_of(persons, 2);
    uint8_t secret[SHA256_SIZE], commitment[SHA256_SIZE], bobs[SHA256_SIZE];
    struct str value = STR("refs/heads/main");
    commitment_secret(ann.key, &place, secret);
    commitment_make(secret, &place, value, commitment);
    commitment_secret(bob.key, &place, secret);
    commitment_make(secret, &place, value, bobs);

    GOOD(persons_opening(persons, 1, &place, value, commitment, secret, err));
    assert_true(commitment_opens(commitment, secret, &place, value));
    EXPECT(NOT_FOUND, persons_opening(persons, 1, &place, STR("else"), commitment, secret, err));
    EXPECT(NOT_FOUND, persons_opening(persons, 2, &place, value, commitment, secret, err));
    GOOD(persons_erase(persons, 1, err));
    EXPECT(NOT_FOUND, persons_opening(persons, 1, &place, value, commitment, secret, err));
    GOOD(persons_opening(persons, 2, &place, value, bobs, secret, err));
    persons_close(persons);
}

static void test_an_erased_key_is_in_no_file(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person ann = key_of(persons, 1), bob = key_of(persons, 2);
    assert_true(is_in_a_file(*state, ann.key, sizeof ann.key));
    GOOD(persons_erase(persons, 1, err));
    assert_false(is_in_a_file(*state, ann.key, sizeof ann.key));
    assert_true(is_in_a_file(*state, bob.key, sizeof bob.key));
    persons_close(persons);
}

static void test_what_an_erased_person_does_later_is_by_somebody_else(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person before = key_of(persons, 1), after;
    GOOD(persons_erase(persons, 1, err));
    GOOD(persons_erase(persons, 1, err)); /* again, as after a failure */
    after = key_of(persons, 1);
    assert_memory_not_equal(before.key, after.key, PERSON_KEY_SIZE);
    persons_close(persons);
}

static void test_the_hub_itself_cannot_be_erased(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person before = key_of(persons, 0), after;
    EXPECT(INVALID, persons_erase(persons, 0, err));
    after = key_of(persons, 0);
    assert_memory_equal(before.key, after.key, PERSON_KEY_SIZE);
    persons_close(persons);
}

/* ---- old copies */

static void test_keys_that_an_old_copy_brought_back_are_destroyed_in_the_files_too(void **state)
{
    struct persons *persons = open_persons(*state);
    struct person one = key_of(persons, 1), two = key_of(persons, 2), hub = key_of(persons, 0);
    const int64_t erased[] = {2, 77};
    GOOD(persons_prune(persons, erased, 2, err));
    assert_false(is_in_a_file(*state, two.key, PERSON_KEY_SIZE));
    assert_memory_equal(key_of(persons, 1).key, one.key, PERSON_KEY_SIZE);
    assert_memory_equal(key_of(persons, 0).key, hub.key, PERSON_KEY_SIZE);
    persons_close(persons);
}

static void test_a_key_that_another_process_destroyed_is_not_used_again(void **state)
{
    struct persons *server = open_persons(*state), *command = open_persons(*state);
    struct person before = key_of(server, 1);
    GOOD(persons_erase(command, 1, err));
    assert_memory_not_equal(key_of(server, 1).key, before.key, PERSON_KEY_SIZE);
    assert_false(is_in_a_file(*state, before.key, PERSON_KEY_SIZE));
    persons_close(command);
    persons_close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_and_commitments_are_as_the_specification_derives_them),
        cmocka_unit_test(test_an_opening_opens_its_commitment_and_no_other),
        cmocka_unit_test(test_the_secret_of_one_commitment_is_not_that_of_another),
        in_folder(test_pseudonyms_differ_by_person_and_by_repo_and_stay),
        in_folder(test_people_who_are_asked_for_together_get_the_keys_that_they_have_alone),
        in_folder(test_an_opening_can_be_had_until_the_person_is_erased),
        in_folder(test_an_erased_key_is_in_no_file),
        in_folder(test_what_an_erased_person_does_later_is_by_somebody_else),
        in_folder(test_the_hub_itself_cannot_be_erased),
        in_folder(test_keys_that_an_old_copy_brought_back_are_destroyed_in_the_files_too),
        in_folder(test_a_key_that_another_process_destroyed_is_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

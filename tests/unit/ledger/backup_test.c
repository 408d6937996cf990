/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "house.h"

#include <pthread.h>
#include <stdatomic.h>

/* Where a house's copies go. */
struct places {
    char log[160], keys[160];
};

static struct places places_of(const struct house *house)
{
    struct places places;
    snprintf(places.log, sizeof places.log, "%s/copy/log", house->dir);
    snprintf(places.keys, sizeof places.keys, "%s/keys/log", house->dir);
    return places;
}

static void copy(struct house *house, const struct places *places, bool with_keys)
{
    if (ledger_backup(house->folder, places->log, with_keys ? places->keys : NULL, &house->err) != OK)
        fail_msg("%s", house->err.message);
}

static void move_into(const struct places *places, const char *name)
{
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/%s", places->keys, name);
    snprintf(to, sizeof to, "%s/%s", places->log, name);
    assert_int_equal(rename(from, to), 0);
}

/* A house whose log is the copy. */
static struct house house_of_copy(const struct house *house, const struct places *places)
{
    struct house other = *house;
    other.ledger = NULL;
    snprintf(other.folder, sizeof other.folder, "%s", places->log);
    return other;
}

static void report(void *context, const char *finding)
{
    (void)context;
    print_message("%s\n", finding);
}

static void assert_sound(struct ledger *ledger)
{
    struct findings findings = {report};
    struct error err;
    assert_int_equal(ledger_check(ledger, &findings, &err), OK);
    assert_int_equal(findings.count, 0);
}

static void go_on_with_copy(struct house *house, size_t leaves)
{
    struct places places = places_of(house);
    house_open(house);
    house_append(house, leaves);
    struct ledger_state before = house_state(house);
    copy(house, &places, true);
    struct ledger *reader;
    assert_int_equal(ledger_open_reader(places.log, &reader, &house->err), OK);
    assert_sound(reader);
    ledger_close(reader);
    house_close(house);
    move_into(&places, "key");
    move_into(&places, "signer");
    struct house other = house_of_copy(house, &places);
    house_open(&other);
    struct ledger_state after = house_state(&other);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.root, before.root, sizeof before.root);
    house_append(&other, 300);
    for (uint64_t index = 0; index < before.size + 300; index += 97)
        assert_entry(other.ledger, index);
    assert_sound(other.ledger);
    house_close(&other);
}

static void test_a_copy_with_its_keys_goes_on(void **state)
{
    go_on_with_copy(*state, 1000);
}

static void test_a_copy_of_whole_tiles_goes_on(void **state)
{
    go_on_with_copy(*state, 512);
}

static void test_a_copy_of_an_empty_log_goes_on(void **state)
{
    go_on_with_copy(*state, 0);
}

static void test_a_copy_without_its_keys_can_be_read_and_not_opened(void **state)
{
    struct house *house = *state;
    struct places places = places_of(house);
    house_open(house);
    house_append(house, 10);
    copy(house, &places, false);
    house_close(house);
    struct house other = house_of_copy(house, &places);
    assert_int_not_equal(house_try_open(&other), OK);
    assert_non_null(strstr(other.err.message, "private key"));
    assert_int_equal(ledger_open_reader(places.log, &other.ledger, &other.err), OK);
    assert_entry(other.ledger, 9);
    house_close(&other);
}

static void test_a_backup_never_replaces_a_log(void **state)
{
    struct house *house = *state;
    struct places places = places_of(house);
    house_open(house);
    copy(house, &places, true);
    assert_int_equal(ledger_backup(house->folder, places.log, NULL, &house->err), CONFLICT);
    assert_int_equal(ledger_backup(house->folder, house->folder, NULL, &house->err), CONFLICT);
    assert_int_equal(ledger_backup("/nowhere", places.log, NULL, &house->err), NOT_FOUND);
}

/* ---- while the log grows */

struct growing {
    struct house *house;
    atomic_bool stop;
};

static void *grow(void *context)
{
    struct growing *growing = context;
    while (!growing->stop)
        house_append(growing->house, 3);
    return NULL;
}

static void test_a_copy_made_while_the_log_grows_is_of_what_its_record_says(void **state)
{
    struct house *house = *state;
    struct growing growing = {.house = house};
    pthread_t thread;
    house_open(house);
    assert_int_equal(pthread_create(&thread, NULL, grow, &growing), 0);
    for (int round = 0; round < 20; round++) {
        struct error err;
        struct house other = *house;
        struct places places;
        snprintf(places.log, sizeof places.log, "%s/copy-%d/log", house->dir, round);
        snprintf(places.keys, sizeof places.keys, "%s/keys-%d/log", house->dir, round);
        if (ledger_backup(house->folder, places.log, places.keys, &err) != OK)
            fail_msg("%s", err.message);
        move_into(&places, "key");
        move_into(&places, "signer");
        snprintf(other.folder, sizeof other.folder, "%s", places.log);
        house_open(&other);
        assert_sound(other.ledger);
        house_close(&other);
    }
    growing.stop = true;
    pthread_join(thread, NULL);
    house_close(house);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_a_copy_with_its_keys_goes_on, house_make, house_remove),
    cmocka_unit_test_setup_teardown(test_a_copy_of_whole_tiles_goes_on, house_make, house_remove),
    cmocka_unit_test_setup_teardown(test_a_copy_of_an_empty_log_goes_on, house_make, house_remove),
    cmocka_unit_test_setup_teardown(test_a_copy_without_its_keys_can_be_read_and_not_opened, house_make, house_remove),
    cmocka_unit_test_setup_teardown(test_a_backup_never_replaces_a_log, house_make, house_remove),
    cmocka_unit_test_setup_teardown(test_a_copy_made_while_the_log_grows_is_of_what_its_record_says, house_make,
                                    house_remove),
};

HOUSE_MAIN(tests)

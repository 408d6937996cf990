/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "house.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a tree in memory gives for the first size entries. */
static struct tlog_hash root_of(uint64_t size)
{
    struct tlog_frontier frontier = {0};
    char room[ENTRY_MOST];
    while (frontier.size < size) {
        struct tlog_hash leaf = tlog_leaf_hash(entry_of(frontier.size, room));
        tlog_append(&frontier, &leaf, NULL);
    }
    return tlog_root(&frontier);
}

static void assert_root(struct house *house)
{
    struct ledger_state now = house_state(house);
    struct tlog_hash root = root_of(now.size);
    assert_memory_equal(now.root, root.bytes, SHA256_SIZE);
}

static void a_new_log_is_empty_and_has_a_checkpoint(void **state)
{
    struct house *house = *state;
    auto_buf struct buf note = {0};
    house_open(house);
    assert_int_equal(house_state(house).size, 0);
    ledger_checkpoint(house->ledger, &note);
    assert_true(
        str_starts(buf_view(&note), STR("hub.example.org/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n")));
    assert_no_findings(house->ledger);
}

static void what_is_appended_can_be_read_and_proved(void **state)
{
    struct house *house = *state;
    static const size_t groups[] = {1, 1, 5, 248, 1, 256, 300, 700, 2, 1000, 0, 33};
    house_open(house);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        struct ledger_state before = house_state(house), after;
        house_append(house, groups[i]);
        after = house_state(house);
        assert_int_equal(after.size, before.size + groups[i]);
        assert_root(house);
        assert_extends(house->ledger, &before, &after);
        for (uint64_t index = 0; index < after.size; index += 1 + after.size / 50) {
            assert_entry(house->ledger, index);
            assert_included(house->ledger, index, &after);
        }
    }
    assert_no_findings(house->ledger);
}

static void all_is_there_after_opening_again(void **state)
{
    struct house *house = *state;
    auto_buf struct buf before = {0}, after = {0};
    house_open(house);
    house_append(house, 777);
    ledger_checkpoint(house->ledger, &before);
    for (int i = 0; i < 3; i++) {
        house_close(house);
        house_open(house);
        after.len = 0;
        ledger_checkpoint(house->ledger, &after);
        assert_true(str_eq(buf_view(&before), buf_view(&after)));
    }
    house_append(house, 500);
    assert_root(house);
    assert_no_findings(house->ledger);
}

static void a_log_over_many_tiles_grows_a_third_level(void **state)
{
    struct house *house = *state;
    auto_buf struct buf tile = {0};
    char room[ENTRY_MOST];
    struct tlog_frontier frontier = {0};
    house_open(house);
    for (int i = 0; i < 67; i++)
        house_append(house, 1000);
    assert_root(house);
    while (frontier.size < 65536) {
        struct tlog_hash leaf = tlog_leaf_hash(entry_of(frontier.size, room));
        tlog_append(&frontier, &leaf, NULL);
    }
    struct tlog_hash expected = tlog_root(&frontier);
    assert_int_equal(ledger_tile(house->ledger, 2, 0, 1, &tile, &house->err), OK);
    assert_memory_equal(tile.data, expected.bytes, SHA256_SIZE);
    house_close(house);
    house_open(house); /* from where levels and bundles were synced */
    house_append(house, 300);
    assert_root(house);
    assert_no_findings(house->ledger);
    struct ledger_state now = house_state(house);
    assert_included(house->ledger, 65535, &now);
    assert_included(house->ledger, 65536, &now);
}

static void tiles_and_bundles_agree_with_the_entries(void **state)
{
    struct house *house = *state;
    char room[ENTRY_MOST];
    house_open(house);
    house_append(house, 600);
    for (uint64_t number = 0; number < 3; number++) {
        auto_buf struct buf tile = {0}, bundle = {0};
        struct str entries[TILE_WIDTH];
        unsigned width = tile_width(600, 0, number), count;
        assert_int_equal(ledger_tile(house->ledger, 0, number, width, &tile, &house->err), OK);
        assert_int_equal(ledger_bundle(house->ledger, number, width, &bundle, &house->err), OK);
        assert_int_equal(bundle_parse(buf_view(&bundle), entries, &count, &house->err), OK);
        assert_int_equal(count, width);
        for (unsigned i = 0; i < width; i++) {
            struct tlog_hash leaf = tlog_leaf_hash(entries[i]);
            assert_true(str_eq(entries[i], entry_of(number * TILE_WIDTH + i, room)));
            assert_memory_equal(tile.data + i * SHA256_SIZE, leaf.bytes, SHA256_SIZE);
        }
    }
}

static void what_is_not_published_yet_is_not_found(void **state)
{
    struct house *house = *state;
    auto_buf struct buf out = {0};
    house_open(house);
    house_append(house, 300);
    struct ledger *ledger = house->ledger;
    assert_int_equal(ledger_tile(ledger, 0, 1, 45, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 0, 1, 0, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 0, 2, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 0, UINT64_MAX / 256, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 0, UINT64_MAX, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 0, 0, 257, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, 1, 0, 2, &out, &house->err), NOT_FOUND);
    for (unsigned level = 2; level < 70; level++)
        assert_int_equal(ledger_tile(ledger, level, 0, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_tile(ledger, UINT32_MAX, 0, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_bundle(ledger, 1, 45, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_bundle(ledger, 2, 1, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_entry(ledger, 300, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_entry(ledger, UINT64_MAX, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_inclusion(ledger, 0, 301, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_inclusion(ledger, 300, 300, &out, &house->err), INVALID);
    assert_int_equal(ledger_consistency(ledger, 3, 301, &out, &house->err), NOT_FOUND);
    assert_int_equal(ledger_consistency(ledger, 4, 3, &out, &house->err), INVALID);
    assert_int_equal(out.len, 0);
    assert_int_equal(ledger_tile(ledger, 0, 1, 44, &out, &house->err), OK);
    assert_int_equal(ledger_tile(ledger, 1, 0, 1, &out, &house->err), OK);
}

static void the_largest_entry_fits_and_one_byte_more_does_not(void **state)
{
    struct house *house = *state;
    static char room[LEDGER_ENTRY_MOST + 1];
    auto_buf struct buf entry = {0};
    struct str entries[] = {{room, LEDGER_ENTRY_MOST}, {room, LEDGER_ENTRY_MOST + 1}};
    uint64_t first;
    house_open(house);
    assert_int_equal(ledger_append(house->ledger, entries, 2, &first, &house->err), TOO_LARGE);
    assert_int_equal(house_state(house).size, 0);
    assert_int_equal(ledger_append(house->ledger, entries, 1, &first, &house->err), OK);
    assert_int_equal(ledger_entry(house->ledger, 0, &entry, &house->err), OK);
    assert_int_equal(entry.len, LEDGER_ENTRY_MOST);
    assert_no_findings(house->ledger);
}

static void many_large_entries_go_through_one_bundle(void **state)
{
    struct house *house = *state;
    static char room[LEDGER_ENTRY_MOST];
    struct str entries[TILE_WIDTH + 1];
    auto_buf struct buf bundle = {0};
    uint64_t first;
    house_open(house);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        entries[i] = (struct str){room, sizeof room};
    assert_int_equal(ledger_append(house->ledger, entries, TILE_WIDTH + 1, &first, &house->err), OK);
    assert_int_equal(ledger_bundle(house->ledger, 0, TILE_WIDTH, &bundle, &house->err), OK);
    assert_int_equal(bundle.len, TILE_WIDTH * (2 + LEDGER_ENTRY_MOST));
    assert_no_findings(house->ledger);
}

static void a_log_keeps_its_name(void **state)
{
    struct house *house = *state;
    house_open(house);
    house_close(house);
    assert_int_equal(
        ledger_open(house->folder, STR("hub.example.org/log/2"), "/proc/self/exe", &house->ledger, &house->err),
        CONFLICT);
    assert_null(house->ledger);
    house_open(house);
}

static void a_name_that_no_key_may_have_is_refused(void **state)
{
    struct house *house = *state;
    static const char *const bad[] = {"", "a b", "a+b", "a\nb", "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ledger_open(house->folder, str_of(bad[i]), "/proc/self/exe", &house->ledger, &house->err),
                         INVALID);
    house_open(house);
}

static void only_one_may_append_at_a_time(void **state)
{
    struct house *house = *state;
    struct ledger *second = NULL;
    house_open(house);
    assert_int_equal(ledger_open(house->folder, ORIGIN, "/proc/self/exe", &second, &house->err), CONFLICT);
    assert_null(second);
    house_append(house, 3);
    house_close(house);
    assert_int_equal(ledger_open(house->folder, ORIGIN, "/proc/self/exe", &second, &house->err), OK);
    ledger_close(second);
}

static void a_program_that_is_no_signer_is_an_error(void **state)
{
    struct house *house = *state;
    assert_int_equal(ledger_open(house->folder, ORIGIN, "/bin/true", &house->ledger, &house->err), UNAVAILABLE);
    assert_int_equal(ledger_open(house->folder, ORIGIN, "/nonexistent", &house->ledger, &house->err), UNAVAILABLE);
    assert_null(house->ledger);
}

static void a_reader_sees_the_log_beside_the_one_who_appends(void **state)
{
    struct house *house = *state;
    struct ledger *reader = NULL;
    struct ledger_state seen;
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), NOT_FOUND);
    house_open(house);
    house_append(house, 300);
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), OK);
    house_append(house, 300);
    ledger_state(reader, &seen);
    assert_int_equal(seen.size, 300);
    assert_entry(reader, 299);
    assert_included(reader, 299, &seen);
    assert_no_findings(reader);
    ledger_close(reader);
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), OK);
    ledger_state(reader, &seen);
    assert_int_equal(seen.size, 600);
    assert_true(str_eq(ledger_vkey(reader), ledger_vkey(house->ledger)));
    ledger_close(reader);
}

static _Atomic bool appending;

static void *append_much(void *context)
{
    struct house *house = context;
    for (int i = 0; i < 200 && house_try_append(house, 1) == OK; i++)
        ;
    atomic_store(&appending, false);
    return NULL;
}

static void readers_find_a_good_checkpoint_at_any_time(void **state)
{
    struct house *house = *state;
    struct ledger_state seen = {0};
    pthread_t writer;
    house_open(house);
    house_append(house, 1);
    atomic_store(&appending, true);
    assert_int_equal(pthread_create(&writer, NULL, append_much, house), 0);
    for (uint64_t before = 0; atomic_load(&appending); before = seen.size) {
        struct ledger *reader = NULL;
        struct error err = {0};
        if (ledger_open_reader(house->folder, &reader, &err) != OK)
            fail_msg("%s", err.message);
        ledger_state(reader, &seen);
        ledger_close(reader);
        assert_true(seen.size >= before);
    }
    pthread_join(writer, NULL);
    assert_int_equal(house_state(house).size, 201);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_new_log_is_empty_and_has_a_checkpoint, house_make, house_remove),
    cmocka_unit_test_setup_teardown(what_is_appended_can_be_read_and_proved, house_make, house_remove),
    cmocka_unit_test_setup_teardown(all_is_there_after_opening_again, house_make, house_remove),
    cmocka_unit_test_setup_teardown(a_log_over_many_tiles_grows_a_third_level, house_make, house_remove),
    cmocka_unit_test_setup_teardown(tiles_and_bundles_agree_with_the_entries, house_make, house_remove),
    cmocka_unit_test_setup_teardown(what_is_not_published_yet_is_not_found, house_make, house_remove),
    cmocka_unit_test_setup_teardown(the_largest_entry_fits_and_one_byte_more_does_not, house_make, house_remove),
    cmocka_unit_test_setup_teardown(many_large_entries_go_through_one_bundle, house_make, house_remove),
    cmocka_unit_test_setup_teardown(a_log_keeps_its_name, house_make, house_remove),
    cmocka_unit_test_setup_teardown(a_name_that_no_key_may_have_is_refused, house_make, house_remove),
    cmocka_unit_test_setup_teardown(only_one_may_append_at_a_time, house_make, house_remove),
    cmocka_unit_test_setup_teardown(a_program_that_is_no_signer_is_an_error, house_make, house_remove),
    cmocka_unit_test_setup_teardown(a_reader_sees_the_log_beside_the_one_who_appends, house_make, house_remove),
    cmocka_unit_test_setup_teardown(readers_find_a_good_checkpoint_at_any_time, house_make, house_remove),
};

HOUSE_MAIN(tests)

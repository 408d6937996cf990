/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that were changed, lost or brought back from another time. */
#include "house.h"

#define SIZE 600

static int make_log(void **state)
{
    if (house_make(state) != 0)
        return -1;
    house_open(*state);
    house_append(*state, SIZE / 2);
    house_append(*state, SIZE - SIZE / 2);
    house_close(*state);
    return 0;
}

static void flip(struct house *house, const char *name, size_t offset)
{
    auto_buf struct buf content = {0};
    read_file(house, name, &content);
    assert_true(offset < content.len);
    content.data[offset] ^= 1;
    write_file(house, name, buf_view(&content));
}

static void keep_copy(struct house *house, const char *name, struct buf *out)
{
    out->len = 0;
    read_file(house, name, out);
}

static void assert_reader_finds(struct house *house, const char *words)
{
    auto_buf struct buf found = {0};
    struct ledger *reader = NULL;
    if (ledger_open_reader(house->folder, &reader, &house->err) != OK)
        fail_msg("%s", house->err.message);
    assert_true(findings_of(reader, &found) > 0);
    if (!str_has(buf_view(&found), str_of(words)))
        fail_msg("%.*s", STR_ARG(buf_view(&found)));
    ledger_close(reader);
}

static void assert_refused(struct house *house, const char *words)
{
    assert_int_equal(house_try_open(house), CORRUPT);
    assert_null(house->ledger);
    if (!strstr(house->err.message, words))
        fail_msg("%s", house->err.message);
}

/* Opens, and all is as it was, whatever was done to files that can be made again. */
static void assert_mended(struct house *house)
{
    struct ledger_state now;
    house_open(house);
    now = house_state(house);
    assert_int_equal(now.size, SIZE);
    assert_no_findings(house->ledger);
    for (uint64_t index = 0; index < SIZE; index += 7) {
        assert_entry(house->ledger, index);
        assert_included(house->ledger, index, &now);
    }
    house_append(house, 10);
    assert_no_findings(house->ledger);
}

static void an_unharmed_log_has_no_findings(void **state)
{
    struct house *house = *state;
    struct ledger *reader = NULL;
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), OK);
    assert_no_findings(reader);
    ledger_close(reader);
    assert_mended(house);
}

static void a_changed_entry_is_found_and_refused(void **state)
{
    flip(*state, "entries", 5000);
    assert_reader_finds(*state, "an entry was changed");
    assert_refused(*state, "at least one was changed");
}

static void a_changed_length_is_found_and_refused(void **state)
{
    struct house *house = *state;
    flip(house, "entries", 2); /* of the second entry: the first one is empty */
    assert_int_equal(house_try_open(house), CORRUPT);
    struct ledger *reader = NULL;
    auto_buf struct buf found = {0};
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), OK);
    assert_true(findings_of(reader, &found) > 0);
    ledger_close(reader);
}

static void a_changed_hash_is_found_and_made_again(void **state)
{
    flip(*state, "level-0", 16384 + 40);
    assert_reader_finds(*state, "level-0: tile 1 is not");
    assert_mended(*state);
}

static void a_changed_inner_node_is_found_and_made_again(void **state)
{
    flip(*state, "level-0", 8192 + 40);
    assert_reader_finds(*state, "level-0: tile 0 is not");
    assert_mended(*state);
}

static void a_changed_hash_of_a_higher_level_is_found_and_made_again(void **state)
{
    flip(*state, "level-1", 3);
    assert_reader_finds(*state, "level-1: tile 0 is not");
    assert_mended(*state);
}

static void a_changed_bundle_place_is_found_and_made_again(void **state)
{
    flip(*state, "bundles", 15);
    assert_reader_finds(*state, "bundles: bundle 1 begins at");
    assert_mended(*state);
}

static void files_made_from_the_entries_may_be_lost(void **state)
{
    remove_file(*state, "level-0");
    remove_file(*state, "level-1");
    remove_file(*state, "bundles");
    remove_file(*state, "checkpoint");
    remove_file(*state, "vkey");
    assert_mended(*state);
}

static void a_changed_checkpoint_is_refused_until_it_is_removed(void **state)
{
    struct house *house = *state;
    struct ledger *reader = NULL;
    auto_buf struct buf before = {0}, after = {0};
    keep_copy(house, "checkpoint", &before);
    flip(house, "checkpoint", 30);
    assert_int_equal(ledger_open_reader(house->folder, &reader, &house->err), CORRUPT);
    assert_refused(house, "is not what this log signed");
    remove_file(house, "checkpoint");
    house_open(house);
    keep_copy(house, "checkpoint", &after);
    assert_true(str_eq(buf_view(&before), buf_view(&after)));
}

static void an_empty_checkpoint_is_what_a_power_failure_leaves(void **state)
{
    write_file(*state, "checkpoint", STR(""));
    assert_mended(*state);
}

static void a_changed_public_key_is_refused(void **state)
{
    flip(*state, "vkey", 3);
    assert_refused(*state, "public key");
}

static void a_signer_that_lost_its_newest_record_is_refused_and_nothing_is_cut(void **state)
{
    struct house *house = *state;
    auto_buf struct buf before = {0}, after = {0};
    keep_copy(house, "entries", &before);
    flip(house, "signer", 30);
    flip(house, "signer", 4096 + 30);
    assert_refused(house, "record is damaged");
    flip(house, "signer", 30); /* whichever of the two is older is now sound again */
    enum status first = house_try_open(house);
    house_close(house);
    flip(house, "signer", 30);
    flip(house, "signer", 4096 + 30);
    enum status second = house_try_open(house);
    house_close(house);
    assert_true((first == OK) != (second == OK) && first + second == OK + CORRUPT);
    keep_copy(house, "entries", &after);
    assert_true(str_eq(buf_view(&before), buf_view(&after)));
}

static const char *const log_files[] = {"entries", "bundles", "level-0", "level-1", "checkpoint", "signer"};
#define LOG_FILES (sizeof log_files / sizeof *log_files)

/* Lets the log grow and then puts back the old files whose bits are set. */
static void restore_old(struct house *house, unsigned which)
{
    struct buf old[LOG_FILES] = {0};
    for (size_t i = 0; i < LOG_FILES; i++)
        keep_copy(house, log_files[i], &old[i]);
    house_open(house);
    house_append(house, 1);
    house_append(house, 400);
    house_close(house);
    for (size_t i = 0; i < LOG_FILES; i++) {
        if (which >> i & 1)
            write_file(house, log_files[i], buf_view(&old[i]));
        buf_free(&old[i]);
    }
}

static void a_restored_old_backup_is_refused(void **state)
{
    restore_old(*state, 0x1F); /* all but the signer's record */
    assert_refused(*state, "two histories");
}

static void a_restored_old_record_is_refused_and_nothing_is_cut(void **state)
{
    struct house *house = *state;
    auto_buf struct buf before = {0}, after = {0};
    restore_old(house, 0x20);
    keep_copy(house, "entries", &before);
    assert_refused(house, "its record is an old copy");
    keep_copy(house, "entries", &after);
    assert_true(str_eq(buf_view(&before), buf_view(&after)));
}

static void restored_old_files_that_are_made_from_entries_do_no_harm(void **state)
{
    struct house *house = *state;
    restore_old(house, 0x1E);
    house_open(house);
    assert_int_equal(house_state(house).size, SIZE + 401);
    assert_no_findings(house->ledger);
}

static void entries_that_end_too_early_are_refused(void **state)
{
    struct house *house = *state;
    auto_buf struct buf entries = {0};
    keep_copy(house, "entries", &entries);
    entries.len -= 1;
    write_file(house, "entries", buf_view(&entries));
    assert_refused(house, "end within an entry");
}

static void a_torn_tail_is_cut(void **state)
{
    struct house *house = *state;
    static const struct str tails[] = {{"\0", 1}, {"\0\5abc", 5}, {"\0\0\0\0\0\0\0\0", 8}, {"\0\3abc\0\3ab", 9}};
    auto_buf struct buf whole = {0};
    keep_copy(house, "entries", &whole);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        auto_buf struct buf torn = {0}, after = {0};
        buf_str(&torn, buf_view(&whole));
        buf_str(&torn, tails[i]);
        write_file(house, "entries", buf_view(&torn));
        house_open(house);
        assert_int_equal(house_state(house).size, SIZE);
        house_close(house);
        keep_copy(house, "entries", &after);
        assert_true(str_eq(buf_view(&after), buf_view(&whole)));
    }
    assert_mended(house);
}

/* Above 65536 entries there is a place up to which the made files were synced, and before which they are believed. */
static void files_lost_behind_a_sync_are_made_again_too(void **state)
{
    struct house *house = *state;
    house_open(house);
    for (int i = 0; i < 66; i++)
        house_append(house, 1000);
    house_close(house);
    remove_file(house, "level-1");
    remove_file(house, "bundles");
    house_open(house);
    assert_no_findings(house->ledger);
    house_close(house);
    write_file(house, "synced", STR("nonsense"));
    house_open(house);
    assert_no_findings(house->ledger);
    house_close(house);
    write_file(house, "synced", STR("70000\n"));
    assert_refused(house, "its record is an old copy");
}

#define LOGGED(test) cmocka_unit_test_setup_teardown(test, make_log, house_remove)
static const struct CMUnitTest tests[] = {
    LOGGED(an_unharmed_log_has_no_findings),
    LOGGED(a_changed_entry_is_found_and_refused),
    LOGGED(a_changed_length_is_found_and_refused),
    LOGGED(a_changed_hash_is_found_and_made_again),
    LOGGED(a_changed_inner_node_is_found_and_made_again),
    LOGGED(a_changed_hash_of_a_higher_level_is_found_and_made_again),
    LOGGED(a_changed_bundle_place_is_found_and_made_again),
    LOGGED(files_made_from_the_entries_may_be_lost),
    LOGGED(a_changed_checkpoint_is_refused_until_it_is_removed),
    LOGGED(an_empty_checkpoint_is_what_a_power_failure_leaves),
    LOGGED(a_changed_public_key_is_refused),
    LOGGED(a_signer_that_lost_its_newest_record_is_refused_and_nothing_is_cut),
    LOGGED(a_restored_old_backup_is_refused),
    LOGGED(a_restored_old_record_is_refused_and_nothing_is_cut),
    LOGGED(restored_old_files_that_are_made_from_entries_do_no_harm),
    LOGGED(entries_that_end_too_early_are_refused),
    LOGGED(a_torn_tail_is_cut),
    LOGGED(files_lost_behind_a_sync_are_made_again_too),
};

HOUSE_MAIN(tests)

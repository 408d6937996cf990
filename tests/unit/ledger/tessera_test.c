/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log that Tessera keeps for its tests comes out of ours byte for byte, given its key. */
#include "../tlog/tessera_log.h"
#include "base/text.h"
#include "house.h"

static void give_key(struct house *house)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    uint8_t seed[NOTE_SEED_SIZE];
    struct note_signer signer;
    assert_true(hex_decode(str_of(TESSERA_SEED), seed, sizeof seed));
    assert_int_equal(note_signer_make(&arena, NOTE_ED25519, str_of(TESSERA_ORIGIN), seed, &signer, NULL), OK);
    note_signer_write(&text, &signer);
    assert_int_equal(folder_make(house->folder, 0700, NULL), OK);
    write_file(house, "key", buf_view(&text));
}

static void assert_checkpoint(struct house *house, unsigned size)
{
    auto_buf struct buf note = {0};
    char expected[512];
    snprintf(expected, sizeof expected, "example.com/log/testdata\n%u\n%s\n\n— example.com/log/testdata %s\n", size,
             tessera_checkpoints[size].root, tessera_checkpoints[size].signature);
    ledger_checkpoint(house->ledger, &note);
    buf_byte(&note, 0);
    assert_string_equal(note.data, expected);
}

static void assert_tile(struct house *house, unsigned width)
{
    auto_buf struct buf tile = {0};
    uint8_t expected[TESSERA_SIZE * SHA256_SIZE];
    assert_true(hex_decode(str_of(tessera_tile), expected, sizeof expected));
    assert_int_equal(ledger_tile(house->ledger, 0, 0, width, &tile, &house->err), OK);
    assert_int_equal(tile.len, width * SHA256_SIZE);
    assert_memory_equal(tile.data, expected, tile.len);
}

static void assert_bundle(struct house *house, unsigned width)
{
    auto_buf struct buf bundle = {0};
    uint8_t expected[(sizeof tessera_bundle - 1) / 2];
    size_t len = 0;
    for (unsigned i = 0; i < width; i++)
        len += 2 + strlen(tessera_entries[i]);
    assert_true(hex_decode(str_of(tessera_bundle), expected, sizeof expected));
    assert_int_equal(ledger_bundle(house->ledger, 0, width, &bundle, &house->err), OK);
    assert_int_equal(bundle.len, len);
    assert_memory_equal(bundle.data, expected, len);
}

static void every_checkpoint_tile_and_bundle_of_tesseras_log_comes_out(void **state)
{
    struct house *house = *state;
    uint64_t first;
    give_key(house);
    assert_int_equal(ledger_open(house->folder, str_of(TESSERA_ORIGIN), "/proc/self/exe", &house->ledger, &house->err),
                     OK);
    assert_true(str_eq(ledger_vkey(house->ledger), str_of(TESSERA_VKEY)));
    assert_checkpoint(house, 0);
    for (unsigned i = 0; i < TESSERA_SIZE; i++) {
        struct str entry = str_of(tessera_entries[i]);
        assert_int_equal(ledger_append(house->ledger, &entry, 1, &first, &house->err), OK);
        assert_int_equal(first, i);
        assert_checkpoint(house, i + 1);
        for (unsigned width = 1; width <= i + 1; width++) {
            assert_tile(house, width);
            assert_bundle(house, width);
        }
    }
}

static void one_other_letter_gives_another_checkpoint(void **state)
{
    struct house *house = *state;
    auto_buf struct buf note = {0};
    struct str entry = STR("onE");
    uint64_t first;
    give_key(house);
    assert_int_equal(ledger_open(house->folder, str_of(TESSERA_ORIGIN), "/proc/self/exe", &house->ledger, &house->err),
                     OK);
    assert_int_equal(ledger_append(house->ledger, &entry, 1, &first, &house->err), OK);
    ledger_checkpoint(house->ledger, &note);
    assert_false(str_has(buf_view(&note), str_of(tessera_checkpoints[1].root)));
    assert_false(str_has(buf_view(&note), str_of(tessera_checkpoints[1].signature)));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_checkpoint_tile_and_bundle_of_tesseras_log_comes_out, house_make,
                                    house_remove),
    cmocka_unit_test_setup_teardown(one_other_letter_gives_another_checkpoint, house_make, house_remove),
};

HOUSE_MAIN(tests)

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our tree, tiles and checkpoints are, to the byte, those that another implementation published for the same entries.
 */
#include "fixture.h"

static struct forest *tessera_forest(unsigned size)
{
    struct forest *forest = forest_of(0);
    for (unsigned i = 0; i < size; i++)
        forest_add(forest, tlog_leaf_hash(str_of(tessera_entries[i])));
    return forest;
}

static void all_checkpoints_of_the_fixture_log_are_reproduced(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_signer signer = tessera_signer(&arena);
    for (unsigned size = 0; size <= TESSERA_SIZE; size++) {
        auto_buf struct buf note = {0};
        struct forest *forest = tessera_forest(size);
        struct checkpoint checkpoint = {STR(TESSERA_ORIGIN), size, tlog_root(&forest->frontier), STR("")};
        assert_int_equal(checkpoint_sign(&checkpoint, &signer, &note, NULL), OK);
        assert_str(buf_view(&note), tessera_checkpoint(&arena, size));
        free(forest);
    }
}

static void all_tiles_of_the_fixture_log_are_reproduced(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct forest *forest = tessera_forest(TESSERA_SIZE);
    struct str widest = from_hex(&arena, tessera_tile);
    for (unsigned size = 1; size <= TESSERA_SIZE; size++) {
        auto_buf struct buf path = {0};
        struct tile tile = {0}, last;
        assert_true(tile_next(size - 1, size, &tile));
        last = tile;
        assert_false(tile_next(size - 1, size, &last));
        tile_path_write(&path, &tile);
        assert_str(buf_view(&path), arena_printf(&arena, "tile/0/000.p/%u", size));
        assert_str((struct str){(const char *)forest->nodes[0], (size_t)32 * tile.width},
                   str_slice(widest, 0, (size_t)32 * size));
    }
    assert_int_equal(widest.len, 32 * TESSERA_SIZE);
    free(forest);
}

static void all_bundles_of_the_fixture_log_are_reproduced(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf bundle = {0};
    struct str widest = from_hex(&arena, tessera_bundle), entries[TILE_WIDTH];
    unsigned width;
    for (unsigned size = 1; size <= TESSERA_SIZE; size++) {
        assert_int_equal(bundle_add(&bundle, str_of(tessera_entries[size - 1]), NULL), OK);
        assert_str(buf_view(&bundle), str_slice(widest, 0, bundle.len));
    }
    assert_int_equal(bundle.len, widest.len);
    assert_int_equal(bundle_parse(widest, entries, &width, NULL), OK);
    assert_int_equal(width, TESSERA_SIZE);
    assert_str(entries[14], STR("fivten"));
}

static void the_published_checkpoints_open_and_agree_with_each_other(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct note_verifier log;
    assert_int_equal(note_verifier_parse(&arena, STR(TESSERA_VKEY), &log, NULL), OK);
    struct forest *forest = tessera_forest(TESSERA_SIZE);
    struct tlog_source source = forest_source(forest);
    struct checkpoint last = {0};
    for (unsigned size = 0; size <= TESSERA_SIZE; size++) {
        struct note note;
        struct checkpoint checkpoint;
        struct tlog_path path;
        assert_int_equal(checkpoint_open(&arena, tessera_checkpoint(&arena, size), &log, &note, &checkpoint, NULL), OK);
        assert_int_equal(checkpoint.size, size);
        assert_int_equal(tlog_prove_consistency(&source, last.size, size, &path, NULL), OK);
        if (last.size > 0) {
            assert_true(tlog_extends(last.size, &last.root, size, &checkpoint.root, &path));
            assert_false(tlog_extends(last.size, &checkpoint.root, size, &last.root, &path));
        }
        last = checkpoint;
    }
    free(forest);
}

static void a_changed_entry_gives_another_log(void **state)
{
    (void)state;
    struct forest *forest = tessera_forest(TESSERA_SIZE), *other = tessera_forest(7);
    forest_add(other, tlog_leaf_hash(STR("eight")));
    for (unsigned i = 8; i < TESSERA_SIZE; i++)
        forest_add(other, tlog_leaf_hash(str_of(tessera_entries[i])));
    struct tlog_hash root = tlog_root(&forest->frontier), other_root = tlog_root(&other->frontier);
    assert_false(tlog_hash_eq(&root, &other_root));
    free(forest);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_checkpoints_of_the_fixture_log_are_reproduced),
        cmocka_unit_test(all_tiles_of_the_fixture_log_are_reproduced),
        cmocka_unit_test(all_bundles_of_the_fixture_log_are_reproduced),
        cmocka_unit_test(the_published_checkpoints_open_and_agree_with_each_other),
        cmocka_unit_test(a_changed_entry_gives_another_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

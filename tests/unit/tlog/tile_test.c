/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/tile.h"

#include "fixture.h"

static const struct {
    const char *path;
    struct tile tile;
} paths[] = {
    {"tile/0/000", {0, 0, 256}},
    {"tile/0/000.p/1", {0, 0, 1}},
    {"tile/1/999.p/255", {1, 999, 255}},
    {"tile/0/x001/000", {0, 1000, 256}},
    {"tile/63/x001/x234/067", {63, 1234067, 256}},
    {"tile/entries/x273/000.p/112", {TILE_ENTRIES, 273000, 112}},
    {"tile/entries/000", {TILE_ENTRIES, 0, 256}},
    {"tile/2/x009/x223/x372/x036/x854/x775/807", {2, INT64_MAX, 256}},
};

static void a_tile_has_one_path_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        auto_buf struct buf path = {0};
        struct tile tile;
        tile_path_write(&path, &paths[i].tile);
        assert_str(buf_view(&path), str_of(paths[i].path));
        assert_true(tile_path_parse(buf_view(&path), &tile));
        assert_int_equal(tile.level, paths[i].tile.level);
        assert_int_equal(tile.number, paths[i].tile.number);
        assert_int_equal(tile.width, paths[i].tile.width);
    }
}

static void other_paths_are_no_tiles(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile//000",
        "tile/0//000",
        "tile/8/0/000", /* the layout of Go's checksum database */
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/ 1/000",
        "tile/a/000",
        "tile/18446744073709551616/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/00a",
        "tile/0/-01",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/X001/000",
        "tile/0/x01/000",
        "tile/0/x001/000.p",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/.p/1",
        "tile/0/x009/x223/x372/x036/x854/x775/808", /* over INT64_MAX */
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/Entries/000",
        "tile/entries",
        "tile/entries/x000/000",
        "tile/data/000",
        "tile/0/000\n",
        "tile/0/../000",
    };
    struct tile tile;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (tile_path_parse(str_of(bad[i]), &tile))
            fail_msg("%s", bad[i]);
    assert_false(tile_path_parse((struct str){"tile/0/000\0", 11}, &tile));
    assert_false(tile_path_parse((struct str){NULL, 0}, &tile));
}

static void a_tree_of_70000_has_the_tiles_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(tile_width(70000, 0, 0), 256);
    assert_int_equal(tile_width(70000, 0, 272), 256);
    assert_int_equal(tile_width(70000, 0, 273), 112);
    assert_int_equal(tile_width(70000, 0, 274), 0);
    assert_int_equal(tile_width(70000, TILE_ENTRIES, 273), 112);
    assert_int_equal(tile_width(70000, 1, 0), 256);
    assert_int_equal(tile_width(70000, 1, 1), 17);
    assert_int_equal(tile_width(70000, 1, 2), 0);
    assert_int_equal(tile_width(70000, 2, 0), 1);
    assert_int_equal(tile_width(70000, 3, 0), 0);
    assert_int_equal(tile_width(70000, 63, 0), 0);
}

static void full_tiles_have_no_partial_neighbour(void **state)
{
    (void)state;
    assert_int_equal(tile_width(0, 0, 0), 0);
    assert_int_equal(tile_width(256, 0, 0), 256);
    assert_int_equal(tile_width(256, 0, 1), 0);
    assert_int_equal(tile_width(256, 1, 0), 1);
    assert_int_equal(tile_width(255, 1, 0), 0);
    assert_int_equal(tile_width(INT64_MAX, 7, 0), 127);
    assert_int_equal(tile_width(INT64_MAX, 8, 0), 0);
}

static void assert_steps(uint64_t old_size, uint64_t new_size, const struct tile *expected, size_t count)
{
    struct tile tile = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(tile_next(old_size, new_size, &tile));
        assert_int_equal(tile.level, expected[i].level);
        assert_int_equal(tile.number, expected[i].number);
        assert_int_equal(tile.width, expected[i].width);
    }
    assert_false(tile_next(old_size, new_size, &tile));
}

static void growth_names_the_tiles_to_be_written(void **state)
{
    (void)state;
    assert_steps(0, 0, NULL, 0);
    assert_steps(300, 300, NULL, 0);
    assert_steps(0, 1, (struct tile[]){{0, 0, 1}}, 1);
    assert_steps(5, 256, (struct tile[]){{0, 0, 256}, {1, 0, 1}}, 2);
    assert_steps(256, 300, (struct tile[]){{0, 1, 44}}, 1);
    assert_steps(300, 800, (struct tile[]){{0, 1, 256}, {0, 2, 256}, {0, 3, 32}, {1, 0, 3}}, 4);
    assert_steps(65535, 65537, (struct tile[]){{0, 255, 256}, {0, 256, 1}, {1, 0, 256}, {2, 0, 1}}, 4);
    assert_steps(INT64_MAX - 1, INT64_MAX, (struct tile[]){{0, INT64_MAX / 256, 255}}, 1);
}

/* The nodes of a tree are found in its tiles, and not in those of a smaller tree that lacks them. */
static void every_complete_node_comes_out_of_its_tile(void **state)
{
    (void)state;
    struct forest *forest = forest_of(700);
    for (unsigned level = 0; level <= 9; level++)
        for (uint64_t index = 0; (index + 1) << level <= 700; index++) {
            struct tile_place place = tile_place(level, index);
            unsigned width = tile_width(700, place.level, place.number);
            struct tlog_hash *row = forest->nodes[8 * place.level] + 256 * place.number, node;
            assert_true(place.first + place.count <= width);
            assert_true(tile_node((struct str){(const char *)row, width * 32}, &place, &node));
            assert_true(tlog_hash_eq(&node, &forest->nodes[level][index]));
            unsigned narrow = place.first + place.count - 1;
            assert_false(tile_node((struct str){(const char *)row, narrow * 32}, &place, &node));
            assert_false(tile_node((struct str){(const char *)row, width * 32 - 1}, &place, &node));
        }
    free(forest);
}

static void a_bundle_gives_its_entries_back(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf bundle = {0};
    struct str large = {arena_alloc(&arena, TILE_ENTRY_MOST), TILE_ENTRY_MOST}, entries[TILE_WIDTH];
    unsigned width;
    assert_int_equal(bundle_add(&bundle, STR("one"), NULL), OK);
    assert_int_equal(bundle_add(&bundle, STR(""), NULL), OK);
    assert_int_equal(bundle_add(&bundle, large, NULL), OK);
    assert_int_equal(bundle_parse(buf_view(&bundle), entries, &width, NULL), OK);
    assert_int_equal(width, 3);
    assert_str(entries[0], STR("one"));
    assert_int_equal(entries[1].len, 0);
    assert_str(entries[2], large);
}

static void an_entry_that_is_too_long_stays_out(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf bundle = {0};
    struct str large = {arena_alloc(&arena, TILE_ENTRY_MOST + 1), TILE_ENTRY_MOST + 1};
    assert_int_equal(bundle_add(&bundle, large, NULL), TOO_LARGE);
    assert_int_equal(bundle.len, 0);
}

static void a_damaged_bundle_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf bundle = {0};
    struct str entries[TILE_WIDTH];
    unsigned width;
    assert_int_equal(bundle_parse(STR(""), entries, &width, NULL), INVALID);
    assert_int_equal(bundle_parse(STR("\0"), entries, &width, NULL), INVALID);
    assert_int_equal(bundle_parse(STR("\0\1"), entries, &width, NULL), INVALID);
    assert_int_equal(bundle_parse(STR("\0\1a\0"), entries, &width, NULL), INVALID);
    assert_int_equal(bundle_parse(STR("\xFF\xFF"), entries, &width, NULL), INVALID);
    assert_int_equal(bundle_parse(STR("\0\1a"), entries, &width, NULL), OK);
    for (int i = 0; i < TILE_WIDTH; i++)
        assert_int_equal(bundle_add(&bundle, STR(""), NULL), OK);
    assert_int_equal(bundle_parse(buf_view(&bundle), entries, &width, NULL), OK);
    assert_int_equal(width, TILE_WIDTH);
    assert_int_equal(bundle_add(&bundle, STR(""), NULL), OK);
    assert_int_equal(bundle_parse(buf_view(&bundle), entries, &width, NULL), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tile_has_one_path_both_ways),
        cmocka_unit_test(other_paths_are_no_tiles),
        cmocka_unit_test(a_tree_of_70000_has_the_tiles_of_the_specification),
        cmocka_unit_test(full_tiles_have_no_partial_neighbour),
        cmocka_unit_test(growth_names_the_tiles_to_be_written),
        cmocka_unit_test(every_complete_node_comes_out_of_its_tile),
        cmocka_unit_test(a_bundle_gives_its_entries_back),
        cmocka_unit_test(an_entry_that_is_too_long_stays_out),
        cmocka_unit_test(a_damaged_bundle_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

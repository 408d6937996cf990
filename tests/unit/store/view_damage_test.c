/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a damaged disk or database does to views of objects: it never gives other bytes. */
#include "view_fixture.h"

static void a_missing_container_is_damage(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = simple(house, STORED, 3, &built);
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    assert_int_equal(unlink(path), 0);
    struct store_view *view;
    assert_int_equal(open_view(house, built.id, 0, 1, &view), CORRUPT);
    shelf_free(shelf);
}

static void a_short_container_is_damage(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = simple(house, STORED, 3, &built);
    cut_short(house, shelf, 100 + (int64_t)built.bytes.len);
    assert_reads_whole(house, &built);
    cut_short(house, shelf, 100 + (int64_t)built.bytes.len - 1);
    struct store_view *view;
    assert_int_equal(open_view(house, built.id, 0, 1, &view), CORRUPT);
    shelf_free(shelf);
}

static void a_short_table_of_a_compressed_xorb_is_damage(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = simple(house, PACKED, 3, &built);
    assert_reads_whole(house, &built);
    cut_short(house, shelf, (int64_t)shelf->file.len - 1);
    assert_fails(house, &built, CORRUPT);
    shelf_free(shelf);
}

static void a_chunk_that_does_not_unpack_is_damage(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = simple(house, PACKED, 3, &built);
    scribble(house, shelf, 100, "no magic", 8);
    assert_fails(house, &built, CORRUPT);
    shelf_free(shelf);
}

/* Each row in turn ends elsewhere than it should: a little earlier or later, or far away. */
static void a_table_with_other_ends_is_damage(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = pair(house, MIXED, &built);
    const struct made *made = &shelf->made[0];
    for (uint32_t i = 0; i < 5; i++) {
        const struct chunk *good = &made->rows[i];
        struct chunk bad[8];
        for (size_t j = 0; j < COUNT(bad); j++) {
            const uint32_t off[] = {good->end - 1, good->end + 1, 0, UINT32_MAX};
            bad[j] = *good;
            *(j < 4 ? &bad[j].end : &bad[j].stored_end) = j < 4 ? off[j] : off[j - 4] - good->end + good->stored_end;
            row_put(house, shelf, made, i, &bad[j]);
            assert_fails(house, &built, CORRUPT);
        }
        row_put(house, shelf, made, i, good);
    }
    assert_reads_whole(house, &built);
    shelf_free(shelf);
}

static void rows_of_extents_that_cannot_be_are_damage(void **state)
{
    static const char *const changes[] = {
        "at = at + 1",
        "at = at - 1",
        "length = length + 1",
        "length = length - 1",
        "length = 0",
        "length = -1",
        "length = 9223372036854775807",
        "stored_at = -1",
        "stored_at = stored_at + 1000000",
        "stored_at = 9223372036854775807",
        "stored = stored + 1",
        "stored = stored - 1",
        "stored = 9223372036854775807",
        "chunk_start = -1",
        "chunk_start = 5",
        "chunk_end = 6",
        "chunk_end = 4294967300",
    };
    struct house *house = *state;
    for (size_t i = 0; i < 2 * COUNT(changes); i++) {
        auto_built struct built built = {0};
        struct shelf *shelf = pair(house, i % 2 ? STORED : PACKED, &built);
        change(house, "UPDATE extent SET %s WHERE object_id = %lld AND at > 0", changes[i / 2], (long long)built.id);
        assert_fails(house, &built, CORRUPT);
        shelf_free(shelf);
    }
}

static void a_compressed_extent_that_its_table_contradicts_is_damage(void **state)
{
    static const char *const changes[] = {"stored_at = stored_at + 1", "stored = stored - 1", "chunk_start = 2",
                                          "chunk_end = 3", "chunk_start = 0, chunk_end = 3"};
    struct house *house = *state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        auto_built struct built built = {0};
        struct shelf *shelf = pair(house, PACKED, &built);
        change(house, "UPDATE extent SET %s WHERE object_id = %lld AND at > 0", changes[i], (long long)built.id);
        assert_fails(house, &built, CORRUPT);
        shelf_free(shelf);
    }
}

static void rows_of_xorbs_that_cannot_be_are_damage(void **state)
{
    static const char *const changes[] = {
        "start = -1",
        "start = start + 1000000",
        "start = 9223372036854775807",
        "stored = -1",
        "stored = 1",
        "stored = stored + 1000000",
        "chunks = 3",
        "table_at = -1",
    };
    struct house *house = *state;
    for (size_t i = 0; i < 2 * COUNT(changes); i++) {
        auto_built struct built built = {0};
        struct shelf *shelf = pair(house, i % 2 ? STORED : PACKED, &built);
        change(house, "UPDATE xorb SET %s WHERE id = %lld", changes[i / 2], (long long)shelf->made[1].xorb.id);
        assert_fails(house, &built, CORRUPT);
        shelf_free(shelf);
    }
}

static void a_missing_extent_is_damage(void **state)
{
    struct house *house = *state;
    for (size_t missing = 0; missing < 3; missing++) {
        auto_built struct built built = {0};
        struct shelf *shelf = shelf_new(0);
        struct made *made = xorb_add(shelf, 9, 3000, STORED);
        shelf_store(house, shelf);
        for (uint32_t i = 0; i < 3; i++)
            extent_add(&built, made, 3 * i, 3 * i + 3);
        built_store(house, &built);
        const struct extent *gone = &built.extents[missing], *kept = &built.extents[(missing + 1) % 3];
        change(house, "DELETE FROM extent WHERE object_id = %lld AND at = %lld", (long long)built.id,
               (long long)gone->at);
        assert_fails(house, &built, CORRUPT);
        assert_reads(house, &built, kept->at, kept->length);
        shelf_free(shelf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(a_missing_container_is_damage),
        in_a_house(a_short_container_is_damage),
        in_a_house(a_short_table_of_a_compressed_xorb_is_damage),
        in_a_house(a_chunk_that_does_not_unpack_is_damage),
        in_a_house(a_table_with_other_ends_is_damage),
        in_a_house(rows_of_extents_that_cannot_be_are_damage),
        in_a_house(a_compressed_extent_that_its_table_contradicts_is_damage),
        in_a_house(rows_of_xorbs_that_cannot_be_are_damage),
        in_a_house(a_missing_extent_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

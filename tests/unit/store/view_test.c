/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects of all kinds of extents, read through views. */
#include "view_fixture.h"

static void an_uncompressed_object_is_one_piece_of_its_container(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = simple(*state, STORED, 20, &built);
    struct store_view *view;
    struct store_piece piece;
    bool found;
    assert_int_equal(open_view(*state, built.id, 1000, 70000, &view), OK);
    assert_int_equal(store_view_next(view, &piece, &found, NULL), OK);
    assert_true(found && piece.fd >= 0);
    assert_int_equal(piece.offset, 100 + 1000);
    assert_int_equal(piece.length, 70000);
    assert_int_equal(store_view_next(view, &piece, &found, NULL), OK);
    assert_false(found);
    store_view_close(view);
    assert_reads_whole(*state, &built);
    shelf_free(shelf);
}

static void extents_that_adjoin_in_a_container_are_one_piece(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(7);
    struct made *one = xorb_add(shelf, 10, 9000, STORED), *two = xorb_add(shelf, 10, 9000, STORED);
    shelf_store(*state, shelf);
    extent_add(&built, one, 2, 5);
    extent_add(&built, one, 5, 10);
    extent_add(&built, two, 0, 4);
    built_store(*state, &built);
    assert_int_equal(assert_reads_whole(*state, &built).files, 1);
    assert_int_equal(assert_reads(*state, &built, 10, built.extents[2].at).files, 1);
    assert_int_equal(assert_reads(*state, &built, 10, 20).files, 1);
    shelf_free(shelf);
}

static void extents_with_something_between_them_are_pieces_of_their_own(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(7), *other = shelf_new(7);
    struct made *one = xorb_add(shelf, 10, 9000, STORED), *two = xorb_add(other, 10, 9000, STORED);
    shelf_store(*state, shelf);
    shelf_store(*state, other);
    extent_add(&built, one, 2, 5);
    extent_add(&built, one, 6, 10);
    extent_add(&built, one, 0, 6);
    extent_add(&built, two, 6, 10);
    built_store(*state, &built);
    struct pieces pieces = assert_reads_whole(*state, &built);
    assert_int_equal(pieces.files, 4);
    assert_int_equal(pieces.memory, 0);
    shelf_free(shelf);
    shelf_free(other);
}

static void extents_at_adjoining_places_of_two_containers_are_two_pieces(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelves[2];
    for (uint32_t i = 0; i < 2; i++) {
        shelves[i] = shelf_new(7);
        struct made *made = &shelves[i]->made[shelves[i]->count++];
        made->xorb.start = 7;
        chunk_add(shelves[i], made, 500, false);
        chunk_add(shelves[i], made, 500, false);
        made->xorb.hash = chunk_hash_of(made->bytes.data, made->bytes.len);
        shelf_store(*state, shelves[i]);
        extent_add(&built, made, i, i + 1);
    }
    built_store(*state, &built);
    assert_int_equal(assert_reads_whole(*state, &built).files, 2);
    shelf_free(shelves[0]);
    shelf_free(shelves[1]);
}

static void a_compressed_extent_behind_an_uncompressed_one_is_decoded(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(7);
    struct made *made = xorb_add(shelf, 3, 5000, MIXED);
    shelf_store(*state, shelf);
    extent_add(&built, made, 1, 2);
    extent_add(&built, made, 2, 3);
    built_store(*state, &built);
    struct pieces pieces = assert_reads_whole(*state, &built);
    assert_int_equal(pieces.files, 1);
    assert_int_equal(pieces.memory, 1);
    shelf_free(shelf);
}

static void each_compressed_extent_is_read_by_the_table_of_its_own_xorb(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(7);
    struct made *one = xorb_add(shelf, 9, 5000, PACKED), *two = xorb_add(shelf, 9, 5000, PACKED);
    shelf_store(*state, shelf);
    extent_add(&built, one, 0, 9);
    extent_add(&built, two, 2, 7);
    extent_add(&built, one, 3, 9);
    built_store(*state, &built);
    assert_reads_whole(*state, &built);
    shelf_free(shelf);
}

static void a_compressed_object_is_decoded_chunk_by_chunk(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = simple(*state, PACKED, 600, &built);
    struct pieces pieces = assert_reads_whole(*state, &built);
    assert_int_equal(pieces.memory, 600);
    assert_int_equal(pieces.files, 0);
    shelf_free(shelf);
}

static void chunks_of_the_largest_size_are_decoded(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(0);
    struct made *made = &shelf->made[shelf->count++];
    chunk_add(shelf, made, CHUNK_MAX, true);
    chunk_add(shelf, made, CHUNK_MAX, false);
    chunk_add(shelf, made, 1, true);
    shelf_store(*state, shelf);
    extent_add(&built, made, 0, 3);
    built_store(*state, &built);
    assert_reads_whole(*state, &built);
    shelf_free(shelf);
}

static void uncompressed_chunks_among_compressed_ones_come_from_the_file(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = simple(*state, MIXED, 9, &built);
    struct pieces pieces = assert_reads_whole(*state, &built);
    assert_int_equal(pieces.memory, 6);
    assert_int_equal(pieces.files, 3);
    shelf_free(shelf);
}

static void any_range_of_an_object_reads_back_exactly(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelves[2];
    chance = 11;
    build_motley(*state, shelves, &built);
    int64_t size = (int64_t)built.bytes.len;
    assert_reads_whole(*state, &built);
    for (int i = 0; i < 200; i++) {
        int64_t offset = (int64_t)draw((uint64_t)size);
        int64_t most = i % 2 ? size - offset : (size - offset < 5000 ? size - offset : 5000);
        assert_reads(*state, &built, offset, (int64_t)draw((uint64_t)most));
    }
    for (size_t i = 0; i < built.count; i += 7) {
        const struct extent *extent = &built.extents[i];
        assert_reads(*state, &built, extent->at, extent->length);
        assert_reads(*state, &built, extent->at + extent->length - 1, 1);
        assert_reads(*state, &built, extent->at ? extent->at - 1 : 0, 2);
    }
    shelf_free(shelves[0]);
    shelf_free(shelves[1]);
}

static void a_view_keeps_no_reader_between_its_pieces(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelves[2];
    struct store_view *view;
    struct store_piece piece;
    struct db_stats stats;
    bool found = true;
    build_motley(house, shelves, &built);
    assert_int_equal(open_view(house, built.id, 0, (int64_t)built.bytes.len, &view), OK);
    while (found) {
        db_stats(house->db, &stats);
        assert_int_equal(stats.readers_lent, 0);
        assert_int_equal(store_view_next(view, &piece, &found, NULL), OK);
    }
    store_view_close(view);
    shelf_free(shelves[0]);
    shelf_free(shelves[1]);
}

static void a_file_from_before_the_store_knew_chunks_is_read(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = shelf_new(5000);
    struct made *made = &shelf->made[shelf->count++];
    made->xorb.stored = made->xorb.length = 5000;
    shelf_store(house, shelf);
    built.extents[built.count++] = (struct extent){.xorb = made->xorb, .length = 5000, .stored = 5000};
    buf_add(&built.bytes, shelf->file.data, 5000);
    built_store(house, &built);
    assert_int_equal(assert_reads_whole(house, &built).files, 1);
    assert_reads(house, &built, 4000, 1000);
    shelf_free(shelf);
}

static void an_empty_range_has_no_pieces(void **state)
{
    auto_built struct built built = {0}, empty = {0};
    struct shelf *shelf = simple(*state, PACKED, 3, &built);
    built_store(*state, &empty);
    int64_t places[] = {0, 10, (int64_t)built.bytes.len};
    for (size_t i = 0; i < COUNT(places); i++) {
        struct pieces pieces = assert_reads(*state, &built, places[i], 0);
        assert_int_equal(pieces.files + pieces.memory, 0);
    }
    assert_reads(*state, &empty, 0, 0);
    shelf_free(shelf);
}

static void a_range_outside_the_object_is_refused(void **state)
{
    auto_built struct built built = {0};
    struct shelf *shelf = simple(*state, STORED, 3, &built);
    struct store_view *view;
    int64_t size = (int64_t)built.bytes.len;
    const int64_t ranges[][2] = {{0, size + 1}, {size, 1}, {size + 1, 0},          {-1, 1},
                                 {-1, 0},       {0, -1},   {INT64_MAX, INT64_MAX}, {1, INT64_MAX}};
    for (size_t i = 0; i < COUNT(ranges); i++)
        assert_int_equal(open_view(*state, built.id, ranges[i][0], ranges[i][1], &view), BAD_RANGE);
    assert_reads(*state, &built, size - 1, 1);
    shelf_free(shelf);
}

static void an_object_that_is_not_there_is_not_found(void **state)
{
    struct store_view *view;
    assert_int_equal(open_view(*state, 12345, 0, 0, &view), NOT_FOUND);
    store_view_close(NULL);
}

static void an_object_swept_while_it_is_read_is_not_found(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    auto_buf struct buf back = {0};
    struct shelf *shelves[2];
    struct store_view *view;
    struct pieces pieces;
    build_motley(house, shelves, &built);
    assert_int_equal(open_view(house, built.id, 0, (int64_t)built.bytes.len, &view), OK);
    change(house, "DELETE FROM extent WHERE object_id = %lld", (long long)built.id);
    change(house, "DELETE FROM object WHERE id = %lld", (long long)built.id);
    assert_int_equal(drain(house, view, &back, &pieces), NOT_FOUND);
    assert_true(back.len < built.bytes.len);
    shelf_free(shelves[0]);
    shelf_free(shelves[1]);
}

static void an_object_swept_after_its_rows_were_seen_is_not_found(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    struct shelf *shelf = simple(house, STORED, 3, &built);
    auto_conn struct db_conn *conn = NULL;
    struct store_view *view;
    char path[STORE_PATH_LIMIT];
    int64_t size;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    assert_int_equal(db_snapshot(conn, &house->err), OK);
    assert_int_equal(object_size(conn, built.id, &size, &house->err), OK);
    change(house, "DELETE FROM extent WHERE object_id = %lld", (long long)built.id);
    change(house, "DELETE FROM object WHERE id = %lld", (long long)built.id);
    shelf_path(house, shelf, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_view_open(house->store, conn, built.id, 0, size, &view, &house->err), NOT_FOUND);
    shelf_free(shelf);
}

static void extents_are_listed_from_any_place_on(void **state)
{
    struct house *house = *state;
    auto_built struct built built = {0};
    auto_conn struct db_conn *conn = NULL;
    struct shelf *shelves[2];
    struct extent found[40];
    size_t count, seen = 0;
    build_motley(house, shelves, &built);
    int64_t size = (int64_t)built.bytes.len;
    assert_int_equal(db_reader(house->db, &conn, &house->err), OK);
    for (int64_t at = 0; at < size; at = found[count - 1].at + found[count - 1].length) {
        assert_int_equal(store_extents(conn, built.id, at, size - at, found, 40, &count, &house->err), OK);
        assert_true(count > 0 && count <= 40);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_int_equal(found[i].at, built.extents[seen].at);
            assert_int_equal(found[i].start, built.extents[seen].start);
            assert_int_equal(found[i].end, built.extents[seen].end);
            assert_int_equal(found[i].packed, built.extents[seen].packed);
            assert_true(chunk_hash_eq(&found[i].xorb.hash, &built.extents[seen].xorb.hash));
        }
    }
    assert_int_equal(seen, built.count);
    const struct extent *middle = &built.extents[70];
    int64_t inside = middle->at + middle->length - 1;
    assert_int_equal(store_extents(conn, built.id, inside, 1, found, 40, &count, &house->err), OK);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].at, middle->at);
    assert_int_equal(store_extents(conn, built.id, inside, 2, found, 40, &count, &house->err), OK);
    assert_int_equal(count, 2);
    assert_int_equal(store_extents(conn, built.id, inside, 0, found, 40, &count, &house->err), OK);
    assert_int_equal(count, 0);
    assert_int_equal(store_extents(conn, built.id + 1, 0, 1, found, 40, &count, &house->err), NOT_FOUND);
    shelf_free(shelves[0]);
    shelf_free(shelves[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(an_uncompressed_object_is_one_piece_of_its_container),
        in_a_house(extents_that_adjoin_in_a_container_are_one_piece),
        in_a_house(extents_with_something_between_them_are_pieces_of_their_own),
        in_a_house(extents_at_adjoining_places_of_two_containers_are_two_pieces),
        in_a_house(a_compressed_extent_behind_an_uncompressed_one_is_decoded),
        in_a_house(each_compressed_extent_is_read_by_the_table_of_its_own_xorb),
        in_a_house(a_compressed_object_is_decoded_chunk_by_chunk),
        in_a_house(chunks_of_the_largest_size_are_decoded),
        in_a_house(uncompressed_chunks_among_compressed_ones_come_from_the_file),
        in_a_house(any_range_of_an_object_reads_back_exactly),
        in_a_house(a_view_keeps_no_reader_between_its_pieces),
        in_a_house(a_file_from_before_the_store_knew_chunks_is_read),
        in_a_house(an_empty_range_has_no_pieces),
        in_a_house(a_range_outside_the_object_is_refused),
        in_a_house(an_object_that_is_not_there_is_not_found),
        in_a_house(an_object_swept_while_it_is_read_is_not_found),
        in_a_house(an_object_swept_after_its_rows_were_seen_is_not_found),
        in_a_house(extents_are_listed_from_any_place_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

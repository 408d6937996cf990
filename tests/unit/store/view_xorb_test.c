/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xorbs in their wire form. */
#include "view_fixture.h"

static int64_t wire_place(const struct made *made, uint32_t chunk)
{
    return (int64_t)XORB_CHUNK_HEADER * chunk + (chunk ? made->rows[chunk - 1].stored_end : 0);
}

static struct store_range chunks_of(const struct made *made, uint32_t start, uint32_t end)
{
    return (struct store_range){wire_place(made, start), wire_place(made, end) - wire_place(made, start)};
}

/* That the ranges, as said in the order given, are what the wire form has there, and no piece is of two of them. */
static void assert_wire(struct house *house, const struct made *made, const struct store_range *ranges, size_t count)
{
    struct store_view *view;
    struct store_piece piece;
    bool found;
    char bytes[CHUNK_MAX];
    assert_int_equal(store_xorb_view_open(house->store, &made->xorb, ranges, count, &view, &house->err), OK);
    for (size_t i = 0; i < count; i++) {
        for (int64_t done = 0; done < ranges[i].length; done += piece.length) {
            assert_int_equal(store_view_next(view, &piece, &found, &house->err), OK);
            assert_true(found && piece.length > 0 && piece.length <= ranges[i].length - done);
            if (piece.fd >= 0)
                assert_int_equal(pread_full(piece.fd, bytes, (size_t)piece.length, piece.offset, &house->err), OK);
            else
                assert_int_equal(piece.length, XORB_CHUNK_HEADER);
            assert_memory_equal(piece.fd >= 0 ? bytes : piece.data, made->wire.data + ranges[i].offset + done,
                                (size_t)piece.length);
        }
    }
    assert_int_equal(store_view_next(view, &piece, &found, &house->err), OK);
    assert_false(found);
    store_view_close(view);
}

static struct shelf *xorb_alone(struct house *house, size_t chunks)
{
    struct shelf *shelf = shelf_new(33);
    xorb_add(shelf, chunks, 2000, MIXED);
    shelf_store(house, shelf);
    return shelf;
}

static void the_wire_form_of_a_xorb_is_what_was_sent(void **state)
{
    struct shelf *shelf = xorb_alone(*state, 700);
    const struct made *made = &shelf->made[0];
    struct store_range whole = {0, store_xorb_wire_length(&made->xorb)};
    assert_int_equal(whole.length, made->wire.len);
    assert_wire(*state, made, &whole, 1);
    shelf_free(shelf);
}

static void ranges_of_chunks_come_in_the_order_given(void **state)
{
    struct shelf *shelf = xorb_alone(*state, 700);
    const struct made *made = &shelf->made[0];
    const struct store_range ranges[] = {
        chunks_of(made, 500, 501), chunks_of(made, 0, 3),     chunks_of(made, 3, 3),     chunks_of(made, 699, 700),
        chunks_of(made, 200, 600), chunks_of(made, 201, 202), chunks_of(made, 700, 700), chunks_of(made, 0, 0),
    };
    assert_wire(*state, made, ranges, COUNT(ranges));
    assert_wire(*state, made, ranges, 0);
    shelf_free(shelf);
}

static void a_range_that_does_not_begin_and_end_at_chunks_is_refused(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = xorb_alone(house, 50);
    const struct made *made = &shelf->made[0];
    struct store_view *view;
    for (uint32_t chunk = 0; chunk < 50; chunk += 7) {
        struct store_range good = chunks_of(made, chunk, chunk + 1);
        const struct store_range bad[] = {{good.offset + 1, good.length - 1},
                                          {good.offset, good.length - 1},
                                          {good.offset, good.length + 1},
                                          {good.offset - 1, good.length + 1},
                                          {good.offset + XORB_CHUNK_HEADER, good.length - XORB_CHUNK_HEADER},
                                          {good.offset + 1, 0}};
        assert_wire(house, made, &good, 1);
        for (size_t i = 0; i < COUNT(bad); i++) {
            const struct store_range both[] = {good, bad[i]};
            assert_int_equal(store_xorb_view_open(house->store, &made->xorb, both, 2, &view, &house->err), BAD_RANGE);
        }
    }
    shelf_free(shelf);
}

static void a_range_outside_the_xorb_is_refused(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = xorb_alone(house, 5);
    const struct made *made = &shelf->made[0];
    int64_t whole = (int64_t)made->wire.len;
    const struct store_range bad[] = {{0, whole + 1}, {whole, 1}, {whole + 8, 0},         {-8, 8},
                                      {0, -1},        {0, -8},    {INT64_MAX, INT64_MAX}, {whole, -whole}};
    struct store_view *view;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(store_xorb_view_open(house->store, &made->xorb, &bad[i], 1, &view, &house->err), BAD_RANGE);
    shelf_free(shelf);
}

static void a_xorb_without_chunks_has_no_wire_form(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = shelf_new(500);
    struct made *made = &shelf->made[shelf->count++];
    made->xorb.stored = made->xorb.length = 500;
    shelf_store(house, shelf);
    struct store_range ranges[] = {{0, 500}, {0, 8}, {500, 0}};
    struct store_view *view;
    for (size_t i = 0; i < COUNT(ranges); i++)
        assert_int_equal(store_xorb_view_open(house->store, &made->xorb, &ranges[i], 1, &view, &house->err), BAD_RANGE);
    shelf_free(shelf);
}

static enum status read_wire(struct house *house, const struct made *made)
{
    auto_buf struct buf back = {0};
    struct pieces pieces;
    struct store_range whole = {0, (int64_t)made->wire.len};
    struct store_view *view;
    TRY(store_xorb_view_open(house->store, &made->xorb, &whole, 1, &view, &house->err));
    return drain(house, view, &back, &pieces);
}

static void a_xorb_whose_table_is_damaged_is_damage(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = xorb_alone(house, 9);
    const struct made *made = &shelf->made[0];
    struct chunk row = made->rows[2];
    row.stored_end = made->rows[1].stored_end;
    assert_int_equal(read_wire(house, made), OK);
    row_put(house, shelf, made, 2, &row);
    assert_int_equal(read_wire(house, made), CORRUPT);
    shelf_free(shelf);
}

static void a_xorb_in_a_short_container_is_damage(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = xorb_alone(house, 9);
    const struct made *made = &shelf->made[0];
    cut_short(house, shelf, made->xorb.start + made->xorb.stored - 1);
    assert_int_equal(read_wire(house, made), CORRUPT);
    shelf_free(shelf);
}

static void a_xorb_swept_before_it_is_opened_is_not_found(void **state)
{
    struct house *house = *state;
    struct shelf *shelf = xorb_alone(house, 9);
    const struct made *made = &shelf->made[0];
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_wire(house, made), CORRUPT);
    change(house, "DELETE FROM xorb WHERE id = %lld", (long long)made->xorb.id);
    assert_int_equal(read_wire(house, made), NOT_FOUND);
    change(house, "DELETE FROM container WHERE id = %lld", (long long)made->xorb.container);
    assert_int_equal(read_wire(house, made), NOT_FOUND);
    shelf_free(shelf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_house(the_wire_form_of_a_xorb_is_what_was_sent),
        in_a_house(ranges_of_chunks_come_in_the_order_given),
        in_a_house(a_range_that_does_not_begin_and_end_at_chunks_is_refused),
        in_a_house(a_range_outside_the_xorb_is_refused),
        in_a_house(a_xorb_without_chunks_has_no_wire_form),
        in_a_house(a_xorb_whose_table_is_damaged_is_damage),
        in_a_house(a_xorb_in_a_short_container_is_damage),
        in_a_house(a_xorb_swept_before_it_is_opened_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

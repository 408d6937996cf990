/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"

#include "cas/xorb.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <lz4frame.h>

/* Containers, xorbs and objects made by hand, and read back through views. */

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CHUNKS_MOST 700
#define XORBS_MOST 4

static uint64_t chance = 1;

static uint64_t draw(uint64_t most) /* 0 to most */
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance % (most + 1);
}

/* A container in the making: the payloads of its xorbs, and what they are. */
struct shelf {
    struct buf file;
    size_t count;
    char name[NAME_SIZE];
    struct made {
        struct xorb xorb;
        struct buf bytes, wire;
        struct chunk rows[CHUNKS_MOST];
    } made[XORBS_MOST];
};

static struct shelf *shelf_new(size_t filler)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    for (size_t i = 0; i < filler; i++)
        buf_byte(&shelf->file, '#');
    return shelf;
}

static void shelf_free(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++) {
        buf_free(&shelf->made[i].bytes);
        buf_free(&shelf->made[i].wire);
    }
    buf_free(&shelf->file);
    free(shelf);
}

enum packing { STORED, PACKED, MIXED };

static void chunk_add(struct shelf *shelf, struct made *made, size_t len, bool pack)
{
    size_t most = LZ4F_compressFrameBound(len, NULL), payload_len = len;
    char *bytes = malloc(len), *payload = malloc(most);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(pack ? draw(1) : draw(255));
    if (pack)
        payload_len = LZ4F_compressFrame(payload, most, bytes, len, NULL);
    else
        memcpy(payload, bytes, len);
    buf_add(&shelf->file, payload, payload_len);
    buf_add(&made->bytes, bytes, len);
    struct chunk *row = &made->rows[made->xorb.chunks++];
    made->xorb.stored += (int64_t)payload_len;
    made->xorb.length += (uint32_t)len;
    *row = (struct chunk){.hash = chunk_hash_of(bytes, len),
                          .stored_end = (uint32_t)made->xorb.stored,
                          .end = made->xorb.length,
                          .scheme = pack ? SCHEME_LZ4 : SCHEME_NONE};
    uint8_t header[XORB_CHUNK_HEADER];
    xorb_header_write(header, row->scheme, (uint32_t)payload_len, (uint32_t)len);
    buf_add(&made->wire, header, sizeof(header));
    buf_add(&made->wire, payload, payload_len);
    free(bytes);
    free(payload);
}

/* A xorb of chunks of up to most bytes, at the end of the shelf. */
static struct made *xorb_add(struct shelf *shelf, size_t chunks, size_t most, enum packing packing)
{
    struct made *made = &shelf->made[shelf->count++];
    made->xorb.start = (int64_t)shelf->file.len;
    for (size_t i = 0; i < chunks; i++)
        chunk_add(shelf, made, 64 + draw(most - 64), packing == PACKED || (packing == MIXED && i % 3 != 1));
    made->xorb.hash = chunk_hash_of(made->bytes.data, made->bytes.len);
    return made;
}

static enum status shelf_write(struct db_conn *tx, void *context, struct error *err)
{
    struct shelf *shelf = context;
    int64_t container;
    TRY(container_insert(tx, shelf->name, (int64_t)shelf->file.len, &container, err));
    for (size_t i = 0; i < shelf->count; i++) {
        struct xorb *xorb = &shelf->made[i].xorb;
        struct xorb_new new = {xorb->hash,     container,    xorb->start,  xorb->stored,
                               xorb->table_at, xorb->length, xorb->chunks, 0};
        xorb->container = container;
        TRY(xorb_insert(tx, &new, &xorb->id, err));
    }
    return OK;
}

static void shelf_path(const struct house *house, const struct shelf *shelf, char path[STORE_PATH_LIMIT])
{
    container_path(house->root, shelf->name, path);
}

static void shelf_store(struct house *house, struct shelf *shelf)
{
    char path[STORE_PATH_LIMIT];
    for (size_t i = 0; i < shelf->count; i++) {
        struct made *made = &shelf->made[i];
        made->xorb.table_at = (int64_t)shelf->file.len;
        for (uint32_t j = 0; j < made->xorb.chunks; j++) {
            uint8_t row[CHUNK_ROW];
            chunk_row_write(row, &made->rows[j]);
            buf_add(&shelf->file, row, sizeof(row));
        }
    }
    random_name(shelf->name);
    shelf_path(house, shelf, path);
    assert_int_equal(file_write_durable(path, buf_view(&shelf->file), 0600, &house->err), OK);
    assert_int_equal(db_write(house->db, shelf_write, shelf, &house->err), OK);
}

/* An object in the making. */
struct built {
    struct extent extents[200];
    size_t count;
    struct buf bytes;
    int64_t id;
};

static void extent_add(struct built *built, const struct made *made, uint32_t start, uint32_t end)
{
    struct chunk zero = {0};
    const struct chunk *before = start ? &made->rows[start - 1] : &zero, *last = &made->rows[end - 1];
    struct extent *extent = &built->extents[built->count++];
    *extent = (struct extent){.xorb = made->xorb,
                              .at = (int64_t)built->bytes.len,
                              .length = last->end - before->end,
                              .start = start,
                              .end = end,
                              .stored_at = before->stored_end,
                              .stored = last->stored_end - before->stored_end};
    for (uint32_t i = start; i < end; i++)
        extent->packed |= made->rows[i].scheme != SCHEME_NONE;
    buf_add(&built->bytes, made->bytes.data + before->end, (size_t)extent->length);
}

static enum status built_write(struct db_conn *tx, void *context, struct error *err)
{
    struct built *built = context;
    uint8_t digest[SHA256_SIZE];
    bool new;
    sha256(buf_view(&built->bytes), digest);
    TRY(object_insert(tx, digest, (int64_t)built->bytes.len, NULL, &built->id, &new, err));
    for (size_t i = 0; i < built->count; i++)
        TRY(extent_insert(tx, built->id, &built->extents[i], err));
    return OK;
}

static void built_store(struct house *house, struct built *built)
{
    assert_int_equal(db_write(house->db, built_write, built, &house->err), OK);
}

static void built_free(struct built *built)
{
    buf_free(&built->bytes);
}
#define auto_built __attribute__((cleanup(built_free)))

static enum status run_sql(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

__attribute__((format(printf, 2, 3))) static void change(struct house *house, const char *format, ...)
{
    char sql[256];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    assert_int_equal(db_write(house->db, run_sql, sql, &house->err), OK);
}

/* Overwrites bytes of the container. */
static void scribble(struct house *house, const struct shelf *shelf, int64_t at, const void *data, size_t len)
{
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    auto_fd int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite_full(fd, data, len, at, &house->err), OK);
}

static void cut_short(struct house *house, const struct shelf *shelf, int64_t size)
{
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    assert_int_equal(truncate(path, size), 0);
}

static enum status open_view(struct house *house, int64_t object_id, int64_t offset, int64_t length,
                             struct store_view **view)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(house->db, &conn, &house->err));
    return store_view_open(house->store, conn, object_id, offset, length, view, &house->err);
}

/* How many pieces came, from files and from memory. */
struct pieces {
    size_t files, memory;
};

/* Reads the view to its end and closes it. */
static enum status drain(struct house *house, struct store_view *view, struct buf *out, struct pieces *pieces)
{
    struct store_piece piece;
    bool found = true;
    enum status status;
    *pieces = (struct pieces){0};
    while ((status = store_view_next(view, &piece, &found, &house->err)) == OK && found) {
        assert_true(piece.length > 0);
        buf_reserve(out, (size_t)piece.length);
        if (piece.fd >= 0)
            assert_int_equal(pread_full(piece.fd, out->data + out->len, (size_t)piece.length, piece.offset, NULL), OK);
        else
            memcpy(out->data + out->len, piece.data, (size_t)piece.length);
        out->len += (size_t)piece.length;
        ++*(piece.fd >= 0 ? &pieces->files : &pieces->memory);
    }
    store_view_close(view);
    return status;
}

static enum status read_object(struct house *house, int64_t object_id, int64_t offset, int64_t length, struct buf *out,
                               struct pieces *pieces)
{
    struct store_view *view;
    TRY(open_view(house, object_id, offset, length, &view));
    return drain(house, view, out, pieces);
}

static struct pieces assert_reads(struct house *house, const struct built *built, int64_t offset, int64_t length)
{
    auto_buf struct buf back = {0};
    struct pieces pieces;
    assert_int_equal(read_object(house, built->id, offset, length, &back, &pieces), OK);
    assert_int_equal(back.len, length);
    if (length)
        assert_memory_equal(back.data, built->bytes.data + offset, (size_t)length);
    return pieces;
}

static struct pieces assert_reads_whole(struct house *house, const struct built *built)
{
    return assert_reads(house, built, 0, (int64_t)built->bytes.len);
}

static void assert_fails(struct house *house, const struct built *built, enum status expected)
{
    auto_buf struct buf back = {0};
    struct pieces pieces;
    assert_int_equal(read_object(house, built->id, 0, (int64_t)built->bytes.len, &back, &pieces), expected);
    assert_int_equal(house->err.status, expected);
}

/* An object of one xorb, all of it. */
static struct shelf *simple(struct house *house, enum packing packing, size_t chunks, struct built *built)
{
    struct shelf *shelf = shelf_new(100);
    struct made *made = xorb_add(shelf, chunks, 20000, packing);
    shelf_store(house, shelf);
    extent_add(built, made, 0, made->xorb.chunks);
    built_store(house, built);
    return shelf;
}

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

/* More extents than are read at once, of all kinds, in two containers. */
static void build_motley(struct house *house, struct shelf **shelves, struct built *built)
{
    struct made *made[4];
    for (int i = 0; i < 2; i++) {
        shelves[i] = shelf_new(50);
        made[2 * i] = xorb_add(shelves[i], 300, 3000, i ? STORED : PACKED);
        made[2 * i + 1] = xorb_add(shelves[i], 40, 30000, i ? MIXED : STORED);
        shelf_store(house, shelves[i]);
    }
    for (int i = 0; i < 150; i++) {
        struct made *from = made[draw(3)];
        uint32_t start = (uint32_t)draw(from->xorb.chunks - 1);
        uint32_t left = from->xorb.chunks - start, most = left < 12 ? left : 12;
        extent_add(built, from, start, start + 1 + (uint32_t)draw(most - 1));
    }
    built_store(house, built);
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

/* An object of two xorbs, of the second only a part. */
static struct shelf *pair(struct house *house, enum packing packing, struct built *built)
{
    struct shelf *shelf = shelf_new(0);
    struct made *one = xorb_add(shelf, 5, 20000, packing), *two = xorb_add(shelf, 5, 20000, packing);
    shelf_store(house, shelf);
    extent_add(built, one, 0, 5);
    extent_add(built, two, 1, 4);
    built_store(house, built);
    assert_reads_whole(house, built);
    return shelf;
}

static void row_put(struct house *house, const struct shelf *shelf, const struct made *made, uint32_t index,
                    const struct chunk *row)
{
    uint8_t bytes[CHUNK_ROW];
    chunk_row_write(bytes, row);
    scribble(house, shelf, made->xorb.table_at + (int64_t)index * CHUNK_ROW, bytes, sizeof(bytes));
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

/* Xorbs in their wire form. */

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
        in_a_house(a_missing_container_is_damage),
        in_a_house(a_short_container_is_damage),
        in_a_house(a_short_table_of_a_compressed_xorb_is_damage),
        in_a_house(a_chunk_that_does_not_unpack_is_damage),
        in_a_house(a_table_with_other_ends_is_damage),
        in_a_house(rows_of_extents_that_cannot_be_are_damage),
        in_a_house(a_compressed_extent_that_its_table_contradicts_is_damage),
        in_a_house(rows_of_xorbs_that_cannot_be_are_damage),
        in_a_house(a_missing_extent_is_damage),
        in_a_house(extents_are_listed_from_any_place_on),
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_STORE_VIEW_FIXTURE_H
#define CAIRN_STORE_VIEW_FIXTURE_H

#include "cas/xorb.h"
#include "store/internal.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <lz4frame.h>

/* Containers, xorbs and objects made by hand, and read back through views. */

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CHUNKS_MOST 700
#define XORBS_MOST 4

static uint64_t chance = 1;

__attribute__((unused)) static uint64_t draw(uint64_t most) /* 0 to most */
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

__attribute__((unused)) static struct shelf *shelf_new(size_t filler)
{
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    for (size_t i = 0; i < filler; i++)
        buf_byte(&shelf->file, '#');
    return shelf;
}

__attribute__((unused)) static void shelf_free(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->count; i++) {
        buf_free(&shelf->made[i].bytes);
        buf_free(&shelf->made[i].wire);
    }
    buf_free(&shelf->file);
    free(shelf);
}

enum packing { STORED, PACKED, MIXED };

__attribute__((unused)) static void chunk_add(struct shelf *shelf, struct made *made, size_t len, bool pack)
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
__attribute__((unused)) static struct made *xorb_add(struct shelf *shelf, size_t chunks, size_t most,
                                                     enum packing packing)
{
    struct made *made = &shelf->made[shelf->count++];
    made->xorb.start = (int64_t)shelf->file.len;
    for (size_t i = 0; i < chunks; i++)
        chunk_add(shelf, made, 64 + draw(most - 64), packing == PACKED || (packing == MIXED && i % 3 != 1));
    made->xorb.hash = chunk_hash_of(made->bytes.data, made->bytes.len);
    return made;
}

__attribute__((unused)) static enum status shelf_write(struct db_conn *tx, void *context, struct error *err)
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

__attribute__((unused)) static void shelf_path(const struct house *house, const struct shelf *shelf,
                                               char path[STORE_PATH_LIMIT])
{
    house_folder_for(house, shelf->name);
    container_path(house->root, shelf->name, path);
}

__attribute__((unused)) static void shelf_store(struct house *house, struct shelf *shelf)
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

__attribute__((unused)) static void extent_add(struct built *built, const struct made *made, uint32_t start,
                                               uint32_t end)
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

__attribute__((unused)) static enum status built_write(struct db_conn *tx, void *context, struct error *err)
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

__attribute__((unused)) static void built_store(struct house *house, struct built *built)
{
    assert_int_equal(db_write(house->db, built_write, built, &house->err), OK);
}

__attribute__((unused)) static void built_free(struct built *built)
{
    buf_free(&built->bytes);
}
#define auto_built __attribute__((cleanup(built_free)))

__attribute__((unused)) static enum status run_sql(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

__attribute__((unused, format(printf, 2, 3))) static void change(struct house *house, const char *format, ...)
{
    char sql[256];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    assert_int_equal(db_write(house->db, run_sql, sql, &house->err), OK);
}

/* Overwrites bytes of the container. */
__attribute__((unused)) static void scribble(struct house *house, const struct shelf *shelf, int64_t at,
                                             const void *data, size_t len)
{
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    auto_fd int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite_full(fd, data, len, at, &house->err), OK);
}

__attribute__((unused)) static void cut_short(struct house *house, const struct shelf *shelf, int64_t size)
{
    char path[STORE_PATH_LIMIT];
    shelf_path(house, shelf, path);
    assert_int_equal(truncate(path, size), 0);
}

__attribute__((unused)) static enum status open_view(struct house *house, int64_t object_id, int64_t offset,
                                                     int64_t length, struct store_view **view)
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
__attribute__((unused)) static enum status drain(struct house *house, struct store_view *view, struct buf *out,
                                                 struct pieces *pieces)
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

__attribute__((unused)) static enum status read_object(struct house *house, int64_t object_id, int64_t offset,
                                                       int64_t length, struct buf *out, struct pieces *pieces)
{
    struct store_view *view;
    TRY(open_view(house, object_id, offset, length, &view));
    return drain(house, view, out, pieces);
}

__attribute__((unused)) static struct pieces assert_reads(struct house *house, const struct built *built,
                                                          int64_t offset, int64_t length)
{
    auto_buf struct buf back = {0};
    struct pieces pieces;
    assert_int_equal(read_object(house, built->id, offset, length, &back, &pieces), OK);
    assert_int_equal(back.len, length);
    if (length)
        assert_memory_equal(back.data, built->bytes.data + offset, (size_t)length);
    return pieces;
}

__attribute__((unused)) static struct pieces assert_reads_whole(struct house *house, const struct built *built)
{
    return assert_reads(house, built, 0, (int64_t)built->bytes.len);
}

__attribute__((unused)) static void assert_fails(struct house *house, const struct built *built, enum status expected)
{
    auto_buf struct buf back = {0};
    struct pieces pieces;
    assert_int_equal(read_object(house, built->id, 0, (int64_t)built->bytes.len, &back, &pieces), expected);
    assert_int_equal(house->err.status, expected);
}

/* An object of one xorb, all of it. */
__attribute__((unused)) static struct shelf *simple(struct house *house, enum packing packing, size_t chunks,
                                                    struct built *built)
{
    struct shelf *shelf = shelf_new(100);
    struct made *made = xorb_add(shelf, chunks, 20000, packing);
    shelf_store(house, shelf);
    extent_add(built, made, 0, made->xorb.chunks);
    built_store(house, built);
    return shelf;
}

/* More extents than are read at once, of all kinds, in two containers. */
__attribute__((unused)) static void build_motley(struct house *house, struct shelf **shelves, struct built *built)
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

/* An object of two xorbs, of the second only a part. */
__attribute__((unused)) static struct shelf *pair(struct house *house, enum packing packing, struct built *built)
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

__attribute__((unused)) static void row_put(struct house *house, const struct shelf *shelf, const struct made *made,
                                            uint32_t index, const struct chunk *row)
{
    uint8_t bytes[CHUNK_ROW];
    chunk_row_write(bytes, row);
    scribble(house, shelf, made->xorb.table_at + (int64_t)index * CHUNK_ROW, bytes, sizeof(bytes));
}

#endif

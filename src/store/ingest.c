/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of a file, in order, become its SHA-256 and, beside that, its chunks and xorbs. */
#include "base/task.h"
#include "cas/cut.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>

#define PIECE ((size_t)MIB)     /* read at once */
#define BESIDE (64 << 10)       /* for fewer bytes, waking another thread costs more than it saves */
#define ROWS_KEPT ((size_t)MIB) /* of rows in memory; a chunk has 64 KiB on average, so these are of 1.5 GiB */
#define XORB_BYTES_MOST (64 << 20)

/*
 * From this length on a xorb also ends behind a chunk whose hash says so, one in 512. That is decided by content, so
 * xorbs are the same again soon behind the place where a large file was changed. Xorbs then have about 40 MiB.
 */
#define XORB_BYTES_LEAST (8 << 20)
#define XORB_END_CHUNKS 512

/* One chunk in 1024 is a key; only content made for it has this many in a xorb. */
#define XORB_KEYS_MOST 16

struct ingest {
    struct store *store;
    struct hasher *hasher;
    struct cutter cutter;
    struct merkle file, xorb;
    struct ingest_xorb current; /* not among xorbs yet */
    unsigned current_keys;
    struct buf xorbs, keys, rows;
    int spill; /* the rows in front of those in memory; -1 when there are none */
    int64_t spilled;
    bool failed;
    struct ingested result;

    struct task task;
    const uint8_t *data; /* the piece at hand */
    size_t len;
    bool beside;

    size_t held; /* bytes of a chunk that goes on behind the piece */
    uint8_t partial[CHUNK_MAX];
};

static void take_piece(void *context);

struct ingest *ingest_new(struct store *store)
{
    store_assert(store);
    struct ingest *ingest = calloc(1, sizeof(*ingest));
    if (!ingest)
        abort();
    ingest->store = store;
    ingest->hasher = hasher_sha256();
    ingest->spill = -1;
    ingest->task = (struct task){.run = take_piece, .context = ingest};
    return ingest;
}

void ingest_free(struct ingest **ingest)
{
    struct ingest *mine = *ingest;
    if (!mine)
        return;
    hasher_free(mine->hasher);
    buf_free(&mine->xorbs);
    buf_free(&mine->keys);
    buf_free(&mine->rows);
    fd_close(&mine->spill);
    free(mine);
    *ingest = NULL;
}

static void end_xorb(struct ingest *ingest)
{
    struct ingest_xorb *xorb = &ingest->current;
    xorb->hash = merkle_root(&ingest->xorb);
    buf_add(&ingest->xorbs, xorb, sizeof(*xorb));
    *xorb = (struct ingest_xorb){.start = xorb->start + xorb->length};
    ingest->current_keys = 0;
}

static bool ends_xorb(const struct ingest_xorb *xorb, const struct chunk_hash *last)
{
    uint64_t number;
    memcpy(&number, last->bytes + CHUNK_HASH_SIZE - sizeof(number), sizeof(number));
    return xorb->chunks == XORB_CHUNKS_MOST ||
           (xorb->length >= XORB_BYTES_LEAST && le64toh(number) % XORB_END_CHUNKS == 0);
}

static void take_chunk(struct ingest *ingest, const uint8_t *data, size_t len)
{
    struct ingest_xorb *xorb = &ingest->current;
    struct chunk chunk = {.hash = chunk_hash_of(data, len), .scheme = SCHEME_NONE};
    if (xorb->length + len > XORB_BYTES_MOST)
        end_xorb(ingest);
    /* Clients ask for the first chunk of a file whatever its hash is (xet-protocol 3.4). */
    chunk.is_key = ingest->result.chunks == 0 || chunk_hash_is_key(&chunk.hash);
    if (chunk.is_key && ingest->current_keys++ < XORB_KEYS_MOST) {
        struct ingest_key key = {chunk.hash, ingest->xorbs.len / sizeof(*xorb)};
        buf_add(&ingest->keys, &key, sizeof(key));
    }
    xorb->length += (uint32_t)len;
    xorb->chunks++;
    chunk.end = chunk.stored_end = xorb->length;
    uint8_t row[CHUNK_ROW];
    chunk_row_write(row, &chunk);
    buf_add(&ingest->rows, row, sizeof(row));
    ingest->result.chunks++;
    merkle_add(&ingest->file, &chunk.hash, len);
    merkle_add(&ingest->xorb, &chunk.hash, len);
    if (ends_xorb(xorb, &chunk.hash))
        end_xorb(ingest);
}

/* A chunk that is whole in the piece is hashed where it stands; only one that goes on in the next piece is copied. */
static void take_piece(void *context)
{
    struct ingest *ingest = context;
    const uint8_t *data = ingest->data, *stop = data + ingest->len;
    while (data < stop) {
        size_t end = cutter_next(&ingest->cutter, data, (size_t)(stop - data));
        size_t len = end ? end : (size_t)(stop - data);
        if (ingest->held || !end) {
            assert(len <= sizeof(ingest->partial) - ingest->held);
            memcpy(ingest->partial + ingest->held, data, len);
            ingest->held += len;
        }
        if (end) {
            take_chunk(ingest, ingest->held ? ingest->partial : data, ingest->held ? ingest->held : len);
            ingest->held = 0;
        }
        data += len;
    }
}

void ingest_begin(struct ingest *ingest, const void *data, size_t len)
{
    assert(!ingest->failed && !ingest->data);
    if (len == 0)
        return;
    ingest->data = data;
    ingest->len = len;
    ingest->beside = len >= BESIDE;
    if (ingest->beside)
        task_start(&ingest->task);
}

static enum status spill_rows(struct ingest *ingest, struct error *err)
{
    enum status status = ingest->spill < 0 ? store_scratch(ingest->store, &ingest->spill, err) : OK;
    if (status == OK)
        status = pwrite_full(ingest->spill, ingest->rows.data, ingest->rows.len, ingest->spilled, err);
    ingest->spilled += (int64_t)ingest->rows.len;
    ingest->rows.len = 0;
    return status;
}

enum status ingest_end(struct ingest *ingest, struct error *err)
{
    if (!ingest->data)
        return OK;
    hasher_add(ingest->hasher, ingest->data, ingest->len);
    if (ingest->beside)
        task_finish(&ingest->task);
    else
        take_piece(ingest);
    ingest->result.size += (int64_t)ingest->len;
    ingest->data = NULL;
    enum status status = ingest->rows.len < ROWS_KEPT ? OK : spill_rows(ingest, err);
    ingest->failed = status != OK;
    return disk_explain(status, err);
}

enum status ingest_add(struct ingest *ingest, const void *data, size_t len, struct error *err)
{
    ingest_begin(ingest, data, len);
    return ingest_end(ingest, err);
}

enum status ingest_file(struct ingest *ingest, int fd, int64_t offset, int64_t length, struct error *err)
{
    char *piece = malloc(PIECE);
    if (!piece)
        abort();
    enum status status = OK;
    (void)posix_fadvise(fd, offset, length, POSIX_FADV_SEQUENTIAL);
    while (status == OK && length > 0) {
        size_t len = length < (int64_t)PIECE ? (size_t)length : PIECE;
        status = pread_full(fd, piece, len, offset, err);
        if (status == OK)
            status = ingest_add(ingest, piece, len, err);
        offset += (int64_t)len;
        length -= (int64_t)len;
    }
    free(piece);
    return status;
}

const struct ingested *ingest_result(struct ingest *ingest)
{
    struct ingested *result = &ingest->result;
    assert(!ingest->failed && !ingest->data && !result->xorbs);
    if (ingest->held)
        take_chunk(ingest, ingest->partial, ingest->held);
    if (ingest->current.chunks)
        end_xorb(ingest);
    struct chunk_hash root = merkle_root(&ingest->file);
    result->hash = file_hash_of(&root);
    hasher_end(ingest->hasher, result->sha256);
    result->xorbs = (const struct ingest_xorb *)ingest->xorbs.data;
    result->xorb_count = ingest->xorbs.len / sizeof(*result->xorbs);
    result->keys = (const struct ingest_key *)ingest->keys.data;
    result->key_count = ingest->keys.len / sizeof(*result->keys);
    return result;
}

enum status ingest_write_tables(const struct ingest *ingest, int fd, struct error *err)
{
    int64_t to = ingest->result.size;
    char *piece = malloc(ingest->spilled ? PIECE : 1);
    if (!piece)
        abort();
    enum status status = OK;
    for (int64_t at = 0; at < ingest->spilled && status == OK;) {
        size_t len = ingest->spilled - at < (int64_t)PIECE ? (size_t)(ingest->spilled - at) : PIECE;
        status = pread_full(ingest->spill, piece, len, at, err);
        if (status == OK)
            status = pwrite_full(fd, piece, len, to + at, err);
        at += (int64_t)len;
    }
    free(piece);
    return status == OK ? pwrite_full(fd, ingest->rows.data, ingest->rows.len, to + ingest->spilled, err) : status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_BOX_FIXTURE_H
#define CAIRN_BOX_FIXTURE_H

#include "base/time.h"
#include "store/internal.h"
#include "store_fixture.h"
#include <lz4frame.h>

/* A container made by hand, with several xorbs in it; and files made of ranges of their chunks. */

#define BOX_CHUNK 65536
#define BOX_CHUNKS 4 /* of each xorb */
#define BOX_XORBS 3

struct box {
    char name[NAME_SIZE], path[STORE_PATH_LIMIT];
    int64_t size, container;
    struct content content; /* of all chunks, one behind the other */
    struct chunk chunks[BOX_XORBS][BOX_CHUNKS];
    struct xorb_new new[BOX_XORBS];
    struct xorb xorbs[BOX_XORBS];
    size_t count;
};

__attribute__((unused)) static void box_free(struct box *box)
{
    content_free(&box->content);
}
#define auto_box __attribute__((cleanup(box_free)))

static const char *box_chunk(const struct box *box, size_t xorb, size_t chunk)
{
    return box->content.data + (xorb * BOX_CHUNKS + chunk) * BOX_CHUNK;
}

static void box_payloads(struct box *box, size_t xorb, enum scheme scheme, struct buf *file)
{
    struct merkle merkle = {0};
    struct xorb_new *new = &box->new[xorb];
    new->start = (int64_t)file->len;
    for (size_t i = 0; i < BOX_CHUNKS; i++) {
        const char *data = box_chunk(box, xorb, i);
        char payload[2 * BOX_CHUNK];
        size_t len = BOX_CHUNK;
        if (scheme == SCHEME_LZ4)
            len = LZ4F_compressFrame(payload, sizeof(payload), data, BOX_CHUNK, NULL);
        assert_false(LZ4F_isError(len));
        buf_add(file, scheme == SCHEME_LZ4 ? payload : data, len);
        box->chunks[xorb][i] = (struct chunk){
            .hash = chunk_hash_of(data, BOX_CHUNK),
            .stored_end = (uint32_t)((int64_t)file->len - new->start),
            .end = (uint32_t)(i + 1) * BOX_CHUNK,
            .scheme = scheme,
        };
        merkle_add(&merkle, &box->chunks[xorb][i].hash, BOX_CHUNK);
    }
    new->stored = (int64_t)file->len - new->start;
    new->length = BOX_CHUNKS *BOX_CHUNK;
    new->chunks = BOX_CHUNKS;
    new->hash = merkle_root(&merkle);
}

static enum status box_write(struct db_conn *tx, void *context, struct error *err)
{
    struct box *box = context;
    TRY(container_insert(tx, box->name, box->size, &box->container, err));
    for (size_t i = 0; i < box->count; i++) {
        box->new[i].container = box->container;
        TRY(xorb_insert(tx, &box->new[i], &box->xorbs[i].id, err));
        TRY(store_xorb_get(tx, box->xorbs[i].id, &box->xorbs[i], err));
    }
    return OK;
}

/* Its content depends on seed alone. */
__attribute__((unused)) static struct box box_of(struct house *house, uint64_t seed, size_t count, enum scheme scheme,
                                                 int64_t mentioned_us)
{
    struct box box = {.count = count, .content = content_of(seed, count * BOX_CHUNKS * BOX_CHUNK)};
    auto_buf struct buf file = {0};
    if (scheme == SCHEME_LZ4)
        for (size_t i = 0; i < box.content.len; i += 2)
            box.content.data[i] = 'x'; /* so that it can be packed */
    for (size_t i = 0; i < count; i++)
        box_payloads(&box, i, scheme, &file);
    for (size_t i = 0; i < count; i++) {
        box.new[i].table_at = (int64_t)file.len;
        box.new[i].mentioned_us = mentioned_us;
        for (size_t k = 0; k < BOX_CHUNKS; k++) {
            uint8_t row[CHUNK_ROW];
            chunk_row_write(row, &box.chunks[i][k]);
            buf_add(&file, row, sizeof(row));
        }
    }
    random_name(box.name);
    house_folder_for(house, box.name);
    container_path(house->root, box.name, box.path);
    box.size = (int64_t)file.len;
    assert_int_equal(file_write_durable(box.path, buf_view(&file), 0600, &house->err), OK);
    assert_int_equal(db_write(house->db, box_write, &box, &house->err), OK);
    return box;
}

/* What of the disk its file takes. */
__attribute__((unused)) static int64_t box_blocks(const struct box *box)
{
    struct stat file;
    assert_int_equal(stat(box->path, &file), 0);
    return (int64_t)file.st_blocks * 512;
}

struct slice {
    size_t xorb;
    uint32_t start, end;
};
#define NONE ((struct slice){0})

static enum status draft_keep(struct house *house, int64_t repo, struct file_draft *draft, struct error *err)
{
    TRY(file_draft_verify(draft, repo, NULL, NULL, NULL, err));
    return file_drafts_keep(house->store, repo, &draft, 1, err);
}

/* Gives repo a file of up to two slices of the box (the second one's end may be 0), and tells its content. */
__attribute__((unused)) static enum status give(struct house *house, int64_t repo, const struct box *box,
                                                struct slice first, struct slice second, struct content *out,
                                                struct error *err)
{
    const struct slice slices[2] = {first, second};
    struct merkle merkle = {0};
    auto_buf struct buf bytes = {0};
    size_t count = second.end > 0 ? 2 : 1;
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = slices[i].start; k < slices[i].end; k++) {
            merkle_add(&merkle, &box->chunks[slices[i].xorb][k].hash, BOX_CHUNK);
            buf_add(&bytes, box_chunk(box, slices[i].xorb, k), BOX_CHUNK);
        }
    struct chunk_hash root = merkle_root(&merkle);
    __attribute__((cleanup(file_draft_free))) struct file_draft *draft =
        file_draft_new(house->store, file_hash_of(&root));
    for (size_t i = 0; i < count; i++) {
        struct term_proof *terms = term_proof_new();
        for (uint32_t k = slices[i].start; k < slices[i].end; k++)
            term_proof_add(terms, &box->chunks[slices[i].xorb][k].hash);
        struct chunk_hash proof = term_proof_end(terms);
        term_proof_free(terms);
        TRY(file_draft_add(draft, &box->xorbs[slices[i].xorb], slices[i].start, slices[i].end,
                           (slices[i].end - slices[i].start) * BOX_CHUNK, &proof, err));
    }
    TRY(draft_keep(house, repo, draft, err));
    if (out) {
        *out = (struct content){.data = bytes.data, .len = bytes.len};
        sha256(buf_view(&bytes), out->sha256);
        bytes = (struct buf){0}; /* the content has them now */
    }
    return OK;
}

static enum status sql_write(struct db_conn *tx, void *context, struct error *err)
{
    return db_exec(tx, context, err);
}

__attribute__((unused)) static void run_sql(struct house *house, const char *sql)
{
    assert_int_equal(db_write(house->db, sql_write, (void *)sql, &house->err), OK);
}

__attribute__((unused)) static void flip_byte(const char *path, int64_t offset)
{
    char byte;
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    int fd = fileno(file);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    fclose(file);
}

#endif

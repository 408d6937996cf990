/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "tensor/internal.h"
#include <stdlib.h>

#define BLOCK ((size_t)1 << 20)

struct source {
    struct store *store;
    struct db *db;
    int64_t object_id, size, at; /* at: of the next byte in the file */
    struct store_view *view;
    struct store_piece piece; /* what is left of the newest one */
    struct arena arena;       /* a small file's bytes */
    struct str bytes;         /* absent for a large file */
    uint8_t block[];
};

static enum status open_bytes(struct source *source, int64_t repo_id, bool is_lfs, const uint8_t sha256[SHA256_SIZE],
                              const struct oid *blob, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct object object;
    TRY(db_reader(source->db, &conn, err));
    if (!is_lfs) {
        TRY(blob_read(conn, &source->arena, repo_id, blob, &source->bytes, err));
        source->size = (int64_t)source->bytes.len;
        return OK;
    }
    TRY(store_lookup(conn, repo_id, sha256, &object, err));
    source->object_id = object.id;
    source->size = object.size;
    return OK;
}

enum status source_open(struct hub *hub, int64_t repo_id, bool is_lfs, const uint8_t sha256[SHA256_SIZE],
                        const struct oid *blob, struct source **out, struct error *err)
{
    struct source *source = calloc(1, sizeof *source + BLOCK);
    if (!source)
        abort();
    source->store = hub->store;
    source->db = hub->db;
    enum status status = open_bytes(source, repo_id, is_lfs, sha256, blob, err);
    if (status != OK)
        source_close(&source);
    *out = source;
    return status;
}

int64_t source_size(const struct source *source)
{
    return source->size;
}

enum status source_seek(struct source *source, int64_t offset, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    source->at = offset;
    source->piece.length = 0;
    if (str_given(source->bytes) || offset >= source->size)
        return OK;
    store_view_close(source->view);
    source->view = NULL;
    TRY(db_reader(source->db, &conn, err));
    return store_view_open(source->store, conn, source->object_id, offset, source->size - offset, &source->view, err);
}

static enum status next_piece(struct source *source, struct error *err)
{
    bool found = true;
    while (found && source->piece.length == 0)
        TRY(store_view_next(source->view, &source->piece, &found, err));
    return found ? OK : fail(err, CORRUPT, NULL, "The stored file is shorter than it should be.");
}

static enum status next_of_view(struct source *source, size_t most, const uint8_t **data, size_t *len,
                                struct error *err)
{
    struct store_piece *piece = &source->piece;
    if (piece->length == 0)
        TRY(next_piece(source, err));
    *len = (uint64_t)piece->length < most ? (size_t)piece->length : most;
    if (piece->fd >= 0) {
        *len = *len < BLOCK ? *len : BLOCK;
        TRY(pread_full(piece->fd, source->block, *len, piece->offset, err));
        piece->offset += (int64_t)*len;
        *data = source->block;
    } else {
        *data = (const uint8_t *)piece->data;
        piece->data += *len;
    }
    piece->length -= (int64_t)*len;
    return OK;
}

enum status source_next(struct source *source, size_t most, const uint8_t **data, size_t *len, struct error *err)
{
    if (source->at >= source->size)
        return fail(err, CORRUPT, NULL, "The stored file is shorter than it should be.");
    if (str_given(source->bytes)) {
        struct str rest = str_slice(source->bytes, (size_t)source->at, most);
        *data = (const uint8_t *)rest.data;
        *len = rest.len;
    } else {
        TRY(next_of_view(source, most, data, len, err));
    }
    source->at += (int64_t)*len;
    return OK;
}

void source_close(struct source **source)
{
    if (!*source)
        return;
    store_view_close((*source)->view);
    arena_free(&(*source)->arena);
    free(*source);
    *source = NULL;
}

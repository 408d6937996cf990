/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A xorb read in two ways of cutting gives the same chunks, the same name, or is refused alike. */
#include "base/buf.h"
#include "cas/xorb.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum status status;
    struct buf chunks;
    unsigned count;
    struct chunk_hash root;
};

static enum status keep(void *context, const struct xorb_chunk *chunk, struct error *err)
{
    (void)err;
    struct outcome *out = context;
    uint8_t header[XORB_CHUNK_HEADER];
    assert(chunk->len > 0 && chunk->len <= CHUNK_MAX && chunk->payload_len <= XORB_PAYLOAD_MOST);
    assert((chunk->data == chunk->payload) == (chunk->scheme == SCHEME_NONE));
    xorb_header_write(header, chunk->scheme, (uint32_t)chunk->payload_len, (uint32_t)chunk->len);
    buf_add(&out->chunks, header, sizeof(header));
    buf_add(&out->chunks, chunk->payload, chunk->payload_len);
    buf_add(&out->chunks, chunk->hash.bytes, CHUNK_HASH_SIZE);
    assert(++out->count <= XORB_CHUNKS_MOST);
    return OK;
}

static void read_xorb(const uint8_t *data, size_t size, const uint8_t *steps, struct outcome *out)
{
    *out = (struct outcome){0};
    struct xorb_reader *reader = xorb_reader_new(keep, out);
    struct error err = {0};
    for (size_t at = 0, turn = 0; at < size && out->status == OK; turn++) {
        size_t step = steps ? 1 + (size_t)steps[turn % 4] : size;
        step = step < size - at ? step : size - at;
        uint8_t *piece = malloc(step); /* of its own, so that a read past it, or later, is seen */
        memcpy(piece, data + at, step);
        out->status = xorb_reader_add(reader, piece, step, &err);
        free(piece);
        at += step;
    }
    if (out->status == OK)
        out->status = xorb_reader_end(reader, &out->root, &err);
    assert(out->status == OK || (out->status == INVALID && err.message[0]));
    xorb_reader_free(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct outcome whole, pieces;
    read_xorb(data + 4, size - 4, NULL, &whole);
    read_xorb(data + 4, size - 4, data, &pieces);
    assert(whole.status == pieces.status && str_eq(buf_view(&whole.chunks), buf_view(&pieces.chunks)));
    assert(whole.status != OK || (whole.count > 0 && chunk_hash_eq(&whole.root, &pieces.root)));
    buf_free(&whole.chunks);
    buf_free(&pieces.chunks);
    return 0;
}

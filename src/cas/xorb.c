/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/xorb.h"
#include <assert.h>
#include <stdlib.h>

static const char footer_ident[] = {'X', 'E', 'T', 'B', 'L', 'O', 'B'};

struct xorb_reader {
    xorb_chunk_fn *on_chunk;
    void *context;
    enum { AT_HEADER, AT_PAYLOAD, AT_FOOTER, REFUSED } state;
    size_t wire_len;         /* bytes so far */
    unsigned count;          /* chunks so far */
    struct xorb_chunk chunk; /* as its header says, while at its payload */
    struct merkle merkle;
    size_t have;                         /* in gathered */
    uint8_t gathered[XORB_PAYLOAD_MOST]; /* a header or payload that did not come in one piece */
    uint8_t data[CHUNK_MAX], scratch[CHUNK_MAX];
};

static void u24_write(uint8_t out[3], uint32_t value)
{
    assert(value < 1 << 24);
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t u24_read(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

void xorb_header_write(uint8_t out[XORB_CHUNK_HEADER], enum scheme scheme, uint32_t payload_len, uint32_t len)
{
    out[0] = 0; /* version */
    u24_write(out + 1, payload_len);
    out[4] = (uint8_t)scheme;
    u24_write(out + 5, len);
}

struct xorb_reader *xorb_reader_new(xorb_chunk_fn *on_chunk, void *context)
{
    struct xorb_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        abort();
    reader->on_chunk = on_chunk;
    reader->context = context;
    return reader;
}

void xorb_reader_free(struct xorb_reader **reader)
{
    free(*reader);
    *reader = NULL;
}

static enum status header_refuse(const struct xorb_reader *reader, const char *why, struct error *err)
{
    return fail(err, INVALID, NULL, "The header of chunk %u of the xorb is malformed: %s. Build the xorb again.",
                reader->count, why);
}

static enum status header_read(struct xorb_reader *reader, const uint8_t *header, struct error *err)
{
    if (memcmp(header, footer_ident, sizeof(footer_ident)) == 0) {
        reader->state = AT_FOOTER;
        return OK;
    }
    if (reader->count == XORB_CHUNKS_MOST)
        return fail(err, INVALID, NULL, "The xorb has more than %d chunks. Spread them over several xorbs.",
                    XORB_CHUNKS_MOST);
    if (header[0] != 0)
        return header_refuse(reader, "the version is not 0", err);
    if (header[4] > SCHEME_GROUP4_LZ4)
        return header_refuse(reader, "the compression scheme is none of 0, 1 and 2", err);
    reader->chunk = (struct xorb_chunk){
        .scheme = (enum scheme)header[4], .payload_len = u24_read(header + 1), .len = u24_read(header + 5)};
    if (reader->chunk.len == 0 || reader->chunk.len > CHUNK_MAX)
        return header_refuse(reader, "the chunk has no bytes or more than 131072", err);
    if (reader->chunk.payload_len == 0 || reader->chunk.payload_len > XORB_PAYLOAD_MOST)
        return header_refuse(reader, "the payload has no bytes or more than 262144", err);
    if (reader->chunk.scheme == SCHEME_NONE && reader->chunk.payload_len != reader->chunk.len)
        return header_refuse(reader, "the two lengths of a chunk that is not packed differ", err);
    reader->state = AT_PAYLOAD;
    return OK;
}

static enum status payload_read(struct xorb_reader *reader, const uint8_t *payload, struct error *err)
{
    struct xorb_chunk *chunk = &reader->chunk;
    struct error why = {0};
    chunk->payload = chunk->data = payload;
    if (chunk->scheme != SCHEME_NONE) {
        if (chunk_decode(chunk->scheme, payload, chunk->payload_len, reader->data, chunk->len, reader->scratch, &why) !=
            OK)
            return fail(err, INVALID, NULL, "Chunk %u of the xorb is damaged. %s", reader->count, why.message);
        chunk->data = reader->data;
    }
    chunk->hash = chunk_hash_of(chunk->data, chunk->len);
    merkle_add(&reader->merkle, &chunk->hash, chunk->len);
    reader->count++;
    reader->state = AT_HEADER;
    return reader->on_chunk(reader->context, chunk, err);
}

/* Takes up to wanted bytes off the front of the piece. Gives them once they are whole, in place when all stand in this
 * piece; NULL when more are to come. */
static const uint8_t *gather(struct xorb_reader *reader, size_t wanted, const uint8_t **data, size_t *len)
{
    const uint8_t *piece = *data;
    size_t missing = wanted - reader->have, take = *len < missing ? *len : missing;
    *data += take;
    *len -= take;
    if (take == wanted)
        return piece;
    memcpy(reader->gathered + reader->have, piece, take);
    reader->have += take;
    if (reader->have < wanted)
        return NULL;
    reader->have = 0;
    return reader->gathered;
}

static enum status piece_read(struct xorb_reader *reader, const uint8_t *data, size_t len, struct error *err)
{
    if (len > XORB_WIRE_MOST - reader->wire_len)
        return fail(err, INVALID, NULL, "The xorb has more than %d bytes. Spread its chunks over several xorbs.",
                    XORB_WIRE_MOST);
    reader->wire_len += len;
    while (len > 0 && reader->state != AT_FOOTER) {
        bool at_header = reader->state == AT_HEADER;
        const uint8_t *whole = gather(reader, at_header ? XORB_CHUNK_HEADER : reader->chunk.payload_len, &data, &len);
        if (whole)
            TRY(at_header ? header_read(reader, whole, err) : payload_read(reader, whole, err));
    }
    return OK;
}

enum status xorb_reader_add(struct xorb_reader *reader, const void *data, size_t len, struct error *err)
{
    if (reader->state == REFUSED)
        return fail(err, INVALID, NULL, "The xorb was refused before. Build it again.");
    enum status status = piece_read(reader, data, len, err);
    if (status != OK)
        reader->state = REFUSED;
    return status;
}

enum status xorb_reader_end(struct xorb_reader *reader, struct chunk_hash *root, struct error *err)
{
    if (reader->state == REFUSED)
        return fail(err, INVALID, NULL, "The xorb was refused before. Build it again.");
    if (reader->state == AT_PAYLOAD || reader->have > 0)
        return fail(err, INVALID, NULL, "The xorb ends within chunk %u, after %zu bytes. Send all of it.",
                    reader->count, reader->wire_len);
    if (reader->count == 0)
        return fail(err, INVALID, NULL, "The xorb has no chunk. Send at least one.");
    *root = merkle_root(&reader->merkle);
    return OK;
}

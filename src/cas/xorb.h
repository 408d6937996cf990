/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CAS_XORB_H
#define CAIRN_CAS_XORB_H

#include "cas/codec.h"
#include "cas/cut.h"
#include "cas/hash.h"

/* The wire form of a xorb (xet-protocol 2.5): chunks one after the other, each with a header of 8 bytes. */
#define XORB_CHUNK_HEADER 8
#define XORB_CHUNKS_MOST 8192
#define XORB_PAYLOAD_MOST (256 << 10)
#define XORB_WIRE_MOST (66 << 20) /* 64 MiB of bytes, the headers, and a footer that a client may send */

void xorb_header_write(uint8_t out[XORB_CHUNK_HEADER], enum scheme scheme, uint32_t payload_len, uint32_t len);

struct xorb_chunk {
    enum scheme scheme;
    const uint8_t *payload; /* as it came */
    size_t payload_len;
    const uint8_t *data; /* decoded; the payload itself when scheme is SCHEME_NONE */
    size_t len;
    struct chunk_hash hash; /* computed from data */
};

/* Called for each chunk in order, once it is whole, decoded and hashed. Its memory is only valid during the call. */
typedef enum status xorb_chunk_fn(void *context, const struct xorb_chunk *chunk, struct error *err);

/*
 * Reads a xorb in pieces of any size, with memory for two chunks. INVALID: a version other than 0, an unknown scheme, lengths
 * of 0 or over the limits, a payload that does not decode to its length, more than XORB_CHUNKS_MOST chunks, more than
 * XORB_WIRE_MOST bytes, an end within a chunk, no chunk at all. A footer ("XETBLOB" where a header is expected) is read to the
 * end and not looked at. After an error, the callback's included, the reader refuses everything.
 */
struct xorb_reader;
struct xorb_reader *xorb_reader_new(xorb_chunk_fn *on_chunk, void *context);
enum status xorb_reader_add(struct xorb_reader *reader, const void *data, size_t len, struct error *err);
/* After the last piece. *root is the hash computed from the chunks. */
enum status xorb_reader_end(struct xorb_reader *reader, struct chunk_hash *root, struct error *err);
void xorb_reader_free(struct xorb_reader **reader); /* nothing when *reader is NULL */

#endif

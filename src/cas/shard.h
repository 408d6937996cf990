/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CAS_SHARD_H
#define CAIRN_CAS_SHARD_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "cas/hash.h"

/*
 * Shards (xet-protocol 2.6, 2.7): how files are put together from xorbs, and which chunks xorbs have. Reading checks structure
 * and bounds only: that a count fits in what is left before it is used, that sections end where they must; what the records
 * claim is for others to verify. The bytes must stay where they are while the reader and what it found are in use.
 */
struct shard_reader {
    struct str bytes;
    size_t at;
    bool in_xorbs; /* the file section has ended */
};

/* INVALID unless bytes begin with a shard's header of version 2. */
enum status shard_open(struct str bytes, struct shard_reader *out, struct error *err);

struct shard_file {
    struct chunk_hash hash;
    uint32_t count; /* of segments; each has its verification hash: files without them are INVALID */
    bool has_sha256;
    uint8_t sha256[SHA256_SIZE];   /* in its usual order */
    const char *segments, *proofs; /* for shard_segment() */
};
struct shard_segment {
    struct chunk_hash xorb, proof;
    uint32_t length;     /* bytes, unpacked */
    uint32_t start, end; /* chunks, end exclusive */
};
/* The next file; *found is false behind the last one. */
enum status shard_next_file(struct shard_reader *reader, struct shard_file *out, bool *found, struct error *err);
void shard_segment(const struct shard_file *file, uint32_t index, struct shard_segment *out);

struct shard_xorb {
    struct chunk_hash hash;
    uint32_t count, length; /* chunks; bytes unpacked */
    const char *chunks;     /* for shard_chunk() */
};
struct shard_chunk {
    struct chunk_hash hash;
    uint32_t start, length; /* bytes, unpacked */
    bool is_key;            /* bit 31 of the flags: the client wants it to be found by others */
};
/* The next xorb; files not asked for before are passed over (and checked). *found is false behind the last one. */
enum status shard_next_xorb(struct shard_reader *reader, struct shard_xorb *out, bool *found, struct error *err);
void shard_chunk(const struct shard_xorb *xorb, uint32_t index, struct shard_chunk *out);

/* Writing a reply to a dedup query (xet-protocol 3.4): no files, xorbs with keyed chunk hashes, and a footer. */
void shard_reply_begin(struct buf *out);
void shard_reply_xorb(struct buf *out, const struct chunk_hash *hash, uint32_t count, uint32_t length,
                      uint32_t wire_length);
/* One of the count chunks announced; hash is keyed already. */
void shard_reply_chunk(struct buf *out, const struct chunk_hash *hash, uint32_t start, uint32_t length, bool is_key);
void shard_reply_end(struct buf *out, const uint8_t key[CHUNK_HASH_SIZE], int64_t created_s, int64_t expires_s);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CAS_HASH_H
#define CAIRN_CAS_HASH_H

#include "base/str.h"

/*
 * The hashes of the Xet protocol (xet-protocol 2.1 to 2.3), all BLAKE3 in keyed mode. A chunk is at most 128 KiB of a
 * file; a xorb is a sequence of chunks, named by the root of the tree over them; a file is named by a hash of such a root.
 */
#define CHUNK_HASH_SIZE 32
#define CHUNK_HASH_TEXT 65 /* 64 digits and a NUL */

struct chunk_hash {
    uint8_t bytes[CHUNK_HASH_SIZE];
};

static inline bool chunk_hash_eq(const struct chunk_hash *a, const struct chunk_hash *b)
{
    return memcmp(a->bytes, b->bytes, CHUNK_HASH_SIZE) == 0;
}
bool chunk_hash_is_zero(const struct chunk_hash *hash);

struct chunk_hash chunk_hash_of(const void *data, size_t len);
/* What stands for a chunk in a dedup reply: useless to whoever does not know the chunk. */
struct chunk_hash chunk_hash_keyed(const struct chunk_hash *hash, const uint8_t key[CHUNK_HASH_SIZE]);
/* May other repos' clients ask for this chunk? One in 1024 (xet-protocol 3.4): the last u64, little-endian, is 0 modulo it. */
bool chunk_hash_is_key(const struct chunk_hash *hash);

/* The text form: every group of 8 bytes reversed, then hex, lower case. Parsing takes exactly 64 digits of either case. */
void chunk_hash_text(const struct chunk_hash *hash, char out[CHUNK_HASH_TEXT]);
bool chunk_hash_parse(struct str text, struct chunk_hash *out);
/* The SHA-256 in a shard is stored as if its hex were such a text; this turns one into the other, either way. */
void chunk_hash_swap(const uint8_t from[CHUNK_HASH_SIZE], uint8_t to[CHUNK_HASH_SIZE]);

/*
 * The tree over a list of chunks, grown from the left with memory for a few entries a level, however long the list is.
 * {0} is an empty one. Its entries are (hash, length in bytes).
 */
#define MERKLE_LEVELS 40
#define MERKLE_GROUP 9
struct merkle_entry {
    struct chunk_hash hash;
    uint64_t length;
};
struct merkle {
    struct {
        struct merkle_entry pending[MERKLE_GROUP];
        unsigned count;
        bool closed; /* a group of this level has been closed already: what is pending is not the root */
    } levels[MERKLE_LEVELS];
};
void merkle_add(struct merkle *merkle, const struct chunk_hash *hash, uint64_t length);
/* The root, which names a xorb: 32 zero bytes for an empty list, the entry's own hash for a list of one. The tree is then
 * empty again. */
struct chunk_hash merkle_root(struct merkle *merkle);
/* A file's name from the root over all its chunks; the zero root (an empty file) stays zero. */
struct chunk_hash file_hash_of(const struct chunk_hash *root);

/* The proof that somebody knows the chunks of a term (a range of a xorb): over their hashes, one after the other. */
struct term_proof;
struct term_proof *term_proof_new(void);
void term_proof_add(struct term_proof *proof, const struct chunk_hash *hash);
struct chunk_hash term_proof_end(struct term_proof *proof); /* and begins anew */
void term_proof_free(struct term_proof *proof);

#endif

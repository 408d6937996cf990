/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/hash.h"
#include "base/text.h"
#include <assert.h>
#include <blake3.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The keys that tell the kinds of hashes apart (xet-protocol 2.2). */
static const uint8_t data_key[BLAKE3_KEY_LEN] = {0x66, 0x97, 0xf5, 0x77, 0x5b, 0x95, 0x50, 0xde, 0x31, 0x35, 0xcb,
                                                 0xac, 0xa5, 0x97, 0x18, 0x1c, 0x9d, 0xe4, 0x21, 0x10, 0x9b, 0xeb,
                                                 0x2b, 0x58, 0xb4, 0xd0, 0xb0, 0x4b, 0x93, 0xad, 0xf2, 0x29};
static const uint8_t node_key[BLAKE3_KEY_LEN] = {0x01, 0x7e, 0xc5, 0xc7, 0xa5, 0x47, 0x29, 0x96, 0xfd, 0x94, 0x66,
                                                 0x66, 0xb4, 0x8a, 0x02, 0xe6, 0x5d, 0xdd, 0x53, 0x6f, 0x37, 0xc7,
                                                 0x6d, 0xd2, 0xf8, 0x63, 0x52, 0xe6, 0x4a, 0x53, 0x71, 0x3f};
static const uint8_t proof_key[BLAKE3_KEY_LEN] = {0x7f, 0x18, 0x57, 0xd6, 0xce, 0x56, 0xed, 0x66, 0x12, 0x7f, 0xf9,
                                                  0x13, 0xe7, 0xa5, 0xc3, 0xf3, 0xa4, 0xcd, 0x26, 0xd5, 0xb5, 0xdb,
                                                  0x49, 0xe6, 0x41, 0x24, 0x98, 0x7f, 0x28, 0xfb, 0x94, 0xc3};
static const uint8_t file_key[BLAKE3_KEY_LEN];

static struct chunk_hash keyed(const uint8_t key[BLAKE3_KEY_LEN], const void *data, size_t len)
{
    struct chunk_hash hash;
    blake3_hasher hasher;
    blake3_hasher_init_keyed(&hasher, key);
    blake3_hasher_update(&hasher, data, len);
    blake3_hasher_finalize(&hasher, hash.bytes, sizeof(hash.bytes));
    return hash;
}

struct chunk_hash chunk_hash_of(const void *data, size_t len)
{
    return keyed(data_key, data, len);
}

struct chunk_hash chunk_hash_keyed(const struct chunk_hash *hash, const uint8_t key[CHUNK_HASH_SIZE])
{
    return keyed(key, hash->bytes, CHUNK_HASH_SIZE);
}

struct chunk_hash file_hash_of(const struct chunk_hash *root)
{
    return chunk_hash_is_zero(root) ? *root : keyed(file_key, root->bytes, CHUNK_HASH_SIZE);
}

bool chunk_hash_is_zero(const struct chunk_hash *hash)
{
    static const struct chunk_hash zero;
    return chunk_hash_eq(hash, &zero);
}

/* The last of the four numbers that a hash is made of; it decides what is a key, and where groups of a tree end. */
static uint64_t last_number(const struct chunk_hash *hash)
{
    uint64_t last;
    memcpy(&last, hash->bytes + CHUNK_HASH_SIZE - sizeof(last), sizeof(last));
    return le64toh(last);
}

bool chunk_hash_is_key(const struct chunk_hash *hash)
{
    return last_number(hash) % 1024 == 0;
}

void chunk_hash_swap(const uint8_t from[CHUNK_HASH_SIZE], uint8_t to[CHUNK_HASH_SIZE])
{
    uint64_t numbers[CHUNK_HASH_SIZE / 8];
    memcpy(numbers, from, CHUNK_HASH_SIZE);
    for (size_t i = 0; i < CHUNK_HASH_SIZE / 8; i++)
        numbers[i] = __builtin_bswap64(numbers[i]);
    memcpy(to, numbers, CHUNK_HASH_SIZE);
}

void chunk_hash_text(const struct chunk_hash *hash, char out[CHUNK_HASH_TEXT])
{
    uint8_t bytes[CHUNK_HASH_SIZE];
    chunk_hash_swap(hash->bytes, bytes);
    for (size_t i = 0; i < CHUNK_HASH_SIZE; i++) {
        out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[CHUNK_HASH_TEXT - 1] = '\0';
}

bool chunk_hash_parse(struct str text, struct chunk_hash *out)
{
    uint8_t bytes[CHUNK_HASH_SIZE];
    if (!hex_decode(text, bytes, sizeof(bytes)))
        return false;
    chunk_hash_swap(bytes, out->bytes);
    return true;
}

/* A group is hashed as text, a line for each entry: the hash, " : ", the length, a line feed. */
static struct merkle_entry group_entry(const struct merkle_entry *group, unsigned count)
{
    char text[MERKLE_GROUP * (CHUNK_HASH_TEXT + sizeof(" : 18446744073709551615\n"))];
    size_t len = 0;
    uint64_t length = 0;
    for (unsigned i = 0; i < count; i++) {
        chunk_hash_text(&group[i].hash, text + len);
        len += CHUNK_HASH_TEXT - 1;
        len += (size_t)snprintf(text + len, sizeof(text) - len, " : %" PRIu64 "\n", group[i].length);
        length += group[i].length;
    }
    return (struct merkle_entry){keyed(node_key, text, len), length};
}

static void level_add(struct merkle *merkle, unsigned level, struct merkle_entry entry);

/* What is pending at the level becomes one entry of the level above. */
static void level_close(struct merkle *merkle, unsigned level)
{
    struct merkle_entry above = group_entry(merkle->levels[level].pending, merkle->levels[level].count);
    merkle->levels[level].count = 0;
    merkle->levels[level].closed = true;
    level_add(merkle, level + 1, above);
}

/* A group ends with its ninth entry, or with an earlier one behind the second whose hash says so. Neither depends on
 * how many entries follow, which is why nothing but the group at hand needs to be kept. */
static void level_add(struct merkle *merkle, unsigned level, struct merkle_entry entry)
{
    assert(level < MERKLE_LEVELS); /* groups have three entries or more, except the last of a level */
    unsigned count = ++merkle->levels[level].count;
    merkle->levels[level].pending[count - 1] = entry;
    if (count == MERKLE_GROUP || (count > 2 && last_number(&entry.hash) % 4 == 0))
        level_close(merkle, level);
}

void merkle_add(struct merkle *merkle, const struct chunk_hash *hash, uint64_t length)
{
    level_add(merkle, 0, (struct merkle_entry){*hash, length});
}

/* From the lowest level up, what is left becomes the last group of its level, even when it is a single entry; the root
 * is the entry that is the only one of its level. */
struct chunk_hash merkle_root(struct merkle *merkle)
{
    struct chunk_hash root = {0};
    unsigned level = 0;
    while (merkle->levels[level].closed || merkle->levels[level].count > 1) {
        if (merkle->levels[level].count)
            level_close(merkle, level);
        level++;
    }
    if (merkle->levels[level].count)
        root = merkle->levels[level].pending[0].hash;
    *merkle = (struct merkle){0};
    return root;
}

struct term_proof {
    blake3_hasher hasher;
};

struct term_proof *term_proof_new(void)
{
    struct term_proof *proof = malloc(sizeof(*proof));
    if (!proof)
        abort();
    blake3_hasher_init_keyed(&proof->hasher, proof_key);
    return proof;
}

void term_proof_add(struct term_proof *proof, const struct chunk_hash *hash)
{
    blake3_hasher_update(&proof->hasher, hash->bytes, CHUNK_HASH_SIZE);
}

struct chunk_hash term_proof_end(struct term_proof *proof)
{
    struct chunk_hash hash;
    blake3_hasher_finalize(&proof->hasher, hash.bytes, CHUNK_HASH_SIZE);
    blake3_hasher_init_keyed(&proof->hasher, proof_key);
    return hash;
}

void term_proof_free(struct term_proof *proof)
{
    free(proof);
}

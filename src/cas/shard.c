/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/shard.h"

#include <assert.h>
#include <endian.h>

/* Everything in a shard but its footer comes in records of one size; most are a hash and four numbers. */
#define RECORD 48
#define FOOTER 200
#define VERSION 2
#define FOOTER_VERSION 1

#define FILE_HAS_PROOFS (UINT32_C(1) << 31)
#define FILE_HAS_SHA256 (UINT32_C(1) << 30)
#define CHUNK_IS_KEY (UINT32_C(1) << 31)

static const uint8_t tag[32] = {0x48, 0x46, 0x52, 0x65, 0x70, 0x6f, 0x4d, 0x65, 0x74, 0x61, 0x44,
                                0x61, 0x74, 0x61, 0x00, 0x55, 0x69, 0x67, 0x45, 0x6a, 0x7b, 0x81,
                                0x57, 0x83, 0xa5, 0xbd, 0xd9, 0x5c, 0xcd, 0xd1, 0x4a, 0xa9};

struct record {
    struct chunk_hash hash;
    uint32_t numbers[4];
};

static struct record record_read(const char *at)
{
    struct record record;
    memcpy(record.hash.bytes, at, CHUNK_HASH_SIZE);
    memcpy(record.numbers, at + CHUNK_HASH_SIZE, sizeof record.numbers);
    for (int i = 0; i < 4; i++)
        record.numbers[i] = le32toh(record.numbers[i]);
    return record;
}

static void record_add(struct buf *out, const struct chunk_hash *hash, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t numbers[4] = {htole32(a), htole32(b), htole32(c), htole32(d)};
    buf_add(out, hash->bytes, CHUNK_HASH_SIZE);
    buf_add(out, numbers, sizeof numbers);
}

/* What ends a section stands where the hash of a file or a xorb would. */
static struct chunk_hash bookend(void)
{
    struct chunk_hash hash;
    memset(hash.bytes, 0xff, sizeof hash.bytes);
    return hash;
}

static void u64_add(struct buf *out, uint64_t number)
{
    number = htole64(number);
    buf_add(out, &number, sizeof number);
}

/* Takes count records off the shard. */
static enum status take(struct shard_reader *reader, uint64_t count, const char **out, struct error *err)
{
    uint64_t left = (reader->bytes.len - reader->at) / RECORD;
    if (count > left)
        return fail(err, INVALID, NULL,
                    "The shard ends too early: behind byte %zu there should be %llu records, not %llu.", reader->at,
                    (unsigned long long)count, (unsigned long long)left);
    *out = reader->bytes.data + reader->at;
    reader->at += count * RECORD;
    return OK;
}

/* Takes the record that begins a file or a xorb; *found is false when it ends the section. */
static enum status take_first(struct shard_reader *reader, struct record *out, bool *found, struct error *err)
{
    const char *at = NULL;
    struct chunk_hash end = bookend();
    TRY(take(reader, 1, &at, err));
    *out = record_read(at);
    *found = !chunk_hash_eq(&out->hash, &end);
    if (!*found && (out->numbers[0] | out->numbers[1] | out->numbers[2] | out->numbers[3]))
        return fail(err, INVALID, NULL, "The record before byte %zu, which ends a section of the shard, has numbers.",
                    reader->at);
    return OK;
}

enum status shard_open(struct str bytes, struct shard_reader *out, struct error *err)
{
    uint64_t numbers[2];
    if (bytes.len < RECORD || memcmp(bytes.data, tag, sizeof tag) != 0)
        return fail(err, INVALID, NULL, "The body is not a shard: it does not begin with the tag of one.");
    memcpy(numbers, bytes.data + sizeof tag, sizeof numbers);
    if (le64toh(numbers[0]) != VERSION)
        return fail(err, INVALID, NULL, "The shard has version %llu; this server reads version %d.",
                    (unsigned long long)le64toh(numbers[0]), VERSION);
    *out = (struct shard_reader){.bytes = bytes, .at = RECORD};
    return OK;
}

enum status shard_next_file(struct shard_reader *reader, struct shard_file *out, bool *found, struct error *err)
{
    struct record head;
    const char *sha256 = NULL;
    *found = false;
    if (reader->in_xorbs)
        return OK;
    TRY(take_first(reader, &head, found, err));
    if (!*found) {
        reader->in_xorbs = true;
        return OK;
    }
    *found = false;
    uint32_t flags = head.numbers[0];
    if (!(flags & FILE_HAS_PROOFS))
        return fail(err, INVALID, NULL,
                    "A file of the shard comes without verification hashes; each of its segments needs one.");
    if (flags & ~(FILE_HAS_PROOFS | FILE_HAS_SHA256)) /* they might stand for records that we would take for others */
        return fail(err, INVALID, NULL, "A file of the shard has flags %08x, of which some are unknown.", flags);
    *out = (struct shard_file){.hash = head.hash, .count = head.numbers[1], .has_sha256 = flags & FILE_HAS_SHA256};
    TRY(take(reader, out->count, &out->segments, err));
    TRY(take(reader, out->count, &out->proofs, err));
    if (out->has_sha256) {
        TRY(take(reader, 1, &sha256, err));
        chunk_hash_swap((const uint8_t *)sha256, out->sha256);
    }
    *found = true;
    return OK;
}

void shard_segment(const struct shard_file *file, uint32_t index, struct shard_segment *out)
{
    assert(index < file->count);
    struct record segment = record_read(file->segments + (size_t)index * RECORD);
    *out = (struct shard_segment){
        .xorb = segment.hash,
        .proof = record_read(file->proofs + (size_t)index * RECORD).hash,
        .length = segment.numbers[1],
        .start = segment.numbers[2],
        .end = segment.numbers[3],
    };
}

enum status shard_next_xorb(struct shard_reader *reader, struct shard_xorb *out, bool *found, struct error *err)
{
    struct shard_file skipped;
    struct record head;
    *found = false;
    while (!reader->in_xorbs)
        TRY(shard_next_file(reader, &skipped, found, err));
    TRY(take_first(reader, &head, found, err));
    if (!*found) {
        reader->at -= RECORD; /* it is found again by whoever asks again; what follows is of no use to us */
        return OK;
    }
    *found = false;
    *out = (struct shard_xorb){.hash = head.hash, .count = head.numbers[1], .length = head.numbers[2]};
    TRY(take(reader, out->count, &out->chunks, err));
    *found = true;
    return OK;
}

void shard_chunk(const struct shard_xorb *xorb, uint32_t index, struct shard_chunk *out)
{
    assert(index < xorb->count);
    struct record chunk = record_read(xorb->chunks + (size_t)index * RECORD);
    *out = (struct shard_chunk){
        .hash = chunk.hash,
        .start = chunk.numbers[0],
        .length = chunk.numbers[1],
        .is_key = chunk.numbers[2] & CHUNK_IS_KEY,
    };
}

void shard_reply_begin(struct buf *out)
{
    struct chunk_hash end = bookend();
    assert(out->len == 0); /* the footer counts from the start of the shard */
    buf_add(out, tag, sizeof tag);
    u64_add(out, VERSION);
    u64_add(out, FOOTER);
    record_add(out, &end, 0, 0, 0, 0);
}

void shard_reply_xorb(struct buf *out, const struct chunk_hash *hash, uint32_t count, uint32_t length,
                      uint32_t wire_length)
{
    record_add(out, hash, 0, count, length, wire_length);
}

void shard_reply_chunk(struct buf *out, const struct chunk_hash *hash, uint32_t start, uint32_t length, bool is_key)
{
    record_add(out, hash, start, length, is_key ? CHUNK_IS_KEY : 0, 0);
}

void shard_reply_end(struct buf *out, const uint8_t key[CHUNK_HASH_SIZE], int64_t created_s, int64_t expires_s)
{
    static const char reserved[48], totals[24]; /* sums that no client reads from a reply */
    struct chunk_hash end = bookend();
    record_add(out, &end, 0, 0, 0, 0);
    uint64_t footer = out->len;
    u64_add(out, FOOTER_VERSION);
    u64_add(out, RECORD);     /* files */
    u64_add(out, 2 * RECORD); /* xorbs */
    /* Without a table of chunks, clients read the xorbs up to where the first of the three tables would be. */
    for (int table = 0; table < 3; table++) {
        u64_add(out, footer);
        u64_add(out, 0);
    }
    buf_add(out, key, CHUNK_HASH_SIZE);
    u64_add(out, (uint64_t)created_s);
    u64_add(out, (uint64_t)expires_s);
    buf_add(out, reserved, sizeof reserved);
    buf_add(out, totals, sizeof totals);
    u64_add(out, footer);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/shard.h"

#include "../base/check.h"

#include <endian.h>
#include <stdlib.h>

/* The file "Hello World!", one chunk in one xorb (xet-protocol 4). */
#define HELLO_CHUNK "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb"
#define HELLO_FILE "a9dae0ad88b060bdd7e7c87abdcf95b132c95a0414b06d4f6beb68d287b87165"
#define HELLO_PROOF "89cb63458e98cb4c75be6b50a5a7b7234b82f05d5348e6925fb71aaf5dc3862b"
#define END "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

#define RECORD 48
#define PROOFS 0x80000000u
#define SHA256 0x40000000u

static struct chunk_hash hash_of(const char *text)
{
    struct chunk_hash hash;
    assert_true(chunk_hash_parse(str_of(text), &hash));
    return hash;
}

static void add_u64(struct buf *out, uint64_t number)
{
    number = htole64(number);
    buf_add(out, &number, sizeof number);
}

static void add_record(struct buf *out, const char *hash, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct chunk_hash bytes = hash_of(hash);
    uint32_t numbers[] = {htole32(a), htole32(b), htole32(c), htole32(d)};
    buf_add(out, bytes.bytes, CHUNK_HASH_SIZE);
    buf_add(out, numbers, sizeof numbers);
}

static void add_end(struct buf *out)
{
    add_record(out, END, 0, 0, 0, 0);
}

static void add_header(struct buf *out, uint64_t version)
{
    static const uint8_t tag[] = {0x48, 0x46, 0x52, 0x65, 0x70, 0x6f, 0x4d, 0x65, 0x74, 0x61, 0x44,
                                  0x61, 0x74, 0x61, 0x00, 0x55, 0x69, 0x67, 0x45, 0x6a, 0x7b, 0x81,
                                  0x57, 0x83, 0xa5, 0xbd, 0xd9, 0x5c, 0xcd, 0xd1, 0x4a, 0xa9};
    buf_add(out, tag, sizeof tag);
    add_u64(out, version);
    add_u64(out, 0);
}

static void hello_sha256(uint8_t digest[SHA256_SIZE])
{
    sha256(STR("Hello World!"), digest);
}

static void add_hello_file(struct buf *out, uint32_t flags)
{
    struct chunk_hash stored;
    uint8_t digest[SHA256_SIZE];
    char text[CHUNK_HASH_TEXT];
    add_record(out, HELLO_FILE, flags, 1, 0, 0);
    add_record(out, HELLO_CHUNK, 0, 12, 0, 1);
    if (flags & PROOFS)
        add_record(out, HELLO_PROOF, 0, 0, 0, 0);
    if (!(flags & SHA256))
        return;
    hello_sha256(digest);
    chunk_hash_swap(digest, stored.bytes);
    chunk_hash_text(&stored, text);
    add_record(out, text, 0, 0, 0, 0);
}

static void add_hello_xorb(struct buf *out, uint32_t chunk_flags)
{
    add_record(out, HELLO_CHUNK, 0, 1, 12, 0);
    add_record(out, HELLO_CHUNK, 0, 12, chunk_flags, 0);
}

static void hello_shard(struct buf *out)
{
    add_header(out, 2);
    add_hello_file(out, PROOFS | SHA256);
    add_end(out);
    add_hello_xorb(out, 0);
    add_end(out);
}

struct found {
    unsigned files, segments, xorbs, chunks;
};

static enum status read_files(struct shard_reader *reader, struct found *count, struct error *err)
{
    struct shard_file file;
    struct shard_segment segment;
    for (bool found = true; found;) {
        TRY(shard_next_file(reader, &file, &found, err));
        count->files += found;
        for (uint32_t i = 0; found && i < file.count; i++, count->segments++)
            shard_segment(&file, i, &segment);
    }
    return OK;
}

static enum status read_xorbs(struct shard_reader *reader, struct found *count, struct error *err)
{
    struct shard_xorb xorb;
    struct shard_chunk chunk;
    for (bool found = true; found;) {
        TRY(shard_next_xorb(reader, &xorb, &found, err));
        count->xorbs += found;
        for (uint32_t i = 0; found && i < xorb.count; i++, count->chunks++)
            shard_chunk(&xorb, i, &chunk);
    }
    return OK;
}

/* Reads everything there is, out of a copy of exactly the size, so that AddressSanitizer sees a read past the end. */
static enum status read_all(struct str bytes, struct found *count, struct error *err)
{
    struct shard_reader reader;
    struct str copy = exact(bytes);
    *count = (struct found){0};
    *err = (struct error){0};
    enum status status = shard_open(copy, &reader, err);
    if (status == OK)
        status = read_files(&reader, count, err);
    if (status == OK)
        status = read_xorbs(&reader, count, err);
    done(copy);
    assert_true(status == OK || (status == INVALID && err->message[0]));
    return status;
}

static void assert_refused(const struct buf *shard, const char *why)
{
    struct found count;
    struct error err;
    assert_int_equal(read_all(buf_view(shard), &count, &err), INVALID);
    if (!strstr(err.message, why))
        broken("\"%s\" does not say \"%s\"", err.message, why);
}

static void the_shard_of_the_specification_is_read_as_it_was_meant(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    auto_arena struct arena arena = {0};
    uint8_t digest[SHA256_SIZE];
    hello_shard(&shard);
    assert_int_equal(shard.len, 432);
    sha256(buf_view(&shard), digest);
    assert_str(hex_encode(&arena, digest, sizeof digest),
               "92b52ba3907f9c57246fe5c81f562af5e7afecb15c37ae5905cc2cb084f19ed4");

    struct shard_reader reader;
    struct shard_file file;
    struct shard_segment segment;
    struct shard_xorb xorb;
    struct shard_chunk chunk;
    struct chunk_hash hello = hash_of(HELLO_CHUNK), name = hash_of(HELLO_FILE), proof = hash_of(HELLO_PROOF);
    bool found;
    assert_int_equal(shard_open(buf_view(&shard), &reader, NULL), OK);
    assert_int_equal(shard_next_file(&reader, &file, &found, NULL), OK);
    assert_true(found && chunk_hash_eq(&file.hash, &name) && file.count == 1 && file.has_sha256);
    hello_sha256(digest);
    assert_memory_equal(file.sha256, digest, SHA256_SIZE);
    shard_segment(&file, 0, &segment);
    assert_true(chunk_hash_eq(&segment.xorb, &hello) && chunk_hash_eq(&segment.proof, &proof));
    assert_true(segment.length == 12 && segment.start == 0 && segment.end == 1);
    assert_int_equal(shard_next_file(&reader, &file, &found, NULL), OK);
    assert_false(found);
    assert_int_equal(shard_next_xorb(&reader, &xorb, &found, NULL), OK);
    assert_true(found && chunk_hash_eq(&xorb.hash, &hello) && xorb.count == 1 && xorb.length == 12);
    shard_chunk(&xorb, 0, &chunk);
    assert_true(chunk_hash_eq(&chunk.hash, &hello) && chunk.start == 0 && chunk.length == 12 && !chunk.is_key);
    assert_int_equal(shard_next_xorb(&reader, &xorb, &found, NULL), OK);
    assert_false(found);
}

static void several_files_and_xorbs_are_read_in_order(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count;
    struct error err;
    add_header(&shard, 2);
    add_hello_file(&shard, PROOFS | SHA256);
    add_record(&shard, HELLO_FILE, PROOFS, 2, 0, 0);
    for (unsigned i = 0; i < 2; i++)
        add_record(&shard, HELLO_CHUNK, 0, 100 + i, 10 + i, 20 + i);
    add_record(&shard, HELLO_PROOF, 0, 0, 0, 0);
    add_record(&shard, HELLO_CHUNK, 0, 0, 0, 0);
    add_end(&shard);
    add_hello_xorb(&shard, 0);
    add_record(&shard, HELLO_FILE, 0, 2, 30, 99);
    add_record(&shard, HELLO_CHUNK, 0, 10, 0, 0);
    add_record(&shard, HELLO_PROOF, 10, 20, 0x80000000u, 0);
    add_end(&shard);
    assert_int_equal(read_all(buf_view(&shard), &count, &err), OK);
    assert_true(count.files == 2 && count.segments == 3 && count.xorbs == 2 && count.chunks == 3);

    struct shard_reader reader;
    struct shard_file file;
    struct shard_segment segment;
    struct shard_xorb xorb;
    struct shard_chunk chunk;
    struct chunk_hash hello = hash_of(HELLO_CHUNK), proof = hash_of(HELLO_PROOF);
    bool found;
    assert_int_equal(shard_open(buf_view(&shard), &reader, &err), OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(shard_next_file(&reader, &file, &found, &err), OK);
    assert_false(file.has_sha256);
    shard_segment(&file, 1, &segment);
    assert_true(segment.length == 101 && segment.start == 11 && segment.end == 21);
    assert_true(chunk_hash_eq(&segment.proof, &hello));
    shard_segment(&file, 0, &segment);
    assert_true(segment.length == 100 && chunk_hash_eq(&segment.proof, &proof));
    for (int i = 0; i < 2; i++)
        assert_int_equal(shard_next_xorb(&reader, &xorb, &found, &err), OK);
    assert_true(xorb.length == 30 && xorb.count == 2);
    shard_chunk(&xorb, 1, &chunk);
    assert_true(chunk_hash_eq(&chunk.hash, &proof) && chunk.start == 10 && chunk.length == 20 && chunk.is_key);
}

static void xorbs_can_be_read_without_asking_for_the_files(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count = {0};
    struct shard_reader reader;
    struct shard_file file;
    bool found;
    hello_shard(&shard);
    assert_int_equal(shard_open(buf_view(&shard), &reader, NULL), OK);
    assert_int_equal(read_xorbs(&reader, &count, NULL), OK);
    assert_true(count.xorbs == 1 && count.chunks == 1);
    /* Whoever asks again behind an end gets the same answer. */
    assert_int_equal(read_xorbs(&reader, &count, NULL), OK);
    assert_int_equal(count.xorbs, 1);
    assert_int_equal(shard_next_file(&reader, &file, &found, NULL), OK);
    assert_false(found);
}

static void files_passed_over_are_checked_too(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count = {0};
    struct shard_reader reader;
    add_header(&shard, 2);
    add_hello_file(&shard, 0);
    add_end(&shard);
    add_end(&shard);
    assert_int_equal(shard_open(buf_view(&shard), &reader, NULL), OK);
    assert_int_equal(read_xorbs(&reader, &count, NULL), INVALID);
}

static void what_follows_the_xorbs_is_not_looked_at(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count;
    struct error err;
    hello_shard(&shard);
    buf_str(&shard, STR("lookup tables, a footer, anything"));
    assert_int_equal(read_all(buf_view(&shard), &count, &err), OK);
    assert_true(count.files == 1 && count.xorbs == 1);
}

static void a_shard_may_be_empty(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count;
    struct error err;
    add_header(&shard, 2);
    add_end(&shard);
    add_end(&shard);
    assert_int_equal(read_all(buf_view(&shard), &count, &err), OK);
    assert_true(count.files == 0 && count.xorbs == 0);
}

static void a_shard_cut_anywhere_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    struct found count;
    struct error err;
    hello_shard(&shard);
    for (size_t len = 0; len < shard.len; len++)
        assert_int_equal(read_all((struct str){shard.data, len}, &count, &err), INVALID);
    assert_int_equal(read_all(buf_view(&shard), &count, &err), OK);
}

static void counts_beyond_the_end_are_refused(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 3, 8, 0x05555556, 0x7fffffff, 0x80000000, 0xaaaaaaab, 0xffffffff};
    auto_buf struct buf shard = {0};
    hello_shard(&shard);
    /* Where the numbers of segments and of chunks stand. */
    static const size_t places[] = {RECORD + CHUNK_HASH_SIZE + 4, 6 * RECORD + CHUNK_HASH_SIZE + 4};
    for (size_t place = 0; place < COUNT(places); place++) {
        for (size_t i = 0; i < COUNT(counts); i++) {
            uint32_t count = htole32(counts[i]), one = htole32(1);
            memcpy(shard.data + places[place], &count, sizeof count);
            struct found found;
            struct error err;
            assert_int_equal(read_all(buf_view(&shard), &found, &err), INVALID);
            memcpy(shard.data + places[place], &one, sizeof one);
        }
    }
    struct found found;
    struct error err;
    assert_int_equal(read_all(buf_view(&shard), &found, &err), OK);
}

static void other_bytes_than_a_shards_are_refused(void **state)
{
    (void)state;
    auto_buf struct buf shard = {0};
    hello_shard(&shard);
    shard.data[31] ^= 1;
    assert_refused(&shard, "not a shard");
}

static void other_versions_are_refused(void **state)
{
    (void)state;
    static const uint64_t versions[] = {0, 1, 3, UINT64_C(2) << 32, UINT64_MAX};
    for (size_t i = 0; i < COUNT(versions); i++) {
        auto_buf struct buf shard = {0};
        add_header(&shard, versions[i]);
        add_end(&shard);
        add_end(&shard);
        assert_refused(&shard, "version");
    }
}

static void files_without_proofs_are_refused(void **state)
{
    (void)state;
    static const uint32_t flags[] = {0, SHA256};
    for (size_t i = 0; i < COUNT(flags); i++) {
        auto_buf struct buf shard = {0};
        add_header(&shard, 2);
        add_hello_file(&shard, PROOFS); /* also beside a file that has them */
        add_hello_file(&shard, flags[i]);
        add_end(&shard);
        add_end(&shard);
        assert_refused(&shard, "verification");
    }
}

static void files_with_unknown_flags_are_refused(void **state)
{
    (void)state;
    static const uint32_t flags[] = {1, 0x20000000};
    for (size_t i = 0; i < COUNT(flags); i++) {
        auto_buf struct buf shard = {0};
        add_header(&shard, 2);
        add_hello_file(&shard, PROOFS | flags[i]);
        add_end(&shard);
        add_end(&shard);
        assert_refused(&shard, "flags");
    }
}

static void an_end_with_numbers_is_refused(void **state)
{
    (void)state;
    for (uint32_t section = 0; section < 2; section++) {
        auto_buf struct buf shard = {0};
        add_header(&shard, 2);
        add_record(&shard, END, 0, section == 0, 0, 0);
        add_record(&shard, END, 0, 0, 0, section == 1);
        assert_refused(&shard, "ends a section");
    }
}

static uint64_t u64_at(const struct buf *buf, size_t at)
{
    uint64_t number;
    assert_true(at + sizeof number <= buf->len);
    memcpy(&number, buf->data + at, sizeof number);
    return le64toh(number);
}

static void write_reply(struct buf *reply, const uint8_t key[CHUNK_HASH_SIZE])
{
    struct chunk_hash name = hash_of(HELLO_FILE), chunk = hash_of(HELLO_CHUNK), keyed = chunk_hash_keyed(&chunk, key);
    shard_reply_begin(reply);
    shard_reply_xorb(reply, &chunk, 1, 12, 20);
    shard_reply_chunk(reply, &keyed, 0, 12, true);
    shard_reply_xorb(reply, &name, 2, 24, 40);
    shard_reply_chunk(reply, &keyed, 0, 12, false);
    shard_reply_chunk(reply, &keyed, 12, 12, false);
    shard_reply_end(reply, key, 1700000000, 1800000000);
}

/* Each line is a requirement of one of the two clients (xet-protocol 3.4). */
static void a_reply_has_what_clients_look_for(void **state)
{
    (void)state;
    auto_buf struct buf reply = {0};
    uint8_t key[CHUNK_HASH_SIZE], nothing[72] = {0};
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    write_reply(&reply, key);
    size_t footer = reply.len - 200;
    assert_int_equal(footer, 8 * RECORD); /* the header, an end, two xorbs with three chunks, an end */
    assert_int_equal(u64_at(&reply, 32), 2);
    assert_int_equal(u64_at(&reply, 40), 200);
    assert_int_equal(u64_at(&reply, footer), 1);
    assert_int_equal(u64_at(&reply, footer + 8), RECORD);
    assert_int_equal(u64_at(&reply, footer + 16), 2 * RECORD);
    for (size_t table = footer + 24; table < footer + 72; table += 16) {
        assert_int_equal(u64_at(&reply, table), footer);
        assert_int_equal(u64_at(&reply, table + 8), 0);
    }
    assert_memory_equal(reply.data + footer + 72, key, sizeof key);
    assert_int_equal(u64_at(&reply, footer + 104), 1700000000);
    assert_int_equal(u64_at(&reply, footer + 112), 1800000000);
    assert_memory_equal(reply.data + footer + 120, nothing, 72);
    assert_int_equal(u64_at(&reply, footer + 192), footer);
}

static void a_reply_reads_back_as_a_shard_without_files(void **state)
{
    (void)state;
    auto_buf struct buf reply = {0};
    static const uint8_t key[CHUNK_HASH_SIZE] = {1};
    struct found count;
    struct error err;
    write_reply(&reply, key);
    assert_int_equal(read_all(buf_view(&reply), &count, &err), OK);
    assert_true(count.files == 0 && count.xorbs == 2 && count.chunks == 3);

    struct shard_reader reader;
    struct shard_xorb xorb;
    struct shard_chunk chunk;
    struct chunk_hash hello = hash_of(HELLO_CHUNK), keyed = chunk_hash_keyed(&hello, key);
    bool found;
    assert_int_equal(shard_open(buf_view(&reply), &reader, &err), OK);
    assert_int_equal(shard_next_xorb(&reader, &xorb, &found, &err), OK);
    assert_true(chunk_hash_eq(&xorb.hash, &hello) && xorb.count == 1 && xorb.length == 12);
    shard_chunk(&xorb, 0, &chunk);
    assert_true(chunk_hash_eq(&chunk.hash, &keyed) && chunk.is_key && chunk.length == 12);
    assert_int_equal(shard_next_xorb(&reader, &xorb, &found, &err), OK);
    shard_chunk(&xorb, 1, &chunk);
    assert_true(chunk.start == 12 && !chunk.is_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shard_of_the_specification_is_read_as_it_was_meant),
        cmocka_unit_test(several_files_and_xorbs_are_read_in_order),
        cmocka_unit_test(xorbs_can_be_read_without_asking_for_the_files),
        cmocka_unit_test(files_passed_over_are_checked_too),
        cmocka_unit_test(what_follows_the_xorbs_is_not_looked_at),
        cmocka_unit_test(a_shard_may_be_empty),
        cmocka_unit_test(a_shard_cut_anywhere_is_refused),
        cmocka_unit_test(counts_beyond_the_end_are_refused),
        cmocka_unit_test(other_bytes_than_a_shards_are_refused),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(files_without_proofs_are_refused),
        cmocka_unit_test(files_with_unknown_flags_are_refused),
        cmocka_unit_test(an_end_with_numbers_is_refused),
        cmocka_unit_test(a_reply_has_what_clients_look_for),
        cmocka_unit_test(a_reply_reads_back_as_a_shard_without_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

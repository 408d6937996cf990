/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "cas/xorb.h"
#include "splitmix.h"
#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

/* Last: it needs what the standard headers define. */
#include <cmocka.h>
#undef fail /* is the function of base/error.h here */

#define auto_reader __attribute__((cleanup(xorb_reader_free)))
#define auto_seen __attribute__((cleanup(seen_free)))

static const char hello_hash[] = "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb";
static const struct str hello = {"\0\x0C\0\0\0\x0C\0\0Hello World!", 20};

/* What a reader gave. */
struct seen {
    struct buf data, wire;
    unsigned count, refuse_at; /* the chunk with this number, when not 0 */
    const uint8_t *last_payload, *last_data;
    struct chunk_hash root;
    struct error err;
};

static void seen_free(struct seen *seen)
{
    buf_free(&seen->data);
    buf_free(&seen->wire);
}

static enum status see(void *context, const struct xorb_chunk *chunk, struct error *err)
{
    struct seen *seen = context;
    uint8_t header[XORB_CHUNK_HEADER];
    struct chunk_hash hash = chunk_hash_of(chunk->data, chunk->len);
    assert_true(chunk_hash_eq(&hash, &chunk->hash));
    xorb_header_write(header, chunk->scheme, (uint32_t)chunk->payload_len, (uint32_t)chunk->len);
    buf_add(&seen->wire, header, sizeof(header));
    buf_add(&seen->wire, chunk->payload, chunk->payload_len);
    buf_add(&seen->data, chunk->data, chunk->len);
    seen->last_payload = chunk->payload;
    seen->last_data = chunk->data;
    if (++seen->count == seen->refuse_at)
        return fail(err, NO_SPACE, NULL, "no room");
    return OK;
}

/* Every piece is gone once it was added, so that AddressSanitizer sees what is used longer. */
static enum status add(struct xorb_reader *reader, struct str piece, struct error *err)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    memcpy(copy, piece.data, piece.len);
    enum status status = xorb_reader_add(reader, copy, piece.len, err);
    free(copy);
    return status;
}

static enum status read_pieces(struct str body, size_t step, struct seen *out)
{
    auto_reader struct xorb_reader *reader = xorb_reader_new(see, out);
    for (size_t at = 0; at < body.len; at += step)
        TRY(add(reader, str_slice(body, at, step), &out->err));
    return xorb_reader_end(reader, &out->root, &out->err);
}

static enum status read_whole(struct str body)
{
    auto_seen struct seen seen = {0};
    enum status status = read_pieces(body, body.len + 1, &seen);
    assert_int_equal(seen.err.status, status);
    return status;
}

static void assert_hash(const struct chunk_hash *hash, const char *expected)
{
    char text[CHUNK_HASH_TEXT];
    chunk_hash_text(hash, text);
    assert_string_equal(text, expected);
}

static void chunk_add(struct buf *out, int scheme, struct str payload, size_t len)
{
    uint8_t header[XORB_CHUNK_HEADER];
    xorb_header_write(header, (enum scheme)scheme, (uint32_t)payload.len, (uint32_t)len);
    buf_add(out, header, sizeof(header));
    buf_str(out, payload);
}

static void packed_add(struct buf *out, int scheme, struct str content, size_t len)
{
    LZ4F_preferences_t preferences = {.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled};
    auto_buf struct buf payload = {0};
    buf_reserve(&payload, LZ4F_compressFrameBound(content.len, &preferences));
    payload.len = LZ4F_compressFrame(payload.data, payload.capacity, content.data, content.len, &preferences);
    chunk_add(out, scheme, buf_view(&payload), len);
}

#define MIXED_CHUNKS 5
/* Chunks of all schemes, and what they unpack to. */
static void mixed(struct buf *body, struct buf *data, size_t long_len)
{
    auto_buf struct buf noise = {0};
    buf_reserve(&noise, long_len);
    splitmix_fill(7, (uint8_t *)noise.data, noise.len = long_len);
    chunk_add(body, SCHEME_NONE, STR("x"), 1);
    packed_add(body, SCHEME_LZ4, STR("to be or not to be or to be not"), 31);
    chunk_add(body, SCHEME_NONE, buf_view(&noise), long_len);
    packed_add(body, SCHEME_GROUP4_LZ4,
               STR("048159263"
                   "7"),
               10);
    packed_add(body, SCHEME_LZ4, buf_view(&noise), long_len);
    buf_str(data, STR("xto be or not to be or to be not"));
    buf_str(data, buf_view(&noise));
    buf_str(data, STR("0123456789"));
    buf_str(data, buf_view(&noise));
}

static void headers_are_written_as_the_specification_shows(void **state)
{
    (void)state;
    uint8_t header[XORB_CHUNK_HEADER];
    xorb_header_write(header, SCHEME_NONE, 12, 12);
    assert_memory_equal(header, hello.data, sizeof(header));
    xorb_header_write(header, SCHEME_GROUP4_LZ4, 0x030201, 0x060504);
    assert_memory_equal(header, "\0\1\2\3\2\4\5\6", sizeof(header));
}

static void hello_world_is_named_by_its_only_chunk(void **state)
{
    (void)state;
    auto_seen struct seen seen = {0};
    assert_int_equal(read_pieces(hello, hello.len, &seen), OK);
    assert_int_equal(seen.count, 1);
    assert_true(str_eq(buf_view(&seen.data), STR("Hello World!")));
    assert_hash(&seen.root, hello_hash);
}

/* The vector of xet-protocol 4. */
static void hello_with_footer(struct buf *out)
{
    struct chunk_hash hash;
    assert_true(chunk_hash_parse(str_of(hello_hash), &hash));
    buf_str(out, hello);
    buf_str(out, STR("XETBLOB\1"));
    buf_add(out, hash.bytes, CHUNK_HASH_SIZE);
    buf_str(out, STR("XBLBHSH\0\1\0\0\0"));
    buf_add(out, hash.bytes, CHUNK_HASH_SIZE);
    buf_str(out, STR("XBLBBND\1\1\0\0\0\x14\0\0\0\x0C\0\0\0"));
    buf_str(out, STR("\1\0\0\0\x5C\0\0\0\x30\0\0\0"
                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                     "\x84\0\0\0"));
    uint8_t digest[SHA256_SIZE], expected[SHA256_SIZE];
    sha256(buf_view(out), digest);
    assert_true(
        hex_decode(STR("6c3a10baf9a500e87e0dc79f33835b491e60a21f5297575b1e56295f57db3e8b"), expected, SHA256_SIZE));
    assert_memory_equal(digest, expected, SHA256_SIZE);
}

static void a_footer_changes_nothing(void **state)
{
    (void)state;
    auto_buf struct buf body = {0};
    hello_with_footer(&body);
    for (size_t step = 1; step <= body.len; step++) {
        auto_seen struct seen seen = {0};
        assert_int_equal(read_pieces(buf_view(&body), step, &seen), OK);
        assert_int_equal(seen.count, 1);
        assert_hash(&seen.root, hello_hash);
    }
}

static void a_footer_is_known_by_its_first_eight_bytes(void **state)
{
    (void)state;
    auto_buf struct buf body = {0};
    hello_with_footer(&body);
    for (size_t len = hello.len + 1; len < body.len; len++)
        assert_int_equal(read_whole(str_slice(buf_view(&body), 0, len)), len < hello.len + 8 ? INVALID : OK);
    body.data[hello.len + 6] = 'b';
    assert_int_equal(read_whole(buf_view(&body)), INVALID);
}

static void the_vector_of_a_million_bytes_has_its_name(void **state)
{
    (void)state;
    size_t len = 1000000;
    auto_buf struct buf data = {0}, body = {0};
    auto_seen struct seen seen = {0};
    buf_reserve(&data, len);
    splitmix_fill(0, (uint8_t *)data.data, data.len = len);
    struct cutter cutter = {0};
    for (size_t at = 0; at < len;) {
        size_t taken = cutter_next(&cutter, (const uint8_t *)data.data + at, len - at);
        taken = taken ? taken : len - at;
        chunk_add(&body, SCHEME_NONE, str_slice(buf_view(&data), at, taken), taken);
        at += taken;
    }
    assert_int_equal(body.len, len + 19 * XORB_CHUNK_HEADER);
    assert_int_equal(read_pieces(buf_view(&body), 300000, &seen), OK);
    assert_int_equal(seen.count, 19);
    assert_hash(&seen.root, "6f2ce16ca5e317f0100ff0e7e5bf40a0de9032e9ee1ad04b6b8ff4e36cdfbf6c");
}

static void pieces_of_any_size_give_the_same_chunks(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 2, 3, 7, 8, 9, 100, 4096, 99999, 1 << 20};
    auto_buf struct buf body = {0}, data = {0};
    mixed(&body, &data, CHUNK_MAX);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        auto_seen struct seen seen = {0};
        assert_int_equal(read_pieces(buf_view(&body), steps[i], &seen), OK);
        assert_int_equal(seen.count, MIXED_CHUNKS);
        assert_true(str_eq(buf_view(&seen.data), buf_view(&data)));
        assert_true(str_eq(buf_view(&seen.wire), buf_view(&body)));
    }
}

static void a_payload_that_is_whole_in_its_piece_is_not_copied(void **state)
{
    (void)state;
    auto_seen struct seen seen = {0};
    auto_reader struct xorb_reader *reader = xorb_reader_new(see, &seen);
    assert_int_equal(xorb_reader_add(reader, hello.data, hello.len, NULL), OK);
    assert_ptr_equal(seen.last_payload, hello.data + 8);
    assert_ptr_equal(seen.last_data, hello.data + 8);
    assert_int_equal(xorb_reader_add(reader, hello.data, 10, NULL), OK);
    assert_int_equal(xorb_reader_add(reader, hello.data + 10, 10, NULL), OK);
    assert_ptr_not_equal(seen.last_payload, hello.data + 8);
    assert_ptr_equal(seen.last_data, seen.last_payload);
}

static void an_end_within_a_chunk_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf body = {0}, data = {0};
    mixed(&body, &data, 100);
    unsigned ends = 0;
    for (size_t len = 0; len <= body.len; len++) {
        auto_seen struct seen seen = {0};
        enum status status = read_pieces(str_slice(buf_view(&body), 0, len), 1000, &seen);
        bool at_end = len > 0 && seen.wire.len == len;
        assert_int_equal(status, at_end ? OK : INVALID);
        ends += at_end;
    }
    assert_int_equal(ends, MIXED_CHUNKS);
}

static void a_xorb_without_chunks_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_whole(STR("")), INVALID);
    assert_int_equal(read_whole(STR("XETBLOB\1")), INVALID);
    auto_buf struct buf body = {0};
    hello_with_footer(&body);
    assert_int_equal(read_whole(str_from(buf_view(&body), hello.len)), INVALID);
}

/* What the reader says to a header alone. */
static enum status header_status(int scheme, uint32_t payload_len, uint32_t len)
{
    uint8_t header[XORB_CHUNK_HEADER];
    auto_reader struct xorb_reader *reader = xorb_reader_new(NULL, NULL);
    xorb_header_write(header, (enum scheme)scheme, payload_len, len);
    return add(reader, (struct str){(const char *)header, sizeof(header)}, NULL);
}

static void lengths_of_0_or_over_the_limits_are_refused_at_once(void **state)
{
    (void)state;
    for (int scheme = SCHEME_LZ4; scheme <= SCHEME_GROUP4_LZ4; scheme++) {
        assert_int_equal(header_status(scheme, XORB_PAYLOAD_MOST, CHUNK_MAX), OK);
        assert_int_equal(header_status(scheme, 1, 1), OK);
        assert_int_equal(header_status(scheme, XORB_PAYLOAD_MOST + 1, CHUNK_MAX), INVALID);
        assert_int_equal(header_status(scheme, XORB_PAYLOAD_MOST, CHUNK_MAX + 1), INVALID);
        assert_int_equal(header_status(scheme, 0xFFFFFF, 1), INVALID);
        assert_int_equal(header_status(scheme, 1, 0xFFFFFF), INVALID);
        assert_int_equal(header_status(scheme, 0, 1), INVALID);
        assert_int_equal(header_status(scheme, 1, 0), INVALID);
    }
    assert_int_equal(header_status(SCHEME_NONE, CHUNK_MAX, CHUNK_MAX), OK);
    assert_int_equal(header_status(SCHEME_NONE, CHUNK_MAX + 1, CHUNK_MAX + 1), INVALID);
    assert_int_equal(header_status(SCHEME_NONE, 0, 0), INVALID);
    assert_int_equal(header_status(SCHEME_NONE, 12, 13), INVALID);
}

static void unknown_versions_and_schemes_are_refused_at_once(void **state)
{
    (void)state;
    for (int scheme = 0; scheme < 256; scheme++)
        assert_int_equal(header_status(scheme, 1, 1), scheme <= SCHEME_GROUP4_LZ4 ? OK : INVALID);
    for (int version = 0; version < 256; version++) {
        char body[20];
        memcpy(body, hello.data, sizeof(body));
        body[0] = (char)version;
        assert_int_equal(read_whole((struct str){body, sizeof(body)}), version == 0 ? OK : INVALID);
    }
}

static void a_payload_that_gives_another_length_is_refused(void **state)
{
    (void)state;
    for (size_t len = 30; len <= 32; len++) {
        auto_buf struct buf body = {0};
        packed_add(&body, SCHEME_LZ4, STR("to be or not to be or to be not"), len);
        assert_int_equal(read_whole(buf_view(&body)), len == 31 ? OK : INVALID);
    }
}

static void a_damaged_chunk_is_named_by_its_number(void **state)
{
    (void)state;
    auto_seen struct seen seen = {0};
    auto_buf struct buf body = {0}, data = {0};
    mixed(&body, &data, 100);
    body.data[9 + 8] ^= 1; /* the magic of chunk 1 */
    assert_int_equal(read_pieces(buf_view(&body), body.len, &seen), INVALID);
    assert_int_equal(seen.count, 1);
    assert_true(str_has(str_of(seen.err.message), STR("Chunk 1 ")));
}

static void changed_content_gives_another_name(void **state)
{
    (void)state;
    auto_seen struct seen seen = {0};
    auto_buf struct buf body = {0};
    buf_str(&body, hello);
    body.data[19] ^= 1;
    assert_int_equal(read_pieces(buf_view(&body), body.len, &seen), OK);
    struct chunk_hash hash;
    assert_true(chunk_hash_parse(str_of(hello_hash), &hash));
    assert_false(chunk_hash_eq(&seen.root, &hash));
}

static void no_more_than_8192_chunks_are_taken(void **state)
{
    (void)state;
    auto_buf struct buf body = {0};
    for (int i = 0; i < XORB_CHUNKS_MOST; i++)
        chunk_add(&body, SCHEME_NONE, STR("x"), 1);
    assert_int_equal(read_whole(buf_view(&body)), OK);
    size_t most = body.len;
    buf_str(&body, STR("XETBLOB\1"));
    assert_int_equal(read_whole(buf_view(&body)), OK);
    body.len = most;
    chunk_add(&body, SCHEME_NONE, STR("x"), 1);
    assert_int_equal(read_whole(buf_view(&body)), INVALID);
}

static void no_more_than_66_mib_are_taken(void **state)
{
    (void)state;
    static char zeros[1 << 20];
    auto_seen struct seen seen = {0};
    auto_reader struct xorb_reader *reader = xorb_reader_new(see, &seen);
    assert_int_equal(add(reader, hello, NULL), OK);
    assert_int_equal(add(reader, STR("XETBLOB\1"), NULL), OK);
    for (size_t left = XORB_WIRE_MOST - hello.len - 8, piece; left > 0; left -= piece) {
        piece = left < sizeof(zeros) ? left : sizeof(zeros);
        assert_int_equal(xorb_reader_add(reader, zeros, piece, NULL), OK);
    }
    assert_int_equal(xorb_reader_end(reader, &seen.root, NULL), OK);
    assert_int_equal(xorb_reader_add(reader, zeros, 1, NULL), INVALID);
}

static void a_length_that_would_overflow_is_refused(void **state)
{
    (void)state;
    auto_seen struct seen seen = {0};
    auto_reader struct xorb_reader *reader = xorb_reader_new(see, &seen);
    assert_int_equal(add(reader, hello, NULL), OK);
    assert_int_equal(xorb_reader_add(reader, hello.data, SIZE_MAX - 5, NULL), INVALID);
}

static void the_error_of_who_takes_the_chunks_is_passed_on(void **state)
{
    (void)state;
    auto_seen struct seen seen = {.refuse_at = 3};
    auto_buf struct buf body = {0}, data = {0};
    mixed(&body, &data, 100);
    assert_int_equal(read_pieces(buf_view(&body), body.len, &seen), NO_SPACE);
    assert_string_equal(seen.err.message, "no room");
    assert_int_equal(seen.count, 3);
}

static void a_refused_xorb_stays_refused(void **state)
{
    (void)state;
    auto_seen struct seen seen = {.refuse_at = 1};
    auto_reader struct xorb_reader *reader = xorb_reader_new(see, &seen);
    assert_int_equal(add(reader, hello, NULL), NO_SPACE);
    assert_int_equal(add(reader, hello, NULL), INVALID);
    assert_int_equal(xorb_reader_end(reader, &seen.root, NULL), INVALID);
    assert_int_equal(seen.count, 1);
}

static void freeing_nothing_does_nothing(void **state)
{
    (void)state;
    struct xorb_reader *reader = NULL;
    xorb_reader_free(&reader);
    assert_null(reader);
    reader = xorb_reader_new(see, NULL);
    xorb_reader_free(&reader);
    assert_null(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_written_as_the_specification_shows),
        cmocka_unit_test(hello_world_is_named_by_its_only_chunk),
        cmocka_unit_test(a_footer_changes_nothing),
        cmocka_unit_test(a_footer_is_known_by_its_first_eight_bytes),
        cmocka_unit_test(the_vector_of_a_million_bytes_has_its_name),
        cmocka_unit_test(pieces_of_any_size_give_the_same_chunks),
        cmocka_unit_test(a_payload_that_is_whole_in_its_piece_is_not_copied),
        cmocka_unit_test(an_end_within_a_chunk_is_refused),
        cmocka_unit_test(a_xorb_without_chunks_is_refused),
        cmocka_unit_test(lengths_of_0_or_over_the_limits_are_refused_at_once),
        cmocka_unit_test(unknown_versions_and_schemes_are_refused_at_once),
        cmocka_unit_test(a_payload_that_gives_another_length_is_refused),
        cmocka_unit_test(a_damaged_chunk_is_named_by_its_number),
        cmocka_unit_test(changed_content_gives_another_name),
        cmocka_unit_test(no_more_than_8192_chunks_are_taken),
        cmocka_unit_test(no_more_than_66_mib_are_taken),
        cmocka_unit_test(a_length_that_would_overflow_is_refused),
        cmocka_unit_test(the_error_of_who_takes_the_chunks_is_passed_on),
        cmocka_unit_test(a_refused_xorb_stays_refused),
        cmocka_unit_test(freeing_nothing_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

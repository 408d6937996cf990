/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What liblz4's frame encoder writes must unpack; damage must be judged as liblz4's frame decoder judges it. */
#include "base/buf.h"
#include "cas/codec.h"
#include "cas/cut.h"
#include <lz4.h>
#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Last: it needs what the standard headers define. */
#include <cmocka.h>
#undef fail /* is the function of base/error.h here */

#define INDEPENDENT 0x60 /* flags of a frame without checksums and sizes */
#define LINKED 0x40
#define BLOCKS_64K 0x40
#define BLOCKS_256K 0x50

static struct str exact(const void *data, size_t len)
{
    char *copy = malloc(len ? len : 1); /* of its own, so that AddressSanitizer sees what goes past it */
    if (len)
        memcpy(copy, data, len);
    return (struct str){copy, len};
}

/* Decodes to *out (to be freed), which has room for out_len bytes and no more. */
static enum status decode_to(int scheme, struct str payload, size_t out_len, char **out)
{
    struct str copy = exact(payload.data, payload.len);
    static uint8_t scratch[CHUNK_MAX];
    struct error err = {0};
    *out = malloc(out_len ? out_len : 1);
    enum status status = chunk_decode((enum scheme)scheme, (const uint8_t *)copy.data, copy.len, (uint8_t *)*out,
                                      out_len, scratch, &err);
    assert_true(status == OK || (status == INVALID && err.status == INVALID && err.message[0]));
    free((void *)copy.data);
    return status;
}

static enum status decode(int scheme, struct str payload, size_t out_len)
{
    char *out;
    enum status status = decode_to(scheme, payload, out_len, &out);
    free(out);
    return status;
}

static void gives(int scheme, struct str payload, struct str expected)
{
    char *out;
    assert_int_equal(decode_to(scheme, payload, expected.len, &out), OK);
    assert_memory_equal(out, expected.data, expected.len);
    free(out);
}

/* Content that packs: words of a small vocabulary; and content that does not. */
static void make(struct buf *out, size_t len, bool packs)
{
    uint64_t state = len;
    while (out->len < len) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        char word[16];
        int size = snprintf(word, sizeof(word), "%u,", (unsigned)(state >> 58));
        buf_add(out, packs ? word : (char *)&state + 3, packs ? (size_t)size : 5);
    }
    out->len = len;
}

/* A frame as liblz4 writes it, with a new block every step bytes. */
static void pack(struct buf *out, struct str content, const LZ4F_frameInfo_t *info, size_t step)
{
    LZ4F_preferences_t preferences = {.frameInfo = *info, .autoFlush = 1};
    LZ4F_cctx *lz4;
    assert_int_equal(LZ4F_createCompressionContext(&lz4, LZ4F_VERSION), 0);
    buf_reserve(out, 2 * content.len + (content.len / step + 2) * 64);
    size_t got = LZ4F_compressBegin(lz4, out->data + out->len, out->capacity - out->len, &preferences);
    for (size_t at = 0;; at += step) {
        assert_false(LZ4F_isError(got));
        out->len += got;
        if (at >= content.len)
            break;
        struct str piece = str_slice(content, at, step);
        got = LZ4F_compressUpdate(lz4, out->data + out->len, out->capacity - out->len, piece.data, piece.len, NULL);
    }
    got = LZ4F_compressEnd(lz4, out->data + out->len, out->capacity - out->len, NULL);
    assert_false(LZ4F_isError(got));
    out->len += got;
    LZ4F_freeCompressionContext(lz4);
}

static const LZ4F_frameInfo_t all_checksums = {.blockSizeID = LZ4F_max64KB,
                                               .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                                               .blockChecksumFlag = LZ4F_blockChecksumEnabled};

static void every_frame_that_liblz4_writes_unpacks(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 1000, 65536, 65537, CHUNK_MAX};
    for (unsigned variant = 0; variant < 64 * sizeof(lengths) / sizeof(*lengths); variant++) {
        size_t len = lengths[variant / 64];
        auto_buf struct buf content = {0}, packed = {0};
        make(&content, len, variant & 32);
        LZ4F_frameInfo_t info = {.blockSizeID = (LZ4F_blockSizeID_t)(LZ4F_max64KB + variant % 4),
                                 .blockMode = variant & 4 ? LZ4F_blockIndependent : LZ4F_blockLinked,
                                 .contentChecksumFlag = variant & 8 ? LZ4F_contentChecksumEnabled : 0,
                                 .blockChecksumFlag = variant & 16 ? LZ4F_blockChecksumEnabled : 0,
                                 .contentSize = variant & 1 ? len : 0};
        pack(&packed, buf_view(&content), &info, variant & 2 ? 20011 : CHUNK_MAX);
        gives(SCHEME_LZ4, buf_view(&packed), buf_view(&content));
        assert_int_equal(decode(SCHEME_LZ4, buf_view(&packed), len < CHUNK_MAX ? len + 1 : len - 1), INVALID);
        if (len > 0)
            assert_int_equal(decode(SCHEME_LZ4, buf_view(&packed), len - 1), INVALID);
    }
}

/* Two stored blocks of 40,000 bytes, then one that repeats 25,719 bytes from far before it and adds "ijklm". */
static void far_frame(struct buf *out, struct str content, unsigned distance)
{
    buf_str(out, STR("\x04\x22\x4D\x18\x40\x40\xC0"));
    for (size_t at = 0; at < 80000; at += 40000) {
        buf_str(out, STR("\x40\x9C\0\x80"));
        buf_str(out, str_slice(content, at, 40000));
    }
    buf_str(out, STR("\x6E\0\0\0\x0F"));
    buf_byte(out, (char)distance);
    buf_byte(out, (char)(distance >> 8));
    for (int i = 0; i < 100; i++)
        buf_byte(out, (char)255);
    buf_str(out, STR("\xC8\x50"
                     "ijklm"
                     "\0\0\0\0"));
}

static void linked_blocks_look_back_over_as_much_as_64_kib(void **state)
{
    (void)state;
    static const unsigned distances[] = {25719, 40001, 65534, 65535};
    for (size_t i = 0; i < sizeof(distances) / sizeof(*distances); i++) {
        auto_buf struct buf content = {0}, frame = {0};
        make(&content, 80000, false);
        far_frame(&frame, buf_view(&content), distances[i]);
        buf_reserve(&content, 25719);
        buf_add(&content, content.data + 80000 - distances[i], 25719);
        buf_str(&content, STR("ijklm"));
        gives(SCHEME_LZ4, buf_view(&frame), buf_view(&content));
        frame.data[4] = INDEPENDENT;
        frame.data[6] = (char)0x82; /* its checksum */
        assert_int_equal(decode(SCHEME_LZ4, buf_view(&frame), content.len), INVALID);
    }
}

static void a_cut_frame_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    for (int packs = 0; packs <= 1; packs++) {
        auto_buf struct buf content = {0}, packed = {0};
        make(&content, 2000, packs);
        pack(&packed, buf_view(&content), &all_checksums, 700);
        for (size_t len = 0; len < packed.len; len++) {
            assert_int_equal(decode(SCHEME_LZ4, str_slice(buf_view(&packed), 0, len), 2000), INVALID);
            assert_int_equal(decode(SCHEME_GROUP4_LZ4, str_slice(buf_view(&packed), 0, len), 2000), INVALID);
        }
        gives(SCHEME_LZ4, buf_view(&packed), buf_view(&content));
    }
}

/* Does liblz4's frame decoder take it, all of it, as out_len bytes in one frame? */
static bool liblz4_takes(struct str payload, char *out, size_t out_len)
{
    LZ4F_dctx *lz4;
    size_t got = out_len, used = payload.len;
    assert_int_equal(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION), 0);
    size_t hint = LZ4F_decompress(lz4, out, &got, payload.data, &used, NULL);
    LZ4F_freeDecompressionContext(lz4);
    return hint == 0 && got == out_len && used == payload.len;
}

static void a_changed_bit_is_noticed_by_some_checksum(void **state)
{
    (void)state;
    for (int packs = 0; packs <= 1; packs++) {
        auto_buf struct buf content = {0}, packed = {0};
        make(&content, 600, packs);
        pack(&packed, buf_view(&content), &all_checksums, 200);
        for (size_t bit = 0; bit < 8 * packed.len; bit++) {
            packed.data[bit / 8] ^= (char)(1 << bit % 8);
            assert_int_equal(decode(SCHEME_LZ4, buf_view(&packed), 600), INVALID);
            packed.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        gives(SCHEME_LZ4, buf_view(&packed), buf_view(&content));
    }
}

static void a_changed_bit_without_checksums_is_judged_as_liblz4_does(void **state)
{
    (void)state;
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
    auto_buf struct buf content = {0}, packed = {0};
    make(&content, 600, true);
    pack(&packed, buf_view(&content), &info, 200);
    int taken = 0;
    for (size_t bit = 0; bit < 8 * packed.len; bit++) {
        char out[600];
        packed.data[bit / 8] ^= (char)(1 << bit % 8);
        /* No flip makes a literal of this content 0: where there is one, a distance has become 0 (see below). */
        bool takes = liblz4_takes(buf_view(&packed), out, 600) && !memchr(out, 0, 600);
        if (takes)
            gives(SCHEME_LZ4, buf_view(&packed), (struct str){out, 600});
        else
            assert_int_equal(decode(SCHEME_LZ4, buf_view(&packed), 600), INVALID);
        packed.data[bit / 8] ^= (char)(1 << bit % 8);
        taken += takes;
    }
    assert_true(taken > 0);
}

/* How many of the 256 possible header checksums make this frame one that gives out_len bytes. */
static int checksums_taken(int flags, int block, struct str extra, struct str body, size_t out_len)
{
    int taken = 0;
    for (int checksum = 0; checksum < 256; checksum++) {
        auto_buf struct buf frame = {0};
        buf_str(&frame, STR("\x04\x22\x4D\x18"));
        buf_byte(&frame, (char)flags);
        buf_byte(&frame, (char)block);
        buf_str(&frame, extra);
        buf_byte(&frame, (char)checksum);
        buf_str(&frame, body);
        taken += decode(SCHEME_LZ4, buf_view(&frame), out_len) == OK;
    }
    return taken;
}

#define ABC                                                                                                            \
    STR("\x03\0\0\x80"                                                                                                 \
        "abc"                                                                                                          \
        "\0\0\0\0") /* a stored block and the end */

static void only_known_versions_and_block_sizes_without_reserved_bits_are_taken(void **state)
{
    (void)state;
    for (int flags = 0; flags < 256; flags++)
        assert_int_equal(checksums_taken(flags, BLOCKS_64K, STR(""), ABC, 3), flags == LINKED || flags == INDEPENDENT);
    for (int block = 0; block < 256; block++)
        assert_int_equal(checksums_taken(INDEPENDENT, block, STR(""), ABC, 3), (block & 0xCF) == 0x40);
}

static void a_frame_with_a_dictionary_is_refused(void **state)
{
    (void)state;
    assert_int_equal(checksums_taken(INDEPENDENT | 1, BLOCKS_64K, STR("\1\2\3\4"), ABC, 3), 0);
    assert_int_equal(checksums_taken(INDEPENDENT | 9, BLOCKS_64K, STR("\3\0\0\0\0\0\0\0\1\2\3\4"), ABC, 3), 0);
}

static void a_content_size_must_be_that_of_the_chunk(void **state)
{
    (void)state;
    assert_int_equal(checksums_taken(INDEPENDENT | 8, BLOCKS_64K, STR("\3\0\0\0\0\0\0\0"), ABC, 3), 1);
    assert_int_equal(checksums_taken(INDEPENDENT | 8, BLOCKS_64K, STR("\2\0\0\0\0\0\0\0"), ABC, 3), 0);
    assert_int_equal(checksums_taken(INDEPENDENT | 8, BLOCKS_64K, STR("\3\0\0\0\1\0\0\0"), ABC, 3), 0);
    assert_int_equal(checksums_taken(INDEPENDENT | 8, BLOCKS_64K, STR("\3\0\0\0\0\0\0\x80"), ABC, 3), 0);
}

static void what_follows_the_frame_is_refused(void **state)
{
    (void)state;
    auto_buf struct buf frame = {0}, twice = {0};
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
    pack(&frame, STR("abc"), &info, 3);
    gives(SCHEME_LZ4, buf_view(&frame), STR("abc"));
    buf_str(&twice, buf_view(&frame));
    pack(&twice, STR("def"), &info, 3);
    assert_int_equal(decode(SCHEME_LZ4, buf_view(&twice), 3), INVALID);
    assert_int_equal(decode(SCHEME_LZ4, buf_view(&twice), 6), INVALID);
    buf_byte(&frame, 0);
    assert_int_equal(decode(SCHEME_LZ4, buf_view(&frame), 3), INVALID);
}

static void skippable_and_legacy_frames_are_refused(void **state)
{
    (void)state;
    auto_buf struct buf frame = {0};
    buf_str(&frame, STR("\x50\x2A\x4D\x18\x01\0\0\0x"));
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
    pack(&frame, STR("abc"), &info, 3);
    assert_int_equal(decode(SCHEME_LZ4, buf_view(&frame), 3), INVALID);
    gives(SCHEME_LZ4, str_from(buf_view(&frame), 9), STR("abc"));
    assert_int_equal(decode(SCHEME_LZ4,
                            STR("\x02\x21\x4C\x18\x04\0\0\0\x30"
                                "abc"),
                            3),
                     INVALID);
}

/* A body of one block and the end. */
static void body(struct buf *out, struct str block, bool stored)
{
    uint32_t size = (uint32_t)block.len | (stored ? 0x80000000u : 0);
    buf_add(out, &size, 4);
    buf_str(out, block);
    buf_str(out, STR("\0\0\0\0"));
}

static void no_block_gives_more_than_the_frame_allows(void **state)
{
    (void)state;
    auto_buf struct buf zeros = {0}, packed = {0}, stored = {0}, bomb = {0}, longer = {0};
    buf_reserve(&zeros, 65537);
    memset(zeros.data, 0, zeros.len = 65537);
    buf_reserve(&packed, 70000);
    packed.len = (size_t)LZ4_compress_default(zeros.data, packed.data, 65537, 70000);
    body(&bomb, buf_view(&packed), false);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_256K, STR(""), buf_view(&bomb), 65537), 1);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), buf_view(&bomb), 65537), 0);
    body(&longer, buf_view(&zeros), true);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_256K, STR(""), buf_view(&longer), 65537), 1);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), buf_view(&longer), 65537), 0);
    body(&stored, str_slice(buf_view(&zeros), 0, 65536), true);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), buf_view(&stored), 65536), 1);
}

static void no_block_takes_more_than_the_frame_allows(void **state)
{
    (void)state;
    /* 65,536 literals and nothing else: a packed block that is longer than what it gives. */
    auto_buf struct buf block = {0}, blocks = {0};
    buf_reserve(&block, 70000);
    memset(block.data, 0, 70000);
    block.data[0] = (char)0xF0;
    memset(block.data + 1, 0xFF, 256);
    block.data[257] = (char)0xF1;
    block.len = 258 + 65536;
    body(&blocks, buf_view(&block), false);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_256K, STR(""), buf_view(&blocks), 65536), 1);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), buf_view(&blocks), 65536), 0);
}

static void a_bomb_stops_at_the_length_of_the_chunk(void **state)
{
    (void)state;
    auto_buf struct buf zeros = {0}, packed = {0};
    buf_reserve(&zeros, 64 * CHUNK_MAX);
    memset(zeros.data, 0, zeros.len = 64 * CHUNK_MAX);
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max4MB};
    pack(&packed, buf_view(&zeros), &info, 64 * CHUNK_MAX);
    assert_true(packed.len < CHUNK_MAX);
    assert_int_equal(decode(SCHEME_LZ4, buf_view(&packed), CHUNK_MAX), INVALID);
    assert_int_equal(decode(SCHEME_GROUP4_LZ4, buf_view(&packed), 1), INVALID);
}

static void only_linked_blocks_look_back(void **state)
{
    (void)state;
    /* "abcdefgh", then a block that repeats it and ends with five literals. */
    struct str blocks = STR("\x08\0\0\x80"
                            "abcdefgh"
                            "\x09\0\0\0"
                            "\x04\x08\0"
                            "\x50"
                            "ijklm"
                            "\0\0\0\0");
    assert_int_equal(checksums_taken(LINKED, BLOCKS_64K, STR(""), blocks, 21), 1);
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), blocks, 21), 0);
    struct str before = STR("\x08\0\0\x80"
                            "abcdefgh"
                            "\x09\0\0\0"
                            "\x04\x09\0"
                            "\x50"
                            "ijklm"
                            "\0\0\0\0");
    assert_int_equal(checksums_taken(LINKED, BLOCKS_64K, STR(""), before, 21), 0);
}

static void a_match_at_distance_0_is_refused(void **state)
{
    (void)state;
    /* One literal, 13 bytes from before, five literals. */
    struct str good = STR("\x0A\0\0\0"
                          "\x19"
                          "a\1\0"
                          "\x50"
                          "ijklm"
                          "\0\0\0\0");
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), good, 19), 1);
    struct str bad = STR("\x0A\0\0\0"
                         "\x19"
                         "a\0\0"
                         "\x50"
                         "ijklm"
                         "\0\0\0\0");
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), bad, 19), 0);
}

static void a_block_longer_than_the_payload_is_refused(void **state)
{
    (void)state;
    static const char lengths[][4] = {"\xFF\xFF\xFF\xFF", "\xFF\xFF\xFF\x7F", "\x0C\0\0\x80", "\x0C\0\0",
                                      "\x01\0\0\x80"};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        auto_buf struct buf blocks = {0};
        buf_add(&blocks, lengths[i], 4);
        buf_str(&blocks, STR("abc\0\0\0\0"));
        assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), buf_view(&blocks), 3), 0);
    }
    assert_int_equal(checksums_taken(INDEPENDENT, BLOCKS_64K, STR(""), ABC, 3), 1);
}

static void lanes_are_put_back_as_the_specification_shows(void **state)
{
    (void)state;
    auto_buf struct buf packed = {0};
    LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
    pack(&packed, STR("\0\4\x08\1\5\x09\2\6\3\7"), &info, 10);
    gives(SCHEME_GROUP4_LZ4, buf_view(&packed), STR("\0\1\2\3\4\5\6\7\x08\x09"));
    gives(SCHEME_LZ4, buf_view(&packed), STR("\0\4\x08\1\5\x09\2\6\3\7"));
}

static void lanes_of_every_length_are_put_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        size_t len = i < 36 ? i : CHUNK_MAX - (i - 36);
        auto_buf struct buf content = {0}, lanes = {0}, packed = {0};
        make(&content, len, true);
        for (size_t lane = 0; lane < 4; lane++)
            for (size_t at = lane; at < len; at += 4)
                buf_byte(&lanes, content.data[at]);
        LZ4F_frameInfo_t info = {.blockSizeID = LZ4F_max64KB};
        pack(&packed, buf_view(&lanes), &info, 10000);
        gives(SCHEME_GROUP4_LZ4, buf_view(&packed), buf_view(&content));
    }
}

static void what_is_not_packed_must_have_its_own_length(void **state)
{
    (void)state;
    gives(SCHEME_NONE, STR("abc"), STR("abc"));
    gives(SCHEME_NONE, STR(""), STR(""));
    assert_int_equal(decode(SCHEME_NONE, STR("abc"), 2), INVALID);
    assert_int_equal(decode(SCHEME_NONE, STR("abc"), 4), INVALID);
    assert_int_equal(decode(SCHEME_NONE, STR(""), 1), INVALID);
}

static void unknown_schemes_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode(3, STR("abc"), 3), INVALID);
    assert_int_equal(decode(99, STR("abc"), 3), INVALID);
    assert_int_equal(decode(-1, STR("abc"), 3), INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_that_liblz4_writes_unpacks),
        cmocka_unit_test(linked_blocks_look_back_over_as_much_as_64_kib),
        cmocka_unit_test(a_cut_frame_is_refused_wherever_it_is_cut),
        cmocka_unit_test(a_changed_bit_is_noticed_by_some_checksum),
        cmocka_unit_test(a_changed_bit_without_checksums_is_judged_as_liblz4_does),
        cmocka_unit_test(only_known_versions_and_block_sizes_without_reserved_bits_are_taken),
        cmocka_unit_test(a_frame_with_a_dictionary_is_refused),
        cmocka_unit_test(a_content_size_must_be_that_of_the_chunk),
        cmocka_unit_test(what_follows_the_frame_is_refused),
        cmocka_unit_test(skippable_and_legacy_frames_are_refused),
        cmocka_unit_test(no_block_gives_more_than_the_frame_allows),
        cmocka_unit_test(no_block_takes_more_than_the_frame_allows),
        cmocka_unit_test(a_bomb_stops_at_the_length_of_the_chunk),
        cmocka_unit_test(only_linked_blocks_look_back),
        cmocka_unit_test(a_match_at_distance_0_is_refused),
        cmocka_unit_test(a_block_longer_than_the_payload_is_refused),
        cmocka_unit_test(lanes_are_put_back_as_the_specification_shows),
        cmocka_unit_test(lanes_of_every_length_are_put_back),
        cmocka_unit_test(what_is_not_packed_must_have_its_own_length),
        cmocka_unit_test(unknown_schemes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

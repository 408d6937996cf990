/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cas/codec.h"
#include "cas/cut.h"
#include <assert.h>
#include <lz4.h>
#include <stdbool.h>
#include <string.h>

#define FRAME_MAGIC 0x184D2204u
#define BLOCK_STORED 0x80000000u
#define LZ4_WINDOW 65536 /* how far back a linked block may refer */

static enum status damaged(struct error *err, const char *why)
{
    return fail(err, INVALID, NULL, "The payload of a chunk does not unpack: %s. Pack it again and send it anew.", why);
}

/* What is left of the payload. */
struct source {
    const uint8_t *at;
    size_t left;
};

/* NULL when fewer than len bytes are left. */
static const uint8_t *source_take(struct source *source, size_t len)
{
    if (len > source->left)
        return NULL;
    const uint8_t *taken = source->at;
    source->at += len;
    source->left -= len;
    return taken;
}

static uint32_t u32_read(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool u32_take(struct source *source, uint32_t *value)
{
    const uint8_t *bytes = source_take(source, 4);
    if (bytes)
        *value = u32_read(bytes);
    return bytes != NULL;
}

static inline uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

/* xxHash with 32 bits and seed 0, the checksum of LZ4 frames; liblz4 keeps its own to itself. */
static uint32_t checksum(const uint8_t *at, size_t len)
{
    static const uint32_t prime[] = {0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1};
    uint32_t lanes[4] = {prime[0] + prime[1], prime[1], 0, -prime[0]};
    size_t left = len;
    for (; left >= 16; left -= 16, at += 16)
        for (int i = 0; i < 4; i++)
            lanes[i] = rotate(lanes[i] + u32_read(at + 4 * i) * prime[1], 13) * prime[0];
    uint32_t sum = prime[4];
    if (len >= 16)
        sum = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    sum += (uint32_t)len;
    for (; left >= 4; left -= 4, at += 4)
        sum = rotate(sum + u32_read(at) * prime[2], 17) * prime[3];
    for (; left > 0; left--, at++)
        sum = rotate(sum + *at * prime[4], 11) * prime[0];
    sum = (sum ^ sum >> 15) * prime[1];
    sum = (sum ^ sum >> 13) * prime[2];
    return sum ^ sum >> 16;
}

struct frame {
    bool linked, block_checksums, content_checksum;
    size_t block_most;
};

/* Reads magic and frame descriptor. */
static enum status frame_open(struct source *source, size_t out_len, struct frame *out, struct error *err)
{
    uint32_t magic;
    if (!u32_take(source, &magic) || magic != FRAME_MAGIC)
        return damaged(err, "it does not begin as an LZ4 frame does");
    const uint8_t *descriptor = source_take(source, 2);
    if (!descriptor)
        return damaged(err, "the LZ4 frame ends within its header");
    uint8_t flags = descriptor[0], block = descriptor[1];
    if (flags >> 6 != 1 || flags & 0x02 || block & 0x8F || block >> 4 < 4)
        return damaged(err, "the header of the LZ4 frame has an unknown version, block size or reserved bit");
    if (flags & 0x01)
        return damaged(err, "the LZ4 frame needs a dictionary");
    *out = (struct frame){.linked = !(flags & 0x20),
                          .block_checksums = flags & 0x10,
                          .content_checksum = flags & 0x04,
                          .block_most = (size_t)1 << (8 + 2 * (block >> 4))};
    uint32_t size[2] = {(uint32_t)out_len, 0};
    if (flags & 0x08 && !(u32_take(source, &size[0]) && u32_take(source, &size[1])))
        return damaged(err, "the LZ4 frame ends within its header");
    if (size[0] != out_len || size[1] != 0)
        return damaged(err, "the LZ4 frame announces another length than the chunk");
    uint8_t sum = (uint8_t)(checksum(descriptor, (size_t)(source->at - descriptor)) >> 8);
    const uint8_t *announced = source_take(source, 1);
    if (!announced || *announced != sum)
        return damaged(err, "the checksum of the LZ4 frame's header is missing or wrong");
    return OK;
}

/* The whole of a length that begins in a token. */
static bool length_take(struct source *source, size_t *length)
{
    const uint8_t *more = NULL;
    if (*length == 15)
        do {
            more = source_take(source, 1);
            if (!more)
                return false;
            *length += *more;
        } while (*more == 255);
    return true;
}

/*
 * liblz4 (1.9.4) makes zeros of a match at distance 0, which the format forbids and other decoders refuse or make
 * something else of. So the block is walked once more: literals and distances by turns, literals last.
 */
static bool distances_are_legal(struct source block)
{
    while (block.left > 0) {
        uint8_t token = *source_take(&block, 1);
        size_t literals = token >> 4, match = token & 15;
        if (!length_take(&block, &literals) || !source_take(&block, literals))
            return false;
        if (block.left == 0)
            return true;
        const uint8_t *distance = source_take(&block, 2);
        if (!distance || (distance[0] | distance[1]) == 0 || !length_take(&block, &match))
            return false;
    }
    return false;
}

/* Decodes one block behind the *have bytes that out holds already. size is as it stands in the frame. */
static enum status block_decode(const struct frame *frame, uint32_t size, struct source *source, uint8_t *out,
                                size_t out_len, size_t *have, struct error *err)
{
    size_t len = size & ~BLOCK_STORED, room = out_len - *have;
    if (room > frame->block_most)
        room = frame->block_most;
    const uint8_t *bytes = len <= frame->block_most ? source_take(source, len) : NULL;
    if (!bytes)
        return damaged(err, "a block of the LZ4 frame is too long");
    uint32_t sum;
    if (frame->block_checksums && (!u32_take(source, &sum) || sum != checksum(bytes, len)))
        return damaged(err, "the checksum of an LZ4 block is missing or wrong");
    int got = -1;
    if (!(size & BLOCK_STORED)) {
        /* What was decoded before stands right before this block, where liblz4 finds it without a copy. */
        size_t window = !frame->linked ? 0 : *have < LZ4_WINDOW ? *have : LZ4_WINDOW;
        got = LZ4_decompress_safe_usingDict((const char *)bytes, (char *)out + *have, (int)len, (int)room,
                                            (const char *)out + *have - window, (int)window);
        if (!distances_are_legal((struct source){bytes, len}))
            got = -1;
    } else if (len <= room) {
        memcpy(out + *have, bytes, len);
        got = (int)len;
    }
    if (got < 0)
        return damaged(err, "an LZ4 block is damaged or gives more than the chunk should have");
    *have += (size_t)got;
    return OK;
}

/*
 * liblz4's own frame decoder allocates what the frame asks for (up to 4 MiB); block by block into out, nothing is
 * needed. Checksums are verified although BLAKE3 follows: a xorb is named by its content and handed out as it came, so
 * that a frame with the right content that other decoders refuse would spoil that xorb for everybody.
 */
static enum status frame_decode(const uint8_t *payload, size_t payload_len, uint8_t *out, size_t out_len,
                                struct error *err)
{
    struct source source = {payload, payload_len};
    struct frame frame = {0};
    TRY(frame_open(&source, out_len, &frame, err));
    size_t have = 0;
    uint32_t size, sum;
    while (u32_take(&source, &size)) {
        if (size != 0) {
            TRY(block_decode(&frame, size, &source, out, out_len, &have, err));
            continue;
        }
        if (have != out_len)
            return damaged(err, "the LZ4 frame gives less than the chunk should have");
        if (frame.content_checksum && (!u32_take(&source, &sum) || sum != checksum(out, out_len)))
            return damaged(err, "the checksum of the LZ4 frame's content is missing or wrong");
        return source.left == 0 ? OK : damaged(err, "something follows the LZ4 frame");
    }
    return damaged(err, "the LZ4 frame has no end");
}

/* Puts four lanes, the first len % 4 of which are one byte longer than the others, back together. */
static void regroup(const uint8_t *restrict lanes, size_t len, uint8_t *restrict out)
{
    const uint8_t *lane[4] = {lanes};
    for (size_t k = 1; k < 4; k++)
        lane[k] = lane[k - 1] + len / 4 + (k <= len % 4);
    size_t whole = len / 4;
    for (size_t i = 0; i < whole; i++)
        for (size_t k = 0; k < 4; k++)
            out[4 * i + k] = lane[k][i];
    for (size_t k = 0; k < len % 4; k++)
        out[4 * whole + k] = lane[k][whole];
}

enum status chunk_decode(enum scheme scheme, const uint8_t *payload, size_t len, uint8_t *out, size_t out_len,
                         uint8_t *scratch, struct error *err)
{
    assert(out_len <= CHUNK_MAX);
    switch (scheme) {
    case SCHEME_NONE:
        if (len != out_len)
            return damaged(err, "it is not packed, but its length is not that of the chunk");
        memcpy(out, payload, len);
        return OK;
    case SCHEME_LZ4:
        return frame_decode(payload, len, out, out_len, err);
    case SCHEME_GROUP4_LZ4:
        TRY(frame_decode(payload, len, scratch, out_len, err));
        regroup(scratch, out_len, out);
        return OK;
    }
    return damaged(err, "the scheme is none of 0, 1 and 2");
}

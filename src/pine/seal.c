/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pine/seal.h"

#include <assert.h>
#include <openssl/crypto.h>

#define AAD_MAX 256

static uint64_t chunks_of(uint64_t plain)
{
    return plain ? (plain + SEAL_CHUNK - 1) / SEAL_CHUNK : 1;
}

uint64_t seal_size(uint64_t plain)
{
    return HPKE_KEY_SIZE + plain + HPKE_TAG_SIZE * chunks_of(plain);
}

static struct str chunk_aad(char room[AAD_MAX + 1], struct str aad, bool last)
{
    assert(aad.len <= AAD_MAX);
    memcpy(room, aad.data, aad.len);
    room[aad.len] = last;
    return (struct str){room, aad.len + 1};
}

static void wiped_free(struct buf *buf)
{
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_free(buf);
}

enum status seal_begin(struct seal *seal, const uint8_t recipient[HPKE_KEY_SIZE], struct str info, struct str aad,
                       struct pine_sink out, struct error *err)
{
    uint8_t enc[HPKE_KEY_SIZE];
    *seal = (struct seal){.aad = aad, .out = out};
    TRY(hpke_sender(&seal->hpke, recipient, info, enc, err));
    buf_reserve(&seal->chunk, SEAL_CHUNK);
    buf_reserve(&seal->sealed, SEAL_CHUNK + HPKE_TAG_SIZE);
    return out.write(out.context, enc, sizeof enc, err);
}

static enum status chunk_seal(struct seal *seal, bool last, struct error *err)
{
    char aad[AAD_MAX + 1];
    uint8_t *sealed = (uint8_t *)seal->sealed.data;
    size_t len = seal->chunk.len;
    hpke_seal(&seal->hpke, seal->number++, chunk_aad(aad, seal->aad, last), buf_view(&seal->chunk), sealed);
    seal->chunk.len = 0;
    return seal->out.write(seal->out.context, sealed, len + HPKE_TAG_SIZE, err);
}

/* A full chunk waits for what comes next: only then is it known not to be the last. */
static enum status seal_write(void *context, const uint8_t *data, size_t len, struct error *err)
{
    struct seal *seal = context;
    while (len) {
        if (seal->chunk.len == SEAL_CHUNK)
            TRY(chunk_seal(seal, false, err));
        size_t room = SEAL_CHUNK - seal->chunk.len, part = len < room ? len : room;
        buf_add(&seal->chunk, data, part);
        data += part;
        len -= part;
    }
    return OK;
}

struct pine_sink seal_sink(struct seal *seal)
{
    return (struct pine_sink){seal_write, seal};
}

enum status seal_finish(struct seal *seal, struct error *err)
{
    return chunk_seal(seal, true, err);
}

void seal_end(struct seal *seal)
{
    hpke_end(&seal->hpke);
    wiped_free(&seal->chunk);
    buf_free(&seal->sealed);
}

enum status unseal_begin(struct unseal *unseal, const uint8_t private_key[HPKE_KEY_SIZE], struct str info,
                         struct str aad, struct pine_source in, uint64_t sealed, struct error *err)
{
    uint8_t enc[HPKE_KEY_SIZE];
    const uint64_t full = SEAL_CHUNK + HPKE_TAG_SIZE;
    *unseal = (struct unseal){.aad = aad, .in = in};
    if (sealed < HPKE_KEY_SIZE + HPKE_TAG_SIZE)
        return fail(err, INVALID, NULL, "A sealed share is too short to be one.");
    uint64_t body = sealed - HPKE_KEY_SIZE, chunks = (body + full - 1) / full;
    unseal->plain = body - chunks * HPKE_TAG_SIZE;
    if (body < chunks * HPKE_TAG_SIZE || seal_size(unseal->plain) != sealed)
        return fail(err, INVALID, NULL, "No sealed share has this size.");
    TRY(in.read(in.context, 0, enc, sizeof enc, err));
    TRY(hpke_recipient(&unseal->hpke, private_key, enc, info, err));
    buf_reserve(&unseal->chunk, SEAL_CHUNK);
    buf_reserve(&unseal->sealed, full);
    return OK;
}

static enum status chunk_open(struct unseal *unseal, uint64_t number, struct error *err)
{
    char aad[AAD_MAX + 1];
    uint64_t start = number * SEAL_CHUNK, left = unseal->plain - start;
    size_t len = left < SEAL_CHUNK ? (size_t)left : SEAL_CHUNK;
    bool last = number + 1 == chunks_of(unseal->plain);
    uint8_t *sealed = (uint8_t *)unseal->sealed.data;
    unseal->kept = 0;
    TRY(unseal->in.read(unseal->in.context, HPKE_KEY_SIZE + start + number * HPKE_TAG_SIZE, sealed, len + HPKE_TAG_SIZE,
                        err));
    TRY(hpke_open(&unseal->hpke, number, chunk_aad(aad, unseal->aad, last),
                  (struct str){(char *)sealed, len + HPKE_TAG_SIZE}, (uint8_t *)unseal->chunk.data, err));
    unseal->chunk.len = len;
    unseal->kept = number + 1;
    return OK;
}

static enum status unseal_read(void *context, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    struct unseal *unseal = context;
    if (offset > unseal->plain || len > unseal->plain - offset)
        return fail(err, INVALID, NULL, "The input share is too short.");
    while (len) {
        size_t within = offset % SEAL_CHUNK, part = SEAL_CHUNK - within < len ? SEAL_CHUNK - within : len;
        if (unseal->kept != offset / SEAL_CHUNK + 1)
            TRY(chunk_open(unseal, offset / SEAL_CHUNK, err));
        memcpy(out, unseal->chunk.data + within, part);
        out += part;
        offset += part;
        len -= part;
    }
    return OK;
}

struct pine_source unseal_source(struct unseal *unseal)
{
    return (struct pine_source){unseal_read, unseal};
}

void unseal_end(struct unseal *unseal)
{
    hpke_end(&unseal->hpke);
    wiped_free(&unseal->chunk);
    buf_free(&unseal->sealed);
}

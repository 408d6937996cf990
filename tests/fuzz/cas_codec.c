/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a chunk unpacks to is what liblz4's own frame decoder makes of it; and nothing is written past its length. */
#include "cas/codec.h"
#include "cas/cut.h"
#include <assert.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unpacks_alike(enum scheme scheme, const uint8_t *payload, size_t len, const uint8_t *out, size_t out_len)
{
    static uint8_t expected[CHUNK_MAX + 1];
    LZ4F_dctx *lz4;
    assert(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION) == 0);
    size_t used = len, got = out_len + 1;
    assert(LZ4F_decompress(lz4, expected, &got, payload, &used, NULL) == 0 && used == len && got == out_len);
    LZ4F_freeDecompressionContext(lz4);
    for (size_t at = 0, lane = 0; scheme == SCHEME_GROUP4_LZ4 && lane < 4; lane++)
        for (size_t i = lane; i < out_len; i += 4)
            assert(out[i] == expected[at++]);
    assert(scheme == SCHEME_GROUP4_LZ4 || memcmp(out, expected, out_len) == 0);
}

/* Scheme, length in three bytes, payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t scratch[CHUNK_MAX];
    if (size < 4)
        return 0;
    enum scheme scheme = (enum scheme)data[0];
    size_t out_len = ((size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16) % (CHUNK_MAX + 1);
    uint8_t *out = malloc(out_len ? out_len : 1); /* exact size, so that ASan sees what goes past the end */
    struct error err = {0};
    enum status status = chunk_decode(scheme, data + 4, size - 4, out, out_len, scratch, &err);
    if (status != OK)
        assert(status == INVALID && err.status == INVALID && err.message[0]);
    else if (scheme == SCHEME_NONE)
        assert(out_len == size - 4 && memcmp(out, data + 4, out_len) == 0);
    else
        unpacks_alike(scheme, data + 4, size - 4, out, out_len);
    free(out);
    return 0;
}

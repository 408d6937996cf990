/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A chunked body cut in two ways decodes to the same bytes, ends at the same place, and fails alike. */
#include "net/chunk.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    char *body;
    size_t body_len, consumed;
    enum chunk_found found;
};

static void decode(const char *text, size_t len, const uint8_t *steps, struct outcome *out)
{
    struct chunk_decoder decoder = {0};
    *out = (struct outcome){.body = malloc(len + 1), .found = CHUNK_MORE};
    for (size_t have = 0, turn = 0; have < len && out->found <= CHUNK_DATA; turn++) {
        size_t step = steps ? 1 + (size_t)steps[turn % 4] % 8 : len;
        size_t piece_len = len - have < step ? len - have : step;
        char *piece = malloc(piece_len); /* of its own, so that a read past it is seen */
        memcpy(piece, text + have, piece_len);
        for (size_t at = 0; at < piece_len && out->found <= CHUNK_DATA;) {
            size_t used;
            out->found = chunk_next(&decoder, piece + at, piece_len - at, &used);
            assert(used <= piece_len - at);
            at += used;
            if (out->found == CHUNK_DATA) {
                assert(decoder.left > 0);
                size_t take = piece_len - at < (uint64_t)decoder.left ? piece_len - at : (size_t)decoder.left;
                memcpy(out->body + out->body_len, piece + at, take);
                out->body_len += take;
                decoder.left -= (int64_t)take;
                at += take;
            } else {
                assert(out->found != CHUNK_MORE || at == piece_len);
            }
            out->consumed = have + at;
        }
        free(piece);
        have += piece_len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    struct outcome whole, pieces;
    decode((const char *)data + 4, size - 4, NULL, &whole);
    decode((const char *)data + 4, size - 4, data, &pieces);
    bool over = whole.found > CHUNK_DATA;
    assert(over == (pieces.found > CHUNK_DATA) && (!over || whole.found == pieces.found));
    assert(whole.consumed == pieces.consumed && whole.body_len == pieces.body_len);
    assert(memcmp(whole.body, pieces.body, whole.body_len) == 0);
    free(whole.body);
    free(pieces.body);
    return 0;
}

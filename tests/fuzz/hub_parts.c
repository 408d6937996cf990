/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The body that ends an upload in parts: what comes out are claims that can be looked up, or an error with words. */
#include "hub/part_claims.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct part_claim *claims;
    size_t count;
    struct error err = {0};
    enum status status = part_claims_parse(&arena, (struct str){(const char *)data, size}, &claims, &count, &err);
    if (status != OK) {
        assert(err.message[0] && err.status == status);
        return 0;
    }
    assert(count <= PART_CLAIMS_LIMIT);
    for (size_t i = 0; i < count; i++) {
        assert(claims[i].number >= 1 && claims[i].number <= PART_CLAIMS_LIMIT);
        assert(claims[i].etag.len > 0 && !memchr(claims[i].etag.data, 0, claims[i].etag.len));
        /* Copied: views into the input or the parsed text would be gone. */
        assert(claims[i].etag.data < (const char *)data || claims[i].etag.data >= (const char *)data + size);
    }
    return 0;
}

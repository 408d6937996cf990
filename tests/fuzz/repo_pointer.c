/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A blob is taken for a pointer only when it is, to the byte, what we would have written ourselves. */
#include "repo/tree.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str blob = {(const char *)data, len};
    uint8_t sha256[SHA256_SIZE];
    int64_t size;
    if (pointer_parse(blob, sha256, &size) && (size < 0 || !str_eq(pointer_format(&arena, sha256, size), blob)))
        abort();
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as CBOR: what is read lies within them, and reading always goes on. */
#include "webauthn/cbor.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {data ? (const char *)data : "", size};
    struct cbor items = cbor_of(all), whole = items;
    struct cbor_item item;
    const uint8_t *before = items.at;
    while (cbor_next(&items, &item)) {
        assert(items.at > before && items.at <= items.end);
        before = items.at;
        if (item.kind == CBOR_BYTES || item.kind == CBOR_TEXT)
            assert(item.bytes.data >= all.data && item.bytes.data + item.bytes.len <= all.data + all.len);
        if (item.kind == CBOR_ARRAY || item.kind == CBOR_MAP)
            assert(item.number >= 0 && (uint64_t)item.number <= size);
    }
    if (cbor_skip(&whole))
        assert(whole.at > (const uint8_t *)all.data && whole.at <= whole.end);
    return 0;
}

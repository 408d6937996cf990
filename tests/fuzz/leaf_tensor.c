/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A safetensors file: tensors lie side by side, and hashing ends well exactly when the file is as long as they are. */
#include "leaf/tensor.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    struct tensor_hasher hasher;
    struct error err = {0};
    int64_t header, at = 0;
    if (size < 8 || tensor_header_size(data, &header, &err) != OK || (uint64_t)header > size - 8)
        return 0;
    if (tensor_header_parse(&arena, (struct str){(const char *)data + 8, (size_t)header}, &list, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    for (size_t i = 0; i < list.count; i++) {
        assert(list.items[i].begin == at && list.items[i].end >= at && list.items[i].dtype < TENSOR_DTYPES);
        at = list.items[i].end;
    }
    assert(list.bytes == at);
    size_t left = size - 8 - (size_t)header;
    tensor_hasher_start(&hasher, &list);
    bool fits = tensor_hasher_add(&hasher, data + 8 + header, left);
    bool whole = tensor_hasher_end(&hasher);
    assert((fits && whole) == ((uint64_t)list.bytes == left));
    if (tensor_sort(list.items, list.count, &err) == OK)
        tensor_root(list.items, list.count);
    return 0;
}

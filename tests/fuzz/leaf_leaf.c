/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Leaves: what is read and is of a known type is what leaf_write() writes, to the byte; all else is an error with
 * words. */
#include "leaf/leaf_type.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf again = {0};
    struct str bytes = {(const char *)data, size};
    struct error err = {0};
    struct leaf leaf;
    if (leaf_parse(&arena, bytes, &leaf, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    assert(size <= LEAF_MOST && str_given(leaf.other_body) == !leaf_type_find(leaf.type));
    if (!str_given(leaf.other_body))
        assert(leaf_write(&leaf, &again, NULL) == OK && str_eq(buf_view(&again), bytes));
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of tensors, both ways: what the child says of any header is understood, and any table is read or refused.
 */
#include "scan/table.h"
#include <assert.h>

static void check(const struct tensor_list *list)
{
    int64_t at = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor *tensor = &list->items[i];
        int64_t size;
        assert(tensor->begin == at && tensor->end >= at && tensor->dtype < TENSOR_DTYPES && str_is_utf8(tensor->name));
        assert(tensor_size(tensor, &size) && size == tensor->end - tensor->begin);
        at = tensor->end;
    }
    assert(list->bytes == at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf table = {0};
    struct str input = {(const char *)data, size};
    struct tensor_list list, direct;
    struct error err = {0};
    if (tensor_table_read(&arena, input, &list, &err) == OK)
        check(&list);
    else
        assert(err.message[0]);
    tensor_table_write(input, &table);
    enum status status = tensor_table_read(&arena, buf_view(&table), &list, &err);
    assert(status == tensor_header_parse(&arena, input, &direct, &err));
    if (status != OK)
        return 0;
    check(&list);
    assert(list.count == direct.count && list.bytes == direct.bytes);
    for (size_t i = 0; i < list.count; i++)
        assert(str_eq(list.items[i].name, direct.items[i].name) && list.items[i].begin == direct.items[i].begin);
    return 0;
}

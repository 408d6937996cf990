/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/safetensors.h"
#include "base/json.h"
#include "leaf/tensor.h"

static void write_summary(const int64_t *elements, int64_t total, size_t tensors, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key(&w, "parameters");
    jw_object(&w);
    for (unsigned i = 0; i < TENSOR_DTYPES; i++)
        if (elements[i])
            jw_key_int(&w, tensor_dtype_name(i), elements[i]);
    jw_end(&w);
    jw_key_int(&w, "total", total);
    jw_key_int(&w, "tensors", (int64_t)tensors);
    jw_end(&w);
}

enum status safetensors_summary(struct str header, struct buf *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    int64_t elements[TENSOR_DTYPES] = {0}, total = 0;
    TRY(tensor_header_parse(&arena, header, &list, err));
    for (size_t i = 0; i < list.count; i++) {
        if (__builtin_add_overflow(total, list.items[i].elements, &total))
            return fail(err, INVALID, NULL, "The tensors have too many elements");
        elements[list.items[i].dtype] += list.items[i].elements; /* at most the total */
    }
    write_summary(elements, total, list.count, out);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/table.h"

/* Writing. */

static enum status add_tensors(struct str header, struct buf *out, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tensor_list list;
    TRY(tensor_header_parse(&arena, header, &list, err));
    if (list.count > TENSORS_MOST)
        return fail(err, TOO_LARGE, NULL, "The file has more than %d tensors", TENSORS_MOST);
    for (size_t i = 0; i < list.count; i++) {
        tensor_head(&list.items[i], out);
        if (out->len > TENSOR_TABLE_MOST)
            return fail(err, TOO_LARGE, NULL, "The names and shapes of the tensors take more than %d bytes",
                        TENSOR_TABLE_MOST);
    }
    return OK;
}

void tensor_table_write(struct str header, struct buf *out)
{
    struct error err;
    size_t before = out->len;
    buf_byte(out, 'T');
    enum status status = add_tensors(header, out, &err);
    if (status == OK)
        return;
    out->len = before;
    buf_byte(out, status == TOO_LARGE ? 'L' : 'I');
    buf_str(out, str_of(err.message));
}

/* Reading. */

static bool take_number(struct str *rest, int bytes, uint64_t *out)
{
    if (rest->len < (size_t)bytes)
        return false;
    *out = 0;
    for (int i = 0; i < bytes; i++)
        *out = *out << 8 | (uint8_t)rest->data[i];
    *rest = str_from(*rest, (size_t)bytes);
    return true;
}

static bool take_text(struct str *rest, struct str *out)
{
    uint64_t len;
    if (!take_number(rest, 4, &len) || len > rest->len)
        return false;
    *out = str_slice(*rest, 0, len);
    *rest = str_from(*rest, len);
    return true;
}

static bool take_shape(struct arena *arena, struct str *rest, struct tensor *tensor)
{
    uint64_t count, size;
    if (!take_number(rest, 4, &count) || count > rest->len / 8)
        return false;
    int64_t *shape = arena_array(arena, count + 1, sizeof *shape);
    tensor->shape = shape;
    tensor->dimensions = (uint32_t)count;
    tensor->elements = 1;
    for (size_t i = 0; i < count; i++) {
        if (!take_number(rest, 8, &size) || size > INT64_MAX ||
            __builtin_mul_overflow(tensor->elements, (int64_t)size, &tensor->elements))
            return false;
        shape[i] = (int64_t)size;
    }
    return true;
}

static bool take_tensor(struct arena *arena, struct str *rest, int64_t begin, struct tensor *tensor)
{
    struct str name, dtype;
    int64_t size;
    *tensor = (struct tensor){.begin = begin};
    if (!take_text(rest, &name) || !take_text(rest, &dtype) || !str_is_utf8(name) || memchr(name.data, 0, name.len) ||
        !tensor_dtype_find(dtype, &tensor->dtype) || !take_shape(arena, rest, tensor) || !tensor_size(tensor, &size) ||
        __builtin_add_overflow(begin, size, &tensor->end))
        return false;
    tensor->name = arena_copy(arena, name);
    return true;
}

static bool take_all(struct arena *arena, struct str rest, struct tensor_list *out)
{
    size_t capacity = 0;
    *out = (struct tensor_list){.items = arena_array(arena, 1, sizeof *out->items)};
    while (rest.len > 0) {
        out->items = array_room(arena, out->items, out->count, &capacity, sizeof *out->items);
        if (out->count == TENSORS_MOST || !take_tensor(arena, &rest, out->bytes, &out->items[out->count]))
            return false;
        out->bytes = out->items[out->count++].end;
    }
    return true;
}

enum status tensor_table_read(struct arena *arena, struct str table, struct tensor_list *out, struct error *err)
{
    struct str rest = str_from(table, 1);
    char kind = table.len ? table.data[0] : 0;
    if (table.len > TENSOR_TABLE_MOST + 1)
        return fail(err, UNAVAILABLE, NULL, "The worker's table of tensors has more than %d bytes", TENSOR_TABLE_MOST);
    if (kind == 'T' && take_all(arena, rest, out))
        return OK;
    bool is_text = rest.len > 0 && str_is_utf8(rest) && !memchr(rest.data, 0, rest.len);
    if ((kind == 'I' || kind == 'L') && rest.len < sizeof err->message)
        return fail(err, kind == 'L' ? TOO_LARGE : INVALID, NULL, "%.*s",
                    STR_ARG(is_text ? rest : STR("The header is not valid")));
    return fail(err, UNAVAILABLE, NULL, "The worker gave no table of tensors that makes sense");
}

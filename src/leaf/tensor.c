/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/tensor.h"
#include "base/json.h"
#include <stdlib.h>

/* Elements of some types are smaller than a byte; a tensor as a whole fills whole bytes. */
static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"F64", 64},    {"F32", 32},        {"F16", 16},        {"BF16", 16},   {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
    {"C64", 64},    {"I64", 64},        {"I32", 32},        {"I16", 16},    {"I8", 8},      {"U64", 64},
    {"U32", 32},    {"U16", 16},        {"U8", 8},          {"BOOL", 8},
};
_Static_assert(sizeof dtypes / sizeof *dtypes == TENSOR_DTYPES, "the header counts them");

bool tensor_file_name(struct str name)
{
    return str_ends(name, STR(".safetensors"));
}

const char *tensor_dtype_name(unsigned dtype)
{
    return dtypes[dtype].name;
}

enum status tensor_header_size(const uint8_t first[8], int64_t *out, struct error *err)
{
    uint64_t size = 0;
    for (int i = 7; i >= 0; i--)
        size = size << 8 | first[i];
    if (size > TENSOR_HEADER_MOST)
        return fail(err, TOO_LARGE, NULL, "The header says that it has %llu bytes; %d are allowed",
                    (unsigned long long)size, TENSOR_HEADER_MOST);
    *out = (int64_t)size;
    return OK;
}

static bool read_size(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

bool tensor_dtype_find(struct str name, unsigned *out)
{
    for (*out = 0; *out < TENSOR_DTYPES; ++*out)
        if (str_eq(name, str_of(dtypes[*out].name)))
            return true;
    return false;
}

static bool read_dtype(const json_t *value, unsigned *out)
{
    return json_is_string(value) && tensor_dtype_find(str_of(json_string_value(value)), out);
}

/* The number of elements is the product of the shape; 1 for a scalar's empty one. */
static bool read_shape(struct arena *arena, const json_t *value, struct tensor *tensor)
{
    size_t count = json_array_size(value);
    int64_t *shape = arena_array(arena, count + 1, sizeof *shape);
    tensor->shape = shape;
    tensor->dimensions = (uint32_t)count;
    tensor->elements = 1;
    for (size_t i = 0; i < count; i++)
        if (!read_size(json_array_get(value, i), &shape[i]) ||
            __builtin_mul_overflow(tensor->elements, shape[i], &tensor->elements))
            return false;
    return json_is_array(value);
}

static bool read_place(const json_t *offsets, struct tensor *tensor)
{
    return json_array_size(offsets) == 2 && read_size(json_array_get(offsets, 0), &tensor->begin) &&
           read_size(json_array_get(offsets, 1), &tensor->end) && tensor->begin <= tensor->end;
}

bool tensor_size(const struct tensor *tensor, int64_t *bytes)
{
    int64_t bits;
    bool good = !__builtin_mul_overflow(tensor->elements, (int64_t)dtypes[tensor->dtype].bits, &bits) && bits % 8 == 0;
    *bytes = good ? bits / 8 : 0;
    return good;
}

static bool fits(const struct tensor *tensor)
{
    int64_t bytes;
    return tensor_size(tensor, &bytes) && bytes == tensor->end - tensor->begin;
}

static enum status add_tensor(struct arena *arena, const char *name, const json_t *value, struct tensor_list *list,
                              struct error *err)
{
    struct tensor *tensor = &list->items[list->count++];
    if (!read_dtype(json_object_get(value, "dtype"), &tensor->dtype))
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no known dtype", name);
    if (!read_shape(arena, json_object_get(value, "shape"), tensor))
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no valid shape", name);
    if (!read_place(json_object_get(value, "data_offsets"), tensor))
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no valid data_offsets", name);
    if (!fits(tensor))
        return fail(err, INVALID, NULL, "The data_offsets of the tensor \"%.100s\" do not fit its shape", name);
    tensor->name = arena_copy(arena, str_of(name));
    return OK;
}

static enum status check_metadata(const json_t *metadata, struct error *err)
{
    const char *key;
    json_t *value;
    bool good = json_is_object(metadata);
    json_object_foreach((json_t *)metadata, key, value) good = good && json_is_string(value);
    return good ? OK : fail(err, INVALID, NULL, "__metadata__ is not a map of strings");
}

static int by_place(const void *left, const void *right)
{
    const struct tensor *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) /* an empty tensor stands before the one that starts with it */
        return a->end < b->end ? -1 : 1;
    return str_cmp(a->name, b->name); /* so that the order is always the same */
}

/* Tensors fill the data without a gap, so that nothing can hide between them, and never share bytes. */
static enum status check_places(struct tensor_list *list, struct error *err)
{
    qsort(list->items, list->count, sizeof *list->items, by_place);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].begin != list->bytes)
            return fail(err, INVALID, NULL, "The tensors' data overlap or leave a gap at byte %lld",
                        (long long)list->bytes);
        list->bytes = list->items[i].end;
    }
    return OK;
}

/* By punctuation alone: too many only where names have commas, which is no loss at these numbers. */
static bool has_too_many_values(struct str header)
{
    size_t count = 0;
    for (size_t i = 0; i < header.len; i++)
        count += header.data[i] == ',' || header.data[i] == '{' || header.data[i] == '[';
    return count > TENSOR_VALUES_MOST;
}

enum status tensor_header_parse(struct arena *arena, struct str header, struct tensor_list *out, struct error *err)
{
    auto_json json_t *root = NULL;
    const char *name;
    json_t *value;
    if (has_too_many_values(header))
        return fail(err, TOO_LARGE, NULL, "The header has more than %d values", TENSOR_VALUES_MOST);
    TRY(json_read(header, TENSOR_HEADER_MOST, &root, err));
    if (!json_is_object(root))
        return fail(err, INVALID, NULL, "The header is not a JSON object");
    *out = (struct tensor_list){.items = arena_array(arena, json_object_size(root) + 1, sizeof *out->items)};
    json_object_foreach(root, name, value)
    {
        bool is_metadata = strcmp(name, "__metadata__") == 0;
        TRY(is_metadata ? check_metadata(value, err) : add_tensor(arena, name, value, out, err));
    }
    return check_places(out, err);
}

/* Digests. */

void tensor_hasher_start(struct tensor_hasher *hasher, struct tensor_list *list)
{
    *hasher = (struct tensor_hasher){.list = list, .sha = hasher_sha256()};
}

/* Ends those that reach no further than what has been read; empty ones among them. */
static void end_tensors(struct tensor_hasher *hasher)
{
    while (hasher->next < hasher->list->count && hasher->list->items[hasher->next].end == hasher->at)
        hasher_end(hasher->sha, hasher->list->items[hasher->next++].digest);
}

bool tensor_hasher_add(struct tensor_hasher *hasher, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (end_tensors(hasher); len > 0 && hasher->next < hasher->list->count; end_tensors(hasher)) {
        int64_t left = hasher->list->items[hasher->next].end - hasher->at;
        size_t take = (uint64_t)left < len ? (size_t)left : len;
        hasher_add(hasher->sha, bytes, take);
        bytes += take;
        len -= take;
        hasher->at += (int64_t)take;
    }
    return len == 0;
}

bool tensor_hasher_end(struct tensor_hasher *hasher)
{
    end_tensors(hasher);
    hasher_free(hasher->sha);
    return hasher->next == hasher->list->count;
}

/* The tree. */

static void add_number(struct buf *out, uint64_t number, int bytes)
{
    while (bytes-- > 0)
        buf_byte(out, (char)(number >> (8 * bytes)));
}

static void add_text(struct buf *out, struct str text)
{
    add_number(out, text.len, 4); /* as long as a header at most */
    buf_str(out, text);
}

void tensor_head(const struct tensor *tensor, struct buf *out)
{
    add_text(out, tensor->name);
    add_text(out, str_of(dtypes[tensor->dtype].name));
    add_number(out, tensor->dimensions, 4);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        add_number(out, (uint64_t)tensor->shape[i], 8);
}

void tensor_entry(const struct tensor *tensor, struct buf *out)
{
    tensor_head(tensor, out);
    buf_add(out, tensor->digest, sizeof tensor->digest);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static bool is_same(const struct tensor *a, const struct tensor *b)
{
    return str_eq(a->name, b->name) && a->dtype == b->dtype && a->dimensions == b->dimensions &&
           memcmp(a->shape, b->shape, a->dimensions * sizeof *a->shape) == 0 &&
           memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

enum status tensor_sort(struct tensor *tensors, size_t count, struct error *err)
{
    qsort(tensors, count, sizeof *tensors, by_name);
    for (size_t i = 1; i < count; i++)
        if (str_eq(tensors[i].name, tensors[i - 1].name) && !is_same(&tensors[i], &tensors[i - 1]))
            return fail(err, INVALID, NULL, "The tensor \"%.*s\" is there twice, and not the same",
                        STR_ARG(str_slice(tensors[i].name, 0, 100)));
    return OK;
}

bool tensor_is_repeated(const struct tensor *sorted, size_t index)
{
    return index > 0 && str_eq(sorted[index].name, sorted[index - 1].name);
}

struct tlog_hash tensor_root(const struct tensor *sorted, size_t count)
{
    struct tlog_frontier frontier = {0};
    auto_buf struct buf entry = {0};
    for (size_t i = 0; i < count; i++) {
        if (tensor_is_repeated(sorted, i))
            continue;
        entry.len = 0;
        tensor_entry(&sorted[i], &entry);
        struct tlog_hash hash = tlog_leaf_hash(buf_view(&entry));
        tlog_append(&frontier, &hash, NULL);
    }
    return tlog_root(&frontier);
}

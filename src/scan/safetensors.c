/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/safetensors.h"
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

#define DTYPE_COUNT (sizeof dtypes / sizeof *dtypes)

struct span {
    int64_t begin, end; /* in the data after the header */
};

struct summary {
    int64_t elements[DTYPE_COUNT], total;
    struct span *spans;
    size_t count;
};

static size_t find_dtype(const json_t *value)
{
    size_t i = 0;
    while (i < DTYPE_COUNT && !(json_is_string(value) && strcmp(json_string_value(value), dtypes[i].name) == 0))
        i++;
    return i;
}

static bool read_size(const json_t *value, int64_t *out)
{
    *out = json_integer_value(value);
    return json_is_integer(value) && *out >= 0;
}

/* The product of the shape; 1 for a scalar's empty one. */
static bool count_elements(const json_t *shape, int64_t *out)
{
    int64_t size;
    *out = 1;
    for (size_t i = 0; i < json_array_size(shape); i++)
        if (!read_size(json_array_get(shape, i), &size) || __builtin_mul_overflow(*out, size, out))
            return false;
    return json_is_array(shape);
}

static bool read_span(const json_t *offsets, struct span *out)
{
    return json_array_size(offsets) == 2 && read_size(json_array_get(offsets, 0), &out->begin) &&
           read_size(json_array_get(offsets, 1), &out->end) && out->begin <= out->end;
}

static enum status add_tensor(struct summary *s, const char *name, const json_t *tensor, struct error *err)
{
    int64_t elements, bits;
    struct span span;
    size_t dtype = find_dtype(json_object_get(tensor, "dtype"));
    if (dtype == DTYPE_COUNT)
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no known dtype", name);
    if (!count_elements(json_object_get(tensor, "shape"), &elements))
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no valid shape", name);
    if (!read_span(json_object_get(tensor, "data_offsets"), &span))
        return fail(err, INVALID, NULL, "The tensor \"%.100s\" has no valid data_offsets", name);
    if (__builtin_mul_overflow(elements, (int64_t)dtypes[dtype].bits, &bits) || bits % 8 ||
        bits / 8 != span.end - span.begin)
        return fail(err, INVALID, NULL, "The data_offsets of the tensor \"%.100s\" do not fit its shape", name);
    if (__builtin_add_overflow(s->total, elements, &s->total))
        return fail(err, INVALID, NULL, "The tensors have too many elements");
    s->elements[dtype] += elements; /* at most the total */
    s->spans[s->count++] = span;
    return OK;
}

static enum status check_metadata(const json_t *metadata, struct error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return fail(err, INVALID, NULL, "__metadata__ is not a map of strings");
    json_object_foreach((json_t *)metadata, key, value) if (!json_is_string(value)) return fail(
        err, INVALID, NULL, "__metadata__ is not a map of strings");
    return OK;
}

static int by_begin(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    return (a->end > b->end) - (a->end < b->end); /* an empty tensor stands before the one that starts with it */
}

/* Tensors fill the data without a gap, so that nothing can hide between them, and never share bytes. */
static enum status check_spans(struct summary *s, struct error *err)
{
    int64_t at = 0;
    qsort(s->spans, s->count, sizeof *s->spans, by_begin);
    for (size_t i = 0; i < s->count; i++) {
        if (s->spans[i].begin != at)
            return fail(err, INVALID, NULL, "The tensors' data overlap or leave a gap at byte %lld", (long long)at);
        at = s->spans[i].end;
    }
    return OK;
}

static enum status add_tensors(struct summary *s, const json_t *header, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)header, name, value)
        TRY(strcmp(name, "__metadata__") == 0 ? check_metadata(value, err) : add_tensor(s, name, value, err));
    return check_spans(s, err);
}

static void write_summary(const struct summary *s, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key(&w, "parameters");
    jw_object(&w);
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (s->elements[i])
            jw_key_int(&w, dtypes[i].name, s->elements[i]);
    jw_end(&w);
    jw_key_int(&w, "total", s->total);
    jw_key_int(&w, "tensors", (int64_t)s->count);
    jw_end(&w);
}

enum status safetensors_summary(struct str header, struct buf *out, struct error *err)
{
    auto_json json_t *root = NULL;
    struct summary s = {0};
    TRY(json_read(header, SAFETENSORS_HEADER_LIMIT, &root, err));
    if (!json_is_object(root))
        return fail(err, INVALID, NULL, "The header is not a JSON object");
    s.spans = calloc(json_object_size(root) + 1, sizeof *s.spans);
    if (!s.spans)
        return fail(err, INTERNAL, NULL, "Out of memory for %zu tensors", json_object_size(root));
    enum status status = add_tensors(&s, root, err);
    if (status == OK)
        write_summary(&s, out);
    free(s.spans);
    return status;
}

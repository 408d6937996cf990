/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/form.h"
#include "base/json.h"
#include <string.h>

enum kind { OTHER, HALF, BRAIN, SINGLE, DOUBLE };

static enum kind kind_of(unsigned dtype)
{
    static const struct {
        const char *name;
        enum kind kind;
    } kinds[] = {{"F16", HALF}, {"BF16", BRAIN}, {"F32", SINGLE}, {"F64", DOUBLE}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(tensor_dtype_name(dtype), kinds[i].name) == 0)
            return kinds[i].kind;
    return OTHER;
}

bool form_has(unsigned dtype)
{
    return kind_of(dtype) != OTHER;
}

bool form_leaves_out(unsigned dtype)
{
    const char *name = tensor_dtype_name(dtype);
    return name[0] == 'I' || name[0] == 'U' || strcmp(name, "BOOL") == 0;
}

bool form_is_needed(const struct tensor_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (kind_of(list->items[i].dtype) != SINGLE)
            return true;
    return false;
}

size_t form_size(unsigned dtype)
{
    enum kind kind = kind_of(dtype);
    return kind == DOUBLE ? 8 : kind == SINGLE ? 4 : 2;
}

static void write_tensor(const struct tensor *tensor, int64_t at, struct json_writer *w)
{
    jw_key(w, "dtype");
    jw_str(w, STR("F32"));
    jw_key(w, "shape");
    jw_array(w);
    for (size_t k = 0; k < tensor->dimensions; k++)
        jw_int(w, tensor->shape[k]);
    jw_end(w);
    jw_key(w, "data_offsets");
    jw_array(w);
    jw_int(w, at);
    jw_int(w, at + tensor->elements * (int64_t)sizeof(float));
    jw_end(w);
}

void form_head(const struct tensor_list *list, struct buf *out)
{
    auto_buf struct buf header = {0};
    struct json_writer w = jw_to(&header);
    auto_buf struct buf name = {0};
    int64_t at = 0;
    jw_object(&w);
    for (size_t i = 0; i < list->count; i++) {
        const struct tensor *tensor = &list->items[i];
        if (!form_has(tensor->dtype))
            continue;
        name.len = 0;
        buf_str(&name, tensor->name);
        buf_byte(&name, '\0');
        jw_key(&w, name.data);
        jw_object(&w);
        write_tensor(tensor, at, &w);
        jw_end(&w);
        at += tensor->elements * (int64_t)sizeof(float);
    }
    jw_end(&w);
    while (header.len % 8) /* numbers begin where they are aligned */
        buf_byte(&header, ' ');
    for (int i = 0; i < 8; i++)
        buf_byte(out, (char)((uint64_t)header.len >> (8 * i)));
    buf_str(out, buf_view(&header));
}

/* Numbers. */

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction / 16777216.0f; /* fraction * 2^-24, exactly */
    return from_bits(sign | bits_of(small));
}

/* value without its low bits: to the nearest, of two as near the even one. */
static uint32_t round_off(uint32_t value, unsigned low)
{
    uint32_t rest = value & ((1u << low) - 1), half = 1u << (low - 1), kept = value >> low;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

static uint16_t float_to_half(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x47800000) /* 2^16 and beyond */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude >= 0x38800000) /* 2^-14: a normal number; a carry goes into the exponent, up to infinity */
        return (uint16_t)(sign | round_off(magnitude - (112u << 23), 13));
    unsigned exponent = magnitude >> 23;
    if (exponent < 102) /* below half of the least */
        return (uint16_t)sign;
    return (uint16_t)(sign | round_off((magnitude & 0x7fffff) | 0x800000, 126 - exponent));
}

static uint16_t float_to_brain(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)round_off(bits, 16);
}

void form_widen(unsigned dtype, const void *from, float *to, size_t count)
{
    enum kind kind = kind_of(dtype);
    const char *at = from;
    for (size_t i = 0; i < count; i++, at += form_size(dtype)) {
        uint16_t half;
        double wide;
        memcpy(&half, at, sizeof half);
        if (kind == HALF)
            to[i] = half_to_float(half);
        else if (kind == BRAIN)
            to[i] = from_bits((uint32_t)half << 16);
        else if (kind == SINGLE)
            memcpy(&to[i], at, sizeof to[i]);
        else {
            memcpy(&wide, at, sizeof wide);
            to[i] = (float)wide;
        }
    }
}

void form_narrow(unsigned dtype, const float *from, void *to, size_t count)
{
    enum kind kind = kind_of(dtype);
    char *at = to;
    for (size_t i = 0; i < count; i++, at += form_size(dtype)) {
        uint16_t half = kind == HALF ? float_to_half(from[i]) : float_to_brain(from[i]);
        double wide = (double)from[i];
        if (kind == SINGLE)
            memcpy(at, &from[i], sizeof from[i]);
        else if (kind == DOUBLE)
            memcpy(at, &wide, sizeof wide);
        else
            memcpy(at, &half, sizeof half);
    }
}

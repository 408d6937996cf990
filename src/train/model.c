/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "train/internal.h"
#include <math.h>
#include <stdlib.h>

void model_free(struct model *model)
{
    buf_free(&model->bytes);
    buf_free(&model->values);
}

static enum status read_tensor(char *values, struct arena *arena, const struct tensor *from, struct cairn_tensor *out,
                               struct error *err)
{
    if (memchr(from->name.data, 0, from->name.len))
        return fail(err, INVALID, NULL, "The name of a tensor has a NUL in it.");
    *out = (struct cairn_tensor){.name = arena_cstr(arena, from->name),
                                 .shape = from->shape,
                                 .dimensions = from->dimensions,
                                 .values = (float *)(values + from->begin),
                                 .count = (size_t)from->elements};
    return OK;
}

static enum status read_header(struct model *model, struct arena *arena, struct error *err)
{
    int64_t len;
    struct str bytes = buf_view(&model->bytes);
    if (bytes.len < 8)
        return fail(err, INVALID, NULL, "The model is too short for a safetensors file.");
    TRY(tensor_header_size((const uint8_t *)bytes.data, &len, err));
    if (len > (int64_t)bytes.len - 8)
        return fail(err, INVALID, NULL, "The model's header is longer than its file.");
    model->data_at = 8 + (size_t)len;
    TRY(tensor_header_parse(arena, str_slice(bytes, 8, (size_t)len), &model->list, err));
    if (model->list.bytes != (int64_t)(bytes.len - model->data_at))
        return fail(err, INVALID, NULL, "The model's tensors and its bytes do not fit together.");
    return OK;
}

/* Puts the model's form in its place. */
static void take_form(struct model *model)
{
    struct buf form = {0};
    form_head(&model->list, &form);
    for (size_t i = 0; i < model->list.count; i++) {
        const struct tensor *tensor = &model->list.items[i];
        if (!form_has(tensor->dtype))
            continue;
        auto_buf struct buf wide = {0};
        buf_reserve(&wide, (size_t)tensor->elements * sizeof(float) + 1);
        form_widen(tensor->dtype, model->bytes.data + model->data_at + tensor->begin, (float *)wide.data,
                   (size_t)tensor->elements);
        buf_add(&form, wide.data, (size_t)tensor->elements * sizeof(float));
    }
    buf_free(&model->bytes);
    model->bytes = form;
}

/* Those of the file, if they may be changed and stand where floats can. */
static char *values_of(struct model *model, bool keeps)
{
    if (!keeps && model->data_at % _Alignof(float) == 0)
        return model->bytes.data + model->data_at;
    struct str values = str_from(buf_view(&model->bytes), model->data_at);
    buf_reserve(&model->values, values.len + 1);
    buf_str(&model->values, values);
    return model->values.data;
}

enum status model_read(struct model *model, struct arena *arena, bool keeps, struct error *err)
{
    TRY(read_header(model, arena, err));
    for (size_t i = 0; i < model->list.count; i++)
        if (!form_has(model->list.items[i].dtype) && !form_leaves_out(model->list.items[i].dtype))
            return fail(err, INVALID, NULL, "The model's tensor \"%.*s\" is of %s, which cannot be trained.",
                        STR_ARG(str_slice(model->list.items[i].name, 0, 100)),
                        tensor_dtype_name(model->list.items[i].dtype));
    if (form_is_needed(&model->list)) {
        take_form(model);
        TRY(read_header(model, arena, err));
    }
    char *values = values_of(model, keeps);
    model->tensors = arena_array(arena, model->list.count, sizeof *model->tensors);
    for (size_t i = 0; i < model->list.count; i++)
        TRY(read_tensor(values, arena, &model->list.items[i], &model->tensors[i], err));
    return OK;
}

static bool same_layout(const struct model *model, const struct cairn_trained *trained)
{
    if (trained->count != model->list.count)
        return false;
    for (size_t i = 0; i < trained->count; i++) {
        const struct cairn_tensor *a = &trained->tensors[i], *b = &model->tensors[i];
        if (strcmp(a->name, b->name) != 0 || a->dimensions != b->dimensions || a->count != b->count ||
            (a->dimensions && memcmp(a->shape, b->shape, a->dimensions * sizeof *a->shape) != 0))
            return false;
    }
    return true;
}

bool model_flatten(const struct model *model, const struct cairn_trained *trained, char *out)
{
    if (!same_layout(model, trained))
        return false;
    for (size_t i = 0; i < trained->count; i++)
        memcpy(out + model->list.items[i].begin, trained->tensors[i].values, trained->tensors[i].count * sizeof(float));
    return true;
}

enum status model_change(const struct model *model, const struct cairn_trained *trained, float *out, struct error *err)
{
    size_t count = (model->bytes.len - model->data_at) / sizeof *out;
    if (trained->examples < 1)
        return fail(err, INVALID, NULL, "Training must say with how many examples it was done, at least 1.");
    if (!model_flatten(model, trained, (char *)out))
        return fail(err, UNPROCESSABLE, NULL, "The trained tensors are not the model's, by name and shape.");
    for (size_t i = 0; i < count; i++) {
        float base;
        memcpy(&base, model->bytes.data + model->data_at + i * sizeof base, sizeof base);
        out[i] -= base;
    }
    return OK;
}

/* The model's numbers stand where its header ends, aligned or not. */
static double number(const char *bytes, size_t i)
{
    float value;
    memcpy(&value, bytes + i * sizeof value, sizeof value);
    return (double)value;
}

static double norm_of(const char *values, const char *model, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)(float)(number(values, i) - number(model, i));
        squares += difference * difference;
    }
    return sqrt(squares);
}

/* In float32 the norm may come out a little above the bound, so it is measured again. */
void model_draw_back(char *values, const char *model, size_t count, double bound)
{
    for (int again = 0; again < 8; again++) {
        double norm = norm_of(values, model, count);
        if (!(norm > bound) || !isfinite(norm))
            return;
        double scale = bound / norm * (again ? 1 - 1e-6 : 1);
        for (size_t i = 0; i < count; i++) {
            double base = number(model, i);
            float value = (float)(base + (number(values, i) - base) * scale);
            memcpy(values + i * sizeof value, &value, sizeof value);
        }
    }
}

void tensors_write(const struct cairn_tensor *tensors, size_t count, struct buf *out)
{
    auto_buf struct buf header = {0};
    struct json_writer w = jw_to(&header);
    uint64_t at = 0, len;
    jw_object(&w);
    for (size_t i = 0; i < count; i++) {
        const struct cairn_tensor *tensor = &tensors[i];
        jw_key(&w, tensor->name);
        jw_object(&w);
        jw_key_str(&w, "dtype", STR("F32"));
        jw_key(&w, "shape");
        jw_array(&w);
        for (size_t k = 0; k < tensor->dimensions; k++)
            jw_int(&w, tensor->shape[k]);
        jw_end(&w);
        jw_key(&w, "data_offsets");
        jw_array(&w);
        jw_int(&w, (int64_t)at);
        at += tensor->count * sizeof(float);
        jw_int(&w, (int64_t)at);
        jw_end(&w);
        jw_end(&w);
    }
    jw_end(&w);
    len = header.len;
    for (int i = 0; i < 8; i++)
        buf_byte(out, (char)(len >> (8 * i)));
    buf_str(out, buf_view(&header));
    for (size_t i = 0; i < count; i++)
        buf_add(out, tensors[i].values, tensors[i].count * sizeof(float));
}

enum status model_write(const struct model *model, const struct cairn_trained *trained, double bound, struct buf *out,
                        struct error *err)
{
    if (trained->examples < 1)
        return fail(err, INVALID, NULL, "Training must say with how many examples it was done, at least 1.");
    if (!same_layout(model, trained)) { /* the hub says what is wrong with it */
        tensors_write(trained->tensors, trained->count, out);
        return OK;
    }
    size_t numbers = (model->bytes.len - model->data_at) / sizeof(float);
    buf_reserve(out, model->bytes.len + 1);
    memcpy(out->data, model->bytes.data, model->data_at);
    model_flatten(model, trained, out->data + model->data_at);
    out->len = model->bytes.len;
    if (bound > 0)
        model_draw_back(out->data + model->data_at, model->bytes.data + model->data_at, numbers, bound);
    return OK;
}

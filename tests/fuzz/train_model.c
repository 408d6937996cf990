/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A model as a hub may send it to a participant: what is read is written again as it was, and drawn back to a bound without a crash. */
#include "train/internal.h"
#include <assert.h>

static void read_and_write(const uint8_t *data, size_t size, bool keeps)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf same = {0}, near = {0};
    struct model model = {0};
    struct error err = {0};
    buf_add(&model.bytes, data, size);
    if (model_read(&model, &arena, keeps, &err) == OK) {
        const struct cairn_trained trained = {model.tensors, model.list.count, 1};
        assert(model_write(&model, &trained, 0, &same, &err) == OK);
        assert(str_eq(buf_view(&same), buf_view(&model.bytes)));
        for (size_t i = 0; i < trained.count; i++)
            for (size_t j = 0; j < trained.tensors[i].count; j++)
                trained.tensors[i].values[j] += 1;
        assert(!keeps || str_eq(buf_view(&same), buf_view(&model.bytes)));
        assert(model_write(&model, &trained, keeps ? 0.5 : 0, &near, &err) == OK && near.len == model.bytes.len);
    } else {
        assert(err.message[0]);
    }
    model_free(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write(data, size, true);
    read_and_write(data, size, false);
    return 0;
}

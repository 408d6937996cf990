/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The head of a numpy array: what is understood, written anew, is understood the same. */
#include "fleet/npy.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy npy, again;
    struct error err = {0};
    auto_buf struct buf out = {0};
    if (npy_read((struct str){(const char *)data, size}, &npy, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    assert(npy.head <= size && npy.dimensions <= NPY_DIMENSIONS);
    const struct tensor tensor = {.shape = npy.shape, .dimensions = npy.dimensions};
    npy_write(&tensor, &out);
    assert(npy_read(buf_view(&out), &again, &err) == OK && again.width == 4 && !again.columns);
    assert(again.dimensions == npy.dimensions &&
           memcmp(again.shape, npy.shape, npy.dimensions * sizeof *npy.shape) == 0);
    return 0;
}

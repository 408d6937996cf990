/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The header of a safetensors file: what comes out is small and valid JSON, or an error with words. */
#include "base/json.h"
#include "scan/safetensors.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf out = {0};
    auto_json json_t *summary = NULL;
    struct error err = {0};
    if (safetensors_summary((struct str){(const char *)data, size}, &out, &err) != OK) {
        assert(err.message[0] && out.len == 0);
        return 0;
    }
    assert(out.len < 4096 && json_read(buf_view(&out), 4096, &summary, NULL) == OK);
    assert(json_get_int(summary, "total", -1) >= 0 && json_get_int(summary, "tensors", -1) >= 0);
    return 0;
}

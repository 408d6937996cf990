/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes with a proof: what is read comes out the same when it is written and read again. */
#include "leaf/extra.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf first = {0}, second = {0};
    struct error err = {0};
    struct extra extra, again;
    if (extra_parse(&arena, (struct str){(const char *)data, size}, &extra, &err) != OK) {
        assert(err.message[0]);
        return 0;
    }
    extra_write(&arena, &extra, &first);
    if (extra_parse(&arena, buf_view(&first), &again, &err) != OK) {
        assert(err.status == TOO_LARGE); /* escapes can be longer than what they stand for */
        return 0;
    }
    extra_write(&arena, &again, &second);
    assert(str_eq(buf_view(&first), buf_view(&second)));
    return 0;
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* A round's configuration, as a client or a house gets it: what is read is written again as something that reads the same. */
#include "pact/config.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf once = {0}, twice = {0};
    struct pact pact, again;
    struct pine pine;
    struct error err = {0};
    uint8_t ctx[SHA256_SIZE] = {0};
    if (pact_read(&arena, (struct str){(const char *)data, size}, &pact, &err) != OK) {
        assert((err.status == INVALID || err.status == TOO_LARGE) && err.message[0]);
        return 0;
    }
    pact_pine(&pact, ctx, &pine, &err);
    pact_check_sizes(pact.minimum, pact.bucket, pact.noise > 0, &err);
    pact_write(&pact, &once);
    assert(pact_read(&arena, buf_view(&once), &again, &err) == OK);
    pact_write(&again, &twice);
    assert(str_eq(buf_view(&once), buf_view(&twice)));
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Address ranges come from people and the address of a client through proxies: what is taken reads back as the same. */
#include "base/network.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct network range, again;
    char text[NETWORK_TEXT];
    if (!network_parse((struct str){data ? (const char *)data : "", size}, &range))
        return 0;
    assert(range.bits <= 128 && network_has(&range, &range));
    struct str written = network_text(&range, text);
    assert(network_parse(written, &again));
    assert(memcmp(range.bytes, again.bytes, sizeof range.bytes) == 0 && range.bits == again.bits);
    struct network around = network_around(&range);
    assert(around.bits > range.bits || network_has(&around, &range));
    return 0;
}

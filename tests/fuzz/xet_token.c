/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any text as a token of the CAS: what is read is all of it, and what is not read changes nothing. */
#include "xet/token.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct module *const modules[] = {NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, rest = text, part;
    struct xet_token token, untouched;
    memset(&token, 0xa5, sizeof token);
    memcpy(&untouched, &token, sizeof token);
    if (!xet_token_read(text, &token)) {
        assert(memcmp(&untouched, &token, sizeof token) == 0);
        return 0;
    }
    assert(str_starts(text, token.write ? STR("xet1.w.") : STR("xet1.")));
    for (int i = 0; i < 5; i++)
        assert(str_cut(&rest, '.', &part));
    return 0;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A masked vector as a participant sends it: width, count, then the packed numbers. What is read is, packed again, what it was. */
#include "mask/mask.h"
#include "mask/shamir.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t numbers[256];
    uint8_t again[1024], secret[8];
    struct error err = {0};
    if (size < 2)
        return 0;
    unsigned bits = data[0] % 32 + 1;
    struct str packed = {(const char *)data + 2, size - 2};
    if (mask_unpack(packed, data[1], bits, numbers, &err) == OK) {
        mask_pack(numbers, data[1], bits, again);
        assert(memcmp(again, packed.data, packed.len) == 0);
    } else {
        assert(err.message[0]);
    }
    /* The same bytes as shares of 8 bytes, each with its x before it. */
    uint8_t shares[16 * 8], xs[16];
    unsigned count = 0;
    for (size_t at = 0; at + 9 <= size && count < 16; at += 9, count++) {
        xs[count] = data[at];
        memcpy(shares + 8 * count, data + at + 1, 8);
    }
    assert(shamir_combine(shares, xs, count, sizeof secret, secret, &err) == OK || err.message[0]);
    return 0;
}

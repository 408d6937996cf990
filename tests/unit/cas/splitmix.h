/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_CAS_SPLITMIX_H
#define CAIRN_TESTS_CAS_SPLITMIX_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* SplitMix64: the stream that the vectors of xet-protocol 4 are made of, and the tests' source of chance. */
__attribute__((unused)) static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

__attribute__((unused)) static void splitmix_fill(uint64_t seed, uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = htole64(splitmix(&seed));
        memcpy(out + at, &word, len - at < 8 ? len - at : 8);
    }
}

#endif

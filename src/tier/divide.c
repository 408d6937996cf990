/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/divide.h"
#include <stdlib.h>

static void draw_lot(struct wish *wish, const uint8_t seed[SHA256_SIZE])
{
    uint8_t text[SHA256_SIZE + 8];
    memcpy(text, seed, SHA256_SIZE);
    for (int i = 0; i < 8; i++)
        text[SHA256_SIZE + i] = (uint8_t)((uint64_t)wish->account_id >> (56 - 8 * i));
    sha256((struct str){(const char *)text, sizeof text}, wish->lot);
}

static int by_band_and_lot(const void *a, const void *b)
{
    const struct wish *one = a, *other = b;
    if (one->band != other->band)
        return one->band < other->band ? -1 : 1;
    return memcmp(one->lot, other->lot, SHA256_SIZE);
}

static void give(struct wish *wish, int64_t upto, int64_t *left)
{
    int64_t most = wish->wants < upto ? wish->wants : upto, more = most - wish->given;
    more = more > *left ? *left : more;
    if (more <= 0)
        return;
    wish->given += more;
    *left -= more;
}

int64_t pool_divide(struct wish *wishes, size_t count, int64_t budget, int64_t least, const uint8_t seed[SHA256_SIZE])
{
    int64_t left = budget;
    for (size_t i = 0; i < count; i++) {
        wishes[i].given = 0;
        draw_lot(&wishes[i], seed);
    }
    if (count)
        qsort(wishes, count, sizeof *wishes, by_band_and_lot);
    for (size_t i = 0; i < count; i++)
        give(&wishes[i], least, &left);
    for (size_t i = 0; i < count; i++)
        give(&wishes[i], INT64_MAX, &left);
    return budget - left;
}

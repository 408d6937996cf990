/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_CAS_CUT_H
#define CAIRN_CAS_CUT_H

#include <stddef.h>
#include <stdint.h>

/* Where the chunks of a file end (xet-protocol 2.4): by a gear hash of the last 64 bytes, so that equal content gives equal
 * chunks wherever it stands. */
#define CHUNK_MIN 8192
#define CHUNK_MAX 131072

struct cutter {
    uint64_t gear;
    size_t size; /* of the chunk so far */
};               /* {0} at the start of a file */

/*
 * Returns how many of the len bytes at data belong to the chunk at hand when it ends within them (then the cutter begins the
 * next chunk), and 0 when it goes on behind them; they are then counted. len may be anything, also 0.
 */
size_t cutter_next(struct cutter *cutter, const uint8_t *data, size_t len);

#endif

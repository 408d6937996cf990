/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_DRAW_H
#define CAIRN_GATE_DRAW_H

#include "base/hash.h"
#include <stdbool.h>

/* Chance that cannot be steered: who is drawn for a case, and which cases get a second look (access.md C9.3 and C9.4). */

struct candidate {
    int64_t account_id;
    int64_t free;  /* how many more cases this person would take: the weight; nobody is drawn with none */
    bool had_them; /* has judged this applicant before: only when there is nobody else */
};

/* The place of who is drawn; count when nobody can be. random is 64 bits that nobody could foresee. */
size_t draw_pick(const struct candidate *candidates, size_t count, uint64_t random);

/*
 * Where a case lies among a million: floor(H * 1,000,000 / 2^64), H being the first 8 bytes, big-endian, of
 * SHA-256(seed, then "<request id>/<cycle>" in ASCII). It gets a second look when that is less than the rate in parts
 * per million. The seed's own SHA-256 is published before the month begins and the seed after it ends, so that nobody
 * can choose it to fit and everybody can recompute what it chose.
 */
int64_t draw_place(const uint8_t seed[SHA256_SIZE], int64_t request_id, int64_t cycle);

#endif

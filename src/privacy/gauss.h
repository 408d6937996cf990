/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PRIVACY_GAUSS_H
#define CAIRN_PRIVACY_GAUSS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Whole numbers from the discrete Gaussian distribution of mean 0 and standard deviation sigma, exactly: nothing but whole numbers
 * is computed with (Canonne, Kamath, Steinke 2020, algorithms 1 to 3). Noise in floating point would give away, by its last bits,
 * what it is to hide.
 *
 * The numbers follow from seed and stream alone: what is computed again is the same.
 */
#define GAUSS_SIGMA_MOST (INT64_C(1) << 28)

/* sigma is 1 to GAUSS_SIGMA_MOST. */
void gauss_fill(const uint8_t seed[32], uint64_t stream, int64_t sigma, int64_t *out, size_t count);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_ROBUST_KERNEL_H
#define CAIRN_ROBUST_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/*
 * The inner loops. They are compiled twice, for any processor and for those with AVX2 and FMA; both give the same bits, since
 * nothing is summed across coordinates but in four fixed lanes, and nothing is contracted (CMakeLists.txt) but products that are exact.
 * coarse_gram alone does not: who uses it has to see that no bits of the output hang on it.
 */
#define ROBUST_LANES 4
#define ROBUST_COARSE_LANES 8
#define ROBUST_TOGETHER 4 /* rows that are added at once */
#define ROBUST_TILE 128   /* coordinates that are sorted together */

struct comparator {
    uint16_t low, high; /* after it, the smaller value is in row low */
};

struct kernels {
    /* sum[j] += weight * values[j] */
    void (*add)(double *restrict sum, double weight, const float *restrict values, size_t count);
    /* The same of ROBUST_TOGETHER rows, one after the other, so that sums are loaded and stored once: values are stride apart. */
    void (*add_rows)(double *restrict sum, const double *weights, const float *restrict values, size_t stride,
                     size_t count);
    void (*subtract)(float *restrict values, const float *restrict origin, size_t count);
    void (*widen)(double *restrict out, const float *restrict values, size_t count);
    /* gram[i * n + j] += the product of rows i and j, which hold floats, for i <= j; count is a multiple of ROBUST_LANES. */
    void (*gram)(const double *rows, size_t n, size_t stride, size_t count, double *gram);
    /* The same of rows of floats, and in floats: each product that is added has been rounded count / ROBUST_COARSE_LANES + 3 times. count is
     * a multiple of those lanes. */
    void (*coarse_gram)(const float *rows, size_t n, size_t stride, size_t count, double *gram);
    /* Floats as integers of the same order, and back. */
    void (*to_keys)(int32_t *restrict out, const float *restrict values, size_t count);
    void (*from_keys)(float *restrict out, const int32_t *restrict keys, size_t count);
    /* Runs a network over rows of ROBUST_TILE keys each. */
    void (*sort)(int32_t *keys, const struct comparator *network, size_t count);
};
const struct kernels *kernels_choose(void);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef KERNELS /* kernel_avx2.c includes this file with another name */
#define KERNELS kernels_plain
#define CHOOSE
#endif
#include "robust/kernel.h"
#include <string.h>

typedef double lanes __attribute__((vector_size(ROBUST_LANES * sizeof(double)), aligned(8), may_alias));

static void add(double *restrict sum, double weight, const float *restrict values, size_t count)
{
    for (size_t j = 0; j < count; j++)
        sum[j] += weight * (double)values[j];
}

static void add_rows(double *restrict sum, const double *weights, const float *restrict values, size_t stride,
                     size_t count)
{
    const float *restrict a = values, *restrict b = a + stride, *restrict c = b + stride, *restrict d = c + stride;
    double wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];
    for (size_t j = 0; j < count; j++)
        sum[j] = (((sum[j] + wa * (double)a[j]) + wb * (double)b[j]) + wc * (double)c[j]) + wd * (double)d[j];
}

static void subtract(float *restrict values, const float *restrict origin, size_t count)
{
    for (size_t j = 0; j < count; j++)
        values[j] -= origin[j];
}

static void widen(double *restrict out, const float *restrict values, size_t count)
{
    for (size_t j = 0; j < count; j++)
        out[j] = (double)values[j];
}

/*
 * The product of two floats is exact as a double, so that it makes no difference to the bits whether it is rounded before it is
 * added. Loads are what the tiles wait for: KEEP has a value that is used twice loaded once.
 */
#ifdef __FMA__
#include <immintrin.h>
#define ADD_PRODUCT(sum, a, b) (sum) = (lanes)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(sum))
#define KEEP(v) __asm__("" : "+x"(v))
#else
#define ADD_PRODUCT(sum, a, b) (sum) += (a) * (b)
#define KEEP(v) ((void)(v))
#endif
#define LANE_SUM(v) (((v)[0] + (v)[1]) + ((v)[2] + (v)[3]))

/* Two rows by four: eight sums for six loads. Each pair has the same lanes and the same order of sums, whatever tile it is in. */
static void gram_tile(const double *a, const double *b, size_t stride, size_t count, double *out, size_t n)
{
    lanes s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s10 = {0}, s11 = {0}, s12 = {0}, s13 = {0};
    for (size_t k = 0; k < count; k += ROBUST_LANES) {
        lanes x = *(const lanes *)(a + k), y = *(const lanes *)(a + stride + k);
        lanes b0 = *(const lanes *)(b + k), b1 = *(const lanes *)(b + stride + k);
        lanes b2 = *(const lanes *)(b + 2 * stride + k), b3 = *(const lanes *)(b + 3 * stride + k);
        KEEP(b0);
        KEEP(b1);
        KEEP(b2);
        KEEP(b3);
        ADD_PRODUCT(s00, x, b0);
        ADD_PRODUCT(s01, x, b1);
        ADD_PRODUCT(s02, x, b2);
        ADD_PRODUCT(s03, x, b3);
        ADD_PRODUCT(s10, y, b0);
        ADD_PRODUCT(s11, y, b1);
        ADD_PRODUCT(s12, y, b2);
        ADD_PRODUCT(s13, y, b3);
    }
    out[0] += LANE_SUM(s00);
    out[1] += LANE_SUM(s01);
    out[2] += LANE_SUM(s02);
    out[3] += LANE_SUM(s03);
    out[n] += LANE_SUM(s10);
    out[n + 1] += LANE_SUM(s11);
    out[n + 2] += LANE_SUM(s12);
    out[n + 3] += LANE_SUM(s13);
}

/* Four rows among themselves: ten sums for four loads. */
static void gram_corner(const double *a, size_t stride, size_t count, double *out, size_t n)
{
    lanes s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s11 = {0}, s12 = {0}, s13 = {0}, s22 = {0}, s23 = {0}, s33 = {0};
    for (size_t k = 0; k < count; k += ROBUST_LANES) {
        lanes x = *(const lanes *)(a + k), y = *(const lanes *)(a + stride + k);
        lanes z = *(const lanes *)(a + 2 * stride + k), w = *(const lanes *)(a + 3 * stride + k);
        ADD_PRODUCT(s00, x, x);
        ADD_PRODUCT(s01, x, y);
        ADD_PRODUCT(s02, x, z);
        ADD_PRODUCT(s03, x, w);
        ADD_PRODUCT(s11, y, y);
        ADD_PRODUCT(s12, y, z);
        ADD_PRODUCT(s13, y, w);
        ADD_PRODUCT(s22, z, z);
        ADD_PRODUCT(s23, z, w);
        ADD_PRODUCT(s33, w, w);
    }
    out[0] += LANE_SUM(s00);
    out[1] += LANE_SUM(s01);
    out[2] += LANE_SUM(s02);
    out[3] += LANE_SUM(s03);
    out[n + 1] += LANE_SUM(s11);
    out[n + 2] += LANE_SUM(s12);
    out[n + 3] += LANE_SUM(s13);
    out[2 * n + 2] += LANE_SUM(s22);
    out[2 * n + 3] += LANE_SUM(s23);
    out[3 * n + 3] += LANE_SUM(s33);
}

static void gram_pair(const double *a, const double *b, size_t count, double *out)
{
    lanes sum = {0};
    for (size_t k = 0; k < count; k += ROBUST_LANES)
        ADD_PRODUCT(sum, *(const lanes *)(a + k), *(const lanes *)(b + k));
    *out += LANE_SUM(sum);
}

/* Corners along the diagonal, tiles to the right of them, and what is left over pair by pair. */
static void gram(const double *rows, size_t n, size_t stride, size_t count, double *out)
{
    size_t whole = n & ~(size_t)3;
    for (size_t i = 0; i < whole; i += 4) {
        gram_corner(rows + i * stride, stride, count, out + i * n + i, n);
        for (size_t row = i; row < i + 4; row += 2)
            for (size_t j = i + 4; j < whole; j += 4)
                gram_tile(rows + row * stride, rows + j * stride, stride, count, out + row * n + j, n);
    }
    for (size_t row = 0; row < n; row++)
        for (size_t column = row < whole ? whole : row; column < n; column++)
            gram_pair(rows + row * stride, rows + column * stride, count, out + row * n + column);
}

/* Those of negative numbers fall as their bits grow. Minus zero comes right before zero. */
static inline int32_t turn(int32_t bits)
{
    return bits ^ (int32_t)((uint32_t)(bits >> 31) >> 1);
}

static void to_keys(int32_t *restrict out, const float *restrict values, size_t count)
{
    memcpy(out, values, count * sizeof *out);
    for (size_t j = 0; j < count; j++)
        out[j] = turn(out[j]);
}

static void from_keys(float *restrict out, const int32_t *restrict keys, size_t count)
{
    int32_t *bits = (int32_t *)out;
    for (size_t j = 0; j < count; j++)
        bits[j] = turn(keys[j]);
}

static void sort(int32_t *keys, const struct comparator *network, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t *restrict low = keys + network[i].low * ROBUST_TILE;
        int32_t *restrict high = keys + network[i].high * ROBUST_TILE;
        for (size_t j = 0; j < ROBUST_TILE; j++) {
            int32_t a = low[j], b = high[j];
            low[j] = a < b ? a : b;
            high[j] = a < b ? b : a;
        }
    }
}

extern const struct kernels KERNELS;
const struct kernels KERNELS = {add, add_rows, subtract, widen, gram, to_keys, from_keys, sort};

#ifdef CHOOSE
const struct kernels *kernels_choose(void)
{
#ifdef __x86_64__
    extern const struct kernels kernels_avx2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kernels_avx2;
#endif
    return &kernels_plain;
}
#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef KERNELS /* kernel_avx2.c includes this file with another name */
#define KERNELS kernels_plain
#define CHOOSE
#endif
#include "robust/kernel.h"
#include <string.h>

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

#ifdef __FMA__
#include <immintrin.h>
#define KEEP(v) __asm__("" : "+x"(v))
#else
#define KEEP(v) ((void)(v))
#endif
#define JOIN(a, b) a##b

/* The product of two floats is exact as a double, so that it makes no difference to the bits whether it is rounded before it is added. */
typedef double doubles __attribute__((vector_size(ROBUST_LANES * sizeof(double)), aligned(8), may_alias));
#define NAME(what) JOIN(gram, what)
#define NUMBER double
#define LANES ROBUST_LANES
#define VECTOR doubles
#ifdef __FMA__
#define ADD_PRODUCT(sum, a, b) (sum) = (doubles)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(sum))
#else
#define ADD_PRODUCT(sum, a, b) (sum) += (a) * (b)
#endif
#define LANE_SUM(v) (((v)[0] + (v)[1]) + ((v)[2] + (v)[3]))
#include "robust/kernel_gram.h"
#undef NAME
#undef NUMBER
#undef LANES
#undef VECTOR
#undef ADD_PRODUCT
#undef LANE_SUM

/* As floats it does: these sums are as good on any processor, but not the same. */
typedef float floats __attribute__((vector_size(ROBUST_COARSE_LANES * sizeof(float)), aligned(4), may_alias));
#define NAME(what) JOIN(coarse_gram, what)
#define NUMBER float
#define LANES ROBUST_COARSE_LANES
#define VECTOR floats
#ifdef __FMA__
#define ADD_PRODUCT(sum, a, b) (sum) = (floats)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(sum))
#else
#define ADD_PRODUCT(sum, a, b) (sum) += (a) * (b)
#endif
#define LANE_SUM(v) (double)((((v)[0] + (v)[1]) + ((v)[2] + (v)[3])) + (((v)[4] + (v)[5]) + ((v)[6] + (v)[7])))
#include "robust/kernel_gram.h"

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
const struct kernels KERNELS = {add, add_rows, subtract, widen, gram, coarse_gram, to_keys, from_keys, sort};

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

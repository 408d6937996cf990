/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * Vectors and polynomials over the field of fe.h (a template file, like it). Values of a polynomial stand in natural order:
 * values[k] = f(w^k), w = fe_root(log n).
 */
#ifndef CAIRN_VDAF_NTT_H
#define CAIRN_VDAF_NTT_H

#include "vdaf/fe.h"
#include "vdaf/xof.h"
#include <openssl/crypto.h>
#include <stdlib.h>

/* Zeroed memory for count elements; fe_free() wipes it. Out of memory aborts. */
static inline fe *fe_room(size_t count)
{
    fe *room = calloc(count ? count : 1, sizeof *room);
    if (!room)
        abort();
    return room;
}

static inline void fe_free(fe *room, size_t count)
{
    if (room)
        OPENSSL_cleanse(room, count * sizeof *room);
    free(room);
}

static inline unsigned log_of(size_t n) /* n is a power of two */
{
    return (unsigned)__builtin_ctzll(n);
}

static inline size_t power_of_two(size_t n) /* the least that is at least n */
{
    return n <= 1 ? 1 : (size_t)1 << (64 - __builtin_clzll(n - 1));
}

/* Takes the next count elements from the output of xof: what is not below q is skipped. */
static inline void fe_expand(struct xof *xof, fe *out, size_t count)
{
    uint8_t bytes[512 * FE_SIZE];
    for (size_t got = 0; got < count;) {
        size_t part = count - got < 512 ? count - got : 512;
        xof_read(xof, bytes, part * FE_SIZE);
        for (size_t i = 0; i < part; i++)
            got += fe_read(bytes + i * FE_SIZE, &out[got]);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
}

static inline void fe_powers(fe *out, size_t count, fe first, fe base)
{
    for (size_t i = 0; i < count; i++, first = fe_mul(first, base))
        out[i] = first;
}

/*
 * Two transforms of lanes polynomials side by side: a[i * lanes + lane]. The first takes natural order to bit-reversed order,
 * the second goes the other way, so that a transform, a product by element and a transform back need no reordering.
 * roots: the n / 2 first powers of the root of unity of order n (of its inverse for the way back, which also wants 1 / n).
 */
static inline __attribute__((always_inline)) void ntt_reversing(fe *restrict a, size_t n, size_t lanes, const fe *roots)
{
    for (size_t half = n / 2, step = 1; half; half /= 2, step *= 2)
        for (size_t block = 0; block < n; block += 2 * half)
            for (size_t k = 0; k < half; k++) {
                fe root = roots[k * step], *low = a + (block + k) * lanes, *high = low + half * lanes;
                for (size_t lane = 0; lane < lanes; lane++) {
                    fe x = low[lane], y = high[lane];
                    low[lane] = fe_add(x, y);
                    high[lane] = fe_mul(fe_sub(x, y), root);
                }
            }
}

static inline __attribute__((always_inline)) void ntt_restoring(fe *restrict a, size_t n, size_t lanes, const fe *roots)
{
    for (size_t half = 1, step = n / 2; half < n; half *= 2, step /= 2)
        for (size_t block = 0; block < n; block += 2 * half)
            for (size_t k = 0; k < half; k++) {
                fe root = roots[k * step], *low = a + (block + k) * lanes, *high = low + half * lanes;
                for (size_t lane = 0; lane < lanes; lane++) {
                    fe x = low[lane], y = fe_mul(high[lane], root);
                    low[lane] = fe_add(x, y);
                    high[lane] = fe_sub(x, y);
                }
            }
}

static inline size_t reversed(size_t i, unsigned log)
{
    size_t r = 0;
    for (unsigned bit = 0; bit < log; bit++)
        r |= (i >> bit & 1) << (log - 1 - bit);
    return r;
}

static inline void fe_reorder(fe *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = reversed(i, log_of(n));
        if (i < j) {
            fe kept = a[i];
            a[i] = a[j];
            a[j] = kept;
        }
    }
}

/* Coefficients to values at the n roots of unity of order n, in place. */
static inline void poly_values(fe *a, size_t n)
{
    fe *roots = fe_room(n / 2);
    fe_powers(roots, n / 2, 1, fe_root(log_of(n)));
    fe_reorder(a, n);
    ntt_restoring(a, n, 1, roots);
    free(roots);
}

/* And back. */
static inline void poly_coefficients(fe *a, size_t n)
{
    fe *roots = fe_room(n / 2), scale = fe_inverse(fe_of(n));
    fe_powers(roots, n / 2, 1, fe_inverse(fe_root(log_of(n))));
    ntt_reversing(a, n, 1, roots);
    fe_reorder(a, n);
    for (size_t i = 0; i < n; i++)
        a[i] = fe_mul(a[i], scale);
    free(roots);
}

static inline fe poly_at(const fe *coefficients, size_t count, fe x)
{
    fe sum = 0;
    while (count)
        sum = fe_add(fe_mul(sum, x), coefficients[--count]);
    return sum;
}

/*
 * out[k] = the value at x of the polynomial of degree below n that is 1 at w^k and 0 at the other powers of w: what turns
 * values into the value at x. False when x is a power of w itself.
 *
 * It is (x^n - 1) / n * w^k / (x - w^k); the n inverses cost one, by way of the products of all that come before.
 */
static inline bool poly_lagrange(fe *out, size_t n, fe x)
{
    fe root = fe_root(log_of(n)), top = fe_sub(fe_pow(x, n), 1), power = 1, product = 1;
    if (top == 0)
        return false;
    for (size_t k = 0; k < n; k++, power = fe_mul(power, root)) {
        out[k] = product;
        product = fe_mul(product, fe_sub(x, power));
    }
    fe inverse = fe_inverse(product), back = fe_inverse(root), scale = fe_mul(top, fe_inverse(fe_of(n)));
    for (size_t k = n; k-- > 0;) {
        power = fe_mul(power, back);
        fe one = fe_mul(inverse, out[k]);
        inverse = fe_mul(inverse, fe_sub(x, power));
        out[k] = fe_mul(fe_mul(one, scale), power);
    }
    return true;
}

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * Elements of one prime field, for a file that defines FIELD_BITS as 32, 40, 64 or 128 before it includes this. All four
 * primes have the form 2^n - c 2^s + 1 (n = FIELD_BITS), so that what overflows n bits is folded back by 2^n = c 2^s - 1,
 * and a multiplicative subgroup of order 2^s, where polynomials are transformed.
 *
 * An element is always fully reduced. No function branches on a value or looks up by one: the client's secrets pass here.
 */
#ifndef CAIRN_VDAF_FE_H
#define CAIRN_VDAF_FE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef unsigned __int128 u128;

#if FIELD_BITS == 32
typedef uint32_t fe;
#define FE_FOLD 1u
#define FE_SHIFT 20
#define FE_GENERATOR 3925978153u
#elif FIELD_BITS == 40
typedef uint64_t fe;
#define FE_FOLD 21u
#define FE_SHIFT 20
#elif FIELD_BITS == 64
typedef uint64_t fe;
#define FE_FOLD 1u
#define FE_SHIFT 32
#elif FIELD_BITS == 128
typedef u128 fe;
#define FE_FOLD 7u
#define FE_SHIFT 66
#else
#error "FIELD_BITS is 32, 40, 64 or 128"
#endif

#define FE_SIZE (FIELD_BITS / 8)
/* 2^n mod q, and q itself: 2^n - FE_EXCESS. */
#define FE_EXCESS ((fe)(((fe)FE_FOLD << FE_SHIFT) - 1))
#if FIELD_BITS == 40
#define FE_MODULUS ((fe)(((fe)1 << 40) - FE_EXCESS))
#else
#define FE_MODULUS ((fe)((fe)0 - FE_EXCESS))
#endif

/* All ones when the condition holds. */
static inline fe fe_mask(bool condition)
{
    return (fe)0 - (fe)condition;
}

static inline fe fe_add(fe a, fe b)
{
    fe sum = (fe)(a + b);
#if FIELD_BITS == 40
    bool over = sum >= FE_MODULUS;
#else
    bool over = (sum < a) | (sum >= FE_MODULUS);
#endif
    return (fe)(sum - (FE_MODULUS & fe_mask(over)));
}

static inline fe fe_sub(fe a, fe b)
{
    return (fe)(a - b + (FE_MODULUS & fe_mask(a < b)));
}

static inline fe fe_neg(fe a)
{
    return fe_sub(0, a);
}

#if FIELD_BITS == 32
static inline fe fe_mul(fe a, fe b)
{
    uint64_t x = (uint64_t)a * b;
    x = (uint32_t)x + (x >> 32) * FE_EXCESS; /* < 2^53 */
    x = (uint32_t)x + (x >> 32) * FE_EXCESS; /* < 2^42 */
    x = (uint32_t)x + (x >> 32) * FE_EXCESS; /* < 2 q */
    return (fe)(x - (FE_MODULUS & (0 - (uint64_t)(x >= FE_MODULUS))));
}
#elif FIELD_BITS == 40
static inline fe fe_mul(fe a, fe b)
{
    const uint64_t low = ((uint64_t)1 << 40) - 1;
    u128 product = (u128)a * b;
    product = (product & low) + (product >> 40) * FE_EXCESS;                        /* < 2^66 */
    uint64_t x = ((uint64_t)product & low) + (uint64_t)(product >> 40) * FE_EXCESS; /* < 2^52 */
    x = (x & low) + (x >> 40) * FE_EXCESS;                                          /* < 2 q */
    return x - (FE_MODULUS & fe_mask(x >= FE_MODULUS));
}
#elif FIELD_BITS == 64
static inline fe fe_fold(u128 x)
{
    uint64_t low = (uint64_t)x, high = (uint64_t)(x >> 64), top = high >> 32;
    uint64_t sum = low - top; /* 2^96 = -1 */
    sum -= FE_EXCESS & fe_mask(low < top);
    uint64_t middle = (uint32_t)high * FE_EXCESS, whole = sum + middle;
    whole += FE_EXCESS & fe_mask(whole < middle);
    return whole - (FE_MODULUS & fe_mask(whole >= FE_MODULUS));
}
static inline fe fe_mul(fe a, fe b)
{
    return fe_fold((u128)a * b);
}
#else
static inline fe fe_mul(fe a, fe b)
{
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    u128 low = (u128)a0 * b0, cross = (u128)a0 * b1, other = (u128)a1 * b0, high = (u128)a1 * b1;
    cross += low >> 64;
    other += (uint64_t)cross;
    high += (cross >> 64) + (other >> 64);
    low = (other << 64) | (uint64_t)low;
    /* Each round takes high 2^128 to high (7 2^66 - 1): 128 bits, 69, 10, 1, none. */
    for (int round = 0; round < 4; round++) {
        u128 seven = high * FE_FOLD, carry = ((high >> 64) * FE_FOLD + (((u128)(uint64_t)high * FE_FOLD) >> 64)) >> 64;
        u128 next = (carry << FE_SHIFT) | (seven >> (128 - FE_SHIFT)), add = seven << FE_SHIFT, sum = low + add;
        next += sum < low;
        next -= sum < high;
        low = sum - high;
        high = next;
    }
    return low - (FE_MODULUS & fe_mask(low >= FE_MODULUS));
}
#endif

/* The exponent is public. */
static inline fe fe_pow(fe base, u128 exponent)
{
    fe result = 1;
    for (; exponent; exponent >>= 1, base = fe_mul(base, base))
        if (exponent & 1)
            result = fe_mul(result, base);
    return result;
}

static inline fe fe_inverse(fe a)
{
    return fe_pow(a, (u128)FE_MODULUS - 2);
}

static inline fe fe_of(uint64_t n) /* n below q */
{
    return (fe)n;
}

static inline fe fe_of_signed(int64_t n) /* |n| below q */
{
    fe magnitude = (fe)(n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    return fe_sub(magnitude & fe_mask(n >= 0), magnitude & fe_mask(n < 0));
}

/* Any 64-bit integer. */
static inline fe fe_of_wide(int64_t n)
{
    uint64_t magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
#if FIELD_BITS <= 40
    uint64_t low = (uint32_t)magnitude, high = magnitude >> 32; /* each is below 2 q */
    low -= FE_MODULUS & (0 - (uint64_t)(low >= FE_MODULUS));
    high -= FE_MODULUS & (0 - (uint64_t)(high >= FE_MODULUS));
    fe whole = fe_add((fe)low, fe_mul((fe)high, (fe)(((uint64_t)1 << 32) % FE_MODULUS)));
#else
    fe whole = (fe)magnitude; /* at most 2^63, which is below q */
#endif
    fe negated = fe_sub(0, whole);
    return (whole & fe_mask(n >= 0)) | (negated & fe_mask(n < 0));
}

/* A root of unity of order 2^log. */
static inline fe fe_root(unsigned log)
{
#ifdef FE_GENERATOR
    fe root = FE_GENERATOR;
#else
    fe root = fe_pow(7, ((u128)FE_MODULUS - 1) >> FE_SHIFT);
#endif
    return fe_pow(root, (u128)1 << (FE_SHIFT - log));
}

static inline void fe_write(uint8_t *out, fe a)
{
    for (int i = 0; i < FE_SIZE; i++)
        out[i] = (uint8_t)(a >> (8 * i));
}

/* False for what is no element: an encoding is of exactly one number below q. */
static inline bool fe_read(const uint8_t *in, fe *a)
{
    fe value = 0;
    for (int i = 0; i < FE_SIZE; i++)
        value |= (fe)in[i] << (8 * i);
    *a = value;
    return value < FE_MODULUS;
}

static inline void fe_write_all(uint8_t *out, const fe *a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fe_write(out + i * FE_SIZE, a[i]);
}

static inline bool fe_read_all(const uint8_t *in, fe *a, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++)
        good &= fe_read(in + i * FE_SIZE, &a[i]);
    return good;
}

/* Names that differ by field and by what the file is compiled for (FE_VARIANT), for what a template file gives to others. */
#ifndef FE_VARIANT
#define FE_VARIANT
#endif
#define FE_JOIN_(name, bits, variant) name##bits##variant
#define FE_JOIN(name, bits, variant) FE_JOIN_(name, bits, variant)
#define FE_NAME(name) FE_JOIN(name, FIELD_BITS, FE_VARIANT)

#endif

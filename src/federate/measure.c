/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/measure.h"
#include "base/buf.h"
#include "base/file.h"
#include <blake3.h>
#include <math.h>
#include <stdlib.h>

#define NUMBERS ((size_t)16 << 10) /* at once: so many of both stay near the processor */

/* Half a vector of floats widens to a whole one of doubles, on any processor that has these. */
typedef float floats __attribute__((vector_size(2 * sizeof(float)), aligned(4), may_alias));
typedef double doubles __attribute__((vector_size(2 * sizeof(double))));

static doubles differences(const float *values, const float *model)
{
    return __builtin_convertvector(*(const floats *)values - *(const floats *)model, doubles);
}

/* The squares of differences in float32, as the rules see them; in four sums, which need not wait for each other. Of numbers that are
 * none, or infinite, the sum is none, or infinite: those of finite ones are far from that as doubles. */
static double squares_of(const float *values, const float *model, size_t count)
{
    doubles low = {0}, high = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        doubles a = differences(values + i, model + i), b = differences(values + i + 2, model + i + 2);
        low += a * a;
        high += b * b;
    }
    double sums[4] = {low[0], low[1], high[0], high[1]};
    for (; i < count; i++) {
        float difference = values[i] - model[i];
        sums[i % 4] += (double)difference * (double)difference;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static size_t numbers_from(int64_t at, int64_t width)
{
    return width - at < (int64_t)NUMBERS ? (size_t)(width - at) : NUMBERS;
}

enum status measure(int fd, int64_t from, int model, int64_t model_at, int64_t width, double *norm, struct error *err)
{
    auto_buf struct buf room = {0};
    double squares = 0;
    buf_reserve(&room, 2 * NUMBERS * sizeof(float));
    float *values = (float *)room.data, *base = values + NUMBERS;
    memset(base, 0, NUMBERS * sizeof *base);
    for (int64_t at = 0; at < width; at += (int64_t)NUMBERS) {
        size_t size = numbers_from(at, width) * sizeof(float);
        TRY(pread_full(fd, values, size, from + at * (int64_t)sizeof(float), err));
        if (model >= 0)
            TRY(pread_full(model, base, size, model_at + at * (int64_t)sizeof(float), err));
        squares += squares_of(values, base, size / sizeof(float));
    }
    *norm = sqrt(squares);
    return OK;
}

/* As they come. */

struct sight {
    int model;
    struct str head;
    int64_t size, at; /* at: how many bytes have come */
    bool is_other;    /* than the model, but for its numbers */
    double squares;
    size_t held; /* bytes of a piece that is not complete yet */
    blake3_hasher hasher;
    float piece[NUMBERS], base[NUMBERS];
};

struct sight *sight_begin(int model, struct str head, int64_t size)
{
    struct sight *sight = malloc(sizeof *sight);
    if (!sight)
        abort();
    sight->model = model;
    sight->head = head;
    sight->size = size;
    sight->at = 0;
    sight->is_other = false;
    sight->squares = 0;
    sight->held = 0;
    blake3_hasher_init(&sight->hasher);
    return sight;
}

void sight_free(struct sight **sight)
{
    free(*sight);
    *sight = NULL;
}

/* A whole piece, or the last. */
static enum status add_piece(struct sight *sight, const void *numbers, size_t len, struct error *err)
{
    TRY(pread_full(sight->model, sight->base, len, sight->at, err));
    sight->squares += squares_of(numbers, sight->base, len / sizeof(float));
    sight->at += (int64_t)len;
    return OK;
}

static enum status add_numbers(struct sight *sight, const char *bytes, size_t len, struct error *err)
{
    while (len > 0) {
        int64_t left = sight->size - sight->at;
        size_t whole = left < (int64_t)sizeof sight->piece ? (size_t)left : sizeof sight->piece, taken = whole;
        if (sight->held == 0 && len >= whole && (uintptr_t)bytes % _Alignof(float) == 0) {
            TRY(add_piece(sight, bytes, whole, err));
        } else {
            taken = len < whole - sight->held ? len : whole - sight->held;
            memcpy((char *)sight->piece + sight->held, bytes, taken);
            sight->held += taken;
            if (sight->held == whole) {
                sight->held = 0;
                TRY(add_piece(sight, sight->piece, whole, err));
            }
        }
        bytes += taken;
        len -= taken;
    }
    return OK;
}

enum status sight_add(struct sight *sight, const void *bytes, size_t len, struct error *err)
{
    struct str rest = {bytes, len};
    blake3_hasher_update(&sight->hasher, bytes, len);
    if (sight->at < (int64_t)sight->head.len) {
        struct str part = str_slice(rest, 0, sight->head.len - (size_t)sight->at);
        sight->is_other |= memcmp(part.data, sight->head.data + sight->at, part.len) != 0;
        sight->at += (int64_t)part.len;
        rest = str_from(rest, part.len);
    }
    sight->is_other |= (int64_t)(rest.len + sight->held) > sight->size - sight->at;
    return sight->is_other ? OK : add_numbers(sight, rest.data, rest.len, err);
}

bool sight_end(struct sight *sight, struct sighting *out)
{
    blake3_hasher_finalize(&sight->hasher, out->digest, BLAKE3_SIZE);
    out->data_at = (int64_t)sight->head.len;
    out->norm = sqrt(sight->squares);
    return !sight->is_other && sight->at == sight->size;
}

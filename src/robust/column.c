/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/internal.h"
#include <stdlib.h>
#include <string.h>

/* The ranks that a rule looks at. */
static void ranks(const struct plan *plan, size_t *from, size_t *to)
{
    *from = 0;
    *to = plan->lines;
    if (plan->column == COLUMN_MEDIAN || plan->column == COLUMN_LOWER_MEDIAN) {
        *from = (plan->lines - 1) / 2;
        *to = plan->lines / 2 + 1;
    } else if (plan->column == COLUMN_MIDDLE) {
        *from = plan->low;
        *to = plan->high;
    }
}

void columns_start(struct columns *columns, const struct plan *plan, const struct kernels *kernels)
{
    size_t from, to;
    *columns = (struct columns){.plan = plan, .kernels = kernels};
    ranks(plan, &from, &to);
    network_make(plan->lines, from, to, &columns->network, &columns->comparators);
}

void columns_end(struct columns *columns)
{
    free(columns->network);
    columns->network = NULL;
}

static void mean_of_ranks(const struct columns *columns, const int32_t *keys, size_t from, size_t to, double *out)
{
    float values[ROBUST_TILE];
    memset(out, 0, ROBUST_TILE * sizeof *out);
    for (size_t rank = from; rank < to; rank++) {
        columns->kernels->from_keys(values, keys + rank * ROBUST_TILE, ROBUST_TILE);
        columns->kernels->add(out, 1, values, ROBUST_TILE);
    }
    for (size_t j = 0; j < ROBUST_TILE; j++)
        out[j] /= (double)(to - from);
}

/*
 * The nearest to the median are neighbours in rank. Of a run of them and the one that begins a rank higher, the higher is nearer where
 * the lowest of the one is farther than the highest of the other; that holds for lower runs and not for higher ones, so that to count
 * is to find.
 */
static void mean_of_nearest(const struct columns *columns, const int32_t *keys, double *out)
{
    const struct plan *plan = columns->plan;
    double median[ROBUST_TILE];
    float low[ROBUST_TILE], high[ROBUST_TILE];
    int32_t start[ROBUST_TILE] = {0};
    int32_t nearest = (int32_t)plan->nearest;
    mean_of_ranks(columns, keys, (plan->lines - 1) / 2, plan->lines / 2 + 1, median);
    for (size_t rank = 0; rank + plan->nearest < plan->lines; rank++) {
        columns->kernels->from_keys(low, keys + rank * ROBUST_TILE, ROBUST_TILE);
        columns->kernels->from_keys(high, keys + (rank + plan->nearest) * ROBUST_TILE, ROBUST_TILE);
        for (size_t j = 0; j < ROBUST_TILE; j++)
            start[j] += median[j] - (double)low[j] > (double)high[j] - median[j];
    }
    memset(out, 0, ROBUST_TILE * sizeof *out);
    for (int32_t rank = 0; rank < (int32_t)plan->lines; rank++) {
        columns->kernels->from_keys(low, keys + (size_t)rank * ROBUST_TILE, ROBUST_TILE);
        for (size_t j = 0; j < ROBUST_TILE; j++)
            out[j] += rank >= start[j] && rank < start[j] + nearest ? (double)low[j] : 0;
    }
    for (size_t j = 0; j < ROBUST_TILE; j++)
        out[j] /= (double)plan->nearest;
}

static void tile(const struct columns *columns, int32_t *keys, double *out)
{
    const struct plan *plan = columns->plan;
    size_t n = plan->lines;
    columns->kernels->sort(keys, columns->network, columns->comparators);
    switch (plan->column) {
    case COLUMN_LOWER_MEDIAN:
        mean_of_ranks(columns, keys, (n - 1) / 2, (n - 1) / 2 + 1, out);
        break;
    case COLUMN_MIDDLE:
        mean_of_ranks(columns, keys, plan->low, plan->high, out);
        break;
    case COLUMN_NEAREST:
        mean_of_nearest(columns, keys, out);
        break;
    default:
        mean_of_ranks(columns, keys, (n - 1) / 2, n / 2 + 1, out);
    }
}

void columns_run(const struct columns *columns, const float *lines, size_t stride, size_t count, int32_t *keys,
                 double *out)
{
    double values[ROBUST_TILE];
    for (size_t at = 0; at < count; at += ROBUST_TILE) {
        size_t width = count - at < ROBUST_TILE ? count - at : ROBUST_TILE;
        for (size_t line = 0; line < columns->plan->lines; line++) {
            int32_t *row = keys + line * ROBUST_TILE;
            columns->kernels->to_keys(row, lines + line * stride + at, width);
            memset(row + width, 0, (ROBUST_TILE - width) * sizeof *row);
        }
        tile(columns, keys, values);
        memcpy(out + at, values, width * sizeof *values);
    }
}

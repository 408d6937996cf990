/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "robust/internal.h"
#include <stdlib.h>
#include <string.h>

static void *array(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static bool is_by_gram(enum robust_rule rule)
{
    return rule >= ROBUST_GEOMETRIC_MEDIAN;
}

bool plan_wants_gram(const struct robust_how *how)
{
    return how->mix || is_by_gram(how->rule);
}

static size_t bucket_count(size_t n, size_t size)
{
    return size ? (n + size - 1) / size : n;
}

static enum status check_suspects(size_t n, const struct robust_how *how, struct error *err)
{
    size_t f = how->suspects;
    if (how->rule == ROBUST_BULYAN && n < 4 * f + 3)
        return fail(err, INVALID, NULL, "Bulyan with %zu suspects needs %zu updates; there are %zu.", f, 4 * f + 3, n);
    if (2 * f >= n)
        return fail(err, INVALID, NULL,
                    "A rule cannot withstand %zu suspects among %zu updates: it takes over twice as many.", f, n);
    if (how->rule == ROBUST_MULTI_KRUM && how->keep > n)
        return fail(err, INVALID, NULL, "Multi-Krum cannot keep %zu of %zu updates.", how->keep, n);
    return OK;
}

enum status plan_check(const struct robust_rows *rows, const struct robust_how *how, struct error *err)
{
    size_t most = plan_wants_gram(how) ? ROBUST_ROWS_MOST : ROBUST_COLUMN_MOST;
    if (rows->count == 0 || rows->count > most)
        return fail(err, INVALID, NULL, "There are %zu updates; this rule takes 1 to %zu.", rows->count, most);
    if (is_by_gram(how->rule) && how->rule != ROBUST_KRUM && how->rule != ROBUST_MULTI_KRUM &&
        how->rule != ROBUST_BULYAN && how->steps == 0)
        return fail(err, INVALID, NULL, "A rule that goes by steps needs at least one.");
    return check_suspects(bucket_count(rows->count, how->bucket), how, err);
}

/* matrix: lines * rows, each line the mean of the rows in its bucket. */
static double *make_buckets(const struct robust_rows *rows, const struct robust_how *how, size_t lines)
{
    size_t n = rows->count;
    double *matrix = array(lines * n, sizeof *matrix);
    for (size_t place = 0; place < n; place++) {
        size_t line = place / how->bucket, first = line * how->bucket;
        size_t size = n - first < how->bucket ? n - first : how->bucket;
        matrix[line * n + (how->order ? how->order[place] : place)] = 1 / (double)size;
    }
    return matrix;
}

/* out (a * c) = left (a * b) right (b * c) */
static double *multiply(const double *left, const double *right, size_t a, size_t b, size_t c)
{
    double *out = array(a * c, sizeof *out);
    for (size_t i = 0; i < a; i++)
        for (size_t k = 0; k < b; k++)
            if (left[i * b + k] != 0)
                for (size_t j = 0; j < c; j++)
                    out[i * c + j] += left[i * b + k] * right[k * c + j];
    return out;
}

/* The Gram matrix of lines that are made from rows by matrix. */
static double *gram_of_lines(const double *matrix, const double *gram, size_t lines, size_t n)
{
    double *half = multiply(matrix, gram, lines, n, n), *turned = array(n * lines, sizeof *turned);
    for (size_t i = 0; i < lines; i++)
        for (size_t j = 0; j < n; j++)
            turned[j * lines + i] = matrix[i * n + j];
    double *out = multiply(half, turned, lines, n, lines);
    free(half);
    free(turned);
    return out;
}

static double *copy(const double *values, size_t count)
{
    double *out = array(count, sizeof *out);
    memcpy(out, values, count * sizeof *out);
    return out;
}

/* Applies another step of lines on lines to a matrix, which is NULL as long as lines are rows. */
static void apply(double **matrix, double *step, size_t lines_after, size_t lines, size_t n)
{
    if (!*matrix) {
        *matrix = step;
        return;
    }
    double *product = multiply(step, *matrix, lines_after, lines, n);
    free(*matrix);
    free(step);
    *matrix = product;
}

/* The rules that end in one weighted sum. */
static double *make_weights(const struct robust_rows *rows, const struct robust_how *how, const double *gram,
                            size_t lines, bool lines_are_rows)
{
    double *weights = array(lines, sizeof *weights), total = 0;
    const double *given = lines_are_rows ? rows->weights : NULL;
    switch (how->rule) {
    case ROBUST_KRUM:
    case ROBUST_MULTI_KRUM:
        weigh_krum(gram, lines, how, given, weights);
        return weights;
    case ROBUST_GEOMETRIC_MEDIAN:
        weigh_geometric_median(gram, lines, how->nu, how->steps, weights);
        return weights;
    case ROBUST_CENTRED_CLIPPING:
        weigh_clipped(gram, lines, how->radius, how->steps, weights);
        return weights;
    default:
        for (size_t i = 0; i < lines; i++)
            total += given ? given[i] : 1;
        for (size_t i = 0; i < lines; i++)
            weights[i] = (given ? given[i] : 1) / total;
        return weights;
    }
}

static void pick_rows(struct plan *plan, size_t count)
{
    plan->lines = count;
    plan->pick = array(count, sizeof *plan->pick);
    for (size_t i = 0; i < count; i++)
        plan->pick[i] = i;
}

/* Bulyan chooses lines first: from rows or from what was made of them. */
static void choose_lines(struct plan *plan, const double *gram, size_t suspects, size_t lines)
{
    size_t wanted = lines - 2 * suspects;
    pick_rows(plan, wanted);
    choose_bulyan(gram, lines, suspects, plan->pick);
    plan->nearest = wanted - 2 * suspects;
    if (!plan->matrix)
        return;
    double *chosen = array(wanted * plan->rows, sizeof *chosen);
    for (size_t i = 0; i < wanted; i++)
        memcpy(chosen + i * plan->rows, plan->matrix + plan->pick[i] * plan->rows, plan->rows * sizeof *chosen);
    free(plan->matrix);
    plan->matrix = chosen;
}

static void decide(const struct robust_rows *rows, const struct robust_how *how, const double *gram, size_t lines,
                   struct plan *plan)
{
    plan->lines = lines;
    switch (how->rule) {
    case ROBUST_TRIMMED_MEAN:
        plan->column = COLUMN_MIDDLE;
        plan->low = how->suspects;
        plan->high = lines - how->suspects;
        break;
    case ROBUST_MEDIAN:
        plan->column = how->lower_median ? COLUMN_LOWER_MEDIAN : COLUMN_MEDIAN;
        break;
    case ROBUST_MEAMED:
        plan->column = COLUMN_NEAREST;
        plan->nearest = lines - how->suspects;
        break;
    case ROBUST_BULYAN:
        plan->column = COLUMN_NEAREST;
        choose_lines(plan, gram, how->suspects, lines);
        return;
    default:
        apply(&plan->matrix, make_weights(rows, how, gram, lines, plan->matrix == NULL), 1, lines, rows->count);
        plan->lines = 1;
        return;
    }
    if (!plan->matrix)
        pick_rows(plan, lines);
}

static void mark_used(struct plan *plan)
{
    plan->used = array(plan->rows, sizeof *plan->used);
    for (size_t i = 0; plan->matrix && i < plan->lines * plan->rows; i++)
        if (plan->matrix[i] != 0)
            plan->used[i % plan->rows] = true;
    for (size_t i = 0; !plan->matrix && i < plan->lines; i++)
        plan->used[plan->pick[i]] = true;
}

void plan_make(const struct robust_rows *rows, const struct robust_how *how, const double *gram, struct plan *out)
{
    size_t n = rows->count, lines = bucket_count(n, how->bucket);
    double *now = gram ? copy(gram, n * n) : NULL; /* of the lines as they are so far */
    *out = (struct plan){.rows = n, .column = COLUMN_SUM};
    if (how->bucket) {
        out->matrix = make_buckets(rows, how, lines);
        double *after = now ? gram_of_lines(out->matrix, now, lines, n) : NULL;
        free(now);
        now = after;
    }
    if (how->mix) {
        double *step = array(lines * lines, sizeof *step);
        mix_nearest(now, lines, how->suspects, step);
        double *after = gram_of_lines(step, now, lines, lines);
        free(now);
        now = after;
        apply(&out->matrix, step, lines, lines, n);
    }
    decide(rows, how, now, lines, out);
    mark_used(out);
    free(now);
}

void plan_free(struct plan *plan)
{
    free(plan->matrix);
    free(plan->pick);
    free(plan->used);
    *plan = (struct plan){0};
}

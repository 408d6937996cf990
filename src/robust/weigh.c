/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Rules in the space of n lines: all that they know of the values is the Gram matrix. */
#include "robust/internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *array(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        abort();
    return memory;
}

static double distance(const double *gram, size_t n, size_t i, size_t j)
{
    double squared = i == j ? 0 : gram[i * n + i] + gram[j * n + j] - 2 * gram[i * n + j];
    return squared > 0 ? squared : 0;
}

/* A line with its distance or its score; ties are broken by number, so that there is one order. */
struct ranked {
    double value;
    size_t line;
};

static int by_value(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

/* Scores of the lines that are in; squared distances to the nearest others are summed from the smallest on. Each is lengthened by that
 * share of the two squares. */
static size_t krum_scores(const double *gram, size_t n, const bool *out, size_t nearest, double share,
                          struct ranked *scores)
{
    struct ranked *others = array(n, sizeof *others);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t found = 0;
        if (out[i])
            continue;
        for (size_t j = 0; j < n; j++)
            if (j != i && !out[j])
                others[found++] =
                    (struct ranked){distance(gram, n, i, j) + share * (gram[i * n + i] + gram[j * n + j]), j};
        qsort(others, found, sizeof *others, by_value);
        double sum = 0;
        for (size_t k = 0; k < nearest && k < found; k++)
            sum += others[k].value;
        scores[count++] = (struct ranked){sum, i};
    }
    free(others);
    qsort(scores, count, sizeof *scores, by_value);
    return count;
}

/* Flower and the paper look at n - f - 2 others, and at one at least; byzfl at n - f - 1. */
static size_t krum_others(size_t n, size_t suspects, enum robust_convention convention)
{
    size_t less = suspects + (convention == ROBUST_BYZFL ? 1 : 2);
    return n > less + 1 ? n - less : 1;
}

static size_t krum_keep(size_t n, const struct robust_how *how)
{
    return how->rule == ROBUST_KRUM ? 1 : how->keep ? how->keep : n - how->suspects;
}

void weigh_krum(const double *gram, size_t n, const struct robust_how *how, const double *given, double *weights)
{
    struct ranked *scores = array(n, sizeof *scores);
    bool *out = array(n, sizeof *out);
    size_t keep = krum_keep(n, how);
    krum_scores(gram, n, out, krum_others(n, how->suspects, how->convention), 0, scores);
    bool weighs = given && how->rule == ROBUST_MULTI_KRUM && how->convention == ROBUST_FLOWER;
    double total = 0;
    memset(weights, 0, n * sizeof *weights);
    for (size_t k = 0; k < keep; k++)
        weights[scores[k].line] = weighs ? given[scores[k].line] : 1;
    for (size_t i = 0; i < n; i++)
        total += weights[i];
    for (size_t i = 0; i < n; i++)
        weights[i] /= total;
    free(scores);
    free(out);
}

/*
 * A distance is off by the errors of two squares and of twice a product, and no product's is above the mean of the two squares'. The sum
 * of the smallest of some numbers moves by no more than if each of them moved, in one direction: so a score is between the two that
 * are computed here, and a line that is kept stays it where its upper one is below the lower ones of all that are not.
 */
bool krum_is_sure(const double *gram, size_t n, const struct robust_how *how, double share, double rest)
{
    struct ranked *low = array(n, sizeof *low), *high = array(n, sizeof *high);
    bool *out = array(n, sizeof *out);
    size_t keep = krum_keep(n, how), nearest = krum_others(n, how->suspects, how->convention);
    double total = 0;
    for (size_t i = 0; i < n * n; i++)
        total += gram[i];
    bool sure = isfinite(total);
    if (sure && keep < n) {
        krum_scores(gram, n, out, nearest, -2 * share, low);
        krum_scores(gram, n, out, nearest, 2 * share, high);
        sure = low[keep].value - high[keep - 1].value > 8 * (double)nearest * rest;
    }
    free(low);
    free(high);
    free(out);
    return sure;
}

static int by_number(const void *left, const void *right)
{
    const size_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

void choose_bulyan(const double *gram, size_t n, size_t suspects, size_t *chosen)
{
    struct ranked *scores = array(n, sizeof *scores);
    bool *out = array(n, sizeof *out);
    size_t wanted = n - 2 * suspects;
    for (size_t k = 0; k < wanted; k++) {
        krum_scores(gram, n, out, krum_others(n - k, suspects, ROBUST_FLOWER), 0, scores);
        chosen[k] = scores[0].line;
        out[chosen[k]] = true;
    }
    qsort(chosen, wanted, sizeof *chosen, by_number);
    free(scores);
    free(out);
}

void mix_nearest(const double *gram, size_t n, size_t suspects, double *matrix)
{
    struct ranked *all = array(n, sizeof *all);
    size_t keep = n - suspects;
    memset(matrix, 0, n * n * sizeof *matrix);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            all[j] = (struct ranked){distance(gram, n, i, j), j};
        qsort(all, n, sizeof *all, by_value);
        for (size_t k = 0; k < keep; k++)
            matrix[i * n + all[k].line] = 1 / (double)keep;
    }
    free(all);
}

/* How far each line is from the point that has these weights: the square of it is a sum over the Gram matrix. */
void weigh_distances(const double *gram, size_t n, const double *weights, double *out)
{
    double *dots = array(n, sizeof *dots), square = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            dots[i] += weights[j] * gram[i * n + j];
    for (size_t i = 0; i < n; i++)
        square += weights[i] * dots[i];
    for (size_t i = 0; i < n; i++) {
        double squared = gram[i * n + i] - 2 * dots[i] + square;
        out[i] = squared > 0 ? sqrt(squared) : 0;
    }
    free(dots);
}

void weigh_geometric_median(const double *gram, size_t n, double nu, unsigned steps, double *weights)
{
    double *distances = array(n, sizeof *distances);
    memset(weights, 0, n * sizeof *weights);
    for (unsigned step = 0; step < steps; step++) {
        double total = 0;
        weigh_distances(gram, n, weights, distances);
        for (size_t i = 0; i < n; i++) {
            weights[i] = 1 / (double)n / (distances[i] < nu ? nu : distances[i]);
            total += weights[i];
        }
        for (size_t i = 0; i < n; i++)
            weights[i] /= total;
    }
    free(distances);
}

void weigh_clipped(const double *gram, size_t n, double radius, unsigned steps, double *weights)
{
    double *factors = array(n, sizeof *factors);
    memset(weights, 0, n * sizeof *weights);
    for (unsigned step = 0; step < steps; step++) {
        double mean = 0;
        weigh_distances(gram, n, weights, factors);
        for (size_t i = 0; i < n; i++) {
            factors[i] = factors[i] > radius ? radius / factors[i] : 1;
            mean += factors[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++)
            weights[i] = weights[i] * (1 - mean) + factors[i] / (double)n;
    }
    free(factors);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/figures.h"
#include <assert.h>
#include <math.h>

#define Z_95 1.959963984540054

double figure_kappa(const int64_t *table, size_t categories)
{
    double n = 0, same = 0, by_chance = 0;
    for (size_t i = 0; i < categories * categories; i++)
        n += (double)table[i];
    for (size_t i = 0; i < categories; i++) {
        double row = 0, column = 0;
        for (size_t j = 0; j < categories; j++) {
            row += (double)table[i * categories + j];
            column += (double)table[j * categories + i];
        }
        same += (double)table[i * categories + i];
        by_chance += row * column;
    }
    if (n == 0 || by_chance == n * n)
        return NAN; /* both always said the same one thing: chance alone explains it */
    return (same / n - by_chance / (n * n)) / (1 - by_chance / (n * n));
}

struct coincidences {
    double of[FIGURE_CATEGORIES][FIGURE_CATEGORIES], each[FIGURE_CATEGORIES], all;
};

/* The pairs of values within one unit, each weighted so that a unit counts as often as it was judged. */
static void add_unit(struct coincidences *sum, const int8_t *values, size_t judges, size_t categories)
{
    int64_t counts[FIGURE_CATEGORIES] = {0}, total = 0;
    for (size_t i = 0; i < judges; i++)
        if (values[i] >= 0) {
            assert((size_t)values[i] < categories);
            counts[values[i]]++;
            total++;
        }
    if (total < 2)
        return; /* nothing to compare it with */
    for (size_t c = 0; c < categories; c++)
        for (size_t k = 0; k < categories; k++)
            sum->of[c][k] += (double)(counts[c] * (counts[k] - (c == k))) / (double)(total - 1);
    for (size_t c = 0; c < categories; c++)
        sum->each[c] += (double)counts[c];
    sum->all += (double)total;
}

/* How far apart two values are, squared. */
static double difference(const struct coincidences *sum, size_t c, size_t k, enum scale scale)
{
    if (c == k)
        return 0;
    if (scale == SCALE_NOMINAL)
        return 1;
    double between = -(sum->each[c] + sum->each[k]) / 2;
    for (size_t g = c < k ? c : k; g <= (c < k ? k : c); g++)
        between += sum->each[g];
    return between * between;
}

double figure_alpha(const int8_t *values, size_t units, size_t judges, size_t categories, enum scale scale)
{
    struct coincidences sum = {0};
    double seen = 0, expected = 0;
    assert(categories <= FIGURE_CATEGORIES);
    for (size_t i = 0; i < units; i++)
        add_unit(&sum, values + i * judges, judges, categories);
    for (size_t c = 0; c < categories; c++)
        for (size_t k = 0; k < categories; k++) {
            seen += sum.of[c][k] * difference(&sum, c, k, scale);
            expected += sum.each[c] * sum.each[k] * difference(&sum, c, k, scale);
        }
    return expected == 0 ? NAN : 1 - (sum.all - 1) * seen / expected;
}

bool figure_wilson(int64_t successes, int64_t cases, double *low, double *high)
{
    if (cases <= 0)
        return false;
    double n = (double)cases, p = (double)successes / n, zz = Z_95 * Z_95;
    double middle = (p + zz / (2 * n)) / (1 + zz / n);
    double half = Z_95 * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n);
    *low = successes == 0 ? 0 : middle - half;
    *high = successes == cases ? 1 : middle + half;
    return true;
}

int64_t figure_quantile(const int64_t *sorted, size_t count, int percent)
{
    if (count == 0)
        return 0;
    size_t rank = (count * (size_t)percent + 99) / 100;
    return sorted[rank ? rank - 1 : 0];
}

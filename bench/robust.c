/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The aggregation rules without a hub, for bench/robust.py and for the comparison with others' implementations
 * (tests/e2e/test_robust.py): rows from files, or all from one.
 *
 *   bench_robust rule=krum n=20 d=1000000 [f=4 keep=3 byzfl=1 lower=1 mix=1 bucket=2 order=2,0,1 nu=0.1 steps=3 radius=1
 *                weights=1,2,… threads=2 times=5] rows=FILE out=FILE
 *
 *   bench_robust optimiser=fedadam n=5 d=100 [rate=0.1 beta1=0.9 beta2=0.99 tau=0.001 flower=1] rows=FILE out=FILE
 *
 * Without out the output stays in memory. The second form takes each row as the change of one round, and gives what a model of zeros has become of by the last.
 * FILE has n * d float32; out gets d float64. Prints the milliseconds of the fastest of `times` runs.
 */
#include "robust/robust.h"
#include "base/file.h"
#include "base/time.h"
#include "robust/optimiser.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

struct files {
    int in, out;
    int64_t width;
    double *memory; /* where no out is named */
};

static enum status read_row(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err)
{
    const struct files *files = context;
    return pread_full(files->in, out, count * sizeof *out, ((int64_t)row * files->width + at) * (int64_t)sizeof *out,
                      err);
}

static enum status write_values(void *context, int64_t at, size_t count, const double *values, struct error *err)
{
    const struct files *files = context;
    if (files->memory) {
        memcpy(files->memory + at, values, count * sizeof *values);
        return OK;
    }
    return pwrite_full(files->out, values, count * sizeof *values, at * (int64_t)sizeof *values, err);
}

static const char *argument(int argc, char **argv, const char *name, const char *otherwise)
{
    size_t len = strlen(name);
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
            return argv[i] + len + 1;
    return otherwise;
}

static size_t number(int argc, char **argv, const char *name, const char *otherwise)
{
    return strtoull(argument(argc, argv, name, otherwise), NULL, 10);
}

static double real(int argc, char **argv, const char *name, double otherwise)
{
    const char *text = argument(argc, argv, name, NULL);
    return text ? atof(text) : otherwise;
}

static int run_rounds(int argc, char **argv, const struct robust_rows *rows, struct files *files,
                      struct optimiser *optimiser)
{
    size_t d = (size_t)rows->width;
    float *row = calloc(d, sizeof *row);
    double *values = calloc(4 * d, sizeof *values), *m = values + d, *v = m + d, *change = v + d;
    optimiser->rate = real(argc, argv, "rate", optimiser->rate);
    optimiser->beta1 = real(argc, argv, "beta1", optimiser->beta1);
    optimiser->beta2 = real(argc, argv, "beta2", optimiser->beta2);
    optimiser->tau = real(argc, argv, "tau", optimiser->tau);
    optimiser->flower = number(argc, argv, "flower", "0");
    for (size_t i = 0; i < d; i++)
        v[i] = optimiser_first_moment(optimiser);
    for (size_t round = 0; round < rows->count; round++) {
        if (read_row(files, round, 0, d, row, NULL) != OK)
            return 1;
        for (size_t i = 0; i < d; i++)
            change[i] = (double)row[i];
        optimiser_step(optimiser, (int64_t)round + 1, d, change, m, v);
        for (size_t i = 0; i < d; i++)
            values[i] += change[i];
    }
    int failed = write_values(files, 0, d, values, NULL) != OK;
    free(values);
    free(row);
    return failed;
}

int main(int argc, char **argv)
{
    struct optimiser optimiser;
    struct robust_how how = {.suspects = number(argc, argv, "f", "0"),
                             .keep = number(argc, argv, "keep", "0"),
                             .convention = number(argc, argv, "byzfl", "0") ? ROBUST_BYZFL : ROBUST_FLOWER,
                             .lower_median = number(argc, argv, "lower", "0"),
                             .mix = number(argc, argv, "mix", "0"),
                             .bucket = number(argc, argv, "bucket", "0"),
                             .nu = atof(argument(argc, argv, "nu", "0.1")),
                             .steps = (unsigned)number(argc, argv, "steps", "3"),
                             .radius = atof(argument(argc, argv, "radius", "1"))};
    struct files files = {.width = (int64_t)number(argc, argv, "d", "0")};
    struct robust_rows rows = {.count = number(argc, argv, "n", "0"),
                               .width = files.width,
                               .threads = (unsigned)number(argc, argv, "threads", "0"),
                               .read = read_row,
                               .context = &files};
    const struct robust_sink sink = {write_values, &files};
    const char *weights = argument(argc, argv, "weights", NULL), *order = argument(argc, argv, "order", NULL);
    files.in = open(argument(argc, argv, "rows", ""), O_RDONLY | O_CLOEXEC);
    if (argument(argc, argv, "out", NULL))
        files.out = open(argument(argc, argv, "out", ""), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    else
        files.memory = calloc((size_t)files.width + 1, sizeof *files.memory);
    if (optimiser_find(argument(argc, argv, "optimiser", ""), &optimiser))
        return run_rounds(argc, argv, &rows, &files, &optimiser);
    if (!robust_rule_find(argument(argc, argv, "rule", ""), &how.rule) || files.in < 0 || files.out < 0) {
        fprintf(stderr, "bench_robust: the rule or a file is missing\n");
        return 2;
    }
    double *weight = calloc(rows.count + 1, sizeof *weight);
    size_t *places = calloc(rows.count + 1, sizeof *places);
    for (size_t i = 0; weights && i < rows.count; i++, weights += *weights == ',')
        weight[i] = strtod(weights, (char **)&weights);
    for (size_t i = 0; order && i < rows.count; i++, order += *order == ',')
        places[i] = strtoull(order, (char **)&order, 10);
    rows.weights = argument(argc, argv, "weights", NULL) ? weight : NULL;
    how.order = argument(argc, argv, "order", NULL) ? places : NULL;
    int64_t best = INT64_MAX;
    for (size_t i = 0; i < number(argc, argv, "times", "1"); i++) {
        struct error err = {0};
        int64_t start = monotonic_us();
        if (robust_aggregate(&rows, &how, &sink, &err) != OK) {
            fprintf(stderr, "bench_robust: %s\n", err.message);
            return 1;
        }
        int64_t took = monotonic_us() - start;
        best = took < best ? took : best;
    }
    printf("%.3f\n", (double)best / 1000);
    free(files.memory);
    free(weight);
    free(places);
    return 0;
}

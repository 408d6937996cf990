/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_ROBUST_INTERNAL_H
#define CAIRN_ROBUST_INTERNAL_H

#include "robust/kernel.h"
#include "robust/robust.h"
#include <float.h>

/* What the files of this part share. */

/* Coordinates that are read at once, of each row: large pieces cost fewer calls, and small ones let many rows stay in memory. */
size_t robust_block(size_t rows);

/*
 * How the output comes from the rows, once a rule has been decided: lines are made of them, and of the lines' values in
 * each coordinate one number.
 */
enum column { COLUMN_SUM, COLUMN_MEDIAN, COLUMN_LOWER_MEDIAN, COLUMN_MIDDLE, COLUMN_NEAREST };

struct plan {
    size_t rows, lines;
    double *matrix; /* lines * rows; NULL: each line is a row, those of pick */
    size_t *pick;
    enum column column;
    size_t low, high; /* MIDDLE: the mean of these ranks, high excluded */
    size_t nearest;   /* NEAREST: how many */
    bool *used;       /* by row: it needs to be read */
};

/*
 * robust.c: the Gram matrix from products in float32, twice as fast: each of its numbers is off by no more than COARSE_REST * width, and
 * COARSE_SHARE of the sum of its products, each taken as positive; or it is not finite.
 *
 * A product that is added is rounded once in each step of its lane and three times where lanes are joined, by 2^-24 at most; what the
 * sums in doubles add, here and in robust_gram(), is less than one such. Below FLT_MIN a product may be lost.
 */
#define GRAM_PIECE 192 /* coordinates: those of twenty rows, as doubles, stay in the nearest cache */
#define COARSE_SHARE ((GRAM_PIECE / ROBUST_COARSE_LANES + 8) * 0x1p-24)
#define COARSE_REST ((double)FLT_MIN)
enum status coarse_gram(const struct robust_rows *rows, double *out, struct error *err);

/* plan.c. gram (the rows' own) may be NULL where plan_wants_gram() says no. */
bool plan_wants_gram(const struct robust_how *how);
enum status plan_check(const struct robust_rows *rows, const struct robust_how *how, struct error *err);
void plan_make(const struct robust_rows *rows, const struct robust_how *how, const double *gram, struct plan *out);
void plan_free(struct plan *plan);

/* weigh.c: rules that choose or weigh lines by their Gram matrix alone. weights has n numbers. */
void weigh_krum(const double *gram, size_t n, const struct robust_how *how, const double *given, double *weights);
/* Whether all Gram matrices lead to the same weights of which a number is off from this one's by no more than rest and that share of the
 * sum of its products, each taken as positive. */
bool krum_is_sure(const double *gram, size_t n, const struct robust_how *how, double share, double rest);
void weigh_geometric_median(const double *gram, size_t n, double nu, unsigned steps, double *weights);
void weigh_clipped(const double *gram, size_t n, double radius, unsigned steps, double *weights);
/* How far each line is from the point that has these weights. */
void weigh_distances(const double *gram, size_t n, const double *weights, double *out);
/* The lines that repeated Krum takes out, n - 2f of them, in the order of their numbers. */
void choose_bulyan(const double *gram, size_t n, size_t suspects, size_t *chosen);
/* matrix, of n * n: each line the mean of the n - f nearest ones. */
void mix_nearest(const double *gram, size_t n, size_t suspects, double *matrix);

/* pass.c */

/*
 * The width is cut into stripes, a fixed number of them, and threads take stripes: so many that none waits long for another's last.
 * visit is called for the blocks of a stripe in order; state is the thread's own memory of that many bytes, zeroed before its first
 * block.
 */
#define ROBUST_STRIPES 64
struct pass {
    int64_t width;
    size_t block;   /* coordinates that are visited at once */
    size_t stripes; /* at most ROBUST_STRIPES */
    unsigned threads;
    size_t state; /* bytes */
    enum status (*visit)(void *context, void *state, size_t stripe, int64_t at, size_t count, struct error *err);
    void *context;
};
/* The error is that of the first stripe that failed. */
enum status pass_run(const struct pass *pass, struct error *err);

/* network.c: sorts n values; comparators that do not matter for the ranks [from, to) are left out. *out is the caller's to free. */
void network_make(size_t n, size_t from, size_t to, struct comparator **out, size_t *count);

/* column.c: one number of each coordinate, of lines whose keys stand in rows of ROBUST_TILE. */
struct columns {
    const struct plan *plan;
    const struct kernels *kernels;
    struct comparator *network;
    size_t comparators;
};
void columns_start(struct columns *columns, const struct plan *plan, const struct kernels *kernels);
void columns_end(struct columns *columns);
/* lines has plan->lines of them, stride values apart. keys has room for plan->lines * ROBUST_TILE. */
void columns_run(const struct columns *columns, const float *lines, size_t stride, size_t count, int32_t *keys,
                 double *out);

#endif

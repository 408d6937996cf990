/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_ROBUST_ROBUST_H
#define CAIRN_ROBUST_ROBUST_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Aggregation rules over updates that lie on disk: n rows of float32, of which never more than a block each is in
 * memory. All rules run as one or two passes. The first, which coordinate-wise rules without mixing do not need, makes
 * the Gram matrix of the rows; from there a rule is decided among n numbers; the last pass forms the output
 * (federated 3.4, 3.7).
 *
 * The same bits come out for any number of threads and on any processor: sums are in double, in an order that depends
 * on the number of rows and their width alone. Krum and Multi-Krum, where rows are not mixed or put into buckets, go by
 * sums in float32 as long as these leave no doubt, whatever their errors, about which rows the ones in double would have
 * kept: where updates are nearly the same, or out of float32's range, these are made, too, and the rule takes longer.
 * Who wants the same bits for any order of arrival, too, sorts the rows by who sent them. Values must be finite.
 */
#define ROBUST_ROWS_MOST 1024 /* for rules with a Gram matrix; others take ROBUST_COLUMN_MOST */
#define ROBUST_COLUMN_MOST 4096
#define ROBUST_PIECE_MOST 16384 /* values that are read or written at once; with many rows fewer */

struct robust_rows {
    size_t count;
    int64_t width;
    const double *weights; /* of the mean, and of Flower's Multi-Krum; NULL: all the same. Their sum is above 0 */
    /* Reads values [at, at + count) of one row. On any thread, several at once. Row number `count` is the origin. */
    enum status (*read)(void *context, size_t row, int64_t at, size_t count, float *out, struct error *err);
    void *context;
    bool has_origin;  /* it is subtracted from every row, in float32: rows are then differences */
    unsigned threads; /* 0: one for each processor */
};

/* Takes the output, piece by piece; pieces come from any thread, several at once, each once. */
struct robust_sink {
    enum status (*write)(void *context, int64_t at, size_t count, const double *values, struct error *err);
    void *context;
};

enum robust_rule {
    ROBUST_MEAN,
    ROBUST_TRIMMED_MEAN,     /* without the f lowest and f highest of each coordinate */
    ROBUST_MEDIAN,           /* of each coordinate */
    ROBUST_MEAMED,           /* of each coordinate, the mean of the n - f nearest to the median */
    ROBUST_GEOMETRIC_MEDIAN, /* by Weiszfeld's steps, smoothed by nu, from zero */
    ROBUST_KRUM,
    ROBUST_MULTI_KRUM,
    ROBUST_BULYAN,           /* n - 2f rows by repeated Krum; then as MEAMED with f more left out on each side */
    ROBUST_CENTRED_CLIPPING, /* from zero, by steps, each row's pull within radius */
    ROBUST_RULES,
};
const char *robust_rule_name(enum robust_rule rule); /* "trimmed-mean" */
bool robust_rule_find(const char *name, enum robust_rule *out);

/* Where implementations in the field differ (federated 3.3). */
enum robust_convention {
    ROBUST_FLOWER, /* and Krum's paper: scores over n - f - 2 others; Multi-Krum weighs the rows that it keeps */
    ROBUST_BYZFL,  /* over n - f - 1 others; Multi-Krum does not weigh */
};

struct robust_how {
    enum robust_rule rule;
    enum robust_convention convention;
    size_t suspects; /* f: how many rows may be bad */
    size_t keep;     /* of Multi-Krum; 0: n - f */
    /* First, rows are averaged in buckets of that size, the last of them smaller where they do not divide; order, a
     * permutation of the rows, says how they stand in line. 0: no buckets. Weights are not used then. */
    size_t bucket;
    const size_t *order;
    bool mix;          /* then each row becomes the mean of the n - f nearest to it, itself included (NNM) */
    bool lower_median; /* of an even number: the lower of the two in the middle (torch), not their mean (numpy) */
    double nu;         /* of the geometric median */
    unsigned steps;    /* of the geometric median and of centred clipping */
    double radius;     /* of centred clipping */
};

/*
 * INVALID when there are too few rows for that many suspects, or too many; errors of read and write. What was written
 * before an error counts for nothing.
 */
enum status robust_aggregate(const struct robust_rows *rows, const struct robust_how *how,
                             const struct robust_sink *sink, struct error *err);

/* The Gram matrix alone: *out has count * count numbers, row after row; out[i * count + i] is the square of a norm. */
enum status robust_gram(const struct robust_rows *rows, double *out, struct error *err);

#endif

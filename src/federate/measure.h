/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_MEASURE_H
#define CAIRN_FEDERATE_MEASURE_H

#include "base/error.h"
#include "base/hash.h"
#include "base/str.h"

/* How far updates are from their model: the same bits whether it is found from a file or as the bytes come. */

/* The norm of width numbers of a file from `from` on; where there is a model (otherwise -1), of their difference to its, from model_at on.
 * Of numbers that are not all finite it is not finite. */
enum status measure(int fd, int64_t from, int model, int64_t model_at, int64_t width, double *norm, struct error *err);

/* What is found of an update while its bytes come, in their order, so that its file need not be read. */
struct sight;
struct sighting {
    uint8_t digest[BLAKE3_SIZE]; /* of all bytes */
    int64_t data_at;             /* where its numbers begin */
    double norm;                 /* of their difference to the model's */
};
/* The model is a file of size bytes, which begins with head, then has its numbers; both are the caller's, and stay. */
struct sight *sight_begin(int model, struct str head, int64_t size);
enum status sight_add(struct sight *sight, const void *bytes, size_t len, struct error *err);
/* False: what came was something else than the model's head and as many numbers as it has. */
bool sight_end(struct sight *sight, struct sighting *out);
void sight_free(struct sight **sight);
#define auto_sight __attribute__((cleanup(sight_free)))

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FLEET_NPY_H
#define CAIRN_FLEET_NPY_H

#include "leaf/tensor.h"

/*
 * Arrays as numpy's save() writes them (NEP 1): "\x93NUMPY", version, the length of a head in Python's notation, the head, the numbers.
 */
#define NPY_HEAD_MOST 4096
#define NPY_DIMENSIONS 32

struct npy {
    unsigned width; /* of a number: 4 for float32, 8 for float64, both little-endian */
    bool columns;   /* in Fortran's order */
    uint32_t dimensions;
    int64_t shape[NPY_DIMENSIONS];
    size_t head; /* bytes before the numbers */
};

/* Reads the head from a file's first bytes, all or NPY_HEAD_MOST. INVALID for what is none, or numbers of another type. */
enum status npy_read(struct str bytes, struct npy *out, struct error *err);

/* Appends the head of a float32 array with the tensor's shape. */
void npy_write(const struct tensor *tensor, struct buf *out);

#endif

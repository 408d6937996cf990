/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_LEAF_TENSOR_H
#define CAIRN_LEAF_TENSOR_H

#include "base/arena.h"
#include "base/error.h"
#include "tlog/tree.h"

/*
 * The tensors of safetensors files, and the tree over all of a revision (provenance 3.5): tensorRoot tells whether two
 * revisions hold the same tensors, however they are spread over files, and lets one tensor be checked alone.
 *
 * A file is 8 bytes of length, little-endian, a header of that length in JSON, and the tensors' bytes without gaps.
 */
#define TENSOR_HEADER_MOST (25 << 20) /* bytes; the format allows 100 MB, no real file comes near */
#define TENSOR_VALUES_MOST (4 << 20)  /* JSON values in a header, which take more memory than their text */
#define TENSOR_DTYPES 22

struct tensor {
    struct str name; /* UTF-8 of any length */
    unsigned dtype;  /* see tensor_dtype_name() */
    const int64_t *shape;
    uint32_t dimensions;
    int64_t elements;
    int64_t begin, end;          /* where it lies behind the header */
    uint8_t digest[SHA256_SIZE]; /* of its bytes, once it has been hashed */
};

struct tensor_list {
    struct tensor *items; /* by their place in the file */
    size_t count;
    int64_t bytes; /* of all: a file has no more behind its header */
};

/* Whether a file of that name is one of those whose tensors are in tensorRoot. */
bool tensor_file_name(struct str name);

const char *tensor_dtype_name(unsigned dtype); /* "BF16"; dtype is below TENSOR_DTYPES */
bool tensor_dtype_find(struct str name, unsigned *out);
/* How many bytes its elements take. False when that is more than an int64_t holds, or no whole number. */
bool tensor_size(const struct tensor *tensor, int64_t *bytes);

/* The header's length from the file's first bytes. TOO_LARGE over TENSOR_HEADER_MOST. */
enum status tensor_header_size(const uint8_t first[8], int64_t *out, struct error *err);

/*
 * Reads a header; *out lives in the arena. INVALID with the reason for anything that loaders of the format would
 * refuse, TOO_LARGE over the limits. Whoever knows how long the file is compares that with out->bytes.
 */
enum status tensor_header_parse(struct arena *arena, struct str header, struct tensor_list *out, struct error *err);

/* Digests of tensors from their file's bytes behind the header, in pieces of any size. list is filled in place. */
struct tensor_hasher {
    struct tensor_list *list;
    struct hasher *sha;
    size_t next;
    int64_t at;
};
void tensor_hasher_start(struct tensor_hasher *hasher, struct tensor_list *list);
bool tensor_hasher_add(struct tensor_hasher *hasher, const void *data, size_t len); /* false: more than there may be */
bool tensor_hasher_end(struct tensor_hasher *hasher); /* false: something is missing. Always to be called */

/*
 * Appends what stands for a tensor in the tree: name and dtype, each behind its length in 4 bytes; the number of
 * dimensions in 4; each dimension in 8; the digest. Numbers are big-endian.
 */
void tensor_entry(const struct tensor *tensor, struct buf *out);
void tensor_head(const struct tensor *tensor, struct buf *out); /* the same without the digest */

/*
 * Sorts the tensors of a revision by name, as the tree has them. A tensor that is there again, the same in everything, counts
 * once: the tree skips those that tensor_is_repeated(). INVALID when a name is there twice for what is not the same.
 */
enum status tensor_sort(struct tensor *tensors, size_t count, struct error *err);
bool tensor_is_repeated(const struct tensor *sorted, size_t index);

/* tensorRoot of sorted tensors. A revision without tensors has none; this gives the empty tree's root then. */
struct tlog_hash tensor_root(const struct tensor *sorted, size_t count);

#endif

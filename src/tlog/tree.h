/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_TREE_H
#define CAIRN_TLOG_TREE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"

/*
 * The Merkle tree of a transparency log (RFC 6962 section 2.1; provenance 1.1, 1.2): hashes, growth, proofs.
 *
 * Node (level, index) is the root of the complete subtree over the leaves from index << level to (index + 1) << level,
 * so node (0, i) is the hash of leaf i. A tree has at most INT64_MAX leaves; functions that check foreign sizes say so.
 */
#define TLOG_LEVELS 63
#define TLOG_PATH_MOST 64 /* hashes in the longest proof */
#define TLOG_HASH_TEXT 44 /* length of a hash in base64 */

struct tlog_hash {
    uint8_t bytes[SHA256_SIZE];
};

bool tlog_hash_eq(const struct tlog_hash *a, const struct tlog_hash *b);
bool tlog_hash_parse(struct str text, struct tlog_hash *out); /* base64 of 32 bytes in its one form */
void tlog_hash_write(struct buf *out, const struct tlog_hash *hash);

struct tlog_hash tlog_leaf_hash(struct str entry);
struct tlog_hash tlog_node_hash(const struct tlog_hash *left, const struct tlog_hash *right);

/*
 * What has to be remembered of a tree to let it grow: the roots of the complete subtrees that its leaves fall into, one
 * for each set bit of the size. {0} is the empty tree.
 */
struct tlog_frontier {
    uint64_t size;
    struct tlog_hash peaks[TLOG_LEVELS]; /* peaks[level] holds only where that bit of size is set */
};

/*
 * Adds the leaf of index frontier->size. When complete is given it has TLOG_LEVELS places, and the nodes that this leaf
 * completes are put there: complete[level] is node (level, index >> level). Returns how many there are, 1 at least.
 */
unsigned tlog_append(struct tlog_frontier *frontier, const struct tlog_hash *leaf, struct tlog_hash *complete);

struct tlog_hash tlog_root(const struct tlog_frontier *frontier); /* SHA-256 of nothing for the empty tree */

/* Where nodes come from: a store of tiles, or an array in memory. Only nodes of complete subtrees are asked for. */
struct tlog_source {
    enum status (*node)(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err);
    void *context;
};

/* The frontier of the first size leaves, with at most TLOG_LEVELS nodes read. Errors: those of the source. */
enum status tlog_frontier_read(const struct tlog_source *source, uint64_t size, struct tlog_frontier *out,
                               struct error *err);

/* A proof's hashes: the leaf's sibling first, the root's child last. */
struct tlog_path {
    size_t count;
    struct tlog_hash hashes[TLOG_PATH_MOST];
};

/* As files and messages have a proof: a line for each hash, TLOG_LINES_MOST of them at most, and an empty line behind.
 * Parsing takes that off the front of *rest; false for anything else. */
#define TLOG_LINES_MOST 63
bool tlog_path_parse(struct str *rest, struct tlog_path *out);
void tlog_path_write(struct buf *out, const struct tlog_path *path);

/* That leaf index is in the tree of size leaves. INVALID unless index < size <= INT64_MAX; errors of the source. */
enum status tlog_prove_inclusion(const struct tlog_source *source, uint64_t index, uint64_t size, struct tlog_path *out,
                                 struct error *err);

/*
 * That the tree of old_size leaves is the beginning of that of new_size leaves. No hashes when the sizes are equal or
 * old_size is 0. INVALID unless old_size <= new_size <= INT64_MAX; errors of the source.
 */
enum status tlog_prove_consistency(const struct tlog_source *source, uint64_t old_size, uint64_t new_size,
                                   struct tlog_path *out, struct error *err);

/* Any values may be given, foreign ones too. True only when the path proves it. */
bool tlog_includes(uint64_t index, uint64_t size, const struct tlog_hash *leaf, const struct tlog_hash *root,
                   const struct tlog_path *path);

/* As above. Nothing can be proved of an empty old tree, so old_size 0 is true only beside new_size 0; what a protocol
 * wants of it otherwise is the caller's to check. */
bool tlog_extends(uint64_t old_size, const struct tlog_hash *old_root, uint64_t new_size,
                  const struct tlog_hash *new_root, const struct tlog_path *path);

#endif

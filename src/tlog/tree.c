/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/tree.h"

#include "base/text.h"
#include "tlog/text.h"

#include <assert.h>

/* What is hashed begins with a byte that keeps an entry from passing for an inner node. */
#define LEAF 0
#define NODE 1

bool tlog_hash_eq(const struct tlog_hash *a, const struct tlog_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool tlog_hash_parse(struct str text, struct tlog_hash *out)
{
    auto_buf struct buf bytes = {0};
    if (text.len != TLOG_HASH_TEXT || !base64_decode_into(text, &bytes) || bytes.len != sizeof out->bytes)
        return false;
    memcpy(out->bytes, bytes.data, sizeof out->bytes);
    return true;
}

void tlog_hash_write(struct buf *out, const struct tlog_hash *hash)
{
    tlog_base64(out, hash->bytes, sizeof hash->bytes);
}

struct tlog_hash tlog_leaf_hash(struct str entry)
{
    struct tlog_hash hash;
    struct hasher *hasher = hasher_sha256();
    hasher_add(hasher, &(uint8_t){LEAF}, 1);
    hasher_add(hasher, entry.data, entry.len);
    hasher_end(hasher, hash.bytes);
    hasher_free(hasher);
    return hash;
}

struct tlog_hash tlog_node_hash(const struct tlog_hash *left, const struct tlog_hash *right)
{
    struct tlog_hash hash;
    char input[1 + 2 * SHA256_SIZE] = {NODE};
    memcpy(input + 1, left->bytes, SHA256_SIZE);
    memcpy(input + 1 + SHA256_SIZE, right->bytes, SHA256_SIZE);
    sha256((struct str){input, sizeof input}, hash.bytes);
    return hash;
}

unsigned tlog_append(struct tlog_frontier *frontier, const struct tlog_hash *leaf, struct tlog_hash *complete)
{
    assert(frontier->size < INT64_MAX);
    struct tlog_hash hash = *leaf;
    unsigned level = 0;
    for (;; level++) {
        if (complete)
            complete[level] = hash;
        if (!(frontier->size >> level & 1))
            break;
        hash = tlog_node_hash(&frontier->peaks[level], &hash);
    }
    frontier->peaks[level] = hash;
    frontier->size++;
    return level + 1;
}

struct tlog_hash tlog_root(const struct tlog_frontier *frontier)
{
    struct tlog_hash root;
    bool begun = false;
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        if (!(frontier->size >> level & 1))
            continue;
        root = begun ? tlog_node_hash(&frontier->peaks[level], &root) : frontier->peaks[level];
        begun = true;
    }
    if (!begun)
        sha256(STR(""), root.bytes);
    return root;
}

/* The frontier of a tree of its own over the leaves from begin to end; begin is a multiple of every subtree in it. */
static enum status read_range(const struct tlog_source *source, uint64_t begin, uint64_t end, struct tlog_frontier *out,
                              struct error *err)
{
    out->size = end - begin;
    for (unsigned level = 0; level < TLOG_LEVELS; level++) {
        uint64_t before = out->size >> level >> 1 << 1; /* nodes of this level in the larger subtrees to the left */
        if (out->size >> level & 1)
            TRY(source->node(source->context, level, (begin >> level) + before, &out->peaks[level], err));
    }
    return OK;
}

enum status tlog_frontier_read(const struct tlog_source *source, uint64_t size, struct tlog_frontier *out,
                               struct error *err)
{
    assert(size <= INT64_MAX);
    *out = (struct tlog_frontier){0};
    return read_range(source, 0, size, out, err);
}

/* Adds the root over the leaves from begin to end to the path. */
static enum status path_add(const struct tlog_source *source, uint64_t begin, uint64_t end, struct tlog_path *path,
                            struct error *err)
{
    struct tlog_frontier range;
    TRY(read_range(source, begin, end, &range, err));
    assert(path->count < TLOG_PATH_MOST);
    path->hashes[path->count++] = tlog_root(&range);
    return OK;
}

/* Proofs are collected on the way down from the root and written from the leaf up. */
static void path_turn(struct tlog_path *path)
{
    for (size_t i = 0; i < path->count / 2; i++) {
        struct tlog_hash hash = path->hashes[i];
        path->hashes[i] = path->hashes[path->count - 1 - i];
        path->hashes[path->count - 1 - i] = hash;
    }
}

/* Where a tree of more than one leaf divides: the largest power of two that is smaller than size. */
static uint64_t split(uint64_t size)
{
    return UINT64_C(1) << (63 - __builtin_clzll(size - 1));
}

enum status tlog_prove_inclusion(const struct tlog_source *source, uint64_t index, uint64_t size, struct tlog_path *out,
                                 struct error *err)
{
    if (index >= size || size > INT64_MAX)
        return fail(err, INVALID, NULL, "A tree of %llu leaves has no leaf %llu, so nothing proves that it is in it.",
                    (unsigned long long)size, (unsigned long long)index);
    out->count = 0;
    for (uint64_t begin = 0, end = size; end - begin > 1;) {
        uint64_t middle = begin + split(end - begin);
        if (index < middle) {
            TRY(path_add(source, middle, end, out, err));
            end = middle;
        } else {
            TRY(path_add(source, begin, middle, out, err));
            begin = middle;
        }
    }
    path_turn(out);
    return OK;
}

enum status tlog_prove_consistency(const struct tlog_source *source, uint64_t old_size, uint64_t new_size,
                                   struct tlog_path *out, struct error *err)
{
    if (old_size > new_size || new_size > INT64_MAX)
        return fail(err, INVALID, NULL, "A tree of %llu leaves cannot have grown from one of %llu.",
                    (unsigned long long)new_size, (unsigned long long)old_size);
    out->count = 0;
    if (old_size == 0)
        return OK;
    uint64_t begin = 0, end = new_size;
    while (old_size < end) {
        uint64_t middle = begin + split(end - begin);
        if (old_size <= middle) {
            TRY(path_add(source, middle, end, out, err));
            end = middle;
        } else {
            TRY(path_add(source, begin, middle, out, err));
            begin = middle;
        }
    }
    /* What remains is a subtree of the old tree; the verifier has it when it is the whole old tree. */
    if (begin > 0)
        TRY(path_add(source, begin, end, out, err));
    path_turn(out);
    return OK;
}

bool tlog_path_parse(struct str *rest, struct tlog_path *out)
{
    struct str line;
    for (out->count = 0; tlog_line(rest, &line); out->count++) {
        if (line.len == 0)
            return true;
        if (out->count == TLOG_LINES_MOST || !tlog_hash_parse(line, &out->hashes[out->count]))
            return false;
    }
    return false;
}

void tlog_path_write(struct buf *out, const struct tlog_path *path)
{
    assert(path->count <= TLOG_LINES_MOST);
    for (size_t i = 0; i < path->count; i++) {
        tlog_hash_write(out, &path->hashes[i]);
        buf_byte(out, '\n');
    }
    buf_byte(out, '\n');
}

/* The way of a node up to the root: whether the next hash of a path is its left neighbour's. */
struct climb {
    uint64_t node, last; /* index of the node, and of the last node of its level */
};

static bool climb_from_left(struct climb *climb)
{
    bool left = (climb->node & 1) || climb->node == climb->last;
    if (left)
        while (!(climb->node & 1) && climb->node != 0) {
            climb->node >>= 1;
            climb->last >>= 1;
        }
    climb->node >>= 1;
    climb->last >>= 1;
    return left;
}

bool tlog_includes(uint64_t index, uint64_t size, const struct tlog_hash *leaf, const struct tlog_hash *root,
                   const struct tlog_path *path)
{
    if (index >= size)
        return false;
    struct climb climb = {index, size - 1};
    struct tlog_hash hash = *leaf;
    for (size_t i = 0; i < path->count; i++) {
        if (climb.last == 0)
            return false;
        hash =
            climb_from_left(&climb) ? tlog_node_hash(&path->hashes[i], &hash) : tlog_node_hash(&hash, &path->hashes[i]);
    }
    return climb.last == 0 && tlog_hash_eq(&hash, root);
}

bool tlog_extends(uint64_t old_size, const struct tlog_hash *old_root, uint64_t new_size,
                  const struct tlog_hash *new_root, const struct tlog_path *path)
{
    if (old_size == new_size) {
        struct tlog_hash empty = tlog_root(&(struct tlog_frontier){0});
        return path->count == 0 && tlog_hash_eq(old_root, new_root) && (old_size || tlog_hash_eq(old_root, &empty));
    }
    if (old_size == 0 || old_size > new_size || path->count == 0)
        return false;
    struct climb climb = {old_size - 1, new_size - 1};
    while (climb.node & 1) {
        climb.node >>= 1;
        climb.last >>= 1;
    }
    bool whole = (old_size & (old_size - 1)) == 0; /* then the path leaves out its first hash, the old root */
    struct tlog_hash old_hash = whole ? *old_root : path->hashes[0], new_hash = old_hash;
    for (size_t i = whole ? 0 : 1; i < path->count; i++) {
        if (climb.last == 0)
            return false;
        if (climb_from_left(&climb)) {
            old_hash = tlog_node_hash(&path->hashes[i], &old_hash);
            new_hash = tlog_node_hash(&path->hashes[i], &new_hash);
        } else {
            new_hash = tlog_node_hash(&new_hash, &path->hashes[i]);
        }
    }
    return climb.last == 0 && tlog_hash_eq(&old_hash, old_root) && tlog_hash_eq(&new_hash, new_root);
}

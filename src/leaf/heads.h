/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PROV_HEADS_H
#define CAIRN_PROV_HEADS_H

#include "leaf/leaf.h"
#include "tlog/tree.h"

/*
 * The heads tree (provenance 3.3): which leaf is the newest of each repo, sorted by the repos' ids, as an RFC 6962
 * tree. Its root is in a "repo-heads" leaf, so that the hub can leave no repo out of its answers, and no leaf of a
 * repo.
 */
struct head {
    uint8_t repo[LEAF_REPO_SIZE];
    uint64_t rseq;
    struct tlog_hash leaf; /* leaf hash of that leaf */
};

#define HEAD_ENTRY_SIZE (LEAF_REPO_SIZE + 8 + SHA256_SIZE)
void head_entry(const struct head *head, uint8_t out[HEAD_ENTRY_SIZE]);

/* What is in a leaf of type repo-heads. */
struct heads_root {
    uint64_t count;
    struct tlog_hash root;
};

/* Where heads come from: each() calls visit for all of them, in the order of their repos, the same at each call. */
typedef enum status heads_visit(void *context, const struct head *head, struct error *err);
struct heads_source {
    enum status (*each)(void *context, heads_visit *visit, void *visit_context, struct error *err);
    void *context;
};

/* One pass over the source. CORRUPT when it is not sorted. */
enum status heads_root(const struct heads_source *source, struct heads_root *out, struct error *err);

/* That this head is in the tree. */
struct heads_proof {
    uint64_t index;
    struct head head;
    struct tlog_path path;
};

/*
 * What can be proved of a repo: that its head is in the tree, or that it has none there, by the heads that would be its
 * neighbours: one only at either end, none in an empty tree.
 */
struct heads_answer {
    struct heads_root root;
    bool present;
    size_t proof_count; /* 1 when present; 0 to 2 otherwise, in the order of the tree */
    struct heads_proof proofs[2];
};

/* Two passes over the source, and little memory for any number of repos. */
enum status heads_answer(const struct heads_source *source, const uint8_t repo[LEAF_REPO_SIZE],
                         struct heads_answer *out, struct error *err);

/*
 * For whoever asked: any values may be given. True only when the answer proves what it says of that repo under root,
 * which the caller has from a leaf; the answer's own root does not count.
 */
bool heads_answer_holds(const struct heads_root *root, const uint8_t repo[LEAF_REPO_SIZE],
                        const struct heads_answer *answer);

#endif

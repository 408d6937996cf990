/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "verify/chains.h"
#include "base/text.h"
#include <search.h>
#include <stdlib.h>

/* How far behind a "repo-heads" leaf may lie what it covers. A hub computes one while others write, for seconds. */
#define JOURNAL_MOST ((size_t)256 * 1024)

struct chain {
    struct head head; /* its repo is the key of the tree */
    bool begun;       /* false while the journal is wound back to before its first leaf */
};

/* How to take a leaf back: what its chain was before. */
struct step {
    uint64_t index;
    struct chain *chain;
    struct head head;
    bool begun;
};

struct chains {
    void *tree;           /* of struct chain, by repo: glibc's, which is balanced */
    struct step *journal; /* room for twice JOURNAL_MOST, so that the older half is dropped at once */
    size_t journal_count;
    struct chains_count count;
};

struct chains *chains_new(void)
{
    struct chains *chains = calloc(1, sizeof *chains);
    if (!chains || !(chains->journal = malloc(2 * JOURNAL_MOST * sizeof *chains->journal)))
        abort();
    return chains;
}

void chains_free(struct chains *chains)
{
    tdestroy(chains->tree, free);
    free(chains->journal);
    free(chains);
}

struct chains_count chains_count(const struct chains *chains)
{
    return chains->count;
}

static int by_repo(const void *a, const void *b)
{
    return memcmp(((const struct chain *)a)->head.repo, ((const struct chain *)b)->head.repo, LEAF_REPO_SIZE);
}

static struct chain *chain_of(struct chains *chains, const uint8_t repo[LEAF_REPO_SIZE])
{
    struct chain *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        abort();
    memcpy(fresh->head.repo, repo, LEAF_REPO_SIZE);
    struct chain **place = tsearch(fresh, &chains->tree, by_repo);
    if (!place)
        abort();
    if (*place != fresh)
        free(fresh);
    else
        chains->count.repos++;
    return *place;
}

static void journal_add(struct chains *chains, uint64_t index, struct chain *chain)
{
    if (chains->journal_count == 2 * JOURNAL_MOST) {
        memcpy(chains->journal, chains->journal + JOURNAL_MOST, JOURNAL_MOST * sizeof *chains->journal);
        chains->journal_count = JOURNAL_MOST;
    }
    chains->journal[chains->journal_count++] = (struct step){index, chain, chain->head, chain->begun};
}

/* A repo's chain. After a gap it goes on from what is there, so that one gap is one finding. */
static bool add_to_chain(struct chains *chains, uint64_t index, const struct leaf *leaf, const struct tlog_hash *hash,
                         struct report *report)
{
    static const struct tlog_hash nothing;
    struct chain *chain = chain_of(chains, leaf->repo);
    uint64_t rseq = chain->begun ? chain->head.rseq + 1 : 0;
    const struct tlog_hash *previous = chain->begun ? &chain->head.leaf : &nothing;
    bool right_number = leaf->rseq == rseq;
    bool right_hash = memcmp(leaf->previous, previous->bytes, sizeof leaf->previous) == 0;
    journal_add(chains, index, chain);
    chain->begun = true;
    chain->head.rseq = leaf->rseq;
    chain->head.leaf = *hash;
    if (right_number && right_hash)
        return true;
    struct str repo = hex_encode(&report->arena, leaf->repo, LEAF_REPO_SIZE);
    if (!right_number)
        return found(report, FAILED, "chain",
                     "Entry %llu is number %llu of repo %.*s, but number %llu should come: entries of it "
                     "were left out or are there twice.",
                     (unsigned long long)index, (unsigned long long)leaf->rseq, STR_ARG(repo),
                     (unsigned long long)rseq);
    return found(report, FAILED, "chain",
                 "Entry %llu of repo %.*s does not follow on the one before: it names another hash.",
                 (unsigned long long)index, STR_ARG(repo));
}

/* Heads. */

static void swap(struct step *step)
{
    struct step now = {step->index, step->chain, step->chain->head, step->chain->begun};
    step->chain->head = step->head;
    step->chain->begun = step->begun;
    *step = now;
}

struct visiting {
    heads_visit *visit;
    void *context;
    struct error *err;
    enum status status;
};

static void visit_chain(const void *node, VISIT when, void *context)
{
    const struct chain *chain = *(const struct chain *const *)node;
    struct visiting *visiting = context;
    if ((when == postorder || when == leaf) && chain->begun && visiting->status == OK) /* in order: see tsearch(3) */
        visiting->status = visiting->visit(visiting->context, &chain->head, visiting->err);
}

static enum status each_head(void *context, heads_visit *visit, void *visit_context, struct error *err)
{
    const struct chains *chains = context;
    struct visiting visiting = {visit, visit_context, err, OK};
    twalk_r(chains->tree, visit_chain, &visiting);
    return visiting.status;
}

/* The root as it was when the log had that many leaves: winds back, looks, and winds forward again. */
static struct heads_root root_at(struct chains *chains, uint64_t covers)
{
    const struct heads_source source = {each_head, chains};
    struct heads_root root = {0};
    size_t kept = chains->journal_count;
    while (kept > 0 && chains->journal[kept - 1].index >= covers)
        swap(&chains->journal[--kept]);
    if (heads_root(&source, &root, NULL) != OK)
        abort(); /* the tree is sorted */
    while (kept < chains->journal_count)
        swap(&chains->journal[kept++]);
    return root;
}

static bool check_heads(struct chains *chains, uint64_t index, const struct leaf *leaf, struct report *report)
{
    uint64_t covers = (uint64_t)leaf_get(leaf, "covers").number;
    uint64_t count = (uint64_t)leaf_get(leaf, "count").number;
    chains->count.heads++;
    if (covers > index)
        return found(report, FAILED, "heads",
                     "Entry %llu says that it has the heads of %llu entries, which is more than there are.",
                     (unsigned long long)index, (unsigned long long)covers);
    if (index - covers > JOURNAL_MOST)
        return found(report, FAILED, "heads",
                     "Entry %llu has the heads of the first %llu entries only, which is too long ago.",
                     (unsigned long long)index, (unsigned long long)covers);
    struct heads_root root = root_at(chains, covers);
    struct str hex = hex_encode(&report->arena, root.root.bytes, SHA256_SIZE);
    if (root.count == count && str_eq(hex, leaf_get(leaf, "root").text))
        return true;
    return found(
        report, FAILED, "heads",
        "Entry %llu says that %llu repos have heads with the root %.*s, but the first %llu entries give %llu with "
        "%.*s.",
        (unsigned long long)index, (unsigned long long)count, STR_ARG(leaf_get(leaf, "root").text),
        (unsigned long long)covers, (unsigned long long)root.count, STR_ARG(hex));
}

static bool check_void(struct chains *chains, uint64_t index, const struct leaf *leaf, struct report *report)
{
    uint64_t other = (uint64_t)leaf_get(leaf, "index").number;
    chains->count.voids++;
    return other < index || found(report, FAILED, "void", "Entry %llu voids entry %llu, which is not an earlier one.",
                                  (unsigned long long)index, (unsigned long long)other);
}

bool chains_add(struct chains *chains, uint64_t index, const struct leaf *leaf, const struct tlog_hash *hash,
                struct report *report)
{
    bool good = true;
    if (str_eq(leaf->type, STR("repo-heads")))
        good = check_heads(chains, index, leaf, report);
    if (str_eq(leaf->type, STR("void")))
        good = check_void(chains, index, leaf, report);
    return (!leaf->of_repo || add_to_chain(chains, index, leaf, hash, report)) && good;
}

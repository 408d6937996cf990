/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/heads.h"
#include <assert.h>

void head_entry(const struct head *head, uint8_t out[HEAD_ENTRY_SIZE])
{
    memcpy(out, head->repo, LEAF_REPO_SIZE);
    for (int i = 0; i < 8; i++)
        out[LEAF_REPO_SIZE + i] = (uint8_t)(head->rseq >> (56 - 8 * i));
    memcpy(out + LEAF_REPO_SIZE + 8, head->leaf.bytes, SHA256_SIZE);
}

static struct tlog_hash head_hash(const struct head *head)
{
    uint8_t entry[HEAD_ENTRY_SIZE];
    head_entry(head, entry);
    return tlog_leaf_hash((struct str){(const char *)entry, sizeof entry});
}

static int compare(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, LEAF_REPO_SIZE);
}

/* The first pass: the root, and where the repo stands or would stand. */

struct survey {
    const uint8_t *repo; /* NULL when only the root is wanted */
    struct tlog_frontier frontier;
    uint8_t last[LEAF_REPO_SIZE];
    uint64_t before; /* heads of repos that sort before it */
    bool present;
};

static enum status survey_visit(void *context, const struct head *head, struct error *err)
{
    struct survey *survey = context;
    if (survey->frontier.size > 0 && compare(survey->last, head->repo) >= 0)
        return fail(err, CORRUPT, NULL, "The repos' logs do not come in the order of their ids.");
    memcpy(survey->last, head->repo, sizeof survey->last);
    if (survey->repo) {
        int order = compare(head->repo, survey->repo);
        survey->before += order < 0;
        survey->present = survey->present || order == 0;
    }
    struct tlog_hash hash = head_hash(head);
    tlog_append(&survey->frontier, &hash, NULL);
    return OK;
}

enum status heads_root(const struct heads_source *source, struct heads_root *out, struct error *err)
{
    struct survey survey = {0};
    TRY(source->each(source->context, survey_visit, &survey, err));
    *out = (struct heads_root){survey.frontier.size, tlog_root(&survey.frontier)};
    return OK;
}

/* The second pass fills the nodes that the proofs ask for; nothing else is remembered. */

struct wanted {
    unsigned level;
    uint64_t index;
    struct tlog_hash hash;
};

struct collection {
    struct wanted
        nodes[4 * TLOG_LEVELS]; /* a path has one hash that is made of several nodes: the one at the tree's edge */
    size_t count;
    struct tlog_frontier frontier;
    struct heads_answer *answer;
};

static struct wanted *find_wanted(struct collection *collection, unsigned level, uint64_t index)
{
    for (size_t i = 0; i < collection->count; i++)
        if (collection->nodes[i].level == level && collection->nodes[i].index == index)
            return &collection->nodes[i];
    return NULL;
}

/* For a first run of the prover, which tells what it needs. */
static enum status note_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    (void)err;
    struct collection *collection = context;
    *out = (struct tlog_hash){0};
    if (find_wanted(collection, level, index))
        return OK;
    assert(collection->count < sizeof collection->nodes / sizeof *collection->nodes);
    collection->nodes[collection->count++] = (struct wanted){.level = level, .index = index};
    return OK;
}

static enum status give_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    (void)err;
    const struct wanted *found = find_wanted(context, level, index);
    assert(found);
    *out = found->hash;
    return OK;
}

static enum status collect_visit(void *context, const struct head *head, struct error *err)
{
    (void)err;
    struct collection *collection = context;
    struct heads_answer *answer = collection->answer;
    struct tlog_hash hash = head_hash(head), complete[TLOG_LEVELS];
    uint64_t index = collection->frontier.size;
    for (size_t i = 0; i < answer->proof_count; i++)
        if (answer->proofs[i].index == index)
            answer->proofs[i].head = *head;
    unsigned levels = tlog_append(&collection->frontier, &hash, complete);
    for (size_t i = 0; i < collection->count; i++) {
        struct wanted *node = &collection->nodes[i];
        if (node->level < levels && node->index == index >> node->level)
            node->hash = complete[node->level];
    }
    return OK;
}

static enum status prove_all(struct collection *collection, bool collected, struct error *err)
{
    const struct tlog_source nodes = {collected ? give_node : note_node, collection};
    struct heads_answer *answer = collection->answer;
    for (size_t i = 0; i < answer->proof_count; i++)
        TRY(tlog_prove_inclusion(&nodes, answer->proofs[i].index, answer->root.count, &answer->proofs[i].path, err));
    return OK;
}

enum status heads_answer(const struct heads_source *source, const uint8_t repo[LEAF_REPO_SIZE],
                         struct heads_answer *out, struct error *err)
{
    struct survey survey = {.repo = repo};
    TRY(source->each(source->context, survey_visit, &survey, err));
    uint64_t count = survey.frontier.size;
    *out = (struct heads_answer){.root = {count, tlog_root(&survey.frontier)}, .present = survey.present};
    if (survey.present) {
        out->proofs[out->proof_count++].index = survey.before;
    } else {
        if (survey.before > 0)
            out->proofs[out->proof_count++].index = survey.before - 1;
        if (survey.before < count)
            out->proofs[out->proof_count++].index = survey.before;
    }
    struct collection collection = {.answer = out};
    TRY(prove_all(&collection, false, err));
    TRY(source->each(source->context, collect_visit, &collection, err));
    assert(collection.frontier.size == count);
    return prove_all(&collection, true, err);
}

/* Judging answers. */

static bool proof_holds(const struct heads_root *root, const struct heads_proof *proof)
{
    struct tlog_hash hash = head_hash(&proof->head);
    return tlog_includes(proof->index, root->count, &hash, &root->root, &proof->path);
}

/* Whether the heads on the two sides of the repo are next to each other, or at the end of the tree where there is one.
 */
static bool closes_the_gap(const struct heads_root *root, const uint8_t *repo, const struct heads_answer *answer)
{
    const struct heads_proof *first = &answer->proofs[0], *last = &answer->proofs[answer->proof_count - 1];
    if (answer->proof_count == 2)
        return compare(first->head.repo, repo) < 0 && compare(repo, last->head.repo) < 0 && last->index > 0 &&
               first->index == last->index - 1;
    if (compare(repo, first->head.repo) < 0)
        return first->index == 0;
    return compare(first->head.repo, repo) < 0 && first->index == root->count - 1;
}

bool heads_answer_holds(const struct heads_root *root, const uint8_t repo[LEAF_REPO_SIZE],
                        const struct heads_answer *answer)
{
    static const struct tlog_frontier nothing;
    if (answer->proof_count > 2)
        return false;
    for (size_t i = 0; i < answer->proof_count; i++)
        if (!proof_holds(root, &answer->proofs[i]))
            return false;
    if (answer->present)
        return answer->proof_count == 1 && compare(answer->proofs[0].head.repo, repo) == 0;
    struct tlog_hash empty = tlog_root(&nothing);
    if (answer->proof_count == 0)
        return root->count == 0 && tlog_hash_eq(&root->root, &empty);
    return closes_the_gap(root, repo, answer);
}

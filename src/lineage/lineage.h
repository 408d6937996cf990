/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LINEAGE_LINEAGE_H
#define CAIRN_LINEAGE_LINEAGE_H

#include "router/request.h"

/*
 * Lineage: what a revision was made from, and who says so (provenance 3.2 "lineage", 3.5). An edge leads from a child, a commit
 * of a repo here, to a parent, which is named by the dirHash1 of its manifest, or only by a name that stands in a card. Each
 * edge has one grade, and grades never add up to one:
 *   declared       the child's card says it; the hub passes it on
 *   signed         who may write to the child has signed the parent's digest
 *   countersigned  who may write to the parent's repo has signed that this is so
 *   bytes          both have the same tensors; found by the hub (tensor/tensors.h), and nobody's claim
 *
 * A declared edge becomes a leaf only where the name is that of a public repo here, whose manifest can be named: a leaf about
 * a private one would tell everybody that it is there. All others stay in the database, as what a card says. What is not
 * declared is not guessed: a card with base_model and no base_model_relation that the log knows gives an edge without rel.
 */
extern const struct module lineage_module;
extern const struct event_kind lineage_events[]; /* "lineage" */

#define LINEAGE_RELATIONS "adapter converted distilled finetune merge quantized"
#define LINEAGE_PARENTS_MOST 64 /* of one card, of one statement */
#define LINEAGE_WEIGHT_MOST 10000

#define GRADE_DECLARED "declared"
#define GRADE_SIGNED "signed"
#define GRADE_COUNTERSIGNED "countersigned"
#define GRADE_BYTES "bytes"

struct lineage_edge {
    int64_t child_id; /* repo */
    struct oid commit;
    struct str grade;
    struct str rel;      /* one of LINEAGE_RELATIONS; absent: not said */
    int64_t weight;      /* of a merge, in ten thousandths; -1: not said */
    struct str parent;   /* dirHash1 in hex; absent: not known */
    int64_t parent_id;   /* the repo here that a card meant; 0: not known */
    struct str name;     /* as the card has it; absent in signed edges */
    struct str evidence; /* SHA-256 in hex of what was signed; absent: nothing was */
    int64_t index;       /* of its leaf; -1: it has none. Only read. */
};

/* The members of an edge's leaf, inside an object: for the body of an event of kind "lineage". */
void lineage_members(struct json_writer *w, const struct lineage_edge *edge);
/* Within a write: keeps an edge whose event has been appended. Nothing when it is kept already. */
enum status lineage_keep(struct db_conn *tx, const struct lineage_edge *edge, int64_t event_id, struct error *err);
/* Within a write: appends the event, signed by the actor where the edge has evidence, and keeps the edge. */
enum status lineage_log(struct db_conn *tx, const struct lineage_edge *edge, int64_t actor_id, struct error *err);

/* The edges that lead from a revision to its parents, oldest first, but for bytes. Strings live in the arena. */
enum status lineage_parents(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct oid *commit,
                            struct lineage_edge **out, size_t *count, struct error *err);

/* What a model's card declares: base_model, a name or a list, and base_model_relation. */
struct lineage_declared {
    struct str names[LINEAGE_PARENTS_MOST];
    size_t count;
    struct str rel; /* absent when it is not said, or is not a word of the log's */
};
/* Names that are empty, over 256 bytes or hold control characters are left out. Strings are copied into the arena. */
void lineage_read_card(struct arena *arena, const json_t *card, struct lineage_declared *out);
/* Within the write that moves main: keeps what the card of its new commit declares. */
enum status lineage_declare(struct db_conn *tx, int64_t repo_id, const struct lineage_declared *declared,
                            struct error *err);

/*
 * The repo here that had a manifest with this dirHash1 first and has it still. A copy that somebody made of it later
 * does not count. found is false when there is none. Nothing is asked about who may see it.
 */
enum status lineage_first_holder(struct db_conn *conn, struct arena *arena, struct str dir_hash, struct repo *out,
                                 bool *found, struct error *err);

#endif

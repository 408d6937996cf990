/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lineage: a revision's author signs what it was made from, by the parents' digests; and who may write to a parent's repo
 * signs that this is so. Each parent is a leaf of its own in the child's chain, all with the same evidence.
 */
#include "lineage/lineage.h"
#include "attest/internal.h"
#include "base/text.h"
#include "leaf/leaf_type.h"

struct edges {
    struct lineage_edge *items;
    size_t count;
    struct str confirms; /* evidence of what is confirmed; absent in a statement of the author's own */
};

/* The author's. */

static enum status read_weight(const json_t *parent, int64_t *out, struct error *err)
{
    const json_t *weight = json_object_get(parent, "weight");
    *out = weight ? json_integer_value(weight) : -1;
    if (!weight || (json_is_integer(weight) && *out >= 0 && *out <= LINEAGE_WEIGHT_MOST))
        return OK;
    return fail(err, UNPROCESSABLE, NULL,
                "A parent's \"weight\" should be a whole number from 0 to %d: ten thousandths.", LINEAGE_WEIGHT_MOST);
}

static bool is_relation(struct str rel)
{
    struct str words = STR(LINEAGE_RELATIONS), word;
    while (str_cut(&words, ' ', &word))
        if (str_eq(word, rel))
            return true;
    return false;
}

static enum status read_parent(const json_t *parent, struct str own_hash, struct lineage_edge *out, struct error *err)
{
    const json_t *digest = json_object_get(parent, "digest");
    out->rel = json_get_str(parent, "rel");
    out->parent = json_get_str(digest, "dirHash1");
    if (!str_given(out->parent))
        out->parent = json_get_str(digest, "dirHash");
    if (!str_given(out->rel) || !is_relation(out->rel) || !leaf_is_hex(out->parent, 2 * SHA256_SIZE))
        return fail(err, UNPROCESSABLE, NULL,
                    "Each of \"parents\" should have \"rel\" (one of: %s) and \"digest\" with the \"dirHash1\" of the "
                    "parent's files, 64 hex digits.",
                    LINEAGE_RELATIONS);
    if (str_eq(out->parent, own_hash))
        return fail(err, UNPROCESSABLE, NULL, "The statement names the commit's own files as their parent.");
    return read_weight(parent, &out->weight, err);
}

static enum status read_parents(struct said *said, const json_t *parents, struct edges *own, struct error *err)
{
    struct arena *arena = said->rq->arena;
    struct access_object object = repo_access(&said->rq->repo);
    struct str own_hash;
    uint64_t index;
    own->count = json_array_size(parents);
    if (own->count == 0 || own->count > LINEAGE_PARENTS_MOST)
        return fail(
            err, UNPROCESSABLE, NULL,
            "The predicate should have \"parents\", a list of 1 to %d, or \"confirms\", the evidence of a statement "
            "to confirm.",
            LINEAGE_PARENTS_MOST);
    TRY(access_decide(said->rq->db, &said->rq->actor, ACT_WRITE, &object, err));
    TRY(said_manifest(said, &index, &own_hash, err));
    own->items = arena_array(arena, own->count, sizeof *own->items);
    for (size_t i = 0; i < own->count; i++) {
        struct lineage_edge *edge = &own->items[i];
        TRY(read_parent(json_array_get(parents, i), own_hash, edge, err));
        for (size_t j = 0; j < i; j++)
            if (str_eq(own->items[j].parent, edge->parent))
                return fail(err, UNPROCESSABLE, NULL, "The statement names the parent %.*s twice.",
                            STR_ARG(edge->parent));
        edge->grade = STR(GRADE_SIGNED);
    }
    return OK;
}

/* The parent's. */

/*
 * Files can be copied, and a copy has the same digest: only the repo that had them first speaks for them. What is refused sounds the same
 * whether there is such a repo or not, as it may be one that the actor may not know of.
 */
static enum status speaks_for(struct said *said, struct str dir_hash, bool *may, struct error *err)
{
    struct request *rq = said->rq;
    struct repo parent;
    struct error no = {0};
    TRY(lineage_first_holder(rq->db, rq->arena, dir_hash, &parent, may, err));
    if (!*may)
        return OK;
    struct access_object object = repo_access(&parent);
    *may = access_decide(rq->db, &rq->actor, ACT_WRITE, &object, &no) == OK;
    return OK;
}

static enum status read_confirmed(struct said *said, struct edges *own, struct error *err)
{
    struct request *rq = said->rq;
    struct lineage_edge *edges;
    size_t count, named = 0;
    if (!leaf_is_hex(own->confirms, 2 * SHA256_SIZE))
        return fail(err, UNPROCESSABLE, NULL, "\"confirms\" should be the evidence of a statement: 64 hex digits.");
    TRY(lineage_parents(rq->db, rq->arena, rq->repo.id, &said->commit, &edges, &count, err));
    own->items = arena_array(rq->arena, count, sizeof *own->items);
    for (size_t i = 0; i < count; i++) {
        bool may;
        if (!str_eq(edges[i].grade, STR(GRADE_SIGNED)) || !str_eq(edges[i].evidence, own->confirms))
            continue;
        named++;
        TRY(speaks_for(said, edges[i].parent, &may, err));
        if (!may)
            continue;
        edges[i].grade = STR(GRADE_COUNTERSIGNED);
        own->items[own->count++] = edges[i];
    }
    if (named == 0)
        return fail(err, UNPROCESSABLE, NULL, "\"confirms\" names no signed lineage of this commit.");
    return own->count > 0
               ? OK
               : fail(err, FORBIDDEN, NULL,
                      "Lineage is confirmed by who may write to the repo that had the parent's files first on "
                      "this hub; you may not for any parent that the statement names.");
}

static enum status check(struct said *said, struct error *err)
{
    struct edges *own = said->own = arena_alloc(said->rq->arena, sizeof *own);
    const json_t *parents = json_object_get(said->statement.predicate, "parents");
    TRY(said_text(said, "confirms", &own->confirms, err));
    if (str_given(own->confirms) && parents)
        return fail(err, UNPROCESSABLE, NULL, "The predicate should have \"parents\" or \"confirms\", not both.");
    TRY(str_given(own->confirms) ? read_confirmed(said, own, err) : read_parents(said, parents, own, err));
    for (size_t i = 0; i < own->count; i++) {
        own->items[i].child_id = said->rq->repo.id;
        own->items[i].commit = said->commit;
        own->items[i].evidence = hex_encode(said->rq->arena, said->digest, SHA256_SIZE);
    }
    return OK;
}

/* The members of the first leaf; the list of all parents stays in the database. */
static enum status write(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err)
{
    (void)tx, (void)err;
    const struct edges *own = said->own;
    lineage_members(w, &own->items[0]);
    if (str_given(own->confirms))
        jw_key_str(w, "confirms", own->confirms);
    jw_key(w, "parents");
    jw_array(w);
    for (size_t i = 0; i < own->count; i++) {
        jw_object(w);
        lineage_members(w, &own->items[i]);
        jw_end(w);
    }
    jw_end(w);
    return OK;
}

static enum status after(struct said *said, struct db_conn *tx, struct error *err)
{
    const struct edges *own = said->own;
    TRY(lineage_keep(tx, &own->items[0], said->event_id, err));
    for (size_t i = 1; i < own->count; i++)
        TRY(lineage_log(tx, &own->items[i], said->signer.account_id, err));
    return OK;
}

const struct statement_kind lineage_kind = {
    .predicate_types = {LINEAGE_PREDICATE},
    .event = &lineage_events[0],
    .action = ACT_ATTEST, /* who confirms need not be able to write here; check() asks for more of the author */
    .most = EVIDENCE_STATEMENT_MOST,
    .repo_name = "repo",
    .shown = "grade confirms parents",
    .check = check,
    .write = write,
    .after = after,
};

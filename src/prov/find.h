/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_FIND_H
#define CAIRN_PROV_FIND_H

#include "base/arena.h"
#include "prov/chain.h"

/* Where in the log something is. */

/* The leaf of an event; NOT_FOUND for events without one. */
enum status prov_event_leaf(struct db_conn *conn, int64_t event_id, uint64_t *index, struct error *err);

/* The newest leaf of a kind about a commit of a repo, where there is one. */
enum revision_leaf { REVISION_MOVED = 1, REVISION_MANIFEST = 2, REVISION_ROUND = 3 };
enum status prov_revision_leaf(struct db_conn *conn, int64_t repo_id, const uint8_t commit[SHA1_SIZE],
                               enum revision_leaf kind, uint64_t *index, bool *found, struct error *err);

/* A leaf of a repo, with the event that it was made from. */
struct prov_entry {
    uint64_t index;
    int64_t rseq;
    bool has_event; /* false: a void, or a leaf whose change was not made */
    int64_t event_id, version, actor_id, at_us;
    struct str kind, body; /* of the event */
};
/* A repo's leaves, newest first, from before rseq (-1: from the newest). Strings live in the arena. */
enum status prov_history(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t before, int64_t limit,
                         struct prov_entry **out, size_t *count, struct error *err);
/* The same of one leaf of the repo, by its index. NOT_FOUND for leaves of others. */
enum status prov_entry_at(struct db_conn *conn, struct arena *arena, int64_t repo_id, uint64_t index,
                          struct prov_entry *out, struct error *err);

/* The same of any leaf that the account made or that is about it: a key, a membership, a decision. NOT_FOUND for others. */
enum status prov_own_entry(struct db_conn *conn, struct arena *arena, int64_t account_id, uint64_t index,
                           struct prov_entry *out, struct error *err);

/*
 * The openings of a leaf's commitments, made from the event that stands behind it, for an account that may see the repo (0:
 * nobody in particular). Who a leaf is about is opened for that person alone, who may hand it on. None when the person's key was
 * erased.
 */
struct opening;
enum status prov_openings(struct persons *persons, struct arena *arena, const struct prov_entry *entry,
                          const struct leaf *leaf, int64_t for_id, const struct opening **out, size_t *count,
                          struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_FORGET_H
#define CAIRN_PROV_FORGET_H

#include "prov/chain.h"

/* Forgetting a person, as far as the log and its events go (provenance 3.4). The person's key is erased by persons_erase(). */

/* The leaves that bear a person's pseudonym, or commitments that were made with the person's key. */
struct person_leaves {
    int64_t account_id; /* given */
    int64_t looked;     /* events up to it have been looked at; 0 at first */
    uint64_t *indices;  /* in order; in the arena */
    size_t count, capacity;
    struct arena arena;
};
/* Adds those that have come since the last call. Reads every event since then. */
enum status prov_person_leaves(struct db_conn *conn, struct person_leaves *leaves, struct error *err);

/* Whether all events are in the log. */
enum status prov_caught_up(struct db_conn *conn, bool *out, struct error *err);

/*
 * Takes the names of an account, and of repos in its name space, and what it called its keys out of the events that are in the log
 * already; nothing is made from these texts again but openings, which are closed. Many short writes; can be called again.
 */
enum status prov_forget_names(struct db *db, int64_t account_id, struct str name, struct error *err);

/* For the start: destroys keys of erased accounts that an old copy of persons.db has brought back. */
enum status prov_forget_erased(struct db *db, struct persons *persons, struct error *err);

#endif

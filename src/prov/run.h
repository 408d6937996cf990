/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_RUN_H
#define CAIRN_PROV_RUN_H

#include "prov/chain.h"

/* Leaves on their way into the ledger, within one write. What chain.c, orphan.c and run.c share. */

#define RUN_LIMIT                                                                                                      \
    2048 /* leaves that go to the ledger at once; each time costs it a sync of its files and a signature */

struct run {
    struct db_conn *tx;
    struct prov *prov;
    uint64_t known;         /* leaves that the database has, those of this run included */
    struct buf bytes;       /* of the leaves that wait for run_flush() */
    size_t ends[RUN_LIMIT]; /* of each of them */
    size_t count;
};

/* The rows of repo_log. *row is 0 when there is none. */
enum status repo_log_find(struct db_conn *tx, const uint8_t log_id[LEAF_REPO_SIZE], int64_t *row, struct error *err);
/* repo_id 0: of a repo that was never made. */
enum status repo_log_add(struct db_conn *tx, int64_t repo_id, const uint8_t log_id[LEAF_REPO_SIZE], int64_t *row,
                         struct error *err);

/* Fills in the leaf's place: behind the newest leaf of that row's repo. */
enum status run_place(struct run *run, int64_t row, struct leaf *leaf, struct error *err);

struct leaf_row {
    uint64_t index;
    int64_t event_id; /* 0: of no event */
    int64_t row;      /* of repo_log; 0: of no repo */
    uint64_t rseq;
    struct tlog_hash hash;
};
enum status leaf_row_add(struct db_conn *tx, const struct leaf_row *leaf, struct error *err);

/* Writes the leaf, records it under the index that it is going to have, and lets it wait. */
enum status run_push(struct run *run, const struct leaf *leaf, int64_t row, int64_t event_id, struct error *err);
/* Gives what waits to the ledger. */
enum status run_flush(struct run *run, struct error *err);

/* orphan.c: takes over the ledger's leaves from run->known to size, and voids their changes. */
enum status orphans_take_over(struct run *run, uint64_t size, struct error *err);

#endif

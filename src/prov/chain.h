/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_CHAIN_H
#define CAIRN_PROV_CHAIN_H

#include "event/event.h"
#include "leaf/heads.h"
#include "prov/private.h"

/*
 * From events to the log: each event that a group of writes appends becomes a leaf before the group is committed, so
 * that nothing is served that is not logged. When the ledger refuses, the group fails. When the commit fails after the
 * ledger has the leaves, they are orphans: the next group takes them over, goes on behind them in their repos' chains,
 * and says with a "void" leaf of each that its change was not made. The same happens to what a restored database does
 * not know.
 */
extern const struct migration_set prov_migrations;
extern const struct event_kind prov_events[]; /* ends with a NULL name */

/* The ledger, as far as it is needed here (ledger/ledger.h). Called on the writer thread. */
struct prov_ledger {
    enum status (*append)(void *context, const struct str *entries, size_t count, uint64_t *first, struct error *err);
    uint64_t (*size)(void *context);
    enum status (*entry)(void *context, uint64_t index, struct buf *out, struct error *err); /* appends to out */
    void *context;
};

struct prov {
    struct prov_ledger ledger;
    struct persons *persons;
    bool checked; /* the writer's own: the newest leaf has been compared with the ledger's */
};

/*
 * For db_before_commit(), with a struct prov as context. An empty write at start makes it take over orphans, and the
 * events of processes that had no ledger.
 *
 * Errors: those of the ledger and of persons_keys(); CORRUPT when the ledger has fewer leaves than the database or
 * other ones; INTERNAL for events that compose() refuses.
 */
enum status prov_hook(struct db_conn *tx, void *context, struct error *err);

/* The log id of a repo; NOT_FOUND when nothing of it has been logged. */
enum status prov_repo_log(struct db_conn *conn, int64_t repo_id, uint8_t out[LEAF_REPO_SIZE], struct error *err);

/* Heads. */

/* The heads by the first leaves of the log, whatever came after them: for heads_root() and heads_answer(). */
struct prov_heads_at {
    struct db_conn *conn;
    uint64_t covers; /* how many leaves */
};
struct heads_source prov_heads_source(struct prov_heads_at *at);

struct prov_heads {
    uint64_t index, covers; /* of the leaf; what it says */
    int64_t at_us;
    struct heads_root root;
};
/* The newest leaf of type repo-heads; NOT_FOUND when there is none. */
enum status prov_heads_newest(struct db_conn *conn, struct prov_heads *out, struct error *err);

#define PROV_HEADS_LEAVES 4096
#define PROV_HEADS_SECONDS 60
/*
 * For a job that runs every few seconds: logs the heads when PROV_HEADS_LEAVES or PROV_HEADS_SECONDS have gone by since
 * the last time and a repo has changed. Computes on the calling thread, so that a large hub's writers do not wait.
 */
enum status prov_heads_log(struct db *db, int64_t now_us, bool *logged, struct error *err);

/* Logs an epoch: digests in hex; config and policy may be absent. */
struct prov_epoch {
    struct str build, checkpoint, config, policy;
};
enum status prov_epoch_log(struct db *db, const struct prov_epoch *epoch, struct error *err);
enum status prov_epoch_append(struct db_conn *tx, const struct prov_epoch *epoch, struct error *err); /* in a write */

#endif

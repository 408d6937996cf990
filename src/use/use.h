/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_USE_USE_H
#define CAIRN_USE_USE_H

#include "module.h"
#include "repo/ref.h"

/*
 * What becomes of access once it was given: who has read what, recalls, broken terms (access C15), and gated weights that
 * come back in by another repo.
 */
extern const struct module use_module;
extern const struct machine enforcement_machine;

/* Adds X-Recall to the reply when the revision has been recalled. */
enum status recall_header(struct request *rq, const struct oid *commit, struct error *err);

/*
 * In the write that gives a ref of repo a commit: settles the holds that its uploads have brought about, now that it is known
 * whose they are, and holds the repo until its tensors have been looked at, when it has some and there are gated ones. Costs
 * nothing to speak of while no repo is gated.
 */
enum status hold_if_gated(struct db_conn *tx, const struct repo *repo, int64_t uploader_id, const struct oid *commit,
                          bool has_tensors, struct error *err);

/* The store's watcher (store_watch_holds()): holds a repo that comes to hold an object of a gated one. */
enum status hold_watch(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct error *err);

#endif

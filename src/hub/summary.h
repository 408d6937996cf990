/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_SUMMARY_H
#define CAIRN_HUB_SUMMARY_H

#include "repo/draft.h"
#include "router/request.h"

/*
 * What the hub keeps of a repo's main branch so that info and search need not read its files: the card's metadata, the
 * tags that follow from card and files, and a model's config and tensor counts. It changes in the same write as the
 * branch.
 */
extern const struct migration_set summary_migrations;

struct summary {
    struct str card; /* one JSON object */
    struct str tags; /* one JSON array of strings */
    struct str pipeline, library;
    struct str config;      /* one JSON object, or "" */
    struct str safetensors; /* one JSON object {"parameters":{…},"total":n}, or "" */
};

/* All strings are given (possibly empty) also for a repo without a card. */
enum status summary_load(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct summary *out,
                         struct error *err);

struct summary_plan {
    int64_t repo_id;
    struct arena *arena;
    struct summary summary;
    struct str *tags;
    size_t tag_count;
};
/* Computes the summary of the tree that draft has built. Files that cannot be read are as if they were not there. */
enum status summary_plan(struct summary_plan *plan, struct request *rq, struct draft *draft, struct error *err);
/* The same of a commit that is there already. */
enum status summary_plan_of(struct summary_plan *plan, struct request *rq, const struct oid *commit, struct error *err);
/* db_write_fn: stores the plan. */
enum status summary_store(struct db_conn *tx, void *plan, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_PULL_H
#define CAIRN_REPO_PULL_H

#include "repo/protect.h"

/* Pull requests: the commits on refs/pr/N, which somebody would like to see on another branch. */

struct pull {
    int64_t number;
    struct str base;  /* the branch it is meant for: "refs/heads/main" */
    struct str title; /* of its first commit */
    int64_t by_id;    /* account; 0: not known */
    int64_t created_us;
    struct oid head; /* where refs/pr/N stands */
    bool is_merged;
    struct oid merged; /* where the base was moved to */
};

/*
 * Takes the next free N (discussions will share the numbers) for a pull request by an account. It is not to be seen
 * before refs/pr/N is there, which the caller makes.
 */
enum status pull_open(struct db *db, int64_t repo_id, struct str base, struct str title, int64_t by_id, int64_t *number,
                      struct error *err);
/* NOT_FOUND when there is none of that number. */
enum status pull_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t number, struct pull *out,
                     struct error *err);

enum pull_state { PULL_ANY, PULL_OPEN, PULL_MERGED };
struct pull_filter {
    enum pull_state state;
    int64_t by_id; /* 0: anybody's */
    int64_t skip, limit;
};
/* Newest first; *total counts all that fit. */
enum status pull_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct pull_filter *filter,
                      struct pull **out, size_t *count, int64_t *total, struct error *err);

/* A merge in the making: what it would do, as things stand. */
struct merge {
    struct pull pull;
    struct oid old; /* where the base stands */
    bool is_protected;
    struct ref_rule rule;            /* when it is protected */
    struct approvals approvals;      /* then */
    int64_t added, changed, removed; /* files */
};
/*
 * Plans to move the base of a pull request forward to its very commit. CONFLICT when it is merged already, brings
 * nothing, or was not built on what the base is now; FORBIDDEN when it lacks approvals. conn is a reader, which sees
 * that one state until it is released (db_snapshot()).
 */
enum status merge_plan(struct db_conn *conn, struct arena *arena, int64_t repo_id, int64_t number, struct merge *out,
                       struct error *err);
/*
 * Moves it and appends the event "commit". evidence is the SHA-256 of a stored statement that lists exactly the
 * approvals of the plan; NULL where the base is not protected. also (may be NULL) runs in the same write.
 *
 * Errors: STALE when anything has changed since it was planned: plan again. FORBIDDEN as ref_guard() says it.
 */
enum status merge_apply(struct db *db, const struct repo *repo, const struct merge *merge,
                        const uint8_t evidence[SHA256_SIZE], int64_t by_id, db_write_fn *also, void *also_context,
                        struct error *err);

#endif

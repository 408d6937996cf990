/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_REPO_PROTECT_H
#define CAIRN_REPO_PROTECT_H

#include "repo/ref.h"

/*
 * Protected branches (provenance 3.2, "Approvals gate"). A branch with a rule moves only by the merge of a pull request
 * (pull.h) whose very commit has the approvals that the rule asks for; it can be neither overwritten nor deleted.
 * Nobody is exempt: who may change the rule does that first, and the log has it.
 */

#define APPROVALS_MOST 100

struct ref_rule {
    struct str ref;    /* "refs/heads/main" */
    int64_t approvals; /* at least 1 */
    enum role role;    /* that an approver needs, at least, in the name space that owns the repo */
    int64_t created_us;
};

/*
 * Protects a branch, or changes the rule that it has; appends the event "repo.protect". INVALID for what is no branch
 * (refs/heads/…), for a number outside 1 to APPROVALS_MOST and for ROLE_NONE; NOT_FOUND when the branch is not there.
 */
enum status rule_set(struct db *db, int64_t repo_id, const struct ref_rule *rule, int64_t by_id, struct error *err);
/* Logged as a rule of 0 approvals. NOT_FOUND when the branch has none. */
enum status rule_remove(struct db *db, int64_t repo_id, struct str ref, int64_t by_id, struct error *err);

/* out->ref is the one that was asked for. */
enum status rule_find(struct db_conn *conn, int64_t repo_id, struct str ref, struct ref_rule *out, bool *found,
                      struct error *err);
/* In the order of their names. */
enum status rule_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct ref_rule **out, size_t *count,
                      struct error *err);

/* Approvals. */

enum decision { DECISION_APPROVE = 1, DECISION_REJECT = 2, DECISION_WITHDRAW = 3 };
struct str decision_name(enum decision decision); /* "approve" */
bool decision_parse(struct str name, enum decision *out);

/*
 * Within a write: whether a person wants a commit on a branch (ref), in place of what the same person said before: what
 * was approved for one branch does not move another. event_id is the event that it was logged by (db_last_id() after
 * event_append()). NOT_FOUND when the repo has no such commit.
 */
enum status approval_put(struct db_conn *tx, int64_t repo_id, struct str ref, const struct oid *commit,
                         int64_t account_id, enum decision decision, int64_t event_id, struct error *err);

struct approvals {
    int64_t have;    /* people whose approval counts */
    int64_t rejects; /* people who reject and would count; with one of them nothing moves */
    int64_t *events; /* of the approvals that count, oldest first */
};
/*
 * What a commit has towards a rule, as things stand now. Those count whose role in the repo's owner is at least the
 * rule's, and who have made none of the commits that a merge would bring into the branch.
 *
 * Errors: NOT_FOUND for an unknown commit; UNPROCESSABLE when it is too far ahead of the branch to be merged.
 */
enum status approvals_count(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct ref_rule *rule,
                            const struct oid *commit, struct approvals *out, struct error *err);

#endif

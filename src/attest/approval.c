/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Approvals: what moves a protected branch (repo/protect.h), and what a deployment may refer to. */
#include "attest/internal.h"
#include "base/text.h"

struct approval {
    enum decision decision;
    struct str ref;
    uint64_t subject; /* the leaf of the commit */
    enum role role;
};

static enum status check(struct said *said, struct error *err)
{
    struct request *rq = said->rq;
    struct approval *own = said->own = arena_alloc(rq->arena, sizeof *own);
    struct str decision, branch;
    bool found;
    TRY(said_word(said, "decision", "approve reject withdraw", &decision, err));
    TRY(said_text(said, "branch", &branch, err));
    if (!str_given(decision) || !decision_parse(decision, &own->decision))
        return fail(err, UNPROCESSABLE, NULL, "The predicate needs a \"decision\": approve, reject or withdraw.");
    own->ref = arena_printf(rq->arena, "refs/heads/%.*s", STR_ARG(str_given(branch) ? branch : STR("main")));
    TRY(prov_revision_leaf(rq->db, rq->repo.id, said->commit.bytes, REVISION_MOVED, &own->subject, &found, err));
    if (!found)
        return fail(
            err, UNPROCESSABLE, NULL,
            "No branch, tag or pull request has ever pointed to this commit, so the log has no entry to approve.");
    return account_role_in(rq->db, said->signer.account_id, rq->repo.owner_id, &own->role, err);
}

/* How things stand with this decision. Without a rule none is required, and members' approvals count. */
static enum status count(const struct said *said, struct db_conn *tx, int64_t *required, int64_t *have,
                         struct error *err)
{
    const struct approval *own = said->own;
    struct ref_rule rule;
    struct approvals approvals = {0};
    bool found;
    TRY(rule_find(tx, said->rq->repo.id, own->ref, &rule, &found, err));
    if (!found)
        rule = (struct ref_rule){.ref = own->ref, .role = ROLE_READ};
    enum status status = approvals_count(tx, said->rq->arena, said->rq->repo.id, &rule, &said->commit, &approvals, err);
    if (status != OK && status != UNPROCESSABLE && status != NOT_FOUND) /* it cannot be merged there, approved or not */
        return status;
    *required = rule.approvals;
    *have = approvals.have;
    return OK;
}

/* The decision counts from here on; after() gives it the event by which it was logged, which is not there yet. */
static enum status write(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err)
{
    const struct approval *own = said->own;
    int64_t required, have;
    TRY(approval_put(tx, said->rq->repo.id, own->ref, &said->commit, said->signer.account_id, own->decision, 0, err));
    TRY(count(said, tx, &required, &have, err));
    jw_key_int(w, "subject", (int64_t)own->subject);
    jw_key_str(w, "decision", decision_name(own->decision));
    jw_key_str(w, "role", own->role == ROLE_NONE ? role_name(ROLE_READ) : role_name(own->role));
    jw_key_int(w, "required", required);
    jw_key_int(w, "have", have);
    return OK;
}

static enum status after(struct said *said, struct db_conn *tx, struct error *err)
{
    const struct approval *own = said->own;
    return approval_put(tx, said->rq->repo.id, own->ref, &said->commit, said->signer.account_id, own->decision,
                        said->event_id, err);
}

const struct statement_kind approval_kind = {
    .predicate_types = {APPROVAL_PREDICATE},
    .event = &attest_events[EVENT_APPROVAL],
    .action = ACT_ATTEST,
    .most = 64 * 1024,
    .repo_name = "repo",
    .shown = "decision role required have",
    .check = check,
    .write = write,
    .after = after,
};

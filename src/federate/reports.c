/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two houses: which reports were in a round's sum, as signatures in the order of the list. The record has the root of the tree over them
 * (reports_root()), which both houses have signed: so who has sent a report sees whether it was counted, and nobody sees whose the others are.
 */
#include "federate/houses.h"

static const char keep_sql[] = "INSERT INTO federate_signatures (run_id, round, list) VALUES (?, ?, ?)";

enum status reports_keep(struct db_conn *tx, const struct closing *c, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, keep_sql, &row, err));
    stmt_bind_int(row, 1, c->run.id);
    stmt_bind_int(row, 2, c->run.round);
    stmt_bind_blob(row, 3, c->facts->signatures, c->facts->signature_count * PACT_SIGNATURE_SIZE);
    return stmt_run(row, err);
}

static const char list_sql[] = "SELECT list FROM federate_signatures WHERE run_id = ? AND round = ?";

static enum status check_participant(struct request *rq, const struct run *run, struct error *err)
{
    struct participant who;
    TRY(participant_find(rq->db, run->id, rq->actor.account.id, &who, err));
    if (!who.joined)
        return fail(err, FORBIDDEN, "NotJoined", "Join this federated training first.");
    return who.removed ? fail(err, FORBIDDEN, "Removed", "You were removed from this federated training.") : OK;
}

/* GET /api/{api}/federate/reports?round=N: of a round that is over, 64 bytes of each. */
enum status reports_get(struct request *rq, struct error *err)
{
    struct run run;
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf list = {0};
    int64_t round;
    if (!str_to_i64(request_query(rq, "round", 0), &round))
        return fail(err, INVALID, NULL, "The address must say \"round\", a whole number.");
    TRY(run_of_repo(rq->db, rq->arena, rq->repo.id, &run, err));
    TRY(check_participant(rq, &run, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, run.id);
    stmt_bind_int(row, 2, round);
    bool found = stmt_next(row);
    if (found)
        buf_str(&list, stmt_str(row, 0));
    TRY(stmt_end(row, err));
    if (!found)
        return fail(err, NOT_FOUND, "NoReports", "Round %lld has ended with no list of reports, or not ended yet.",
                    (long long)round);
    reply_buf(rq->http, 200, STR("application/octet-stream"), &list);
    return OK;
}

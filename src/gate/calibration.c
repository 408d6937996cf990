/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"

/*
 * Calibration (C9.6): now and then a reviewer gets, beside a new case, one that has been decided, masked like any
 * other. What they say of it is compared with what was decided, shown to them and to the lead, and decides nothing.
 */

/* Decided cases of the gate, the newest 200, which this person has never had. */
#define DECIDED                                                                                                        \
    "FROM (SELECT q.id, q.cycle FROM access_request q WHERE q.gate_id = ? AND q.state IN (7, 8) AND q.applicant_id "   \
    "<> "                                                                                                              \
    "? AND EXISTS (SELECT 1 FROM review_verdict v WHERE v.request_id = q.id AND v.cycle = q.cycle AND v.slot <= 3) "   \
    "AND NOT EXISTS (SELECT 1 FROM review_assignment a WHERE a.request_id = q.id AND a.account_id = ?) "               \
    "ORDER BY q.decided_us DESC LIMIT 200) d "

static enum status find(struct db_conn *conn, const struct access_request *request, int64_t account_id, int64_t *out,
                        int64_t *cycle, struct error *err)
{
    static const char count_sql[] = "SELECT count(*) " DECIDED,
                      pick_sql[] = "SELECT d.id, d.cycle " DECIDED "ORDER BY d.id LIMIT 1 OFFSET ?";
    auto_stmt struct stmt *row = NULL, *pick = NULL;
    *out = 0;
    TRY(db_prepare(conn, count_sql, &row, err));
    stmt_bind_int(row, 1, request->gate_id);
    stmt_bind_int(row, 2, account_id);
    stmt_bind_int(row, 3, account_id);
    int64_t count = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    if (!count)
        return OK;
    TRY(db_prepare(conn, pick_sql, &pick, err));
    stmt_bind_int(pick, 1, request->gate_id);
    stmt_bind_int(pick, 2, account_id);
    stmt_bind_int(pick, 3, account_id);
    stmt_bind_int(pick, 4, (int64_t)(((unsigned __int128)draw_random() * (uint64_t)count) >> 64));
    if (stmt_next(pick)) {
        *out = stmt_int(pick, 0);
        *cycle = stmt_int(pick, 1);
    }
    return stmt_end(pick, err);
}

enum status calibration_perhaps(struct db_conn *tx, struct arena *arena, const struct access_request *request,
                                int64_t account_id, struct error *err)
{
    struct access_request decided;
    int64_t id, cycle;
    struct gate gate;
    struct gate_policy policy;
    TRY(policy_of_request(tx, arena, request, &gate, &policy, err));
    /* The rate is of all that are handed out, and this one comes on top of an ordinary one: p / (1 - p). */
    int64_t ppm = policy.calibration_ppm, extra = ppm * 1000000 / (1000000 - ppm);
    if ((int64_t)(((unsigned __int128)draw_random() * 1000000) >> 64) >= extra)
        return OK;
    TRY(find(tx, request, account_id, &id, &cycle, err));
    if (!id)
        return OK;
    TRY(request_get(tx, arena, id, &decided, err));
    return assignment_make(tx, arena, &decided, cycle, SLOT_CALIBRATION, account_id, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/review_internal.h"

/* Forgetting a person: who reviewed hands over what is open; what they wrote, and what was written about them as an
 * applicant, is emptied. Scores, codes and outcomes stay: they are what the figures are made of. */

static const char held_sql[] =
    "SELECT id, request_id, slot FROM review_assignment WHERE account_id = ? AND state = 1 ORDER BY id LIMIT 1";

static enum status hand_over(struct db_conn *tx, struct arena *arena, int64_t account_id, struct error *err)
{
    for (;;) {
        auto_stmt struct stmt *row = NULL;
        struct access_request request;
        TRY(db_prepare(tx, held_sql, &row, err));
        stmt_bind_int(row, 1, account_id);
        int64_t id = stmt_next(row) ? stmt_int(row, 0) : 0, request_id = id ? stmt_int(row, 1) : 0;
        bool calibration = id && stmt_int(row, 2) == SLOT_CALIBRATION;
        TRY(stmt_end(row, err));
        if (!id)
            return OK;
        TRY(assignment_end(tx, id, RECUSED, err));
        if (calibration)
            continue;
        TRY(request_get(tx, arena, request_id, &request, err));
        TRY(request_do(tx, arena, &request, REQUEST_RECUSE, BY_RULE, 0, (struct str){0}, (struct str){0}, err));
    }
}

static const char mine_sql[] = "SELECT id FROM appeal WHERE appellant_id = ? AND state <= 2 ORDER BY id LIMIT 1";
static const char heard_sql[] =
    "SELECT l.id FROM appeal_seat s JOIN appeal l ON l.id = s.appeal_id AND l.state <= 2 WHERE s.account_id = ? AND "
    "s.state = 1 ORDER BY l.id LIMIT 1";
static const char leave_sql[] = "UPDATE appeal_seat SET state = 3 WHERE account_id = ? AND appeal_id = ?";

static enum status next_appeal(struct db_conn *tx, struct arena *arena, const char *sql, int64_t account_id,
                               struct appeal *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    *found = stmt_next(row);
    int64_t id = *found ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    return *found ? appeal_get_id(tx, arena, id, out, err) : OK;
}

static enum status leave_appeals(struct db_conn *tx, struct arena *arena, int64_t account_id, struct error *err)
{
    struct appeal appeal;
    bool found;
    for (;;) {
        TRY(next_appeal(tx, arena, mine_sql, account_id, &appeal, &found, err));
        if (!found)
            break;
        TRY(appeal_do(tx, arena, &appeal, APPEAL_WITHDRAW, BY_RULE, 0, (struct str){0}, err));
    }
    for (;;) {
        auto_stmt struct stmt *leave = NULL;
        TRY(next_appeal(tx, arena, heard_sql, account_id, &appeal, &found, err));
        if (!found)
            return OK;
        TRY(db_prepare(tx, leave_sql, &leave, err));
        stmt_bind_int(leave, 1, account_id);
        stmt_bind_int(leave, 2, appeal.id);
        TRY(stmt_run(leave, err));
        TRY(appeal_do(tx, arena, &appeal, APPEAL_STEP_OUT, BY_RULE, 0, (struct str){0}, err));
    }
}

const char *const review_forgets[] = {
    "DELETE FROM review_conflict WHERE account_id = ?",
    "DELETE FROM review_conflict WHERE scope = 'account' AND scope_id = ?",
    "UPDATE review_verdict SET note = '', note_to_applicant = '', override_reason = '' WHERE account_id = ?",
    "UPDATE review_verdict SET note = '', note_to_applicant = '', override_reason = '' WHERE request_id IN (SELECT id "
    "FROM access_request WHERE applicant_id = ?)",
    "UPDATE review_case SET identity_note = '' WHERE request_id IN (SELECT id FROM access_request WHERE applicant_id = "
    "?)",
    "UPDATE review_assignment SET reason = '' WHERE account_id = ?",
    "UPDATE review_assignment SET reason = '' WHERE request_id IN (SELECT id FROM access_request WHERE applicant_id = "
    "?)",
    "UPDATE appeal SET grounds = '[]', facts = '', answer = '[]', text = '', old_text = '' WHERE appellant_id = ?",
    "UPDATE appeal_seat SET first_note = '', answers = '[]', text = '' WHERE account_id = ?",
    "UPDATE appeal_seat SET first_note = '', answers = '[]', text = '' WHERE appeal_id IN (SELECT id FROM appeal WHERE "
    "appellant_id = ?)",
    NULL,
};

/* First, so that nothing is drawn for the person any more. */
static const char no_more_sql[] = "DELETE FROM gate_reviewer WHERE account_id = ?";

enum status review_erase(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *none = NULL;
    TRY(db_prepare(tx, no_more_sql, &none, err));
    stmt_bind_int(none, 1, account_id);
    TRY(stmt_run(none, err));
    TRY(hand_over(tx, &arena, account_id, err));
    return leave_appeals(tx, &arena, account_id, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a gate asks for, and where a person stands towards it. */
#include "terms/internal.h"

/* Epochs. */

static const char walk_sql[] = "INSERT INTO terms_walk (gate_id, version_id) VALUES (?, ?)";

enum status walk_begin(struct db_conn *tx, int64_t gate_id, int64_t version_id, struct error *err)
{
    auto_stmt struct stmt *walk = NULL;
    TRY(db_prepare(tx, walk_sql, &walk, err));
    stmt_bind_int(walk, 1, gate_id);
    stmt_bind_int(walk, 2, version_id);
    TRY(stmt_run(walk, err));
    return timer_set(tx, TERMS_WALK, db_last_id(tx), now_us(), err);
}

static const char next_sql[] = "UPDATE gate SET terms_epoch = terms_epoch + 1 WHERE id = ?";
static const char epoch_sql[] = "INSERT INTO gate_epoch (gate_id, epoch, terms_version_id, at_us, due_us) "
                                "SELECT id, terms_epoch, ?, ?, ? FROM gate WHERE id = ?";
static const char which_sql[] = "SELECT terms_epoch FROM gate WHERE id = ?";

enum status epoch_begin(struct db_conn *tx, int64_t gate_id, int64_t version_id, int64_t due_us, int64_t *epoch,
                        struct error *err)
{
    auto_stmt struct stmt *next = NULL, *add = NULL, *which = NULL;
    TRY(db_prepare(tx, next_sql, &next, err));
    stmt_bind_int(next, 1, gate_id);
    TRY(stmt_run(next, err));
    TRY(db_prepare(tx, epoch_sql, &add, err));
    stmt_bind_int(add, 1, version_id);
    stmt_bind_int(add, 2, now_us());
    stmt_bind_int(add, 3, due_us);
    stmt_bind_int(add, 4, gate_id);
    TRY(stmt_run(add, err));
    TRY(db_prepare(tx, which_sql, &which, err));
    stmt_bind_int(which, 1, gate_id);
    *epoch = stmt_next(which) ? stmt_int(which, 0) : 0;
    TRY(stmt_end(which, err));
    /* Those who have asked and wait are told too, by the part that knows requests (access C3 R17). */
    TRY(timer_set(tx, "request.terms", gate_id, now_us(), err));
    return walk_begin(tx, gate_id, version_id, err);
}

/* Binding. */

static const char bound_sql[] = "SELECT doc_id FROM gate_terms WHERE gate_id = ?";
static const char holders_sql[] = "SELECT 1 FROM access_grant WHERE gate_id = ? LIMIT 1";
static const char add_sql[] =
    "INSERT INTO gate_terms (gate_id, doc_id, place, risk, since_epoch, since_seq) VALUES (?, ?, ?, ?, ?, ?)";
static const char keep_sql[] = "UPDATE gate_terms SET place = ?, risk = ? WHERE gate_id = ? AND doc_id = ?";
static const char drop_sql[] = "DELETE FROM gate_terms WHERE gate_id = ? AND doc_id = ?";
static const char never_due_sql[] =
    "UPDATE gate_epoch SET due_us = 9223372036854775807, terms_version_id = 0 "
    "WHERE gate_id = ? AND terms_version_id IN (SELECT id FROM terms_version WHERE doc_id = ?)";

static enum status keep_doc(struct db_conn *tx, int64_t gate_id, int64_t doc_id, int64_t place, int64_t risk,
                            bool *there, struct error *err)
{
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(tx, keep_sql, &keep, err));
    stmt_bind_int(keep, 1, place);
    stmt_bind_int(keep, 2, risk);
    stmt_bind_int(keep, 3, gate_id);
    stmt_bind_int(keep, 4, doc_id);
    TRY(stmt_run(keep, err));
    *there = db_changes(tx) > 0;
    return OK;
}

static enum status add_doc(struct db_conn *tx, int64_t gate_id, int64_t doc_id, int64_t place, int64_t risk,
                           bool has_holders, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *add = NULL;
    struct version_row now;
    int64_t epoch = 0;
    TRY(version_in_force(tx, &arena, doc_id, now_us(), &now, err));
    if (has_holders)
        TRY(epoch_begin(tx, gate_id, now.id, now_us() + now.grace_us, &epoch, err));
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, gate_id);
    stmt_bind_int(add, 2, doc_id);
    stmt_bind_int(add, 3, place);
    stmt_bind_int(add, 4, risk);
    stmt_bind_int(add, 5, epoch);
    stmt_bind_int(add, 6, now.basis_seq);
    return stmt_run(add, err);
}

/* Who has not accepted it does not have to any more. */
static enum status drop_doc(struct db_conn *tx, int64_t gate_id, int64_t doc_id, struct error *err)
{
    static const char *const both[] = {drop_sql, never_due_sql};
    for (size_t i = 0; i < 2; i++) {
        auto_stmt struct stmt *stmt = NULL;
        TRY(db_prepare(tx, both[i], &stmt, err));
        stmt_bind_int(stmt, 1, gate_id);
        stmt_bind_int(stmt, 2, doc_id);
        TRY(stmt_run(stmt, err));
    }
    return walk_begin(tx, gate_id, 0, err);
}

static bool is_among(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static enum status drop_others(struct db_conn *tx, int64_t gate_id, const int64_t *doc_ids, size_t count,
                               struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t gone[TERMS_GATE_MOST];
    size_t gone_count = 0;
    TRY(db_prepare(tx, bound_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    while (gone_count < TERMS_GATE_MOST && stmt_next(row))
        if (!is_among(doc_ids, count, stmt_int(row, 0)))
            gone[gone_count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < gone_count; i++)
        TRY(drop_doc(tx, gate_id, gone[i], err));
    return OK;
}

enum status terms_bind(struct db_conn *tx, int64_t gate_id, int64_t risk, const int64_t *doc_ids, size_t count,
                       struct error *err)
{
    auto_stmt struct stmt *holders = NULL;
    bool there;
    if (count > TERMS_GATE_MOST)
        return fail(err, INVALID, NULL, "A gate can ask for at most %d texts.", TERMS_GATE_MOST);
    TRY(drop_others(tx, gate_id, doc_ids, count, err));
    TRY(db_prepare(tx, holders_sql, &holders, err));
    stmt_bind_int(holders, 1, gate_id);
    bool has_holders = stmt_next(holders);
    TRY(stmt_end(holders, err));
    for (size_t i = 0; i < count; i++) {
        if (is_among(doc_ids, i, doc_ids[i]))
            return fail(err, INVALID, NULL, "The same terms are named twice.");
        TRY(keep_doc(tx, gate_id, doc_ids[i], (int64_t)i, risk, &there, err));
        if (!there)
            TRY(add_doc(tx, gate_id, doc_ids[i], (int64_t)i, risk, has_holders, err));
    }
    return OK;
}

/* Standing. */

#define NOT_COVERED(seq)                                                                                               \
    "NOT EXISTS (SELECT 1 FROM terms_acceptance a WHERE a.account_id = ? AND a.doc_id = g.doc_id AND a.seq >= " seq ")"

/* The same order as version_in_force(): the newest in force, the first before any is. */
static const char missing_sql[] =
    "SELECT 1 FROM gate_terms g WHERE g.gate_id = ? AND NOT EXISTS ("
    " SELECT 1 FROM terms_acceptance a WHERE a.account_id = ? AND a.doc_id = g.doc_id AND a.seq >= ("
    "  SELECT v.basis_seq FROM terms_version v WHERE v.doc_id = g.doc_id AND v.published_us > 0 "
    "  ORDER BY v.effective_us > ?, CASE WHEN v.effective_us > ? THEN v.seq ELSE -v.seq END LIMIT 1)) LIMIT 1";

enum status terms_missing(struct db_conn *conn, int64_t gate_id, int64_t account_id, int64_t at_us, bool *missing,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, missing_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, account_id);
    stmt_bind_int(row, 3, at_us);
    stmt_bind_int(row, 4, at_us);
    *missing = stmt_next(row);
    return stmt_end(row, err);
}

/* What the gate has asked for from its beginning counts before its epochs: without it, nothing was reached. */
static const char reached_sql[] =
    "SELECT t.terms_epoch, (SELECT min(epoch) - 1 FROM ("
    " SELECT 0 AS epoch FROM gate_terms g WHERE g.gate_id = t.id AND g.since_epoch = 0 AND " NOT_COVERED(
        "g.since_seq") " UNION ALL SELECT e.epoch FROM gate_epoch e JOIN terms_version v ON v.id = e.terms_version_id"
                       "  JOIN gate_terms g ON g.gate_id = e.gate_id AND g.doc_id = v.doc_id"
                       "  WHERE e.gate_id = t.id AND " NOT_COVERED("v.basis_seq") ")) FROM gate t WHERE t.id = ?";
static const char due_sql[] =
    "SELECT due_us, at_us FROM gate_epoch WHERE gate_id = ? AND epoch > ? ORDER BY due_us LIMIT 1";

enum status terms_reached(struct db_conn *conn, int64_t gate_id, int64_t account_id, struct terms_standing *out,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL, *due = NULL;
    TRY(db_prepare(conn, reached_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, account_id);
    stmt_bind_int(row, 3, gate_id);
    bool found = stmt_next(row);
    out->newest = found ? stmt_int(row, 0) : 0;
    out->reached = found && !stmt_is_null(row, 1) ? stmt_int(row, 1) : out->newest;
    TRY(stmt_end(row, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "There is no such gate.");
    TRY(db_prepare(conn, due_sql, &due, err));
    stmt_bind_int(due, 1, gate_id);
    stmt_bind_int(due, 2, out->reached);
    found = stmt_next(due) && stmt_int(due, 0) < INT64_MAX;
    out->due_us = found ? stmt_int(due, 0) : INT64_MAX;
    out->at_us = found ? stmt_int(due, 1) : 0;
    return stmt_end(due, err);
}

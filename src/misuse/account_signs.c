/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signs of misuse that are an account's, and stand in the database already: sign-ups, and uploads that are held. */
#include "base/time.h"
#include "identity/key.h"
#include "misuse/internal.h"

/* Accounts that are made from one network in a day: one person, it may be, who wants several. */

static const char any_sql[] = "SELECT 1 FROM sign_up UNION ALL SELECT 1 FROM account_mark WHERE looked = 0 UNION ALL "
                              "SELECT 1 FROM account_mark WHERE at_us < ? LIMIT 1";
static const char old_sql[] = "DELETE FROM sign_up WHERE at_us < ?";
/* One of many whose points are not yet put down. */
static const char next_sql[] = "SELECT s.account_id FROM sign_up s WHERE (SELECT count(*) FROM sign_up o WHERE "
                               "o.network = s.network) > ? AND NOT EXISTS "
                               "(SELECT 1 FROM misuse_signal m WHERE m.account_id = s.account_id AND m.signal = ? AND "
                               "m.seen_us >= s.at_us) LIMIT 1";

static enum status next_account(struct db_conn *tx, int64_t *account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, next_sql, &row, err));
    stmt_bind_int(row, 1, signal_specs[MANY_ACCOUNTS].threshold);
    stmt_bind_str(row, 2, str_of(signal_specs[MANY_ACCOUNTS].code));
    *account_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* And accounts that have been made with one browser, or are paid for by the same means. */

#define MARKS_KEPT_US (90 * DAY_US)

static const char mark_sql[] = "SELECT id FROM account_mark WHERE looked = 0 ORDER BY id LIMIT 1";
static const char looked_sql[] = "UPDATE account_mark SET looked = 1 WHERE id = ?";
static const char sharing_sql[] =
    "SELECT o.account_id, count(*) OVER () FROM account_mark m JOIN account_mark o ON o.kind = m.kind AND "
    "o.mark = m.mark WHERE m.id = ? ORDER BY o.account_id LIMIT 1 OFFSET ?";

static enum status raise_sharing(struct db_conn *tx, int64_t mark_id, struct error *err)
{
    for (int64_t at = 0;; at++) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(tx, sharing_sql, &row, err));
        stmt_bind_int(row, 1, mark_id);
        stmt_bind_int(row, 2, at);
        bool found = stmt_next(row) && stmt_int(row, 1) > signal_specs[MANY_ACCOUNTS].threshold;
        int64_t account_id = found ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!found)
            return OK;
        TRY(cases_raise(tx, account_id, 0, 1U << MANY_ACCOUNTS, err));
    }
}

static enum status next_mark(struct db_conn *tx, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, mark_sql, &row, err));
    *id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status marks_look(struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *old = NULL;
    TRY(db_prepare(tx, "DELETE FROM account_mark WHERE at_us < ?", &old, err));
    stmt_bind_int(old, 1, now_us() - MARKS_KEPT_US);
    TRY(stmt_run(old, err));
    for (int64_t id;;) {
        auto_stmt struct stmt *looked = NULL;
        TRY(next_mark(tx, &id, err));
        if (!id)
            return OK;
        TRY(raise_sharing(tx, id, err));
        TRY(db_prepare(tx, looked_sql, &looked, err));
        stmt_bind_int(looked, 1, id);
        TRY(stmt_run(looked, err));
    }
}

static enum status networks_look(struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *old = NULL;
    TRY(db_prepare(tx, old_sql, &old, err));
    stmt_bind_int(old, 1, now_us() - DAY_US);
    TRY(stmt_run(old, err));
    for (int64_t account_id;;) {
        TRY(next_account(tx, &account_id, err));
        if (!account_id)
            return OK;
        TRY(cases_raise(tx, account_id, 0, 1U << MANY_ACCOUNTS, err));
    }
}

enum status sign_ups_look(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    TRY(networks_look(tx, err));
    return marks_look(tx, err);
}

static enum status any(struct hub *hub, bool *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_prepare(conn, any_sql, &row, err));
    stmt_bind_int(row, 1, now_us() - MARKS_KEPT_US);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

enum status sign_ups_run(struct hub *hub, struct error *err)
{
    bool is_any;
    TRY(any(hub, &is_any, err)); /* most rounds find none, and need no write */
    return is_any ? db_write(hub->db, sign_ups_look, NULL, err) : OK;
}

/* Uploads that are held: their points are the uploader's. */

static const char holds_sql[] =
    "SELECT h.id, h.uploader_id FROM access_hold h WHERE h.state = 1 AND h.gate_id > 0 AND "
    "h.uploader_id > 0 AND NOT EXISTS (SELECT 1 FROM misuse_match m WHERE m.hold_id = h.id) LIMIT 1";
static const char match_sql[] = "INSERT INTO misuse_match (hold_id) VALUES (?)";

static enum status next_hold(struct db_conn *conn, int64_t *id, int64_t *account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, holds_sql, &row, err));
    *id = 0;
    if (stmt_next(row)) {
        *id = stmt_int(row, 0);
        *account_id = stmt_int(row, 1);
    }
    return stmt_end(row, err);
}

static enum status write_holds(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    for (int64_t id, account_id;;) {
        auto_stmt struct stmt *insert = NULL;
        TRY(next_hold(tx, &id, &account_id, err));
        if (!id)
            return OK;
        TRY(db_prepare(tx, match_sql, &insert, err));
        stmt_bind_int(insert, 1, id);
        TRY(stmt_run(insert, err));
        TRY(cases_raise(tx, account_id, 0, 1U << REUPLOAD, err));
    }
}

static enum status any_hold(struct hub *hub, int64_t *id, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t account_id;
    TRY(db_reader(hub->db, &conn, err));
    return next_hold(conn, id, &account_id, err);
}

enum status holds_run(struct hub *hub, struct error *err)
{
    int64_t id;
    TRY(any_hold(hub, &id, err));
    return id ? db_write(hub->db, write_holds, NULL, err) : OK;
}

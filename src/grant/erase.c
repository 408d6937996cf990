/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grant/internal.h"

static const char live_sql[] = "SELECT id FROM access_grant WHERE account_id = ? AND state <= 3 LIMIT 1";
static const char texts_sql[] = "UPDATE access_grant SET text = '', purpose = '' WHERE account_id = ?";
static const char causes_sql[] =
    "UPDATE grant_cause SET text = '' WHERE grant_id IN (SELECT id FROM access_grant WHERE account_id = ?)";

static enum status find_live(struct db_conn *tx, int64_t account_id, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, live_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    *id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* Live grants are given up, without an entry about the person in the log: its key is gone by now, and shall stay so. */
enum status grant_erase(struct db_conn *tx, int64_t account_id, struct error *err)
{
    static const char *const both[] = {texts_sql, causes_sql};
    int64_t id;
    for (;;) {
        auto_granting struct granting g = {0};
        TRY(find_live(tx, account_id, &id, err));
        if (!id)
            break;
        TRY(granting_load(tx, id, &g, err));
        g.forgets = true;
        TRY(granting_step(&g, &(struct grant_deed){GRANT_SURRENDER, BY_HOLDER, 0, now_us()}, err));
    }
    for (size_t i = 0; i < 2; i++) {
        auto_stmt struct stmt *forget = NULL;
        TRY(db_prepare(tx, both[i], &forget, err));
        stmt_bind_int(forget, 1, account_id);
        TRY(stmt_run(forget, err));
    }
    return OK;
}

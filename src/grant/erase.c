/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grant/internal.h"

static const char live_sql[] = "SELECT id FROM access_grant WHERE account_id = ? AND state <= 3 LIMIT 1";
const char *const grant_forgets[] = {
    "UPDATE access_grant SET text = '', purpose = '' WHERE account_id = ?",
    "UPDATE grant_cause SET text = '' WHERE grant_id IN (SELECT id FROM access_grant WHERE account_id = ?)",
    NULL,
};

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
    int64_t id;
    for (;;) {
        auto_granting struct granting g = {0};
        TRY(find_live(tx, account_id, &id, err));
        if (!id)
            return OK;
        TRY(granting_load(tx, id, &g, err));
        g.forgets = true;
        TRY(granting_step(&g, &(struct grant_deed){GRANT_SURRENDER, BY_HOLDER, 0, now_us()}, err));
    }
}

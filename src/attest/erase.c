/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/erase.h"
#include "attest/internal.h"

static const char a_key_sql[] = "SELECT hint FROM signer WHERE account_id = ? AND revoked_us = 0 LIMIT 1";

static enum status find_key(struct db_conn *tx, struct arena *arena, int64_t account_id, struct str *hint,
                            struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, a_key_sql, &find, err));
    stmt_bind_int(find, 1, account_id);
    *hint = stmt_next(find) ? arena_copy(arena, stmt_str(find, 0)) : (struct str){0};
    return stmt_end(find, err);
}

static enum status close_in_write(struct db_conn *tx, void *context, struct error *err)
{
    auto_arena struct arena arena = {0};
    int64_t account_id = *(const int64_t *)context;
    struct str hint;
    for (;;) {
        TRY(find_key(tx, &arena, account_id, &hint, err));
        if (!str_given(hint))
            return OK;
        TRY(signer_revoke_in(tx, account_id, hint, err));
    }
}

enum status attest_close(struct db *db, int64_t account_id, struct error *err)
{
    return db_write(db, close_in_write, &account_id, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/anew.h"
#include "prov/run.h"

enum status prov_any_leaf(struct db_conn *conn, bool *any, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, "SELECT 1 FROM leaf LIMIT 1", &find, err));
    *any = stmt_next(find);
    return stmt_end(find, err);
}

static const char keep_sql[] = "INSERT INTO old_leaf (log, idx, event_id, repo, rseq, hash) "
                               "SELECT (SELECT coalesce(max(log), 0) + 1 FROM old_leaf), idx, event_id, repo, rseq, "
                               "hash FROM leaf";

static enum status begin_in_write(struct db_conn *tx, void *context, struct error *err)
{
    static const char *const steps[] = {keep_sql, "DELETE FROM orphan", "DELETE FROM heads",
                                        "DELETE FROM revision_leaf", "DELETE FROM leaf"};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        auto_stmt struct stmt *step = NULL;
        TRY(db_prepare(tx, steps[i], &step, err));
        TRY(stmt_run(step, err));
    }
    return prov_epoch_append(tx, context, err);
}

enum status prov_begin_anew(struct db *db, const struct prov_epoch *epoch, struct error *err)
{
    struct prov_epoch copy = *epoch;
    return db_write(db, begin_in_write, &copy, err);
}

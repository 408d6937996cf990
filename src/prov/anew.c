/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/anew.h"
#include "prov/run.h"

static enum status run_sql(struct db_conn *tx, const char *sql, int64_t number, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    if (number)
        stmt_bind_int(stmt, 1, number);
    return stmt_run(stmt, err);
}

enum status prov_any_leaf(struct db_conn *conn, bool *any, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, "SELECT 1 FROM leaf LIMIT 1", &find, err));
    *any = stmt_next(find);
    return stmt_end(find, err);
}

static const char keep_sql[] = "INSERT INTO old_leaf (log, idx, event_id, repo, rseq, hash) "
                               "SELECT ?, idx, event_id, repo, rseq, hash FROM leaf";

struct beginning {
    int64_t number;
    const struct prov_epoch *epoch;
};

static enum status begin_in_write(struct db_conn *tx, void *context, struct error *err)
{
    static const char *const deletions[] = {"DELETE FROM orphan", "DELETE FROM heads", "DELETE FROM revision_leaf",
                                            "DELETE FROM leaf"};
    const struct beginning *beginning = context;
    TRY(run_sql(tx, keep_sql, beginning->number, err));
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++)
        TRY(run_sql(tx, deletions[i], 0, err));
    return prov_epoch_append(tx, beginning->epoch, err);
}

enum status prov_begin_anew(struct db *db, int64_t number, const struct prov_epoch *epoch, struct error *err)
{
    struct beginning beginning = {number, epoch};
    return db_write(db, begin_in_write, &beginning, err);
}

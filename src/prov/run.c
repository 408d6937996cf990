/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/run.h"

static const char find_sql[] = "SELECT id FROM repo_log WHERE log_id = ?";
static const char add_sql[] = "INSERT INTO repo_log (repo_id, log_id) VALUES (?, ?)";

enum status repo_log_find(struct db_conn *tx, const uint8_t log_id[LEAF_REPO_SIZE], int64_t *row, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, find_sql, &find, err));
    stmt_bind_blob(find, 1, log_id, LEAF_REPO_SIZE);
    *row = stmt_next(find) ? stmt_int(find, 0) : 0;
    return stmt_end(find, err);
}

enum status repo_log_add(struct db_conn *tx, int64_t repo_id, const uint8_t log_id[LEAF_REPO_SIZE], int64_t *row,
                         struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, add_sql, &add, err));
    if (repo_id)
        stmt_bind_int(add, 1, repo_id);
    else
        stmt_bind_null(add, 1);
    stmt_bind_blob(add, 2, log_id, LEAF_REPO_SIZE);
    TRY(stmt_run(add, err));
    *row = db_last_id(tx);
    return OK;
}

static const char place_sql[] = "SELECT log_id, rseq, hash FROM repo_log LEFT JOIN leaf ON leaf.repo = repo_log.id "
                                "WHERE repo_log.id = ? ORDER BY rseq DESC LIMIT 1";

enum status run_place(struct run *run, int64_t row, struct leaf *leaf, struct error *err)
{
    auto_stmt struct stmt *place = NULL;
    TRY(db_prepare(run->tx, place_sql, &place, err));
    stmt_bind_int(place, 1, row);
    if (!stmt_next(place)) {
        TRY(stmt_end(place, err));
        return fail(err, CORRUPT, NULL, "A row of repo_log is missing. Restore the database from a backup.");
    }
    struct str log_id = stmt_str(place, 0);
    if (log_id.len != LEAF_REPO_SIZE || (!stmt_is_null(place, 1) && stmt_str(place, 2).len != SHA256_SIZE))
        return fail(err, CORRUPT, NULL, "A row of repo_log or leaf is damaged. Restore the database from a backup.");
    leaf->of_repo = true;
    leaf->rseq = 0;
    memset(leaf->previous, 0, sizeof leaf->previous);
    memcpy(leaf->repo, log_id.data, LEAF_REPO_SIZE);
    if (!stmt_is_null(place, 1)) {
        leaf->rseq = (uint64_t)stmt_int(place, 1) + 1;
        memcpy(leaf->previous, stmt_str(place, 2).data, SHA256_SIZE);
    }
    return stmt_end(place, err);
}

static const char leaf_sql[] = "INSERT INTO leaf (idx, event_id, repo, rseq, hash) VALUES (?, ?, ?, ?, ?)";

enum status leaf_row_add(struct db_conn *tx, const struct leaf_row *leaf, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, leaf_sql, &add, err));
    stmt_bind_int(add, 1, (int64_t)leaf->index);
    stmt_bind_null(add, 2);
    stmt_bind_null(add, 3);
    stmt_bind_null(add, 4);
    if (leaf->event_id)
        stmt_bind_int(add, 2, leaf->event_id);
    if (leaf->row) {
        stmt_bind_int(add, 3, leaf->row);
        stmt_bind_int(add, 4, (int64_t)leaf->rseq);
    }
    stmt_bind_blob(add, 5, leaf->hash.bytes, SHA256_SIZE);
    return stmt_run(add, err);
}

enum status run_flush(struct run *run, struct error *err)
{
    struct str entries[RUN_LIMIT];
    uint64_t first, expected = run->known - run->count;
    if (run->count == 0)
        return OK;
    for (size_t i = 0, start = 0; i < run->count; start = run->ends[i++])
        entries[i] = str_slice(buf_view(&run->bytes), start, run->ends[i] - start);
    TRY(run->prov->ledger.append(run->prov->ledger.context, entries, run->count, &first, err));
    if (first != expected)
        return fail(
            err, CORRUPT, NULL,
            "The log gave a change the index %llu where %llu was next: something else appends to it. Nothing was "
            "changed; stop what else writes to the log and restart the hub.",
            (unsigned long long)first, (unsigned long long)expected);
    run->count = 0;
    run->bytes.len = 0;
    return OK;
}

enum status run_push(struct run *run, const struct leaf *leaf, int64_t row, int64_t event_id, struct error *err)
{
    if (run->count == RUN_LIMIT)
        TRY(run_flush(run, err));
    size_t start = run->bytes.len;
    TRY(leaf_write(leaf, &run->bytes, err));
    struct leaf_row as_row = {.index = run->known, .event_id = event_id, .row = row, .rseq = leaf->rseq};
    as_row.hash = tlog_leaf_hash(str_from(buf_view(&run->bytes), start));
    TRY(leaf_row_add(run->tx, &as_row, err));
    run->ends[run->count++] = run->bytes.len;
    run->known++;
    return OK;
}

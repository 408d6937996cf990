/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "prov/run.h"

static enum status contradicts(uint64_t index, struct error *err)
{
    return fail(err, CORRUPT, NULL,
                "Leaf %llu of the log does not follow what the database knows of it, so they do not belong together. "
                "Restore both from the same backup, or run cairn fsck.",
                (unsigned long long)index);
}

static const char close_sql[] = "UPDATE orphan SET void_idx = ? WHERE idx = ? AND void_idx IS NULL";

static enum status orphan_close(struct db_conn *tx, int64_t index, uint64_t void_index, struct error *err)
{
    auto_stmt struct stmt *close = NULL;
    TRY(db_prepare(tx, close_sql, &close, err));
    stmt_bind_int(close, 1, (int64_t)void_index);
    stmt_bind_int(close, 2, index);
    return stmt_run(close, err);
}

/* A leaf that says something of the log and not of a change stays true without its event. */
static enum status orphan_note(struct db_conn *tx, const struct leaf *leaf, uint64_t index, struct error *err)
{
    auto_stmt struct stmt *note = NULL;
    if (str_eq(leaf->type, STR("void")))
        return orphan_close(tx, leaf_get(leaf, "index").number, index, err);
    if (str_eq(leaf->type, STR("epoch")) || str_eq(leaf->type, STR("repo-heads")))
        return OK;
    TRY(db_prepare(tx, "INSERT INTO orphan (idx) VALUES (?)", &note, err));
    stmt_bind_int(note, 1, (int64_t)index);
    return stmt_run(note, err);
}

/* Finds the repo's row, or adds one for a repo whose creation is an orphan, and checks that the leaf continues it. */
static enum status find_row(struct run *run, const struct leaf *leaf, uint64_t index, int64_t *row, struct error *err)
{
    struct leaf next = {0};
    TRY(repo_log_find(run->tx, leaf->repo, row, err));
    if (*row == 0)
        TRY(repo_log_add(run->tx, 0, leaf->repo, row, err));
    TRY(run_place(run, *row, &next, err));
    bool fits = next.rseq == leaf->rseq && memcmp(next.previous, leaf->previous, sizeof next.previous) == 0;
    return fits ? OK : contradicts(index, err);
}

static enum status take_over(struct run *run, struct error *err)
{
    const struct prov_ledger *ledger = &run->prov->ledger;
    auto_arena struct arena arena = {0};
    auto_buf struct buf entry = {0};
    struct leaf leaf;
    struct leaf_row as_row = {.index = run->known};
    TRY(ledger->entry(ledger->context, as_row.index, &entry, err));
    if (leaf_parse(&arena, buf_view(&entry), &leaf, NULL) != OK)
        return contradicts(as_row.index, err);
    if (leaf.of_repo)
        TRY(find_row(run, &leaf, as_row.index, &as_row.row, err));
    as_row.rseq = leaf.rseq;
    as_row.hash = tlog_leaf_hash(buf_view(&entry));
    TRY(leaf_row_add(run->tx, &as_row, err));
    run->known++;
    return orphan_note(run->tx, &leaf, as_row.index, err);
}

static const char open_sql[] = "SELECT orphan.idx, leaf.repo FROM orphan JOIN leaf ON leaf.idx = orphan.idx "
                               "WHERE void_idx IS NULL ORDER BY orphan.idx LIMIT 1";

static enum status next_open(struct db_conn *tx, int64_t *index, int64_t *row, bool *found, struct error *err)
{
    auto_stmt struct stmt *open = NULL;
    TRY(db_prepare(tx, open_sql, &open, err));
    *found = stmt_next(open);
    if (*found) {
        *index = stmt_int(open, 0);
        *row = stmt_is_null(open, 1) ? 0 : stmt_int(open, 1);
    }
    return stmt_end(open, err);
}

static enum status void_all(struct run *run, struct error *err)
{
    for (;;) {
        struct leaf leaf = {.type = STR("void"), .at = now_us() / SECOND_US};
        int64_t index = 0, row = 0;
        bool found;
        TRY(next_open(run->tx, &index, &row, &found, err));
        if (!found)
            return OK;
        leaf_set_number(&leaf, "index", index);
        if (row)
            TRY(run_place(run, row, &leaf, err));
        TRY(orphan_close(run->tx, index, run->known, err));
        TRY(run_push(run, &leaf, row, 0, err));
    }
}

enum status orphans_take_over(struct run *run, uint64_t size, struct error *err)
{
    while (run->known < size)
        TRY(take_over(run, err));
    return void_all(run, err);
}

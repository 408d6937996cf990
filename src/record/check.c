/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Do the log and the database still say the same, and is either whole? */
#include "base/text.h"
#include "prov/compose.h"
#include "record/internal.h"
#include "tlog/tile.h"
#include <stdio.h>
#include <stdlib.h>

struct chain { /* of one repo */
    uint64_t next;
    uint8_t newest[SHA256_SIZE];
};

struct check {
    struct findings *findings;
    void (*progress)(int64_t done, int64_t of);
    struct db_conn *conn;
    struct ledger *ledger;
    uint64_t known;       /* leaves that the database has */
    struct chain *chains; /* by the number of the repo's row */
    int64_t chain_count;
};

static enum status count(struct db_conn *conn, const char *sql, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    *out = stmt_next(stmt) ? stmt_int(stmt, 0) : 0;
    return stmt_end(stmt, err);
}

/* Leaves. */

/* The repo of the row, its number there, and that it goes on from the repo's leaf before. */
static void check_chain(struct check *check, struct stmt *row, const struct leaf *leaf, const struct tlog_hash *hash)
{
    unsigned long long index = (unsigned long long)stmt_int(row, 0);
    int64_t repo = stmt_int(row, 2);
    struct str log_id = stmt_str(row, 3);
    bool same = str_eq(log_id, (struct str){(const char *)leaf->repo, LEAF_REPO_SIZE});
    if (!leaf->of_repo && stmt_is_null(row, 2))
        return;
    if (!leaf->of_repo || !same || stmt_int(row, 4) != (int64_t)leaf->rseq) {
        findings_add(check->findings,
                     "the database has leaf %llu of the log in another place of another repo's history", index);
        return;
    }
    if (repo <= 0 || repo >= check->chain_count) {
        findings_add(check->findings, "the row of repo_log that leaf %llu belongs to has a number that cannot be",
                     index);
        return;
    }
    struct chain *chain = &check->chains[repo];
    if (leaf->rseq != chain->next || memcmp(leaf->previous, chain->newest, SHA256_SIZE) != 0)
        findings_add(check->findings, "leaf %llu of the log does not follow the leaf before it of its repo", index);
    chain->next = leaf->rseq + 1;
    memcpy(chain->newest, hash->bytes, SHA256_SIZE);
}

static void check_leaf(struct check *check, struct stmt *row, struct str entry)
{
    auto_arena struct arena arena = {0};
    struct tlog_hash hash = tlog_leaf_hash(entry);
    unsigned long long index = (unsigned long long)stmt_int(row, 0);
    struct leaf leaf;
    struct error why = {0};
    if (!str_eq(stmt_str(row, 5), (struct str){(const char *)hash.bytes, sizeof hash.bytes}))
        findings_add(check->findings, "the database has another hash of leaf %llu than the log's entry gives", index);
    if (!stmt_is_null(row, 1) && stmt_is_null(row, 6))
        findings_add(check->findings, "event %lld, which leaf %llu of the log is made from, is gone",
                     (long long)stmt_int(row, 1), index);
    if (leaf_parse(&arena, entry, &leaf, &why) != OK)
        findings_add(check->findings, "entry %llu of the log is no leaf: %s", index, why.message);
    else
        check_chain(check, row, &leaf, &hash);
}

static const char rows_sql[] = "SELECT l.idx, l.event_id, l.repo, r.log_id, l.rseq, l.hash, e.id FROM leaf l LEFT JOIN "
                               "repo_log r ON r.id = l.repo "
                               "LEFT JOIN event e ON e.id = l.event_id WHERE l.idx >= ? AND l.idx < ? ORDER BY l.idx";

/* Takes the first entry off a bundle; it is whole, as ledger_bundle() has looked. */
static struct str next_entry(struct str *bundle)
{
    const uint8_t *head = (const uint8_t *)bundle->data;
    struct str entry = str_slice(*bundle, 2, (size_t)(head[0] << 8 | head[1]));
    *bundle = str_from(*bundle, 2 + entry.len);
    return entry;
}

static enum status check_bundle(struct check *check, uint64_t first, unsigned width, struct str bundle,
                                struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(check->conn, rows_sql, &row, err));
    stmt_bind_int(row, 1, (int64_t)first);
    stmt_bind_int(row, 2, (int64_t)(first + width));
    bool more = stmt_next(row);
    for (uint64_t index = first; index < first + width; index++) {
        struct str entry = next_entry(&bundle);
        if (!more || stmt_int(row, 0) != (int64_t)index) {
            findings_add(check->findings, "the database lacks leaf %llu of the log", (unsigned long long)index);
            continue;
        }
        check_leaf(check, row, entry);
        more = stmt_next(row);
    }
    return stmt_end(row, err);
}

/* Damage to the entries has been told by ledger_check() already. */
static enum status check_leaves(struct check *check, uint64_t size, struct error *err)
{
    uint64_t end = check->known < size ? check->known : size;
    for (uint64_t first = 0; first < end; first += TILE_WIDTH) {
        auto_buf struct buf bundle = {0};
        struct error why = {0};
        unsigned width = end - first < TILE_WIDTH ? (unsigned)(end - first) : TILE_WIDTH;
        enum status status = ledger_bundle(check->ledger, first / TILE_WIDTH, width, &bundle, &why);
        if (status == CORRUPT) {
            findings_add(check->findings, "entries %llu to %llu of the log: %s", (unsigned long long)first,
                         (unsigned long long)(first + width - 1), why.message);
            return OK;
        }
        if (status != OK)
            return fail(err, status, why.code, "%s", why.message);
        TRY(check_bundle(check, first, width, buf_view(&bundle), err));
        check->progress((int64_t)(first + width), (int64_t)end);
    }
    return OK;
}

/* Every event that was looked at and has something to say must have its leaf, in this log or an earlier one. */

static const char silent_sql[] =
    "SELECT " CHANGE_COLUMNS " FROM event e "
    "WHERE e.id <= (SELECT event_id FROM leaf_cursor) AND NOT EXISTS (SELECT 1 FROM leaf l WHERE l.event_id = e.id) "
    "AND NOT EXISTS (SELECT 1 FROM old_leaf o WHERE o.event_id = e.id)";

static enum status check_events(struct check *check, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(check->conn, silent_sql, &row, err));
    while (stmt_next(row)) {
        auto_arena struct arena arena = {0};
        struct composition composed;
        struct change change = change_read(row);
        if (compose(&arena, &change, &composed, NULL) != OK || composed.wanted)
            findings_add(check->findings, "event %lld (%.*s) is not in the log", (long long)change.id,
                         STR_ARG(str_slice(change.kind, 0, 100)));
    }
    return stmt_end(row, err);
}

/* Heads. */

static const char heads_sql[] = "SELECT idx, covers, count, root FROM heads WHERE idx < ? ORDER BY idx";

static bool says(const struct leaf *leaf, struct stmt *row)
{
    return str_eq(leaf->type, STR("repo-heads")) && leaf_get(leaf, "covers").number == stmt_int(row, 1) &&
           leaf_get(leaf, "count").number == stmt_int(row, 2) && str_eq(leaf_get(leaf, "root").text, stmt_str(row, 3));
}

/* What the newest one says must come out again from the leaves. */
static enum status check_root(struct check *check, uint64_t index, uint64_t covers, struct str root, struct error *err)
{
    struct prov_heads_at at = {check->conn, covers};
    struct heads_source source = prov_heads_source(&at);
    struct heads_root made;
    uint8_t said[SHA256_SIZE];
    struct error why = {0};
    enum status status = heads_root(&source, &made, &why);
    if (status != OK && status != CORRUPT)
        return fail(err, status, why.code, "%s", why.message);
    if (status == CORRUPT || !hex_decode(root, said, sizeof said) || memcmp(said, made.root.bytes, sizeof said) != 0)
        findings_add(check->findings,
                     "leaf %llu of the log has another root of all repos' heads than their leaves give",
                     (unsigned long long)index);
    return OK;
}

static enum status check_heads(struct check *check, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    uint64_t index = 0, covers = 0;
    struct str root = {0};
    TRY(db_prepare(check->conn, heads_sql, &row, err));
    stmt_bind_int(row, 1, (int64_t)check->known);
    while (stmt_next(row)) {
        auto_buf struct buf entry = {0};
        struct leaf leaf;
        arena_reset(&arena);
        index = (uint64_t)stmt_int(row, 0);
        covers = (uint64_t)stmt_int(row, 1);
        root = arena_copy(&arena, stmt_str(row, 3));
        if (ledger_entry(check->ledger, index, &entry, NULL) != OK ||
            leaf_parse(&arena, buf_view(&entry), &leaf, NULL) != OK || !says(&leaf, row))
            findings_add(check->findings, "the database has another heads leaf %llu than the log",
                         (unsigned long long)index);
    }
    TRY(stmt_end(row, err));
    return str_given(root) ? check_root(check, index, covers, root, err) : OK;
}

/* All. */

static enum status check_both(struct check *check, struct error *err)
{
    struct ledger_state state;
    int64_t newest_row;
    TRY(ledger_check(check->ledger, check->findings, err));
    ledger_state(check->ledger, &state);
    if (state.size < check->known)
        findings_add(check->findings, "the log has %llu leaves and the database knows %llu: leaves were lost",
                     (unsigned long long)state.size, (unsigned long long)check->known);
    TRY(count(check->conn, "SELECT coalesce(max(id), 0) FROM repo_log", &newest_row, err));
    check->chain_count = newest_row < (int64_t)check->known ? newest_row + 1 : (int64_t)check->known + 1;
    check->chains = calloc((size_t)check->chain_count, sizeof *check->chains);
    if (!check->chains)
        abort();
    enum status status = check_leaves(check, state.size, err);
    free(check->chains);
    TRY(status);
    TRY(check_events(check, err));
    return check_heads(check, err);
}

/* The database is looked at first: what it knows by then is in the log that is opened afterwards. */
enum status record_check(const char *dir, struct db_conn *conn, struct findings *findings,
                         void (*progress)(int64_t done, int64_t of), struct error *err)
{
    struct check check = {.findings = findings, .progress = progress, .conn = conn};
    char folder[PATH_MAX];
    struct error why = {0};
    int64_t known;
    TRY(record_folder(dir, folder, err));
    TRY(count(conn, "SELECT coalesce(max(idx) + 1, 0) FROM leaf", &known, err));
    check.known = (uint64_t)known;
    enum status status = ledger_open_reader(folder, &check.ledger, &why);
    if (status == NOT_FOUND && known == 0)
        return OK; /* a hub that never ran */
    if (status == NOT_FOUND || status == CORRUPT || status == INVALID) {
        findings_add(findings, "the log in %s cannot be read: %s", folder, why.message);
        return OK;
    }
    if (status != OK)
        return fail(err, status, why.code, "%s", why.message);
    status = check_both(&check, err);
    ledger_close(check.ledger);
    return status;
}

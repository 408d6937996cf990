/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/chain.h"
#include "base/text.h"
#include "prov/compose.h"
#include "prov/find.h"
#include "prov/run.h"
#include <openssl/crypto.h>
#include <stdlib.h>

/*
 * - repo_log: the id under which the log knows a repo. repo_id is NULL where the repo's creation was not made after
 * all, because its number may then be given to another.
 * - leaf: all leaves of the ledger, by index; event_id is NULL for those that no event of this database stands behind.
 * - revision_leaf: the newest leaf of each kind about a commit, from 1: a ref moved to it, 2: its manifest,
 *   3: the round of a federated training that made it.
 * - orphan: leaves whose change was not made, and the leaf that says so.
 * - leaf_cursor: the newest event that has been looked at.
 */
static const char create_sql[] = "CREATE TABLE repo_log ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT UNIQUE,"
                                 "  log_id BLOB NOT NULL UNIQUE);"

                                 "CREATE TABLE leaf ("
                                 "  idx INTEGER PRIMARY KEY,"
                                 "  event_id BIGINT UNIQUE,"
                                 "  repo BIGINT REFERENCES repo_log (id),"
                                 "  rseq BIGINT,"
                                 "  hash BLOB NOT NULL,"
                                 "  UNIQUE (repo, rseq));"

                                 "CREATE TABLE revision_leaf ("
                                 "  repo_id BIGINT NOT NULL,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  kind BIGINT NOT NULL,"
                                 "  idx BIGINT NOT NULL REFERENCES leaf (idx),"
                                 "  PRIMARY KEY (repo_id, commit_oid, kind)) WITHOUT ROWID;"

                                 "CREATE INDEX revision_leaf_moved ON revision_leaf (idx) WHERE kind = 1;"

                                 "CREATE TABLE orphan ("
                                 "  idx INTEGER PRIMARY KEY REFERENCES leaf (idx),"
                                 "  void_idx BIGINT);"
                                 "CREATE INDEX orphan_open ON orphan (idx) WHERE void_idx IS NULL;"

                                 "CREATE TABLE heads ("
                                 "  idx INTEGER PRIMARY KEY REFERENCES leaf (idx),"
                                 "  covers BIGINT NOT NULL,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  count BIGINT NOT NULL,"
                                 "  root TEXT NOT NULL);"

                                 "CREATE TABLE leaf_cursor (event_id BIGINT NOT NULL);"
                                 "INSERT INTO leaf_cursor (event_id) VALUES (0);";

/* Leaves of logs that are over (prov/anew.h); log counts them. */
static const char old_sql[] = "CREATE TABLE old_leaf ("
                              "  log BIGINT NOT NULL,"
                              "  idx BIGINT NOT NULL,"
                              "  event_id BIGINT,"
                              "  repo BIGINT,"
                              "  rseq BIGINT,"
                              "  hash BLOB NOT NULL,"
                              "  PRIMARY KEY (log, idx));"
                              "CREATE INDEX old_leaf_event ON old_leaf (event_id);";

const struct migration_set prov_migrations = {"prov", (const char *const[]){create_sql, old_sql, NULL}};

/* What database and ledger know of each other. */

static const char newest_sql[] = "SELECT idx, hash FROM leaf ORDER BY idx DESC LIMIT 1";

static enum status check_newest(struct run *run, struct str hash, struct error *err)
{
    const struct prov_ledger *ledger = &run->prov->ledger;
    auto_buf struct buf entry = {0};
    TRY(ledger->entry(ledger->context, run->known - 1, &entry, err));
    struct tlog_hash logged = tlog_leaf_hash(buf_view(&entry));
    if (!str_eq(hash, (struct str){(const char *)logged.bytes, sizeof logged.bytes}))
        return fail(
            err, CORRUPT, NULL,
            "The log has another leaf %llu than the database: they do not belong together. Restore both from the "
            "same backup.",
            (unsigned long long)run->known - 1);
    run->prov->checked = true;
    return OK;
}

static enum status compare_sizes(struct run *run, uint64_t size, struct error *err)
{
    auto_stmt struct stmt *newest = NULL;
    TRY(db_prepare(run->tx, newest_sql, &newest, err));
    if (!stmt_next(newest))
        return stmt_end(newest, err);
    run->known = (uint64_t)stmt_int(newest, 0) + 1;
    if (run->known > size)
        return fail(err, CORRUPT, NULL,
                    "The log has %llu leaves and the database knows %llu: leaves were lost, and going on without them "
                    "would be a second history. Restore the log's newest copy.",
                    (unsigned long long)size, (unsigned long long)run->known);
    if (!run->prov->checked)
        TRY(check_newest(run, stmt_str(newest, 1), err));
    return stmt_end(newest, err);
}

/* Events. */

#define BATCH 128

struct batch {
    struct arena arena;
    struct composition items[BATCH];
    size_t count;    /* events read */
    int64_t last_id; /* of the newest of them */
};

static const char events_sql[] = "SELECT " CHANGE_COLUMNS " FROM event e "
                                 "WHERE e.id > (SELECT event_id FROM leaf_cursor) ORDER BY e.id LIMIT 128";

static enum status read_batch(struct db_conn *tx, struct batch *batch, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, events_sql, &row, err));
    for (batch->count = 0; batch->count < BATCH && stmt_next(row); batch->count++) {
        struct change change = change_read(row);
        TRY(compose(&batch->arena, &change, &batch->items[batch->count], err));
        batch->last_id = change.id;
    }
    return stmt_end(row, err);
}

static const char of_repo_sql[] = "SELECT id FROM repo_log WHERE repo_id = ?";

static enum status find_or_add_row(struct db_conn *tx, int64_t repo_id, int64_t *row, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    uint8_t log_id[LEAF_REPO_SIZE];
    TRY(db_prepare(tx, of_repo_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    *row = stmt_next(find) ? stmt_int(find, 0) : 0;
    TRY(stmt_end(find, err));
    if (*row)
        return OK;
    random_bytes(log_id, sizeof log_id);
    return repo_log_add(tx, repo_id, log_id, row, err);
}

static const char heads_sql[] = "INSERT INTO heads (idx, covers, at_us, count, root) VALUES (?, ?, ?, ?, ?)";

static enum status note_heads(struct run *run, const struct composition *item, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(run->tx, heads_sql, &add, err));
    stmt_bind_int(add, 1, (int64_t)run->known - 1);
    stmt_bind_int(add, 2, leaf_get(&item->leaf, "covers").number);
    stmt_bind_int(add, 3, item->at_us);
    stmt_bind_int(add, 4, leaf_get(&item->leaf, "count").number);
    stmt_bind_str(add, 5, leaf_get(&item->leaf, "root").text);
    return stmt_run(add, err);
}

/* Which commit the leaf is about, as hex; absent for none. */
static struct str revision_of(const struct leaf *leaf, enum revision_leaf *kind)
{
    *kind = str_eq(leaf->type, STR("manifest"))          ? REVISION_MANIFEST
            : str_eq(leaf->type, STR("federated-round")) ? REVISION_ROUND
                                                         : REVISION_MOVED;
    if (str_eq(leaf->type, STR("commit")))
        return leaf_get(leaf, "new").text;
    bool names_one = *kind != REVISION_MOVED || str_eq(leaf->type, STR("repo"));
    return names_one && leaf->subject_count ? leaf->subjects[0].digest : (struct str){0};
}

/* Two statements: one that may do either keeps copies of the pages that it changes, in case it has to undo itself. */
static const char revision_sql[] = "INSERT INTO revision_leaf (repo_id, commit_oid, kind, idx) VALUES (?, ?, ?, ?) "
                                   "ON CONFLICT (repo_id, commit_oid, kind) DO NOTHING";
static const char moved_again_sql[] =
    "UPDATE revision_leaf SET idx = ? WHERE repo_id = ? AND commit_oid = ? AND kind = ?";

static enum status note_revision(struct run *run, const struct composition *item, struct error *err)
{
    auto_stmt struct stmt *note = NULL, *again = NULL;
    enum revision_leaf kind;
    uint8_t commit[SHA1_SIZE];
    struct str revision = revision_of(&item->leaf, &kind);
    if (!str_given(revision) || !hex_decode(revision, commit, sizeof commit))
        return OK;
    TRY(db_prepare(run->tx, revision_sql, &note, err));
    stmt_bind_int(note, 1, item->repo_id);
    stmt_bind_blob(note, 2, commit, sizeof commit);
    stmt_bind_int(note, 3, kind);
    stmt_bind_int(note, 4, (int64_t)run->known - 1);
    TRY(stmt_run(note, err));
    if (db_changes(run->tx))
        return OK;
    TRY(db_prepare(run->tx, moved_again_sql, &again, err));
    stmt_bind_int(again, 1, (int64_t)run->known - 1);
    stmt_bind_int(again, 2, item->repo_id);
    stmt_bind_blob(again, 3, commit, sizeof commit);
    stmt_bind_int(again, 4, kind);
    return stmt_run(again, err);
}

static enum status push_event(struct run *run, struct batch *batch, struct composition *item,
                              const struct person people[2], struct error *err)
{
    int64_t row = 0;
    if (item->repo_id) {
        TRY(find_or_add_row(run->tx, item->repo_id, &row, err));
        TRY(run_place(run, row, &item->leaf, err));
    }
    compose_private(item, &batch->arena, people[0].key, people[1].key);
    TRY(run_push(run, &item->leaf, row, item->event_id, err));
    TRY(note_revision(run, item, err));
    return str_eq(item->leaf.type, STR("repo-heads")) ? note_heads(run, item, err) : OK;
}

/* The keys of the actor and of the owner of each event. */
static enum status push_batch(struct run *run, struct batch *batch, struct person people[2 * BATCH], struct error *err)
{
    size_t wanted = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->items[i].wanted) {
            people[wanted++].account_id = batch->items[i].actor_id;
            people[wanted++].account_id = batch->items[i].owner_id;
        }
    TRY(persons_keys(run->prov->persons, people, wanted, err));
    for (size_t i = 0, at = 0; i < batch->count; i++)
        if (batch->items[i].wanted) {
            TRY(push_event(run, batch, &batch->items[i], &people[at], err));
            at += 2;
        }
    return OK;
}

static enum status move_cursor(struct db_conn *tx, int64_t event_id, struct error *err)
{
    auto_stmt struct stmt *move = NULL;
    TRY(db_prepare(tx, "UPDATE leaf_cursor SET event_id = ?", &move, err));
    stmt_bind_int(move, 1, event_id);
    return stmt_run(move, err);
}

static enum status push_events(struct run *run, struct batch *batch, struct error *err)
{
    do {
        struct person people[2 * BATCH];
        TRY(read_batch(run->tx, batch, err));
        if (batch->count == 0)
            return OK;
        enum status status = push_batch(run, batch, people, err);
        OPENSSL_cleanse(people, sizeof people);
        TRY(status);
        TRY(move_cursor(run->tx, batch->last_id, err));
        arena_reset(&batch->arena);
    } while (batch->count == BATCH);
    return OK;
}

static enum status run_all(struct run *run, struct batch *batch, struct error *err)
{
    uint64_t size = run->prov->ledger.size(run->prov->ledger.context);
    TRY(compare_sizes(run, size, err));
    if (run->known < size)
        TRY(orphans_take_over(run, size, err));
    TRY(push_events(run, batch, err));
    return run_flush(run, err);
}

enum status prov_hook(struct db_conn *tx, void *context, struct error *err)
{
    struct run run = {.tx = tx, .prov = context};
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        abort();
    enum status status = run_all(&run, batch, err);
    arena_free(&batch->arena);
    free(batch);
    buf_free(&run.bytes);
    return status;
}

static const char log_id_sql[] = "SELECT log_id FROM repo_log WHERE repo_id = ?";

enum status prov_repo_log(struct db_conn *conn, int64_t repo_id, uint8_t out[LEAF_REPO_SIZE], struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, log_id_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    bool found = stmt_next(find) && stmt_str(find, 0).len == LEAF_REPO_SIZE;
    if (found)
        memcpy(out, stmt_str(find, 0).data, LEAF_REPO_SIZE);
    TRY(stmt_end(find, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "Nothing of this repo has been logged yet.");
}

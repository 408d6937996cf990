/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the log says of itself: heads and epochs. Like all leaves they are made from events. */
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "prov/chain.h"

enum { EVENT_HEADS, EVENT_EPOCH };
const struct event_kind prov_events[] = {
    [EVENT_HEADS] = {"log.heads", 1},
    [EVENT_EPOCH] = {"log.epoch", 1},
    {0},
};

static enum status heads_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct event event = {.kind = &prov_events[EVENT_HEADS], .body = buf_view(context)};
    return event_append(tx, &event, err);
}

/* Newest leaf of each repo among the first ones. The subquery reads a repo's leaves from the newest back to the limit.
 */
static const char each_sql[] =
    "SELECT r.log_id, l.rseq, l.hash FROM repo_log r JOIN leaf l ON l.repo = r.id AND l.rseq = "
    "(SELECT n.rseq FROM leaf n WHERE n.repo = r.id AND n.idx < ? ORDER BY n.rseq DESC LIMIT 1) ORDER BY r.log_id";

static enum status each_head(void *context, heads_visit *visit, void *visit_context, struct error *err)
{
    const struct prov_heads_at *at = context;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(at->conn, each_sql, &row, err));
    stmt_bind_int(row, 1, (int64_t)at->covers);
    while (stmt_next(row)) {
        struct str log_id = stmt_str(row, 0), hash = stmt_str(row, 2);
        struct head head = {.rseq = (uint64_t)stmt_int(row, 1)};
        if (log_id.len != sizeof head.repo || hash.len != sizeof head.leaf.bytes)
            return fail(err, CORRUPT, NULL,
                        "A row of repo_log or leaf is damaged. Restore the database from a backup.");
        memcpy(head.repo, log_id.data, sizeof head.repo);
        memcpy(head.leaf.bytes, hash.data, sizeof head.leaf.bytes);
        TRY(visit(visit_context, &head, err));
    }
    return stmt_end(row, err);
}

struct heads_source prov_heads_source(struct prov_heads_at *at)
{
    return (struct heads_source){each_head, at};
}

static const char newest_sql[] = "SELECT idx, covers, at_us, count, root FROM heads ORDER BY idx DESC LIMIT 1";

enum status prov_heads_newest(struct db_conn *conn, struct prov_heads *out, struct error *err)
{
    auto_stmt struct stmt *newest = NULL;
    TRY(db_prepare(conn, newest_sql, &newest, err));
    bool found = stmt_next(newest);
    if (found) {
        *out = (struct prov_heads){.index = (uint64_t)stmt_int(newest, 0),
                                   .covers = (uint64_t)stmt_int(newest, 1),
                                   .at_us = stmt_int(newest, 2),
                                   .root.count = (uint64_t)stmt_int(newest, 3)};
        if (!hex_decode(stmt_str(newest, 4), out->root.root.bytes, SHA256_SIZE))
            return fail(err, CORRUPT, NULL, "A row of heads is damaged. Restore the database from a backup.");
    }
    TRY(stmt_end(newest, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The heads of the repos have not been logged yet.");
}

static const char size_sql[] = "SELECT coalesce(max(idx) + 1, 0) FROM leaf";
static const char changed_sql[] = "SELECT 1 FROM leaf WHERE idx >= ? AND repo IS NOT NULL LIMIT 1";

static enum status is_due(struct db_conn *conn, int64_t now, uint64_t *covers, bool *due, struct error *err)
{
    auto_stmt struct stmt *size = NULL, *changed = NULL;
    struct prov_heads last = {0};
    enum status status = prov_heads_newest(conn, &last, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    TRY(db_prepare(conn, size_sql, &size, err));
    *covers = stmt_next(size) ? (uint64_t)stmt_int(size, 0) : 0;
    TRY(stmt_end(size, err));
    *due = *covers - last.covers >= PROV_HEADS_LEAVES || now - last.at_us >= PROV_HEADS_SECONDS * SECOND_US;
    if (!*due)
        return OK;
    TRY(db_prepare(conn, changed_sql, &changed, err));
    stmt_bind_int(changed, 1, (int64_t)last.covers);
    *due = stmt_next(changed);
    return stmt_end(changed, err);
}

enum status prov_heads_log(struct db *db, int64_t now, bool *logged, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_arena struct arena arena = {0};
    struct prov_heads_at at;
    struct heads_root root;
    *logged = false;
    TRY(db_reader(db, &conn, err));
    at.conn = conn;
    TRY(is_due(conn, now, &at.covers, logged, err));
    if (!*logged)
        return OK;
    struct heads_source source = prov_heads_source(&at);
    TRY(heads_root(&source, &root, err));
    db_release(&conn);

    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "count", (int64_t)root.count);
    jw_key_int(&w, "covers", (int64_t)at.covers);
    jw_key_str(&w, "root", hex_encode(&arena, root.root.bytes, SHA256_SIZE));
    jw_end(&w);
    enum status status = db_write(db, heads_in_write, &body, err);
    *logged = status == OK;
    return status;
}

enum status prov_epoch_append(struct db_conn *tx, const struct prov_epoch *epoch, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "build", epoch->build);
    jw_key_str(&w, "checkpoint", epoch->checkpoint);
    jw_key_str(&w, "config", epoch->config);
    jw_key_str(&w, "policy", epoch->policy);
    jw_end(&w);
    struct event event = {.kind = &prov_events[EVENT_EPOCH], .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static enum status epoch_in_write(struct db_conn *tx, void *context, struct error *err)
{
    return prov_epoch_append(tx, context, err);
}

enum status prov_epoch_log(struct db *db, const struct prov_epoch *epoch, struct error *err)
{
    struct prov_epoch copy = *epoch;
    return db_write(db, epoch_in_write, &copy, err);
}

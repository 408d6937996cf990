/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xorbs and chunks that somebody asks for by their hash: what he may not use does not exist for him. */
#include "base/time.h"
#include "store/internal.h"
#include <stdlib.h>

/*
 * What a look-up costs must not grow with what others have stored: it goes through so many extents, holds and repos,
 * the oldest first, and what lies behind them it does not find. That is a loss only where a xorb is used very often,
 * and none of those that may be read is among the first.
 */
#define EXTENTS_MOST "1024"
#define HOLDS_MOST "4096"
#define REPOS_MOST 64
#define CANDIDATES_MOST 16 /* xorbs with the same chunk */
#define MENTION_FRESH_US (24 * 3600 * SECOND_US)

/* May he use it? */

static const char sender_sql[] = "SELECT 1 FROM xorb_sender WHERE xorb_id = ? AND account_id = ?";
/* CROSS JOIN keeps the order of the tables: the other way round, all that a repo holds would be looked through. */
#define USES                                                                                                           \
    "SELECT used.object_id, used.at, used.chunk_start, used.chunk_end, object_hold.repo_id FROM"                       \
    " (SELECT object_id, at, chunk_start, chunk_end FROM extent WHERE xorb_id = ? LIMIT " EXTENTS_MOST ") AS used"     \
    " CROSS JOIN object_hold WHERE object_hold.object_id = used.object_id"
static const char uses_in_repo_sql[] = USES " AND object_hold.repo_id = ? LIMIT " HOLDS_MOST;
static const char uses_sql[] = USES " LIMIT " HOLDS_MOST;

/* An extent of a xorb in an object that the asker may read; object_id is 0 when there is none. */
struct use {
    int64_t object_id, at;
};

/* What has been asked back while looking for uses. */
struct answers {
    size_t count;
    struct {
        int64_t repo_id;
        bool readable;
    } repos[REPOS_MOST];
};

/* The bits of word number index that stand for chunks [start, end). */
static uint64_t word_mask(uint32_t index, uint32_t start, uint32_t end)
{
    uint32_t base = 64 * index, from = start > base ? start - base : 0, to = end - base;
    return (to < 64 ? (UINT64_C(1) << to) - 1 : UINT64_MAX) & UINT64_MAX << from;
}

static void usable_add(struct usable_xorb *xorb, uint32_t start, uint32_t end)
{
    for (uint32_t i = start / 64; start < end && i <= (end - 1) / 64; i++)
        xorb->usable[i] |= word_mask(i, start, end);
}

bool xorb_usable(const struct usable_xorb *xorb, uint32_t start, uint32_t end)
{
    end = end < xorb->xorb.chunks ? end : xorb->xorb.chunks;
    for (uint32_t i = start / 64; start < end && i <= (end - 1) / 64; i++)
        if (~xorb->usable[i] & word_mask(i, start, end))
            return false;
    return true;
}

static bool any_usable(const struct usable_xorb *xorb)
{
    uint64_t any = 0;
    for (size_t i = 0; i < XORB_CHUNKS_MOST / 64; i++)
        any |= xorb->usable[i];
    return any != 0;
}

static bool repo_readable(struct db_conn *conn, const struct asker *asker, int64_t repo_id, struct answers *answers)
{
    if (repo_id == asker->repo_id)
        return true;
    for (size_t i = 0; i < answers->count; i++)
        if (answers->repos[i].repo_id == repo_id)
            return answers->repos[i].readable;
    if (answers->count == REPOS_MOST)
        return false;
    bool readable = asker->may_read(asker->context, conn, repo_id);
    answers->repos[answers->count].repo_id = repo_id;
    answers->repos[answers->count++].readable = readable;
    return readable;
}

enum status xorb_has_sent(struct db_conn *conn, int64_t account_id, int64_t xorb_id, bool *sent, struct error *err)
{
    auto_stmt struct stmt *sender = NULL;
    TRY(db_prepare(conn, sender_sql, &sender, err));
    stmt_bind_int(sender, 1, xorb_id);
    stmt_bind_int(sender, 2, account_id);
    *sent = account_id != 0 && stmt_next(sender);
    return stmt_end(sender, err);
}

/* Goes through the uses until nothing more can be found: there is one, and all chunks may be used. */
static enum status add_uses(struct db_conn *conn, const struct asker *asker, const char *sql, struct usable_xorb *xorb,
                            struct use *use, struct error *err)
{
    auto_stmt struct stmt *uses = NULL;
    struct answers answers = {0};
    TRY(db_prepare(conn, sql, &uses, err));
    stmt_bind_int(uses, 1, xorb->xorb.id);
    if (sql == uses_in_repo_sql)
        stmt_bind_int(uses, 2, asker->repo_id);
    while (!(use->object_id && xorb_usable(xorb, 0, UINT32_MAX)) && stmt_next(uses)) {
        int64_t start = stmt_int(uses, 2), end = stmt_int(uses, 3);
        if (start < 0 || start >= end || end > xorb->xorb.chunks ||
            !repo_readable(conn, asker, stmt_int(uses, 4), &answers))
            continue;
        usable_add(xorb, (uint32_t)start, (uint32_t)end);
        if (!use->object_id)
            *use = (struct use){.object_id = stmt_int(uses, 0), .at = stmt_int(uses, 1)};
    }
    return stmt_end(uses, err);
}

/* Which chunks of out->xorb the asker may use; also *use, unless he has sent the xorb and use is NULL. */
static enum status find_usable(struct db_conn *conn, const struct asker *asker, struct usable_xorb *out,
                               struct use *use, struct error *err)
{
    struct use unused = {0};
    bool sent;
    memset(out->usable, 0, sizeof(out->usable));
    TRY(xorb_has_sent(conn, asker->account_id, out->xorb.id, &sent, err));
    if (sent)
        usable_add(out, 0, out->xorb.chunks);
    if (sent && !use)
        return OK;
    use = use ? use : &unused;
    if (asker->repo_id)
        TRY(add_uses(conn, asker, uses_in_repo_sql, out, use, err));
    return add_uses(conn, asker, uses_sql, out, use, err);
}

enum status store_xorb_find(struct db_conn *conn, const struct asker *asker, const struct chunk_hash *hash,
                            struct usable_xorb *out, struct error *err)
{
    bool found;
    TRY(xorb_by_hash(conn, hash, &found, &out->xorb, err));
    if (found)
        TRY(find_usable(conn, asker, out, NULL, err));
    if (found && any_usable(out))
        return OK;
    char text[CHUNK_HASH_TEXT];
    chunk_hash_text(hash, text);
    *out = (struct usable_xorb){0};
    return fail(err, NOT_FOUND, NULL, "There is no xorb %s here that you have sent or may read. Upload it first.",
                text);
}

/* Where is a chunk? */

static const char candidates_sql[] =
    "SELECT " XORB_COLUMNS " FROM dedup_key JOIN xorb ON xorb.id = dedup_key.xorb_id WHERE dedup_key.chunk = ?"
    " AND xorb.hash IS NOT NULL ORDER BY dedup_key.xorb_id DESC LIMIT ?";
#define NEIGHBOURS                                                                                                     \
    "SELECT " XORB_COLUMNS " FROM extent CROSS JOIN xorb WHERE xorb.id = extent.xorb_id AND xorb.hash IS NOT NULL"     \
    " AND extent.object_id = ? AND "
static const char before_sql[] = NEIGHBOURS "extent.at < ? ORDER BY extent.at DESC LIMIT " EXTENTS_MOST;
static const char after_sql[] = NEIGHBOURS "extent.at > ? ORDER BY extent.at LIMIT " EXTENTS_MOST;

/* What a reply will name. */
struct list {
    struct usable_xorb *xorbs;
    size_t count;
};

static bool is_listed(const struct list *list, int64_t xorb_id)
{
    size_t i = 0;
    while (i < list->count && list->xorbs[i].xorb.id != xorb_id)
        i++;
    return i < list->count;
}

/* Adds the xorbs of the rows that are not in the list yet, until it has most. */
static enum status list_rows(struct list *list, struct stmt *rows, size_t most, struct error *err)
{
    while (list->count < most && stmt_next(rows)) {
        struct xorb xorb;
        xorb_of_row(rows, 0, &xorb);
        if (!is_listed(list, xorb.id))
            list->xorbs[list->count++].xorb = xorb;
    }
    return stmt_end(rows, err);
}

/* store_xorb_find() must find what we name, within its limits too: a client whose file names another one is stuck. */
static enum status list_neighbours(struct db_conn *conn, const struct asker *asker, const char *sql,
                                   const struct use *use, struct list *list, size_t most, struct error *err)
{
    auto_stmt struct stmt *rows = NULL;
    struct list wider = *list;
    TRY(db_prepare(conn, sql, &rows, err));
    stmt_bind_int(rows, 1, use->object_id);
    stmt_bind_int(rows, 2, use->at);
    TRY(list_rows(&wider, rows, most, err));
    for (size_t i = list->count; i < wider.count; i++) {
        list->xorbs[list->count].xorb = wider.xorbs[i].xorb;
        TRY(find_usable(conn, asker, &list->xorbs[list->count], NULL, err));
        list->count += any_usable(&list->xorbs[list->count]);
    }
    return OK;
}

/* A xorb with the chunk and, when it is part of something that the asker may read, what is around it. Clients go
 * forward through their file, so most of the room is for what follows. */
static enum status list_candidate(struct db_conn *conn, const struct asker *asker, const struct xorb *candidate,
                                  struct list *list, size_t most, struct error *err)
{
    struct use use = {0};
    if (is_listed(list, candidate->id))
        return OK;
    list->xorbs[list->count].xorb = *candidate;
    TRY(find_usable(conn, asker, &list->xorbs[list->count], &use, err));
    list->count += any_usable(&list->xorbs[list->count]);
    if (!use.object_id)
        return OK;
    TRY(list_neighbours(conn, asker, before_sql, &use, list, list->count + (most - list->count) / 4, err));
    TRY(list_neighbours(conn, asker, after_sql, &use, list, most, err));
    return list_neighbours(conn, asker, before_sql, &use, list, most, err);
}

enum status store_chunk_unknown(const struct chunk_hash *chunk, struct error *err)
{
    char text[CHUNK_HASH_TEXT];
    chunk_hash_text(chunk, text);
    return fail(err, NOT_FOUND, NULL, "There is no xorb with the chunk %s here that you have sent or may read.", text);
}

enum status store_chunk_find(struct db_conn *conn, const struct asker *asker, const struct chunk_hash *chunk,
                             struct usable_xorb *out, size_t most, size_t *count, struct error *err)
{
    struct xorb candidates[CANDIDATES_MOST];
    size_t candidate_count = 0;
    struct list list = {.xorbs = out};
    auto_stmt struct stmt *rows = NULL;
    TRY(db_prepare(conn, candidates_sql, &rows, err));
    stmt_bind_blob(rows, 1, chunk->bytes, CHUNK_HASH_SIZE);
    stmt_bind_int(rows, 2, CANDIDATES_MOST);
    while (candidate_count < CANDIDATES_MOST && stmt_next(rows))
        xorb_of_row(rows, 0, &candidates[candidate_count++]);
    TRY(stmt_end(rows, err));
    for (size_t i = 0; i < candidate_count && list.count < most; i++)
        TRY(list_candidate(conn, asker, &candidates[i], &list, most, err));
    *count = list.count;
    return list.count > 0 ? OK : store_chunk_unknown(chunk, err);
}

/* Mentions. */

static const char stale_sql[] = "SELECT 1 FROM xorb WHERE id = ? AND mentioned_us < ?";
static const char mention_sql[] = "UPDATE xorb SET mentioned_us = ? WHERE id = ?";

struct mention {
    int64_t *ids;
    size_t count;
    int64_t now;
};

static int by_number(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Leaves those whose last mention is over a day old, each once: readers wait for nobody, but writes stand in line. */
static enum status leave_stale(struct store *store, struct mention *mention, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *stale = NULL;
    size_t count = mention->count;
    mention->count = 0;
    qsort(mention->ids, count, sizeof(*mention->ids), by_number);
    TRY(db_reader(store->db, &conn, err));
    TRY(db_prepare(conn, stale_sql, &stale, err));
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && mention->ids[i] == mention->ids[i - 1])
            continue;
        stmt_bind_int(stale, 1, mention->ids[i]);
        stmt_bind_int(stale, 2, mention->now - MENTION_FRESH_US);
        if (stmt_next(stale))
            mention->ids[mention->count++] = mention->ids[i];
        TRY(stmt_end(stale, err));
    }
    return OK;
}

enum status xorb_mention(struct db_conn *tx, int64_t xorb_id, int64_t now, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    TRY(db_prepare(tx, mention_sql, &update, err));
    stmt_bind_int(update, 1, now);
    stmt_bind_int(update, 2, xorb_id);
    return stmt_run(update, err);
}

static enum status write_mention(struct db_conn *tx, void *context, struct error *err)
{
    const struct mention *mention = context;
    for (size_t i = 0; i < mention->count; i++)
        TRY(xorb_mention(tx, mention->ids[i], mention->now, err));
    return OK;
}

enum status store_mention(struct store *store, const int64_t *xorb_ids, size_t count, struct error *err)
{
    store_assert(store);
    struct mention mention = {.ids = calloc(count + 1, sizeof(*mention.ids)), .count = count, .now = now_us()};
    if (!mention.ids)
        abort();
    for (size_t i = 0; i < count; i++)
        mention.ids[i] = xorb_ids[i];
    enum status status = leave_stale(store, &mention, err);
    if (status == OK && mention.count > 0)
        status = disk_explain(db_write(store->db, write_mention, &mention, err), err);
    free(mention.ids);
    return status;
}

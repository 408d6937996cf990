/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What everybody may know of pools: totals, draws and their seeds, the ledger; never who has a share. */
#include "base/time.h"
#include "router/page.h"
#include "tier/api.h"

static const char pools_sql[] =
    "SELECT p.id, p.name, a.name, p.unit, p.budget, p.least, p.per_s, p.rules, p.sha256,"
    " (SELECT COUNT(*) FROM pool_wish w WHERE w.pool_id = p.id),"
    " COALESCE((SELECT SUM(s.amount) FROM pool_share s WHERE s.pool_id = p.id AND s.period = ? / p.per_s), 0),"
    " COALESCE((SELECT SUM(s.used) FROM pool_share s WHERE s.pool_id = p.id AND s.period = ? / p.per_s), 0),"
    " (SELECT COUNT(*) FROM pool_share s WHERE s.pool_id = p.id AND s.period = ? / p.per_s) "
    "FROM pool p JOIN account a ON a.id = p.sponsor_id WHERE p.id > ? AND (? = 0 OR p.id = ?) ORDER BY p.id LIMIT ?";

static const char median_sql[] =
    "SELECT amount FROM pool_share WHERE pool_id = ? AND period = ? ORDER BY amount LIMIT 1 OFFSET ?";

static enum status median(struct db_conn *conn, int64_t pool_id, int64_t per_s, int64_t shares, int64_t *out,
                          struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, median_sql, &row, err));
    stmt_bind_int(row, 1, pool_id);
    stmt_bind_int(row, 2, now_us() / SECOND_US / per_s);
    stmt_bind_int(row, 3, shares / 2);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* The object stays open. */
static enum status begin_pool(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    int64_t middle;
    TRY(median(rq->db, stmt_int(row, 0), stmt_int(row, 6), stmt_int(row, 12), &middle, err));
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "name", stmt_str(row, 1));
    jw_key_str(w, "sponsor", stmt_str(row, 2));
    jw_key_str(w, "unit", str_of(unit_specs[stmt_int(row, 3)].name));
    jw_key_int(w, "budget", stmt_int(row, 4));
    jw_key_int(w, "least", stmt_int(row, 5));
    jw_key_int(w, "per", stmt_int(row, 6));
    jw_key(w, "pool");
    jw_raw(w, arena_copy(rq->arena, stmt_str(row, 7)));
    jw_key_hex(w, "sha256", stmt_str(row, 8).data, stmt_str(row, 8).len);
    jw_key_int(w, "wishes", stmt_int(row, 9));
    jw_key_int(w, "given", stmt_int(row, 10));
    jw_key_int(w, "used", stmt_int(row, 11));
    jw_key_int(w, "shares", stmt_int(row, 12));
    jw_key_int(w, "medianShare", middle);
    return OK;
}

static enum status write_pool(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    TRY(begin_pool(rq, row, w, err));
    jw_end(w);
    return OK;
}

static enum status prepare_pools(struct request *rq, int64_t after, int64_t only, struct stmt **row, struct error *err)
{
    int64_t seconds = now_us() / SECOND_US;
    TRY(db_prepare(rq->db, pools_sql, row, err));
    for (int i = 1; i <= 3; i++)
        stmt_bind_int(*row, i, seconds);
    stmt_bind_int(*row, 4, after);
    stmt_bind_int(*row, 5, only);
    stmt_bind_int(*row, 6, only);
    stmt_bind_int(*row, 7, PAGE);
    return OK;
}

/* GET /api/pools */
enum status pools_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t after;
    TRY(page_cursor(rq, OLDEST_FIRST, &after, err));
    TRY(prepare_pools(rq, after, 0, &row, err));
    return page_reply(rq, row, write_pool, err);
}

static enum status write_draws(struct request *rq, int64_t pool_id, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db,
                   "SELECT period, seed, shares, waiting, given, at_us FROM pool_draw WHERE pool_id = ? "
                   "ORDER BY period DESC LIMIT 24",
                   &row, err));
    stmt_bind_int(row, 1, pool_id);
    jw_key(w, "draws");
    jw_array(w);
    while (stmt_next(row)) {
        jw_object(w);
        jw_key_int(w, "period", stmt_int(row, 0));
        jw_key_hex(w, "seed", stmt_str(row, 1).data, stmt_str(row, 1).len);
        jw_key_int(w, "shares", stmt_int(row, 2));
        jw_key_int(w, "waiting", stmt_int(row, 3));
        jw_key_int(w, "given", stmt_int(row, 4));
        jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 5)));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

static enum status pool_of(struct request *rq, int64_t *id, struct error *err)
{
    return str_to_i64(rq->params[0], id) && *id > 0 ? OK : fail(err, NOT_FOUND, NULL, "There is no such pool.");
}

/* GET /api/pools/{id} */
enum status pool_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    int64_t id;
    TRY(pool_of(rq, &id, err));
    TRY(prepare_pools(rq, 0, id, &row, err));
    bool found = stmt_next(row);
    if (found)
        TRY(begin_pool(rq, row, &w, err));
    TRY(stmt_end(row, err));
    if (!found)
        return fail(err, NOT_FOUND, NULL, "There is no such pool.");
    TRY(write_draws(rq, id, &w, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static const char ledger_sql[] =
    "SELECT id, at_us, cause, amount FROM quota_line WHERE pool_id = ? AND pool_id <> 0 AND id > ? ORDER BY id LIMIT ?";

static enum status write_line(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 1)));
    jw_key_str(w, "cause", stmt_str(row, 2));
    jw_key_int(w, "amount", stmt_int(row, 3));
    jw_end(w);
    return OK;
}

/* GET /api/pools/{id}/ledger: every line, without whose it is. */
enum status pool_ledger(struct request *rq, struct error *err)
{
    int64_t id;
    TRY(pool_of(rq, &id, err));
    return page_list(rq, ledger_sql, id, OLDEST_FIRST, write_line, err);
}

enum status pool_write_shares(struct request *rq, int64_t account_id, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(
        rq->db,
        "SELECT s.pool_id, p.name, p.unit, s.amount, s.used FROM pool_share s JOIN pool p ON p.id = s.pool_id "
        "WHERE s.account_id = ? AND s.period = ? / p.per_s ORDER BY s.pool_id LIMIT 100",
        &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, now_us() / SECOND_US);
    jw_array(w);
    while (stmt_next(row)) {
        jw_object(w);
        jw_key_int(w, "pool", stmt_int(row, 0));
        jw_key_str(w, "name", stmt_str(row, 1));
        jw_key_str(w, "unit", str_of(unit_specs[stmt_int(row, 2)].name));
        jw_key_int(w, "amount", stmt_int(row, 3));
        jw_key_int(w, "used", stmt_int(row, 4));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

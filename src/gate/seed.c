/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "gate/review_internal.h"
#include <time.h>

/* The seeds of the second look: one a month, whose hash is told, and in the log, before it is used, and itself after (draw.h). */

struct str seed_month(struct arena *arena, int64_t us)
{
    return str_slice(time_iso(arena, us), 0, 7);
}

/* The first moment of the month after the one that us lies in. */
static int64_t next_month(int64_t us)
{
    struct tm tm;
    time_t s = (time_t)(us / SECOND_US);
    gmtime_r(&s, &tm);
    struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1};
    return timegm(&first) * SECOND_US;
}

static const char get_sql[] = "SELECT seed FROM review_seed WHERE month = ?";

enum status seed_get(struct db_conn *conn, struct str month, uint8_t seed[SHA256_SIZE], struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, get_sql, &row, err));
    stmt_bind_str(row, 1, month);
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, INTERNAL, NULL, "The seed of %.*s is missing", STR_ARG(month));
    }
    struct str found = stmt_str(row, 0);
    memcpy(seed, found.data, found.len < SHA256_SIZE ? found.len : SHA256_SIZE);
    return stmt_end(row, err);
}

static const char make_sql[] =
    "INSERT INTO review_seed (month, seed, sha256, made_us) VALUES (?, ?, ?, ?) ON CONFLICT (month) DO NOTHING";

static enum status make(struct db_conn *tx, struct str month, int64_t at_us, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    uint8_t seed[SHA256_SIZE], digest[SHA256_SIZE];
    random_bytes(seed, sizeof seed);
    sha256((struct str){(const char *)seed, sizeof seed}, digest);
    TRY(db_prepare(tx, make_sql, &add, err));
    stmt_bind_str(add, 1, month);
    stmt_bind_blob(add, 2, seed, sizeof seed);
    stmt_bind_blob(add, 3, digest, sizeof digest);
    stmt_bind_int(add, 4, at_us);
    TRY(stmt_run(add, err));
    const struct policy_change change = {.what = "seed", .after = digest};
    return db_changes(tx) ? access_log_policy(tx, &change, err) : OK;
}

enum status seeds_make(struct db_conn *tx, struct arena *arena, int64_t at_us, struct error *err)
{
    TRY(make(tx, seed_month(arena, at_us), at_us, err));
    return make(tx, seed_month(arena, next_month(at_us)), at_us, err);
}

static const char list_sql[] = "SELECT month, sha256, seed, made_us FROM review_seed ORDER BY month DESC LIMIT 120";

enum status seeds_write(struct db_conn *conn, struct arena *arena, int64_t at_us, struct json_writer *w,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct str current = seed_month(arena, at_us);
    TRY(db_prepare(conn, list_sql, &row, err));
    jw_array(w);
    while (stmt_next(row)) {
        struct str digest = stmt_str(row, 1), seed = stmt_str(row, 2);
        jw_object(w);
        jw_key_str(w, "month", stmt_str(row, 0));
        jw_key_hex(w, "sha256", digest.data, digest.len);
        jw_key_str(w, "published", time_iso(arena, stmt_int(row, 3)));
        if (str_cmp(stmt_str(row, 0), current) < 0)
            jw_key_hex(w, "seed", seed.data, seed.len);
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

/* GET /api/reviews/seeds: for everybody who wants to recompute which cases got a second look. */
enum status seeds_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(request_read(rq, err));
    TRY(seeds_write(rq->db, rq->arena, now_us(), &w, err));
    request_reply_json(rq, &body);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sponsor pools: what somebody gives so that others may use more, divided by rules that are public (specs/access.md C12). */
#include "tier/pool.h"
#include "base/time.h"
#include "tier/api.h"
#include "tier/divide.h"
#include "tier/rule.h"
#include <stdlib.h>

#define BODY_LIMIT (64 << 10)
#define BANDS_MOST 8
#define PERIOD_MOST (366 * 86400)

/* Making one. */

struct new_pool {
    struct account sponsor;
    int64_t by_id, id, budget, least, per_s;
    enum unit unit;
    struct str name, rules;
    uint8_t sha256[SHA256_SIZE];
};

static enum status check_rules(const json_t *body, struct error *err)
{
    const json_t *bands = json_object_get(body, "bands");
    if (bands && (!json_is_array(bands) || json_array_size(bands) > BANDS_MOST))
        return fail(err, INVALID, NULL, "\"bands\" must be a list of at most %d lists of rules", BANDS_MOST);
    TRY(rules_check(json_object_get(body, "rules"), err));
    for (size_t i = 0; i < json_array_size(bands); i++)
        TRY(rules_check(json_array_get(bands, i), err));
    return OK;
}

static enum status read_pool(struct request *rq, const json_t *body, struct new_pool *out, struct error *err)
{
    static const char *const members[] = {"name", "unit", "budget", "least", "per", "rules", "bands", "account", NULL};
    auto_buf struct buf text = {0};
    TRY(doc_only(body, "A pool", members, err));
    TRY(check_rules(body, err));
    out->name = json_get_str(body, "name");
    out->unit = unit_named(json_get_str(body, "unit"));
    out->budget = json_get_int(body, "budget", 0);
    out->least = json_get_int(body, "least", 0);
    out->per_s = json_get_int(body, "per", 0);
    if (!out->name.len || out->name.len > 128)
        return fail(err, INVALID, NULL, "\"name\" of a pool must be a text of 1 to 128 bytes");
    enum measure measure = unit_specs[out->unit].measure;
    if ((measure != MEASURE_SPAN && measure != MEASURE_HELD) || unit_specs[out->unit].each != 1)
        return fail(err, INVALID, NULL,
                    "\"unit\" of a pool is bytes.egress, bytes.store.public, bytes.store.private, "
                    "bytes.store.gated, repo.count, gate.request.open or verify.bytes");
    if (out->budget < 1 || out->budget > INT64_C(1) << 60 || out->least < 1 || out->least > out->budget ||
        out->per_s < 1 || out->per_s > PERIOD_MOST)
        return fail(err, INVALID, NULL,
                    "A pool needs \"budget\", \"least\" of it for a share, and \"per\" of 1 to %d seconds",
                    PERIOD_MOST);
    json_dump(body, &text);
    out->rules = arena_copy(rq->arena, buf_view(&text));
    sha256(out->rules, out->sha256);
    return OK;
}

/* Of the pool, never of who has a share: op is fund (made), share (divided) or withdraw (closed). */
static enum status pool_event(struct db_conn *tx, int64_t id, const char *op, int64_t by_id,
                              const uint8_t digest[SHA256_SIZE], struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "op", str_of(op));
    jw_key_hex(&w, "digest", digest, SHA256_SIZE);
    jw_key_int(&w, "pool", id);
    jw_end(&w);
    const struct event event = {&tier_events[EVENT_POOL], 0, by_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

static const char insert_sql[] =
    "INSERT INTO pool (sponsor_id, name, unit, budget, least, per_s, rules, sha256, created_us) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum status create_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct new_pool *pool = context;
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, pool->sponsor.id);
    stmt_bind_str(insert, 2, pool->name);
    stmt_bind_int(insert, 3, pool->unit);
    stmt_bind_int(insert, 4, pool->budget);
    stmt_bind_int(insert, 5, pool->least);
    stmt_bind_int(insert, 6, pool->per_s);
    stmt_bind_str(insert, 7, pool->rules);
    stmt_bind_blob(insert, 8, pool->sha256, SHA256_SIZE);
    stmt_bind_int(insert, 9, now_us());
    TRY(stmt_run(insert, err));
    pool->id = db_last_id(tx);
    return pool_event(tx, pool->id, "fund", pool->by_id, pool->sha256, err);
}

/*
 * POST /api/pools. What stands behind the budget is between the sponsor and the hub, so that an administrator of the hub makes it,
 * for any account: {"name", "unit", "budget", "least", "per", "rules": [...], "bands": [[...], ...], "account"}.
 */
enum status pool_post(struct request *rq, struct error *err)
{
    struct new_pool pool = {.by_id = rq->actor.account.id};
    auto_buf struct buf out = {0};
    struct json_writer w = jw_to(&out);
    json_t *body;
    TRY(tier_admit_board(rq, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(read_pool(rq, body, &pool, err));
    struct str sponsor = json_get_str(body, "account");
    pool.sponsor = rq->actor.account;
    if (str_given(sponsor))
        TRY(account_find(rq->db, rq->arena, sponsor, &pool.sponsor, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, create_in_write, &pool, err));
    jw_object(&w);
    jw_key_int(&w, "id", pool.id);
    jw_end(&w);
    request_reply_json(rq, &out);
    return OK;
}

/* Asking for a share. */

struct wishing {
    int64_t pool_id, account_id, wants;
};

static const char wish_sql[] =
    "INSERT INTO pool_wish (pool_id, account_id, wants, created_us) SELECT id, ?, ?, ? FROM pool "
    "WHERE id = ? AND closed_us = 0 ON CONFLICT (pool_id, account_id) DO UPDATE SET wants = excluded.wants";

static enum status wish_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct wishing *wish = context;
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, wish_sql, &put, err));
    stmt_bind_int(put, 1, wish->account_id);
    stmt_bind_int(put, 2, wish->wants);
    stmt_bind_int(put, 3, now_us());
    stmt_bind_int(put, 4, wish->pool_id);
    TRY(stmt_run(put, err));
    return db_changes(tx) ? OK : fail(err, NOT_FOUND, NULL, "There is no such pool.");
}

/* POST /api/pools/{id}/wishes {"wants": number}: from the next period on a share, as the pool's rules have it. */
enum status pool_wish(struct request *rq, struct error *err)
{
    static const char *const members[] = {"wants", NULL};
    struct wishing wish = {.account_id = rq->actor.account.id};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(doc_only(body, "A wish", members, err));
    wish.wants = json_get_int(body, "wants", 0);
    if (wish.wants < 1 || wish.wants > INT64_C(1) << 60)
        return fail(err, INVALID, NULL, "\"wants\" is how much you would use in a period of the pool");
    if (!str_to_i64(rq->params[0], &wish.pool_id))
        return fail(err, NOT_FOUND, NULL, "There is no such pool.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, wish_in_write, &wish, err));
    request_reply_empty(rq);
    return OK;
}

/* Dividing: once a period. */

struct pool_row {
    int64_t id, budget, least, per_s;
    enum unit unit;
    json_t *rules;
    uint8_t sha256[SHA256_SIZE];
};

static const char due_sql[] =
    "SELECT p.id, p.budget, p.least, p.per_s, p.unit, p.rules, p.sha256 FROM pool p WHERE p.closed_us = 0 "
    "AND NOT EXISTS (SELECT 1 FROM pool_draw d WHERE d.pool_id = p.id AND d.period = ? / p.per_s) "
    "AND EXISTS (SELECT 1 FROM pool_wish w WHERE w.pool_id = p.id) ORDER BY p.id LIMIT 1";

static enum status next_due(struct db_conn *conn, struct pool_row *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    enum status status = OK;
    TRY(db_prepare(conn, due_sql, &row, err));
    stmt_bind_int(row, 1, now_us() / SECOND_US);
    *found = stmt_next(row) && stmt_str(row, 6).len == SHA256_SIZE;
    if (*found) {
        *out = (struct pool_row){.id = stmt_int(row, 0),
                                 .budget = stmt_int(row, 1),
                                 .least = stmt_int(row, 2),
                                 .per_s = stmt_int(row, 3),
                                 .unit = (enum unit)stmt_int(row, 4)};
        memcpy(out->sha256, stmt_str(row, 6).data, SHA256_SIZE);
        status = json_read(stmt_str(row, 5), BODY_LIMIT, &out->rules, err);
    }
    TRY(status);
    return stmt_end(row, err);
}

/* Who may have a share, and in which band. */
static enum status place(struct db_conn *tx, const struct pool_row *pool, struct wish *wish, bool *may,
                         struct error *err)
{
    auto_arena struct arena arena = {0};
    struct rule_facts facts = {.now_us = now_us()};
    const json_t *bands = json_object_get(pool->rules, "bands");
    bool met = false;
    TRY(account_get(tx, &arena, wish->account_id, &facts.account, err));
    TRY(rules_met(tx, json_object_get(pool->rules, "rules"), &facts, may, err));
    *may = *may && !facts.account.erased;
    for (wish->band = 0; *may && wish->band < json_array_size(bands); wish->band++) {
        TRY(rules_met(tx, json_array_get(bands, wish->band), &facts, &met, err));
        if (met)
            break;
    }
    return OK;
}

struct wishes {
    struct wish *wish;
    size_t count, capacity;
};

static enum status read_wishes(struct db_conn *tx, struct arena *arena, int64_t pool_id, struct wishes *out,
                               struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, "SELECT account_id, wants FROM pool_wish WHERE pool_id = ? ORDER BY account_id", &row, err));
    stmt_bind_int(row, 1, pool_id);
    while (stmt_next(row)) {
        out->wish = array_room(arena, out->wish, out->count, &out->capacity, sizeof *out->wish);
        out->wish[out->count++] = (struct wish){.account_id = stmt_int(row, 0), .wants = stmt_int(row, 1)};
    }
    return stmt_end(row, err);
}

static enum status eligible(struct db_conn *tx, const struct pool_row *pool, struct wishes *wishes, struct error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < wishes->count; i++) {
        bool may;
        TRY(place(tx, pool, &wishes->wish[i], &may, err));
        if (may)
            wishes->wish[kept++] = wishes->wish[i];
    }
    wishes->count = kept;
    return OK;
}

static const char share_sql[] = "INSERT INTO pool_share (pool_id, period, account_id, amount, idle_us) "
                                "VALUES (?, ?, ?, ?, ?)";
static const char draw_sql[] = "INSERT INTO pool_draw (pool_id, period, seed, shares, waiting, given, at_us) "
                               "VALUES (?, ?, ?, ?, ?, ?, ?)";

static enum status give_share(struct db_conn *tx, const struct pool_row *pool, int64_t period, const struct wish *wish,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *insert = NULL;
    bool again;
    TRY(db_prepare(tx, share_sql, &insert, err));
    stmt_bind_int(insert, 1, pool->id);
    stmt_bind_int(insert, 2, period);
    stmt_bind_int(insert, 3, wish->account_id);
    stmt_bind_int(insert, 4, wish->given);
    stmt_bind_int(insert, 5, now_us());
    TRY(stmt_run(insert, err));
    const struct quota_line line = {.account_id = wish->account_id,
                                    .amount = wish->given,
                                    .pool_id = pool->id,
                                    .unit = pool->unit,
                                    .cause = "share",
                                    .key = arena_printf(&arena, "share:%lld:%lld:%lld", (long long)pool->id,
                                                        (long long)period, (long long)wish->account_id)};
    return quota_line_add(tx, &line, &again, err);
}

static enum status record_draw(struct db_conn *tx, const struct pool_row *pool, int64_t period,
                               const struct wishes *wishes, int64_t given, const uint8_t seed[SHA256_SIZE],
                               struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    int64_t shares = 0;
    for (size_t i = 0; i < wishes->count; i++) {
        shares += wishes->wish[i].given > 0;
        if (wishes->wish[i].given)
            TRY(give_share(tx, pool, period, &wishes->wish[i], err));
    }
    TRY(db_prepare(tx, draw_sql, &insert, err));
    stmt_bind_int(insert, 1, pool->id);
    stmt_bind_int(insert, 2, period);
    stmt_bind_blob(insert, 3, seed, SHA256_SIZE);
    stmt_bind_int(insert, 4, shares);
    stmt_bind_int(insert, 5, (int64_t)wishes->count - shares);
    stmt_bind_int(insert, 6, given);
    stmt_bind_int(insert, 7, now_us());
    TRY(stmt_run(insert, err));
    return pool_event(tx, pool->id, "share", 0, seed, err);
}

static enum status divide(struct db_conn *tx, const struct pool_row *pool, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct wishes wishes = {0};
    uint8_t seed[SHA256_SIZE];
    random_bytes(seed, sizeof seed);
    TRY(read_wishes(tx, &arena, pool->id, &wishes, err));
    TRY(eligible(tx, pool, &wishes, err));
    int64_t given = pool_divide(wishes.wish, wishes.count, pool->budget, pool->least, seed);
    return record_draw(tx, pool, now_us() / SECOND_US / pool->per_s, &wishes, given, seed, err);
}

static enum status divide_in_write(struct db_conn *tx, void *context, struct error *err)
{
    bool *found = context;
    struct pool_row pool = {0};
    enum status status = next_due(tx, &pool, found, err);
    if (status == OK && *found)
        status = divide(tx, &pool, err);
    json_release(&pool.rules);
    return status;
}

/* What lay idle goes back: a share of which nothing more was used for 30 days shrinks to what was. */

#define IDLE_US (30 * DAY_US)

static const char idle_sql[] = "UPDATE pool_share SET amount = used WHERE idle_us <= ? AND amount > used";
/* Above what the tier gives, as far as the share goes. What is drawn from several shares counts in each: none returns too early. */
static const char shares_sql[] =
    "SELECT s.pool_id, s.period, s.account_id, s.amount, s.used, p.unit FROM pool_share s JOIN pool p ON p.id = "
    "s.pool_id "
    "WHERE s.period = ? / p.per_s AND (s.pool_id > ? OR (s.pool_id = ? AND s.account_id > ?)) "
    "ORDER BY s.pool_id, s.account_id LIMIT 1";

struct share {
    int64_t pool_id, period, account_id, amount, used;
    enum unit unit;
    bool found;
};

static enum status next_share(struct db_conn *conn, struct share *share, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, shares_sql, &row, err));
    stmt_bind_int(row, 1, now_us() / SECOND_US);
    stmt_bind_int(row, 2, share->pool_id);
    stmt_bind_int(row, 3, share->pool_id);
    stmt_bind_int(row, 4, share->account_id);
    share->found = stmt_next(row);
    if (share->found)
        *share = (struct share){stmt_int(row, 0),
                                stmt_int(row, 1),
                                stmt_int(row, 2),
                                stmt_int(row, 3),
                                stmt_int(row, 4),
                                (enum unit)stmt_int(row, 5),
                                true};
    return stmt_end(row, err);
}

static enum status used_of(struct db_conn *conn, const struct share *share, int64_t *used, struct error *err)
{
    const struct limits *limits;
    struct quota_use use;
    TRY(limits_of(conn, share->account_id, &limits, err));
    const struct limit *limit = &limits->of[SCOPE_PERSON][share->unit];
    int64_t span =
        unit_specs[share->unit].measure == MEASURE_SPAN && limit->given ? quota_span(limit->per_s, now_us()) : 0;
    TRY(quota_used(conn, share->account_id, share->unit, span, &use, err));
    int64_t above = limit->given && limit->hard < use.used ? use.used - limit->hard : 0;
    *used = above < share->amount ? above : share->amount;
    return OK;
}

static const char used_sql[] = "UPDATE pool_share SET used = ?, idle_us = ? "
                               "WHERE pool_id = ? AND period = ? AND account_id = ? AND used < ?";

static enum status settle(struct db_conn *tx, const struct share *share, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *update = NULL;
    int64_t used;
    bool again;
    TRY(used_of(tx, share, &used, err));
    if (used <= share->used)
        return OK;
    TRY(db_prepare(tx, used_sql, &update, err));
    stmt_bind_int(update, 1, used);
    stmt_bind_int(update, 2, now_us());
    stmt_bind_int(update, 3, share->pool_id);
    stmt_bind_int(update, 4, share->period);
    stmt_bind_int(update, 5, share->account_id);
    stmt_bind_int(update, 6, used);
    TRY(stmt_run(update, err));
    const struct quota_line line = {.account_id = share->account_id,
                                    .amount = used - share->used,
                                    .pool_id = share->pool_id,
                                    .unit = share->unit,
                                    .cause = "used",
                                    .key = arena_printf(&arena, "used:%lld:%lld:%lld:%lld", (long long)share->pool_id,
                                                        (long long)share->period, (long long)share->account_id,
                                                        (long long)used)};
    return quota_line_add(tx, &line, &again, err);
}

static enum status settle_in_write(struct db_conn *tx, void *context, struct error *err)
{
    return settle(tx, context, err);
}

/* The next share; a write only where more of it has been used. */
static enum status settle_next(struct db *db, struct share *share, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t used = 0;
    TRY(db_reader(db, &conn, err));
    TRY(next_share(conn, share, err));
    if (share->found)
        TRY(used_of(conn, share, &used, err));
    db_release(&conn);
    return used > share->used ? db_write(db, settle_in_write, share, err) : OK;
}

static enum status return_idle(struct db_conn *tx, void *context, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    (void)context;
    TRY(db_prepare(tx, idle_sql, &update, err));
    stmt_bind_int(update, 1, now_us() - IDLE_US);
    return stmt_run(update, err);
}

enum status pools_run(struct db *db, struct error *err)
{
    struct share share = {0};
    bool due;
    do
        TRY(settle_next(db, &share, err));
    while (share.found);
    TRY(db_write(db, return_idle, NULL, err));
    do
        TRY(db_write(db, divide_in_write, &due, err));
    while (due);
    return OK;
}

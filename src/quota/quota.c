/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "base/time.h"
#include "quota/internal.h"
#include <assert.h>

#define DAY_S 86400
#define HOUR_US (3600 * SECOND_US)
#define EXPIRE_MOST 1000

int64_t quota_span(int64_t per_s, int64_t now_us)
{
    return now_us / SECOND_US / per_s;
}

/* Counters. */

static const char used_sql[] =
    "SELECT used, reserved FROM quota_counter WHERE account_id = ? AND unit = ? AND span = ?";

enum status quota_used(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t span, struct quota_use *out,
                       struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    const char *rows_sql = unit_specs[unit].rows_sql;
    TRY(db_prepare(conn, rows_sql ? rows_sql : used_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    if (!rows_sql) {
        stmt_bind_int(row, 2, unit);
        stmt_bind_int(row, 3, span);
    }
    bool found = stmt_next(row);
    *out = (struct quota_use){found ? stmt_int(row, 0) : 0, found ? stmt_int(row, 1) : 0};
    return stmt_end(row, err);
}

/* The one conditional update. The limit of the first row is asked for in C, because an insert has no condition. */
static const char change_sql[] =
    "INSERT INTO quota_counter (account_id, unit, span, used, reserved) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (account_id, unit, span) DO UPDATE SET used = used + excluded.used,"
    " reserved = reserved + excluded.reserved "
    "WHERE quota_counter.used + quota_counter.reserved + excluded.used + excluded.reserved <= ?";

static enum status change(struct db_conn *tx, int64_t account_id, enum unit unit, int64_t span, int64_t used,
                          int64_t reserved, int64_t hard, bool *room, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    assert(!unit_specs[unit].rows_sql);
    *room = false;
    if (used + reserved > hard)
        return OK;
    TRY(db_prepare(tx, change_sql, &stmt, err));
    stmt_bind_int(stmt, 1, account_id);
    stmt_bind_int(stmt, 2, unit);
    stmt_bind_int(stmt, 3, span);
    stmt_bind_int(stmt, 4, used);
    stmt_bind_int(stmt, 5, reserved);
    stmt_bind_int(stmt, 6, hard);
    TRY(stmt_run(stmt, err));
    *room = db_changes(tx) == 1;
    return OK;
}

enum status quota_add(struct db_conn *tx, int64_t account_id, enum unit unit, int64_t span, int64_t amount,
                      struct error *err)
{
    bool room;
    return change(tx, account_id, unit, span, amount, 0, INT64_MAX, &room, err);
}

static const char share_sql[] = "SELECT COALESCE(SUM(s.amount), 0) FROM pool_share s JOIN pool p ON p.id = s.pool_id "
                                "WHERE s.account_id = ? AND p.unit = ? AND s.period = ? / p.per_s AND p.closed_us = 0";

enum status quota_shares(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t *amount, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, share_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, unit);
    stmt_bind_int(row, 3, now_us() / SECOND_US);
    *amount = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

/* What holds for an account and a unit now. */
struct bounds {
    const struct limits *limits;
    int64_t hard;
    int64_t span, again_us; /* the span we are in, and when the next begins; 0 and 0 of what is held */
};

static enum status bounds_of(struct db_conn *tx, int64_t account_id, enum unit unit, struct bounds *out,
                             struct error *err)
{
    *out = (struct bounds){0};
    TRY(limits_of(tx, account_id, &out->limits, err));
    const struct limit *limit = &out->limits->of[SCOPE_PERSON][unit];
    int64_t shares = 0, per_s = limit->given ? limit->per_s : DAY_S; /* days, so that people see what they use */
    out->hard = limit->given ? limit->hard : INT64_MAX;
    if (limit->given && limit->over == OVER_SPONSOR)
        TRY(quota_shares(tx, account_id, unit, &shares, err));
    out->hard += shares < INT64_MAX - out->hard ? shares : 0;
    if (unit_specs[unit].measure == MEASURE_SPAN) {
        out->span = quota_span(per_s, now_us());
        out->again_us = (out->span + 1) * per_s * SECOND_US;
    }
    return OK;
}

long long quota_shown(const struct unit_spec *spec, int64_t amount)
{
    return (long long)(amount / spec->each + (amount % spec->each > 0));
}

static enum status refuse(struct db_conn *tx, int64_t account_id, enum unit unit, int64_t amount,
                          const struct bounds *bounds, struct error *err)
{
    auto_arena struct arena arena = {0};
    const struct unit_spec *spec = &unit_specs[unit];
    struct quota_use use;
    struct account account;
    TRY(quota_used(tx, account_id, unit, bounds->span, &use, err));
    bool known = account_get(tx, &arena, account_id, &account, NULL) == OK;
    struct str relief = str_of(spec->relief);
    if (bounds->again_us)
        relief = arena_printf(&arena, "Wait %lld seconds, until it begins anew",
                              (long long)((bounds->again_us - now_us()) / SECOND_US + 1));
    fail(err, spec->full, "QuotaExceeded",
         "There is no room for %lld more %s of %.*s: the tier %s allows %lld, of which %lld are used and %lld are "
         "reserved for what is on its way. %.*s, or move up: GET /api/usage says how.",
         quota_shown(spec, amount), spec->what, STR_ARG(known ? account.name : STR("this account")),
         bounds->limits->slug, quota_shown(spec, bounds->hard), quota_shown(spec, use.used),
         quota_shown(spec, use.reserved), STR_ARG(relief));
    if (err)
        err->until_us = bounds->again_us;
    return spec->full;
}

/* All scopes are asked: the groups that the repo is in, and the account. */
static enum status try_change(struct db_conn *tx, const struct quota_ask *ask, int64_t used, int64_t reserved,
                              const struct bounds *at, struct error *err)
{
    bool grows = ask->amount > 0, room;
    if (grows)
        TRY(groups_room(tx, at->limits, ask, (struct str){0}, err));
    /* What shrinks or stays is never refused, though the limit may have come down below it meanwhile. */
    TRY(change(tx, ask->account_id, ask->unit, at->span, used, reserved, grows ? at->hard : INT64_MAX, &room, err));
    return room ? groups_add(tx, at->limits, ask, err) : refuse(tx, ask->account_id, ask->unit, ask->amount, at, err);
}

/* repo_id 0: of none. */
static enum status change_limited(struct db_conn *tx, int64_t account_id, int64_t repo_id, enum unit unit, int64_t used,
                                  int64_t reserved, struct error *err)
{
    const struct quota_ask ask = {
        .account_id = account_id, .repo_id = repo_id, .unit = unit, .amount = used + reserved};
    struct bounds at;
    bool more;
    TRY(bounds_of(tx, account_id, unit, &at, err));
    if (try_change(tx, &ask, used, reserved, &at, err) == OK)
        return OK;
    /* A timer gives back what has run out; nobody shall be refused because it is late. */
    TRY(quota_expire(tx, now_us(), &more, err));
    return try_change(tx, &ask, used, reserved, &at, err);
}

enum status quota_room(struct db_conn *conn, int64_t account_id, int64_t repo_id, enum unit unit, int64_t amount,
                       struct error *err)
{
    const struct quota_ask ask = {.account_id = account_id, .repo_id = repo_id, .unit = unit, .amount = amount};
    struct quota_use use;
    struct bounds at;
    TRY(bounds_of(conn, account_id, unit, &at, err));
    TRY(quota_used(conn, account_id, unit, at.span, &use, err));
    if (amount > at.hard || use.used + use.reserved > at.hard - amount)
        return refuse(conn, account_id, unit, amount, &at, err);
    return groups_room(conn, at.limits, &ask, (struct str){0}, err);
}

enum status quota_room_of_repo(struct db_conn *conn, int64_t repo_id, enum unit unit, int64_t amount, struct error *err)
{
    int64_t account_id;
    enum unit kept;
    TRY(quota_of_repo(conn, repo_id, &account_id, &kept, err));
    return quota_room(conn, account_id, repo_id, unit, amount, err);
}

enum status quota_take(struct db_conn *tx, int64_t account_id, int64_t repo_id, enum unit unit, int64_t amount,
                       struct error *err)
{
    return change_limited(tx, account_id, repo_id, unit, amount, 0, err);
}

enum status quota_spend(struct db_conn *tx, int64_t repo_id, enum unit unit, int64_t amount, struct error *err)
{
    struct bounds at;
    int64_t account_id;
    enum unit kept;
    enum status found = quota_of_repo(tx, repo_id, &account_id, &kept, err);
    if (found != OK)
        return found == NOT_FOUND ? OK : found;
    const struct quota_ask ask = {.account_id = account_id, .repo_id = repo_id, .unit = unit, .amount = amount};
    TRY(bounds_of(tx, account_id, unit, &at, err));
    TRY(groups_add(tx, at.limits, &ask, err));
    return quota_add(tx, account_id, unit, at.span, amount, err);
}

/* Reservations. */

struct reservation {
    int64_t account_id, amount;
    enum unit unit;
};

static const char find_sql[] = "SELECT account_id, unit, amount FROM quota_reservation WHERE key = ?";

/* A reservation of nothing when there is none. */
static enum status find(struct db_conn *tx, struct str key, struct reservation *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct reservation){0};
    TRY(db_prepare(tx, find_sql, &row, err));
    stmt_bind_str(row, 1, key);
    *found = stmt_next(row);
    if (*found)
        *out = (struct reservation){stmt_int(row, 0), stmt_int(row, 2), (enum unit)stmt_int(row, 1)};
    return stmt_end(row, err);
}

static const char put_sql[] =
    "INSERT INTO quota_reservation (key, account_id, unit, repo_id, amount, expires_us) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET account_id = excluded.account_id, unit = excluded.unit,"
    " amount = excluded.amount, expires_us = excluded.expires_us";

static enum status put(struct db_conn *tx, const struct quota_ask *ask, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, put_sql, &stmt, err));
    stmt_bind_str(stmt, 1, ask->key);
    stmt_bind_int(stmt, 2, ask->account_id);
    stmt_bind_int(stmt, 3, ask->unit);
    stmt_bind_int(stmt, 4, ask->repo_id);
    stmt_bind_int(stmt, 5, ask->amount);
    stmt_bind_int(stmt, 6, ask->until_us);
    return stmt_run(stmt, err);
}

/* One timer for all that run out within an hour. */
static enum status set_timer(struct db_conn *tx, int64_t until_us, struct error *err)
{
    int64_t hour = until_us / HOUR_US;
    return timer_set(tx, "quota.expiry", hour, (hour + 1) * HOUR_US, err);
}

enum status quota_reserve(struct db_conn *tx, const struct quota_ask *ask, struct error *err)
{
    struct reservation now;
    bool found;
    assert(ask->amount >= 0);
    TRY(find(tx, ask->key, &now, &found, err));
    if (found && (now.account_id != ask->account_id || now.unit != ask->unit)) {
        TRY(quota_release(tx, ask->key, err));
        now.amount = 0;
    }
    if (ask->amount != now.amount)
        TRY(change_limited(tx, ask->account_id, ask->repo_id, ask->unit, 0, ask->amount - now.amount, err));
    TRY(put(tx, ask, err));
    return set_timer(tx, ask->until_us, err);
}

static enum status forget(struct db_conn *tx, struct str key, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, "DELETE FROM quota_reservation WHERE key = ?", &stmt, err));
    stmt_bind_str(stmt, 1, key);
    return stmt_run(stmt, err);
}

enum status quota_commit(struct db_conn *tx, const struct quota_ask *ask, struct error *err)
{
    struct reservation promised;
    bool found;
    TRY(find(tx, ask->key, &promised, &found, err));
    if (!found)
        return quota_take(tx, ask->account_id, ask->repo_id, ask->unit, ask->amount, err);
    if (promised.account_id == ask->account_id && promised.unit == ask->unit) {
        TRY(change_limited(tx, ask->account_id, ask->repo_id, ask->unit, ask->amount, -promised.amount, err));
        return forget(tx, ask->key, err);
    }
    /* The repo has another owner by now, or is private: room must be there, too. */
    TRY(quota_release(tx, ask->key, err));
    return quota_take(tx, ask->account_id, ask->repo_id, ask->unit, ask->amount, err);
}

enum status quota_release(struct db_conn *tx, struct str key, struct error *err)
{
    struct reservation promised;
    bool found;
    TRY(find(tx, key, &promised, &found, err));
    if (!found)
        return OK;
    TRY(forget(tx, key, err));
    return change_limited(tx, promised.account_id, 0, promised.unit, 0, -promised.amount, err);
}

static const char renew_sql[] = "UPDATE quota_reservation SET expires_us = ? WHERE repo_id = ? AND expires_us < ?";
static const char due_sql[] = "SELECT 1 FROM quota_reservation WHERE repo_id = ? AND expires_us < ? LIMIT 1";

enum status quota_renew(struct db_conn *tx, int64_t repo_id, int64_t until_us, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, renew_sql, &stmt, err));
    stmt_bind_int(stmt, 1, until_us);
    stmt_bind_int(stmt, 2, repo_id);
    stmt_bind_int(stmt, 3, until_us);
    TRY(stmt_run(stmt, err));
    return db_changes(tx) ? set_timer(tx, until_us, err) : OK;
}

enum status quota_renewal_due(struct db_conn *conn, int64_t repo_id, int64_t before_us, bool *due, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, due_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    stmt_bind_int(row, 2, before_us);
    *due = stmt_next(row);
    return stmt_end(row, err);
}

/* Sums by account first, so that a thousand uploads given up cost few updates. */
static const char expired_sql[] =
    "UPDATE quota_counter SET reserved = reserved - "
    "(SELECT sum(r.amount) FROM quota_reservation r WHERE r.account_id = quota_counter.account_id"
    " AND r.unit = quota_counter.unit AND r.expires_us <= ?) "
    "WHERE span = 0 AND EXISTS (SELECT 1 FROM quota_reservation r WHERE r.account_id = quota_counter.account_id"
    " AND r.unit = quota_counter.unit AND r.expires_us <= ?)";
static const char limit_sql[] =
    "SELECT expires_us FROM quota_reservation WHERE expires_us <= ? ORDER BY expires_us LIMIT 1 OFFSET ?";
static const char drop_sql[] = "DELETE FROM quota_reservation WHERE expires_us <= ?";

/* Up to when, so that it is about EXPIRE_MOST that go; -1: nothing is due. */
static enum status expiry_bound(struct db_conn *tx, int64_t now_us, int64_t offset, int64_t *bound, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, limit_sql, &row, err));
    stmt_bind_int(row, 1, now_us);
    stmt_bind_int(row, 2, offset);
    *bound = stmt_next(row) ? stmt_int(row, 0) : -1;
    return stmt_end(row, err);
}

enum status quota_expire(struct db_conn *tx, int64_t now_us, bool *more, struct error *err)
{
    auto_stmt struct stmt *give = NULL, *drop = NULL;
    int64_t first, bound;
    *more = false;
    TRY(expiry_bound(tx, now_us, 0, &first, err));
    if (first < 0)
        return OK;
    TRY(expiry_bound(tx, now_us, EXPIRE_MOST, &bound, err));
    *more = bound >= 0;
    bound = bound >= 0 ? bound : now_us;
    TRY(db_prepare(tx, expired_sql, &give, err));
    stmt_bind_int(give, 1, bound);
    stmt_bind_int(give, 2, bound);
    TRY(stmt_run(give, err));
    TRY(db_prepare(tx, drop_sql, &drop, err));
    stmt_bind_int(drop, 1, bound);
    return stmt_run(drop, err);
}

static enum status fire_expiry(struct db_conn *tx, int64_t hour, int64_t due_us, struct error *err)
{
    bool more;
    TRY(quota_expire(tx, now_us() > due_us ? now_us() : due_us, &more, err));
    return more ? timer_set(tx, "quota.expiry", hour, due_us, err) : OK;
}

const struct timer_kind quota_timers[] = {{"quota.expiry", fire_expiry}, {0}};

/* The ledger. */

static const char line_sql[] =
    "INSERT INTO quota_line (at_us, account_id, unit, amount, cause, key, pool_id) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key) DO NOTHING";

enum status quota_line_add(struct db_conn *tx, const struct quota_line *line, bool *again, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, line_sql, &add, err));
    stmt_bind_int(add, 1, now_us());
    stmt_bind_int(add, 2, line->account_id);
    stmt_bind_int(add, 3, line->unit);
    stmt_bind_int(add, 4, line->amount);
    stmt_bind_str(add, 5, str_of(line->cause));
    stmt_bind_str(add, 6, line->key);
    stmt_bind_int(add, 7, line->pool_id);
    TRY(stmt_run(add, err));
    *again = db_changes(tx) == 0;
    return OK;
}

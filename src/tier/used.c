/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/used.h"
#include "base/time.h"
#include "tier/internal.h"

#define DAY_S 86400

/* What has to be used; -1: there is no soft limit, so that nobody uses a part of it. */
static enum status least_of(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, int64_t *least,
                            int64_t *per_s, struct error *err)
{
    const struct limits *limits;
    TRY(limits_of(conn, account_id, &limits, err));
    const struct limit *limit = &limits->of[SCOPE_PERSON][unit];
    int64_t part = limit->soft / 100 * percent + (limit->soft % 100 * percent + 99) / 100;
    *least = !limit->given || limit->soft == INT64_MAX ? -1 : part > 0 ? part : 1;
    *per_s = limit->per_s;
    return OK;
}

static enum status held_now(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, bool *met,
                            struct error *err)
{
    struct quota_use use;
    int64_t least, per_s;
    TRY(least_of(conn, account_id, unit, percent, &least, &per_s, err));
    TRY(quota_used(conn, account_id, unit, 0, &use, err));
    *met = least >= 0 && use.used >= least;
    return OK;
}

static const char since_sql[] = "SELECT since_us FROM tier_used WHERE account_id = ? AND unit = ? AND percent = ?";

/* 0: it was not so when last looked at. */
static enum status held_since(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, int64_t *us,
                              struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, since_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, unit);
    stmt_bind_int(row, 3, percent);
    *us = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static const char spans_sql[] = "SELECT count(*) FROM quota_counter WHERE account_id = ? AND unit = ? AND span >= ? "
                                "AND span < ? AND used >= ?";

/* Each of the spans that are over, as many as the days have; the last one where a span is longer than all of them. */
static enum status spans_used(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, int64_t days,
                              int64_t now_us, bool *met, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t least, per_s;
    *met = false;
    TRY(least_of(conn, account_id, unit, percent, &least, &per_s, err));
    if (least < 0)
        return OK;
    int64_t count = days * DAY_S > per_s ? days * DAY_S / per_s : 1, span = quota_span(per_s, now_us);
    TRY(db_prepare(conn, spans_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, unit);
    stmt_bind_int(row, 3, span - count);
    stmt_bind_int(row, 4, span);
    stmt_bind_int(row, 5, least);
    *met = stmt_next(row) && stmt_int(row, 0) == count;
    return stmt_end(row, err);
}

enum status used_for(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, int64_t days,
                     int64_t now_us, bool *met, struct error *err)
{
    int64_t since;
    if (unit_specs[unit].measure == MEASURE_SPAN)
        return spans_used(conn, account_id, unit, percent, days, now_us, met, err);
    TRY(held_now(conn, account_id, unit, percent, met, err));
    TRY(held_since(conn, account_id, unit, percent, &since, err));
    *met = *met && since && since <= now_us - days * DAY_US;
    return OK;
}

/* What the rules ask for. */

/* Rules stand in lists, lists of lists (bands), and members of objects. */
static void collect(const json_t *json, struct used_watch *out)
{
    enum unit unit = unit_named(json_get_str(json, "unit"));
    int64_t percent = json_get_int(json, "percent", -1);
    const char *key;
    json_t *member;
    for (size_t i = 0; i < json_array_size(json); i++)
        collect(json_array_get(json, i), out);
    json_object_foreach((json_t *)json, key, member) collect(member, out);
    if (str_eq(json_get_str(json, "rule"), STR("used")) && unit_specs[unit].measure == MEASURE_HELD && percent >= 0 &&
        percent <= 100)
        out->asked[unit][percent] = true;
}

static enum status collect_tier(void *context, const struct tier *tier, struct error *err)
{
    (void)err;
    collect(tier->doc.rules, context);
    return OK;
}

static enum status collect_pools(struct db_conn *conn, struct used_watch *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    enum status status = OK;
    TRY(db_prepare(conn, "SELECT rules FROM pool WHERE closed_us = 0", &row, err));
    while (status == OK && stmt_next(row)) {
        auto_json json_t *json = NULL;
        status = json_read(stmt_str(row, 0), stmt_str(row, 0).len, &json, err);
        collect(json, out);
    }
    TRY(status);
    return stmt_end(row, err);
}

/* Whether there are rows that no rule asks for; in a write they go. */
static enum status look_at_old(struct db_conn *conn, const struct used_watch *watch, bool write, bool *any,
                               struct error *err)
{
    auto_stmt struct stmt *row = NULL, *drop = NULL;
    struct used_watch there = {0};
    *any = false;
    TRY(db_prepare(conn, "SELECT DISTINCT unit, percent FROM tier_used", &row, err));
    while (stmt_next(row))
        there.asked[stmt_int(row, 0)][stmt_int(row, 1)] = true;
    TRY(stmt_end(row, err));
    for (enum unit unit = 1; unit < UNITS; unit++)
        for (int percent = 0; percent <= 100; percent++) {
            if (!there.asked[unit][percent] || watch->asked[unit][percent])
                continue;
            *any = true;
            if (!write)
                return OK;
            TRY(db_prepare(conn, "DELETE FROM tier_used WHERE unit = ? AND percent = ?", &drop, err));
            stmt_bind_int(drop, 1, unit);
            stmt_bind_int(drop, 2, percent);
            TRY(stmt_run(drop, err));
            stmt_release(&drop);
        }
    return OK;
}

static enum status forget_old(struct db_conn *tx, void *context, struct error *err)
{
    bool any;
    return look_at_old(tx, context, true, &any, err);
}

enum status used_watch_read(struct db *db, struct used_watch *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    bool any;
    *out = (struct used_watch){0};
    TRY(db_reader(db, &conn, err));
    TRY(tier_each(conn, collect_tier, out, err));
    TRY(collect_pools(conn, out, err));
    TRY(look_at_old(conn, out, false, &any, err));
    db_release(&conn);
    return any ? db_write(db, forget_old, out, err) : OK;
}

/* Writing it down. */

struct note {
    const struct used_watch *watch;
    int64_t account_id;
    bool differs;
};

static const char begin_sql[] = "INSERT INTO tier_used (account_id, unit, percent, since_us) VALUES (?, ?, ?, ?)";
static const char end_sql[] = "DELETE FROM tier_used WHERE account_id = ? AND unit = ? AND percent = ?";

static enum status note_one(struct db_conn *conn, struct note *note, enum unit unit, int64_t percent, bool write,
                            struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    int64_t since;
    bool now;
    TRY(held_now(conn, note->account_id, unit, percent, &now, err));
    TRY(held_since(conn, note->account_id, unit, percent, &since, err));
    note->differs |= now != (since != 0);
    if (!write || now == (since != 0))
        return OK;
    TRY(db_prepare(conn, now ? begin_sql : end_sql, &stmt, err));
    stmt_bind_int(stmt, 1, note->account_id);
    stmt_bind_int(stmt, 2, unit);
    stmt_bind_int(stmt, 3, percent);
    if (now)
        stmt_bind_int(stmt, 4, now_us());
    return stmt_run(stmt, err);
}

static enum status note_all(struct db_conn *conn, struct note *note, bool write, struct error *err)
{
    for (enum unit unit = 1; unit < UNITS; unit++)
        for (int percent = 0; percent <= 100; percent++)
            if (note->watch->asked[unit][percent])
                TRY(note_one(conn, note, unit, percent, write, err));
    return OK;
}

static enum status note_in_write(struct db_conn *tx, void *context, struct error *err)
{
    return note_all(tx, context, true, err);
}

enum status used_note(struct db *db, const struct used_watch *watch, int64_t account_id, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct note note = {watch, account_id, false};
    TRY(db_reader(db, &conn, err));
    TRY(note_all(conn, &note, false, err));
    db_release(&conn);
    return note.differs ? db_write(db, note_in_write, &note, err) : OK;
}

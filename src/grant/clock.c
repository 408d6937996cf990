/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes with time. Each live grant has one timer, "grant.clock", set to whatever is next: a reminder, the end of its
 * life, of the grace, or of a suspension. A change that concerns all grants of a gate is walked in batches.
 */
#include "grant/internal.h"

#define CLOCK "grant.clock"
#define WALK_BATCH 200 /* grants in one write, which others wait for */

static const int64_t expiry_days[] = {30, 7, 1}; /* before the end (access C6) */
static const int64_t terms_days[] = {7, 1};      /* and half of the grace (access C5) */

/* What has come true. */

/* The event that is overdue; false when there is none. */
static bool next_event(const struct granting *g, int64_t at_us, enum grant_event *out)
{
    const struct terms_standing *terms = &g->terms;
    bool outstanding = terms->reached >= 0 && terms->due_us < INT64_MAX,
         overdue = outstanding && at_us >= terms->due_us;
    switch (g->grant.state) {
    case GRANT_ACTIVE:
        *out = is_life_over(g, at_us) ? GRANT_EXPIRE : outstanding ? GRANT_TERMS_MOVED : GRANT_ACCEPT;
        return is_life_over(g, at_us) || outstanding || terms->reached > g->grant.terms_epoch;
    case GRANT_REACCEPT_DUE:
        *out = is_life_over(g, at_us) ? GRANT_EXPIRE : overdue ? GRANT_GRACE_OVER : GRANT_ACCEPT;
        return is_life_over(g, at_us) || overdue || (terms->reached >= 0 && !outstanding);
    case GRANT_SUSPENDED:
        for (size_t i = 0; i < g->cause_count; i++)
            if (cause_ended(&g->causes[i], at_us)) {
                *out = GRANT_RESUME;
                return true;
            }
        *out = is_life_over(g, at_us) ? GRANT_EXPIRE : GRANT_ACCEPT;
        return is_terms_only(g) && (is_life_over(g, at_us) || (terms->reached >= 0 && !overdue));
    default:
        return false;
    }
}

enum status granting_catch_up(struct granting *g, int64_t at_us, struct error *err)
{
    enum grant_event event;
    while (next_event(g, at_us, &event))
        TRY(granting_step(g, &(struct grant_deed){event, BY_RULE, 0, at_us}, err));
    return OK;
}

/* What comes next. */

static void sooner(int64_t *next, int64_t candidate, int64_t at_us)
{
    if (candidate > at_us && candidate < *next)
        *next = candidate;
}

static void sooner_days(int64_t *next, int64_t end_us, const int64_t *days, size_t count, int64_t at_us)
{
    for (size_t i = 0; i < count; i++)
        sooner(next, end_us - days[i] * DAY_US, at_us);
    sooner(next, end_us, at_us);
}

static int64_t half_of_grace(const struct terms_standing *terms)
{
    return terms->at_us + (terms->due_us - terms->at_us) / 2;
}

static int64_t next_time(const struct granting *g, int64_t at_us)
{
    int64_t next = INT64_MAX;
    bool is_due = g->grant.state == GRANT_REACCEPT_DUE;
    if (!granting_is_live(g))
        return next;
    if (g->grant.expires_us && g->grant.state != GRANT_SUSPENDED)
        sooner_days(&next, g->grant.expires_us, expiry_days, 3, at_us);
    if (g->grant.expires_us && is_terms_only(g))
        sooner(&next, g->grant.expires_us, at_us);
    if (is_due && g->terms.due_us < INT64_MAX) {
        sooner_days(&next, g->terms.due_us, terms_days, 2, at_us);
        sooner(&next, half_of_grace(&g->terms), at_us);
    }
    for (size_t i = 0; i < g->cause_count; i++)
        if (g->causes[i].until_us)
            sooner(&next, g->causes[i].until_us, at_us);
    return next;
}

enum status granting_wind(struct granting *g, int64_t at_us, struct error *err)
{
    int64_t next = next_time(g, at_us);
    return next == INT64_MAX ? timer_clear(g->tx, CLOCK, g->grant.id, err)
                             : timer_set(g->tx, CLOCK, g->grant.id, next, err);
}

/* Reminders. */

static bool has_passed(int64_t moment_us, int64_t from_us, int64_t to_us)
{
    return moment_us >= from_us && moment_us <= to_us;
}

static bool has_passed_days(int64_t end_us, const int64_t *days, size_t count, int64_t from_us, int64_t to_us)
{
    for (size_t i = 0; i < count; i++)
        if (has_passed(end_us - days[i] * DAY_US, from_us, to_us))
            return true;
    return false;
}

/* Those whose moment lay between when the timer was due and now; after a long stop one for all. */
static enum status remind(struct granting *g, int64_t due_us, int64_t at_us, struct error *err)
{
    bool works = g->grant.state == GRANT_ACTIVE || g->grant.state == GRANT_REACCEPT_DUE;
    if (works && g->grant.expires_us && has_passed_days(g->grant.expires_us, expiry_days, 3, due_us, at_us))
        TRY(tell_holder(g, "grant.expiring", g->grant.expires_us, err,
                        "Your access to %.*s ends on %s. You can ask for it to be renewed.", STR_ARG(g->gate_name),
                        day_of(g, g->grant.expires_us)));
    if (g->grant.state == GRANT_REACCEPT_DUE && g->terms.due_us < INT64_MAX &&
        (has_passed_days(g->terms.due_us, terms_days, 2, due_us, at_us) ||
         has_passed(half_of_grace(&g->terms), due_us, at_us)))
        TRY(tell_holder(
            g, "terms.due", g->terms.due_us, err,
            "Reminder: read and accept the new terms of %.*s by %s, or your access is suspended until you do.",
            STR_ARG(g->gate_name), day_of(g, g->terms.due_us)));
    return OK;
}

static enum status fire_clock(struct db_conn *tx, int64_t grant_id, int64_t due_us, struct error *err)
{
    auto_granting struct granting g = {0};
    int64_t at_us = now_us();
    TRY(granting_load(tx, grant_id, &g, err));
    TRY(granting_catch_up(&g, at_us, err));
    TRY(remind(&g, due_us, at_us, err));
    return granting_wind(&g, at_us, err);
}

/* Walks. */

struct walk {
    int64_t id, gate_id, version_id, cursor;
    bool is_minor; /* nobody has to do anything */
};

static const char walk_sql[] = "SELECT w.gate_id, w.version_id, w.cursor, coalesce(v.change, 0) FROM terms_walk w "
                               "LEFT JOIN terms_version v ON v.id = w.version_id WHERE w.id = ?";
static const char next_sql[] =
    "SELECT id FROM access_grant WHERE gate_id = ? AND id > ? AND state <= 3 ORDER BY id LIMIT ?";
static const char step_sql[] = "UPDATE terms_walk SET cursor = ? WHERE id = ?";
static const char done_sql[] = "DELETE FROM terms_walk WHERE id = ?";

static enum status walk_read(struct db_conn *tx, struct walk *walk, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, walk_sql, &row, err));
    stmt_bind_int(row, 1, walk->id);
    *found = stmt_next(row);
    if (*found) {
        walk->gate_id = stmt_int(row, 0);
        walk->version_id = stmt_int(row, 1);
        walk->cursor = stmt_int(row, 2);
        walk->is_minor = stmt_int(row, 3) == 2;
    }
    return stmt_end(row, err);
}

/* Somebody who has not yet accepted what came before is told of each change that comes on top. */
static enum status visit(struct db_conn *tx, const struct walk *walk, int64_t grant_id, struct error *err)
{
    auto_granting struct granting g = {0};
    int64_t at_us = now_us();
    TRY(granting_load(tx, grant_id, &g, err));
    bool was_due = g.grant.state == GRANT_REACCEPT_DUE;
    TRY(granting_catch_up(&g, at_us, err));
    if (walk->is_minor)
        return tell_holder(
            &g, "terms.changed", 0, err,
            "The terms of %.*s have changed a little: they allow more than before. There is nothing that you "
            "have to do.",
            STR_ARG(g.gate_name));
    if (was_due && g.grant.state == GRANT_REACCEPT_DUE && walk->version_id)
        return granting_step(&g, &(struct grant_deed){GRANT_TERMS_MOVED, BY_RULE, 0, at_us}, err);
    return granting_wind(&g, at_us, err);
}

static enum status walk_on(struct db_conn *tx, struct walk *walk, size_t count, struct error *err)
{
    auto_stmt struct stmt *move = NULL;
    bool more = count == WALK_BATCH;
    TRY(db_prepare(tx, more ? step_sql : done_sql, &move, err));
    if (more)
        stmt_bind_int(move, 1, walk->cursor);
    stmt_bind_int(move, more ? 2 : 1, walk->id);
    TRY(stmt_run(move, err));
    return more ? timer_set(tx, TERMS_WALK, walk->id, now_us(), err) : OK;
}

static enum status fire_walk(struct db_conn *tx, int64_t walk_id, int64_t due_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct walk walk = {.id = walk_id};
    int64_t ids[WALK_BATCH];
    size_t count = 0;
    bool found;
    (void)due_us;
    TRY(walk_read(tx, &walk, &found, err));
    if (!found)
        return OK;
    TRY(db_prepare(tx, next_sql, &row, err));
    stmt_bind_int(row, 1, walk.gate_id);
    stmt_bind_int(row, 2, walk.cursor);
    stmt_bind_int(row, 3, WALK_BATCH);
    while (stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(visit(tx, &walk, ids[i], err));
    walk.cursor = count ? ids[count - 1] : walk.cursor;
    return walk_on(tx, &walk, count, err);
}

const struct timer_kind grant_timers[] = {{CLOCK, fire_clock}, {TERMS_WALK, fire_walk}, {0}};

/* Acceptances. */

static const char live_sql[] = "SELECT id FROM access_grant WHERE account_id = ? AND state <= 3 AND id > ? "
                               "ORDER BY id LIMIT 1";

static enum status next_live(struct db_conn *tx, int64_t account_id, int64_t *id, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, live_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, *id);
    *found = stmt_next(row);
    if (*found)
        *id = stmt_int(row, 0);
    return stmt_end(row, err);
}

/* Texts may be asked for by several gates: all the person's grants that this brings further. */
enum status grant_accepted(struct db_conn *tx, int64_t account_id, struct error *err)
{
    int64_t id = 0, at_us = now_us();
    bool found;
    for (;;) {
        auto_granting struct granting g = {0};
        TRY(next_live(tx, account_id, &id, &found, err));
        if (!found)
            return OK;
        TRY(granting_load(tx, id, &g, err));
        if (g.terms.reached > g.grant.terms_epoch)
            TRY(granting_step(&g, &(struct grant_deed){GRANT_ACCEPT, BY_HOLDER, account_id, at_us}, err));
        TRY(granting_catch_up(&g, at_us, err));
    }
}

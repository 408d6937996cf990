/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/time.h"
#include "grant/grant.h"
#include "use/enforce.h"

/* An appeal against a step was upheld: what the step did is taken back, or, when it was upheld in part, ends sooner. */

#define VARIED "appeal-varied"
#define HELD "appeal"

struct taken {
    enum ladder_event event;
    int64_t until_us, done_us, by_id;
};

static const char step_sql[] =
    "SELECT s.step, s.repo_id, s.code, s.by_id, s.until_us, s.done_us, e.owner_id, e.account_id FROM enforcement_step "
    "s "
    "JOIN enforcement e ON e.id = s.enforcement_id WHERE s.id = ? AND s.done_us > 0 AND s.overturned_us = 0";

static enum status read_step(struct enforcing *e, struct taken *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(e->tx, step_sql, &row, err));
    stmt_bind_int(row, 1, e->step_id);
    *found = stmt_next(row);
    if (*found) {
        e->repo_id = stmt_int(row, 1);
        e->code = arena_copy(e->arena, stmt_str(row, 2));
        e->owner_id = stmt_int(row, 6);
        e->account_id = stmt_int(row, 7);
        *out = (struct taken){(enum ladder_event)machine_event_named(&enforcement_machine, stmt_str(row, 0)),
                              stmt_int(row, 4), stmt_int(row, 5), stmt_int(row, 3)};
    }
    return stmt_end(row, err);
}

/* Blocks and slow-downs. */

static const char block_sql[] =
    "UPDATE access_block SET lifted_us = ?, until_us = ? WHERE account_id = ? AND owner_id = ? "
    "AND slow = ? AND by_id = ? AND code = ? AND until_us = ? AND lifted_us = 0";

static enum status end_block(const struct enforcing *e, const struct taken *step, int64_t days, struct error *err)
{
    auto_stmt struct stmt *end = NULL;
    int64_t now = now_us(), until = now + days * DAY_US;
    if (step->until_us && step->until_us < until)
        until = step->until_us;
    TRY(db_prepare(e->tx, block_sql, &end, err));
    stmt_bind_int(end, 1, days ? 0 : now);
    stmt_bind_int(end, 2, days ? until : step->until_us);
    stmt_bind_int(end, 3, e->account_id);
    stmt_bind_int(end, 4, step->event == SITE_BLOCK ? 0 : e->owner_id);
    stmt_bind_int(end, 5, step->event == SLOW);
    stmt_bind_int(end, 6, step->by_id);
    stmt_bind_str(end, 7, e->code);
    stmt_bind_int(end, 8, step->until_us);
    TRY(stmt_run(end, err));
    struct decision_made made = {e->repo_id, e->account_id, 0, step->event == SLOW ? "restore" : "unblock", "appeal"};
    return days ? OK : access_log_decision(e->tx, &made, err);
}

/* Grants: those that the step suspended or revoked, in the write that it was done in. */

static const char grants_sql[] =
    "SELECT a.id FROM access_grant a JOIN gate g ON g.id = a.gate_id WHERE a.account_id = ? AND g.owner_id = ? AND "
    "a.state = ? AND a.code = ? AND a.changed_us BETWEEN ? AND ? AND a.id > ? ORDER BY a.id LIMIT 1";

static enum status next_grant(const struct enforcing *e, const struct taken *step, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    bool revoked = step->event == REVOKE;
    TRY(db_prepare(e->tx, grants_sql, &row, err));
    stmt_bind_int(row, 1, e->account_id);
    stmt_bind_int(row, 2, e->owner_id);
    stmt_bind_int(row, 3, revoked ? GRANT_REVOKED : GRANT_SUSPENDED);
    stmt_bind_str(row, 4, e->code);
    stmt_bind_int(row, 5, step->done_us);
    stmt_bind_int(row, 6, revoked ? step->done_us + 60 * SECOND_US : INT64_MAX);
    stmt_bind_int(row, 7, *id);
    *id = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status for_days(const struct enforcing *e, int64_t id, int64_t days, struct error *err)
{
    return days ? grant_do(e->tx, id, GRANT_SUSPEND, BY_BOARD, 0, STR(VARIED),
                           STR("An appeal has made it a suspension for some days."), now_us() + days * DAY_US, err)
                : OK;
}

/* Not when another grant has taken its place meanwhile, or its time is over. */
static enum status restore_revoked(const struct enforcing *e, int64_t id, int64_t days, struct error *err)
{
    struct grant grant, other;
    TRY(grant_get(e->tx, e->arena, id, &grant, err));
    enum status found = grant_find(e->tx, e->arena, grant.gate_id, grant.account_id, &other, err);
    if (found != NOT_FOUND || (grant.expires_us && grant.expires_us <= now_us()))
        return found == NOT_FOUND ? OK : found;
    TRY(grant_do(e->tx, id, GRANT_APPEAL, BY_RULE, 0, STR(HELD), STR("An appeal was upheld."), 0, err));
    TRY(for_days(e, id, days, err));
    return grant_do(e->tx, id, GRANT_RESUME, BY_RULE, 0, STR(HELD), STR(""), 0, err);
}

static enum status restore_grants(const struct enforcing *e, const struct taken *step, int64_t days, struct error *err)
{
    int64_t id = 0;
    while (true) {
        TRY(next_grant(e, step, &id, err));
        if (!id)
            return OK;
        if (step->event == REVOKE) {
            TRY(restore_revoked(e, id, days, err));
        } else {
            TRY(for_days(e, id, days, err));
            TRY(grant_do(e->tx, id, GRANT_RESUME, BY_BOARD, 0, e->code, STR(""), 0, err));
        }
    }
}

/* Strikes: in part is one point less. */

static const char mark_sql[] =
    "UPDATE enforcement_step SET overturned_us = ?, points = CASE WHEN ? = 0 THEN 0 WHEN points "
    "> 0 THEN points - 1 ELSE 0 END WHERE id = ?";

static enum status mark(const struct enforcing *e, int64_t days, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(e->tx, mark_sql, &set, err));
    stmt_bind_int(set, 1, days ? 0 : now_us());
    stmt_bind_int(set, 2, days);
    stmt_bind_int(set, 3, e->step_id);
    return stmt_run(set, err);
}

enum status step_undo(struct enforcing *e, int64_t days, struct error *err)
{
    struct taken step;
    bool found;
    TRY(read_step(e, &step, &found, err));
    if (!found)
        return OK;
    TRY(mark(e, days, err));
    switch (step.event) {
    case SLOW:
    case BLOCK:
    case SITE_BLOCK:
        return end_block(e, &step, days, err);
    case SUSPEND:
    case REVOKE:
        return restore_grants(e, &step, days, err);
    default:
        return OK;
    }
}

/* Where the other steps have led, since the last time that a block was lifted; never higher than now. */
static const char others_sql[] =
    "SELECT step FROM enforcement_step WHERE enforcement_id = ? AND id <> ? AND done_us > 0 AND overturned_us = 0 AND "
    "id "
    ">= coalesce((SELECT max(id) FROM enforcement_step WHERE enforcement_id = ? AND step = 'lift' AND done_us > 0), 0)";

static enum status find_left(struct enforcing *e, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    enum ladder_state left = CLEAR;
    TRY(db_prepare(e->tx, others_sql, &row, err));
    stmt_bind_int(row, 1, e->id);
    stmt_bind_int(row, 2, e->step_id);
    stmt_bind_int(row, 3, e->id);
    while (stmt_next(row)) {
        int event = machine_event_named(&enforcement_machine, stmt_str(row, 0));
        enum ladder_state led = event > SITE_BLOCK ? NOTICED : (enum ladder_state)(event + 1);
        left = led > left ? led : left;
    }
    e->left = left < e->state ? left : e->state;
    return stmt_end(row, err);
}

enum status step_overturned(struct db_conn *tx, int64_t step_id, int64_t days, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct enforcing e = {.tx = tx, .arena = &arena, .event = OVERTURN, .by = BY_RULE, .step_id = step_id};
    struct taken step;
    bool found, waits;
    TRY(read_step(&e, &step, &found, err));
    if (!found)
        return OK;
    TRY(ladder_load(&e, err));
    if (days)
        return step_undo(&e, days, err);
    TRY(find_left(&e, err));
    return ladder_do(&e, &waits, err);
}

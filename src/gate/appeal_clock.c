/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "timer/timer.h"

int64_t appeal_due_us(const struct appeal *appeal)
{
    return clock_due(appeal->opened_us, APPEAL_LIMIT_US);
}

/* The clock: as for reviews, at 50, 80, 100 and 200 % of the 10 working days. */

enum { NUDGE, LEAD, LATE, BOARD, LEVELS };
static const int64_t percent[LEVELS] = {50, 80, 100, 200};

static const char level_sql[] = "UPDATE appeal SET clock_level = ?, late = ? WHERE id = ?";

static enum status save_level(struct db_conn *tx, const struct appeal *appeal, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, level_sql, &set, err));
    stmt_bind_int(set, 1, appeal->clock_level);
    stmt_bind_int(set, 2, appeal->late);
    stmt_bind_int(set, 3, appeal->id);
    return stmt_run(set, err);
}

static enum status nudge(struct db_conn *tx, struct arena *arena, const struct appeal *appeal, struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t count;
    TRY(seats_read(tx, arena, appeal->id, seats, &count, err));
    for (size_t i = 0; i < count; i++)
        if (seats[i].state == SEATED)
            TRY(gate_tell(tx, seats[i].account_id, appeal->gate_id, "appeal.nudge",
                          STR("Half of the time for an appeal that you hear is over. GET /api/appeals shows it."),
                          appeal_due_us(appeal), err));
    return OK;
}

static enum status climb(struct db_conn *tx, struct arena *arena, struct appeal *appeal, int64_t level,
                         struct error *err)
{
    switch (level) {
    case NUDGE:
        return nudge(tx, arena, appeal, err);
    case LEAD:
        return gate_tell_pool(tx, appeal->gate_id, "lead", "appeal.slow",
                              STR("An appeal at this gate has used four fifths of its time."), appeal_due_us(appeal),
                              err);
    case LATE:
        return gate_tell_pool(tx, appeal->gate_id, "board", "appeal.late",
                              STR("An appeal was not decided in the time that is promised, and is listed as late."),
                              appeal_due_us(appeal), err);
    default:
        return appeal_do(tx, arena, appeal, APPEAL_OVERDUE, BY_RULE, 0, (struct str){0}, err);
    }
}

enum status appeal_clock_fire(struct db_conn *tx, int64_t ref, int64_t due, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct appeal appeal;
    (void)due; /* how long it is open says what is due */
    TRY(appeal_get_id(tx, &arena, ref, &appeal, err));
    int64_t used = clock_worked(appeal.opened_us, now_us());
    while (appeal.state == APPEAL_PANEL && appeal.clock_level < LEVELS &&
           used >= APPEAL_LIMIT_US * percent[appeal.clock_level] / 100) {
        int64_t level = appeal.clock_level++;
        appeal.late |= level >= LATE;
        TRY(save_level(tx, &appeal, err));
        TRY(climb(tx, &arena, &appeal, level, err));
    }
    if (appeal.state != APPEAL_PANEL || appeal.clock_level >= LEVELS)
        return OK;
    return timer_set(tx, "appeal.clock", ref,
                     clock_due(appeal.opened_us, APPEAL_LIMIT_US * percent[appeal.clock_level] / 100), err);
}

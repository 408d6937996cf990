/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an attempt goes on: from those who are ready to cohorts, and each of these from step to step. All of it in writes. */
#include "federate/cohort.h"

#define STEP_LEAST_US (2 * SECOND_US)
#define SLOWEST 50 /* bytes in a millisecond: a slower line is not waited for longer than its share of the time */

/* A step is waited for as long as the run has it, and longer by what a vector takes on a slow line; the last one longer, as a round that fails
 * there has no other attempt. */
static int64_t step_us(const struct run *run, const struct attempt *attempt, enum cohort_stage stage)
{
    int64_t wait = run->settings.grace_us > STEP_LEAST_US ? run->settings.grace_us : STEP_LEAST_US;
    if (stage == STAGE_UNMASK)
        return 3 * wait;
    return stage == STAGE_MASK ? wait + attempt->width * (int64_t)sizeof(float) * 1000 / SLOWEST : wait;
}

/* The draw. */

static const char place_sql[] = "UPDATE federate_member SET cohort = ?, place = ? WHERE run_id = ? AND account_id = ?";
static const char cohort_sql[] = "INSERT INTO federate_cohort (run_id, number, stage, due_us, dealt, survivors) VALUES "
                                 "(?, ?, 1, ?, ?, ?)";
static const char drawn_sql[] = "UPDATE federate_attempt SET drawn = 1 WHERE run_id = ?";

static enum status put_cohort(struct db_conn *tx, const struct run *run, const struct member_row *members,
                              const struct cohort_draw *draw, size_t number, int64_t due_us, struct error *err)
{
    static const uint8_t none[COHORT_LIST_MOST];
    size_t begin = cohort_begin(draw, number), size = cohort_begin(draw, number + 1) - begin;
    auto_stmt struct stmt *row = NULL, *place = NULL;
    TRY(db_prepare(tx, cohort_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, (int64_t)number);
    stmt_bind_int(row, 3, due_us);
    stmt_bind_blob(row, 4, none, cohort_list_size(size));
    stmt_bind_blob(row, 5, none, cohort_list_size(size));
    TRY(stmt_run(row, err));
    TRY(db_prepare(tx, place_sql, &place, err));
    for (size_t i = 0; i < size; i++) {
        stmt_bind_int(place, 1, (int64_t)number);
        stmt_bind_int(place, 2, (int64_t)i);
        stmt_bind_int(place, 3, run->id);
        stmt_bind_int(place, 4, members[draw->order[begin + i]].account_id);
        TRY(stmt_run(place, err));
    }
    return OK;
}

enum status attempt_draw(struct db_conn *conn, struct arena *arena, const struct run *run,
                         const struct attempt *attempt, struct cohort_draw *out, struct cohort_member **keys,
                         struct error *err)
{
    struct cohort_round round;
    struct member_row *members;
    size_t count;
    TRY(member_rows_all(conn, arena, run->id, &members, &count, err));
    *keys = arena_array(arena, count, sizeof **keys);
    for (size_t i = 0; i < count; i++)
        (*keys)[i] = members[i].keys;
    attempt_describe(run, attempt, arena, &round);
    return cohort_draw(&round, *keys, count, attempt->nonce, arena, out, err);
}

static enum status draw_cohorts(struct db_conn *tx, const struct run *run, const struct attempt *attempt,
                                struct arena *arena, struct error *err)
{
    auto_stmt struct stmt *drawn = NULL;
    struct cohort_draw draw;
    struct cohort_member *keys;
    struct member_row *members;
    size_t count;
    TRY(attempt_draw(tx, arena, run, attempt, &draw, &keys, err));
    TRY(member_rows_all(tx, arena, run->id, &members, &count, err));
    for (size_t i = 0; i < draw.cohorts; i++)
        TRY(put_cohort(tx, run, members, &draw, i, now_us() + step_us(run, attempt, STAGE_DEAL), err));
    TRY(db_prepare(tx, drawn_sql, &drawn, err));
    stmt_bind_int(drawn, 1, run->id);
    return stmt_run(drawn, err);
}

static const char ready_sql[] = "SELECT count(*) FROM federate_member WHERE run_id = ?";
static const char awaited_sql[] =
    "SELECT count(*) FROM federate_participant p WHERE p.run_id = ? AND p.missed = 0 AND p.removed = 0 AND NOT EXISTS "
    "(SELECT 1 FROM federate_member m WHERE m.run_id = p.run_id AND m.account_id = p.account_id)";
static const char due_sql[] = "UPDATE federate_attempt SET due_us = ? WHERE run_id = ?";

static enum status count_rows(struct db_conn *tx, const char *sql, int64_t run_id, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status gather_members(struct db_conn *tx, const struct run *run, const struct attempt *attempt,
                                  struct arena *arena, struct error *err)
{
    int64_t ready, awaited, due = attempt->due_us;
    TRY(count_rows(tx, ready_sql, run->id, &ready, err));
    TRY(count_rows(tx, awaited_sql, run->id, &awaited, err));
    if (ready < COHORT_LEAST || ready < run->settings.min_participants)
        return OK;
    if (!due) {
        auto_stmt struct stmt *set = NULL;
        due = now_us() + run->settings.grace_us;
        TRY(db_prepare(tx, due_sql, &set, err));
        stmt_bind_int(set, 1, due);
        stmt_bind_int(set, 2, run->id);
        TRY(stmt_run(set, err));
    }
    return awaited == 0 || due <= now_us() ? draw_cohorts(tx, run, attempt, arena, err) : OK;
}

/* A cohort's steps. */

struct moving {
    struct db_conn *tx;
    const struct run *run;
    const struct attempt *attempt;
    struct arena *arena;
    struct cohort_row *cohort;
    struct member_row *members;
    struct cohort_graph graph;
};

static bool has_done(const struct member_row *member, enum cohort_stage stage)
{
    switch (stage) {
    case STAGE_DEAL:
        return str_given(member->dealing);
    case STAGE_MASK:
        return str_given(member->masked);
    case STAGE_SIGN:
        return str_given(member->signature);
    default:
        return str_given(member->answer);
    }
}

/* Each of `of` has enough neighbours in `here` to get on, and to have its secret put together. */
static bool is_enough(const struct moving *m, const uint8_t *here, const uint8_t *of)
{
    uint16_t neighbours[COHORT_MOST];
    if (cohort_list_count(here, m->graph.size) < m->graph.survivors)
        return false;
    for (size_t i = 0; i < m->graph.size; i++) {
        size_t count = 0;
        cohort_neighbours(&m->graph, i, neighbours);
        for (size_t k = 0; k < m->graph.degree; k++)
            count += cohort_listed(here, neighbours[k]);
        if (cohort_listed(of, i) && count < m->graph.threshold)
            return false;
    }
    return true;
}

static const char stage_sql[] = "UPDATE federate_cohort SET stage = ?, due_us = ?, dealt = ?, survivors = ? WHERE "
                                "run_id = ? AND number = ?";

static enum status put_stage(const struct moving *m, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    size_t size = cohort_list_size(m->graph.size);
    TRY(db_prepare(m->tx, stage_sql, &row, err));
    stmt_bind_int(row, 1, m->cohort->stage);
    stmt_bind_int(row, 2, now_us() + step_us(m->run, m->attempt, m->cohort->stage));
    stmt_bind_blob(row, 3, m->cohort->dealt, size);
    stmt_bind_blob(row, 4, m->cohort->survivors, size);
    stmt_bind_int(row, 5, m->run->id);
    stmt_bind_int(row, 6, (int64_t)m->cohort->number);
    return stmt_run(row, err);
}

/* Who is expected has come, or is not waited for any more: on to the next step with those who have, or the end of the cohort. */
static enum status move_cohort(const struct moving *m, struct error *err)
{
    struct cohort_row *cohort = m->cohort;
    uint8_t here[COHORT_LIST_MOST] = {0};
    bool all = true;
    for (size_t i = 0; i < m->graph.size; i++) {
        bool expected = cohort->stage == STAGE_DEAL ||
                        cohort_listed(cohort->stage == STAGE_MASK ? cohort->dealt : cohort->survivors, i);
        /* Who has not signed is gone, and could not give its shares. */
        expected = expected && (cohort->stage != STAGE_UNMASK || str_given(m->members[i].signature));
        bool done = expected && has_done(&m->members[i], cohort->stage);
        all = all && (done || !expected);
        here[i / 8] |= (uint8_t)(done << i % 8);
    }
    if (!all && cohort->due_us > now_us())
        return OK;
    if (cohort->stage == STAGE_DEAL)
        memcpy(cohort->dealt, here, sizeof here);
    if (cohort->stage == STAGE_MASK)
        memcpy(cohort->survivors, here, sizeof here);
    cohort->stage = is_enough(m, here, cohort->dealt) ? cohort->stage + 1 : STAGE_GIVEN_UP;
    return put_stage(m, err);
}

/* The end. */

static const char freeze_sql[] = "UPDATE federate_run SET frozen_us = ? WHERE id = ? AND state = 1 AND round = ?";

static enum status accept_survivors(struct moving *m, struct error *err)
{
    for (size_t i = 0; i < m->graph.size; i++) {
        struct update update = {.account_id = m->members[i].account_id,
                                .examples = 1,
                                .tries = 1,
                                .based = m->run->round,
                                .state = UPDATE_ACCEPTED};
        if (!cohort_listed(m->cohort->survivors, i))
            continue;
        memcpy(update.digest, m->members[i].masked.data, BLAKE3_SIZE);
        TRY(update_store(m->tx, m->run, &update, err));
    }
    return OK;
}

static enum status load_cohort(struct moving *m, struct cohort_row *cohort, struct error *err)
{
    size_t size;
    m->cohort = cohort;
    TRY(member_rows(m->tx, m->arena, m->run->id, cohort->number, MEMBERS_BRIEF, &m->members, &size, err));
    m->graph = cohort_graph(size);
    return OK;
}

static const char given_sql[] = "SELECT count(*) FROM federate_member WHERE run_id = ? AND answer IS NOT NULL";

/* Who has given shares gives none in another attempt at the same round: it is left without a model. Before that it is tried again. */
static enum status fail_round(const struct moving *m, struct error *err)
{
    int64_t given;
    TRY(count_rows(m->tx, given_sql, m->run->id, &given, err));
    return given ? round_next(m->tx, m->run, &m->run->base, err) : attempt_start(m->tx, m->run, m->attempt, err);
}

/* All cohorts have ended. With enough of them for the rule the round is frozen. */
static enum status finish(struct moving *m, struct cohort_row *cohorts, size_t count, struct error *err)
{
    auto_stmt struct stmt *freeze = NULL;
    size_t done = 0;
    for (size_t i = 0; i < count; i++)
        done += cohorts[i].stage == STAGE_DONE;
    if (done < cohorts_least(&m->run->settings, count))
        return fail_round(m, err);
    for (size_t i = 0; i < count; i++) {
        if (cohorts[i].stage != STAGE_DONE)
            continue;
        TRY(load_cohort(m, &cohorts[i], err));
        TRY(accept_survivors(m, err));
    }
    TRY(db_prepare(m->tx, freeze_sql, &freeze, err));
    stmt_bind_int(freeze, 1, now_us());
    stmt_bind_int(freeze, 2, m->run->id);
    stmt_bind_int(freeze, 3, m->run->round);
    return stmt_run(freeze, err);
}

static enum status move_all(struct moving *m, struct error *err)
{
    struct cohort_row *cohorts;
    size_t count, ended = 0;
    TRY(cohort_rows(m->tx, m->arena, m->run->id, &cohorts, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (cohorts[i].stage < STAGE_DONE) {
            TRY(load_cohort(m, &cohorts[i], err));
            TRY(move_cohort(m, err));
        }
        ended += cohorts[i].stage >= STAGE_DONE;
    }
    return ended == count ? finish(m, cohorts, count, err) : OK;
}

enum status attempt_advance(struct db_conn *tx, int64_t run_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct run run;
    struct attempt attempt;
    bool found;
    TRY(run_get(tx, &arena, run_id, &run, err));
    TRY(attempt_find(tx, &arena, &run, &attempt, &found, err));
    if (!found || run.state != RUN_OPEN || run.frozen_us)
        return OK;
    struct moving moving = {.tx = tx, .run = &run, .attempt = &attempt, .arena = &arena};
    return attempt.drawn ? move_all(&moving, err) : gather_members(tx, &run, &attempt, &arena, err);
}

static const char leave_sql[] =
    "DELETE FROM federate_member WHERE run_id = ? AND account_id = ? AND EXISTS (SELECT 1 FROM "
    "federate_attempt a WHERE a.run_id = federate_member.run_id AND a.drawn = 0)";

enum status attempt_leave(struct db_conn *tx, const struct run *run, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, leave_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, account_id);
    TRY(stmt_run(row, err));
    return attempt_advance(tx, run->id, err); /* it may have waited for that one alone */
}

static const char give_up_sql[] = "UPDATE federate_cohort SET stage = 6 WHERE run_id = ? AND number = ?";

enum status attempt_give_up(struct db_conn *tx, const struct run *run, size_t cohort, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    struct update *updates;
    size_t count;
    TRY(db_prepare(tx, give_up_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, (int64_t)cohort);
    TRY(stmt_run(row, err));
    TRY(update_list(tx, &arena, run, &updates, &count, err));
    int64_t *accounts = arena_array(&arena, count + 1, sizeof *accounts);
    for (size_t i = 0; i < count; i++)
        accounts[i] = updates[i].account_id;
    TRY(round_thaw(tx, run, accounts, count, err));
    return attempt_advance(tx, run->id, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/internal.h"
#include <stdio.h>
#include <stdlib.h>

struct str run_state_name(enum run_state state)
{
    return state == RUN_OPEN ? STR("open") : state == RUN_FINISHED ? STR("finished") : STR("stopped");
}

/* Runs. */

#define RUN_COLUMNS                                                                                                    \
    "id, repo_id, by_id, public_id, state, settings, round, accepted, rejected, round_rejected, base_oid, due_us, "    \
    "frozen_us, why, noise_seed, judging_us, chosen, scores, order_seed"
static const char of_repo_sql[] = "SELECT " RUN_COLUMNS " FROM federate_run WHERE repo_id = ? ORDER BY id DESC LIMIT 1";
static const char get_sql[] = "SELECT " RUN_COLUMNS " FROM federate_run WHERE id = ?";

static enum status read_run(struct stmt *row, struct arena *arena, struct run *out, struct error *err)
{
    auto_json json_t *settings = NULL;
    *out = (struct run){.id = stmt_int(row, 0),
                        .repo_id = stmt_int(row, 1),
                        .by_id = stmt_int(row, 2),
                        .public_id = arena_copy(arena, stmt_str(row, 3)),
                        .state = (enum run_state)stmt_int(row, 4),
                        .round = stmt_int(row, 6),
                        .accepted = stmt_int(row, 7),
                        .rejected = stmt_int(row, 8),
                        .round_rejected = stmt_int(row, 9),
                        .due_us = stmt_int(row, 11),
                        .frozen_us = stmt_int(row, 12),
                        .why = arena_copy(arena, stmt_str(row, 13)),
                        .judging_us = stmt_int(row, 15),
                        .chosen = stmt_int(row, 16),
                        .scores = arena_copy(arena, stmt_str(row, 17))};
    memcpy(out->base.bytes, stmt_str(row, 10).data, SHA1_SIZE);
    if (stmt_str(row, 14).len == sizeof out->noise_seed)
        memcpy(out->noise_seed, stmt_str(row, 14).data, sizeof out->noise_seed);
    if (stmt_str(row, 18).len == sizeof out->order_seed)
        memcpy(out->order_seed, stmt_str(row, 18).data, sizeof out->order_seed);
    TRY(json_read(stmt_str(row, 5), BODY_LIMIT, &settings, err));
    TRY(settings_read(settings, &out->settings, err));
    out->settings.rule = arena_copy(arena, out->settings.rule);
    if (str_given(out->settings.house))
        out->settings.house = arena_copy(arena, out->settings.house);
    out->settings.judge = (struct str){0}; /* the account is known by its number now */
    return OK;
}

static enum status find_run(struct db_conn *conn, struct arena *arena, const char *sql, int64_t id, struct run *out,
                            struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, id);
    bool found = stmt_next(row);
    if (found)
        TRY(read_run(row, arena, out, err));
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, "NoRun", "There is no federated training of this repo.");
}

enum status run_of_repo(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct run *out, struct error *err)
{
    return find_run(conn, arena, of_repo_sql, repo_id, out, err);
}

enum status run_get(struct db_conn *conn, struct arena *arena, int64_t id, struct run *out, struct error *err)
{
    return find_run(conn, arena, get_sql, id, out, err);
}

static enum status append_event(struct db_conn *tx, int which, const struct run *run, int64_t by_id, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "run", run->public_id);
    if (which == EVENT_OPEN)
        settings_write(&run->settings, &w);
    jw_end(&w);
    const struct event event = {&federate_events[which], run->repo_id, by_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

/* What the newest rounds began with. */

static const char base_sql[] = "INSERT INTO federate_base (run_id, round, base_oid) VALUES (?, ?, ?)";
static const char old_bases_sql[] = "DELETE FROM federate_base WHERE run_id = ? AND round < ?";
static const char as_of_sql[] = "SELECT base_oid FROM federate_base WHERE run_id = ? AND round = ?";

static enum status keep_base(struct db_conn *tx, int64_t run_id, int64_t round, const struct oid *base,
                             struct error *err)
{
    auto_stmt struct stmt *row = NULL, *old = NULL;
    TRY(db_prepare(tx, base_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, round);
    stmt_bind_blob(row, 3, base->bytes, SHA1_SIZE);
    TRY(stmt_run(row, err));
    TRY(db_prepare(tx, old_bases_sql, &old, err));
    stmt_bind_int(old, 1, run_id);
    stmt_bind_int(old, 2, round - STALENESS_MOST);
    return stmt_run(old, err);
}

enum status run_as_of(struct db_conn *conn, const struct run *run, int64_t round, struct run *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = *run;
    if (round == run->round)
        return OK;
    out->round = round;
    TRY(db_prepare(conn, as_of_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, round);
    bool found = stmt_next(row);
    if (found)
        memcpy(out->base.bytes, stmt_str(row, 0).data, SHA1_SIZE);
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "The model of round %lld is not kept any more.", (long long)round);
}

static const char insert_sql[] =
    "INSERT INTO federate_run (repo_id, public_id, by_id, state, settings, round, base_oid, "
    "opened_us) VALUES (?, ?, ?, 1, ?, 1, ?, ?)";

enum status run_insert(struct db_conn *tx, struct run *run, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf settings = {0};
    struct json_writer w = jw_to(&settings);
    jw_object(&w);
    settings_write(&run->settings, &w);
    jw_end(&w);
    TRY(db_prepare(tx, insert_sql, &row, err));
    stmt_bind_int(row, 1, run->repo_id);
    stmt_bind_str(row, 2, run->public_id);
    stmt_bind_int(row, 3, run->by_id);
    stmt_bind_str(row, 4, buf_view(&settings));
    stmt_bind_blob(row, 5, run->base.bytes, SHA1_SIZE);
    stmt_bind_int(row, 6, now_us());
    enum status status = stmt_run(row, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, "RunIsOpen", "Federated training of this repo is under way already.");
    TRY(status);
    run->id = db_last_id(tx);
    TRY(keep_base(tx, run->id, run->round, &run->base, err));
    if (run->settings.mode->opened)
        TRY(run->settings.mode->opened(tx, run, err));
    return append_event(tx, EVENT_OPEN, run, run->by_id, err);
}

static const char end_sql[] = "UPDATE federate_run SET state = ?, why = ? WHERE id = ? AND state = 1";
static const char *const forget_sql[] = {
    "DELETE FROM federate_update WHERE run_id = ?",
    "DELETE FROM federate_member WHERE run_id = ?",
    "DELETE FROM federate_cohort WHERE run_id = ?",
    "UPDATE federate_report SET body = NULL WHERE run_id = ? AND body IS NOT NULL",
    "UPDATE federate_config SET seed = NULL WHERE run_id = ? AND seed IS NOT NULL",
};

/* What a round had that is over. */
static enum status forget_updates(struct db_conn *tx, int64_t run_id, struct error *err)
{
    for (size_t i = 0; i < sizeof forget_sql / sizeof *forget_sql; i++) {
        auto_stmt struct stmt *forget = NULL;
        TRY(db_prepare(tx, forget_sql[i], &forget, err));
        stmt_bind_int(forget, 1, run_id);
        TRY(stmt_run(forget, err));
    }
    return OK;
}

enum status run_end(struct db_conn *tx, const struct run *run, enum run_state state, struct str why, int64_t by_id,
                    struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, end_sql, &row, err));
    stmt_bind_int(row, 1, state);
    stmt_bind_str(row, 2, why);
    stmt_bind_int(row, 3, run->id);
    TRY(stmt_run(row, err));
    if (db_changes(tx) == 0)
        return fail(err, CONFLICT, "RunIsOver", "This federated training is over already.");
    TRY(forget_updates(tx, run->id, err));
    return state == RUN_STOPPED ? append_event(tx, EVENT_STOP, run, by_id, err) : OK;
}

int64_t run_rounds_done(const struct run *run)
{
    return run->state == RUN_FINISHED ? run->round : run->round - 1;
}

/* Participants. */

static enum status one_number(struct db_conn *conn, const char *sql, int64_t a, int64_t b, int64_t *out,
                              struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, a);
    if (b)
        stmt_bind_int(row, 2, b);
    *out = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static const char count_sql[] = "SELECT count(*) FROM federate_participant WHERE run_id = ? AND removed = 0";

enum status participant_count(struct db_conn *conn, int64_t run_id, int64_t *out, struct error *err)
{
    return one_number(conn, count_sql, run_id, 0, out, err);
}

static const char joined_sql[] =
    "SELECT based, taken, removed FROM federate_participant WHERE run_id = ? AND account_id = ?";

enum status participant_find(struct db_conn *conn, int64_t run_id, int64_t account_id, struct participant *out,
                             struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct participant){0};
    TRY(db_prepare(conn, joined_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, account_id);
    out->joined = stmt_next(row);
    out->removed = out->joined && stmt_int(row, 2);
    if (out->joined && !stmt_is_null(row, 1)) {
        out->based = stmt_int(row, 0);
        memcpy(out->taken, stmt_str(row, 1).data, BLAKE3_SIZE);
    }
    return stmt_end(row, err);
}

static const char count_at_sql[] =
    "SELECT count(*) FROM federate_participant WHERE run_id = ? AND joined_us <= ? AND removed = 0";

enum status participant_count_at(struct db_conn *conn, const struct run *run, int64_t *out, struct error *err)
{
    return one_number(conn, count_at_sql, run->id, run->frozen_us, out, err);
}

static const char join_sql[] = "INSERT INTO federate_participant (run_id, account_id, joined_us) VALUES (?, ?, ?) "
                               "ON CONFLICT (run_id, account_id) DO UPDATE SET missed = 0";

enum status participant_add(struct db_conn *tx, int64_t run_id, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t count;
    struct participant who;
    TRY(participant_find(tx, run_id, account_id, &who, err));
    if (who.removed)
        return fail(err, FORBIDDEN, "Removed", "You were removed from this federated training.");
    TRY(participant_count(tx, run_id, &count, err));
    if (count >= PARTICIPANTS_MOST)
        return fail(err, CONFLICT, "RunIsFull",
                    "This federated training has %d participants, which is as many as it takes.", PARTICIPANTS_MOST);
    TRY(db_prepare(tx, join_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, account_id);
    stmt_bind_int(row, 3, now_us());
    return stmt_run(row, err);
}

/* Updates. */

#define UPDATE_COLUMNS "account_id, state, examples, tries, digest, data_at, norm, based"

static void read_update(struct stmt *row, struct update *out)
{
    char norm[40];
    struct str text = stmt_str(row, 6);
    snprintf(norm, sizeof norm, "%.*s", STR_ARG(text));
    *out = (struct update){.account_id = stmt_int(row, 0),
                           .state = (enum update_state)stmt_int(row, 1),
                           .examples = stmt_int(row, 2),
                           .tries = stmt_int(row, 3),
                           .data_at = stmt_int(row, 5),
                           .based = stmt_int(row, 7),
                           .norm = strtod(norm, NULL)};
    memcpy(out->digest, stmt_str(row, 4).data, BLAKE3_SIZE);
}

static const char find_sql[] = "SELECT " UPDATE_COLUMNS " FROM federate_update WHERE run_id = ? AND account_id = ?";

enum status update_find(struct db_conn *conn, const struct run *run, int64_t account_id, struct update *out,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct update){.account_id = account_id};
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, account_id);
    if (stmt_next(row))
        read_update(row, out);
    return stmt_end(row, err);
}

static const char list_sql[] =
    "SELECT " UPDATE_COLUMNS " FROM federate_update WHERE run_id = ? AND state = 1 ORDER BY account_id";

enum status update_list(struct db_conn *conn, struct arena *arena, const struct run *run, struct update **out,
                        size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = arena_array(arena, PARTICIPANTS_MOST, sizeof **out);
    *count = 0;
    TRY(db_prepare(conn, list_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    while (*count < PARTICIPANTS_MOST && stmt_next(row))
        read_update(row, &(*out)[(*count)++]);
    return stmt_end(row, err);
}

static const char put_sql[] =
    "INSERT INTO federate_update (run_id, account_id, state, examples, tries, digest, data_at, "
    "norm, based) SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM federate_run WHERE id = ? AND state = 1 AND round BETWEEN "
    "? AND ? AND frozen_us = 0 ON CONFLICT (run_id, account_id) DO UPDATE SET state = excluded.state, "
    "examples = excluded.examples, tries = excluded.tries, digest = excluded.digest, "
    "data_at = excluded.data_at, norm = excluded.norm, based = excluded.based WHERE federate_update.state <> 1";
static const char count_accepted_sql[] = "UPDATE federate_run SET accepted = accepted + 1 WHERE id = ?";
static const char count_rejected_sql[] =
    "UPDATE federate_run SET rejected = rejected + 1, round_rejected = round_rejected + 1 WHERE id = ?";
static const char awake_sql[] = "UPDATE federate_participant SET missed = 0 WHERE run_id = ? AND account_id = ?";
enum status not_yet(struct error *err)
{
    return fail(err, CONFLICT, "NotYet",
                "The buffer that is filling now takes no update from you, or none any more: ask again soon.");
}

static const char taken_sql[] =
    "UPDATE federate_participant SET based = ?, taken = ? WHERE run_id = ? AND account_id = ?";

static enum status remember_taken(struct db_conn *tx, const struct run *run, const struct update *update,
                                  struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, taken_sql, &row, err));
    stmt_bind_int(row, 1, update->based);
    stmt_bind_blob(row, 2, update->digest, BLAKE3_SIZE);
    stmt_bind_int(row, 3, run->id);
    stmt_bind_int(row, 4, update->account_id);
    return stmt_run(row, err);
}

enum status update_store(struct db_conn *tx, const struct run *run, const struct update *update, struct error *err)
{
    auto_stmt struct stmt *put = NULL, *count = NULL, *awake = NULL;
    char norm[40];
    snprintf(norm, sizeof norm, "%.17g", update->norm);
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, update->account_id);
    stmt_bind_int(put, 2, update->state);
    stmt_bind_int(put, 3, update->examples);
    stmt_bind_int(put, 4, update->tries);
    stmt_bind_blob(put, 5, update->digest, BLAKE3_SIZE);
    stmt_bind_int(put, 6, update->data_at);
    stmt_bind_str(put, 7, str_of(norm));
    stmt_bind_int(put, 8, update->based);
    stmt_bind_int(put, 9, run->id);
    stmt_bind_int(put, 10, update->based);
    stmt_bind_int(put, 11, update->based + (run->settings.buffers ? STALENESS_MOST : 0));
    TRY(stmt_run(put, err));
    if (db_changes(tx) == 0 && run->settings.buffers)
        return not_yet(err);
    if (db_changes(tx) == 0)
        return fail(err, CONFLICT, "RoundOver", "Round %lld takes no update from you any more.", (long long)run->round);
    TRY(db_prepare(tx, update->state == UPDATE_ACCEPTED ? count_accepted_sql : count_rejected_sql, &count, err));
    stmt_bind_int(count, 1, run->id);
    TRY(stmt_run(count, err));
    if (update->state == UPDATE_ACCEPTED)
        TRY(remember_taken(tx, run, update, err));
    TRY(db_prepare(tx, awake_sql, &awake, err));
    stmt_bind_int(awake, 1, run->id);
    stmt_bind_int(awake, 2, update->account_id);
    return stmt_run(awake, err);
}

/* Rounds. */

static const char here_sql[] = "SELECT count(*) FROM federate_update WHERE run_id = ? AND state = 1";
/* Who has tried and was refused is not waited for. */
static const char awaited_sql[] =
    "SELECT count(*) FROM federate_participant p WHERE p.run_id = ? AND p.missed = 0 AND p.removed = 0 AND NOT EXISTS "
    "(SELECT 1 FROM federate_update u WHERE u.run_id = p.run_id AND u.account_id = p.account_id)";
static const char clock_sql[] =
    "UPDATE federate_run SET due_us = ?, frozen_us = ?, noise_seed = ?, order_seed = ? WHERE id = ? AND state = 1";

enum status round_freeze_if_due(struct db_conn *tx, int64_t run_id, int64_t at_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    struct run run;
    uint8_t seed[32], order[32];
    int64_t here, awaited;
    TRY(run_get(tx, &arena, run_id, &run, err));
    if (run.state != RUN_OPEN || run.frozen_us)
        return OK;
    TRY(one_number(tx, here_sql, run_id, 0, &here, err));
    TRY(one_number(tx, awaited_sql, run_id, 0, &awaited, err));
    if (here < run.settings.min_participants)
        return OK;
    int64_t due_us = run.due_us ? run.due_us : at_us + run.settings.grace_us;
    TRY(db_prepare(tx, clock_sql, &row, err));
    stmt_bind_int(row, 1, due_us);
    bool freezes = awaited == 0 || due_us <= at_us || run.settings.buffers;
    random_bytes(seed, sizeof seed);
    random_bytes(order, sizeof order);
    stmt_bind_int(row, 2, freezes ? at_us : 0);
    stmt_bind_blob(row, 3, seed, freezes && run.settings.noise > 0 ? sizeof seed : 0);
    stmt_bind_blob(row, 4, order, freezes ? sizeof order : 0);
    stmt_bind_int(row, 5, run_id);
    return stmt_run(row, err);
}

static const char missed_sql[] =
    "UPDATE federate_participant SET missed = CASE WHEN EXISTS (SELECT 1 FROM federate_update u WHERE u.run_id = "
    "federate_participant.run_id AND u.account_id = federate_participant.account_id) THEN 0 ELSE 1 END WHERE run_id = "
    "?";
static const char next_sql[] =
    "UPDATE federate_run SET round = CASE WHEN ? <> 0 THEN round ELSE round + 1 END, why = ?, state = CASE WHEN "
    "? <> 0 THEN 2 ELSE 1 END, base_oid = ?, due_us = 0, frozen_us = 0, noise_seed = NULL, round_rejected = 0, "
    "judging_us = 0, chosen = 0, scores = '' WHERE id "
    "= ? "
    "AND state = 1 AND round = ?";

enum status round_next(struct db_conn *tx, const struct run *run, const struct oid *commit, struct error *err)
{
    auto_stmt struct stmt *missed = NULL, *next = NULL;
    const struct settings *settings = &run->settings;
    bool spent = settings->budget > 0 && settings_epsilon(settings, run->round + 1) > settings->budget;
    bool last = run->round >= settings->rounds || spent;
    TRY(db_prepare(tx, missed_sql, &missed, err));
    stmt_bind_int(missed, 1, run->id);
    TRY(stmt_run(missed, err));
    TRY(forget_updates(tx, run->id, err));
    TRY(db_prepare(tx, next_sql, &next, err));
    stmt_bind_int(next, 1, last);
    stmt_bind_str(next, 2, spent ? STR("Another round would go beyond the budget of privacy.") : STR(""));
    stmt_bind_int(next, 3, last);
    stmt_bind_blob(next, 4, commit->bytes, SHA1_SIZE);
    stmt_bind_int(next, 5, run->id);
    stmt_bind_int(next, 6, run->round);
    TRY(stmt_run(next, err));
    if (db_changes(tx) == 0)
        return fail(err, CONFLICT, "RunIsOver", "This federated training was stopped meanwhile.");
    return last ? OK : keep_base(tx, run->id, run->round + 1, commit, err);
}

static const char lost_sql[] = "DELETE FROM federate_update WHERE run_id = ? AND account_id = ?";
static const char not_taken_sql[] =
    "UPDATE federate_participant SET based = 0, taken = NULL WHERE run_id = ? AND account_id = ?";
static const char remove_sql[] = "UPDATE federate_participant SET removed = 1 WHERE run_id = ? AND account_id = ?";
static const char drop_sql[] =
    "DELETE FROM federate_update WHERE run_id = ? AND account_id = ? AND EXISTS (SELECT 1 FROM federate_run r WHERE "
    "r.id = federate_update.run_id AND r.frozen_us = 0)";
static const char recount_sql[] = "UPDATE federate_run SET accepted = accepted - 1 WHERE id = ?";

static enum status run_for(struct db_conn *tx, const char *sql, int64_t run_id, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    if (account_id)
        stmt_bind_int(row, 2, account_id);
    return stmt_run(row, err);
}

enum status participant_remove(struct db_conn *tx, int64_t run_id, int64_t account_id, int64_t now_us,
                               struct error *err)
{
    const struct run run = {.id = run_id};
    struct update update;
    TRY(update_find(tx, &run, account_id, &update, err));
    TRY(run_for(tx, remove_sql, run_id, account_id, err));
    TRY(run_for(tx, drop_sql, run_id, account_id, err));
    if (db_changes(tx) && update.state == UPDATE_ACCEPTED)
        TRY(run_for(tx, recount_sql, run_id, 0, err));
    return round_freeze_if_due(tx, run_id, now_us, err);
}

static const char reject_sql[] = "UPDATE federate_update SET state = 2 WHERE run_id = ? AND account_id = ?";
static const char count_down_sql[] = "UPDATE federate_run SET accepted = accepted - 1, rejected = rejected + 1, "
                                     "round_rejected = round_rejected + 1 WHERE id = ?";

enum status update_reject(struct db_conn *tx, const struct run *run, int64_t account_id, struct error *err)
{
    TRY(run_for(tx, reject_sql, run->id, account_id, err));
    TRY(run_for(tx, not_taken_sql, run->id, account_id, err));
    return run_for(tx, count_down_sql, run->id, 0, err);
}

/* What somebody has sent who was removed while the round was frozen does not count when it is not. */
static const char *const removed_sql[] = {
    "UPDATE federate_run SET accepted = accepted - (SELECT count(*) FROM federate_update u JOIN federate_participant p "
    "ON p.run_id = u.run_id AND p.account_id = u.account_id WHERE u.run_id = federate_run.id AND u.state = 1 AND "
    "p.removed = 1) WHERE id = ?",
    "DELETE FROM federate_update WHERE run_id = ? AND account_id IN (SELECT account_id FROM federate_participant p "
    "WHERE p.run_id = federate_update.run_id AND p.removed = 1)"};
static const char thaw_sql[] =
    "UPDATE federate_run SET due_us = 0, frozen_us = 0, noise_seed = NULL, judging_us = 0, chosen = 0, scores = '', "
    "accepted = accepted - ? WHERE id = ?";

enum status round_thaw(struct db_conn *tx, const struct run *run, const int64_t *missing, size_t count,
                       struct error *err)
{
    auto_stmt struct stmt *lost = NULL, *again = NULL, *thaw = NULL;
    TRY(db_prepare(tx, lost_sql, &lost, err));
    TRY(db_prepare(tx, not_taken_sql, &again, err));
    for (size_t i = 0; i < count; i++) {
        stmt_bind_int(lost, 1, run->id);
        stmt_bind_int(lost, 2, missing[i]);
        TRY(stmt_run(lost, err));
        stmt_bind_int(again, 1, run->id);
        stmt_bind_int(again, 2, missing[i]);
        TRY(stmt_run(again, err));
    }
    for (size_t i = 0; i < sizeof removed_sql / sizeof *removed_sql; i++)
        TRY(run_for(tx, removed_sql[i], run->id, 0, err));
    TRY(db_prepare(tx, thaw_sql, &thaw, err));
    stmt_bind_int(thaw, 1, (int64_t)count);
    stmt_bind_int(thaw, 2, run->id);
    return stmt_run(thaw, err);
}

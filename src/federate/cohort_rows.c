/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of mode "one-house". */
#include "federate/cohort.h"
#include <stdio.h>

void member_name(const struct run *run, int64_t account_id, uint8_t out[COHORT_NAME_SIZE])
{
    auto_buf struct buf text = {0};
    uint8_t digest[SHA256_SIZE];
    buf_printf(&text, "cairn member\n%.*s\n%lld", STR_ARG(run->public_id), (long long)account_id);
    sha256(buf_view(&text), digest);
    memcpy(out, digest, COHORT_NAME_SIZE);
}

void masked_path(const struct federate *federate, const struct run *run, int64_t account_id, char out[4096])
{
    char path[4096 - 16];
    snprintf(path, sizeof path, "%s/%.*s/%lld-%lld", federate->folder, STR_ARG(run->public_id), (long long)run->round,
             (long long)account_id);
    snprintf(out, 4096, "%s.masked", path);
}

/* Attempts. */

static const char attempt_sql[] =
    "SELECT round, attempt, model, width, nonce, due_us, drawn FROM federate_attempt WHERE run_id = ?";

static enum status read_attempt(struct db_conn *conn, struct arena *arena, int64_t run_id, struct attempt *out,
                                struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct attempt){0};
    TRY(db_prepare(conn, attempt_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    if (stmt_next(row)) {
        *out = (struct attempt){.round = stmt_int(row, 0),
                                .number = stmt_int(row, 1),
                                .model = arena_copy(arena, stmt_str(row, 2)),
                                .width = stmt_int(row, 3),
                                .due_us = stmt_int(row, 5),
                                .drawn = stmt_int(row, 6)};
        memcpy(out->nonce, stmt_str(row, 4).data, sizeof out->nonce);
    }
    return stmt_end(row, err);
}

enum status attempt_find(struct db_conn *conn, struct arena *arena, const struct run *run, struct attempt *out,
                         bool *found, struct error *err)
{
    TRY(read_attempt(conn, arena, run->id, out, err));
    *found = out->number && out->round == run->round;
    return OK;
}

static const char *const clear_sql[] = {"DELETE FROM federate_member WHERE run_id = ?",
                                        "DELETE FROM federate_cohort WHERE run_id = ?"};
static const char begin_sql[] =
    "INSERT INTO federate_attempt (run_id, round, attempt, model, width, nonce) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT "
    "(run_id) DO UPDATE SET round = excluded.round, attempt = excluded.attempt, model = excluded.model, width = "
    "excluded.width, nonce = excluded.nonce, due_us = 0, drawn = 0";

enum status attempt_start(struct db_conn *tx, const struct run *run, const struct attempt *after, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    struct attempt now;
    uint8_t nonce[32];
    TRY(read_attempt(tx, &arena, run->id, &now, err));
    if (now.number && (now.round > run->round || (now.round == run->round && now.number != after->number)))
        return OK;
    for (size_t i = 0; i < sizeof clear_sql / sizeof *clear_sql; i++) {
        auto_stmt struct stmt *clear = NULL;
        TRY(db_prepare(tx, clear_sql[i], &clear, err));
        stmt_bind_int(clear, 1, run->id);
        TRY(stmt_run(clear, err));
    }
    random_bytes(nonce, sizeof nonce);
    TRY(db_prepare(tx, begin_sql, &row, err));
    stmt_bind_int(row, 1, run->id);
    stmt_bind_int(row, 2, run->round);
    stmt_bind_int(row, 3, now.number + 1);
    stmt_bind_str(row, 4, after->model);
    stmt_bind_int(row, 5, after->width);
    stmt_bind_blob(row, 6, nonce, sizeof nonce);
    return stmt_run(row, err);
}

void attempt_describe(const struct run *run, const struct attempt *attempt, struct arena *arena,
                      struct cohort_round *out)
{
    *out = (struct cohort_round){.run = run->public_id,
                                 .base = oid_hex(arena, &run->base),
                                 .model = attempt->model,
                                 .number = run->round,
                                 .attempt = attempt->number,
                                 .width = attempt->width,
                                 .bound = run->settings.bound,
                                 .rule = run->settings.rule,
                                 .least = run->settings.min_participants,
                                 .noise = run->settings.noise,
                                 .size = run->settings.cohort};
    sha256((struct str){(const char *)attempt->nonce, sizeof attempt->nonce}, out->nonce_sha256);
}

/* Cohorts. */

static const char cohorts_sql[] =
    "SELECT number, stage, due_us, dealt, survivors FROM federate_cohort WHERE run_id = ? ORDER BY number";

static void read_list(struct stmt *row, int column, uint8_t out[COHORT_LIST_MOST])
{
    struct str list = stmt_str(row, column);
    memcpy(out, list.data, list.len < COHORT_LIST_MOST ? list.len : COHORT_LIST_MOST);
}

enum status cohort_rows(struct db_conn *conn, struct arena *arena, int64_t run_id, struct cohort_row **out,
                        size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    size_t room = 0;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(conn, cohorts_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    while (stmt_next(row)) {
        *out = array_room(arena, *out, *count, &room, sizeof **out);
        struct cohort_row *cohort = &(*out)[(*count)++];
        *cohort = (struct cohort_row){.number = (size_t)stmt_int(row, 0),
                                      .stage = (enum cohort_stage)stmt_int(row, 1),
                                      .due_us = stmt_int(row, 2)};
        read_list(row, 3, cohort->dealt);
        read_list(row, 4, cohort->survivors);
    }
    return stmt_end(row, err);
}

/* Members. */

#define MEMBER_COLUMNS "account_id, keys, cohort, place, dealing, masked, signature, answer"
#define MEMBER_BRIEF "account_id, keys, cohort, place, substr(dealing, 1, 1), masked, signature, substr(answer, 1, 1)"
#define OF_COHORT " FROM federate_member WHERE run_id = ? AND cohort = ? ORDER BY place"
static const char all_sql[] = "SELECT " MEMBER_BRIEF " FROM federate_member WHERE run_id = ? ORDER BY keys";
static const char *const cohort_sql[] = {
    [MEMBERS_BRIEF] = "SELECT " MEMBER_BRIEF OF_COHORT, [MEMBERS_WHOLE] = "SELECT " MEMBER_COLUMNS OF_COHORT};
static const char member_sql[] = "SELECT " MEMBER_COLUMNS " FROM federate_member WHERE run_id = ? AND account_id = ?";

static struct str copy_blob(struct stmt *row, int column, struct arena *arena)
{
    return stmt_is_null(row, column) ? (struct str){0} : arena_copy(arena, stmt_str(row, column));
}

static void read_member(struct stmt *row, struct arena *arena, struct member_row *out)
{
    *out = (struct member_row){.account_id = stmt_int(row, 0),
                               .cohort = (size_t)stmt_int(row, 2),
                               .place = (size_t)stmt_int(row, 3),
                               .dealing = copy_blob(row, 4, arena),
                               .masked = copy_blob(row, 5, arena),
                               .signature = copy_blob(row, 6, arena),
                               .answer = copy_blob(row, 7, arena)};
    memcpy(&out->keys, stmt_str(row, 1).data, sizeof out->keys);
}

static enum status read_members(struct stmt *row, struct arena *arena, struct member_row **out, size_t *count,
                                struct error *err)
{
    size_t room = 0;
    *out = NULL;
    *count = 0;
    while (stmt_next(row)) {
        *out = array_room(arena, *out, *count, &room, sizeof **out);
        read_member(row, arena, &(*out)[(*count)++]);
    }
    return stmt_end(row, err);
}

enum status member_rows(struct db_conn *conn, struct arena *arena, int64_t run_id, size_t cohort, enum members how,
                        struct member_row **out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, cohort_sql[how], &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, (int64_t)cohort);
    return read_members(row, arena, out, count, err);
}

enum status member_rows_all(struct db_conn *conn, struct arena *arena, int64_t run_id, struct member_row **out,
                            size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, all_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    return read_members(row, arena, out, count, err);
}

static const char count_sql[] = "SELECT count(*) FROM federate_member WHERE run_id = ? AND cohort = ?";

enum status member_count(struct db_conn *conn, int64_t run_id, size_t cohort, size_t *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, count_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, (int64_t)cohort);
    *out = stmt_next(row) ? (size_t)stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

enum status member_find(struct db_conn *conn, struct arena *arena, int64_t run_id, int64_t account_id,
                        struct member_row *out, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, member_sql, &row, err));
    stmt_bind_int(row, 1, run_id);
    stmt_bind_int(row, 2, account_id);
    *found = stmt_next(row);
    if (*found)
        read_member(row, arena, out);
    return stmt_end(row, err);
}

static const char identity_sql[] = "UPDATE federate_participant SET identity = ?, missed = 0 WHERE run_id = ? AND "
                                   "account_id = ? AND (identity IS NULL OR identity = ?)";
static const char keys_sql[] = "INSERT INTO federate_member (run_id, account_id, keys) VALUES (?, ?, ?) ON CONFLICT "
                               "(run_id, account_id) DO UPDATE SET keys = excluded.keys";

enum status member_put_keys(struct db_conn *tx, const struct run *run, int64_t account_id,
                            const struct cohort_member *keys, struct error *err)
{
    auto_stmt struct stmt *identity = NULL, *put = NULL;
    TRY(db_prepare(tx, identity_sql, &identity, err));
    stmt_bind_blob(identity, 1, keys->identity, sizeof keys->identity);
    stmt_bind_int(identity, 2, run->id);
    stmt_bind_int(identity, 3, account_id);
    stmt_bind_blob(identity, 4, keys->identity, sizeof keys->identity);
    TRY(stmt_run(identity, err));
    if (db_changes(tx) == 0)
        return fail(err, FORBIDDEN, "IdentityChanged",
                    "You have taken part in this run with another identity key: take the state folder that you had.");
    TRY(db_prepare(tx, keys_sql, &put, err));
    stmt_bind_int(put, 1, run->id);
    stmt_bind_int(put, 2, account_id);
    stmt_bind_blob(put, 3, keys, sizeof *keys);
    return stmt_run(put, err);
}

static const char *const put_sql[] = {
    [STAGE_DEAL] = "UPDATE federate_member SET dealing = ? WHERE run_id = ? AND account_id = ? AND dealing IS NULL",
    [STAGE_MASK] = "UPDATE federate_member SET masked = ? WHERE run_id = ? AND account_id = ? AND masked IS NULL",
    [STAGE_SIGN] = "UPDATE federate_member SET signature = ? WHERE run_id = ? AND account_id = ? AND signature IS NULL",
    [STAGE_UNMASK] = "UPDATE federate_member SET answer = ? WHERE run_id = ? AND account_id = ? AND answer IS NULL"};

enum status member_put(struct db_conn *tx, int64_t run_id, int64_t account_id, enum cohort_stage stage,
                       struct str message, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, put_sql[stage], &put, err));
    stmt_bind_blob(put, 1, message.data, message.len);
    stmt_bind_int(put, 2, run_id);
    stmt_bind_int(put, 3, account_id);
    return stmt_run(put, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From signals to points, and from points to what follows. */
#include "base/time.h"
#include "identity/key.h"
#include "misuse/cases.h"
#include "notice/notice.h"

#define ANSWERED_US (7 * DAY_US) /* for which "it was me" is believed */
#define FORGET_US (70 * DAY_US)  /* ten half-lives */

struct score {
    double points;
    struct str signals; /* codes, in arena */
};

static const char score_sql[] =
    "SELECT signal, max(seen_us) FROM misuse_signal WHERE account_id = ? AND key_id IN (0, ?) "
    "GROUP BY signal";

static enum status read_score(struct db_conn *tx, struct arena *arena, int64_t account_id, int64_t key_id,
                              struct score *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    uint32_t seen_s[SIGNALS] = {0};
    TRY(db_prepare(tx, score_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, key_id);
    *out = (struct score){.signals = STR("")};
    while (stmt_next(row)) {
        int signal = signal_named(stmt_str(row, 0));
        if (signal < 0)
            continue;
        seen_s[signal] = (uint32_t)(stmt_int(row, 1) / SECOND_US);
        out->signals = arena_printf(arena, "%.*s%s%s", STR_ARG(out->signals), out->signals.len ? "," : "",
                                    signal_specs[signal].code);
    }
    out->points = score_of(seen_s, (uint32_t)(now_us() / SECOND_US));
    return stmt_end(row, err);
}

/* Whether there is still a key to do something about. */
static const char alive_sql[] =
    "SELECT 1 FROM api_key WHERE id = ? AND revoked_us IS NULL UNION ALL SELECT 1 FROM session WHERE id = ?";
static const char answered_sql[] =
    "SELECT 1 FROM misuse_case WHERE account_id = ? AND key_id = ? AND state = 5 AND changed_us > ?";
_Static_assert(CASE_ANSWERED == 5, "answered_sql names it");

static enum status any_row(struct db_conn *tx, const char *sql, const int64_t values[], int count, bool *out,
                           struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, sql, &row, err));
    for (int i = 0; i < count; i++)
        stmt_bind_int(row, i + 1, values[i]);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

static const char new_sql[] =
    "INSERT INTO misuse_case (account_id, key_id, state, version, signals, points, opened_us, "
    "changed_us) VALUES (?, ?, 0, 1, '', 0, ?, ?)";

static enum status open_case(struct db_conn *tx, struct arena *arena, int64_t account_id, int64_t key_id,
                             struct misuse_case *out, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    int64_t now = now_us();
    TRY(db_prepare(tx, new_sql, &insert, err));
    stmt_bind_int(insert, 1, account_id);
    stmt_bind_int(insert, 2, key_id);
    stmt_bind_int(insert, 3, now);
    stmt_bind_int(insert, 4, now);
    TRY(stmt_run(insert, err));
    return case_get(tx, arena, db_last_id(tx), out, err);
}

/* Does what the points of a key, or of all keys, are enough for, and was not done yet. */
static enum status weigh(struct db_conn *tx, int64_t account_id, int64_t key_id, struct error *err)
{
    static const enum case_event events[LEVELS] = {
        [LEVEL_ASK] = CASE_ASK, [LEVEL_SLOW] = CASE_SLOW, [LEVEL_SUSPEND] = CASE_SUSPEND, [LEVEL_BAR] = CASE_BAR};
    auto_arena struct arena arena = {0};
    struct misuse_case now = {0};
    struct score score;
    bool alive = true, answered = false;
    TRY(read_score(tx, &arena, account_id, key_id, &score, err));
    enum level level = level_of(score.points);
    if (key_id)
        TRY(any_row(tx, alive_sql, (int64_t[]){key_id, key_id}, 2, &alive, err));
    if (level == LEVEL_ASK)
        TRY(any_row(tx, answered_sql, (int64_t[]){account_id, key_id, now_us() - ANSWERED_US}, 3, &answered, err));
    if (level == LEVEL_NONE || !alive || answered)
        return OK;
    enum status found = case_find_open(tx, &arena, account_id, key_id, &now, err);
    if (found == NOT_FOUND)
        found = open_case(tx, &arena, account_id, key_id, &now, err);
    TRY(found);
    if ((int)level <= (int)now.state)
        return OK;
    now.points = (int64_t)score.points;
    now.signals = score.signals;
    return case_do(tx, &now, events[level], BY_RULE, 0, (struct str){0}, err);
}

/* Signals. */

static const char raise_sql[] = "INSERT INTO misuse_signal (account_id, key_id, signal, seen_us) VALUES (?, ?, ?, ?) "
                                "ON CONFLICT (account_id, key_id, signal) DO UPDATE SET seen_us = excluded.seen_us";

static enum status put_signal(struct db_conn *tx, int64_t account_id, int64_t key_id, int signal, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, raise_sql, &put, err));
    stmt_bind_int(put, 1, account_id);
    stmt_bind_int(put, 2, signal < KEY_SIGNALS || signal == LEAK ? key_id : 0);
    stmt_bind_str(put, 3, str_of(signal_specs[signal].code));
    stmt_bind_int(put, 4, now_us());
    return stmt_run(put, err);
}

static const char keys_sql[] =
    "SELECT DISTINCT key_id FROM misuse_signal WHERE account_id = ? AND key_id >= ? ORDER BY key_id LIMIT 1";

/* The account's own points first: what they are enough for holds for all keys. */
static enum status weigh_all(struct db_conn *tx, int64_t account_id, struct error *err)
{
    for (int64_t next = 0;;) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(tx, keys_sql, &row, err));
        stmt_bind_int(row, 1, account_id);
        stmt_bind_int(row, 2, next);
        bool found = stmt_next(row);
        int64_t key_id = found ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!found)
            return OK;
        TRY(weigh(tx, account_id, key_id, err));
        next = key_id + 1;
    }
}

enum status cases_raise(struct db_conn *tx, int64_t account_id, int64_t key_id, unsigned signals, struct error *err)
{
    for (int i = 0; i < SIGNALS; i++)
        if (signals & 1U << i)
            TRY(put_signal(tx, account_id, key_id, i, err));
    bool of_account = (signals & ~(1U << LEAK)) >> KEY_SIGNALS;
    return of_account ? weigh_all(tx, account_id, err) : weigh(tx, account_id, key_id, err);
}

/* Fading. */

static const char fading_sql[] = "SELECT id FROM misuse_case WHERE state IN (1, 2) AND id > ? ORDER BY id LIMIT 1";
static const char forget_sql[] = "DELETE FROM misuse_signal WHERE seen_us < ?";
static const char gone_sql[] =
    "DELETE FROM misuse_client WHERE key_id NOT IN (SELECT id FROM api_key WHERE revoked_us IS NULL)";

static enum status fade_one(struct db_conn *tx, int64_t id, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct misuse_case of;
    struct score score;
    TRY(case_get(tx, &arena, id, &of, err));
    TRY(read_score(tx, &arena, of.account_id, of.key_id, &score, err));
    of.points = (int64_t)score.points;
    return of.points < level_specs[of.state].points ? case_do(tx, &of, CASE_FADE, BY_RULE, 0, (struct str){0}, err)
                                                    : OK;
}

enum status cases_fade(struct db_conn *tx, struct error *err)
{
    auto_stmt struct stmt *forget = NULL, *gone = NULL;
    for (int64_t id = 0;;) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(tx, fading_sql, &row, err));
        stmt_bind_int(row, 1, id);
        bool found = stmt_next(row);
        id = found ? stmt_int(row, 0) : id;
        TRY(stmt_end(row, err));
        if (!found)
            break;
        TRY(fade_one(tx, id, err));
    }
    TRY(db_prepare(tx, forget_sql, &forget, err));
    stmt_bind_int(forget, 1, now_us() - FORGET_US);
    TRY(stmt_run(forget, err));
    TRY(db_prepare(tx, gone_sql, &gone, err));
    return stmt_run(gone, err);
}

enum status case_late(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct misuse_case of;
    enum status found = case_get(tx, &arena, id, &of, err);
    if (found == NOT_FOUND || (found == OK && (!of.due_us || of.state > CASE_BARRED)))
        return OK;
    TRY(found);
    TRY(timer_set(tx, "misuse.case", id, due_us + DAY_US, err));
    return notice_board(tx, 0, "misuse.late",
                        arena_printf(&arena,
                                     "Case %lld has waited for an administrator for more than 24 hours: GET "
                                     "/api/misuse?open=true.",
                                     (long long)id),
                        err);
}

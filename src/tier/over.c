/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/over.h"
#include "base/time.h"
#include "notice/notice.h"
#include "repo/repo.h"
#include "tier/internal.h"

/* Days before each step: three notices, 60, 14 and 3 days before the repos are archived, and that. Each counts from the step
 * before, so that a hub that was off for months does not send three notices in a day. */
static const int step_days[] = {120, 46, 11, 3};
#define STEPS (int64_t)(sizeof step_days / sizeof *step_days)
#define ARCHIVED STEPS

struct look {
    int64_t account_id;
    bool found;            /* a row: */
    int64_t step, next_us; /* steps that are done; when the next is due */
    bool any, full[UNITS]; /* what more is kept of than the tier allows */
};

static const char get_sql[] = "SELECT step, next_us FROM tier_over WHERE account_id = ?";

static enum status get_row(struct db_conn *conn, struct look *look, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, get_sql, &row, err));
    stmt_bind_int(row, 1, look->account_id);
    look->found = stmt_next(row);
    look->step = look->found ? stmt_int(row, 0) : 0;
    look->next_us = look->found ? stmt_int(row, 1) : 0;
    return stmt_end(row, err);
}

static enum status read_look(struct db_conn *conn, struct look *look, struct error *err)
{
    const struct limits *limits;
    TRY(limits_of(conn, look->account_id, &limits, err));
    look->any = false;
    for (enum unit unit = 1; unit < UNITS; unit++) {
        bool kept = unit_specs[unit].of_repo && unit_specs[unit].measure == MEASURE_HELD &&
                    limits->of[SCOPE_PERSON][unit].given;
        enum status room = kept ? quota_room(conn, look->account_id, 0, unit, 0, err) : OK;
        if (room != OK && room != TOO_LARGE)
            return room;
        look->full[unit] = room == TOO_LARGE;
        look->any |= look->full[unit];
    }
    return get_row(conn, look, err);
}

static int64_t archive_at(const struct look *look)
{
    int64_t at = look->next_us;
    for (int64_t step = look->step + 1; step < STEPS; step++)
        at += step_days[step] * DAY_US;
    return at;
}

enum status over_get(struct db_conn *conn, int64_t account_id, struct over_state *out, struct error *err)
{
    struct look look = {.account_id = account_id};
    TRY(get_row(conn, &look, err));
    if (!look.found)
        return fail(err, NOT_FOUND, NULL, "The account keeps no more than it may.");
    *out = (struct over_state){look.step == ARCHIVED, look.step == ARCHIVED ? 0 : archive_at(&look)};
    return OK;
}

/* Steps. */

static struct str what_is_full(struct arena *arena, const struct look *look)
{
    struct str text = STR("");
    for (enum unit unit = 1; unit < UNITS; unit++)
        if (look->full[unit])
            text = arena_printf(arena, "%.*s%s%s", STR_ARG(text), text.len ? ", " : "", unit_specs[unit].what);
    return text;
}

static enum status tell(struct db_conn *tx, struct arena *arena, const struct look *look, struct error *err)
{
    static const char way_out[] = "delete what is not needed, give repos to somebody who has room, or move up: "
                                  "GET /api/usage says how";
    struct str full = what_is_full(arena, look), text;
    if (!look->any)
        text = STR("There is room again for what you keep. Your repos are no longer archived.");
    else if (look->step == ARCHIVED)
        text = arena_printf(arena,
                            "You have been keeping more than your tier allows for 180 days (%.*s). The repos that this "
                            "is about are archived from now on: they can be read as before, but not changed. Nothing "
                            "was deleted. They come back by themselves within minutes when there is room: %s.",
                            STR_ARG(full), way_out);
    else
        text = arena_printf(arena,
                            "You keep more than your tier allows (%.*s). If that is still so on %.*s, the repos that "
                            "this is about will be archived: they can then be read as before, but not changed. Nothing "
                            "is deleted. To prevent it, %s. This is notice %lld of 3.",
                            STR_ARG(full), STR_ARG(time_iso(arena, archive_at(look))), way_out, (long long)look->step);
    return notice_owners(tx, look->account_id, 0, look->any ? "tier.over" : "tier.room", text, err);
}

static const char put_sql[] = "INSERT INTO tier_over (account_id, step, next_us) VALUES (?, ?, ?) "
                              "ON CONFLICT (account_id) DO UPDATE SET step = excluded.step, next_us = excluded.next_us";

static enum status put_row(struct db_conn *tx, const struct look *look, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, look->account_id);
    stmt_bind_int(put, 2, look->step);
    stmt_bind_int(put, 3, look->next_us);
    return stmt_run(put, err);
}

static enum status drop_row(struct db_conn *tx, const struct look *look, struct error *err)
{
    auto_stmt struct stmt *drop = NULL;
    TRY(db_prepare(tx, "DELETE FROM tier_over WHERE account_id = ?", &drop, err));
    stmt_bind_int(drop, 1, look->account_id);
    return stmt_run(drop, err);
}

static bool is_step_due(const struct look *look)
{
    if (look->any != look->found)
        return true;
    return look->found && look->step < ARCHIVED && now_us() >= look->next_us;
}

static enum status step_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct look *look = context;
    auto_arena struct arena arena = {0};
    TRY(read_look(tx, look, err));
    if (!is_step_due(look))
        return OK;
    if (!look->any) {
        TRY(drop_row(tx, look, err));
        return look->step == ARCHIVED ? tell(tx, &arena, look, err) : OK;
    }
    look->step += look->found;
    look->next_us = look->step < STEPS ? now_us() + step_days[look->step] * DAY_US : 0;
    TRY(put_row(tx, look, err));
    return look->step ? tell(tx, &arena, look, err) : OK;
}

/* Repos. */

struct archiving {
    int64_t repo_id;
    bool archived;
};

static enum status archive_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct archiving *one = context;
    const struct repo_settings settings = {.archived = &one->archived};
    enum status status = repo_set_in_write(tx, one->repo_id, &settings, 0, err);
    return status == NOT_FOUND ? OK : status;
}

static const char repos_sql[] = "SELECT id, archived FROM repo WHERE owner_id = ? ORDER BY id";

/* Those of the account that are not yet what they should be. */
static enum status find_repos(struct db_conn *conn, struct arena *arena, const struct look *look,
                              struct archiving **out, size_t *count, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    size_t capacity = 0;
    int64_t owner_id;
    enum unit unit;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(conn, repos_sql, &row, err));
    stmt_bind_int(row, 1, look->account_id);
    while (stmt_next(row)) {
        int64_t id = stmt_int(row, 0);
        enum status found = quota_of_repo(conn, id, &owner_id, &unit, err);
        if (found != OK && found != NOT_FOUND)
            return found;
        bool archived = look->found && look->step == ARCHIVED && (look->full[unit] || look->full[UNIT_REPOS]);
        if (found == NOT_FOUND || archived == (stmt_int(row, 1) != 0))
            continue;
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        (*out)[(*count)++] = (struct archiving){id, archived};
    }
    return stmt_end(row, err);
}

static const char any_sql[] = "SELECT 1 FROM repo WHERE owner_id = ? AND archived <> 0 LIMIT 1";

static enum status has_archived(struct db_conn *conn, const struct look *look, bool *any, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, any_sql, &row, err));
    stmt_bind_int(row, 1, look->account_id);
    *any = stmt_next(row);
    return stmt_end(row, err);
}

enum status over_look(struct db *db, int64_t account_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct look look = {.account_id = account_id};
    struct archiving *repos = NULL;
    size_t count = 0;
    bool archived;
    TRY(db_reader(db, &conn, err));
    TRY(read_look(conn, &look, err));
    if (is_step_due(&look)) {
        TRY(db_write(db, step_in_write, &look, err));
        TRY(read_look(conn, &look, err));
    }
    TRY(has_archived(conn, &look, &archived, err));
    if (archived || (look.found && look.step == ARCHIVED))
        TRY(find_repos(conn, &arena, &look, &repos, &count, err));
    db_release(&conn);
    for (size_t i = 0; i < count; i++)
        TRY(db_write(db, archive_in_write, &repos[i], err));
    return OK;
}

static enum status next_archived(struct db *db, int64_t *account_id, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, "SELECT min(owner_id) FROM repo WHERE archived <> 0 AND owner_id > ?", &row, err));
    stmt_bind_int(row, 1, *account_id);
    *account_id = stmt_next(row) && !stmt_is_null(row, 0) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

enum status over_look_again(struct db *db, struct error *err)
{
    int64_t account_id = 0;
    for (;;) {
        TRY(next_archived(db, &account_id, err));
        if (!account_id)
            return OK;
        TRY(over_look(db, account_id, err));
    }
}

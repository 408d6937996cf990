/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "identity/key.h"
#include "notice/notice.h"
#include "signin/handlers.h"

/* Each key is told of twice: by then, how many notices there must have been. */
#define FIRST_BEFORE_US (7 * DAY_US)
#define LAST_BEFORE_US DAY_US
#define BATCH 100

static const char due_sql[] =
    "SELECT id, account_id, name, expires_us FROM api_key WHERE revoked_us IS NULL AND expires_us > ? AND "
    "publisher_id = 0 AND expires_us <= ? AND noticed < CASE WHEN expires_us <= ? THEN 2 ELSE 1 END ORDER BY "
    "expires_us LIMIT ?";
static const char noticed_sql[] = "UPDATE api_key SET noticed = ? WHERE id = ?";

struct due {
    int64_t id, account_id, expires_us;
    struct str name;
};

static enum status tell(struct db_conn *tx, struct arena *arena, const struct due *due, int64_t now, struct error *err)
{
    auto_stmt struct stmt *update = NULL;
    bool last = due->expires_us - now <= LAST_BEFORE_US;
    struct notice notice = {
        .account_id = due->account_id,
        .kind = "key.ending",
        .text = arena_printf(arena,
                             "Your token \"%.*s\" ends on %.*s, and what uses it will then be refused. Give it a new "
                             "secret, or make another one, on your settings page or by POST /api/settings/keys.",
                             STR_ARG(due->name), STR_ARG(str_slice(time_iso(arena, due->expires_us), 0, 10))),
        .due_us = due->expires_us,
    };
    TRY(db_prepare(tx, noticed_sql, &update, err));
    stmt_bind_int(update, 1, last ? 2 : 1);
    stmt_bind_int(update, 2, due->id);
    TRY(stmt_run(update, err));
    return notice_add(tx, &notice, err);
}

struct round {
    struct arena arena;
    int64_t now;
    size_t count;
};

static enum status tell_some(struct db_conn *tx, void *context, struct error *err)
{
    struct round *round = context;
    struct due due[BATCH];
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, due_sql, &row, err));
    stmt_bind_int(row, 1, round->now);
    stmt_bind_int(row, 2, round->now + FIRST_BEFORE_US);
    stmt_bind_int(row, 3, round->now + LAST_BEFORE_US);
    stmt_bind_int(row, 4, BATCH);
    for (round->count = 0; stmt_next(row); round->count++)
        due[round->count] = (struct due){.id = stmt_int(row, 0),
                                         .account_id = stmt_int(row, 1),
                                         .name = arena_copy(&round->arena, stmt_str(row, 2)),
                                         .expires_us = stmt_int(row, 3)};
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < round->count; i++)
        TRY(tell(tx, &round->arena, &due[i], round->now, err));
    return OK;
}

static enum status any_due(struct hub *hub, int64_t now, bool *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_prepare(conn, due_sql, &row, err));
    stmt_bind_int(row, 1, now);
    stmt_bind_int(row, 2, now + FIRST_BEFORE_US);
    stmt_bind_int(row, 3, now + LAST_BEFORE_US);
    stmt_bind_int(row, 4, 1);
    *out = stmt_next(row);
    return stmt_end(row, err);
}

enum status key_notices(struct hub *hub, struct error *err)
{
    struct round round = {.now = now_us(), .count = BATCH};
    bool any;
    TRY(any_due(hub, round.now, &any, err)); /* most rounds find none, and need no write */
    enum status status = OK;
    while (any && status == OK && round.count == BATCH) {
        status = db_write(hub->db, tell_some, &round, err);
        arena_free(&round.arena);
    }
    return status;
}

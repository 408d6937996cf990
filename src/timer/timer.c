/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "timer/timer.h"
#include "base/log.h"
#include "base/time.h"
#include "module.h"

#define BATCH 32 /* in one write, which others wait for */
#define RETRY_US (60 * SECOND_US)

static const char create_sql[] = "CREATE TABLE timer ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  kind TEXT NOT NULL,"
                                 "  ref BIGINT NOT NULL,"
                                 "  due_us BIGINT NOT NULL,"
                                 "  try_us BIGINT NOT NULL," /* due_us, or later when it has failed */
                                 "  UNIQUE (kind, ref));"
                                 "CREATE INDEX timer_try ON timer (try_us);";

const struct migration_set timer_migrations = {"timer", (const char *const[]){create_sql, NULL}};

static const char set_sql[] =
    "INSERT INTO timer (kind, ref, due_us, try_us) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, ref) DO UPDATE SET due_us = excluded.due_us, try_us = excluded.try_us";

enum status timer_set(struct db_conn *tx, const char *kind, int64_t ref, int64_t due_us, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, set_sql, &set, err));
    stmt_bind_str(set, 1, str_of(kind));
    stmt_bind_int(set, 2, ref);
    stmt_bind_int(set, 3, due_us);
    stmt_bind_int(set, 4, due_us);
    return stmt_run(set, err);
}

static const char clear_sql[] = "DELETE FROM timer WHERE kind = ? AND ref = ?";

enum status timer_clear(struct db_conn *tx, const char *kind, int64_t ref, struct error *err)
{
    auto_stmt struct stmt *clear = NULL;
    TRY(db_prepare(tx, clear_sql, &clear, err));
    stmt_bind_str(clear, 1, str_of(kind));
    stmt_bind_int(clear, 2, ref);
    return stmt_run(clear, err);
}

/* Firing. */

struct due {
    const struct timer_kind *kind;
    int64_t ref, due_us;
};

struct batch {
    struct due due[BATCH];
    size_t count;
};

static const struct timer_kind *find_kind(struct str name)
{
    for (const struct module *const *module = modules; *module; module++)
        for (const struct timer_kind *kind = (*module)->timers; kind && kind->name; kind++)
            if (str_eq(name, str_of(kind->name)))
                return kind;
    return NULL;
}

static const char due_sql[] = "SELECT kind, ref, due_us FROM timer WHERE try_us <= ? ORDER BY try_us LIMIT 32";

static enum status read_due(struct db *db, struct batch *batch, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    batch->count = 0;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, due_sql, &row, err));
    stmt_bind_int(row, 1, now_us());
    while (stmt_next(row)) {
        const struct timer_kind *kind = find_kind(stmt_str(row, 0));
        if (kind)
            batch->due[batch->count++] = (struct due){kind, stmt_int(row, 1), stmt_int(row, 2)};
    }
    return stmt_end(row, err);
}

static const char take_sql[] = "DELETE FROM timer WHERE kind = ? AND ref = ? AND due_us = ?";

/* Somebody may have cleared or moved it since it was read: then it is not due any more. */
static enum status fire_one(struct db_conn *tx, const struct due *due, struct error *err)
{
    auto_stmt struct stmt *take = NULL;
    TRY(db_prepare(tx, take_sql, &take, err));
    stmt_bind_str(take, 1, str_of(due->kind->name));
    stmt_bind_int(take, 2, due->ref);
    stmt_bind_int(take, 3, due->due_us);
    TRY(stmt_run(take, err));
    return db_changes(tx) ? due->kind->fire(tx, due->ref, due->due_us, err) : OK;
}

static enum status fire_batch(struct db_conn *tx, void *context, struct error *err)
{
    const struct batch *batch = context;
    for (size_t i = 0; i < batch->count; i++)
        TRY(fire_one(tx, &batch->due[i], err));
    return OK;
}

static const char later_sql[] = "UPDATE timer SET try_us = ? WHERE kind = ? AND ref = ? AND due_us = ?";

static enum status put_off(struct db_conn *tx, void *context, struct error *err)
{
    const struct batch *one = context;
    auto_stmt struct stmt *later = NULL;
    TRY(db_prepare(tx, later_sql, &later, err));
    stmt_bind_int(later, 1, now_us() + RETRY_US);
    stmt_bind_str(later, 2, str_of(one->due->kind->name));
    stmt_bind_int(later, 3, one->due->ref);
    stmt_bind_int(later, 4, one->due->due_us);
    return stmt_run(later, err);
}

/* One of them cannot be done: the others shall not wait for it. */
static enum status fire_apart(struct db *db, const struct batch *batch, struct error *err)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct batch one = {.due = {batch->due[i]}, .count = 1};
        struct error why = {0};
        if (db_write(db, fire_batch, &one, &why) == OK)
            continue;
        log_line("error", "timer", "%s of %lld: %s", one.due->kind->name, (long long)one.due->ref, why.message);
        TRY(db_write(db, put_off, &one, err));
    }
    return OK;
}

/* What does a part and sets itself again, as for all grants of a gate, goes on a few times; others want to write too. */
#define AGAIN_MOST 10

enum status timers_run(struct db *db, struct error *err)
{
    struct batch batch;
    int again = 0;
    do {
        TRY(read_due(db, &batch, err));
        if (batch.count && db_write(db, fire_batch, &batch, NULL) != OK)
            TRY(fire_apart(db, &batch, err));
    } while (batch.count == BATCH || (batch.count && again++ < AGAIN_MOST));
    return OK;
}

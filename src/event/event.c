/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "event/event.h"
#include "base/time.h"
#include <assert.h>

/* INTEGER PRIMARY KEY, to the letter, makes the id SQLite's row number; the other numbers are wide in both databases.
 */
static const char create_sql[] = "CREATE TABLE event ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  kind TEXT NOT NULL,"
                                 "  version BIGINT NOT NULL,"
                                 "  repo_id BIGINT NOT NULL,"
                                 "  repo_seq BIGINT NOT NULL,"
                                 "  actor_id BIGINT NOT NULL,"
                                 "  body TEXT NOT NULL);"
                                 "CREATE UNIQUE INDEX event_repo ON event (repo_id, repo_seq) WHERE repo_id <> 0;";

/* What one person did; the hub's own events are many and are never looked for in this way. */
static const char actor_sql[] = "CREATE INDEX event_actor ON event (actor_id) WHERE actor_id <> 0;";

const struct migration_set event_migrations = {"event", (const char *const[]){create_sql, actor_sql, NULL}};

/*
 * One past the highest is the next without a gap, because events are never deleted and there is one writer at a time. A
 * sequence would leave a gap at each rollback. "repo_id <> 0" is what lets the partial index answer; without a repo the
 * number is 0.
 */
static const char append_sql[] =
    "INSERT INTO event (id, at_us, kind, version, repo_id, repo_seq, actor_id, body) VALUES ("
    "  (SELECT coalesce(max(id), 0) + 1 FROM event), ?, ?, ?, ?,"
    "  (SELECT coalesce(max(repo_seq), -1) + 1 FROM event WHERE repo_id = ? AND repo_id <> 0), ?, ?)";

static event_fn *listener;

void event_listen(event_fn *fn)
{
    listener = fn;
}

enum status event_append(struct db_conn *tx, const struct event *event, struct error *err)
{
    assert(event->repo_id >= 0 && event->actor_id >= 0);
    assert(event->body.len >= 2 && event->body.data[0] == '{');
    auto_stmt struct stmt *append = NULL;
    TRY(db_prepare(tx, append_sql, &append, err));
    stmt_bind_int(append, 1, now_us());
    stmt_bind_str(append, 2, str_of(event->kind->name));
    stmt_bind_int(append, 3, event->kind->version);
    stmt_bind_int(append, 4, event->repo_id);
    stmt_bind_int(append, 5, event->repo_id);
    stmt_bind_int(append, 6, event->actor_id);
    stmt_bind_str(append, 7, event->body);
    TRY(stmt_run(append, err));
    return listener ? listener(tx, event, err) : OK;
}

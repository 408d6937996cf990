/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/log.h"
#include "base/time.h"
#include "notice/notice.h"
#include "use/enforce.h"

/*
 * What the board looks at without being asked by anybody (access C15): steps for safety, which two people may take at any
 * time, and the strike with which somebody has three points. Somebody of it who has neither taken nor signed the step says
 * within seven days whether it stands.
 */

bool is_board(const struct actor *actor)
{
    return actor->account.is_admin && actor->key_role == ROLE_ADMIN;
}

static const char ask_sql[] = "UPDATE enforcement_step SET look_due_us = ? WHERE id = ?";

enum status look_ask(struct enforcing *e, const char *kind, struct str why, struct error *err)
{
    auto_stmt struct stmt *ask = NULL;
    int64_t due = now_us() + BOARD_LOOK_US;
    TRY(db_prepare(e->tx, ask_sql, &ask, err));
    stmt_bind_int(ask, 1, due);
    stmt_bind_int(ask, 2, e->step_id);
    TRY(stmt_run(ask, err));
    TRY(timer_set(e->tx, "use.look", e->step_id, due, err));
    struct str text =
        arena_printf(e->arena,
                     "%.*s GET /api/enforcement/looks shows it. Somebody of the board who has neither taken "
                     "nor signed it says by %.10s whether it stands: POST /api/enforcement/%lld/look.",
                     STR_ARG(why), time_iso(e->arena, due).data, (long long)e->step_id);
    return notice_board(e->tx, e->repo_id, kind, text, err);
}

/* The timer "use.look": nobody has looked in time. */

static const char late_sql[] = "SELECT repo_id FROM enforcement_step WHERE id = ? AND looked_us = 0";

enum status look_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    (void)due_us;
    TRY(db_prepare(tx, late_sql, &row, err));
    stmt_bind_int(row, 1, id);
    if (!stmt_next(row))
        return stmt_end(row, err);
    int64_t repo_id = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    return notice_board(
        tx, repo_id, "board.late",
        arena_printf(&arena,
                     "Nobody of the board has looked at step %lld of enforcement in the seven days that are "
                     "promised: POST /api/enforcement/%lld/look.",
                     (long long)id, (long long)id),
        err);
}

/* Looking. */

struct looking {
    struct arena *arena;
    int64_t step_id, actor_id, account_id, repo_id;
    bool stands;
    struct str text;
};

static const char step_sql[] = "SELECT e.account_id, s.repo_id, ? IN (s.by_id, s.second_id, e.account_id) FROM "
                               "enforcement_step s JOIN enforcement e "
                               "ON e.id = s.enforcement_id WHERE s.id = ? AND s.look_due_us > 0 AND s.looked_us = 0";
static const char looked_sql[] = "UPDATE enforcement_step SET looked_us = ? WHERE id = ?";

static enum status read_step(struct db_conn *tx, struct looking *l, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, step_sql, &row, err));
    stmt_bind_int(row, 1, l->actor_id);
    stmt_bind_int(row, 2, l->step_id);
    bool found = stmt_next(row), own = found && stmt_int(row, 2);
    l->account_id = found ? stmt_int(row, 0) : 0;
    l->repo_id = found ? stmt_int(row, 1) : 0;
    TRY(stmt_end(row, err));
    if (own)
        return fail(err, FORBIDDEN, NULL,
                    "You have taken or signed this step, or it is about you: somebody else looks.");
    return found ? OK : fail(err, NOT_FOUND, NULL, "No such step waits for the board. GET /api/enforcement/looks.");
}

static enum status write_look(struct db_conn *tx, void *context, struct error *err)
{
    struct looking *l = context;
    auto_stmt struct stmt *set = NULL;
    TRY(read_step(tx, l, err));
    TRY(db_prepare(tx, looked_sql, &set, err));
    stmt_bind_int(set, 1, now_us());
    stmt_bind_int(set, 2, l->step_id);
    TRY(stmt_run(set, err));
    TRY(timer_clear(tx, "use.look", l->step_id, err));
    if (!l->stands)
        TRY(step_overturned(tx, l->step_id, 0, err));
    struct step_made made = {
        l->repo_id, l->actor_id, l->step_id, "enforcement", "look", "done", l->stands ? "stands" : "overturned"};
    TRY(access_log_step(tx, &made, err));
    struct str text =
        arena_printf(l->arena, "The board has looked at step %lld about you: %s. %.*s", (long long)l->step_id,
                     l->stands ? "it stands" : "it is taken back", STR_ARG(l->text));
    const struct notice notice = {l->account_id, l->repo_id, "enforcement.look", text, 0};
    return notice_add(tx, &notice, err);
}

/* POST /api/enforcement/{id}/look {"outcome": "stands|overturned", "text"} */
enum status enforcement_look(struct request *rq, struct error *err)
{
    static const char *const members[] = {"outcome", "text", NULL};
    struct looking l = {.arena = rq->arena, .actor_id = rq->actor.account.id};
    struct str outcome;
    json_t *body;
    if (!is_board(&rq->actor))
        return fail(err, FORBIDDEN, NULL, "This takes an administrator of the hub, with a token of role admin.");
    if (!str_to_i64(rq->params[0], &l.step_id))
        return fail(err, NOT_FOUND, NULL, "No such step waits for the board. GET /api/enforcement/looks.");
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(use_body_only(body, members, err));
    TRY(use_body_text(body, "outcome", 16, true, &outcome, err));
    TRY(use_body_text(body, "text", TEXT_MOST, true, &l.text, err));
    l.stands = str_eq(outcome, STR("stands"));
    if (!l.stands && !str_eq(outcome, STR("overturned")))
        return fail(err, INVALID, NULL, "\"outcome\" is \"stands\" or \"overturned\".");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_look, &l, err));
    request_reply_empty(rq);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Grants: read, opened, renewed, and moved through their machine. */
#include "access/log.h"
#include "grant/internal.h"

#define PURPOSE_MOST 128

void granting_free(struct granting *g)
{
    arena_free(&g->arena);
}

bool granting_is_live(const struct granting *g)
{
    return g->grant.state >= GRANT_ACTIVE && g->grant.state <= GRANT_SUSPENDED;
}

/* Reading. */

#define COLUMNS                                                                                                        \
    "SELECT id, gate_id, account_id, purpose, request_id, state, version, not_before_us, expires_us, terms_epoch, "    \
    "code, text, until_us, by_id, created_us, changed_us FROM access_grant "

static enum status read_grant(struct stmt *row, struct arena *arena, struct grant *out, struct error *err)
{
    bool found = stmt_next(row);
    if (found)
        *out = (struct grant){.id = stmt_int(row, 0),
                              .gate_id = stmt_int(row, 1),
                              .account_id = stmt_int(row, 2),
                              .purpose = arena_copy(arena, stmt_str(row, 3)),
                              .request_id = stmt_int(row, 4),
                              .state = (enum grant_state)stmt_int(row, 5),
                              .version = stmt_int(row, 6),
                              .not_before_us = stmt_int(row, 7),
                              .expires_us = stmt_int(row, 8),
                              .terms_epoch = stmt_int(row, 9),
                              .code = arena_copy(arena, stmt_str(row, 10)),
                              .text = arena_copy(arena, stmt_str(row, 11)),
                              .until_us = stmt_int(row, 12),
                              .by_id = stmt_int(row, 13),
                              .created_us = stmt_int(row, 14),
                              .changed_us = stmt_int(row, 15)};
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such grant.");
}

static const char get_sql[] = COLUMNS "WHERE id = ?";
static const char find_sql[] = COLUMNS "WHERE gate_id = ? AND account_id = ? AND state <= 3 ORDER BY id DESC LIMIT 1";

enum status grant_get(struct db_conn *conn, struct arena *arena, int64_t id, struct grant *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, get_sql, &row, err));
    stmt_bind_int(row, 1, id);
    return read_grant(row, arena, out, err);
}

enum status grant_find(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t account_id,
                       struct grant *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, find_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, account_id);
    return read_grant(row, arena, out, err);
}

static const char causes_sql[] = "SELECT code, mover, until_us FROM grant_cause WHERE grant_id = ? LIMIT 32";

static enum status load_causes(struct granting *g, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    g->cause_count = 0;
    if (g->grant.state != GRANT_SUSPENDED)
        return OK;
    TRY(db_prepare(g->tx, causes_sql, &row, err));
    stmt_bind_int(row, 1, g->grant.id);
    while (g->cause_count < CAUSES_MOST && stmt_next(row))
        g->causes[g->cause_count++] =
            (struct cause){arena_copy(&g->arena, stmt_str(row, 0)), (enum mover)stmt_int(row, 1), stmt_int(row, 2)};
    return stmt_end(row, err);
}

static enum status load_rest(struct granting *g, struct error *err)
{
    TRY(terms_reached(g->tx, g->grant.gate_id, g->grant.account_id, &g->terms, err));
    TRY(terms_gate_name(g->tx, &g->arena, g->grant.gate_id, &g->gate_name, &g->repo_id, err));
    return load_causes(g, err);
}

enum status granting_load(struct db_conn *tx, int64_t id, struct granting *out, struct error *err)
{
    *out = (struct granting){.tx = tx};
    TRY(grant_get(tx, &out->arena, id, &out->grant, err));
    return load_rest(out, err);
}

/* One step. */

/* The word of the log (ACCESS_DECISIONS) for what a step decides about the person's access; NULL when it decides nothing. */
static const char *decision_of(const struct granting *g, const struct step *step)
{
    bool was_out = step->from == GRANT_SUSPENDED, is_out = step->to == GRANT_SUSPENDED;
    switch ((enum grant_event)step->event) {
    case GRANT_OPEN:
        return g->renews ? "renew" : "grant";
    case GRANT_SUSPEND:
    case GRANT_GRACE_OVER:
        return "suspend";
    case GRANT_RESUME:
    case GRANT_ACCEPT:
        return step->to == GRANT_EXPIRED ? "expire" : was_out && !is_out ? "restore" : NULL;
    case GRANT_EXPIRE:
        return "expire";
    case GRANT_REVOKE:
        return "revoke";
    case GRANT_APPEAL:
        return "suspend";
    case GRANT_SURRENDER:
        return "surrender";
    default:
        return NULL;
    }
}

static const char *basis_of(const struct step *step)
{
    switch (step->by) {
    case BY_HOLDER:
        return "holder";
    case BY_REVIEWER:
        return "review";
    case BY_OWNER:
        return "owner";
    case BY_BOARD:
        return "board";
    default:
        return step->code.len ? "rule" : "clock";
    }
}

static enum status log_step(struct granting *g, const struct step *step, struct error *err)
{
    const struct machine *machine = step->machine;
    const char *decision = g->forgets ? NULL : decision_of(g, step);
    if (!decision)
        return access_log_step(g->tx,
                               &(struct step_made){g->repo_id, step->actor_id, g->grant.id, machine->name,
                                                   machine->events[step->event], machine->states[step->from].name,
                                                   machine->states[step->to].name},
                               err);
    struct decision_made made = {.repo_id = g->repo_id,
                                 .account_id = g->grant.account_id,
                                 .actor_id = step->actor_id,
                                 .decision = decision,
                                 .basis = g->basis ? g->basis : basis_of(step),
                                 .policy = g->policy,
                                 .expires_us = step->event == GRANT_OPEN ? g->grant.expires_us : 0};
    return access_log_decision(g->tx, &made, err);
}

enum status granting_step(struct granting *g, const struct grant_deed *deed, struct error *err)
{
    struct step step = {.machine = &grant_machine,
                        .subject = g,
                        .from = g->grant.state,
                        .event = deed->event,
                        .back = -1,
                        .by = deed->by,
                        .actor_id = deed->actor_id,
                        .now_us = deed->now_us,
                        .code = deed->code,
                        .text = deed->text};
    TRY(machine_do(&step, err));
    TRY(log_step(g, &step, err));
    TRY(grant_get(g->tx, &g->arena, g->grant.id, &g->grant, err));
    TRY(load_causes(g, err));
    return granting_wind(g, deed->now_us, err);
}

/* Opening. */

static enum mover giver_of(const struct grant_new *what)
{
    struct str basis = str_of(what->basis);
    return str_eq(basis, STR("rule"))     ? BY_RULE
           : str_eq(basis, STR("review")) ? BY_REVIEWER
           : str_eq(basis, STR("board"))  ? BY_BOARD
                                          : BY_OWNER;
}

static enum status check_new(const struct grant_new *what, int64_t at_us, struct error *err)
{
    if (what->purpose.len > PURPOSE_MOST || !str_is_utf8(what->purpose))
        return fail(err, INVALID, NULL, "A purpose has at most %d bytes.", PURPOSE_MOST);
    if (what->expires_us && what->expires_us <= at_us)
        return fail(err, INVALID, NULL, "A grant cannot end before it begins.");
    return OK;
}

/* Who was asked a moment ago for what is in force may already have something newer to accept: that has its grace. */
static enum status open_grant(struct db_conn *tx, const struct grant_new *what, bool renews, int64_t *id,
                              struct error *err)
{
    auto_granting struct granting g = {.tx = tx, .basis = what->basis, .policy = what->policy, .renews = renews};
    int64_t at_us = now_us();
    TRY(check_new(what, at_us, err));
    g.grant = (struct grant){.gate_id = what->gate_id,
                             .account_id = what->account_id,
                             .purpose = str_given(what->purpose) ? what->purpose : STR(""),
                             .request_id = what->request_id,
                             .not_before_us = what->not_before_us,
                             .expires_us = what->expires_us,
                             .by_id = what->by_id};
    TRY(load_rest(&g, err));
    TRY(granting_step(&g, &(struct grant_deed){GRANT_OPEN, giver_of(what), what->by_id, at_us}, err));
    *id = g.grant.id;
    g.basis = NULL;
    g.policy = NULL;
    return granting_catch_up(&g, at_us, err);
}

/* What came true by the clock meanwhile is written first: an old grant that nobody has looked at is no live one. */
static enum status settle_old(struct db_conn *tx, const struct grant_new *what, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_granting struct granting old = {0};
    TRY(db_prepare(tx,
                   "SELECT id FROM access_grant WHERE gate_id = ? AND account_id = ? AND purpose = ? AND state <= 3",
                   &row, err));
    stmt_bind_int(row, 1, what->gate_id);
    stmt_bind_int(row, 2, what->account_id);
    stmt_bind_str(row, 3, str_given(what->purpose) ? what->purpose : STR(""));
    int64_t id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    if (!id)
        return OK;
    TRY(granting_load(tx, id, &old, err));
    return granting_catch_up(&old, now_us(), err);
}

enum status grant_open(struct db_conn *tx, const struct grant_new *what, int64_t *id, struct error *err)
{
    TRY(settle_old(tx, what, err));
    return open_grant(tx, what, false, id, err);
}

/* Others. */

enum status grant_renew(struct db_conn *tx, int64_t old_id, const struct grant_new *how, int64_t *new_id,
                        struct error *err)
{
    auto_granting struct granting old = {0};
    struct grant_new what = *how;
    int64_t at_us = now_us();
    TRY(granting_load(tx, old_id, &old, err));
    TRY(granting_catch_up(&old, at_us, err));
    old.renew_us = how->renew_us;
    TRY(granting_step(&old, &(struct grant_deed){GRANT_RENEW, giver_of(how), how->by_id, at_us}, err));
    what.gate_id = old.grant.gate_id;
    what.account_id = old.grant.account_id;
    what.purpose = old.grant.purpose;
    return open_grant(tx, &what, true, new_id, err);
}

enum status grant_do(struct db_conn *tx, int64_t id, enum grant_event event, enum mover by, int64_t actor_id,
                     struct str code, struct str text, int64_t until_us, struct error *err)
{
    auto_granting struct granting g = {0};
    int64_t at_us = now_us();
    TRY(granting_load(tx, id, &g, err));
    TRY(granting_catch_up(&g, at_us, err));
    g.until_us = until_us;
    TRY(granting_step(&g, &(struct grant_deed){event, by, actor_id, at_us, code, text}, err));
    return granting_catch_up(&g, at_us, err); /* as when the cause that is gone had held up the end */
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "gate/appeal.h"
#include "notice/notice.h"
#include "use/enforce.h"

/* What the body says. */

struct order {
    struct request *rq;
    struct enforcing e;
    bool waits;
};

static enum status read_step(struct order *o, const json_t *body, struct error *err)
{
    struct str step;
    TRY(use_body_text(body, "step", 16, true, &step, err));
    int event = machine_event_named(&enforcement_machine, step);
    if (event < 0 || event >= LAPSE)
        return fail(err, INVALID, NULL,
                    "\"step\" is one of [notice, slow, suspend, revoke, strike, block, site-block, lift].");
    o->e.event = (enum ladder_event)event;
    const json_t *points = json_object_get(body, "points");
    o->e.points = event == STRIKE ? json_get_int(body, "points", 1) : 0;
    if ((points && (event != STRIKE || !json_is_integer(points))) || o->e.points < 0 || o->e.points > 3 ||
        (event == STRIKE && o->e.points == 0))
        return fail(err, INVALID, NULL, "\"points\" of a strike are 1, 2 or 3; other steps have none.");
    return OK;
}

static enum status read_ground(struct order *o, const json_t *body, struct error *err)
{
    TRY(use_body_text(body, "code", 64, true, &o->e.code, err));
    TRY(use_body_text(body, "text", TEXT_MOST, true, &o->e.text, err));
    if (ground_named(o->e.code))
        return OK;
    auto_buf struct buf list = {0};
    grounds_list(&list);
    return fail(err, INVALID, NULL, "\"code\" is the ground: one of [%.*s].", STR_ARG(buf_view(&list)));
}

static enum status read_until(struct order *o, const json_t *body, struct error *err)
{
    struct str until;
    int64_t now = now_us();
    bool short_one = o->e.event == SLOW || o->e.event == SUSPEND;
    bool may = short_one || o->e.event == BLOCK || o->e.event == SITE_BLOCK;
    TRY(use_body_text(body, "until", 40, false, &until, err));
    if (short_one)
        o->e.until_us = now + SUSPENSION_MOST_US;
    if (!str_given(until))
        return OK;
    if (!may || !time_read(until, &o->e.until_us) || o->e.until_us <= now)
        return fail(err, INVALID, NULL,
                    "\"until\" of a slow-down, a suspension or a block is a time to come, as 2030-01-31T12:00:00Z.");
    if (short_one && o->e.until_us > now + SUSPENSION_MOST_US)
        return fail(err, INVALID, NULL,
                    "A slow-down or a suspension lasts 14 days at most; what needs longer is another step.");
    return OK;
}

static enum status read_order(struct order *o, struct error *err)
{
    static const char *const members[] = {"user", "step", "code", "text", "until", "points", NULL};
    struct request *rq = o->rq;
    json_t *body;
    struct str name;
    struct account user;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(use_body_only(body, members, err));
    TRY(use_body_text(body, "user", 128, true, &name, err));
    TRY(read_step(o, body, err));
    TRY(read_ground(o, body, err));
    TRY(read_until(o, body, err));
    TRY(account_find(rq->db, rq->arena, name, &user, err));
    if (user.kind != ACCOUNT_USER || user.erased)
        return fail(err, INVALID, NULL, "\"user\" is a person.");
    o->e.account_id = user.id;
    return OK;
}

/* Whoever administers the name space acts for it; a hub administrator who does not, for the board. */
static enum status find_mover(struct order *o, struct error *err)
{
    bool owns;
    struct request *rq = o->rq;
    TRY(is_owner_of(rq->db, rq->actor.account.id, rq->repo.owner_id, &owns, err));
    bool board = is_board(&rq->actor);
    o->e.by = board && (!owns || o->e.event == SITE_BLOCK) ? BY_BOARD : BY_OWNER;
    o->e.owner_id = rq->repo.owner_id;
    o->e.repo_id = rq->repo.id;
    o->e.repo_name = rq->repo.full_name;
    o->e.arena = rq->arena;
    return OK;
}

static enum status write_order(struct db_conn *tx, void *context, struct error *err)
{
    struct order *o = context;
    o->e.tx = tx;
    TRY(ladder_load(&o->e, err));
    return ladder_do(&o->e, &o->waits, err);
}

static void reply_order(struct order *o)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "id", o->e.step_id);
    jw_key_str(&w, "state", str_of(enforcement_machine.states[o->e.state].name));
    jw_key_bool(&w, "waits", o->waits);
    jw_end(&w);
    request_reply_json(o->rq, &body);
}

/* POST /api/{api}/enforcement */
enum status enforcement_post(struct request *rq, struct error *err)
{
    struct order o = {.rq = rq, .e.actor_id = rq->actor.account.id};
    TRY(read_order(&o, err));
    TRY(find_mover(&o, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_order, &o, err));
    reply_order(&o);
    return OK;
}

/* The second signature. */

static const char waiting_sql[] = "SELECT s.step, s.code, s.text, s.points, s.until_us, s.by_id, e.account_id "
                                  "FROM enforcement_step s JOIN enforcement e ON e.id = s.enforcement_id "
                                  "WHERE s.id = ? AND e.owner_id = ? AND s.done_us = 0";

static enum status read_waiting(struct order *o, struct error *err)
{
    struct request *rq = o->rq;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, waiting_sql, &row, err));
    stmt_bind_int(row, 1, o->e.step_id);
    stmt_bind_int(row, 2, rq->repo.owner_id);
    bool found = stmt_next(row);
    if (found) {
        o->e.event = (enum ladder_event)machine_event_named(&enforcement_machine, stmt_str(row, 0));
        o->e.code = arena_copy(rq->arena, stmt_str(row, 1));
        o->e.text = arena_copy(rq->arena, stmt_str(row, 2));
        o->e.points = stmt_int(row, 3);
        o->e.until_us = stmt_int(row, 4);
        o->e.actor_id = stmt_int(row, 5);
        o->e.account_id = stmt_int(row, 6);
    }
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "No such step of this owner waits for a signature.");
}

/* POST /api/{api}/enforcement/{id}/sign */
enum status enforcement_sign(struct request *rq, struct error *err)
{
    struct order o = {.rq = rq};
    if (!str_to_i64(rq->params[0], &o.e.step_id))
        return fail(err, NOT_FOUND, NULL, "No such step of this owner waits for a signature.");
    TRY(read_waiting(&o, err));
    if (o.e.actor_id == rq->actor.account.id)
        return fail(err, FORBIDDEN, NULL, "The second signature is that of somebody else.");
    TRY(find_mover(&o, err));
    o.e.second_id = rq->actor.account.id;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_order, &o, err));
    reply_order(&o);
    return OK;
}

/* Lists. */

#define STEP_COLUMNS                                                                                                   \
    "s.id, a.name, s.step, s.code, s.text, s.points, s.until_us, s.at_us, s.done_us, s.appeal, e.state, o.name, "      \
    "s.overturned_us, s.look_due_us, s.looked_us "                                                                     \
    "FROM enforcement_step s JOIN enforcement e ON e.id = s.enforcement_id JOIN account a ON a.id = e.account_id "     \
    "JOIN account o ON o.id = e.owner_id "
static const char of_owner_sql[] =
    "SELECT " STEP_COLUMNS "WHERE e.owner_id = ? AND s.id < ? ORDER BY s.id DESC LIMIT ?";
static const char mine_sql[] =
    "SELECT " STEP_COLUMNS "WHERE e.account_id = ? AND s.id < ? AND s.done_us > 0 ORDER BY s.id DESC LIMIT ?";

static enum status write_step(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "owner", stmt_str(row, 11));
    jw_key_str(w, "user", stmt_str(row, 1));
    jw_key_str(w, "step", stmt_str(row, 2));
    jw_key_str(w, "code", stmt_str(row, 3));
    jw_key_str(w, "text", stmt_str(row, 4));
    if (stmt_int(row, 5)) {
        jw_key_int(w, "points", stmt_int(row, 5));
        jw_key_bool(w, "counts", stmt_int(row, 8) > now_us() - STRIKE_LIFE_US);
    }
    if (stmt_int(row, 6))
        jw_key_str(w, "until", time_iso(rq->arena, stmt_int(row, 6)));
    jw_key_str(w, "at", time_iso(rq->arena, stmt_int(row, 7)));
    jw_key_bool(w, "waits", stmt_int(row, 8) == 0);
    jw_key_bool(w, "overturned", stmt_int(row, 12) != 0);
    if (stmt_int(row, 13)) {
        jw_key_str(w, "boardLooksBy", time_iso(rq->arena, stmt_int(row, 13)));
        jw_key_bool(w, "boardHasLooked", stmt_int(row, 14) != 0);
    }
    if (stmt_str(row, 9).len)
        jw_key_str(w, "appeal", stmt_str(row, 9));
    jw_key_str(w, "state", str_of(enforcement_machine.states[stmt_int(row, 10)].name));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/enforcement: all steps of the repo's owner. */
enum status enforcement_get(struct request *rq, struct error *err)
{
    return page_list(rq, of_owner_sql, rq->repo.owner_id, NEWEST_FIRST, write_step, err);
}

/* GET /api/enforcement: those about the caller. */
enum status enforcement_mine(struct request *rq, struct error *err)
{
    return page_list(rq, mine_sql, rq->actor.account.id, NEWEST_FIRST, write_step, err);
}

static const char looks_sql[] =
    "SELECT " STEP_COLUMNS "WHERE s.look_due_us > ? AND s.looked_us = 0 AND s.id > ? ORDER BY s.id LIMIT ?";

/* GET /api/enforcement/looks: for the board, what it has to look at. */
enum status enforcement_looks(struct request *rq, struct error *err)
{
    if (!is_board(&rq->actor))
        return fail(err, FORBIDDEN, NULL, "This takes an administrator of the hub, with a token of role admin.");
    return page_list(rq, looks_sql, 0, OLDEST_FIRST, write_step, err);
}

/* Appeals. */

struct objection {
    struct arena *arena;
    struct appeal appeal;
    int64_t owner_id, repo_id, barred[2];
};

static const char object_sql[] =
    "SELECT e.owner_id, s.repo_id, s.by_id, s.second_id, s.done_us, s.step, s.code, s.text "
    "FROM enforcement_step s JOIN enforcement e ON e.id = s.enforcement_id "
    "WHERE s.id = ? AND e.account_id = ? AND s.done_us > 0 AND s.step <> 'lift'";
static const char gate_sql[] = "SELECT g.id FROM gate g LEFT JOIN gate_repo r ON r.gate_id = g.id AND r.repo_id = ? "
                               "WHERE g.owner_id = ? ORDER BY r.repo_id IS NULL, g.id LIMIT 1";
static const char appealed_sql[] = "UPDATE enforcement_step SET appeal = ? WHERE id = ?";

static enum status read_objected(struct db_conn *tx, struct objection *o, struct error *err)
{
    struct appeal *appeal = &o->appeal;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, object_sql, &row, err));
    stmt_bind_int(row, 1, appeal->subject_id);
    stmt_bind_int(row, 2, appeal->appellant_id);
    bool found = stmt_next(row);
    if (found) {
        o->owner_id = stmt_int(row, 0);
        o->repo_id = stmt_int(row, 1);
        o->barred[0] = stmt_int(row, 2);
        o->barred[1] = stmt_int(row, 3);
        appeal->cycle = stmt_int(row, 4);
        appeal->old_code = arena_copy(o->arena, stmt_str(row, 6));
        appeal->old_text = arena_printf(o->arena, "%.*s: %.*s", STR_ARG(stmt_str(row, 5)), STR_ARG(stmt_str(row, 7)));
    }
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such step about you. GET /api/enforcement lists them.");
}

/* The gate of the repo that the step was taken at, or another one of its owner: whose people hear appeals. */
static enum status find_gate(struct db_conn *tx, struct objection *o, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, gate_sql, &row, err));
    stmt_bind_int(row, 1, o->repo_id);
    stmt_bind_int(row, 2, o->owner_id);
    o->appeal.gate_id = stmt_next(row) ? stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    return o->appeal.gate_id ? OK
                             : fail(err, CONFLICT, "NothingToAppeal",
                                    "Nothing of this owner is gated, so that the step takes nothing away from you.");
}

static enum status write_objection(struct db_conn *tx, void *context, struct error *err)
{
    struct objection *o = context;
    auto_stmt struct stmt *set = NULL;
    TRY(read_objected(tx, o, err));
    TRY(find_gate(tx, o, err));
    TRY(appeal_file(tx, o->arena, &o->appeal, o->barred, 2, err));
    TRY(db_prepare(tx, appealed_sql, &set, err));
    stmt_bind_str(set, 1, o->appeal.key);
    stmt_bind_int(set, 2, o->appeal.subject_id);
    TRY(stmt_run(set, err));
    struct str text =
        arena_printf(o->arena, "Step %lld was appealed; others than you hear it.", (long long)o->appeal.subject_id);
    return notice_owners(tx, o->owner_id, o->repo_id, "enforcement.appeal", text, err);
}

/* POST /api/enforcement/{id}/appeal {"grounds": [{"code", "text"}]} or {"text"}: heard as other appeals (gate/appeal.h). */
enum status enforcement_appeal(struct request *rq, struct error *err)
{
    struct objection o = {.arena = rq->arena,
                          .appeal = {.subject = APPEAL_OF_STEP, .level = 1, .appellant_id = rq->actor.account.id}};
    json_t *body;
    if (!str_to_i64(rq->params[0], &o.appeal.subject_id))
        return fail(err, NOT_FOUND, NULL, "There is no such step about you. GET /api/enforcement lists them.");
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(appeal_grounds(rq->arena, body, &o.appeal.grounds, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write_objection, &o, err));
    return appeal_reply(rq, &o.appeal);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "use/enforce.h"
#include "access/log.h"
#include "base/time.h"
#include "grant/grant.h"
#include "notice/notice.h"

/* Grounds. */

static const struct ground grounds[] = {{"terms-broken", false, true},    {"passed-on", false, true},
                                        {"false-statement", false, true}, {"misuse", false, true},
                                        {"overload", false, true},        {"message", false, false},
                                        {"imminent-harm", true, true},    {"child-safety", true, true},
                                        {"weapons", true, true},          {"stolen-credentials", true, true}};
#define GROUNDS (sizeof grounds / sizeof *grounds)

const struct ground *ground_named(struct str code)
{
    for (size_t i = 0; i < GROUNDS; i++)
        if (str_eq(code, str_of(grounds[i].code)))
            return &grounds[i];
    return NULL;
}

void grounds_list(struct buf *out)
{
    for (size_t i = 0; i < GROUNDS; i++)
        buf_printf(out, "%s%s", i ? ", " : "", grounds[i].code);
}

/* Guards. */

static enum answer if_safety_with_two(struct step *step, struct error *err)
{
    const struct enforcing *e = step->subject;
    if (ground_named(e->code)->is_safety && e->second_id)
        return YES;
    fail(err, UNPROCESSABLE, "LowerStepFirst",
         "This person is \"%s\" with you: the steps between come first. Only a matter of safety may enter anywhere, "
         "with a "
         "second signature.",
         step->machine->states[step->from].name);
    return REFUSED;
}

static enum answer if_it_strikes(struct step *step, struct error *err)
{
    const struct enforcing *e = step->subject;
    if (ground_named(e->code)->strikes)
        return YES;
    fail(err, UNPROCESSABLE, NULL, "What a person says never counts as a strike.");
    return REFUSED;
}

static enum answer if_it_strikes_with_two(struct step *step, struct error *err)
{
    enum answer answer = if_it_strikes(step, err);
    return answer == YES ? if_safety_with_two(step, err) : answer;
}

/* Saving. */

static const char save_sql[] = "UPDATE enforcement SET state = ?, version = version + 1 WHERE id = ? AND version = ?";

static enum status save(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    auto_stmt struct stmt *update = NULL;
    TRY(db_prepare(e->tx, save_sql, &update, err));
    stmt_bind_int(update, 1, step->to);
    stmt_bind_int(update, 2, e->id);
    stmt_bind_int(update, 3, e->version);
    TRY(stmt_run(update, err));
    if (!db_changes(e->tx))
        return fail(err, STALE, NULL, "Somebody else has taken a step with this person meanwhile. Look again.");
    e->state = (enum ladder_state)step->to;
    e->version++;
    return OK;
}

/* Effects. */

static enum status log_it(const struct enforcing *e, const char *decision, struct error *err)
{
    struct decision_made made = {e->repo_id, e->account_id, e->actor_id, decision,
                                 e->event == OVERTURN ? "appeal"
                                 : e->by == BY_BOARD  ? "board"
                                 : e->by == BY_RULE   ? "clock"
                                                      : "owner"};
    return access_log_decision(e->tx, &made, err);
}

static const char grants_sql[] =
    "SELECT a.id FROM access_grant a JOIN gate g ON g.id = a.gate_id "
    "WHERE a.account_id = ? AND g.owner_id = ? AND a.state <= 3 AND a.id > ? ORDER BY a.id LIMIT 1";

static enum status next_grant(const struct enforcing *e, int64_t *id, bool *found, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(e->tx, grants_sql, &row, err));
    stmt_bind_int(row, 1, e->account_id);
    stmt_bind_int(row, 2, e->owner_id);
    stmt_bind_int(row, 3, *id);
    *found = stmt_next(row);
    if (*found)
        *id = stmt_int(row, 0);
    return stmt_end(row, err);
}

/* All live grants of the person behind gates of the owner; the grant machine logs each. */
static enum status to_grants(const struct enforcing *e, enum grant_event event, const char *decision, struct error *err)
{
    int64_t id = 0;
    bool found = true, any = false;
    while (true) {
        TRY(next_grant(e, &id, &found, err));
        if (!found)
            break;
        TRY(grant_do(e->tx, id, event, e->by, e->actor_id, e->code, e->text, event == GRANT_SUSPEND ? e->until_us : 0,
                     err));
        any = true;
    }
    return any ? OK : log_it(e, decision, err);
}

static enum status warn(struct step *step, struct error *err)
{
    return log_it(step->subject, "warn", err);
}

static enum status suspend(struct step *step, struct error *err)
{
    return to_grants(step->subject, GRANT_SUSPEND, "suspend", err);
}

static enum status revoke(struct step *step, struct error *err)
{
    return to_grants(step->subject, GRANT_REVOKE, "revoke", err);
}

static const char points_sql[] = "SELECT COALESCE(sum(points), 0) FROM enforcement_step "
                                 "WHERE enforcement_id = ? AND step = 'strike' AND done_us > ?";

enum status live_points(struct db_conn *conn, int64_t enforcement_id, int64_t *points, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, points_sql, &row, err));
    stmt_bind_int(row, 1, enforcement_id);
    stmt_bind_int(row, 2, now_us() - STRIKE_LIFE_US);
    *points = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static enum status strike(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    int64_t points;
    TRY(log_it(e, "strike", err));
    TRY(timer_set(e->tx, "use.strike", e->id, step->now_us + STRIKE_LIFE_US, err));
    TRY(live_points(e->tx, e->id, &points, err));
    if (points < BOARD_POINTS)
        return OK;
    return look_ask(e, "board.case",
                    arena_printf(e->arena, "A person has %lld points of strikes with the owner of %.*s.",
                                 (long long)points, STR_ARG(e->repo_name)),
                    err);
}

static const char block_sql[] = "INSERT INTO access_block (account_id, owner_id, from_us, until_us, code, text, by_id, "
                                "slow) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

static enum status put_block(struct enforcing *e, int64_t owner_id, bool slow, struct error *err)
{
    auto_stmt struct stmt *block = NULL;
    TRY(db_prepare(e->tx, block_sql, &block, err));
    stmt_bind_int(block, 1, e->account_id);
    stmt_bind_int(block, 2, owner_id);
    stmt_bind_int(block, 3, now_us());
    stmt_bind_int(block, 4, e->until_us);
    stmt_bind_str(block, 5, e->code);
    stmt_bind_str(block, 6, e->text);
    stmt_bind_int(block, 7, e->actor_id);
    stmt_bind_int(block, 8, slow);
    TRY(stmt_run(block, err));
    return log_it(e, slow ? "slow" : "block", err);
}

static enum status slow(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    return put_block(e, e->owner_id, true, err);
}

static enum status block(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    return put_block(e, e->owner_id, false, err);
}

static enum status block_everywhere(struct step *step, struct error *err)
{
    return put_block(step->subject, 0, false, err);
}

static const char lift_sql[] =
    "UPDATE access_block SET lifted_us = ? WHERE account_id = ? AND owner_id = ? AND lifted_us = 0";

static enum status lift_of(struct enforcing *e, int64_t owner_id, struct error *err)
{
    auto_stmt struct stmt *lift = NULL;
    TRY(db_prepare(e->tx, lift_sql, &lift, err));
    stmt_bind_int(lift, 1, now_us());
    stmt_bind_int(lift, 2, e->account_id);
    stmt_bind_int(lift, 3, owner_id);
    return stmt_run(lift, err);
}

static enum status lift(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    TRY(lift_of(e, e->owner_id, err));
    if (step->from == SITE_BLOCKED)
        TRY(lift_of(e, 0, err));
    return log_it(e, step->from == SLOWED ? "restore" : "unblock", err);
}

static enum status overturned(struct step *step, struct error *err)
{
    return step_undo(step->subject, 0, err);
}

/* The table. */

static const struct machine_state states[] = {
    [CLEAR] = {"clear", "nothing is held against you"},
    [NOTICED] = {"noticed", "you were told of broken terms"},
    [SLOWED] = {"slowed", "you were slowed"},
    [SUSPENDED] = {"suspended", "your access was suspended"},
    [REVOKED] = {"revoked", "your access was revoked"},
    [STRUCK] = {"struck", "you have strikes"},
    [BLOCKED] = {"blocked", "you are blocked from this owner's gates"},
    [SITE_BLOCKED] = {"site-blocked", "you are blocked from all gates of this hub"},
};

static const char *const events[] = {"notice", "slow",       "suspend", "revoke", "strike",
                                     "block",  "site-block", "lift",    "lapse",  "overturn"};

#define PEOPLE (BY_OWNER | BY_BOARD)
#define SAFETY if_safety_with_two
#define TWO "a matter of safety, with a second signature"
#define TALK "not for what the person said"
static const struct move moves[] = {
    {GIVE_NOTICE, CLEAR, NOTICED, PEOPLE, NULL, warn, "", "tells the person"},
    {GIVE_NOTICE, FROM_ANY_OPEN, TO_SAME, PEOPLE, NULL, warn, "", "tells the person"},
    {SLOW, CLEAR, SLOWED, PEOPLE, SAFETY, slow, TWO, "the floor rate at the owner's gates, 14 days at most"},
    {SLOW, NOTICED, SLOWED, PEOPLE, NULL, slow, "", "the floor rate at the owner's gates, 14 days at most"},
    {SLOW, FROM_ANY_OPEN, TO_SAME, PEOPLE, NULL, slow, "", "the floor rate at the owner's gates, 14 days at most"},
    {SUSPEND, CLEAR, SUSPENDED, PEOPLE, SAFETY, suspend, TWO, "suspends the person's grants, 14 days at most"},
    {SUSPEND, NOTICED, SUSPENDED, PEOPLE, SAFETY, suspend, TWO, "suspends the person's grants, 14 days at most"},
    {SUSPEND, SLOWED, SUSPENDED, PEOPLE, NULL, suspend, "", "suspends the person's grants, 14 days at most"},
    {SUSPEND, FROM_ANY_OPEN, TO_SAME, PEOPLE, NULL, suspend, "", "suspends the person's grants, 14 days at most"},
    {REVOKE, CLEAR, REVOKED, PEOPLE, SAFETY, revoke, TWO, "revokes the person's grants"},
    {REVOKE, NOTICED, REVOKED, PEOPLE, SAFETY, revoke, TWO, "revokes the person's grants"},
    {REVOKE, SLOWED, REVOKED, PEOPLE, SAFETY, revoke, TWO, "revokes the person's grants"},
    {REVOKE, SUSPENDED, REVOKED, PEOPLE, NULL, revoke, "", "revokes the person's grants"},
    {REVOKE, FROM_ANY_OPEN, TO_SAME, PEOPLE, NULL, revoke, "", "revokes the person's grants"},
    {STRIKE, CLEAR, STRUCK, PEOPLE, if_it_strikes_with_two, strike, TWO,
     "1 to 3 points for 90 days; 3 go to the board"},
    {STRIKE, NOTICED, STRUCK, PEOPLE, if_it_strikes_with_two, strike, TWO,
     "1 to 3 points for 90 days; 3 go to the board"},
    {STRIKE, SLOWED, STRUCK, PEOPLE, if_it_strikes_with_two, strike, TWO,
     "1 to 3 points for 90 days; 3 go to the board"},
    {STRIKE, SUSPENDED, STRUCK, PEOPLE, if_it_strikes_with_two, strike, TWO,
     "1 to 3 points for 90 days; 3 go to the board"},
    {STRIKE, REVOKED, STRUCK, PEOPLE, if_it_strikes, strike, TALK, "1 to 3 points for 90 days; 3 go to the board"},
    {STRIKE, FROM_ANY_OPEN, TO_SAME, PEOPLE, if_it_strikes, strike, TALK,
     "1 to 3 points for 90 days; 3 go to the board"},
    {BLOCK, STRUCK, BLOCKED, PEOPLE, NULL, block, "", "blocks the person from the owner's gates"},
    {BLOCK, BLOCKED, BLOCKED, PEOPLE, NULL, block, "", "blocks the person from the owner's gates"},
    {BLOCK, SITE_BLOCKED, SITE_BLOCKED, PEOPLE, NULL, block, "", "blocks the person from the owner's gates"},
    {BLOCK, FROM_ANY_OPEN, BLOCKED, PEOPLE, SAFETY, block, TWO, "blocks the person from the owner's gates"},
    {SITE_BLOCK, BLOCKED, SITE_BLOCKED, BY_BOARD, NULL, block_everywhere, "", "blocks the person from all gates"},
    {SITE_BLOCK, SITE_BLOCKED, SITE_BLOCKED, BY_BOARD, NULL, block_everywhere, "", "blocks the person from all gates"},
    {SITE_BLOCK, FROM_ANY_OPEN, SITE_BLOCKED, BY_BOARD, SAFETY, block_everywhere, TWO,
     "blocks the person from all gates"},
    {LIFT, SLOWED, NOTICED, PEOPLE, NULL, lift, "", "slowed no more"},
    {LIFT, BLOCKED, NOTICED, PEOPLE, NULL, lift, "", "the block is lifted"},
    {LIFT, SITE_BLOCKED, NOTICED, BY_BOARD, NULL, lift, "", "both blocks are lifted"},
    {OVERTURN, FROM_ANY_OPEN, TO_BACK, BY_RULE, NULL, overturned, "an appeal was upheld",
     "takes the step back; what still stands counts"},
    {LAPSE, STRUCK, NOTICED, BY_RULE, NULL, NULL, "no strike is younger than 90 days", ""},
    {LAPSE, FROM_ANY_OPEN, TO_SAME, BY_RULE, NULL, NULL, "", ""},
};

const struct machine enforcement_machine = {
    .name = "enforcement",
    .purpose =
        "What follows when a person breaks the terms of an owner: a ladder for each owner and person (access C15).",
    .states = states,
    .state_count = sizeof states / sizeof *states,
    .events = events,
    .event_count = sizeof events / sizeof *events,
    .moves = moves,
    .move_count = sizeof moves / sizeof *moves,
    .save = save,
};

/* Doing. */

static const char make_sql[] = "INSERT INTO enforcement (owner_id, account_id, state, version) VALUES (?, ?, 0, 1) "
                               "ON CONFLICT (owner_id, account_id) DO NOTHING";
static const char load_sql[] = "SELECT id, state, version FROM enforcement WHERE owner_id = ? AND account_id = ?";

enum status ladder_load(struct enforcing *e, struct error *err)
{
    auto_stmt struct stmt *make = NULL, *row = NULL;
    TRY(db_prepare(e->tx, make_sql, &make, err));
    stmt_bind_int(make, 1, e->owner_id);
    stmt_bind_int(make, 2, e->account_id);
    TRY(stmt_run(make, err));
    TRY(db_prepare(e->tx, load_sql, &row, err));
    stmt_bind_int(row, 1, e->owner_id);
    stmt_bind_int(row, 2, e->account_id);
    if (stmt_next(row)) {
        e->id = stmt_int(row, 0);
        e->state = (enum ladder_state)stmt_int(row, 1);
        e->version = stmt_int(row, 2);
    }
    return stmt_end(row, err);
}

static const char step_sql[] = "INSERT INTO enforcement_step (enforcement_id, repo_id, step, code, text, points, "
                               "until_us, by_id, second_id, at_us, "
                               "done_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char signed_sql[] = "UPDATE enforcement_step SET second_id = ?, done_us = ? WHERE id = ? AND done_us = 0";

static enum status put_step(struct enforcing *e, bool done, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    if (e->step_id) {
        TRY(db_prepare(e->tx, signed_sql, &put, err));
        stmt_bind_int(put, 1, e->second_id);
        stmt_bind_int(put, 2, now_us());
        stmt_bind_int(put, 3, e->step_id);
        TRY(stmt_run(put, err));
        return db_changes(e->tx) ? OK : fail(err, CONFLICT, NULL, "This step has been signed already.");
    }
    TRY(db_prepare(e->tx, step_sql, &put, err));
    stmt_bind_int(put, 1, e->id);
    stmt_bind_int(put, 2, e->repo_id);
    stmt_bind_str(put, 3, str_of(events[e->event]));
    stmt_bind_str(put, 4, e->code);
    stmt_bind_str(put, 5, e->text);
    stmt_bind_int(put, 6, e->points);
    stmt_bind_int(put, 7, e->until_us);
    stmt_bind_int(put, 8, e->actor_id);
    stmt_bind_int(put, 9, e->second_id);
    stmt_bind_int(put, 10, now_us());
    stmt_bind_int(put, 11, done ? now_us() : 0);
    TRY(stmt_run(put, err));
    e->step_id = db_last_id(e->tx);
    return OK;
}

static enum status tell_person(struct enforcing *e, struct error *err)
{
    struct str text = arena_printf(
        e->arena,
        "The owner of %.*s: %s (%.*s): %.*s. If you think that this is wrong, say why within 30 "
        "days: POST /api/enforcement/%lld/appeal {\"text\"}.",
        STR_ARG(e->repo_name), states[e->state].shown, STR_ARG(e->code), STR_ARG(e->text), (long long)e->step_id);
    const struct notice notice = {e->account_id, e->repo_id, "enforcement", text, now_us() + 30 * DAY_US};
    return notice_add(e->tx, &notice, err);
}

/* Steps beyond the next one. */
static bool skips(const struct enforcing *e)
{
    return e->event <= SITE_BLOCK && (int)e->event > (int)e->state;
}

static enum status ask_second(struct enforcing *e, struct error *err)
{
    TRY(put_step(e, false, err));
    struct str text = arena_printf(
        e->arena,
        "A step for safety (%s, %.*s) about a person behind %.*s waits for a second signature: POST "
        "/api/{type}/%.*s/enforcement/%lld/sign. The board looks at it within 7 days then.",
        events[e->event], STR_ARG(e->code), STR_ARG(e->repo_name), STR_ARG(e->repo_name), (long long)e->step_id);
    TRY(notice_owners(e->tx, e->owner_id, e->repo_id, "enforcement.second", text, err));
    return notice_board(e->tx, e->repo_id, "enforcement.second", text, err);
}

enum status ladder_do(struct enforcing *e, bool *waits, struct error *err)
{
    struct step step = {.machine = &enforcement_machine,
                        .subject = e,
                        .from = e->state,
                        .event = e->event,
                        .by = e->by,
                        .actor_id = e->actor_id,
                        .now_us = now_us(),
                        .back = e->event == OVERTURN ? (int)e->left : -1,
                        .code = e->code,
                        .text = e->text};
    const struct ground *ground = ground_named(e->code);
    if (!ground && e->by != BY_RULE)
        return fail(err, INVALID, NULL, "There is no such ground");
    *waits = ground && ground->is_safety && skips(e) && !e->second_id &&
             machine_offers(&enforcement_machine, e->state, e->event, e->by);
    if (*waits)
        return ask_second(e, err);
    if (e->by != BY_RULE)
        TRY(put_step(e, true, err)); /* first, since strikes are counted from it */
    TRY(machine_do(&step, err));
    if (e->by == BY_RULE)
        return OK;
    if (ground->is_safety && e->second_id)
        TRY(look_ask(e, "board.look", STR("A step for safety was taken with two signatures."), err));
    return tell_person(e, err);
}

static const char of_id_sql[] = "SELECT owner_id, account_id FROM enforcement WHERE id = ?";

/* The timer "use.strike": the last strike is as old as it gets, or an older one was. Points are counted by the clock anyway. */
enum status strike_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    struct enforcing e = {.tx = tx, .arena = &arena, .event = LAPSE, .by = BY_RULE};
    int64_t points;
    bool waits;
    (void)due_us;
    TRY(db_prepare(tx, of_id_sql, &row, err));
    stmt_bind_int(row, 1, id);
    if (!stmt_next(row))
        return stmt_end(row, err);
    e.owner_id = stmt_int(row, 0);
    e.account_id = stmt_int(row, 1);
    TRY(stmt_end(row, err));
    TRY(ladder_load(&e, err));
    TRY(live_points(tx, id, &points, err));
    return points ? OK : ladder_do(&e, &waits, err);
}

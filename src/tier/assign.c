/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/assign.h"
#include "access/log.h"
#include "base/time.h"
#include "notice/notice.h"

/* Rows. */

#define COLUMNS "id, account_id, tier_id, state, version, source, until_us, back, moved_us, suspended_by, appealed_us"
static const char get_sql[] = "SELECT " COLUMNS " FROM tier_assign WHERE id = ?";
static const char live_sql[] = "SELECT " COLUMNS " FROM tier_assign WHERE account_id = ? AND state IN (3, 4, 5)";
static const char moved_sql[] = "SELECT max(moved_us) FROM tier_assign WHERE account_id = ?";

static enum status read_row(struct db_conn *conn, struct arena *arena, const char *sql, int64_t id, struct assign *out,
                            struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, id);
    bool found = stmt_next(row);
    if (found)
        *out = (struct assign){.id = stmt_int(row, 0),
                               .account_id = stmt_int(row, 1),
                               .tier_id = stmt_int(row, 2),
                               .state = (enum assign_state)stmt_int(row, 3),
                               .version = stmt_int(row, 4),
                               .source = arena_copy(arena, stmt_str(row, 5)),
                               .until_us = stmt_int(row, 6),
                               .back = (int)stmt_int(row, 7),
                               .moved_us = stmt_int(row, 8),
                               .suspended_by = stmt_int(row, 9),
                               .appealed_us = stmt_int(row, 10)};
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such tier of an account.");
}

enum status assign_get(struct db_conn *conn, struct arena *arena, int64_t id, struct assign *out, struct error *err)
{
    return read_row(conn, arena, get_sql, id, out, err);
}

enum status assign_find(struct db_conn *conn, struct arena *arena, int64_t account_id, struct assign *out,
                        struct error *err)
{
    return read_row(conn, arena, live_sql, account_id, out, err);
}

enum status assign_moved(struct db_conn *conn, int64_t account_id, int64_t *us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, moved_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    *us = stmt_next(row) && !stmt_is_null(row, 0) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

static const char new_sql[] = "INSERT INTO tier_assign (account_id, tier_id, state, version, source, from_us) "
                              "VALUES (?, ?, 0, 1, ?, ?)";

enum status assign_new(struct db_conn *tx, int64_t account_id, int64_t tier_id, struct str source, struct assign *out,
                       struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    TRY(db_prepare(tx, new_sql, &insert, err));
    stmt_bind_int(insert, 1, account_id);
    stmt_bind_int(insert, 2, tier_id);
    stmt_bind_str(insert, 3, source);
    stmt_bind_int(insert, 4, now_us());
    TRY(stmt_run(insert, err));
    *out = (struct assign){
        .id = db_last_id(tx), .account_id = account_id, .tier_id = tier_id, .version = 1, .source = source};
    return OK;
}

/* The machine. */

struct walk {
    struct db_conn *tx;
    struct assign *assign;
    const struct assign_step *what;
};

static const char save_sql[] = "UPDATE tier_assign SET state = ?, version = version + 1, from_us = ?, until_us = ?,"
                               " back = ?, moved_us = ?, code = coalesce(?, code), suspended_by = ?, appealed_us = ?,"
                               " appeal = coalesce(?, appeal) WHERE id = ? AND version = ?";

/* Coming to a tier and losing it by the clock are moves. What applications and grace do changes no limits, and a tier that another
 * takes the place of goes with that one's move. */
static bool is_move(const struct step *step)
{
    return (step->to == ASSIGN_DOWNGRADED && step->by == BY_RULE) ||
           (step->to == ASSIGN_ACTIVE && step->from < ASSIGN_ACTIVE);
}

static enum status save(struct step *step, struct error *err)
{
    struct walk *walk = step->subject;
    struct assign *assign = walk->assign;
    auto_stmt struct stmt *update = NULL;
    assign->until_us = step->to == ASSIGN_GRACE ? step->now_us + ASSIGN_GRACE_US : 0;
    assign->moved_us = is_move(step) ? step->now_us : assign->moved_us;
    bool moves = step->from != step->to;
    struct str appeal = {0};
    if (moves) {
        assign->back = step->to == ASSIGN_SUSPENDED ? step->from : 0;
        assign->suspended_by = step->to == ASSIGN_SUSPENDED ? step->actor_id : 0;
        assign->appealed_us = 0;
        appeal = STR("");
    } else if (step->event == ASSIGN_APPEAL) {
        assign->appealed_us = step->now_us;
        appeal = step->text;
    }
    TRY(db_prepare(walk->tx, save_sql, &update, err));
    stmt_bind_int(update, 1, step->to);
    stmt_bind_int(update, 2, step->now_us);
    stmt_bind_int(update, 3, assign->until_us);
    stmt_bind_int(update, 4, assign->back);
    stmt_bind_int(update, 5, assign->moved_us);
    stmt_bind_str(update, 6, moves && !str_given(step->code) ? STR("") : step->code);
    stmt_bind_int(update, 7, assign->suspended_by);
    stmt_bind_int(update, 8, assign->appealed_us);
    stmt_bind_str(update, 9, appeal);
    stmt_bind_int(update, 10, assign->id);
    stmt_bind_int(update, 11, assign->version);
    enum status status = stmt_run(update, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, "AlreadyThere",
                    "There is one already: this account has applied for the tier, or has "
                    "another one at the same time. Look at it again.");
    TRY(status);
    if (db_changes(walk->tx) != 1)
        return fail(err, STALE, NULL, "Somebody else has changed it meanwhile. Look at it again.");
    assign->state = (enum assign_state)step->to;
    assign->version++;
    return OK;
}

static enum answer suspended_now(struct step *step, struct error *err)
{
    struct walk *walk = step->subject;
    auto_arena struct arena arena = {0};
    struct assign now;
    enum status found = assign_find(walk->tx, &arena, walk->assign->account_id, &now, NULL);
    if (found == OK && now.state == ASSIGN_SUSPENDED && now.id != walk->assign->id) {
        fail(err, CONFLICT, "Suspended",
             "The account's tier is suspended; nothing else can be had until that is lifted.");
        return REFUSED;
    }
    return YES;
}

/* Hysteresis: nobody goes up and down with the weather. What a person decides does not wait. */
static enum answer calm(struct step *step, struct error *err)
{
    struct walk *walk = step->subject;
    int64_t moved;
    if (suspended_now(step, err) == REFUSED)
        return REFUSED;
    if (assign_moved(walk->tx, walk->assign->account_id, &moved, err) != OK)
        return REFUSED;
    if (!moved || step->now_us >= moved + ASSIGN_CALM_US)
        return YES;
    fail(err, CONFLICT, "TooSoon", "Rules move an account from one tier to another at most once in 30 days.");
    return REFUSED;
}

static enum answer grace_is_over(struct step *step, struct error *err)
{
    const struct walk *walk = step->subject;
    if (step->now_us >= walk->assign->until_us)
        return YES;
    fail(err, CONFLICT, "TooSoon", "The days of grace are not over yet.");
    return REFUSED;
}

static enum answer not_appealed(struct step *step, struct error *err)
{
    const struct walk *walk = step->subject;
    if (!walk->assign->appealed_us)
        return YES;
    fail(err, CONFLICT, "Appealed", "This suspension has been appealed already.");
    return REFUSED;
}

static const char others_sql[] =
    "SELECT 1 FROM account WHERE is_admin <> 0 AND erased_us IS NULL AND id NOT IN (?, ?) LIMIT 1";

/* Nobody decides on the own tier; and on an appeal not who has ordered the suspension, unless there is nobody else. */
static enum answer somebody_else(struct step *step, struct error *err)
{
    const struct walk *walk = step->subject;
    auto_stmt struct stmt *row = NULL;
    enum role role;
    bool others = false;
    if (account_role_in(walk->tx, step->actor_id, walk->assign->account_id, &role, err) != OK ||
        db_prepare(walk->tx, others_sql, &row, err) != OK)
        return REFUSED;
    stmt_bind_int(row, 1, step->actor_id);
    stmt_bind_int(row, 2, walk->assign->account_id);
    others = stmt_next(row);
    if (stmt_end(row, err) != OK)
        return REFUSED;
    bool ordered = walk->assign->appealed_us && walk->assign->suspended_by == step->actor_id && others;
    if (role < ROLE_ADMIN && !ordered)
        return YES;
    fail(err, FORBIDDEN, NULL, "Somebody else has to decide that: %s.",
         ordered ? "you have ordered the suspension" : "it is about you");
    return REFUSED;
}

static enum answer appealed(struct step *step, struct error *err)
{
    const struct walk *walk = step->subject;
    if (walk->assign->appealed_us)
        return somebody_else(step, err);
    fail(err, CONFLICT, NULL, "There is no appeal against this suspension.");
    return REFUSED;
}

static enum status remind(struct step *step, struct error *err)
{
    const struct walk *walk = step->subject;
    return timer_set(walk->tx, "tier.grace", walk->assign->id, walk->assign->until_us - ASSIGN_NOTICE_US, err);
}

static const struct machine_state states[ASSIGN_STATES] = {
    [ASSIGN_NONE] = {"none", "not asked for", false, false},
    [ASSIGN_APPLIED] = {"applied", "applied for", false, true},
    [ASSIGN_VERIFYING] = {"verifying", "being looked at", false, true},
    [ASSIGN_ACTIVE] = {"active", "yours", false, false},
    [ASSIGN_GRACE] = {"grace", "yours for some more days", false, false},
    [ASSIGN_SUSPENDED] = {"suspended", "suspended", false, false},
    [ASSIGN_DOWNGRADED] = {"downgraded", "not yours any more", true, false},
    [ASSIGN_REFUSED] = {"refused", "refused", true, false},
    [ASSIGN_WITHDRAWN] = {"withdrawn", "withdrawn", true, false},
};
static const char *const events[ASSIGN_EVENTS] = {"apply",     "verify",  "activate", "refuse", "withdraw", "warn",
                                                  "downgrade", "suspend", "lift",     "appeal", "uphold"};
static const struct move moves[] = {
    {ASSIGN_APPLY, ASSIGN_NONE, ASSIGN_APPLIED, BY_HOLDER, NULL, NULL, "", ""},
    {ASSIGN_VERIFY, ASSIGN_APPLIED, ASSIGN_VERIFYING, BY_BOARD, NULL, NULL, "", ""},
    {ASSIGN_ACTIVATE, ASSIGN_NONE, ASSIGN_ACTIVE, BY_RULE, calm, NULL,
     "the rules are met, and nothing moved for 30 days", ""},
    {ASSIGN_ACTIVATE, ASSIGN_NONE, ASSIGN_ACTIVE, BY_BOARD, suspended_now, NULL, "", ""},
    {ASSIGN_ACTIVATE, ASSIGN_APPLIED, ASSIGN_ACTIVE, BY_RULE, calm, NULL,
     "the rules are met, and nothing moved for 30 days", ""},
    {ASSIGN_ACTIVATE, ASSIGN_APPLIED, ASSIGN_ACTIVE, BY_BOARD, suspended_now, NULL, "", ""},
    {ASSIGN_ACTIVATE, ASSIGN_VERIFYING, ASSIGN_ACTIVE, BY_BOARD, suspended_now, NULL, "", ""},
    {ASSIGN_ACTIVATE, ASSIGN_GRACE, ASSIGN_ACTIVE, BY_BOARD | BY_RULE, NULL, NULL, "the rules are met again", ""},
    {ASSIGN_REFUSE, ASSIGN_APPLIED, ASSIGN_REFUSED, BY_BOARD | BY_RULE, NULL, NULL, "", ""},
    {ASSIGN_REFUSE, ASSIGN_VERIFYING, ASSIGN_REFUSED, BY_BOARD, NULL, NULL, "", ""},
    {ASSIGN_WITHDRAW, ASSIGN_APPLIED, ASSIGN_WITHDRAWN, BY_HOLDER, NULL, NULL, "", ""},
    {ASSIGN_WITHDRAW, ASSIGN_VERIFYING, ASSIGN_WITHDRAWN, BY_HOLDER, NULL, NULL, "", ""},
    {ASSIGN_WARN, ASSIGN_ACTIVE, ASSIGN_GRACE, BY_BOARD | BY_RULE, NULL, remind, "",
     "30 days of grace; a notice now and 14 days before their end"},
    {ASSIGN_DOWNGRADE, ASSIGN_GRACE, ASSIGN_DOWNGRADED, BY_RULE, grace_is_over, NULL, "after 30 days", ""},
    {ASSIGN_DOWNGRADE, ASSIGN_ACTIVE, ASSIGN_DOWNGRADED, BY_BOARD | BY_HOLDER, NULL, NULL,
     "another tier takes its place, or the holder gives it up", ""},
    {ASSIGN_DOWNGRADE, ASSIGN_GRACE, ASSIGN_DOWNGRADED, BY_BOARD | BY_HOLDER, NULL, NULL,
     "another tier takes its place, or the holder gives it up", ""},
    {ASSIGN_SUSPEND, ASSIGN_ACTIVE, ASSIGN_SUSPENDED, BY_BOARD | BY_RULE, NULL, NULL, "", "the tier restricted holds"},
    {ASSIGN_SUSPEND, ASSIGN_GRACE, ASSIGN_SUSPENDED, BY_BOARD | BY_RULE, NULL, NULL, "", "the tier restricted holds"},
    {ASSIGN_LIFT, ASSIGN_SUSPENDED, ASSIGN_ACTIVE, BY_BOARD, somebody_else, NULL,
     "not about oneself; after an appeal, not who has suspended it", ""},
    {ASSIGN_APPEAL, ASSIGN_SUSPENDED, TO_SAME, BY_HOLDER, not_appealed, NULL, "once", "the board is told"},
    {ASSIGN_UPHOLD, ASSIGN_SUSPENDED, TO_SAME, BY_BOARD, appealed, NULL,
     "after an appeal; not about oneself, and not who has suspended it", "the holder is told"},
};
const struct machine assign_machine = {"tier assignment",
                                       "Which tier an account has, and how it comes to it and loses it.",
                                       states,
                                       ASSIGN_STATES,
                                       events,
                                       ASSIGN_EVENTS,
                                       moves,
                                       sizeof moves / sizeof *moves,
                                       save};

/* What is written down of a step. */

/* An appeal changes nobody's limits; what comes of it is a decision like others. */
static enum status append_appeal(struct db_conn *tx, const struct assign *assign, const struct assign_step *what,
                                 struct error *err)
{
    const struct step_made made = {.actor_id = what->actor_id,
                                   .id = assign->id,
                                   .machine = assign_machine.name,
                                   .event = events[what->event],
                                   .from = states[assign->state].name,
                                   .to = states[assign->state].name};
    struct decision_made upheld = {.account_id = assign->account_id,
                                   .actor_id = what->actor_id,
                                   .decision = "appeal-dismissed",
                                   .basis = "appeal"};
    return what->event == ASSIGN_APPEAL ? access_log_step(tx, &made, err) : access_log_decision(tx, &upheld, err);
}

static enum status append_event(struct db_conn *tx, const struct assign *assign, const struct assign_step *what,
                                const struct tier_in_force *tier, struct error *err)
{
    static const char *const ops[ASSIGN_EVENTS] = {"apply", "verify",    "activate", "refuse", "withdraw",
                                                   "grace", "downgrade", "suspend",  "lift"};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    char person[24];
    snprintf(person, sizeof person, "%lld", (long long)assign->account_id);
    jw_object(&w);
    jw_key_str(&w, "op", str_of(ops[what->event]));
    jw_key_str(&w, "basis", str_of(what->basis));
    jw_key_hex(&w, "digest", tier->sha256, SHA256_SIZE);
    jw_key_int(&w, "assign", assign->id);
    jw_key_int(&w, "owner", assign->account_id);
    jw_key(&w, "secrets");
    jw_object(&w);
    jw_key_str(&w, "person", str_of(person));
    jw_end(&w);
    jw_end(&w);
    const struct event event = {&tier_events[EVENT_TIER_STEP], 0, what->actor_id, buf_view(&body)};
    return event_append(tx, &event, err);
}

static enum status tell(struct db_conn *tx, struct arena *arena, const struct assign *assign,
                        const struct assign_step *what, struct str slug, struct error *err)
{
    static const char *const sentences[ASSIGN_EVENTS] = {
        [ASSIGN_ACTIVATE] = "You have the tier %.*s now.",
        [ASSIGN_REFUSE] = "You do not get the tier %.*s. You may apply again when the reason is gone.",
        [ASSIGN_WARN] =
            "What the tier %.*s asks for is not met any more. You keep it until the date given; GET /api/usage "
            "says what is not met and what to do. Nothing of yours is deleted at the end: you can read all "
            "of it, but write no more than the lower tier allows.",
        [ASSIGN_DOWNGRADE] = "You do not have the tier %.*s any more. Nothing of yours was deleted.",
        [ASSIGN_SUSPEND] = "Your tier %.*s is suspended. You may appeal: POST /api/tiers/appeal {\"text\"}.",
        [ASSIGN_UPHOLD] = "Your appeal was heard. The suspension of your tier %.*s stands.",
        [ASSIGN_LIFT] = "Your tier %.*s is yours again.",
        [ASSIGN_VERIFY] = "Your application for the tier %.*s is being looked at.",
    };
    if (!sentences[what->event])
        return OK;
    struct str text = arena_printf(arena, sentences[what->event], STR_ARG(slug));
    if (what->text.len)
        text = arena_printf(arena, "%.*s Reason: %.*s", STR_ARG(text), STR_ARG(what->text));
    char kind[32];
    snprintf(kind, sizeof kind, "tier.%s", events[what->event]);
    struct notice notice = {.account_id = assign->account_id, .kind = kind, .text = text, .due_us = assign->until_us};
    return notice_add(tx, &notice, err);
}

static enum status step_once(struct db_conn *tx, struct assign *assign, const struct assign_step *what,
                             struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tier_in_force tier;
    struct walk walk = {tx, assign, what};
    struct step step = {.machine = &assign_machine,
                        .subject = &walk,
                        .from = assign->state,
                        .event = what->event,
                        .back = assign->back,
                        .by = what->by,
                        .actor_id = what->actor_id,
                        .now_us = now_us(),
                        .code = what->code,
                        .text = what->text};
    TRY(machine_do(&step, err));
    struct str slug = tier_slug(tx, &arena, assign->tier_id, err);
    TRY(tier_in_force(tx, &arena, slug, step.now_us, &tier, err));
    if (what->event < ASSIGN_APPEAL)
        TRY(append_event(tx, assign, what, &tier, err));
    else
        TRY(append_appeal(tx, assign, what, err));
    return what->quiet ? OK : tell(tx, &arena, assign, what, slug, err);
}

/* One tier at a time: the one that the account has goes when another comes, in the same write. */
enum status assign_do(struct db_conn *tx, struct assign *assign, const struct assign_step *what, struct error *err)
{
    const struct assign_step make_room = {
        .event = ASSIGN_DOWNGRADE, .by = BY_BOARD, .basis = what->basis, .actor_id = what->actor_id, .quiet = true};
    auto_arena struct arena arena = {0};
    struct assign now;
    if (what->event != ASSIGN_ACTIVATE || assign->state >= ASSIGN_ACTIVE)
        return step_once(tx, assign, what, err);
    enum status found = assign_find(tx, &arena, assign->account_id, &now, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    if (found == OK && now.state != ASSIGN_SUSPENDED)
        TRY(step_once(tx, &now, &make_room, err));
    return step_once(tx, assign, what, err);
}

/* Clocks. */

static enum status remind_again(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct assign assign;
    (void)due_us;
    enum status found = assign_get(tx, &arena, id, &assign, err);
    if (found == NOT_FOUND || (found == OK && assign.state != ASSIGN_GRACE))
        return OK;
    TRY(found);
    const struct assign_step again = {.event = ASSIGN_WARN};
    TRY(tell(tx, &arena, &assign, &again, tier_slug(tx, &arena, assign.tier_id, err), err));
    return timer_set(tx, "tier.downgrade", id, assign.until_us, err);
}

static enum status grace_ends(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err)
{
    static const struct assign_step over = {.event = ASSIGN_DOWNGRADE, .by = BY_RULE, .basis = "clock"};
    auto_arena struct arena arena = {0};
    struct assign assign;
    enum status found = assign_get(tx, &arena, id, &assign, err);
    if (found == NOT_FOUND || (found == OK && (assign.state != ASSIGN_GRACE || due_us < assign.until_us)))
        return OK;
    TRY(found);
    return assign_do(tx, &assign, &over, err);
}

const struct timer_kind tier_timers[] = {{"tier.grace", remind_again}, {"tier.downgrade", grace_ends}, {0}};

/* The operator gives. */

struct gift {
    struct str account, slug;
    int64_t by_id;
};

static enum status give_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct gift *gift = context;
    const struct assign_step step = {
        .event = ASSIGN_ACTIVATE, .by = BY_BOARD, .actor_id = gift->by_id, .basis = "board"};
    auto_arena struct arena arena = {0};
    struct account account;
    struct assign assign;
    int64_t tier_id;
    TRY(account_find(tx, &arena, gift->account, &account, err));
    TRY(tier_make_id(tx, gift->slug, &tier_id, err));
    TRY(assign_new(tx, account.id, tier_id, STR("board"), &assign, err));
    return assign_do(tx, &assign, &step, err);
}

enum status tier_give(struct db *db, struct str account, struct str slug, int64_t by_id, struct error *err)
{
    struct gift gift = {account, slug, by_id};
    return db_write(db, give_in_write, &gift, err);
}

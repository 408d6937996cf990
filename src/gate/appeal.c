/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machine of an appeal: its table is in the middle, between what its rows ask and do and how it is stored. */
#include "gate/appeal.h"
#include "access/log.h"
#include "base/text.h"
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "grant/grant.h"
#include "timer/timer.h"

#define HELD "appeal" /* the code of a suspension that stands for a revocation under appeal */

static struct appeal_step *subject(struct step *step)
{
    return step->subject;
}

/* Guards. */

static enum answer in_time(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    (void)err;
    return step->now_us <= at->against_us + at->policy.appeal_us ? YES : NO;
}

static enum answer outcome_is(struct step *step, enum appeal_state outcome)
{
    return subject(step)->appeal->outcome == outcome ? YES : NO;
}

static enum answer upholds(struct step *step, struct error *err)
{
    (void)err;
    return outcome_is(step, APPEAL_UPHELD);
}

static enum answer varies(struct step *step, struct error *err)
{
    (void)err;
    return outcome_is(step, APPEAL_VARIED);
}

static enum answer dismisses(struct step *step, struct error *err)
{
    (void)err;
    return outcome_is(step, APPEAL_DISMISSED);
}

static enum answer remands(struct step *step, struct error *err)
{
    (void)err;
    return outcome_is(step, APPEAL_REMANDED);
}

/* Effects. */

static enum status tell_appellant(const struct appeal_step *at, const char *kind, struct str text, struct error *err)
{
    return gate_tell(at->tx, at->appeal->appellant_id, at->appeal->gate_id, kind, text, 0, err);
}

static enum status too_late(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    return tell_appellant(at, "appeal.out_of_time",
                          arena_printf(at->arena,
                                       "Your appeal came after the %lld days in which this gate hears appeals.",
                                       (long long)(at->policy.appeal_us / DAY_US)),
                          err);
}

static const char held_sql[] = "UPDATE appeal SET held = ? WHERE id = ?";

static enum status set_held(const struct appeal_step *at, bool held, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    at->appeal->held = held;
    TRY(db_prepare(at->tx, held_sql, &set, err));
    stmt_bind_int(set, 1, held);
    stmt_bind_int(set, 2, at->appeal->id);
    return stmt_run(set, err);
}

static bool is_safety(struct str code)
{
    return str_eq(code, STR("safety")) || str_starts(code, STR("safety-"));
}

/* Not when another grant has taken its place meanwhile, or its time is over. */
static enum status hold_revocation(const struct appeal_step *at, struct error *err)
{
    const struct appeal *appeal = at->appeal;
    struct grant grant, other;
    if (appeal->subject != APPEAL_OF_GRANT || is_safety(appeal->old_code))
        return OK;
    TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
    bool over = grant.expires_us && grant.expires_us <= now_us();
    if (grant.state != GRANT_REVOKED || over)
        return OK;
    enum status status = grant_find(at->tx, at->arena, grant.gate_id, grant.account_id, &other, err);
    if (status != NOT_FOUND)
        return status;
    TRY(grant_do(at->tx, grant.id, GRANT_APPEAL, BY_RULE, 0, STR(HELD),
                 STR("Its revocation is under appeal: until that is decided it is suspended."), 0, err));
    return set_held(at, true, err);
}

static enum status admitted(struct step *step, struct error *err)
{
    struct appeal_step *at = subject(step);
    TRY(hold_revocation(at, err));
    return appeal_do(at->tx, at->arena, at->appeal, APPEAL_SEAT, BY_RULE, 0, (struct str){0}, err);
}

static enum status seated(struct step *step, struct error *err)
{
    struct appeal_step *at = subject(step);
    TRY(panel_draw(at, err));
    TRY(timer_set(at->tx, "appeal.clock", at->appeal->id, clock_due(at->appeal->opened_us, APPEAL_LIMIT_US / 2), err));
    return tell_appellant(at, "appeal.admitted",
                          arena_printf(at->arena, "Your appeal is being looked at. It is to be decided by %.*s.",
                                       STR_ARG(time_iso(at->arena, appeal_due_us(at->appeal)))),
                          err);
}

static enum status seat_again(struct step *step, struct error *err)
{
    return panel_draw(subject(step), err);
}

static enum status to_board(struct step *step, struct error *err)
{
    return panel_to_board(subject(step), err);
}

static const char overturn_sql[] = "UPDATE review_verdict SET overturned = 1 WHERE request_id = ? AND cycle = ? AND "
                                   "slot <= 3 AND outcome = 2";

/* An appeal that succeeds counts against who refused: in the figures, and in the rate of second looks. */
static enum status overturn(const struct appeal_step *at, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(at->tx, overturn_sql, &set, err));
    stmt_bind_int(set, 1, at->appeal->subject_id);
    stmt_bind_int(set, 2, at->appeal->cycle);
    return stmt_run(set, err);
}

static enum status let_in(const struct appeal_step *at, int64_t days, struct str text, struct error *err)
{
    struct access_request request;
    TRY(request_get(at->tx, at->arena, at->appeal->subject_id, &request, err));
    TRY(overturn(at, err));
    request.grant_us = days * DAY_US;
    return request_do(at->tx, at->arena, &request, REQUEST_UPHOLD, BY_RULE, 0, STR("appeal"), text, err);
}

static enum status end_of_appeal(const struct appeal_step *at, const char *result, struct str text, struct error *err)
{
    TRY(timer_clear(at->tx, "appeal.clock", at->appeal->id, err));
    return tell_appellant(
        at, "appeal.decided",
        arena_printf(at->arena, "Your appeal was decided: %s. %.*s", result, STR_ARG(str_slice(text, 0, 4000))), err);
}

/* The cause that was appealed against goes; others that stand, stay. */
static enum status restore(const struct appeal_step *at, struct error *err)
{
    const struct appeal *appeal = at->appeal;
    struct grant grant;
    TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
    if (grant.state != GRANT_SUSPENDED)
        return OK;
    return appeal->held ? grant_do(at->tx, grant.id, GRANT_RESUME, BY_RULE, 0, STR(HELD), STR(""), 0, err)
                        : grant_do(at->tx, grant.id, GRANT_RESUME, BY_BOARD, 0, appeal->old_code, STR(""), 0, err);
}

/* What a step of enforcement did is known to the part above that did it. */
static enum status overturn_step(const struct appeal_step *at, int64_t days, struct error *err)
{
    for (const struct module *const *module = modules; *module; module++)
        if ((*module)->overturned)
            TRY((*module)->overturned(at->tx, at->appeal->subject_id, days, err));
    return OK;
}

static enum status upheld(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    if (at->appeal->subject == APPEAL_OF_REQUEST)
        TRY(let_in(at, 0, step->text, err));
    else if (at->appeal->subject == APPEAL_OF_STEP)
        TRY(overturn_step(at, 0, err));
    else
        TRY(restore(at, err));
    return end_of_appeal(at, "you were right", step->text, err);
}

static enum status varied(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    const struct appeal *appeal = at->appeal;
    if (appeal->subject == APPEAL_OF_REQUEST) {
        TRY(let_in(at, appeal->days, step->text, err));
    } else if (appeal->subject == APPEAL_OF_STEP) {
        TRY(overturn_step(at, appeal->days, err));
    } else {
        struct grant grant;
        TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
        if (grant.state == GRANT_SUSPENDED)
            TRY(grant_do(at->tx, grant.id, GRANT_SUSPEND, BY_BOARD, 0, STR("appeal-varied"),
                         STR("An appeal has made it a suspension for some days."), step->now_us + appeal->days * DAY_US,
                         err));
        TRY(restore(at, err));
    }
    return end_of_appeal(at, "you were right in part", step->text, err);
}

static const char same_sql[] = "UPDATE appeal SET cycle = ? WHERE subject = ? AND subject_id = ? AND cycle = ?";

/* A revocation that was held is one again: the same decision, which cannot be appealed anew, so that the appeals about
 * it go along with the grant's version. */
static enum status revoke_again(const struct appeal_step *at, struct error *err)
{
    const struct appeal *appeal = at->appeal;
    auto_stmt struct stmt *same = NULL;
    struct grant grant;
    if (!appeal->held)
        return OK;
    TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
    if (grant.state != GRANT_SUSPENDED)
        return OK;
    TRY(grant_do(at->tx, grant.id, GRANT_REVOKE, BY_RULE, 0, appeal->old_code,
                 appeal->old_text.len ? appeal->old_text : STR("An appeal against it was dismissed."), 0, err));
    TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
    TRY(db_prepare(at->tx, same_sql, &same, err));
    stmt_bind_int(same, 1, grant.version);
    stmt_bind_int(same, 2, appeal->subject);
    stmt_bind_int(same, 3, appeal->subject_id);
    stmt_bind_int(same, 4, appeal->cycle);
    return stmt_run(same, err);
}

static enum status dismissed(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    TRY(revoke_again(at, err));
    return end_of_appeal(at, "the decision stands", step->text, err);
}

/* The case that a grant came from. None when it came from none, or there is another one by now: then it is for its owner
 * to decide again. */
static enum status case_of_grant(const struct appeal_step *at, struct access_request *out, bool *found,
                                 struct error *err)
{
    struct access_request now;
    struct grant grant;
    TRY(grant_get(at->tx, at->arena, at->appeal->subject_id, &grant, err));
    *found = grant.request_id != 0;
    if (!*found)
        return OK;
    TRY(request_get(at->tx, at->arena, grant.request_id, out, err));
    TRY(request_find(at->tx, at->arena, out->gate_id, out->applicant_id, out->purpose, &now, err));
    *found = out->state == REQUEST_APPROVED && now.id == out->id;
    return OK;
}

static enum status remanded(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    const struct appeal *appeal = at->appeal;
    struct access_request request;
    bool found = appeal->subject == APPEAL_OF_REQUEST;
    if (found)
        TRY(request_get(at->tx, at->arena, appeal->subject_id, &request, err));
    else if (appeal->subject == APPEAL_OF_GRANT)
        TRY(case_of_grant(at, &request, &found, err));
    if (found) {
        enum mover by = appeal->subject == APPEAL_OF_REQUEST ? BY_RULE : BY_BOARD;
        TRY(request_do(at->tx, at->arena, &request, REQUEST_REOPEN, by, 0, STR("appeal"), STR(""), err));
        TRY(request_write(at->tx, &request, "remand", 0, step->text, err));
    }
    if (appeal->subject == APPEAL_OF_GRANT && found)
        TRY(restore(at, err)); /* to the suspension under which the case is looked at again */
    else if (!found)
        TRY(gate_tell_pool(
            at->tx, appeal->gate_id, "owner", "appeal.remanded",
            arena_printf(at->arena,
                         "An appeal has sent back the decision about %s %lld: decide it again, and answer "
                         "these questions when you do. %.*s",
                         appeal->subject == APPEAL_OF_STEP ? "step" : "grant", (long long)appeal->subject_id,
                         STR_ARG(str_slice(step->text, 0, 4000))),
            0, err));
    return end_of_appeal(at, "it is to be decided again", step->text, err);
}

static enum status withdrawn(struct step *step, struct error *err)
{
    const struct appeal_step *at = subject(step);
    TRY(revoke_again(at, err));
    return timer_clear(at->tx, "appeal.clock", at->appeal->id, err);
}

/* The table. */

static enum status save(struct step *step, struct error *err);

static const struct machine_state states[APPEAL_STATES] = {
    [APPEAL_OPEN] = {"open", "received", false, true},
    [APPEAL_ADMISSIBLE] = {"admissible", "received", false, true},
    [APPEAL_PANEL] = {"panel", "under review", false, true},
    [APPEAL_UPHELD] = {"upheld", "you were right", true, false},
    [APPEAL_VARIED] = {"varied", "you were right in part", true, false},
    [APPEAL_DISMISSED] = {"dismissed", "the decision stands", true, false},
    [APPEAL_REMANDED] = {"remanded", "to be decided again", true, false},
    [APPEAL_OUT_OF_TIME] = {"out_of_time", "too late", true, false},
    [APPEAL_WITHDRAWN] = {"withdrawn", "closed", true, false},
};

static const char *const events[APPEAL_EVENTS] = {
    [APPEAL_FILE] = "file",         [APPEAL_SEAT] = "seat",       [APPEAL_DECIDE] = "decide",
    [APPEAL_STEP_OUT] = "step out", [APPEAL_OVERDUE] = "overdue", [APPEAL_WITHDRAW] = "withdraw",
};

/* clang-format off */
static const struct move moves[] = {
    {APPEAL_FILE, APPEAL_OPEN, APPEAL_ADMISSIBLE, BY_HOLDER, in_time, admitted, "within the gate's window", "a revocation, other than for safety, becomes a suspension; a panel is drawn"},
    {APPEAL_FILE, APPEAL_OPEN, APPEAL_OUT_OF_TIME, BY_HOLDER, NULL, too_late, "", "tells"},
    {APPEAL_SEAT, APPEAL_ADMISSIBLE, APPEAL_PANEL, BY_RULE, NULL, seated, "", "draws up to three who never touched the case; the board when there are none"},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_UPHELD, BY_REVIEWER | BY_BOARD, upholds, upheld, "most of the panel say so", "the grant is opened, or restored; a step of enforcement is taken back; counts against who refused"},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_VARIED, BY_REVIEWER | BY_BOARD, varies, varied, "most of the panel say so", "a grant for fewer days; a suspension, or a step of enforcement, for some days"},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_DISMISSED, BY_REVIEWER | BY_BOARD, dismisses, dismissed, "most of the panel say so", "a revocation that was held is one again"},
    {APPEAL_DECIDE, APPEAL_PANEL, APPEAL_REMANDED, BY_REVIEWER | BY_BOARD, remands, remanded, "most of the panel say so, or no majority", "the request is open again, with binding questions (R20); the owner decides a step of enforcement again"},
    {APPEAL_STEP_OUT, APPEAL_PANEL, TO_SAME, BY_REVIEWER | BY_BOARD | BY_RULE, NULL, seat_again, "", "draws somebody else"},
    {APPEAL_OVERDUE, APPEAL_PANEL, TO_SAME, BY_RULE, NULL, to_board, "", "the board takes the seats of those who have not voted"},
    {APPEAL_WITHDRAW, FROM_ANY_OPEN, APPEAL_WITHDRAWN, BY_HOLDER | BY_RULE, NULL, withdrawn, "", "a revocation that was held is one again"},
};
/* clang-format on */

const struct machine appeal_machine = {
    .name = "appeal",
    .purpose = "An appeal against a decision about access: heard by people who had nothing to do with it.",
    .states = states,
    .state_count = APPEAL_STATES,
    .events = events,
    .event_count = APPEAL_EVENTS,
    .moves = moves,
    .move_count = sizeof moves / sizeof *moves,
    .save = save,
};

/* Storing. */

static const char *decision_of(enum appeal_state state)
{
    return state == APPEAL_UPHELD      ? "appeal-upheld"
           : state == APPEAL_VARIED    ? "appeal-varied"
           : state == APPEAL_DISMISSED ? "appeal-dismissed"
           : state == APPEAL_REMANDED  ? "remand"
                                       : NULL;
}

static enum status log_appeal(const struct appeal_step *at, const struct step *step, struct error *err)
{
    int64_t repo_id = at->gate.home_repo_id;
    struct decision_made decided = {.repo_id = repo_id,
                                    .account_id = at->appeal->appellant_id,
                                    .actor_id = step->actor_id,
                                    .decision = decision_of((enum appeal_state)step->to),
                                    .basis = "appeal",
                                    .policy = at->policy.sha256};
    const struct step_made made = {.repo_id = repo_id,
                                   .actor_id = step->actor_id,
                                   .id = at->appeal->id,
                                   .machine = "appeal",
                                   .event = events[step->event],
                                   .from = states[step->from].name,
                                   .to = states[step->to].name};
    return decided.decision ? access_log_decision(at->tx, &decided, err) : access_log_step(at->tx, &made, err);
}

static const char save_sql[] = "UPDATE appeal SET state = ?, version = version + 1, decided_us = ?, answer = ?, text = "
                               "? WHERE id = ? AND version = ?";

static enum status save(struct step *step, struct error *err)
{
    struct appeal_step *at = subject(step);
    struct appeal *appeal = at->appeal;
    auto_stmt struct stmt *set = NULL;
    if (states[step->to].ends)
        appeal->decided_us = step->now_us;
    if (step->event == APPEAL_DECIDE)
        appeal->text = step->text;
    TRY(db_prepare(at->tx, save_sql, &set, err));
    stmt_bind_int(set, 1, step->to);
    stmt_bind_int(set, 2, appeal->decided_us);
    stmt_bind_str(set, 3, appeal->answer);
    stmt_bind_str(set, 4, appeal->text);
    stmt_bind_int(set, 5, appeal->id);
    stmt_bind_int(set, 6, appeal->version);
    TRY(stmt_run(set, err));
    if (!db_changes(at->tx))
        return fail(err, STALE, NULL, "Somebody else was faster: this appeal has moved. Look at it again.");
    appeal->version++;
    appeal->state = (enum appeal_state)step->to;
    return log_appeal(at, step, err);
}

/* When the decision was made that an appeal is about; of the further look: the appeal's. */
static const char first_sql[] =
    "SELECT decided_us FROM appeal WHERE subject = ? AND subject_id = ? AND cycle = ? AND level = 1";

static enum status read_against(struct appeal_step *at, struct error *err)
{
    const struct appeal *appeal = at->appeal;
    auto_stmt struct stmt *row = NULL;
    struct access_request request;
    struct grant grant;
    if (appeal->level > 1) {
        TRY(db_prepare(at->tx, first_sql, &row, err));
        stmt_bind_int(row, 1, appeal->subject);
        stmt_bind_int(row, 2, appeal->subject_id);
        stmt_bind_int(row, 3, appeal->cycle);
        at->against_us = stmt_next(row) ? stmt_int(row, 0) : 0;
        return stmt_end(row, err);
    }
    if (appeal->subject == APPEAL_OF_REQUEST) {
        TRY(request_get(at->tx, at->arena, appeal->subject_id, &request, err));
        at->against_us = request.decided_us;
        return OK;
    }
    if (appeal->subject == APPEAL_OF_STEP) {
        at->against_us = appeal->cycle;
        return OK;
    }
    TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
    at->against_us = grant.changed_us;
    return OK;
}

enum status appeal_do(struct db_conn *tx, struct arena *arena, struct appeal *appeal, enum appeal_event event,
                      enum mover by, int64_t actor_id, struct str text, struct error *err)
{
    struct appeal_step at = {.tx = tx, .arena = arena, .appeal = appeal};
    TRY(gate_get(tx, arena, appeal->gate_id, &at.gate, err));
    TRY(gate_policy_get(tx, arena, &at.gate, 0, &at.policy, err));
    TRY(read_against(&at, err));
    struct step step = {
        .machine = &appeal_machine,
        .subject = &at,
        .from = (int)appeal->state,
        .event = (int)event,
        .by = by,
        .actor_id = actor_id,
        .now_us = now_us(),
        .text = text,
    };
    return machine_do(&step, err);
}

/* Rows. */

#define COLUMNS                                                                                                        \
    "SELECT id, gate_id, subject, subject_id, cycle, level, appellant_id, state, version, board, held, opened_us, "    \
    "decided_us, clock_level, late, key, grounds, facts, answer, text, old_code, old_text FROM appeal "

static enum status read_appeal(struct stmt *row, struct arena *arena, struct appeal *out, struct error *err)
{
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, "NoAppeal", "There is no such appeal that is yours or that you hear.");
    }
    *out = (struct appeal){
        .id = stmt_int(row, 0),
        .gate_id = stmt_int(row, 1),
        .subject = (enum appeal_subject)stmt_int(row, 2),
        .subject_id = stmt_int(row, 3),
        .cycle = stmt_int(row, 4),
        .level = stmt_int(row, 5),
        .appellant_id = stmt_int(row, 6),
        .state = (enum appeal_state)stmt_int(row, 7),
        .version = stmt_int(row, 8),
        .board = stmt_int(row, 9) != 0,
        .held = stmt_int(row, 10) != 0,
        .opened_us = stmt_int(row, 11),
        .decided_us = stmt_int(row, 12),
        .clock_level = stmt_int(row, 13),
        .late = stmt_int(row, 14) != 0,
        .key = arena_copy(arena, stmt_str(row, 15)),
        .grounds = arena_copy(arena, stmt_str(row, 16)),
        .facts = arena_copy(arena, stmt_str(row, 17)),
        .answer = arena_copy(arena, stmt_str(row, 18)),
        .text = arena_copy(arena, stmt_str(row, 19)),
        .old_code = arena_copy(arena, stmt_str(row, 20)),
        .old_text = arena_copy(arena, stmt_str(row, 21)),
    };
    return stmt_end(row, err);
}

enum status appeal_get_id(struct db_conn *conn, struct arena *arena, int64_t id, struct appeal *out, struct error *err)
{
    static const char sql[] = COLUMNS "WHERE id = ?";
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, id);
    return read_appeal(row, arena, out, err);
}

enum status appeal_find(struct db_conn *conn, struct arena *arena, struct str key, struct appeal *out,
                        struct error *err)
{
    static const char sql[] = COLUMNS "WHERE key = ?";
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_str(row, 1, key);
    return read_appeal(row, arena, out, err);
}

static const char add_sql[] =
    "INSERT INTO appeal (key, gate_id, subject, subject_id, cycle, level, appellant_id, state, version, opened_us, "
    "grounds, facts, old_code, old_text) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 1, ?, ?, ?, ?, ?)";

enum status appeal_add(struct db_conn *tx, struct arena *arena, struct appeal *appeal, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    uint8_t random[8];
    random_bytes(random, sizeof random);
    appeal->key = hex_encode(arena, random, sizeof random);
    appeal->opened_us = now_us();
    appeal->state = APPEAL_OPEN;
    appeal->version = 1;
    appeal->answer = appeal->text = STR("");
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_str(add, 1, appeal->key);
    stmt_bind_int(add, 2, appeal->gate_id);
    stmt_bind_int(add, 3, appeal->subject);
    stmt_bind_int(add, 4, appeal->subject_id);
    stmt_bind_int(add, 5, appeal->cycle);
    stmt_bind_int(add, 6, appeal->level);
    stmt_bind_int(add, 7, appeal->appellant_id);
    stmt_bind_int(add, 8, appeal->opened_us);
    stmt_bind_str(add, 9, appeal->grounds);
    stmt_bind_str(add, 10, str_given(appeal->facts) ? appeal->facts : STR(""));
    stmt_bind_str(add, 11, str_given(appeal->old_code) ? appeal->old_code : STR(""));
    stmt_bind_str(add, 12, str_given(appeal->old_text) ? appeal->old_text : STR(""));
    enum status status = stmt_run(add, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, "Appealed",
                    "This decision has been appealed already. GET /api/appeals shows it; for facts that are new there "
                    "is one more look by the board.");
    TRY(status);
    appeal->id = db_last_id(tx);
    return OK;
}

static const char bar_sql[] =
    "INSERT INTO appeal_seat (appeal_id, account_id, alias, state, seated_us) VALUES (?, ?, '', 3, ?) "
    "ON CONFLICT DO NOTHING";

enum status appeal_file(struct db_conn *tx, struct arena *arena, struct appeal *appeal, const int64_t *barred,
                        size_t count, struct error *err)
{
    TRY(appeal_add(tx, arena, appeal, err));
    for (size_t i = 0; i < count; i++) {
        auto_stmt struct stmt *bar = NULL;
        if (!barred[i])
            continue;
        TRY(db_prepare(tx, bar_sql, &bar, err));
        stmt_bind_int(bar, 1, appeal->id);
        stmt_bind_int(bar, 2, barred[i]);
        stmt_bind_int(bar, 3, now_us());
        TRY(stmt_run(bar, err));
    }
    return appeal_do(tx, arena, appeal, APPEAL_FILE, BY_HOLDER, appeal->appellant_id, (struct str){0}, err);
}

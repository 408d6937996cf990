/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/cases.h"
#include "access/log.h"
#include "base/time.h"
#include "grant/grant.h"
#include "identity/key.h"
#include "identity/session.h"
#include "notice/notice.h"

#define LOOK_US DAY_US /* within which a person looks at what was suspended */
#define CODE "misuse"  /* of suspended grants */

/* Rows. */

#define COLUMNS                                                                                                        \
    "SELECT c.id, c.account_id, c.key_id, c.version, c.state, c.signals, c.points, c.opened_us, c.changed_us, "        \
    "c.due_us, c.appealed_us, c.looked_by, c.appeal, c.answer, k.name, a.name FROM misuse_case c "                     \
    "JOIN account a ON a.id = c.account_id LEFT JOIN api_key k ON k.id = c.key_id "
static const char get_sql[] = COLUMNS "WHERE c.id = ?";
static const char open_sql[] = COLUMNS "WHERE c.account_id = ? AND c.key_id = ? AND c.state <= 4";

static enum status read_case(struct stmt *row, struct arena *arena, struct misuse_case *out, struct error *err)
{
    bool found = stmt_next(row);
    if (found)
        *out = (struct misuse_case){.id = stmt_int(row, 0),
                                    .account_id = stmt_int(row, 1),
                                    .key_id = stmt_int(row, 2),
                                    .version = stmt_int(row, 3),
                                    .state = (enum case_state)stmt_int(row, 4),
                                    .signals = arena_copy(arena, stmt_str(row, 5)),
                                    .points = stmt_int(row, 6),
                                    .opened_us = stmt_int(row, 7),
                                    .changed_us = stmt_int(row, 8),
                                    .due_us = stmt_int(row, 9),
                                    .appealed_us = stmt_int(row, 10),
                                    .looked_by = stmt_int(row, 11),
                                    .appeal = arena_copy(arena, stmt_str(row, 12)),
                                    .answer = arena_copy(arena, stmt_str(row, 13)),
                                    .key_name =
                                        stmt_is_null(row, 14) ? (struct str){0} : arena_copy(arena, stmt_str(row, 14)),
                                    .user = arena_copy(arena, stmt_str(row, 15))};
    TRY(stmt_end(row, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such case of yours.");
}

enum status case_get(struct db_conn *conn, struct arena *arena, int64_t id, struct misuse_case *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, get_sql, &row, err));
    stmt_bind_int(row, 1, id);
    return read_case(row, arena, out, err);
}

enum status case_find_open(struct db_conn *tx, struct arena *arena, int64_t account_id, int64_t key_id,
                           struct misuse_case *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, open_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, key_id);
    return read_case(row, arena, out, err);
}

/* The machine. */

struct walk {
    struct db_conn *tx;
    struct misuse_case *of;
    struct arena arena;
};

static bool is_level(int state)
{
    return state >= CASE_ASKED && state <= CASE_BARRED;
}

static const char save_sql[] = "UPDATE misuse_case SET state = ?, version = version + 1, signals = ?, points = ?, "
                               "changed_us = ?, due_us = ?, looked_by = ?, appealed_us = ?, appeal = ?, answer = ? "
                               "WHERE id = ? AND version = ?";
static const char holds_sql[] =
    "UPDATE api_key SET hold = (SELECT coalesce(max(CASE WHEN c.state > 3 THEN 3 ELSE c.state END), 0) FROM "
    "misuse_case c WHERE c.account_id = "
    "api_key.account_id AND c.key_id IN (0, api_key.id) AND c.state <= 4) WHERE account_id = ? AND revoked_us IS NULL";

/* What the door reads of a key: the gravest of its open cases. */
static enum status set_holds(struct walk *w, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(w->tx, holds_sql, &set, err));
    stmt_bind_int(set, 1, w->of->account_id);
    return stmt_run(set, err);
}
_Static_assert(CASE_ASKED == (int)KEY_ASKED && CASE_SUSPENDED == (int)KEY_SUSPENDED && CASE_BARRED == 4, "holds_sql");

static enum status save(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    struct misuse_case *of = w->of;
    auto_stmt struct stmt *update = NULL;
    bool asks_person = step->event == CASE_SUSPEND || step->event == CASE_BAR || step->event == CASE_APPEAL;
    if (step->by == BY_RULE && step->to > step->from && is_level(step->to)) { /* a graver step is another matter */
        of->looked_by = 0;
        if (!of->due_us) { /* what was said of the lesser one is answered */
            of->appealed_us = 0;
            of->appeal = of->answer = STR("");
        }
    }
    if (step->event == CASE_APPEAL) {
        of->appealed_us = step->now_us;
        of->appeal = step->text;
    }
    if (step->by == BY_BOARD) {
        of->looked_by = step->actor_id;
        of->answer = step->text;
    }
    of->due_us = asks_person ? step->now_us + LOOK_US : step->by == BY_RULE && is_level(step->to) ? of->due_us : 0;
    TRY(db_prepare(w->tx, save_sql, &update, err));
    stmt_bind_int(update, 1, step->to);
    stmt_bind_str(update, 2, of->signals);
    stmt_bind_int(update, 3, of->points);
    stmt_bind_int(update, 4, step->now_us);
    stmt_bind_int(update, 5, of->due_us);
    stmt_bind_int(update, 6, of->looked_by);
    stmt_bind_int(update, 7, of->appealed_us);
    stmt_bind_str(update, 8, of->appeal);
    stmt_bind_str(update, 9, of->answer);
    stmt_bind_int(update, 10, of->id);
    stmt_bind_int(update, 11, of->version);
    TRY(stmt_run(update, err));
    if (db_changes(w->tx) != 1)
        return fail(err, STALE, NULL, "This case has moved meanwhile. Look at it again.");
    of->state = (enum case_state)step->to;
    of->version++;
    if (of->due_us)
        TRY(timer_set(w->tx, "misuse.case", of->id, of->due_us, err));
    else
        TRY(timer_clear(w->tx, "misuse.case", of->id, err));
    return set_holds(w, err);
}

/* Guards. */

static const char others_sql[] =
    "SELECT 1 FROM account WHERE is_admin <> 0 AND erased_us IS NULL AND id NOT IN (?, ?) LIMIT 1";

/* Whom it is about decides nothing; and who has said that it stands does not decide the appeal, unless there is nobody else. */
static enum answer if_somebody_else(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    auto_stmt struct stmt *row = NULL;
    if (step->actor_id == w->of->account_id) {
        fail(err, FORBIDDEN, NULL, "This is about you: another administrator has to decide it.");
        return REFUSED;
    }
    if (!w->of->appealed_us || step->actor_id != w->of->looked_by)
        return YES;
    if (db_prepare(w->tx, others_sql, &row, err) != OK)
        return REFUSED;
    stmt_bind_int(row, 1, step->actor_id);
    stmt_bind_int(row, 2, w->of->account_id);
    bool others = stmt_next(row);
    if (stmt_end(row, err) != OK)
        return REFUSED;
    if (!others)
        return YES;
    fail(err, FORBIDDEN, NULL, "You have decided this already: another administrator has to hear the appeal.");
    return REFUSED;
}

static enum answer if_appealed(struct step *step, struct error *err)
{
    const struct walk *w = step->subject;
    return w->of->appealed_us ? if_somebody_else(step, err) : NO;
}

static enum answer if_not_appealed(struct step *step, struct error *err)
{
    const struct walk *w = step->subject;
    if (!w->of->appealed_us)
        return YES;
    fail(err, CONFLICT, "Appealed", "This has been appealed already.");
    return REFUSED;
}

static enum answer if_below(struct step *step, int level)
{
    const struct walk *w = step->subject;
    return w->of->points < level_specs[level].points ? YES : NO;
}

static enum answer if_nothing_left(struct step *step, struct error *err)
{
    (void)err;
    return if_below(step, LEVEL_ASK);
}

static enum answer if_slow_no_more(struct step *step, struct error *err)
{
    (void)err;
    return if_below(step, LEVEL_SLOW);
}

/* Effects. */

static enum status log_it(struct walk *w, const char *decision, const char *basis, int64_t actor_id, struct error *err)
{
    struct decision_made made = {
        .account_id = w->of->account_id, .actor_id = actor_id, .decision = decision, .basis = basis};
    return access_log_decision(w->tx, &made, err);
}

static struct str key_words(struct walk *w)
{
    return w->of->key_id == 0               ? STR("Each of your tokens")
           : str_given(w->of->key_name)     ? arena_printf(&w->arena, "Your token \"%.*s\"", STR_ARG(w->of->key_name))
           : w->of->key_id >= SESSION_FIRST ? STR("A browser session of yours")
                                            : STR("A token of yours");
}

static struct str signal_words(struct walk *w)
{
    struct str rest = w->of->signals, code, words = {0};
    while (str_given(rest) && str_cut(&rest, ',', &code)) {
        int signal = signal_named(code);
        if (signal >= 0)
            words =
                arena_printf(&w->arena, "%.*s%s%s", STR_ARG(words), words.len ? "; " : "", signal_specs[signal].words);
    }
    return words;
}

static enum status tell(struct walk *w, const char *kind, struct str text, struct error *err)
{
    struct notice notice = {.account_id = w->of->account_id, .kind = kind, .text = text, .due_us = w->of->due_us};
    return notice_add(w->tx, &notice, err);
}

static enum status tell_step(struct walk *w, enum level level, struct error *err)
{
    long long id = (long long)w->of->id;
    struct str text = arena_printf(
        &w->arena,
        "%.*s looks misused: %.*s (%lld points). So %s. This was done by rule, without anybody looking; "
        "/api/misuse/signals "
        "has the rules. %sIf it was not you, revoke the token. If it is wrong, appeal: on the page /misuse, or by POST "
        "/api/misuse/%lld/appeal {\"text\"}.",
        STR_ARG(key_words(w)), STR_ARG(signal_words(w)), (long long)w->of->points, level_specs[level].words,
        level == LEVEL_ASK
            ? arena_printf(&w->arena,
                           "If it was you, say so on the page /misuse, or by POST /api/misuse/%lld/confirm. ", id)
                  .data
            : "",
        id);
    return tell(w, "misuse.step", text, err);
}

static enum status tell_board(struct walk *w, const char *what, struct error *err)
{
    struct str text = arena_printf(&w->arena,
                                   "Case %lld: %s: %.*s (%lld points). Decide within 24 hours: POST /api/misuse/%lld "
                                   "{\"decision\": \"lift\"|\"uphold\", \"text\"}.",
                                   (long long)w->of->id, what, STR_ARG(signal_words(w)), (long long)w->of->points,
                                   (long long)w->of->id);
    return notice_board(w->tx, 0, "misuse.case", text, err);
}

/* A browser has no hold: whoever sits at it signs in again, or cannot. */
static enum status end_sessions(struct walk *w, struct error *err)
{
    int64_t count;
    if (w->of->key_id == 0)
        return sessions_end(w->tx, w->of->account_id, 0, &count, err);
    if (w->of->key_id < SESSION_FIRST)
        return OK;
    enum status status = session_end(w->tx, w->of->account_id, w->of->key_id, err);
    return status == NOT_FOUND ? OK : status;
}

static enum status ask(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(end_sessions(w, err));
    TRY(log_it(w, "warn", "rule", 0, err));
    return tell_step(w, LEVEL_ASK, err);
}

static enum status slow(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(end_sessions(w, err));
    TRY(log_it(w, "slow", "rule", 0, err));
    return tell_step(w, LEVEL_SLOW, err);
}

static enum status suspend(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(end_sessions(w, err));
    TRY(log_it(w, "suspend", "rule", 0, err));
    TRY(tell_board(w, "a key was suspended by rule", err));
    return tell_step(w, LEVEL_SUSPEND, err);
}

static const char live_sql[] =
    "SELECT id FROM access_grant WHERE account_id = ? AND state <= 3 AND id > ? ORDER BY id LIMIT 1";
static const char barred_sql[] = "SELECT c.grant_id FROM grant_cause c JOIN access_grant a ON a.id = c.grant_id "
                                 "WHERE a.account_id = ? AND c.grant_id > ? AND c.code = '" CODE "' ORDER BY 1 LIMIT 1";

/* Each grant that the statement finds, one after another. */
static enum status each_grant(struct walk *w, const char *sql, enum grant_event event, enum mover by, int64_t actor_id,
                              struct str text, struct error *err)
{
    for (int64_t id = 0;;) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(w->tx, sql, &row, err));
        stmt_bind_int(row, 1, w->of->account_id);
        stmt_bind_int(row, 2, id);
        bool found = stmt_next(row);
        id = found ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!found)
            return OK;
        /* What the machine refuses has so many causes to be suspended already that there is no place for one more. */
        enum status status = grant_do(w->tx, id, event, by, actor_id, STR(CODE), text, 0, err);
        if (status != OK && status != INVALID && status != CONFLICT)
            return status;
    }
}

static enum status bar(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(suspend(step, err));
    struct str text =
        arena_printf(&w->arena, "Your account's keys look misused: %.*s. Appeal by POST /api/misuse/%lld/appeal.",
                     STR_ARG(signal_words(w)), (long long)w->of->id);
    return each_grant(w, live_sql, GRANT_SUSPEND, BY_RULE, 0, text, err);
}

static enum status fade(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(log_it(w, "restore", "rule", 0, err));
    return tell(w, "misuse.over",
                arena_printf(&w->arena, "%.*s has not looked misused for a while, and is %s.", STR_ARG(key_words(w)),
                             step->to == CASE_FADED ? "free again" : "not slowed any more"),
                err);
}

static enum status confirm(struct step *step, struct error *err)
{
    return log_it(step->subject, "restore", "holder", step->actor_id, err);
}

static enum status appeal(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    return tell_board(w, "an appeal", err);
}

static const char forget_sql[] = "DELETE FROM misuse_signal WHERE account_id = ? AND key_id = ?";
static const char other_bar_sql[] = "SELECT 1 FROM misuse_case WHERE account_id = ? AND state = 4 LIMIT 1";

static enum status restore_grants(struct walk *w, int64_t actor_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(w->tx, other_bar_sql, &row, err));
    stmt_bind_int(row, 1, w->of->account_id);
    bool others = stmt_next(row);
    TRY(stmt_end(row, err));
    return others ? OK : each_grant(w, barred_sql, GRANT_RESUME, BY_BOARD, actor_id, STR(""), err);
}

static enum status lift(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    auto_stmt struct stmt *forget = NULL;
    TRY(db_prepare(w->tx, forget_sql, &forget, err));
    stmt_bind_int(forget, 1, w->of->account_id);
    stmt_bind_int(forget, 2, w->of->key_id);
    TRY(stmt_run(forget, err));
    if (step->from == CASE_BARRED)
        TRY(restore_grants(w, step->actor_id, err));
    TRY(log_it(w, w->of->appealed_us ? "appeal-upheld" : "restore", w->of->appealed_us ? "appeal" : "board",
               step->actor_id, err));
    return tell(w, "misuse.over",
                arena_printf(&w->arena, "%.*s is free again, and its points are gone. %.*s", STR_ARG(key_words(w)),
                             STR_ARG(step->text)),
                err);
}

static enum status looked(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(log_it(w, "suspend", "board", step->actor_id, err));
    return tell(w, "misuse.upheld",
                arena_printf(&w->arena,
                             "A person has looked at case %lld, and it stands: %.*s You can still appeal: POST "
                             "/api/misuse/%lld/appeal {\"text\"}.",
                             (long long)w->of->id, STR_ARG(step->text), (long long)w->of->id),
                err);
}

static enum status dismissed(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    TRY(log_it(w, "appeal-dismissed", "appeal", step->actor_id, err));
    return tell(w, "misuse.upheld",
                arena_printf(&w->arena, "Your appeal in case %lld was heard, and it stands%s: %.*s",
                             (long long)w->of->id, step->to == CASE_UPHELD ? ". The token has ended" : "",
                             STR_ARG(step->text)),
                err);
}

static enum status upheld(struct step *step, struct error *err)
{
    struct walk *w = step->subject;
    if (w->of->key_id < SESSION_FIRST)
        TRY(keys_revoke(w->tx, &w->arena, w->of->account_id, w->of->key_id, step->actor_id, err));
    return dismissed(step, err);
}

/* The table. */

static const struct machine_state states[CASE_STATES] = {
    [CASE_WATCHED] = {"watched", "nothing is done", false, false},
    [CASE_ASKED] = {"asked", "sign in, and say that it was you", false, false},
    [CASE_SLOWED] = {"slowed", "slowed", false, false},
    [CASE_SUSPENDED] = {"suspended", "suspended", false, false},
    [CASE_BARRED] = {"barred", "suspended, with your access to gated repos", false, false},
    [CASE_ANSWERED] = {"answered", "you have said that it was you", true, false},
    [CASE_FADED] = {"faded", "over", true, false},
    [CASE_LIFTED] = {"lifted", "lifted", true, false},
    [CASE_UPHELD] = {"upheld", "upheld", true, false},
};
static const char *const events[CASE_EVENTS] = {"ask",     "slow",   "suspend", "bar",   "fade",
                                                "confirm", "appeal", "lift",    "uphold"};

#define OTHER "not the person itself; of an appeal, not who has decided before"
static const struct move moves[] = {
    {CASE_ASK, CASE_WATCHED, CASE_ASKED, BY_RULE, NULL, ask, "30 points", "no gated bytes; notice"},
    {CASE_SLOW, CASE_WATCHED, CASE_SLOWED, BY_RULE, NULL, slow, "50 points", "the floor rate; notice"},
    {CASE_SLOW, CASE_ASKED, CASE_SLOWED, BY_RULE, NULL, slow, "50 points", "the floor rate; notice"},
    {CASE_SUSPEND, CASE_WATCHED, CASE_SUSPENDED, BY_RULE, NULL, suspend, "80 points", "notices; a person looks"},
    {CASE_SUSPEND, CASE_ASKED, CASE_SUSPENDED, BY_RULE, NULL, suspend, "80 points", "notices; a person looks"},
    {CASE_SUSPEND, CASE_SLOWED, CASE_SUSPENDED, BY_RULE, NULL, suspend, "80 points", "notices; a person looks"},
    {CASE_BAR, FROM_ANY_OPEN, CASE_BARRED, BY_RULE, NULL, bar, "100 points", "grants too; notices; a person looks"},
    {CASE_FADE, CASE_ASKED, CASE_FADED, BY_RULE, if_nothing_left, fade, "below 30 points", "free again"},
    {CASE_FADE, CASE_SLOWED, CASE_FADED, BY_RULE, if_nothing_left, fade, "below 30 points", "free again"},
    {CASE_FADE, CASE_SLOWED, CASE_ASKED, BY_RULE, if_slow_no_more, fade, "below 50 points", "not slowed any more"},
    {CASE_CONFIRM, CASE_ASKED, CASE_ANSWERED, BY_HOLDER, NULL, confirm, "signed in", "believed for seven days"},
    {CASE_APPEAL, FROM_ANY_OPEN, TO_SAME, BY_HOLDER, if_not_appealed, appeal, "once",
     "a person decides within 24 hours"},
    {CASE_LIFT, FROM_ANY_OPEN, CASE_LIFTED, BY_BOARD, if_somebody_else, lift, OTHER, "free again, and no points"},
    {CASE_UPHOLD, CASE_SUSPENDED, CASE_UPHELD, BY_BOARD, if_appealed, upheld, "appealed; " OTHER, "the key is revoked"},
    {CASE_UPHOLD, CASE_BARRED, CASE_UPHELD, BY_BOARD, if_appealed, upheld, "appealed; " OTHER, "the key is revoked"},
    {CASE_UPHOLD, FROM_ANY_OPEN, TO_SAME, BY_BOARD, if_appealed, dismissed, "appealed; " OTHER, ""},
    {CASE_UPHOLD, CASE_SUSPENDED, TO_SAME, BY_BOARD, if_somebody_else, looked, OTHER, "the person may still appeal"},
    {CASE_UPHOLD, CASE_BARRED, TO_SAME, BY_BOARD, if_somebody_else, looked, OTHER, "the person may still appeal"},
};
const struct machine misuse_machine = {"misuse case", "What is done about a key that looks misused (access C14).",
                                       states,        CASE_STATES,
                                       events,        CASE_EVENTS,
                                       moves,         sizeof moves / sizeof *moves,
                                       save};

enum status case_do(struct db_conn *tx, struct misuse_case *of, enum case_event event, enum mover by, int64_t actor_id,
                    struct str text, struct error *err)
{
    struct walk walk = {.tx = tx, .of = of};
    struct step step = {.machine = &misuse_machine,
                        .subject = &walk,
                        .from = (int)of->state,
                        .event = (int)event,
                        .back = -1,
                        .by = by,
                        .actor_id = actor_id,
                        .now_us = now_us(),
                        .text = text};
    enum status status = machine_do(&step, err);
    arena_free(&walk.arena);
    return status;
}

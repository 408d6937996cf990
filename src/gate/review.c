/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "timer/timer.h"

/* What the request machine calls: the guards of its verdicts, and the effects that draw people. */

#define LOW_AGREEMENT_PERCENT 80 /* of at least CHECKED_LEAST of the last CHECKED_MOST that were checked */
#define CHECKED_LEAST 5
#define LOW_AGREEMENT_PPM 500000

/* Verdicts, read. */

#define VERDICT_COLUMNS                                                                                                \
    "v.assignment_id, v.request_id, v.cycle, v.gate_id, v.account_id, v.filed_us, v.slot, v.outcome, v.recommended, "  \
    "a.alias, v.scores, v.codes, v.note, v.note_to_applicant, v.override_reason "                                      \
    "FROM review_verdict v JOIN review_assignment a ON a.id = v.assignment_id "

static enum status read_verdict(struct stmt *row, struct arena *arena, struct verdict *out, struct error *err)
{
    if (!stmt_next(row)) {
        TRY(stmt_end(row, err));
        return fail(err, NOT_FOUND, NULL, "There is no verdict yet.");
    }
    *out = (struct verdict){
        .assignment_id = stmt_int(row, 0),
        .request_id = stmt_int(row, 1),
        .cycle = stmt_int(row, 2),
        .gate_id = stmt_int(row, 3),
        .account_id = stmt_int(row, 4),
        .filed_us = stmt_int(row, 5),
        .slot = (enum slot)stmt_int(row, 6),
        .outcome = (enum outcome)stmt_int(row, 7),
        .recommended = (enum outcome)stmt_int(row, 8),
        .alias = arena_copy(arena, stmt_str(row, 9)),
        .scores = arena_copy(arena, stmt_str(row, 10)),
        .codes = arena_copy(arena, stmt_str(row, 11)),
        .note = arena_copy(arena, stmt_str(row, 12)),
        .note_to_applicant = arena_copy(arena, stmt_str(row, 13)),
        .override_reason = arena_copy(arena, stmt_str(row, 14)),
    };
    return stmt_end(row, err);
}

static const char get_sql[] = "SELECT " VERDICT_COLUMNS "WHERE v.assignment_id = ?";

enum status verdict_get(struct db_conn *conn, struct arena *arena, int64_t assignment_id, struct verdict *out,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, get_sql, &row, err));
    stmt_bind_int(row, 1, assignment_id);
    return read_verdict(row, arena, out, err);
}

static const char of_sql[] = "SELECT " VERDICT_COLUMNS "WHERE v.request_id = ? AND v.cycle = ? AND v.slot = ? "
                             "ORDER BY v.assignment_id DESC LIMIT 1";

enum status verdict_of(struct db_conn *conn, struct arena *arena, const struct access_request *request, enum slot slot,
                       struct verdict *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, of_sql, &row, err));
    stmt_bind_int(row, 1, request->id);
    stmt_bind_int(row, 2, request->cycle);
    stmt_bind_int(row, 3, slot);
    return read_verdict(row, arena, out, err);
}

/* Whether this verdict needs a second one (C9.4). */

static const char rate_sql[] =
    "SELECT count(*), coalesce(sum(agreed = 1 AND overturned = 0), 0) FROM (SELECT coalesce(agreed, 1) AS agreed, "
    "overturned FROM review_verdict WHERE account_id = ? AND gate_id = ? AND (agreed IS NOT NULL OR overturned = 1) "
    "ORDER BY assignment_id DESC LIMIT 20) last";

enum status review_rate(struct db_conn *conn, int64_t gate_id, int64_t account_id, int64_t policy_ppm, int64_t *out,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, rate_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, gate_id);
    if (!stmt_next(row))
        return stmt_end(row, err);
    int64_t checked = stmt_int(row, 0), held = stmt_int(row, 1);
    bool low = checked >= CHECKED_LEAST && held * 100 < checked * LOW_AGREEMENT_PERCENT;
    *out = low && policy_ppm < LOW_AGREEMENT_PPM ? LOW_AGREEMENT_PPM : policy_ppm;
    return stmt_end(row, err);
}

static const char cases_sql[] =
    "SELECT count(*) FROM review_verdict WHERE account_id = ? AND gate_id = ? AND slot <= 3";

static enum status on_probation(struct db_conn *conn, const struct verdict *verdict, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, cases_sql, &row, err));
    stmt_bind_int(row, 1, verdict->account_id);
    stmt_bind_int(row, 2, verdict->gate_id);
    *out = stmt_next(row) && stmt_int(row, 0) <= PROBATION_CASES;
    return stmt_end(row, err);
}

static const char month_sql[] = "SELECT month FROM review_case WHERE request_id = ?";

/* The month whose seed counts is that in which the review began: it was out by then, and cannot be waited for. */
static enum status is_sampled(const struct request_step *at, const struct verdict *verdict, bool *out,
                              struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *row = NULL;
    uint8_t seed[SHA256_SIZE];
    int64_t rate;
    TRY(db_prepare(at->tx, month_sql, &row, err));
    stmt_bind_int(row, 1, at->request->id);
    struct str month = stmt_next(row) ? arena_copy(&arena, stmt_str(row, 0)) : (struct str){0};
    TRY(stmt_end(row, err));
    *out = false;
    if (!str_given(month))
        return OK;
    TRY(seed_get(at->tx, month, seed, err));
    TRY(review_rate(at->tx, at->gate.id, verdict->account_id, at->policy.second_rate_ppm, &rate, err));
    *out = draw_place(seed, at->request->id, at->request->cycle) < rate;
    return OK;
}

enum status review_sampled(struct db_conn *tx, const struct access_request *request, int64_t rate_ppm, bool *out,
                           struct error *err)
{
    auto_arena struct arena arena = {0};
    uint8_t seed[SHA256_SIZE];
    TRY(seeds_make(tx, &arena, now_us(), err));
    TRY(seed_get(tx, seed_month(&arena, now_us()), seed, err));
    *out = draw_place(seed, request->id, request->cycle) < rate_ppm;
    return OK;
}

/* Why, in one word; NULL when it does not. *always: it does not depend on there being somebody at the gate. */
static enum status second_reason(const struct request_step *at, const struct verdict *verdict, const char **out,
                                 bool *always, struct error *err)
{
    bool probation, sampled;
    *always = true;
    *out = at->policy.risk >= 3                                                ? "risk"
           : verdict->outcome == OUTCOME_REFUSE && at->policy.second_on_refuse ? "refusal"
           : verdict->outcome != verdict->recommended                          ? "override"
                                                                               : NULL;
    if (*out)
        return OK;
    *always = false;
    TRY(on_probation(at->tx, verdict, &probation, err));
    TRY(is_sampled(at, verdict, &sampled, err));
    *out = probation ? "probation" : sampled ? "sample" : NULL;
    return OK;
}

/* Whom a slot is drawn from, one after the other until there is somebody. */
static const char *const pools[][5] = {
    [SLOT_PRIMARY] = {"reviewer", "lead", "owner", "board", NULL},
    [SLOT_SECOND] = {"reviewer", "lead", "owner", "board", NULL},
    [SLOT_ADJUDICATOR] = {"lead", "reviewer", "owner", "board", NULL},
    [SLOT_SCREEN] = {"screener", NULL},
};

static enum status somebody_else(const struct request_step *at, bool also_board, bool *out, struct error *err)
{
    *out = false;
    for (const char *const *pool = pools[SLOT_SECOND]; *pool && !*out; pool++)
        if (also_board || strcmp(*pool, "board") != 0)
            TRY(draw_exists(at->tx, at->request, *pool, out, err));
    return OK;
}

static enum status find_reason(const struct request_step *at, const char **out, struct error *err)
{
    struct verdict verdict;
    bool always, there;
    *out = NULL;
    enum status status = verdict_of(at->tx, at->arena, at->request, SLOT_PRIMARY, &verdict, err);
    if (status == NOT_FOUND)
        return OK;
    TRY(status);
    TRY(second_reason(at, &verdict, out, &always, err));
    if (!*out)
        return OK;
    TRY(somebody_else(at, always, &there, err));
    if (!there)
        *out = NULL;
    return OK;
}

enum answer review_needs_second(struct step *step, struct error *err)
{
    const char *reason = NULL;
    if (step->by != BY_REVIEWER)
        return NO;
    return find_reason(step->subject, &reason, err) != OK ? REFUSED : reason ? YES : NO;
}

enum answer review_agrees(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    struct verdict first, second;
    if (verdict_of(at->tx, at->arena, at->request, SLOT_PRIMARY, &first, err) != OK ||
        verdict_of(at->tx, at->arena, at->request, SLOT_SECOND, &second, err) != OK)
        return REFUSED;
    return first.outcome == second.outcome ? YES : NO;
}

enum answer review_other_adjudicator(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    for (enum slot slot = SLOT_PRIMARY; slot <= SLOT_SECOND; slot++) {
        struct verdict verdict;
        enum status status = verdict_of(at->tx, at->arena, at->request, slot, &verdict, err);
        if (status == OK && verdict.account_id == step->actor_id)
            status = fail(err, FORBIDDEN, "SamePerson",
                          "You have judged this case already: somebody else has to rule on it.");
        if (status != OK && status != NOT_FOUND)
            return REFUSED;
    }
    return YES;
}

enum answer review_owner_decides_alone(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    bool has;
    if (gate_has_reviewers(at->tx, at->request->gate_id, &has, err) != OK)
        return REFUSED;
    return has ? NO : YES;
}

/* Drawing. */

static const char waiting_sql[] = "UPDATE review_case SET waiting = ? WHERE request_id = ?";

static enum status set_waiting(struct db_conn *tx, int64_t request_id, int64_t slot, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, waiting_sql, &set, err));
    stmt_bind_int(set, 1, slot);
    stmt_bind_int(set, 2, request_id);
    return stmt_run(set, err);
}

/* Owners and the board are asked only where the gate has nobody of its own who could ever do it. */
static enum status draw_for(struct db_conn *conn, const struct access_request *request, enum slot slot, int64_t *out,
                            struct error *err)
{
    bool there = false;
    *out = 0;
    for (const char *const *pool = pools[slot]; *pool && !*out; pool++) {
        bool outside = strcmp(*pool, "owner") == 0 || strcmp(*pool, "board") == 0;
        if (outside && there)
            return OK;
        TRY(draw_from(conn, request, *pool, out, err));
        if (!*out && !there)
            TRY(draw_exists(conn, request, *pool, &there, err));
    }
    return OK;
}

enum status review_open(struct db_conn *tx, struct arena *arena, const struct access_request *request, enum slot slot,
                        struct error *err)
{
    int64_t account_id;
    bool has;
    TRY(gate_has_reviewers(tx, request->gate_id, &has, err));
    /* The owner decides alone, and who is appointed before that gets the case. A second look that has begun is given to
     * somebody, even when all reviewers have left since. */
    if (!has && slot != SLOT_SECOND && slot != SLOT_ADJUDICATOR)
        return slot == SLOT_SCREEN ? OK : set_waiting(tx, request->id, slot, err);
    TRY(draw_for(tx, request, slot, &account_id, err));
    if (!account_id)
        return slot == SLOT_SCREEN ? OK : set_waiting(tx, request->id, slot, err);
    TRY(set_waiting(tx, request->id, 0, err));
    TRY(assignment_make(tx, arena, request, request->cycle, slot, account_id, err));
    return slot <= SLOT_SECOND ? calibration_perhaps(tx, arena, request, account_id, err) : OK;
}

static const char next_waiting_sql[] =
    "SELECT request_id, waiting FROM review_case WHERE gate_id = ? AND waiting > 0 ORDER BY request_id LIMIT 20";

enum status review_fill(struct db_conn *tx, struct arena *arena, int64_t gate_id, struct error *err)
{
    struct {
        int64_t request_id, slot;
    } found[20];
    size_t count = 0;
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, next_waiting_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    for (; stmt_next(row); count++) {
        found[count].request_id = stmt_int(row, 0);
        found[count].slot = stmt_int(row, 1);
    }
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++) {
        struct access_request request;
        TRY(request_get(tx, arena, found[i].request_id, &request, err));
        TRY(review_open(tx, arena, &request, (enum slot)found[i].slot, err));
    }
    return OK;
}

/* Effects. */

static const char begin_sql[] =
    "INSERT INTO review_case (request_id, gate_id, cycle, month, begun_us) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (request_id) DO UPDATE SET cycle = excluded.cycle, month = excluded.month, "
    "begun_us = excluded.begun_us, rate_ppm = 0, second_reason = '', waiting = 0, touched_us = 0, touched_work_us = 0, "
    "level = 0, touch_level = 0, late = 0, identity_us = 0, identity_confirmed = 0, identity_note = '', conflict_us = "
    "0";

/* The groups that approval rates are told by: a choice called affiliation..., and a choice called region... or else the
 * country that was declared. */
static struct str group_of(const struct form *form, const json_t *answers, const char *name)
{
    bool region = strcmp(name, "region") == 0;
    struct str found = STR("");
    for (size_t i = 0; i < form->count; i++) {
        const struct form_field *field = &form->fields[i];
        bool named = field->type == FIELD_CHOICE && str_starts(field->name, str_of(name));
        if (!named && !(region && field->type == FIELD_COUNTRY && found.len == 0))
            continue;
        const json_t *value = json_object_getn(answers, field->name.data, field->name.len);
        if (json_is_string(value))
            found = (struct str){json_string_value(value), json_string_length(value)};
    }
    return str_slice(found, 0, 64);
}

static const char groups_sql[] = "UPDATE review_case SET affiliation = ?, region = ? WHERE request_id = ?";
static const char figures_timer_sql[] = "SELECT 1 FROM timer WHERE kind = 'review.figures' AND ref = ?";

static enum status declare_groups(const struct request_step *at, struct error *err)
{
    auto_stmt struct stmt *set = NULL, *row = NULL;
    auto_json json_t *answers = NULL;
    TRY(request_answers(at->tx, at->request->id, &answers, err));
    TRY(db_prepare(at->tx, groups_sql, &set, err));
    stmt_bind_str(set, 1, group_of(&at->policy.form, answers, "affiliation"));
    stmt_bind_str(set, 2, group_of(&at->policy.form, answers, "region"));
    stmt_bind_int(set, 3, at->request->id);
    TRY(stmt_run(set, err));
    TRY(db_prepare(at->tx, figures_timer_sql, &row, err));
    stmt_bind_int(row, 1, at->gate.id);
    bool set_already = stmt_next(row);
    TRY(stmt_end(row, err));
    return set_already ? OK : timer_set(at->tx, "review.figures", at->gate.id, now_us() + 30 * DAY_US, err);
}

enum status review_begin(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    const struct access_request *request = at->request;
    auto_stmt struct stmt *begin = NULL;
    TRY(seeds_make(at->tx, at->arena, step->now_us, err));
    TRY(db_prepare(at->tx, begin_sql, &begin, err));
    stmt_bind_int(begin, 1, request->id);
    stmt_bind_int(begin, 2, request->gate_id);
    stmt_bind_int(begin, 3, request->cycle);
    stmt_bind_str(begin, 4, seed_month(at->arena, step->now_us));
    stmt_bind_int(begin, 5, step->now_us);
    TRY(stmt_run(begin, err));
    TRY(declare_groups(at, err));
    TRY(review_open(at->tx, at->arena, request, SLOT_SCREEN, err));
    TRY(review_open(at->tx, at->arena, request, SLOT_PRIMARY, err));
    return review_moved(at->tx, request, at->policy.risk, err);
}

static const char second_sql[] = "UPDATE review_case SET second_reason = ?, rate_ppm = ? WHERE request_id = ?";

enum status review_second(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    auto_stmt struct stmt *note = NULL;
    struct verdict first;
    const char *reason;
    int64_t rate;
    TRY(verdict_of(at->tx, at->arena, at->request, SLOT_PRIMARY, &first, err));
    TRY(find_reason(at, &reason, err));
    TRY(review_rate(at->tx, at->gate.id, first.account_id, at->policy.second_rate_ppm, &rate, err));
    TRY(db_prepare(at->tx, second_sql, &note, err));
    stmt_bind_str(note, 1, str_of(reason ? reason : ""));
    stmt_bind_int(note, 2, rate);
    stmt_bind_int(note, 3, at->request->id);
    TRY(stmt_run(note, err));
    return review_open(at->tx, at->arena, at->request, SLOT_SECOND, err);
}

enum status review_adjudicate(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    return review_open(at->tx, at->arena, at->request, SLOT_ADJUDICATOR, err);
}

static enum slot slot_of(const struct access_request *request)
{
    enum request_state state = request->state == REQUEST_INFO_WAIT ? request->back : request->state;
    return state == REQUEST_SECOND_REVIEW  ? SLOT_SECOND
           : state == REQUEST_ADJUDICATION ? SLOT_ADJUDICATOR
                                           : SLOT_PRIMARY;
}

static const char screen_sql[] = "SELECT 1 FROM review_case c WHERE c.request_id = ? AND c.identity_us = 0 AND NOT "
                                 "EXISTS (SELECT 1 FROM review_assignment a WHERE a.request_id = c.request_id AND "
                                 "a.cycle = c.cycle AND a.slot = 4 AND a.state = 1)";

static enum status redraw_screener(const struct request_step *at, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(at->tx, screen_sql, &row, err));
    stmt_bind_int(row, 1, at->request->id);
    bool missing = stmt_next(row);
    TRY(stmt_end(row, err));
    return missing ? review_open(at->tx, at->arena, at->request, SLOT_SCREEN, err) : OK;
}

/* Who was too slow keeps the case when there is nobody else: a case without anybody would be slower still. */
enum status review_redraw(struct step *step, struct error *err)
{
    const struct request_step *at = step->subject;
    enum slot slot = slot_of(at->request);
    struct assignment held;
    int64_t other;
    enum status status = assignment_of(at->tx, at->arena, at->request, slot, ASSIGNED, &held, err);
    if (status == NOT_FOUND) {
        TRY(redraw_screener(at, err));
        return review_open(at->tx, at->arena, at->request, slot, err);
    }
    TRY(status);
    if (step->event == REQUEST_RECUSE) /* it was the screener who left */
        return redraw_screener(at, err);
    TRY(draw_for(at->tx, at->request, slot, &other, err));
    if (!other)
        return OK;
    TRY(assignment_end(at->tx, held.id, TOO_LATE, err));
    TRY(gate_tell(at->tx, held.account_id, at->request->gate_id, "review.redrawn",
                  STR("A case that was drawn for you has run out of time and was given to somebody else."), 0, err));
    return assignment_make(at->tx, at->arena, at->request, at->request->cycle, slot, other, err);
}

static const char close_sql[] = "UPDATE review_assignment SET state = 5, ended_us = ? WHERE request_id = ? AND cycle = "
                                "? AND state = 1 AND slot <> 5";

enum status review_close(struct db_conn *tx, const struct access_request *request, struct error *err)
{
    auto_stmt struct stmt *close = NULL;
    TRY(set_waiting(tx, request->id, 0, err));
    TRY(db_prepare(tx, close_sql, &close, err));
    stmt_bind_int(close, 1, now_us());
    stmt_bind_int(close, 2, request->id);
    stmt_bind_int(close, 3, request->cycle);
    return stmt_run(close, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rows of the request machine ask. Each refusal says what to do next. */
#include "gate/guards.h"
#include "base/time.h"
#include "gate/draw.h"
#include "gate/internal.h"
#include "gate/review_internal.h"
#include "grant/grant.h"
#include "terms/terms.h"

/* A failed read refuses, with its error. */
#define ASK_DB(call)                                                                                                   \
    do {                                                                                                               \
        if ((call) != OK)                                                                                              \
            return REFUSED;                                                                                            \
    } while (0)

static enum answer refuse(struct error *err, enum status status, const char *code, const char *why)
{
    fail(err, status, code, "%s", why);
    return REFUSED;
}

/* Asking (R2, R20). */

static enum answer gate_takes(const struct gate *gate, int64_t at_us, struct error *err)
{
    if (gate->state == GATE_CLOSED || (gate->closes_us && at_us >= gate->closes_us))
        return refuse(err, UNPROCESSABLE, "GateClosed", "This gate is closed: nobody can ask for access any more.");
    if (gate->state == GATE_PAUSED)
        return refuse(err, UNPROCESSABLE, "GatePaused",
                      "This gate takes no requests at the moment. Nothing is lost; ask again when it is open.");
    return YES;
}

static const char block_sql[] =
    "SELECT until_us FROM access_block WHERE account_id = ? AND owner_id IN (0, ?) AND slow = 0 AND lifted_us = 0 AND from_us <= ? "
    "AND (until_us = 0 OR until_us > ?) ORDER BY CASE WHEN until_us = 0 THEN 1 ELSE 0 END DESC, until_us DESC LIMIT 1";

static enum answer no_block(struct request_step *at, int64_t at_us, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    ASK_DB(db_prepare(at->tx, block_sql, &row, err));
    stmt_bind_int(row, 1, at->request->applicant_id);
    stmt_bind_int(row, 2, at->gate.owner_id);
    stmt_bind_int(row, 3, at_us);
    stmt_bind_int(row, 4, at_us);
    bool blocked = stmt_next(row);
    int64_t until = blocked ? stmt_int(row, 0) : 0;
    ASK_DB(stmt_end(row, err));
    if (!blocked)
        return YES;
    if (!until)
        return refuse(err, FORBIDDEN, "Blocked", "You are blocked here without an end. You can appeal the decision.");
    fail(err, FORBIDDEN, "Blocked", "You are blocked here until %.*s. You can appeal the decision.",
         STR_ARG(time_iso(at->arena, until)));
    return REFUSED;
}

static enum answer texts_accepted(struct request_step *at, int64_t at_us, bool to_applicant, struct error *err)
{
    bool missing;
    ASK_DB(terms_missing(at->tx, at->gate.id, at->request->applicant_id, at_us, &missing, err));
    if (!missing)
        return YES;
    return to_applicant
               ? refuse(err, UNPROCESSABLE, "TermsNotAccepted",
                        "Accept every text in force first: send \"terms\", a list of {\"terms\", \"sha256\"} with the "
                        "hashes that GET .../gate shows.")
               : refuse(err, UNPROCESSABLE, "TermsNotAccepted",
                        "A text has changed since this request was made, and the applicant has not accepted it yet. "
                        "The applicant has been told; approve once it is accepted.");
}

static enum answer cooled_down(struct request_step *at, int64_t since_us, int64_t at_us, struct error *err)
{
    int64_t over = since_us + at->policy.reapply_us;
    if (!since_us || at_us >= over)
        return YES;
    fail(err, UNPROCESSABLE, "CoolDown", "You can ask again from %.*s on, %lld days after the decision.",
         STR_ARG(time_iso(at->arena, over)), (long long)(at->policy.reapply_us / DAY_US));
    return REFUSED;
}

/* Whatever the case was called: a purpose is free text, and shall not be a way around. */
static const char refused_sql[] = "SELECT coalesce(sum(cycle), 0), coalesce(max(decided_us), 0) FROM access_request "
                                  "WHERE applicant_id = ? AND gate_id = ? AND state = 8";
static const char revoked_sql[] =
    "SELECT 0, coalesce(max(changed_us), 0) FROM access_grant WHERE account_id = ? AND gate_id = ? AND state = 6";

static enum status past_of(struct request_step *at, const char *sql, int64_t *times, int64_t *last_us,
                           struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(at->tx, sql, &row, err));
    stmt_bind_int(row, 1, at->request->applicant_id);
    stmt_bind_int(row, 2, at->gate.id);
    bool found = stmt_next(row);
    *times = found ? stmt_int(row, 0) : 0;
    *last_us = found ? stmt_int(row, 1) : 0;
    return stmt_end(row, err);
}

static enum answer past_is_past(struct request_step *at, int64_t at_us, struct error *err)
{
    int64_t refusals, refused_us, none, revoked_us;
    ASK_DB(past_of(at, refused_sql, &refusals, &refused_us, err));
    ASK_DB(past_of(at, revoked_sql, &none, &revoked_us, err));
    if (refusals > at->policy.reapply_most)
        return refuse(err, UNPROCESSABLE, "ReapplyMost",
                      "You have asked as often as this gate allows. You can appeal the last decision.");
    return cooled_down(at, refused_us > revoked_us ? refused_us : revoked_us, at_us, err);
}

static enum answer no_live_grant(struct request_step *at, struct error *err)
{
    int64_t id, state;
    ASK_DB(live_grant(at->tx, at->request, at->request->applicant_id, &id, &state, err));
    if (id && !at->request->renews_id)
        return refuse(err, CONFLICT, "GrantExists", "You have this access already; GET /api/grants shows it.");
    return YES;
}

/* What was shown in signing in is the door's to ask, each time; here it is enough that there is something to show. */
static enum answer can_show(struct request_step *at, struct error *err)
{
    enum auth_level strength;
    ASK_DB(account_strength(at->tx, at->request->applicant_id, &strength, err));
    if (strength >= at->policy.sign_in)
        return YES;
    return refuse(
        err, UNPROCESSABLE, "SignInLevel",
        at->policy.sign_in == AUTH_PASSKEY
            ? "This gate asks for a passkey. Register one on your account page (/signin), then ask again."
            : "This gate asks for two-factor sign-in. Set up one-time codes or a passkey on your account page "
              "(/signin), then ask again.");
}

#define ALL_OF(call)                                                                                                   \
    do {                                                                                                               \
        if ((call) != YES)                                                                                             \
            return REFUSED;                                                                                            \
    } while (0)

enum answer may_submit(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    ALL_OF(gate_takes(&at->gate, step->now_us, err));
    ALL_OF(no_block(at, step->now_us, err));
    ALL_OF(past_is_past(at, step->now_us, err));
    ALL_OF(can_show(at, err));
    ALL_OF(texts_accepted(at, step->now_us, true, err));
    return no_live_grant(at, err);
}

/* Screening. */

static enum answer yes_if(bool condition)
{
    return condition ? YES : NO;
}

enum answer is_barred(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    auto_json json_t *answers = NULL;
    ASK_DB(request_answers(at->tx, at->request->id, &answers, err));
    return yes_if(!policy_admits_country(&at->policy, json_get_str(answers, "country")));
}

static const char waiting_members_sql[] =
    "SELECT count(*) FROM access_request_member WHERE request_id = ? AND state = 0";

static enum status open_checks(struct request_step *at, unsigned *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct account applicant;
    *out = 0;
    TRY(account_get(at->tx, at->arena, at->request->applicant_id, &applicant, err));
    TRY(db_prepare(at->tx, waiting_members_sql, &row, err));
    stmt_bind_int(row, 1, at->request->id);
    if (stmt_next(row) && stmt_int(row, 0) > 0)
        *out |= CHECK_MEMBERS;
    if (!applicant.email.len)
        *out |= CHECK_EMAIL;
    *out &= at->policy.checks;
    return stmt_end(row, err);
}

enum answer lacks_checks(struct step *step, struct error *err)
{
    unsigned open;
    ASK_DB(open_checks(step->subject, &open, err));
    return yes_if(open != 0);
}

enum answer has_checks(struct step *step, struct error *err)
{
    unsigned open;
    ASK_DB(open_checks(step->subject, &open, err));
    if (!open)
        return YES;
    return refuse(err, UNPROCESSABLE, "CheckOpen",
                  open & CHECK_EMAIL ? "Your account has no e-mail address yet. Whoever runs this hub sets it."
                                     : "Somebody whom you named as a member has not answered yet.");
}

static const char said_changed_sql[] =
    "SELECT 1 FROM access_request_text WHERE request_id = ? AND kind = 'changed' LIMIT 1";
static const char old_answers_sql[] = "SELECT 1 FROM access_grant g JOIN access_request r ON r.id = g.request_id "
                                      "WHERE g.id = ? AND r.answers_sha256 = ?";
static const char record_sql[] =
    "SELECT 1 FROM access_block WHERE account_id = ? AND owner_id IN (0, ?) UNION ALL "
    "SELECT 1 FROM access_grant WHERE account_id = ? AND gate_id = ? AND state = 6 LIMIT 1";

static enum status finds_row(struct stmt *row, bool *out, struct error *err)
{
    *out = stmt_next(row);
    return stmt_end(row, err);
}

/* C6: nothing has changed, and nothing was ever held against the person here. */
static enum status renews_cleanly(struct request_step *at, bool *out, struct error *err)
{
    auto_stmt struct stmt *changed = NULL, *same = NULL, *record = NULL;
    bool has_changed, is_same, has_record;
    TRY(db_prepare(at->tx, said_changed_sql, &changed, err));
    stmt_bind_int(changed, 1, at->request->id);
    TRY(finds_row(changed, &has_changed, err));
    TRY(db_prepare(at->tx, old_answers_sql, &same, err));
    stmt_bind_int(same, 1, at->request->renews_id);
    stmt_bind_blob(same, 2, at->request->answers_sha256, SHA256_SIZE);
    TRY(finds_row(same, &is_same, err));
    TRY(db_prepare(at->tx, record_sql, &record, err));
    stmt_bind_int(record, 1, at->request->applicant_id);
    stmt_bind_int(record, 2, at->gate.owner_id);
    stmt_bind_int(record, 3, at->request->applicant_id);
    stmt_bind_int(record, 4, at->gate.id);
    TRY(finds_row(record, &has_record, err));
    *out = !has_changed && is_same && !has_record && at->policy.risk <= 2;
    return OK;
}

static enum status rule_says_yes(struct request_step *at, int64_t at_us, bool *out, struct error *err)
{
    auto_json json_t *answers = NULL;
    struct account applicant;
    *out = at->policy.mode == MODE_CLICK && at->policy.risk <= 1;
    if (at->policy.mode != MODE_RULE || at->policy.risk > 1)
        return OK;
    TRY(request_answers(at->tx, at->request->id, &answers, err));
    TRY(account_get(at->tx, at->arena, at->request->applicant_id, &applicant, err));
    *out = policy_rules_hold(&at->policy, answers, &applicant, at_us);
    return OK;
}

/* The seed of the month chooses the cases that a human looks at although the rule says yes (C9.4). */
static enum status is_sampled(struct request_step *at, int64_t at_us, bool *out, struct error *err)
{
    uint8_t seed[SHA256_SIZE];
    *out = false;
    if (at->policy.second_rate_ppm == 0)
        return OK;
    TRY(seed_get(at->tx, seed_month(at->arena, at_us), seed, err));
    *out = draw_place(seed, at->request->id, at->request->cycle) < at->policy.second_rate_ppm;
    return OK;
}

enum answer may_clear(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    bool says = false, sampled = false;
    ASK_DB(at->request->renews_id ? renews_cleanly(at, &says, err) : rule_says_yes(at, step->now_us, &says, err));
    if (says)
        ASK_DB(is_sampled(at, step->now_us, &sampled, err));
    return yes_if(says && !sampled);
}

enum answer wait_is_over(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    return step->now_us >= at->request->due_us
               ? YES
               : refuse(err, UNPROCESSABLE, "NotYet", "The applicant still has time to answer.");
}

/* Deciding. */

/* Reviewers act on what was assigned to them (review.c has checked that); an owner only where nobody else judges. */
enum answer may_judge(struct step *step, struct error *err)
{
    if (step->by != BY_OWNER)
        return YES;
    enum answer alone = review_owner_decides_alone(step, err);
    return alone == NO ? refuse(err, CONFLICT, "ReviewDecides",
                                "This gate has reviewers: they decide its requests, and nobody else does.")
                       : alone;
}

static enum answer decides(struct step *step, enum outcome outcome, struct error *err)
{
    struct request_step *at = step->subject;
    if (at->request->outcome != outcome)
        return NO;
    ALL_OF(may_judge(step, err));
    return outcome == OUTCOME_APPROVE ? texts_accepted(at, step->now_us, false, err) : YES;
}

enum answer approves(struct step *step, struct error *err)
{
    return decides(step, OUTCOME_APPROVE, err);
}

enum answer refuses(struct step *step, struct error *err)
{
    return decides(step, OUTCOME_REFUSE, err);
}

enum answer second_differs(struct step *step, struct error *err)
{
    enum answer agrees = review_agrees(step, err);
    return agrees == REFUSED ? REFUSED : yes_if(agrees == NO);
}

static enum answer third_decides(struct step *step, enum outcome outcome, struct error *err)
{
    ALL_OF(review_other_adjudicator(step, err));
    return decides(step, outcome, err);
}

enum answer third_approves(struct step *step, struct error *err)
{
    return third_decides(step, OUTCOME_APPROVE, err);
}

enum answer third_refuses(struct step *step, struct error *err)
{
    return third_decides(step, OUTCOME_REFUSE, err);
}

enum answer silence_approves(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    if (!at->policy.silence_approves || at->policy.risk > 1 || step->now_us < at->request->due_us)
        return NO;
    return texts_accepted(at, step->now_us, false, err);
}

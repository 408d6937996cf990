/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the rows of the request machine do, after the state is stored. */
#include "base/time.h"
#include "gate/guards.h"
#include "gate/internal.h"
#include "gate/review_internal.h"
#include "grant/grant.h"
#include "notice/notice.h"
#include "terms/terms.h"
#include <stdarg.h>

/* Telling people. */

static struct str what_for(struct request_step *at)
{
    struct repo repo;
    if (gate_any_repo(at->tx, at->arena, at->gate.id, &repo, NULL) != OK)
        return STR("a repo that is gone");
    return str_given(at->gate.slug) ? arena_printf(at->arena, "%.*s and what is gated with it", STR_ARG(repo.full_name))
                                    : repo.full_name;
}

static enum status tell_applicant(struct request_step *at, const char *kind, int64_t due_us, struct str text,
                                  struct error *err)
{
    struct repo repo = {0};
    gate_any_repo(at->tx, at->arena, at->gate.id, &repo, NULL);
    const struct notice notice = {at->request->applicant_id, repo.id, kind, text, due_us};
    return notice_add(at->tx, &notice, err);
}

enum status tell_member(struct db_conn *tx, struct arena *arena, const struct gate *gate, struct str applicant,
                        int64_t member_id, struct error *err)
{
    struct repo repo = {.full_name = STR("a repo")};
    gate_any_repo(tx, arena, gate->id, &repo, NULL);
    const struct notice notice = {
        member_id, repo.id, "request.member",
        arena_printf(arena,
                     "%.*s asks for access to %.*s for a group that you are named in. Say whether you want to be: POST "
                     "its access-request/join with {\"accept\": true or false}. Each member has a grant of the own.",
                     STR_ARG(applicant), STR_ARG(repo.full_name)),
        0};
    return notice_add(tx, &notice, err);
}

/* Grants. */

static const char live_sql[] =
    "SELECT id, state FROM access_grant WHERE gate_id = ? AND account_id = ? AND purpose = ? AND state <= 3";

enum status live_grant(struct db_conn *conn, const struct access_request *request, int64_t account_id, int64_t *id,
                       int64_t *state, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, live_sql, &row, err));
    stmt_bind_int(row, 1, request->gate_id);
    stmt_bind_int(row, 2, account_id);
    stmt_bind_str(row, 3, request->purpose);
    bool found = stmt_next(row);
    *id = found ? stmt_int(row, 0) : 0;
    *state = found ? stmt_int(row, 1) : 0;
    return stmt_end(row, err);
}

static struct grant_new grant_for(const struct step *step, int64_t account_id)
{
    const struct request_step *at = step->subject;
    bool import = step->event == REQUEST_ADD && step->by == BY_RULE;
    int64_t life_us = at->request->grant_us ? at->request->grant_us : at->policy.grant_us;
    return (struct grant_new){
        .gate_id = at->gate.id,
        .account_id = account_id,
        .purpose = at->request->purpose,
        .request_id = at->request->id,
        .expires_us = life_us ? step->now_us + life_us : 0,
        .by_id = step->actor_id,
        .basis = import                          ? "import"
                 : step->event == REQUEST_UPHOLD ? "appeal"
                 : step->by == BY_OWNER          ? "owner"
                 : step->by == BY_REVIEWER       ? "review"
                                                 : "rule",
        .policy = at->policy.sha256,
        .renew_us = at->policy.renew_us,
    };
}

static enum status grant_to_applicant(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    struct grant_new what = grant_for(step, at->request->applicant_id);
    int64_t id, state;
    if (at->request->renews_id)
        return grant_renew(at->tx, at->request->renews_id, &what, &id, err);
    TRY(live_grant(at->tx, at->request, at->request->applicant_id, &id, &state, err));
    if (!id)
        return grant_open(at->tx, &what, &id, err);
    if (state != GRANT_SUSPENDED)
        return OK;
    return grant_do(at->tx, id, GRANT_RESUME, step->by, step->actor_id, STR(GRANT_REOPENED), STR(""), 0, err);
}

static enum status grant_to_member(struct step *step, int64_t account_id, struct error *err)
{
    struct request_step *at = step->subject;
    struct grant_new what = grant_for(step, account_id);
    int64_t id, state;
    TRY(live_grant(at->tx, at->request, account_id, &id, &state, err));
    return id ? OK : grant_open(at->tx, &what, &id, err);
}

enum status request_admit_member(struct db_conn *tx, struct arena *arena, struct access_request *request,
                                 int64_t account_id, const json_t *terms, struct error *err)
{
    struct request_step at = {.tx = tx, .arena = arena, .request = request};
    struct step step = {.subject = &at, .event = REQUEST_CLEAR, .by = BY_RULE, .now_us = now_us()};
    struct terms_acceptance acceptance = {.account_id = account_id,
                                          .gate_id = request->gate_id,
                                          .request_id = request->id,
                                          .method = "api",
                                          .accepted = terms};
    TRY(gate_get(tx, arena, request->gate_id, &at.gate, err));
    TRY(gate_policy_get(tx, arena, &at.gate, request->policy_seq, &at.policy, err));
    if (json_array_size(terms))
        TRY(terms_accept(tx, &acceptance, err));
    return request->state == REQUEST_APPROVED ? grant_to_member(&step, account_id, err) : OK;
}

static const char joined_sql[] = "SELECT account_id FROM access_request_member WHERE request_id = ? AND state = 1";

static enum status grant_to_members(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    auto_stmt struct stmt *row = NULL;
    int64_t ids[MEMBERS_MOST];
    size_t count = 0;
    TRY(db_prepare(at->tx, joined_sql, &row, err));
    stmt_bind_int(row, 1, at->request->id);
    while (count < MEMBERS_MOST && stmt_next(row))
        ids[count++] = stmt_int(row, 0);
    TRY(stmt_end(row, err));
    for (size_t i = 0; i < count; i++)
        TRY(grant_to_member(step, ids[i], err));
    return OK;
}

static enum status write_reason(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    return step->text.len ? request_write(at->tx, at->request, "reason", step->actor_id, step->text, err) : OK;
}

enum status let_in(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    TRY(write_reason(step, err));
    TRY(grant_to_applicant(step, err));
    TRY(grant_to_members(step, err));
    return tell_applicant(
        at, "request.approved", 0,
        arena_printf(at->arena, "You have access to %.*s. GET /api/grants shows until when.", STR_ARG(what_for(at))),
        err);
}

enum status tell_refused(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    struct str code = step->code.len ? step->code : STR("refused");
    struct str text = step->text.len ? step->text : STR("Your access was looked at again and has ended.");
    int64_t id, state;
    TRY(write_reason(step, err));
    TRY(live_grant(at->tx, at->request, at->request->applicant_id, &id, &state, err));
    if (id && !at->request->renews_id)
        TRY(grant_do(at->tx, id, GRANT_REVOKE, step->by, step->actor_id, code, text, 0, err));
    int64_t appeal = step->now_us + at->policy.appeal_us;
    return tell_applicant(
        at, "request.refused", appeal,
        arena_printf(at->arena,
                     "Your request for access to %.*s was refused (%.*s). %.*s You can appeal until %.*s, or "
                     "ask again from %.*s on.",
                     STR_ARG(what_for(at)), STR_ARG(code), STR_ARG(str_slice(step->text, 0, 2000)),
                     STR_ARG(time_iso(at->arena, appeal)),
                     STR_ARG(time_iso(at->arena, step->now_us + at->policy.reapply_us))),
        err);
}

/* Screening: what the published rules say of a request, in this order. */

static enum status screen(struct request_step *at, int64_t at_us, struct error *err)
{
    static const struct {
        enum request_event event;
        machine_guard *fits;
    } rules[] = {{REQUEST_BAR, is_barred}, {REQUEST_MISSING, lacks_checks}, {REQUEST_CLEAR, may_clear}};
    struct step probe = {.machine = &request_machine, .subject = at, .by = BY_RULE, .now_us = at_us};
    enum request_event event = REQUEST_HUMAN;
    for (size_t i = 0; i < sizeof rules / sizeof *rules && event == REQUEST_HUMAN; i++) {
        enum answer answer = rules[i].fits(&probe, err);
        if (answer == REFUSED)
            return err->status;
        if (answer == YES)
            event = rules[i].event;
    }
    bool bar = event == REQUEST_BAR;
    return request_do(at->tx, at->arena, at->request, event, BY_RULE, 0, bar ? STR("territory") : STR(""),
                      bar ? STR("Who publishes this gives no access in the country that you declared.") : STR(""), err);
}

static const char keep_form_sql[] = "INSERT INTO gate_form (sha256, body) VALUES (?, ?) ON CONFLICT DO NOTHING";

static enum status keep_form(struct request_step *at, struct error *err)
{
    auto_stmt struct stmt *keep = NULL;
    TRY(db_prepare(at->tx, keep_form_sql, &keep, err));
    stmt_bind_blob(keep, 1, at->policy.form.sha256, SHA256_SIZE);
    stmt_bind_str(keep, 2, at->policy.form.text);
    return stmt_run(keep, err);
}

enum status write_answers(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    return request_write(at->tx, at->request, "answers", step->actor_id, step->text, err);
}

enum status begin_screening(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    TRY(write_answers(step, err));
    TRY(keep_form(step->subject, err));
    TRY(requests_told(at->tx, at->request->id, at->gate.terms_epoch, err));
    TRY(seeds_make(at->tx, at->arena, step->now_us, err)); /* which screening may ask for */
    return screen(step->subject, step->now_us, err);
}

enum status screen_again(struct step *step, struct error *err)
{
    return screen(step->subject, step->now_us, err);
}

enum status tell_missing(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    return tell_applicant(
        at, "request.check", at->request->due_us,
        arena_printf(at->arena,
                     "Something is missing for your request for access to %.*s: GET its access-request says "
                     "what. Without it the request lapses on %.*s; that is no refusal.",
                     STR_ARG(what_for(at)), STR_ARG(time_iso(at->arena, at->request->due_us))),
        err);
}

/* Between applicant and reviewers. */

enum status write_question(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    TRY(request_write(at->tx, at->request, "question", step->actor_id, step->text, err));
    return tell_applicant(
        at, "request.question", at->request->due_us,
        arena_printf(at->arena,
                     "There is a question about your request for access to %.*s. Answer it until %.*s, or the "
                     "request lapses; that is no refusal.",
                     STR_ARG(what_for(at)), STR_ARG(time_iso(at->arena, at->request->due_us))),
        err);
}

enum status tell_lapsed(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    return tell_applicant(
        at, "request.lapsed", 0,
        arena_printf(at->arena,
                     "Your request for access to %.*s has lapsed, since an answer was missing for 14 days. That "
                     "is no refusal: you can ask again at any time.",
                     STR_ARG(what_for(at))),
        err);
}

/* A case that had been opened again leaves nothing suspended behind when it just ends: what is not allowed any more is
 * over. */
enum status end_case(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    int64_t id, state;
    TRY(live_grant(at->tx, at->request, at->request->applicant_id, &id, &state, err));
    if (!id || at->request->renews_id || state != GRANT_SUSPENDED)
        return OK;
    return grant_do(at->tx, id, GRANT_REVOKE, BY_RULE, 0, STR(GRANT_REOPENED),
                    STR("The case about this access ended without a decision."), 0, err);
}

enum status end_void(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    TRY(end_case(step, err));
    return tell_applicant(at, "request.void", 0,
                          arena_printf(at->arena,
                                       "Your request for access to %.*s is void: nobody is let in there any more.",
                                       STR_ARG(what_for(at))),
                          err);
}

enum status tell_terms(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    (void)step;
    return tell_applicant(
        at, "request.terms", 0,
        arena_printf(at->arena,
                     "A text that you accepted with your request for access to %.*s has a new version. Accept it, "
                     "so that your request can be approved: GET its gate shows it.",
                     STR_ARG(what_for(at))),
        err);
}

/* Once more. */

enum status reapply(struct step *step, struct error *err)
{
    TRY(write_answers(step, err));
    TRY(keep_form(step->subject, err));
    return review_begin(step, err);
}

enum status reopen(struct step *step, struct error *err)
{
    struct request_step *at = step->subject;
    struct str text = step->text.len ? step->text : STR("Your access is looked at again.");
    int64_t id, state;
    TRY(live_grant(at->tx, at->request, at->request->applicant_id, &id, &state, err));
    if (id)
        TRY(grant_do(at->tx, id, GRANT_SUSPEND, step->by, step->actor_id, STR(GRANT_REOPENED), text, 0, err));
    return review_begin(step, err);
}

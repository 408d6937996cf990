/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"

/* What a reviewer does with a case: fix the scores, file the verdict, ask the applicant, step back; and what a screener
 * says of the identity. Each is one write, in which the request machine moves. */

#define NOTE_MOST 20000
#define LINE_MOST 1000
#define CODES_MOST 8
#define BODY_MOST (128 * 1024)

static enum status read_filing(struct request *rq, size_t limit, struct review_filing *out, struct error *err)
{
    json_t *body;
    TRY(request_json(rq, limit, &body, err));
    *out = (struct review_filing){
        .arena = rq->arena, .key = rq->params[0], .account_id = rq->actor.account.id, .body = body};
    request_done_reading(rq);
    return OK;
}

static enum status find_open(struct db_conn *tx, struct review_filing *filing, struct error *err)
{
    TRY(assignment_find(tx, filing->arena, filing->key, filing->account_id, &filing->assignment, err));
    if (filing->assignment.state != ASSIGNED)
        return fail(err, CONFLICT, "AlreadyFiled",
                    "This assignment has ended: you have filed it, stepped back, or somebody else has it now.");
    TRY(request_get(tx, filing->arena, filing->assignment.request_id, &filing->request, err));
    return policy_of_request(tx, filing->arena, &filing->request, &filing->gate, &filing->policy, err);
}

/* A member that must be a review of the case; the identity is a step of its own. */
static enum status find_review(struct db_conn *tx, struct review_filing *filing, struct error *err)
{
    TRY(find_open(tx, filing, err));
    return filing->assignment.slot == SLOT_SCREEN
               ? fail(err, CONFLICT, "NotForScreeners",
                      "You confirm who applies: POST /api/reviews/%.*s/identity. Others judge the case.",
                      STR_ARG(filing->key))
               : OK;
}

/* Scores. */

static const char fix_sql[] = "UPDATE review_assignment SET scores = ? WHERE id = ? AND scores IS NULL";

static enum status fix_scores(struct db_conn *tx, struct review_filing *filing, const int8_t *scores, struct error *err)
{
    auto_stmt struct stmt *fix = NULL;
    struct buf text = {0};
    struct json_writer w = jw_to(&text);
    rubric_scores_write(&filing->policy.rubric, scores, &w);
    filing->assignment.scores = arena_copy(filing->arena, buf_view(&text));
    buf_free(&text);
    TRY(db_prepare(tx, fix_sql, &fix, err));
    stmt_bind_str(fix, 1, filing->assignment.scores);
    stmt_bind_int(fix, 2, filing->assignment.id);
    return stmt_run(fix, err);
}

/* Once fixed they stay: the identity may have been seen since. */
static enum status take_scores(struct db_conn *tx, struct review_filing *filing, int8_t *scores, struct error *err)
{
    const json_t *given = json_object_get(filing->body, "scores");
    int8_t fixed[RUBRIC_CRITERIA];
    auto_json json_t *stored = NULL;
    if (!str_given(filing->assignment.scores)) {
        TRY(rubric_scores(&filing->policy.rubric, given, scores, err));
        return fix_scores(tx, filing, scores, err);
    }
    TRY(json_read(filing->assignment.scores, BODY_MOST, &stored, err));
    rubric_scores_stored(&filing->policy.rubric, stored, fixed);
    memcpy(scores, fixed, sizeof fixed);
    if (!given)
        return OK;
    TRY(rubric_scores(&filing->policy.rubric, given, scores, err));
    return memcmp(scores, fixed, filing->policy.rubric.count) == 0
               ? OK
               : fail(err, CONFLICT, "ScoresFixed", "You have fixed your scores already. Leave \"scores\" out.");
}

static enum status scores_write(struct db_conn *tx, void *context, struct error *err)
{
    struct review_filing *filing = context;
    int8_t scores[RUBRIC_CRITERIA];
    TRY(find_review(tx, filing, err));
    return take_scores(tx, filing, scores, err);
}

/* POST /api/reviews/{assignment}/scores {"scores"}: fixes them, before the verdict; who applies may show after that. */
enum status review_scores_post(struct request *rq, struct error *err)
{
    struct review_filing filing;
    TRY(read_filing(rq, BODY_MOST, &filing, err));
    TRY(body_only(filing.body, "scores", err));
    if (!json_object_get(filing.body, "scores"))
        return fail(err, INVALID, "BadScores", "\"scores\" is missing.");
    TRY(db_write(rq->hub->db, scores_write, &filing, err));
    request_reply_empty(rq);
    return OK;
}

/* The verdict. */

struct opinion {
    enum outcome outcome, recommended;
    const struct reason_code *codes[CODES_MOST];
    size_t code_count;
    struct str note, note_to_applicant, override_reason;
};

static enum status read_codes(const struct rubric *rubric, const json_t *list, struct opinion *out, struct error *err)
{
    if ((list && !json_is_array(list)) || json_array_size(list) > CODES_MOST)
        return fail(err, INVALID, "BadReasonCodes", "\"reasonCodes\" should be a list of at most %d codes.",
                    CODES_MOST);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct reason_code *code =
            rubric_code(rubric, (struct str){json_string_value(item), json_string_length(item)});
        if (!code)
            return fail(err, INVALID, "BadReasonCodes",
                        "\"reasonCodes\" names a code that the gate's rubric does not have; it lists those it has.");
        for (size_t j = 0; j < out->code_count; j++)
            if (out->codes[j] == code)
                return fail(err, INVALID, "BadReasonCodes", "\"reasonCodes\" names a code twice.");
        out->codes[out->code_count++] = code;
    }
    if (out->outcome == OUTCOME_REFUSE && out->code_count == 0)
        return fail(err, INVALID, "BadReasonCodes", "A refusal needs at least one code in \"reasonCodes\".");
    return OK;
}

static enum status read_opinion(const struct review_filing *filing, const int8_t *scores, struct opinion *out,
                                struct error *err)
{
    const json_t *body = filing->body;
    struct str outcome;
    *out = (struct opinion){.recommended = rubric_recommend(&filing->policy.rubric, scores)};
    TRY(body_text(body, "outcome", 16, true, &outcome, err));
    if (!outcome_parse(outcome, &out->outcome))
        return fail(err, INVALID, "BadOutcome", "\"outcome\" should be approve or refuse.");
    TRY(read_codes(&filing->policy.rubric, json_object_get(body, "reasonCodes"), out, err));
    TRY(body_text(body, "note", NOTE_MOST, false, &out->note, err));
    TRY(body_text(body, "noteToApplicant", NOTE_MOST, false, &out->note_to_applicant, err));
    TRY(body_text(body, "override", LINE_MOST, false, &out->override_reason, err));
    if (out->outcome != out->recommended && out->override_reason.len == 0)
        return fail(err, INVALID, "OverrideReason",
                    "By the rubric these scores mean \"%s\". To depart from it give your reason in \"override\".",
                    outcome_name(out->recommended));
    return OK;
}

static const char add_sql[] =
    "INSERT INTO review_verdict (assignment_id, gate_id, request_id, cycle, slot, account_id, scores, recommended, "
    "outcome, codes, note, note_to_applicant, override_reason, filed_us, agreed) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum status add_verdict(struct db_conn *tx, const struct review_filing *filing, const struct opinion *opinion,
                               struct error *err)
{
    const struct assignment *mine = &filing->assignment;
    auto_stmt struct stmt *add = NULL;
    auto_buf struct buf codes = {0};
    struct json_writer w = jw_to(&codes);
    jw_array(&w);
    for (size_t i = 0; i < opinion->code_count; i++)
        jw_str(&w, opinion->codes[i]->code);
    jw_end(&w);
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, mine->id);
    stmt_bind_int(add, 2, mine->gate_id);
    stmt_bind_int(add, 3, mine->request_id);
    stmt_bind_int(add, 4, mine->cycle);
    stmt_bind_int(add, 5, mine->slot);
    stmt_bind_int(add, 6, mine->account_id);
    stmt_bind_str(add, 7, mine->scores);
    stmt_bind_int(add, 8, opinion->recommended);
    stmt_bind_int(add, 9, opinion->outcome);
    stmt_bind_str(add, 10, buf_view(&codes));
    stmt_bind_str(add, 11, str_given(opinion->note) ? opinion->note : STR(""));
    stmt_bind_str(add, 12, str_given(opinion->note_to_applicant) ? opinion->note_to_applicant : STR(""));
    stmt_bind_str(add, 13, str_given(opinion->override_reason) ? opinion->override_reason : STR(""));
    stmt_bind_int(add, 14, now_us());
    if (mine->slot == SLOT_CALIBRATION && filing->request.outcome)
        stmt_bind_int(add, 15, opinion->outcome == filing->request.outcome);
    else
        stmt_bind_null(add, 15);
    return stmt_run(add, err);
}

/* What the applicant reads when this verdict decides: the sentence of each code, then what the reviewer wrote. */
static struct str decision_text(struct arena *arena, const struct opinion *opinion)
{
    struct buf text = {0};
    for (size_t i = 0; i < opinion->code_count; i++) {
        if (i)
            buf_byte(&text, ' ');
        buf_str(&text, opinion->codes[i]->text);
    }
    if (opinion->note_to_applicant.len)
        buf_printf(&text, "%s%.*s", text.len ? "\n\n" : "", STR_ARG(opinion->note_to_applicant));
    struct str copy = arena_copy(arena, buf_view(&text));
    buf_free(&text);
    return copy;
}

/* Two who judged the same case agree or not; when a third ruled, each agrees with that or not. */
static const char settle_sql[] =
    "UPDATE review_verdict SET agreed = (outcome = ?) WHERE request_id = ? AND cycle = ? AND slot <= 2 AND EXISTS "
    "(SELECT 1 FROM review_verdict s WHERE s.request_id = review_verdict.request_id AND s.cycle = review_verdict.cycle "
    "AND s.slot = 2)";

static enum status settle(struct db_conn *tx, const struct review_filing *filing, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    if (filing->request.state != REQUEST_APPROVED && filing->request.state != REQUEST_REFUSED)
        return OK;
    TRY(db_prepare(tx, settle_sql, &set, err));
    stmt_bind_int(set, 1, filing->request.outcome);
    stmt_bind_int(set, 2, filing->request.id);
    stmt_bind_int(set, 3, filing->request.cycle);
    return stmt_run(set, err);
}

enum status review_file(struct db_conn *tx, struct review_filing *filing, struct error *err)
{
    struct opinion opinion;
    int8_t scores[RUBRIC_CRITERIA];
    TRY(find_review(tx, filing, err));
    TRY(take_scores(tx, filing, scores, err));
    TRY(read_opinion(filing, scores, &opinion, err));
    TRY(add_verdict(tx, filing, &opinion, err));
    TRY(assignment_end(tx, filing->assignment.id, FILED, err));
    if (filing->assignment.slot == SLOT_CALIBRATION)
        return OK;
    filing->request.outcome = opinion.outcome;
    TRY(request_do(tx, filing->arena, &filing->request, REQUEST_VERDICT, BY_REVIEWER, filing->account_id,
                   opinion.code_count ? opinion.codes[0]->code : STR("meets-criteria"),
                   decision_text(filing->arena, &opinion), err));
    TRY(settle(tx, filing, err));
    return review_fill(tx, filing->arena, filing->gate.id, err);
}

static enum status verdict_write(struct db_conn *tx, void *context, struct error *err)
{
    return review_file(tx, context, err);
}

/* POST /api/reviews/{assignment} */
enum status review_verdict_post(struct request *rq, struct error *err)
{
    struct review_filing filing;
    TRY(read_filing(rq, BODY_MOST, &filing, err));
    TRY(body_only(filing.body, "scores outcome reasonCodes note noteToApplicant override", err));
    TRY(db_write(rq->hub->db, verdict_write, &filing, err));
    request_reply_empty(rq);
    return OK;
}

/* Asking. */

static enum status ask_write(struct db_conn *tx, void *context, struct error *err)
{
    struct review_filing *filing = context;
    struct str question;
    TRY(find_review(tx, filing, err));
    TRY(body_text(filing->body, "question", NOTE_MOST, true, &question, err));
    /* Nobody answers for a case that is decided: asking is what the reviewer would have done, and all we can learn. */
    if (filing->assignment.slot == SLOT_CALIBRATION)
        return assignment_end(tx, filing->assignment.id, ENDED, err);
    return request_do(tx, filing->arena, &filing->request, REQUEST_ASK, BY_REVIEWER, filing->account_id,
                      (struct str){0}, question, err);
}

/* POST /api/reviews/{assignment}/ask {"question"}: R7; the clock stands still until the applicant has answered. */
enum status review_ask_post(struct request *rq, struct error *err)
{
    struct review_filing filing;
    TRY(read_filing(rq, BODY_MOST, &filing, err));
    TRY(body_only(filing.body, "question", err));
    TRY(db_write(rq->hub->db, ask_write, &filing, err));
    request_reply_empty(rq);
    return OK;
}

/* Stepping back. */

static const char tie_sql[] = "INSERT INTO review_conflict (account_id, scope, scope_id, kind, found, declared_us) "
                              "VALUES (?, 'account', ?, 'recused', 0, ?) ON CONFLICT DO NOTHING";

static enum status declare_tie(struct db_conn *tx, const struct review_filing *filing, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, tie_sql, &add, err));
    stmt_bind_int(add, 1, filing->account_id);
    stmt_bind_int(add, 2, filing->request.applicant_id);
    stmt_bind_int(add, 3, now_us());
    return stmt_run(add, err);
}

static const char why_sql[] = "UPDATE review_assignment SET reason = ? WHERE id = ?";

static enum status recuse_write(struct db_conn *tx, void *context, struct error *err)
{
    struct review_filing *filing = context;
    auto_stmt struct stmt *why = NULL;
    struct str reason;
    TRY(find_open(tx, filing, err));
    TRY(body_text(filing->body, "reason", LINE_MOST, true, &reason, err));
    TRY(assignment_end(tx, filing->assignment.id, RECUSED, err));
    TRY(db_prepare(tx, why_sql, &why, err));
    stmt_bind_str(why, 1, reason);
    stmt_bind_int(why, 2, filing->assignment.id);
    TRY(stmt_run(why, err));
    if (json_get_bool(filing->body, "conflict", false))
        TRY(declare_tie(tx, filing, err));
    if (filing->assignment.slot == SLOT_CALIBRATION)
        return OK;
    return request_do(tx, filing->arena, &filing->request, REQUEST_RECUSE, BY_REVIEWER, filing->account_id,
                      (struct str){0}, (struct str){0}, err);
}

/* POST /api/reviews/{assignment}/recuse {"reason", "conflict"?}: R15; with "conflict" this applicant is never drawn for
 * them again. */
enum status review_recuse_post(struct request *rq, struct error *err)
{
    struct review_filing filing;
    TRY(read_filing(rq, BODY_MOST, &filing, err));
    TRY(body_only(filing.body, "reason conflict", err));
    TRY(db_write(rq->hub->db, recuse_write, &filing, err));
    request_reply_empty(rq);
    return OK;
}

/* The identity. */

static const char identity_sql[] = "UPDATE review_case SET identity_us = ?, identity_confirmed = ?, identity_note = ? "
                                   "WHERE request_id = ? AND cycle = ?";

static enum status identity_write(struct db_conn *tx, void *context, struct error *err)
{
    struct review_filing *filing = context;
    auto_stmt struct stmt *set = NULL;
    struct str note;
    const json_t *confirmed = json_object_get(filing->body, "confirmed");
    TRY(find_open(tx, filing, err));
    if (filing->assignment.slot != SLOT_SCREEN)
        return fail(err, FORBIDDEN, "NotTheScreener", "Who applies is confirmed by a screener, not by who judges.");
    TRY(body_text(filing->body, "note", LINE_MOST, false, &note, err));
    if (!json_is_boolean(confirmed))
        return fail(err, INVALID, NULL, "\"confirmed\" should be true or false.");
    TRY(db_prepare(tx, identity_sql, &set, err));
    stmt_bind_int(set, 1, now_us());
    stmt_bind_int(set, 2, json_is_true(confirmed));
    stmt_bind_str(set, 3, str_given(note) ? note : STR(""));
    stmt_bind_int(set, 4, filing->request.id);
    stmt_bind_int(set, 5, filing->assignment.cycle);
    TRY(stmt_run(set, err));
    return assignment_end(tx, filing->assignment.id, FILED, err);
}

/* POST /api/reviews/{assignment}/identity {"confirmed", "note"?}: by the screener; the reviewers then see who it is. */
enum status review_identity_post(struct request *rq, struct error *err)
{
    struct review_filing filing;
    TRY(read_filing(rq, BODY_MOST, &filing, err));
    TRY(body_only(filing.body, "confirmed note", err));
    TRY(db_write(rq->hub->db, identity_write, &filing, err));
    request_reply_empty(rq);
    return OK;
}

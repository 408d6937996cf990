/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/clock.h"
#include "gate/review_internal.h"
#include "router/page.h"

/*
 * The reviewer's own cases. A first and a second look, and a case for calibration, have the same page, member for
 * member: nothing in it says which one it is, not even how much time the case has left.
 */

static const char *kind_name(enum slot slot)
{
    return slot == SLOT_ADJUDICATOR ? "adjudication" : slot == SLOT_SCREEN ? "identity" : "review";
}

/* Half of what the case has, counted from the assignment, so that a second look finds room in it: the same for both. */
static int64_t due_us(const struct assignment *assignment, int risk)
{
    return clock_due(assignment->assigned_us, review_limit_us(risk) / 2);
}

static const char *state_name(const struct assignment *assignment)
{
    return assignment->state == ASSIGNED  ? "open"
           : assignment->state == FILED   ? "filed"
           : assignment->state == RECUSED ? "recused"
                                          : "ended";
}

static const char list_sql[] =
    "SELECT a.id, a.key, a.slot, a.state, a.assigned_us, r.ns || '/' || r.name FROM review_assignment a LEFT JOIN repo "
    "r ON r.id = (SELECT min(repo_id) FROM gate_repo WHERE gate_id = a.gate_id) WHERE a.account_id = ? AND a.id < ? "
    "ORDER BY a.id DESC LIMIT ?";

static enum status write_assignment(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    const struct assignment assignment = {.slot = (enum slot)stmt_int(row, 2),
                                          .state = (enum assignment_state)stmt_int(row, 3)};
    jw_object(w);
    jw_key_str(w, "id", stmt_str(row, 1));
    jw_key_str(w, "kind", str_of(kind_name(assignment.slot)));
    jw_key_str(w, "state", str_of(state_name(&assignment)));
    jw_key_str(w, "assigned", time_iso(rq->arena, stmt_int(row, 4)));
    jw_key_str(w, "repo", stmt_str(row, 5));
    jw_end(w);
    return OK;
}

/* GET /api/reviews: the actor's assignments, the newest first, a page at a time. */
enum status reviews_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, NEWEST_FIRST, write_assignment, err);
}

/* One case. */

struct page {
    struct assignment assignment;
    struct access_request request;
    struct gate gate;
    struct gate_policy policy;
    bool identity_done, confirmed, has_screener;
    struct str identity_note;
};

static const char identity_sql[] =
    "SELECT c.identity_us, c.identity_confirmed, c.identity_note, EXISTS (SELECT 1 FROM gate_reviewer r WHERE "
    "r.gate_id "
    "= c.gate_id AND r.role = 'screener') FROM review_case c WHERE c.request_id = ? AND c.cycle = ?";

static enum status read_identity(struct request *rq, struct page *page, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, identity_sql, &row, err));
    stmt_bind_int(row, 1, page->assignment.request_id);
    stmt_bind_int(row, 2, page->assignment.cycle);
    if (stmt_next(row)) {
        page->identity_done = stmt_int(row, 0) != 0;
        page->confirmed = stmt_int(row, 1) != 0;
        page->identity_note = arena_copy(rq->arena, stmt_str(row, 2));
        page->has_screener = stmt_int(row, 3) != 0;
    }
    return stmt_end(row, err);
}

static enum status read_page(struct request *rq, struct page *page, struct error *err)
{
    *page = (struct page){0};
    TRY(assignment_find(rq->db, rq->arena, rq->params[0], rq->actor.account.id, &page->assignment, err));
    TRY(request_get(rq->db, rq->arena, page->assignment.request_id, &page->request, err));
    page->request.cycle = page->assignment.cycle;
    TRY(policy_of_request(rq->db, rq->arena, &page->request, &page->gate, &page->policy, err));
    return read_identity(rq, page, err);
}

/*
 * Who the applicant is, is for the screener; for a reviewer once the screener has done that step, or, at a gate without
 * one, once their own scores are fixed; never in a calibration case; and never any more for who stepped back.
 */
static bool sees_identity(const struct page *page)
{
    const struct assignment *mine = &page->assignment;
    if (mine->state != ASSIGNED && mine->state != FILED)
        return false;
    switch (mine->slot) {
    case SLOT_SCREEN:
        return true;
    case SLOT_CALIBRATION:
        return false;
    default:
        return page->has_screener ? page->identity_done : str_given(mine->scores);
    }
}

static void write_verdict(const struct verdict *verdict, struct json_writer *w)
{
    jw_object(w);
    jw_key_str(w, "reviewer", verdict->alias);
    jw_key(w, "scores");
    jw_raw(w, verdict->scores);
    jw_key_str(w, "recommended", str_of(outcome_name(verdict->recommended)));
    jw_key_str(w, "outcome", str_of(outcome_name(verdict->outcome)));
    jw_key(w, "reasonCodes");
    jw_raw(w, verdict->codes);
    jw_key_str(w, "note", verdict->note);
    jw_key_str(w, "override", verdict->override_reason);
    jw_end(w);
}

/* Others' verdicts unlock when one's own is filed and none is waited for; who has to rule sees both before. */
static enum status write_others(struct request *rq, const struct page *page, struct json_writer *w, struct error *err)
{
    const struct assignment *mine = &page->assignment;
    bool over = page->request.state > REQUEST_ADJUDICATION || page->request.state == REQUEST_ADJUDICATION;
    bool open = mine->slot == SLOT_ADJUDICATOR || (mine->state == FILED && over && mine->slot <= SLOT_SECOND);
    if (!open) {
        jw_null(w);
        return OK;
    }
    jw_array(w);
    for (enum slot slot = SLOT_PRIMARY; slot <= SLOT_ADJUDICATOR; slot++) {
        struct verdict verdict;
        enum status status =
            slot == mine->slot ? NOT_FOUND : verdict_of(rq->db, rq->arena, &page->request, slot, &verdict, err);
        if (status == OK)
            write_verdict(&verdict, w);
        else if (status != NOT_FOUND)
            return status;
    }
    jw_end(w);
    return OK;
}

static enum status write_own(struct request *rq, const struct page *page, struct json_writer *w, struct error *err)
{
    struct verdict verdict;
    enum status status = verdict_get(rq->db, rq->arena, page->assignment.id, &verdict, err);
    if (status == OK)
        write_verdict(&verdict, w);
    else if (status == NOT_FOUND)
        jw_null(w);
    else
        return status;
    return OK;
}

/* Once it is filed it may be told what it was; before, the member is there and null as in every case. */
static enum status write_calibration(struct request *rq, const struct page *page, struct json_writer *w,
                                     struct error *err)
{
    struct verdict verdict;
    if (page->assignment.slot != SLOT_CALIBRATION || page->assignment.state != FILED) {
        jw_null(w);
        return OK;
    }
    TRY(verdict_get(rq->db, rq->arena, page->assignment.id, &verdict, err));
    jw_object(w);
    jw_key_str(w, "decided", str_of(outcome_name(page->request.outcome)));
    jw_key_bool(w, "agrees", verdict.outcome == page->request.outcome);
    jw_end(w);
    return OK;
}

static enum status write_page(struct request *rq, const struct page *page, struct json_writer *w, struct error *err)
{
    const struct assignment *mine = &page->assignment;
    jw_object(w);
    jw_key_str(w, "id", mine->key);
    jw_key_str(w, "kind", str_of(kind_name(mine->slot)));
    jw_key_str(w, "state", str_of(state_name(mine)));
    jw_key_str(w, "you", mine->alias);
    jw_key_str(w, "assigned", time_iso(rq->arena, mine->assigned_us));
    jw_key_str(w, "due", time_iso(rq->arena, due_us(mine, page->policy.risk)));
    jw_key(w, "case");
    TRY(case_write(rq->db, rq->arena, &page->request, sees_identity(page), w, err));
    jw_key(w, "identity");
    if (page->identity_done && sees_identity(page)) {
        jw_object(w);
        jw_key_bool(w, "confirmed", page->confirmed);
        jw_key_str(w, "note", page->identity_note);
        jw_end(w);
    } else
        jw_null(w);
    jw_key(w, "rubric");
    rubric_write(&page->policy.rubric, w);
    jw_key(w, "precedents");
    TRY(precedents_write(rq->db, rq->arena, &page->request, &page->policy.rubric, mine, w, err));
    jw_key(w, "scores");
    if (str_given(mine->scores))
        jw_raw(w, mine->scores);
    else
        jw_null(w);
    jw_key(w, "verdict");
    TRY(write_own(rq, page, w, err));
    jw_key(w, "others");
    TRY(write_others(rq, page, w, err));
    jw_key(w, "calibration");
    TRY(write_calibration(rq, page, w, err));
    jw_end(w);
    return OK;
}

struct touch {
    struct assignment assignment;
    int64_t at_us;
};

static const char touch_sql[] = "UPDATE review_assignment SET touched_us = ? WHERE id = ? AND touched_us = 0";
static const char case_touch_sql[] =
    "UPDATE review_case SET touched_us = ?, touched_work_us = ? WHERE request_id = ? AND cycle = ? AND touched_us = 0";

/* The first look stops the clock of the first look; what the case used until then is what the figures tell. */
static enum status touch(struct db_conn *tx, void *context, struct error *err)
{
    const struct touch *touch = context;
    const struct assignment *mine = &touch->assignment;
    auto_stmt struct stmt *one = NULL, *whole = NULL;
    auto_arena struct arena arena = {0};
    struct access_request request;
    TRY(db_prepare(tx, touch_sql, &one, err));
    stmt_bind_int(one, 1, touch->at_us);
    stmt_bind_int(one, 2, mine->id);
    TRY(stmt_run(one, err));
    if (mine->slot == SLOT_CALIBRATION)
        return OK;
    TRY(request_get(tx, &arena, mine->request_id, &request, err));
    int64_t used =
        request.clock_used_us + (request.clock_since_us ? clock_worked(request.clock_since_us, touch->at_us) : 0);
    TRY(db_prepare(tx, case_touch_sql, &whole, err));
    stmt_bind_int(whole, 1, touch->at_us);
    stmt_bind_int(whole, 2, used);
    stmt_bind_int(whole, 3, mine->request_id);
    stmt_bind_int(whole, 4, mine->cycle);
    return stmt_run(whole, err);
}

/* GET /api/reviews/{assignment} */
enum status review_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct page page;
    TRY(read_page(rq, &page, err));
    TRY(write_page(rq, &page, &w, err));
    if (page.assignment.state == ASSIGNED && !page.assignment.touched_us) {
        struct touch first = {page.assignment, now_us()};
        request_done_reading(rq);
        TRY(db_write(rq->hub->db, touch, &first, err));
    }
    request_reply_json(rq, &body);
    return OK;
}

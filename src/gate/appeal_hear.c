/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/review_internal.h"

/* How a panel hears an appeal: a first look at the case, then the reasons, then a vote that answers each ground. */

#define TEXT_MOST 20000
#define BODY_MOST (256 * 1024)
#define DAYS_MOST 3650

static enum status find_hearing(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err)
{
    TRY(appeal_find(tx, hearing->arena, hearing->key, &hearing->appeal, err));
    TRY(seat_of(tx, hearing->arena, &hearing->appeal, hearing->actor_id, &hearing->seat, err));
    if (hearing->appeal.state != APPEAL_PANEL || hearing->seat.state != SEATED)
        return fail(err, CONFLICT, "AlreadyVoted", "You have voted, or this appeal is decided.");
    return OK;
}

static enum status read_vote(const json_t *body, struct str *out, struct error *err)
{
    TRY(body_text(body, "outcome", 16, true, out, err));
    if (str_eq(*out, STR("uphold")) || str_eq(*out, STR("vary")) || str_eq(*out, STR("dismiss")) ||
        str_eq(*out, STR("remand")))
        return OK;
    return fail(err, INVALID, "BadOutcome", "\"outcome\" should be uphold, vary, dismiss or remand.");
}

static const char look_sql[] =
    "UPDATE appeal_seat SET first = ?, first_note = ? WHERE appeal_id = ? AND account_id = ? AND first = ''";

enum status appeal_look(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    struct str outcome, note;
    TRY(find_hearing(tx, hearing, err));
    TRY(read_vote(hearing->body, &outcome, err));
    TRY(body_text(hearing->body, "note", TEXT_MOST, false, &note, err));
    TRY(db_prepare(tx, look_sql, &set, err));
    stmt_bind_str(set, 1, outcome);
    stmt_bind_str(set, 2, str_given(note) ? note : STR(""));
    stmt_bind_int(set, 3, hearing->appeal.id);
    stmt_bind_int(set, 4, hearing->actor_id);
    TRY(stmt_run(set, err));
    return db_changes(tx) ? OK : fail(err, CONFLICT, "AlreadyLooked", "You have filed your first look already.");
}

static enum status look_write(struct db_conn *tx, void *context, struct error *err)
{
    return appeal_look(tx, context, err);
}

static enum status hear(struct request *rq, const char *members, db_write_fn *write, struct error *err)
{
    struct appeal_hearing hearing = {.arena = rq->arena, .key = rq->params[0], .actor_id = rq->actor.account.id};
    json_t *body;
    TRY(request_json(rq, BODY_MOST, &body, err));
    TRY(body_only(body, members, err));
    hearing.body = body;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, write, &hearing, err));
    request_reply_empty(rq);
    return OK;
}

/* POST /api/appeals/{appeal}/first-look {"outcome", "note"?}: what one thinks of the case before seeing the reasons. */
enum status appeal_look_post(struct request *rq, struct error *err)
{
    return hear(rq, "outcome note", look_write, err);
}

/* An answer to each ground, no more and no fewer. */
static enum status read_answers(struct appeal_hearing *hearing, struct str *out, struct error *err)
{
    const json_t *list = json_object_get(hearing->body, "answers");
    auto_json json_t *grounds = NULL;
    bool seen[GROUNDS_MOST] = {false};
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    TRY(json_read(hearing->appeal.grounds, BODY_MOST, &grounds, err));
    if (!json_is_array(list) || json_array_size(list) != json_array_size(grounds))
        return fail(err, INVALID, "AnswerEachGround", "\"answers\" should answer each of the %zu grounds.",
                    json_array_size(grounds));
    jw_array(&w);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        int64_t ground = json_get_int(item, "ground", -1);
        struct str words;
        if (ground < 0 || ground >= (int64_t)json_array_size(grounds) || seen[ground])
            return fail(err, INVALID, "AnswerEachGround",
                        "Each answer's \"ground\" should be the number of a ground, from 0, once.");
        seen[ground] = true;
        TRY(body_only(item, "ground text", err));
        TRY(body_text(item, "text", TEXT_MOST, true, &words, err));
        jw_object(&w);
        jw_key_int(&w, "ground", ground);
        jw_key_str(&w, "text", words);
        jw_end(&w);
    }
    jw_end(&w);
    *out = arena_copy(hearing->arena, buf_view(&text));
    return OK;
}

static const char vote_sql[] =
    "UPDATE appeal_seat SET state = 2, vote = ?, days = ?, answers = ?, text = ?, voted_us = "
    "? WHERE appeal_id = ? AND account_id = ? AND state = 1";

static enum status add_vote(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    struct str outcome, answers, text;
    int64_t days = json_get_int(hearing->body, "days", 0);
    TRY(read_vote(hearing->body, &outcome, err));
    TRY(read_answers(hearing, &answers, err));
    TRY(body_text(hearing->body, "text", TEXT_MOST, true, &text, err));
    bool vary = str_eq(outcome, STR("vary"));
    if (vary ? days < 1 || days > DAYS_MOST : json_object_get(hearing->body, "days") != NULL)
        return fail(err, INVALID, "BadDays", "\"days\" goes with \"vary\": from 1 to %d.", DAYS_MOST);
    TRY(db_prepare(tx, vote_sql, &set, err));
    stmt_bind_str(set, 1, outcome);
    stmt_bind_int(set, 2, days);
    stmt_bind_str(set, 3, answers);
    stmt_bind_str(set, 4, text);
    stmt_bind_int(set, 5, now_us());
    stmt_bind_int(set, 6, hearing->appeal.id);
    stmt_bind_int(set, 7, hearing->actor_id);
    return stmt_run(set, err);
}

enum status appeal_vote(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err)
{
    struct appeal *appeal = &hearing->appeal;
    struct appeal_step at = {.tx = tx, .arena = hearing->arena, .appeal = appeal};
    struct str text;
    bool decided;
    TRY(find_hearing(tx, hearing, err));
    if (!hearing->seat.looked)
        return fail(err, CONFLICT, "FirstLook",
                    "First say what you think of the case: POST /api/appeals/%.*s/first-look. Then you see the reasons "
                    "of the decision, and vote.",
                    STR_ARG(hearing->key));
    TRY(add_vote(tx, hearing, err));
    TRY(panel_count(&at, &decided, &text, err));
    return decided ? appeal_do(tx, hearing->arena, appeal, APPEAL_DECIDE, appeal->board ? BY_BOARD : BY_REVIEWER,
                               hearing->actor_id, text, err)
                   : OK;
}

static enum status vote_write(struct db_conn *tx, void *context, struct error *err)
{
    return appeal_vote(tx, context, err);
}

static const char leave_sql[] = "UPDATE appeal_seat SET state = 3 WHERE appeal_id = ? AND account_id = ?";

enum status appeal_step_out(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(find_hearing(tx, hearing, err));
    TRY(db_prepare(tx, leave_sql, &set, err));
    stmt_bind_int(set, 1, hearing->appeal.id);
    stmt_bind_int(set, 2, hearing->actor_id);
    TRY(stmt_run(set, err));
    return appeal_do(tx, hearing->arena, &hearing->appeal, APPEAL_STEP_OUT,
                     hearing->appeal.board ? BY_BOARD : BY_REVIEWER, hearing->actor_id, (struct str){0}, err);
}

static enum status step_out_write(struct db_conn *tx, void *context, struct error *err)
{
    return appeal_step_out(tx, context, err);
}

/* POST /api/appeals/{appeal} {"outcome", "answers": [{"ground", "text"}], "text", "days"?} */
enum status appeal_vote_post(struct request *rq, struct error *err)
{
    return hear(rq, "outcome answers text days", vote_write, err);
}

/* POST /api/appeals/{appeal}/recuse {}: somebody else is drawn. */
enum status appeal_recuse_post(struct request *rq, struct error *err)
{
    return hear(rq, "", step_out_write, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What everybody may know of the rules, what a person sees of the own cases, and what administrators decide. */
#include "base/time.h"
#include "misuse/internal.h"
#include "router/page.h"
#include "signin/signin.h"

#define TEXT_MOST 20000

/* GET /api/misuse/signals */
enum status signals_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    (void)err;
    jw_object(&w);
    jw_key(&w, "signals");
    jw_array(&w);
    for (int i = 0; i < SIGNALS; i++) {
        jw_object(&w);
        jw_key_str(&w, "code", str_of(signal_specs[i].code));
        jw_key_str(&w, "words", str_of(signal_specs[i].words));
        jw_key_int(&w, "moreThan", signal_specs[i].threshold);
        jw_key_str(&w, "of", str_of(signal_specs[i].unit));
        jw_key_int(&w, "points", signal_specs[i].points);
        jw_end(&w);
    }
    jw_end(&w);
    jw_key_int(&w, "halveInDays", 7);
    jw_key(&w, "steps");
    jw_array(&w);
    for (int i = LEVEL_ASK; i < LEVELS; i++) {
        jw_object(&w);
        jw_key_str(&w, "code", str_of(level_specs[i].code));
        jw_key_int(&w, "points", level_specs[i].points);
        jw_key_str(&w, "words", str_of(level_specs[i].words));
        jw_end(&w);
    }
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Cases. */

static bool is_board(const struct actor *actor)
{
    return actor->account.is_admin && actor->key_role == ROLE_ADMIN && !actor->hold;
}

static void write_signals(struct json_writer *w, struct str rest)
{
    struct str code;
    jw_key(w, "signals");
    jw_array(w);
    while (str_given(rest) && str_cut(&rest, ',', &code)) {
        int signal = signal_named(code);
        jw_object(w);
        jw_key_str(w, "code", code);
        if (signal >= 0)
            jw_key_str(w, "words", str_of(signal_specs[signal].words));
        jw_end(w);
    }
    jw_end(w);
}

static void write_case(struct request *rq, const struct misuse_case *of, struct json_writer *w)
{
    bool mine = of->account_id == rq->actor.account.id;
    jw_object(w);
    jw_key_int(w, "id", of->id);
    jw_key_str(w, "state", str_of(misuse_machine.states[of->state].name));
    jw_key_str(w, "shown", str_of(misuse_machine.states[of->state].shown));
    jw_key_str(w, "user", of->user);
    if (mine && str_given(of->key_name))
        jw_key_str(w, "key", of->key_name);
    write_signals(w, of->signals);
    jw_key_int(w, "points", of->points);
    jw_key_str(w, "opened", time_iso(rq->arena, of->opened_us));
    jw_key_str(w, "changed", time_iso(rq->arena, of->changed_us));
    if (of->due_us)
        jw_key_str(w, "due", time_iso(rq->arena, of->due_us));
    if (of->appealed_us)
        jw_key_str(w, "appeal", of->appeal);
    if (of->answer.len)
        jw_key_str(w, "answer", of->answer);
    jw_key_bool(w, "mayConfirm", mine && of->state == CASE_ASKED);
    jw_key_bool(w, "mayAppeal", mine && of->state <= CASE_BARRED && !of->appealed_us);
    jw_end(w);
}

static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    struct misuse_case of;
    TRY(case_get(rq->db, rq->arena, stmt_int(row, 0), &of, err));
    write_case(rq, &of, w);
    return OK;
}

static const char mine_sql[] = "SELECT id FROM misuse_case WHERE account_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
static const char open_sql[] = "SELECT id FROM misuse_case WHERE state <= ? AND id < ? ORDER BY id DESC LIMIT ?";

/* GET /api/misuse: the caller's; ?open=true: for administrators, all on which something may be decided. */
enum status cases_get(struct request *rq, struct error *err)
{
    bool open = request_query_true(rq, "open");
    if (open && !is_board(&rq->actor))
        return fail(err, FORBIDDEN, NULL, "That takes an administrator of the hub, with a key of role admin.");
    return page_list(rq, open ? open_sql : mine_sql, open ? CASE_BARRED : rq->actor.account.id, NEWEST_FIRST, write_row,
                     err);
}

/* Deeds. */

struct deed {
    struct arena *arena;
    int64_t id, actor_id;
    enum case_event event;
    enum mover by;
    struct str text;
    struct misuse_case of;
};

static enum status do_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct deed *deed = context;
    TRY(case_get(tx, deed->arena, deed->id, &deed->of, err));
    if (deed->by == BY_HOLDER && deed->of.account_id != deed->actor_id)
        return fail(err, NOT_FOUND, NULL, "There is no such case of yours.");
    return case_do(tx, &deed->of, deed->event, deed->by, deed->actor_id, deed->text, err);
}

static enum status do_deed(struct request *rq, struct str id, struct deed *deed, struct error *err)
{
    deed->arena = rq->arena;
    deed->actor_id = rq->actor.account.id;
    if (!str_to_i64(id, &deed->id))
        return fail(err, NOT_FOUND, NULL, "There is no such case of yours.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, do_in_write, deed, err));
    if (deed->of.state == CASE_LIFTED)
        look_forget(deed->of.key_id);
    return OK;
}

static enum status do_it(struct request *rq, struct deed *deed, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(do_deed(rq, rq->params[0], deed, err));
    write_case(rq, &deed->of, &w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status check_text(struct str text, struct error *err)
{
    return text.len && text.len <= TEXT_MOST && str_is_utf8(text)
               ? OK
               : fail(err, INVALID, NULL, "\"text\" is needed: why, in 1 to %d bytes.", TEXT_MOST);
}

/* POST /api/misuse/{id}/confirm: it was the person, who has just signed in. */
enum status case_confirm(struct request *rq, struct error *err)
{
    struct deed deed = {.event = CASE_CONFIRM, .by = BY_HOLDER};
    TRY(require_fresh(rq, err));
    return do_it(rq, &deed, err);
}

/* POST /api/misuse/{id}/appeal {"text"}: with the suspended key too, as it may be all that the person has. */
enum status case_appeal(struct request *rq, struct error *err)
{
    struct deed deed = {.event = CASE_APPEAL, .by = BY_HOLDER};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    deed.text = json_get_str(body, "text");
    TRY(check_text(deed.text, err));
    return do_it(rq, &deed, err);
}

enum status case_said(struct request *rq, struct str id, bool confirms, struct str text, struct error *err)
{
    struct deed deed = {.event = confirms ? CASE_CONFIRM : CASE_APPEAL, .by = BY_HOLDER, .text = text};
    TRY(confirms ? require_fresh(rq, err) : check_text(text, err));
    return do_deed(rq, id, &deed, err);
}

/* POST /api/misuse/{id} {"decision": "lift"|"uphold", "text"} */
enum status case_decide(struct request *rq, struct error *err)
{
    struct deed deed = {.by = BY_BOARD};
    json_t *body;
    if (!is_board(&rq->actor))
        return fail(err, FORBIDDEN, NULL, "That takes an administrator of the hub, with a key of role admin.");
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    struct str decision = json_get_str(body, "decision");
    bool lift = str_eq(decision, STR("lift"));
    if (!lift && !str_eq(decision, STR("uphold")))
        return fail(err, INVALID, NULL, "\"decision\" is lift or uphold.");
    deed.event = lift ? CASE_LIFT : CASE_UPHOLD;
    deed.text = json_get_str(body, "text");
    TRY(check_text(deed.text, err));
    return do_it(rq, &deed, err);
}

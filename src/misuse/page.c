/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /misuse: what looks misused, for the person whose it is: why, and how to say that it was no misuse. Needs no script. */
#include "base/text.h"
#include "base/time.h"
#include "identity/session.h"
#include "misuse/internal.h"
#include "router/sign.h"
#include "signin/html.h"
#include "signin/signin.h"

#define CASES_MOST 20
#define FORM_LIMIT (64 << 10)

static void put(struct buf *page, const char *template, struct str first, struct str second)
{
    html_put(page, template, first, second);
}

static struct str whose(struct request *rq, const struct misuse_case *of)
{
    return of->key_id == 0               ? STR("All your tokens")
           : str_given(of->key_name)     ? arena_printf(rq->arena, "The token \"%.*s\"", STR_ARG(of->key_name))
           : of->key_id >= SESSION_FIRST ? STR("A browser")
                                         : STR("A token");
}

static void put_signals(struct buf *page, struct str rest)
{
    struct str code;
    while (str_given(rest) && str_cut(&rest, ',', &code)) {
        int signal = signal_named(code);
        if (signal >= 0)
            put(page, "<li>%s</li>", str_of(signal_specs[signal].words), (struct str){0});
    }
}

static void put_case(struct request *rq, struct buf *page, const struct misuse_case *of)
{
    bool is_open = of->state <= CASE_BARRED;
    struct str id = arena_printf(rq->arena, "%lld", (long long)of->id);
    put(page, "<section><h2>%s</h2><div class=\"card\"><p>Now: <b>%s</b>.</p><ul>", whose(rq, of),
        str_of(misuse_machine.states[of->state].shown));
    put_signals(page, of->signals);
    put(page, "</ul><p class=\"soft\">Case %s, %s.", id, str_slice(time_iso(rq->arena, of->changed_us), 0, 10));
    put(page, " %s points when that was done, by rule.</p>", arena_printf(rq->arena, "%lld", (long long)of->points),
        (struct str){0});
    if (of->appealed_us)
        put(page, "<p>You have appealed: %s</p>", of->appeal, (struct str){0});
    if (of->answer.len)
        put(page, "<p>The answer: %s</p>", of->answer, (struct str){0});
    if (of->state == CASE_ASKED)
        put(page,
            "<form class=\"bare\" method=\"post\" action=\"misuse\"><input type=\"hidden\" name=\"case\" value=\"%s\">"
            "<button name=\"say\" value=\"confirm\">It was me</button></form>",
            id, (struct str){0});
    if (of->state == CASE_ASKED && !of->appealed_us)
        put(page, "<div class=\"or\">or</div>", (struct str){0}, (struct str){0});
    if (is_open && !of->appealed_us)
        put(page,
            "<form class=\"bare\" method=\"post\" action=\"misuse\"><input type=\"hidden\" name=\"case\" value=\"%s\">"
            "<label>Why this is wrong<textarea name=\"text\" rows=\"4\" required></textarea></label>"
            "<button class=\"plain\" name=\"say\" value=\"appeal\">Appeal</button></form>",
            id, (struct str){0});
    put(page, "</div></section>", (struct str){0}, (struct str){0});
}

static const char mine_sql[] = "SELECT id FROM misuse_case WHERE account_id = ? ORDER BY state > 4, id DESC LIMIT ?";
_Static_assert(CASE_BARRED == 4, "mine_sql has the open ones first");

static enum status put_cases(struct request *rq, struct buf *page, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    bool any = false;
    TRY(db_prepare(rq->db, mine_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, CASES_MOST);
    while (stmt_next(row)) {
        struct misuse_case of;
        TRY(case_get(rq->db, rq->arena, stmt_int(row, 0), &of, err));
        put_case(rq, page, &of);
        any = true;
    }
    if (!any)
        put(page, "<p>Nothing of yours looks misused.</p>", (struct str){0}, (struct str){0});
    return stmt_end(row, err);
}

static enum status reply_page(struct request *rq, int status, struct str trouble, struct error *err)
{
    auto_buf struct buf page = {0};
    TRY(request_read(rq, err));
    html_begin(&page, "What looks misused", "wide", "");
    put(&page,
        "<div class=\"top\"><div><h1>What looks misused</h1><p class=\"soft\">You are %s. <a "
        "href=\"signin\">Your account</a>, <a href=\"api/misuse/signals\">the rules</a>.</p></div></div>"
        "<div class=\"bad\" role=\"alert\">%s</div>",
        rq->actor.account.name, trouble);
    TRY(put_cases(rq, &page, err));
    html_reply(rq, status, &page, (struct str){0});
    return OK;
}

static void redirect(struct request *rq, const char *where)
{
    reply_header(rq->http, "Location", "%.*s/%s", STR_ARG(request_base_url(rq)), where);
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_bytes(rq->http, 303, STR("text/plain"), STR(""));
}

enum status misuse_page_get(struct request *rq, struct error *err)
{
    if (rq->actor.is_session)
        return reply_page(rq, 200, (struct str){0}, err);
    redirect(rq, "signin?next=misuse");
    return OK;
}

static enum status say(struct request *rq, struct str form, struct error *err)
{
    struct str name, value, id = {0}, what = {0}, text = {0};
    while (form_next(rq->arena, &form, &name, &value)) {
        if (str_eq(name, STR("case")))
            id = value;
        else if (str_eq(name, STR("say")))
            what = value;
        else if (str_eq(name, STR("text")))
            text = str_trim(value);
    }
    return case_said(rq, id, str_eq(what, STR("confirm")), text, err);
}

/* POST /misuse: a form of the page, which shows what was wrong. */
enum status misuse_page_post(struct request *rq, struct error *err)
{
    struct str form;
    struct error why = {0};
    if (!rq->actor.is_session)
        return fail(err, FORBIDDEN, "StepUp", "This page is for people: programs have /api/misuse");
    TRY(request_body(rq, FORM_LIMIT, &form, err));
    enum status status = say(rq, form, &why);
    if (status == OK) {
        redirect(rq, "misuse");
        return OK;
    }
    struct str trouble = strcmp(why.code, "StepUp") == 0
                             ? STR("Sign out and in again first, with all that your account asks for: then it is sure "
                                   "that it is you.")
                             : str_of(why.message);
    return reply_page(rq, status_http(status), trouble, err);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /signin: to sign in. Works without a script; passkeys alone need one. */
#include "base/text.h"
#include "identity/session.h"
#include "router/session.h"
#include "signin/handlers.h"
#include "signin/html.h"
#include "signin/page_files.h"

#define FORM_LIMIT (16 * 1024)

static void reply_form(struct request *rq, int status, struct str user, bool wants_code, struct str next,
                       struct str trouble)
{
    auto_buf struct buf page = {0};
    html_begin(&page, "Sign in to Cairn", "", "");
    html_put(&page,
             "<h1>Sign in to Cairn</h1><p class=\"soft\">With the name and password of this hub, or a passkey.</p>"
             "<div class=\"bad\" id=\"trouble\" role=\"alert\">%s</div>",
             trouble, (struct str){0});
    html_put(
        &page,
        "<form method=\"post\" action=\"signin\"><label>Name<input name=\"user\" autocomplete=\"username webauthn\" "
        "autocapitalize=\"none\" spellcheck=\"false\" required value=\"%s\"></label>"
        "<label>Password<input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>",
        user, (struct str){0});
    html_put(&page,
             wants_code ? "<label>One-time code <span>or a recovery code</span><input name=\"code\" "
                          "autocomplete=\"one-time-code\" required></label>"
                        : "<label>One-time code <span>if you have set up codes</span><input name=\"code\" "
                          "autocomplete=\"one-time-code\"></label>",
             (struct str){0}, (struct str){0});
    html_put(
        &page,
        "<input type=\"hidden\" name=\"next\" value=\"%s\"><button>Sign in</button><div class=\"or\">or</div><button "
        "type=\"button\" class=\"plain\" id=\"with-passkey\" "
        "hidden>Use a passkey</button><noscript><p class=\"soft\">A passkey needs JavaScript.</p></noscript></form>",
        next, (struct str){0});
    if (str_given(rq->hub->outside_name))
        html_put(&page, "<p><a href=\"signin/oidc?next=%s\">Sign in with %s</a></p>",
                 percent_encode(rq->arena, next, false), rq->hub->outside_name);
    html_reply(rq, status, &page, (struct str){0});
}

enum status page_get(struct request *rq, struct error *err)
{
    if (rq->actor.is_session)
        return reply_account(rq, err);
    reply_form(rq, 200, (struct str){0}, false, signin_next(request_query(rq, "next", 0)), (struct str){0});
    return OK;
}

/* The forms. */

struct str signin_next(struct str wanted)
{
    bool good = str_starts(wanted, STR("device")) || str_eq(wanted, STR("misuse")) ||
                str_starts(wanted, STR("oauth/authorize?"));
    for (size_t i = 0; good && i < wanted.len; i++)
        good = wanted.data[i] > ' ' && wanted.data[i] < 0x7f && wanted.data[i] != '\\';
    return good ? wanted : STR("signin");
}

static void redirect_to(struct request *rq, struct str next)
{
    reply_header(rq->http, "Location", "%.*s/%.*s", STR_ARG(request_base_url(rq)), STR_ARG(next));
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_bytes(rq->http, 303, STR("text/plain"), STR(""));
}

static void read_form(struct request *rq, struct str rest, struct str *user, struct str *next, struct proof *proof)
{
    struct str name, value;
    while (form_next(rq->arena, &rest, &name, &value)) {
        if (str_eq(name, STR("user")))
            *user = str_trim(value);
        else if (str_eq(name, STR("next")))
            *next = value;
        else if (str_eq(name, STR("password")))
            proof->password = value;
        else if (str_eq(name, STR("code")) && str_trim(value).len)
            proof->code = str_trim(value);
    }
}

/* POST /signin. What went wrong is shown with the form, which keeps the name. */
enum status page_post(struct request *rq, struct error *err)
{
    struct str form, user = {0}, next = {0}, token;
    struct proof proof = {0};
    struct error why = {0};
    if (!request_same_origin(rq))
        return fail(err, FORBIDDEN, "CrossSite", "Sign in on the hub's own page");
    TRY(request_body(rq, FORM_LIMIT, &form, err));
    read_form(rq, form, &user, &next, &proof);
    enum status status = sign_in_by_password(rq, user, &proof, &token, &why);
    if (status != OK && status != UNAUTHENTICATED && status != TOO_MANY) {
        *err = why;
        return status;
    }
    if (status == OK) {
        reply_session_cookie(rq, token);
        redirect_to(rq, signin_next(next));
        return OK;
    }
    bool wants_code = strcmp(why.code, "CodeNeeded") == 0 || strcmp(why.code, "WrongCode") == 0;
    struct str trouble = strcmp(why.code, "CodeNeeded") == 0
                             ? STR("This account also asks for a one-time code. Type the password again, and the code.")
                             : str_of(why.message);
    reply_form(rq, status_http(status), user, wants_code, signin_next(next), trouble);
    return OK;
}

static enum status end_session(struct db_conn *tx, void *context, struct error *err)
{
    const struct actor *actor = context;
    return session_end(tx, actor->account.id, actor->key_id, err);
}

/* POST /signin/out */
enum status page_out(struct request *rq, struct error *err)
{
    if (!rq->actor.is_session)
        return fail(err, INVALID, NULL, "A token does not sign out: revoke it");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, end_session, &rq->actor, err));
    reply_session_cookie(rq, (struct str){0});
    redirect_to(rq, STR("signin"));
    return OK;
}

/* What belongs to the pages. */

static void reply_file(struct request *rq, struct str type, struct str file)
{
    reply_header(rq->http, "Cache-Control", "no-cache");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_bytes(rq->http, 200, type, file);
}

enum status script_get(struct request *rq, struct error *err)
{
    (void)err;
    reply_file(rq, STR("text/javascript; charset=utf-8"), page_script());
    return OK;
}

enum status style_get(struct request *rq, struct error *err)
{
    (void)err;
    reply_file(rq, STR("text/css; charset=utf-8"), page_style());
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Sign in with Cairn": what the hub says of itself as a provider, and the page on which a person agrees. */
#include "base/text.h"
#include "base/time.h"
#include "oidc/handlers.h"
#include "oidc/jose.h"
#include "signin/html.h"

#define CODE_SECONDS 60
#define STATE_MOST 1000

/* What the hub says of itself. */

static void put_url(struct request *rq, struct json_writer *w, const char *key, const char *path)
{
    jw_key_str(w, key, arena_printf(rq->arena, "%.*s%s", STR_ARG(request_base_url(rq)), path));
}

static void put_list(struct json_writer *w, const char *key, const char *values)
{
    struct str rest = str_of(values), value;
    jw_key(w, key);
    jw_array(w);
    while (str_given(rest) && str_cut(&rest, ' ', &value))
        jw_str(w, value);
    jw_end(w);
}

/* GET /.well-known/openid-configuration */
enum status configuration_get(struct request *rq, struct error *err)
{
    (void)err;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    put_url(rq, &w, "issuer", "");
    put_url(rq, &w, "authorization_endpoint", "/oauth/authorize");
    put_url(rq, &w, "token_endpoint", "/oauth/token");
    put_url(rq, &w, "userinfo_endpoint", "/oauth/userinfo");
    put_url(rq, &w, "jwks_uri", "/oauth/jwks");
    put_url(rq, &w, "device_authorization_endpoint", "/oauth/device");
    put_list(&w, "response_types_supported", "code");
    put_list(&w, "response_modes_supported", "query");
    put_list(&w, "grant_types_supported",
             "authorization_code urn:ietf:params:oauth:grant-type:device_code "
             "urn:ietf:params:oauth:grant-type:token-exchange");
    put_list(&w, "subject_types_supported", "public");
    put_list(&w, "id_token_signing_alg_values_supported", "ES256");
    put_list(&w, "token_endpoint_auth_methods_supported", "client_secret_basic client_secret_post none");
    put_list(&w, "code_challenge_methods_supported", "S256");
    put_list(&w, "scopes_supported", "openid profile email");
    put_list(&w, "claims_supported",
             "sub iss aud exp iat auth_time nonce name preferred_username profile email email_verified");
    jw_key_bool(&w, "authorization_response_iss_parameter_supported", true);
    jw_key_bool(&w, "request_parameter_supported", false);
    jw_key_bool(&w, "request_uri_parameter_supported", false);
    jw_end(&w);
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    request_reply_json(rq, &body);
    return OK;
}

/* GET /oauth/jwks */
enum status keys_get_public(struct request *rq, struct error *err)
{
    (void)err;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key(&w, "keys");
    jw_array(&w);
    jose_write_key(&w, rq->arena, rq->hub->oidc->key);
    jw_end(&w);
    jw_end(&w);
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    request_reply_json(rq, &body);
    return OK;
}

/* What is asked for. */

struct asking {
    struct oauth_form form;
    int64_t app_id;
    struct str client_id, app_name, owner;
    struct str redirect_uri, scope, state, nonce, challenge;
};

static const char app_sql[] = "SELECT o.id, o.name, o.redirect_uris, a.name FROM oauth_app o JOIN account a ON a.id = "
                              "o.account_id WHERE o.client_id = ?";

static bool has_line(struct str lines, struct str wanted)
{
    struct str line;
    while (str_given(lines) && str_cut(&lines, '\n', &line))
        if (str_eq(line, wanted))
            return true;
    return false;
}

/* Nothing is sent to an address that is not known to be the application's: what is wrong here is told to the person. */
static enum status find_app(struct request *rq, struct asking *asking, struct error *err)
{
    auto_stmt struct stmt *app = NULL;
    bool known = false;
    asking->client_id = oauth_form_get(rq, &asking->form, "client_id");
    asking->redirect_uri = oauth_form_get(rq, &asking->form, "redirect_uri");
    TRY(db_prepare(rq->db, app_sql, &app, err));
    stmt_bind_str(app, 1, asking->client_id);
    if (str_given(asking->client_id) && stmt_next(app)) {
        asking->app_id = stmt_int(app, 0);
        asking->app_name = arena_copy(rq->arena, stmt_str(app, 1));
        asking->owner = arena_copy(rq->arena, stmt_str(app, 3));
        known = str_given(asking->redirect_uri) && has_line(stmt_str(app, 2), asking->redirect_uri);
    }
    TRY(stmt_end(app, err));
    if (!asking->app_id)
        return fail(err, INVALID, NULL, "The site that sent you here is not known to this hub (client_id)");
    return known ? OK
                 : fail(err, INVALID, NULL,
                        "The site that sent you here asks to be answered at an address that it has not registered "
                        "(redirect_uri)");
}

static bool has_word(struct str words, struct str wanted)
{
    struct str word;
    while (str_given(words) && str_cut(&words, ' ', &word))
        if (str_eq(word, wanted))
            return true;
    return false;
}

/* The error of RFC 6749 section 4.1.2.1 that the application is sent; NULL when all is well. */
static const char *check_rest(struct request *rq, struct asking *asking)
{
    const struct oauth_form *form = &asking->form;
    struct str scope = oauth_form_get(rq, form, "scope"), challenge;
    asking->state = oauth_form_get(rq, form, "state");
    if (asking->state.len > STATE_MOST) {
        asking->state = (struct str){0};
        return "invalid_request";
    }
    if (str_given(oauth_form_get(rq, form, "request")) || str_given(oauth_form_get(rq, form, "request_uri")))
        return "request_not_supported";
    if (!str_eq(oauth_form_get(rq, form, "response_type"), STR("code")))
        return "unsupported_response_type";
    if (!has_word(scope, STR("openid")))
        return "invalid_scope";
    asking->nonce = oauth_form_get(rq, form, "nonce");
    asking->challenge = oauth_form_get(rq, form, "code_challenge");
    if (asking->nonce.len > STATE_MOST || !str_is_utf8(asking->nonce) || asking->challenge.len != 43 ||
        !base64url_decode(rq->arena, asking->challenge, &challenge) ||
        !str_eq(oauth_form_get(rq, form, "code_challenge_method"), STR("S256")))
        return "invalid_request";
    asking->scope = arena_printf(rq->arena, "openid%s%s", has_word(scope, STR("profile")) ? " profile" : "",
                                 has_word(scope, STR("email")) ? " email" : "");
    return NULL;
}

/* Answers: always at the registered address, with the state and who we are (RFC 9207). */
static void answer(struct request *rq, const struct asking *asking, const char *name, struct str value)
{
    auto_buf struct buf url = {0};
    buf_printf(&url, "%.*s%c%s=%.*s", STR_ARG(asking->redirect_uri),
               str_has(asking->redirect_uri, STR("?")) ? '&' : '?', name, STR_ARG(value));
    if (str_given(asking->state))
        buf_printf(&url, "&state=%.*s", STR_ARG(percent_encode(rq->arena, asking->state, false)));
    buf_printf(&url, "&iss=%.*s", STR_ARG(percent_encode(rq->arena, request_base_url(rq), false)));
    reply_header(rq->http, "Location", "%.*s", STR_ARG(buf_view(&url)));
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_header(rq->http, "Referrer-Policy", "no-referrer");
    reply_bytes(rq->http, 303, STR("text/plain"), STR(""));
}

/* The page. */

static struct str origin_of(struct str uri)
{
    size_t at = (size_t)(strchr(uri.data, ':') - uri.data) + 3;
    while (at < uri.len && uri.data[at] != '/' && uri.data[at] != '?')
        at++;
    return str_slice(uri, 0, at);
}

static void put_hidden(struct buf *page, const char *name, struct str value)
{
    if (str_given(value))
        html_put(page, "<input type=\"hidden\" name=\"%s\" value=\"%s\">", str_of(name), value);
}

static void reply_question(struct request *rq, const struct asking *asking)
{
    auto_buf struct buf page = {0};
    struct str origin = origin_of(asking->redirect_uri);
    html_begin(&page, "Sign in with Cairn", "", "../");
    html_put(&page, "<h1>Sign in to %s?</h1><p class=\"soft\">It is run by %s of this hub", asking->app_name,
             asking->owner);
    html_put(&page, ", and found at %s. You are %s.</p><p>It will learn</p><ul><li>who you are on this hub</li>",
             origin, rq->actor.account.name);
    if (has_word(asking->scope, STR("profile")))
        html_put(&page, "<li>your name</li>", (struct str){0}, (struct str){0});
    if (has_word(asking->scope, STR("email")))
        html_put(&page, "<li>your e-mail address</li>", (struct str){0}, (struct str){0});
    html_put(&page,
             "</ul><p class=\"soft\">It cannot read or change anything of yours.</p>"
             "<form method=\"post\" action=\"authorize\">",
             (struct str){0}, (struct str){0});
    put_hidden(&page, "response_type", STR("code"));
    put_hidden(&page, "client_id", asking->client_id);
    put_hidden(&page, "redirect_uri", asking->redirect_uri);
    put_hidden(&page, "scope", asking->scope);
    put_hidden(&page, "state", asking->state);
    put_hidden(&page, "nonce", asking->nonce);
    put_hidden(&page, "code_challenge", asking->challenge);
    put_hidden(&page, "code_challenge_method", STR("S256"));
    html_put(&page,
             "<button name=\"decision\" value=\"allow\">Sign in</button><div class=\"or\">or</div>"
             "<button class=\"plain\" name=\"decision\" value=\"deny\">Refuse</button></form>",
             (struct str){0}, (struct str){0});
    html_reply(rq, 200, &page, origin);
}

/* GET /oauth/authorize */
enum status authorize_get(struct request *rq, struct error *err)
{
    struct asking asking = {.form = {.body = rq->http->query}};
    int64_t age;
    TRY(find_app(rq, &asking, err));
    const char *wrong = check_rest(rq, &asking);
    struct str prompt = oauth_form_get(rq, &asking.form, "prompt"), most = oauth_form_get(rq, &asking.form, "max_age");
    bool old = rq->actor.is_session && str_given(most) &&
               (!str_to_i64(most, &age) || now_us() - rq->actor.auth_us > age * SECOND_US);
    if (!wrong && (old || (!rq->actor.is_session && has_word(prompt, STR("none")))))
        wrong = "login_required";
    if (!wrong && has_word(prompt, STR("none")))
        wrong = "consent_required";
    if (wrong)
        answer(rq, &asking, "error", str_of(wrong));
    else if (!rq->actor.is_session)
        ask_to_sign_in(rq, "oauth/authorize", rq->http->query);
    else
        reply_question(rq, &asking);
    return OK;
}

/* Agreeing. */

struct granting {
    const struct asking *asking;
    int64_t account_id, auth_us;
    uint8_t digest[SHA256_SIZE];
};

static const char grant_sql[] = "INSERT INTO oauth_code (code_sha256, app_id, account_id, redirect_uri, scope, nonce, "
                                "challenge, auth_us, used, ends_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)";

static enum status grant_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct granting *granting = context;
    const struct asking *asking = granting->asking;
    auto_stmt struct stmt *insert = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(db_prepare(tx, grant_sql, &insert, err));
    stmt_bind_blob(insert, 1, granting->digest, sizeof granting->digest);
    stmt_bind_int(insert, 2, asking->app_id);
    stmt_bind_int(insert, 3, granting->account_id);
    stmt_bind_str(insert, 4, asking->redirect_uri);
    stmt_bind_str(insert, 5, asking->scope);
    stmt_bind_str(insert, 6, asking->nonce);
    stmt_bind_str(insert, 7, asking->challenge);
    stmt_bind_int(insert, 8, granting->auth_us);
    stmt_bind_int(insert, 9, now_us() + CODE_SECONDS * SECOND_US);
    TRY(stmt_run(insert, err));
    jw_object(&w);
    jw_key_int(&w, "user", granting->account_id);
    jw_key_str(&w, "client", asking->client_id);
    jw_key_str(&w, "scope", asking->scope);
    jw_end(&w);
    const struct event event = {
        .kind = &oidc_events[EVENT_GRANT], .actor_id = granting->account_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

/* POST /oauth/authorize: what the page asked, once more, and the decision. */
enum status authorize_post(struct request *rq, struct error *err)
{
    struct asking asking = {0};
    if (!rq->actor.is_session)
        return fail(err, FORBIDDEN, "StepUp", "A token does not sign in elsewhere: sign in with a browser");
    TRY(oauth_form_read(rq, &asking.form, err));
    TRY(find_app(rq, &asking, err));
    const char *wrong = check_rest(rq, &asking);
    if (!wrong && !str_eq(oauth_form_get(rq, &asking.form, "decision"), STR("allow")))
        wrong = "access_denied";
    if (wrong) {
        answer(rq, &asking, "error", str_of(wrong));
        return OK;
    }
    struct granting granting = {.asking = &asking, .account_id = rq->actor.account.id, .auth_us = rq->actor.auth_us};
    struct str code = oauth_secret(rq->arena, granting.digest);
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, grant_in_write, &granting, err));
    answer(rq, &asking, "code", code);
    return OK;
}

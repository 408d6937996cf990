/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an application gets for its code: an ID token, and a token that is good for /oauth/userinfo alone. */
#include "base/text.h"
#include "base/time.h"
#include "oidc/handlers.h"
#include "oidc/jose.h"

#define TOKEN_SECONDS 3600

/* Which application asks. */

struct app {
    int64_t id;
    struct str client_id, secret;
};

/* The user and password of RFC 6749 section 2.3.1 are encoded as forms are. */
static bool basic_pair(struct request *rq, struct str header, struct app *out)
{
    struct str pair, id, rest, name;
    if (!base64_decode(rq->arena, str_trim(str_from(header, 6)), &pair) || !str_cut(&pair, ':', &id))
        return false;
    rest = id;
    if (!form_next(rq->arena, &rest, &out->client_id, &name) || str_given(rest))
        return false;
    rest = pair;
    return form_next(rq->arena, &rest, &out->secret, &name) && !str_given(rest);
}

static const char app_sql[] = "SELECT id, secret_sha256 FROM oauth_app WHERE client_id = ?";

static enum status find_app(struct request *rq, const struct oauth_form *form, struct app *out, bool *good,
                            struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    struct str header = http_header(rq->http, "authorization");
    uint8_t digest[SHA256_SIZE];
    *good = false;
    *out = (struct app){.client_id = oauth_form_get(rq, form, "client_id"),
                        .secret = oauth_form_get(rq, form, "client_secret")};
    if (str_eq_nocase(str_slice(header, 0, 6), STR("basic ")) && !basic_pair(rq, header, out))
        return OK;
    if (!str_given(out->client_id))
        return OK;
    sha256(str_given(out->secret) ? out->secret : STR(""), digest);
    TRY(request_read(rq, err));
    TRY(db_prepare(rq->db, app_sql, &find, err));
    stmt_bind_str(find, 1, out->client_id);
    if (stmt_next(find)) {
        struct str kept = stmt_str(find, 1);
        out->id = stmt_int(find, 0);
        *good = stmt_is_null(find, 1) || (kept.len == sizeof digest && equal_secret(kept.data, digest, sizeof digest));
    }
    return stmt_end(find, err);
}

/* The code. */

struct exchange {
    const struct app *app;
    struct str redirect_uri, verifier;
    uint8_t code_digest[SHA256_SIZE], token_digest[SHA256_SIZE];
    bool good;
    int64_t account_id, auth_us;
    struct str scope, nonce;
    struct arena arena;
};

static const char code_sql[] = "SELECT account_id, redirect_uri, scope, nonce, challenge, auth_us, used, ends_us "
                               "FROM oauth_code WHERE code_sha256 = ? AND app_id = ?";
static const char spend_sql[] = "UPDATE oauth_code SET used = 1 WHERE code_sha256 = ?";
static const char revoke_sql[] = "DELETE FROM oauth_token WHERE code_sha256 = ?";
static const char token_sql[] = "INSERT INTO oauth_token (token_sha256, code_sha256, app_id, account_id, scope, "
                                "ends_us) VALUES (?, ?, ?, ?, ?, ?)";

static bool proves(struct arena *arena, struct str verifier, struct str challenge)
{
    uint8_t digest[SHA256_SIZE];
    sha256(verifier, digest);
    struct str made = base64url_encode(arena, (struct str){(const char *)digest, sizeof digest});
    return verifier.len >= 43 && verifier.len <= 128 && made.len == challenge.len &&
           equal_secret(made.data, challenge.data, made.len);
}

static enum status read_code(struct db_conn *tx, struct exchange *exchange, bool *found, bool *used, struct error *err)
{
    auto_stmt struct stmt *code = NULL;
    TRY(db_prepare(tx, code_sql, &code, err));
    stmt_bind_blob(code, 1, exchange->code_digest, sizeof exchange->code_digest);
    stmt_bind_int(code, 2, exchange->app->id);
    *found = stmt_next(code);
    *used = *found && stmt_int(code, 6);
    if (*found) {
        exchange->account_id = stmt_int(code, 0);
        exchange->scope = arena_copy(&exchange->arena, stmt_str(code, 2));
        exchange->nonce = stmt_is_null(code, 3) ? (struct str){0} : arena_copy(&exchange->arena, stmt_str(code, 3));
        exchange->auth_us = stmt_int(code, 5);
        exchange->good = !*used && stmt_int(code, 7) > now_us() && str_eq(stmt_str(code, 1), exchange->redirect_uri) &&
                         proves(&exchange->arena, exchange->verifier, stmt_str(code, 4));
    }
    return stmt_end(code, err);
}

static enum status run_on_code(struct db_conn *tx, const char *sql, const struct exchange *exchange, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(tx, sql, &stmt, err));
    stmt_bind_blob(stmt, 1, exchange->code_digest, sizeof exchange->code_digest);
    return stmt_run(stmt, err);
}

/* Whatever comes of it, the code is spent; and when it was already, somebody has a copy, and what it gave ends. */
static enum status exchange_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct exchange *exchange = context;
    auto_stmt struct stmt *insert = NULL;
    bool found, used;
    TRY(read_code(tx, exchange, &found, &used, err));
    if (!found)
        return OK;
    TRY(run_on_code(tx, used ? revoke_sql : spend_sql, exchange, err));
    if (!exchange->good)
        return OK;
    TRY(db_prepare(tx, token_sql, &insert, err));
    stmt_bind_blob(insert, 1, exchange->token_digest, sizeof exchange->token_digest);
    stmt_bind_blob(insert, 2, exchange->code_digest, sizeof exchange->code_digest);
    stmt_bind_int(insert, 3, exchange->app->id);
    stmt_bind_int(insert, 4, exchange->account_id);
    stmt_bind_str(insert, 5, exchange->scope);
    stmt_bind_int(insert, 6, now_us() + TOKEN_SECONDS * SECOND_US);
    return stmt_run(insert, err);
}

/* What is told. */

static void write_person(struct request *rq, struct json_writer *w, const struct account *account, struct str scope)
{
    jw_key_str(w, "sub", arena_printf(rq->arena, "%024llx", (unsigned long long)account->id));
    if (str_has(scope, STR("profile"))) {
        jw_key_str(w, "preferred_username", account->name);
        jw_key_str(w, "name", account->full_name);
        jw_key_str(w, "profile",
                   arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(request_base_url(rq)), STR_ARG(account->name)));
    }
    if (str_has(scope, STR("email")) && str_given(account->email)) {
        jw_key_str(w, "email", account->email);
        jw_key_bool(w, "email_verified", false); /* the hub sends no letters */
    }
}

static struct str id_token(struct request *rq, const struct exchange *exchange, const struct account *account)
{
    auto_buf struct buf claims = {0};
    struct json_writer w = jw_to(&claims);
    int64_t now = now_us() / SECOND_US;
    jw_object(&w);
    jw_key_str(&w, "iss", request_base_url(rq));
    jw_key_str(&w, "aud", exchange->app->client_id);
    jw_key_int(&w, "iat", now);
    jw_key_int(&w, "exp", now + 600);
    jw_key_int(&w, "auth_time", exchange->auth_us / SECOND_US);
    if (str_given(exchange->nonce))
        jw_key_str(&w, "nonce", exchange->nonce);
    write_person(rq, &w, account, exchange->scope);
    jw_end(&w);
    return jose_sign(rq->arena, rq->hub->oidc->key, str_of(rq->hub->oidc->kid), buf_view(&claims));
}

static enum status reply_tokens(struct request *rq, const struct exchange *exchange, struct str token,
                                struct error *err)
{
    struct account account;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(request_read(rq, err));
    TRY(account_get(rq->db, rq->arena, exchange->account_id, &account, err));
    jw_object(&w);
    jw_key_str(&w, "access_token", token);
    jw_key_str(&w, "token_type", STR("Bearer"));
    jw_key_int(&w, "expires_in", TOKEN_SECONDS);
    jw_key_str(&w, "scope", exchange->scope);
    jw_key_str(&w, "id_token", id_token(rq, exchange, &account));
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

enum status code_token(struct request *rq, const struct oauth_form *form, struct error *err)
{
    struct app app;
    bool known;
    TRY(find_app(rq, form, &app, &known, err));
    request_done_reading(rq);
    if (!known) {
        oauth_refuse(rq, "invalid_client", "The application is not known, or its secret is not right");
        return OK;
    }
    struct str code = oauth_form_get(rq, form, "code");
    struct exchange exchange = {.app = &app,
                                .redirect_uri = oauth_form_get(rq, form, "redirect_uri"),
                                .verifier = oauth_form_get(rq, form, "code_verifier")};
    sha256(str_given(code) ? code : STR(""), exchange.code_digest);
    struct str token = oauth_secret(rq->arena, exchange.token_digest);
    enum status status = db_write(rq->hub->db, exchange_in_write, &exchange, err);
    if (status == OK && exchange.good)
        status = reply_tokens(rq, &exchange, token, err);
    else if (status == OK)
        oauth_refuse(rq, "invalid_grant",
                     "The code is not good: used, ended, for another address, or without its code_verifier");
    arena_free(&exchange.arena);
    return status;
}

/* /oauth/userinfo */

static const char bearer_sql[] = "SELECT account_id, scope FROM oauth_token WHERE token_sha256 = ? AND ends_us > ?";

/* The person whom the token tells of is the actor, with a role that may only read; what it tells is in params[0]. */
enum status userinfo_bearer(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    struct str header = http_header(rq->http, "authorization");
    uint8_t digest[SHA256_SIZE];
    int64_t account_id = 0;
    if (!str_eq_nocase(str_slice(header, 0, 7), STR("bearer ")))
        return fail(err, UNAUTHENTICATED, "invalid_token", "Send the access token in the Authorization header");
    sha256(str_trim(str_from(header, 7)), digest);
    TRY(db_prepare(rq->db, bearer_sql, &find, err));
    stmt_bind_blob(find, 1, digest, sizeof digest);
    stmt_bind_int(find, 2, now_us());
    if (stmt_next(find)) {
        account_id = stmt_int(find, 0);
        rq->params[0] = arena_copy(rq->arena, stmt_str(find, 1));
    }
    TRY(stmt_end(find, err));
    if (!account_id)
        return fail(err, UNAUTHENTICATED, "invalid_token", "The access token has ended, or is none of this hub");
    TRY(account_get(rq->db, rq->arena, account_id, &rq->actor.account, err));
    rq->actor.key_role = ROLE_READ;
    return OK;
}

/* GET or POST /oauth/userinfo */
enum status userinfo_get(struct request *rq, struct error *err)
{
    (void)err;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    write_person(rq, &w, &rq->actor.account, rq->params[0]);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

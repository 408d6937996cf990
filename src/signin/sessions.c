/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /api/sessions: signing in and out. */
#include "base/time.h"
#include "identity/key.h"
#include "identity/session.h"
#include "router/session.h"
#include "signin/handlers.h"

#define BODY_LIMIT (64 * 1024)

static enum status read_text(const json_t *body, const char *key, struct str *out, struct error *err)
{
    const json_t *value = json_object_get(body, key);
    *out = json_get_str(body, key);
    return !value || json_is_null(value) || json_is_string(value) ? OK
                                                                  : fail(err, INVALID, NULL, "\"%s\" is a text", key);
}

static enum status read_proof(const json_t *body, struct proof *out, struct error *err)
{
    out->passkey = json_object_get(body, "passkey");
    TRY(read_text(body, "password", &out->password, err));
    TRY(read_text(body, "totp", &out->code, err));
    return OK;
}

/* A page of another site must not sign people in as somebody else, whose account would then get what they upload. */
static enum status check_origin(struct request *rq, struct error *err)
{
    if (!str_given(http_header(rq->http, "origin")) || request_same_origin(rq))
        return OK;
    return fail(err, FORBIDDEN, "CrossSite", "Sign in on the hub's own pages");
}

static void reply_level(struct request *rq, struct str user)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_bool(&w, "ok", true);
    if (str_given(user))
        jw_key_str(&w, "user", user);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
}

/* POST /api/sessions {"user","password","totp"?} or {"passkey"}: the session is in the cookie of the answer. */
enum status session_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"user", "password", "totp", "passkey", NULL};
    json_t *body;
    struct proof proof;
    struct str user, token = {0};
    TRY(check_origin(rq, err));
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(body_members(body, members, err));
    TRY(read_text(body, "user", &user, err));
    TRY(read_proof(body, &proof, err));
    if (proof.passkey)
        TRY(sign_in_by_passkey(rq, proof.passkey, &token, err));
    else
        TRY(sign_in_by_password(rq, user, &proof, &token, err));
    reply_session_cookie(rq, token);
    reply_level(rq, (struct str){0});
    return OK;
}

/* POST /api/sessions/step-up {"password"} or {"totp"} or {"passkey"} */
enum status session_step_up(struct request *rq, struct error *err)
{
    static const char *const members[] = {"password", "totp", "passkey", NULL};
    json_t *body;
    struct proof proof;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(body_members(body, members, err));
    TRY(read_proof(body, &proof, err));
    TRY(sign_in_again(rq, &proof, err));
    reply_level(rq, rq->actor.account.name);
    return OK;
}

static const char list_sql[] = "SELECT id, level, auth_us, created_us, used_us, ends_us, agent, remote FROM session "
                               "WHERE account_id = ? AND ends_us > ? AND used_us > ? ORDER BY created_us DESC";

static void write_session(struct request *rq, struct stmt *row, struct json_writer *w)
{
    jw_object(w);
    jw_key_str(w, "id", arena_printf(rq->arena, "%lld", (long long)stmt_int(row, 0)));
    jw_key_bool(w, "this", rq->actor.is_session && rq->actor.key_id == stmt_int(row, 0));
    jw_key_str(w, "level", auth_level_name((enum auth_level)stmt_int(row, 1)));
    jw_key_str(w, "levelAt", time_iso(rq->arena, stmt_int(row, 2)));
    jw_key_str(w, "createdAt", time_iso(rq->arena, stmt_int(row, 3)));
    jw_key_str(w, "lastUsedAt", time_iso(rq->arena, key_used_last(stmt_int(row, 0), false, stmt_int(row, 4))));
    jw_key_str(w, "expiresAt", time_iso(rq->arena, stmt_int(row, 5)));
    jw_key_str(w, "agent", stmt_str(row, 6));
    jw_key_str(w, "address", stmt_str(row, 7));
    jw_end(w);
}

/* GET /api/sessions: the actor's own; there are never more than SESSIONS_MOST. */
enum status sessions_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    int64_t now = now_us();
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    stmt_bind_int(row, 2, now);
    stmt_bind_int(row, 3, now - SESSION_IDLE_DAYS * DAY_US);
    jw_array(&w);
    while (stmt_next(row))
        write_session(rq, row, &w);
    TRY(stmt_end(row, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

struct ending {
    int64_t account_id, id, count; /* id 0: all */
};

static enum status end_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct ending *ending = context;
    return ending->id ? session_end(tx, ending->account_id, ending->id, err)
                      : sessions_end(tx, ending->account_id, 0, &ending->count, err);
}

/* DELETE /api/sessions/{id}; {id} may be "this". */
enum status session_delete(struct request *rq, struct error *err)
{
    struct ending ending = {.account_id = rq->actor.account.id};
    bool this = str_eq(rq->params[0], STR("this")) && rq->actor.is_session;
    if (this)
        ending.id = rq->actor.key_id;
    else if (!str_to_i64(rq->params[0], &ending.id) || !ending.id)
        return fail(err, NOT_FOUND, NULL, "You have no such session; it may have ended already.");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, end_in_write, &ending, err));
    if (rq->actor.is_session && ending.id == rq->actor.key_id)
        reply_session_cookie(rq, (struct str){0});
    request_reply_empty(rq);
    return OK;
}

/* DELETE /api/sessions: all of them, this one too. */
enum status sessions_delete(struct request *rq, struct error *err)
{
    struct ending ending = {.account_id = rq->actor.account.id};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, end_in_write, &ending, err));
    if (rq->actor.is_session)
        reply_session_cookie(rq, (struct str){0});
    request_reply_empty(rq);
    return OK;
}

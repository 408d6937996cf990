/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /api/settings/password and /api/settings/totp: what a person signs in with. */
#include "base/text.h"
#include "identity/totp.h"
#include "signin/handlers.h"

#define BODY_LIMIT (16 * 1024)

/* POST /api/settings/password {"password"}: in the place of the old one; other sessions end. */
enum status password_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"password", NULL};
    json_t *body;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(body_members(body, members, err));
    struct str password = json_get_str(body, "password");
    if (!str_given(password))
        return fail(err, INVALID, NULL, "\"password\" is the new password");
    TRY(require_fresh(rq, err));
    request_done_reading(rq);
    TRY(password_set(rq->hub->db, rq->actor.account.name, password, rq->actor.key_id, rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

struct totp_change {
    int64_t account_id;
    uint8_t key[32], secret[TOTP_SECRET_SIZE];
    struct str code, codes[RECOVERY_CODES];
    int64_t session_id;
    struct arena arena;
};

static struct totp_change change_of(struct request *rq)
{
    struct totp_change change = {.account_id = rq->actor.account.id, .session_id = rq->actor.key_id};
    derive_key(rq->hub, "totp", change.key);
    request_done_reading(rq);
    return change;
}

static enum status begin(struct db_conn *tx, void *context, struct error *err)
{
    struct totp_change *change = context;
    return totp_begin(tx, change->account_id, change->key, change->secret, err);
}

/* POST /api/settings/totp: a new secret for an app, which counts once a code of it was shown. */
enum status totp_post(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(require_fresh(rq, err));
    struct totp_change change = change_of(rq);
    TRY(db_write(rq->hub->db, begin, &change, err));
    struct str secret = totp_secret_text(rq->arena, change.secret);
    struct str name = percent_encode(rq->arena, rq->actor.account.name, false);
    jw_object(&w);
    jw_key_str(&w, "secret", secret);
    jw_key_str(
        &w, "uri",
        arena_printf(rq->arena, "otpauth://totp/Cairn:%.*s?secret=%.*s&issuer=Cairn", STR_ARG(name), STR_ARG(secret)));
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

static enum status confirm(struct db_conn *tx, void *context, struct error *err)
{
    struct totp_change *change = context;
    return totp_take(tx, &change->arena, change->account_id, change->key, change->code, true, change->codes, err);
}

/* A wrong code here is no sign that the session is not the person's: 400, so that no client asks for a password. */
static enum status as_invalid(enum status status, struct error *err)
{
    if (status == UNAUTHENTICATED)
        err->status = status = INVALID;
    return status;
}

/* POST /api/settings/totp/confirm {"code"}: the recovery codes, this once. */
enum status totp_confirm(struct request *rq, struct error *err)
{
    static const char *const members[] = {"code", NULL};
    json_t *given;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(request_json(rq, BODY_LIMIT, &given, err));
    TRY(body_members(given, members, err));
    struct str code = json_get_str(given, "code");
    if (!str_given(code))
        return fail(err, INVALID, NULL, "\"code\" is what the app shows");
    TRY(require_fresh(rq, err));
    struct totp_change change = change_of(rq);
    change.code = code;
    enum status status = db_write(rq->hub->db, confirm, &change, err);
    if (status == OK) {
        jw_object(&w);
        jw_key(&w, "recoveryCodes");
        jw_array(&w);
        for (size_t i = 0; i < RECOVERY_CODES; i++)
            jw_str(&w, change.codes[i]);
        jw_end(&w);
        jw_end(&w);
        reply_header(rq->http, "Cache-Control", "no-store");
        request_reply_json(rq, &body);
    }
    arena_free(&change.arena);
    return as_invalid(status, err);
}

static enum status clear(struct db_conn *tx, void *context, struct error *err)
{
    const struct totp_change *change = context;
    return totp_clear(tx, change->account_id, change->account_id, err);
}

/* DELETE /api/settings/totp */
enum status totp_delete(struct request *rq, struct error *err)
{
    TRY(require_fresh(rq, err));
    struct totp_change change = change_of(rq);
    TRY(db_write(rq->hub->db, clear, &change, err));
    request_reply_empty(rq);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Passkeys over HTTP: options for the browser, and its answers, in WebAuthn's own JSON (level 3, sections 5.1.8 to 5.1.10). */
#include "base/text.h"
#include "base/time.h"
#include "router/page.h"
#include "router/session.h"
#include "signin/handlers.h"

#define BODY_LIMIT (64 * 1024)

/* The host of an origin, without its port: browsers bind a passkey to that. */
static struct str host_of(struct str origin)
{
    struct str rest = origin, piece;
    str_cut(&rest, '/', &piece);
    str_cut(&rest, '/', &piece);
    rest = str_given(rest) ? rest : STR("");
    const char *colon = memrchr(rest.data, ':', rest.len);
    return colon ? str_slice(rest, 0, (size_t)(colon - rest.data)) : rest;
}

/* Browsers want a name that they can trust: https, or the machine itself. Without --public-url the name is only what the
 * request says, which is good enough for the machine itself and for nobody else. */
enum status rp_of(struct request *rq, struct rp *out, struct error *err)
{
    out->origin = request_origin(rq);
    out->id = host_of(out->origin);
    bool here = str_eq(out->id, STR("localhost"));
    bool known = str_given(rq->hub->public_url) && str_starts(out->origin, STR("https://"));
    return here || known ? OK
                         : fail(err, FORBIDDEN, "NoPasskeys",
                                "Passkeys need the hub's address: whoever runs it has to start it with --public-url "
                                "https://…, or you open it as http://localhost");
}

/* Options. */

static void write_user(struct request *rq, struct json_writer *w)
{
    uint8_t key[32], handle[SHA256_SIZE];
    const struct account *me = &rq->actor.account;
    struct str number = arena_printf(rq->arena, "%lld", (long long)me->id);
    derive_key(rq->hub, "passkey user", key);
    hmac_sha256((struct str){(const char *)key, sizeof key}, number, handle);
    jw_key(w, "user");
    jw_object(w);
    jw_key_str(w, "id", base64url_encode(rq->arena, (struct str){(const char *)handle, sizeof handle}));
    jw_key_str(w, "name", me->name);
    jw_key_str(w, "displayName", me->full_name);
    jw_end(w);
}

static const char ids_sql[] = "SELECT credential_id FROM passkey WHERE account_id = ?";

static enum status write_credentials(struct request *rq, struct json_writer *w, const char *key, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, ids_sql, &row, err));
    stmt_bind_int(row, 1, rq->actor.account.id);
    jw_key(w, key);
    jw_array(w);
    while (stmt_next(row)) {
        jw_object(w);
        jw_key_str(w, "type", STR("public-key"));
        jw_key_str(w, "id", base64url_encode(rq->arena, stmt_str(row, 0)));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

static enum status write_creation(struct request *rq, const struct rp *rp, struct json_writer *w, struct error *err)
{
    static const int algorithms[] = {COSE_ES256, COSE_EDDSA, COSE_RS256};
    jw_key(w, "rp");
    jw_object(w);
    jw_key_str(w, "id", rp->id);
    jw_key_str(w, "name", STR("Cairn"));
    jw_end(w);
    write_user(rq, w);
    jw_key(w, "pubKeyCredParams");
    jw_array(w);
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        jw_object(w);
        jw_key_str(w, "type", STR("public-key"));
        jw_key_int(w, "alg", algorithms[i]);
        jw_end(w);
    }
    jw_end(w);
    jw_key_str(w, "attestation", STR("none"));
    jw_key(w, "authenticatorSelection");
    jw_object(w);
    jw_key_str(w, "residentKey", STR("required"));
    jw_key_bool(w, "requireResidentKey", true);
    jw_key_str(w, "userVerification", STR("required"));
    jw_end(w);
    return write_credentials(rq, w, "excludeCredentials", err);
}

static bool purpose_of(struct str name, enum challenge_purpose *out)
{
    static const enum challenge_purpose purposes[] = {CHALLENGE_REGISTER, CHALLENGE_SIGN_IN, CHALLENGE_STEP_UP};
    static const char *const names[] = {"register", "sign-in", "step-up"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(name, str_of(names[i]))) {
            *out = purposes[i];
            return true;
        }
    return false;
}

/* POST /api/sessions/challenge {"purpose": "sign-in"|"step-up"|"register"}: what navigator.credentials is to be given. */
enum status challenge_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"purpose", NULL};
    json_t *given;
    struct rp rp;
    enum challenge_purpose purpose;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    uint8_t key[32];
    TRY(request_json(rq, BODY_LIMIT, &given, err));
    TRY(body_members(given, members, err));
    if (!purpose_of(json_get_str(given, "purpose"), &purpose))
        return fail(err, INVALID, NULL, "\"purpose\" is sign-in, step-up or register");
    if (purpose != CHALLENGE_SIGN_IN && !rq->actor.is_session)
        return fail(err, UNAUTHENTICATED, NULL, "Sign in first");
    TRY(rp_of(rq, &rp, err));
    derive_key(rq->hub, "challenge", key);
    jw_object(&w);
    jw_key_str(&w, "challenge",
               challenge_make(rq->arena, key, purpose, purpose == CHALLENGE_SIGN_IN ? 0 : rq->actor.account.id));
    jw_key_int(&w, "timeout", CHALLENGE_SECONDS * 1000);
    if (purpose == CHALLENGE_REGISTER) {
        TRY(write_creation(rq, &rp, &w, err));
    } else {
        jw_key_str(&w, "rpId", rp.id);
        jw_key_str(&w, "userVerification", STR("required"));
        if (purpose == CHALLENGE_STEP_UP)
            TRY(write_credentials(rq, &w, "allowCredentials", err));
    }
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
    return OK;
}

/* Answers. */

static bool bytes_of(struct request *rq, const json_t *object, const char *key, struct str *out)
{
    struct str text = json_get_str(object, key);
    return str_given(text) && base64url_decode(rq->arena, text, out);
}

static enum status malformed(struct error *err)
{
    return fail(err, INVALID, NULL, "\"passkey\" is the browser's PublicKeyCredential as toJSON() writes it");
}

static enum status expected_of(struct request *rq, struct str client_data, struct webauthn_expected *out,
                               struct error *err)
{
    struct rp rp;
    char challenge[128];
    TRY(rp_of(rq, &rp, err));
    if (!webauthn_challenge(client_data, challenge, sizeof challenge))
        return malformed(err);
    *out = (struct webauthn_expected){arena_copy(rq->arena, str_of(challenge)), rp.origin, rp.id};
    return OK;
}

enum status passkey_answer_check(struct request *rq, const json_t *given, struct passkey_answer *out, struct error *err)
{
    const json_t *response = json_object_get(given, "response");
    struct webauthn_assertion assertion;
    struct webauthn_expected expected;
    struct str id;
    *out = (struct passkey_answer){0};
    derive_key(rq->hub, "challenge", out->key);
    if (!bytes_of(rq, given, "rawId", &id) || !bytes_of(rq, response, "clientDataJSON", &assertion.client_data) ||
        !bytes_of(rq, response, "authenticatorData", &assertion.authenticator_data) ||
        !bytes_of(rq, response, "signature", &assertion.signature))
        return malformed(err);
    TRY(expected_of(rq, assertion.client_data, &expected, err));
    enum status found = passkey_find(rq->db, rq->arena, id, &out->passkey, err);
    if (found == NOT_FOUND)
        return fail(err, UNAUTHENTICATED, "PasskeyRefused", "That passkey does not sign in here: try again");
    TRY(found);
    out->challenge = expected.challenge;
    return webauthn_assert(&expected, &assertion, &out->passkey.credential, &out->sign_count, err);
}

enum status passkey_answer_take(struct db_conn *tx, const struct passkey_answer *answer, enum challenge_purpose purpose,
                                int64_t account_id, struct error *err)
{
    TRY(challenge_take(tx, answer->key, purpose, account_id, answer->challenge, err));
    return passkey_used(tx, &answer->passkey, answer->sign_count, err);
}

/* The list. */

static const char list_sql[] =
    "SELECT id, name, created_us, used_us FROM passkey WHERE account_id = ? AND id > ? ORDER BY id LIMIT ?";

static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    jw_key_int(w, "id", stmt_int(row, 0));
    jw_key_str(w, "name", stmt_str(row, 1));
    jw_key_str(w, "createdAt", time_iso(rq->arena, stmt_int(row, 2)));
    jw_key_str(w, "lastUsedAt", stmt_int(row, 3) ? time_iso(rq->arena, stmt_int(row, 3)) : (struct str){0});
    jw_end(w);
    return OK;
}

/* GET /api/settings/passkeys */
enum status passkeys_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, OLDEST_FIRST, write_row, err);
}

struct registering {
    int64_t account_id, id;
    struct webauthn_credential credential;
    struct str name, challenge;
    uint8_t key[32];
};

static enum status add_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct registering *new = context;
    TRY(challenge_take(tx, new->key, CHALLENGE_REGISTER, new->account_id, new->challenge, err));
    return passkey_add(tx, new->account_id, &new->credential, new->name, &new->id, err);
}

static enum status read_new(struct request *rq, const json_t *body, struct registering *out, struct error *err)
{
    const json_t *response = json_object_get(json_object_get(body, "passkey"), "response");
    struct str client_data, object;
    struct webauthn_expected expected;
    if (!bytes_of(rq, response, "clientDataJSON", &client_data) ||
        !bytes_of(rq, response, "attestationObject", &object))
        return malformed(err);
    TRY(expected_of(rq, client_data, &expected, err));
    out->challenge = expected.challenge;
    out->name = json_get_str(body, "name");
    return webauthn_register(&expected, client_data, object, &out->credential, err);
}

/* POST /api/settings/passkeys {"name","passkey"} */
enum status passkey_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"name", "passkey", NULL};
    json_t *given;
    struct registering new = {.account_id = rq->actor.account.id};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    derive_key(rq->hub, "challenge", new.key);
    TRY(request_json(rq, BODY_LIMIT, &given, err));
    TRY(body_members(given, members, err));
    TRY(require_fresh(rq, err));
    TRY(read_new(rq, given, &new, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, add_in_write, &new, err));
    jw_object(&w);
    jw_key_int(&w, "id", new.id);
    jw_key_str(&w, "name", new.name);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status remove_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct registering *gone = context;
    return passkey_remove(tx, gone->account_id, gone->id, gone->account_id, err);
}

/* DELETE /api/settings/passkeys/{id} */
enum status passkey_delete(struct request *rq, struct error *err)
{
    struct registering gone = {.account_id = rq->actor.account.id};
    TRY(require_fresh(rq, err));
    if (!str_to_i64(rq->params[0], &gone.id))
        return fail(err, NOT_FOUND, NULL, "You have no such passkey");
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, remove_in_write, &gone, err));
    request_reply_empty(rq);
    return OK;
}

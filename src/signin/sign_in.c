/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is it? By password, one-time code or passkey. */
#include "base/text.h"
#include "base/time.h"
#include "identity/attempts.h"
#include "identity/session.h"
#include "identity/totp.h"
#include "signin/handlers.h"
#include "signin/signin.h"
#include <stdatomic.h>

#define FRESH_US (15 * 60 * SECOND_US)

void derive_key(const struct hub *hub, const char *purpose, uint8_t key[32])
{
    hmac_sha256((struct str){(const char *)hub->signing_secret, sizeof hub->signing_secret}, str_of(purpose), key);
}

static enum status refuse_password(struct error *err)
{
    return fail(err, UNAUTHENTICATED, "WrongPassword", "The name or the password is not right");
}

static enum status wait_turn(struct request *rq, struct str user, struct error *err)
{
    int64_t seconds = attempt_begin(user, request_remote(rq));
    if (!seconds)
        return OK;
    reply_header(rq->http, "Retry-After", "%lld", (long long)seconds);
    return fail(err, TOO_MANY, "SlowDown", "Too many attempts to sign in: wait %lld seconds before the next one",
                (long long)seconds);
}

/* What the write of a sign-in or step-up is made of. */
struct entry {
    struct request *rq;
    int64_t account_id, session_id; /* session_id 0: begins one */
    enum auth_level level;
    struct str code;                     /* a one-time code to take; absent: none */
    const struct passkey_answer *answer; /* a passkey's answer to take, or NULL */
    struct str remote, token;
    struct arena arena;
    uint8_t totp_key[32];
};

/* All or nothing: a code or challenge is spent when, and only when, it has let somebody in. */
static enum status enter(struct db_conn *tx, void *context, struct error *err)
{
    struct entry *entry = context;
    if (str_given(entry->code))
        TRY(totp_take(tx, &entry->arena, entry->account_id, entry->totp_key, entry->code, false, NULL, err));
    if (entry->answer)
        TRY(passkey_answer_take(tx, entry->answer, entry->session_id ? CHALLENGE_STEP_UP : CHALLENGE_SIGN_IN,
                                entry->session_id ? entry->account_id : 0, err));
    if (entry->session_id)
        return session_raise(tx, entry->session_id, entry->level, err);
    const struct session_new new = {.account_id = entry->account_id,
                                    .level = entry->level,
                                    .agent = http_header(entry->rq->http, "user-agent"),
                                    .remote = entry->remote};
    int64_t id;
    return session_create(tx, &entry->arena, &new, &entry->token, &id, err);
}

static enum status write_entry(struct request *rq, struct entry *entry, struct str *token, struct error *err)
{
    derive_key(rq->hub, "totp", entry->totp_key);
    entry->rq = rq;
    entry->remote = request_remote(rq);
    request_done_reading(rq);
    enum status status = db_write(rq->hub->db, enter, entry, err);
    if (status == OK && token)
        *token = arena_copy(rq->arena, entry->token);
    arena_free(&entry->arena);
    return status;
}

static enum status find(struct request *rq, struct str user, struct sign_in *out, struct error *err)
{
    TRY(request_read(rq, err));
    TRY(sign_in_find(rq->db, rq->arena, user, out, err));
    request_done_reading(rq);
    return OK;
}

static enum status by_password(struct request *rq, struct str user, const struct proof *proof, struct str *token,
                               struct error *err)
{
    struct sign_in person;
    bool matches;
    if (!str_given(user) || !str_given(proof->password) || proof->password.len > PASSWORD_MOST)
        return refuse_password(err);
    TRY(wait_turn(rq, user, err));
    TRY(find(rq, user, &person, err));
    TRY(password_matches(person.password_hash, proof->password, &matches, err));
    if (!matches)
        return refuse_password(err);
    if (person.has_totp && !str_given(proof->code))
        return fail(err, UNAUTHENTICATED, "CodeNeeded",
                    "This account also asks for a one-time code: send it as \"totp\", or a recovery code");
    struct entry entry = {.account_id = person.account.id,
                          .level = person.has_totp ? AUTH_TOTP : AUTH_PASSWORD,
                          .code = person.has_totp ? proof->code : (struct str){0}};
    TRY(write_entry(rq, &entry, token, err));
    attempt_good(user, request_remote(rq));
    return OK;
}

static enum status by_passkey(struct request *rq, const json_t *given, struct str *token, struct error *err)
{
    struct passkey_answer answer;
    TRY(request_read(rq, err));
    TRY(passkey_answer_check(rq, given, &answer, err));
    struct entry entry = {.account_id = answer.passkey.account_id, .level = AUTH_PASSKEY, .answer = &answer};
    return write_entry(rq, &entry, token, err);
}

static _Atomic int64_t attempts[SIGN_IN_RESULTS];

int64_t sign_in_count(enum sign_in_result result)
{
    return attempts[result];
}

static enum status counted(enum status status)
{
    attempts[status == OK ? SIGN_IN_GOOD : status == TOO_MANY ? SIGN_IN_SLOWED : SIGN_IN_REFUSED]++;
    return status;
}

enum status sign_in_by_password(struct request *rq, struct str user, const struct proof *proof, struct str *token,
                                struct error *err)
{
    return counted(by_password(rq, user, proof, token, err));
}

enum status sign_in_by_passkey(struct request *rq, const json_t *passkey, struct str *token, struct error *err)
{
    return counted(by_passkey(rq, passkey, token, err));
}

/* Again. */

static enum status again_by_password(struct request *rq, struct str password, struct error *err)
{
    struct sign_in person;
    bool matches;
    TRY(wait_turn(rq, rq->actor.account.name, err));
    TRY(find(rq, rq->actor.account.name, &person, err));
    TRY(password_matches(person.password_hash, password, &matches, err));
    if (!matches)
        return fail(err, FORBIDDEN, "WrongPassword", "The password is not right");
    attempt_good(rq->actor.account.name, request_remote(rq));
    struct entry entry = {.account_id = rq->actor.account.id, .session_id = rq->actor.key_id, .level = AUTH_PASSWORD};
    return write_entry(rq, &entry, NULL, err);
}

static enum status again_by_code(struct request *rq, struct str code, struct error *err)
{
    TRY(wait_turn(rq, rq->actor.account.name, err));
    struct entry entry = {
        .account_id = rq->actor.account.id, .session_id = rq->actor.key_id, .level = AUTH_TOTP, .code = code};
    TRY(write_entry(rq, &entry, NULL, err));
    attempt_good(rq->actor.account.name, request_remote(rq));
    return OK;
}

static enum status again_by_passkey(struct request *rq, const json_t *given, struct error *err)
{
    struct passkey_answer answer;
    TRY(request_read(rq, err));
    TRY(passkey_answer_check(rq, given, &answer, err));
    if (answer.passkey.account_id != rq->actor.account.id)
        return fail(err, FORBIDDEN, "PasskeyRefused", "That passkey belongs to another account");
    struct entry entry = {
        .account_id = rq->actor.account.id, .session_id = rq->actor.key_id, .level = AUTH_PASSKEY, .answer = &answer};
    return write_entry(rq, &entry, NULL, err);
}

enum status sign_in_again(struct request *rq, const struct proof *proof, struct error *err)
{
    if (!rq->actor.is_session)
        return fail(err, FORBIDDEN, "StepUp", "A token cannot be raised: sign in, and send the cookie of the session");
    if (proof->passkey)
        return again_by_passkey(rq, proof->passkey, err);
    if (str_given(proof->code))
        return again_by_code(rq, proof->code, err);
    if (str_given(proof->password) && proof->password.len <= PASSWORD_MOST)
        return again_by_password(rq, proof->password, err);
    return fail(err, INVALID, NULL, "Show that it is you: send \"password\", \"totp\" or \"passkey\"");
}

enum status require_fresh(struct request *rq, struct error *err)
{
    struct sign_in person;
    if (!rq->actor.is_session)
        return fail(err, FORBIDDEN, "StepUp",
                    "This takes a person who has signed in, not a token: sign in with a browser, or by POST "
                    "/api/sessions");
    TRY(request_read(rq, err));
    TRY(sign_in_find(rq->db, rq->arena, rq->actor.account.name, &person, err));
    enum auth_level needed = person.has_totp ? AUTH_TOTP : person.has_passkey ? AUTH_PASSKEY : AUTH_PASSWORD;
    if (rq->actor.level >= needed && now_us() - rq->actor.auth_us < FRESH_US)
        return OK;
    return fail(err, FORBIDDEN, "StepUp",
                "Show again that it is you, by %.*s or better: POST /api/sessions/step-up. That holds for a quarter of "
                "an hour.",
                STR_ARG(auth_level_name(needed)));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_HANDLERS_H
#define CAIRN_SIGNIN_HANDLERS_H

#include "identity/passkey.h"
#include "identity/password.h"
#include "router/request.h"
#include "signin/signin.h"

/* What the files of this folder share; nobody else includes it. */

/* keys.c */
route_handler keys_get, key_post, key_rotate_post, key_delete;
/* A key as its holder sees it; texts in the arena of the request. */
struct key_shown {
    int64_t id;
    struct str name, public_id;
    enum role role;
    enum auth_level shown;
    int64_t created_us, ends_us, used_us; /* used_us 0: never */
    bool is_scoped;
    struct str addresses;                /* with a space between; absent: from anywhere */
    int64_t bytes_per_day, old_until_us; /* 0: none */
};
#define KEYS_PAGE 100
/* The keys of whoever asks that are not revoked, by name, from behind after on. */
enum status keys_shown(struct request *rq, struct str after, struct key_shown out[KEYS_PAGE], size_t *count,
                       struct error *err);
enum status key_scopes_each(struct request *rq, int64_t key_id, void (*each)(void *context, struct str text),
                            void *context, struct error *err);
/* key_notice.c: tells holders a week and a day before a key ends. A job. */
enum status key_notices(struct hub *hub, struct error *err);

/* sessions.c */
route_handler session_post, session_step_up, sessions_get, session_delete, sessions_delete;
/* factors.c */
route_handler password_post, totp_post, totp_confirm, totp_delete;
/* passkeys.c */
route_handler challenge_post, passkeys_get, passkey_post, passkey_delete;
/* account.c: the page of whoever is signed in. */
enum status reply_account(struct request *rq, struct error *err);
/* page.c */
route_handler page_get, page_post, page_out, script_get, style_get;

/* INVALID naming the first member of the body that is not among names, which ends with NULL. */
enum status body_members(const json_t *body, const char *const *names, struct error *err);

/* sign_in.c: all ways of proving who one is. */

struct proof {
    struct str password, code; /* absent: not given */
    const json_t *passkey;     /* the browser's PublicKeyCredential as JSON, or NULL */
};
/*
 * Checks name and password, and the code where the account asks for one, and begins a session. Slow by intent: takes
 * the request's reader away. UNAUTHENTICATED, the same for every name, with "WrongPassword"; "CodeNeeded" when the
 * password is right; TOO_MANY with Retry-After.
 */
enum status sign_in_by_password(struct request *rq, struct str user, const struct proof *proof, struct str *token,
                                struct error *err);
/* The same with a passkey, which says itself whose it is. */
enum status sign_in_by_passkey(struct request *rq, const json_t *passkey, struct str *token, struct error *err);
/* The person of this session proves again who it is; the session's level rises to what was shown. */
enum status sign_in_again(struct request *rq, const struct proof *proof, struct error *err);

/* A key for one purpose, out of the hub's secret. */
void derive_key(const struct hub *hub, const char *purpose, uint8_t key[32]);

/* passkeys.c: what a passkey is made and used for here. FORBIDDEN where a browser could not: no https, no name. */
struct rp {
    struct str origin, id;
};
enum status rp_of(struct request *rq, struct rp *out, struct error *err);
/* The answer of a passkey, verified; and in a write, taken. */
struct passkey_answer {
    struct passkey passkey;
    struct str challenge;
    uint32_t sign_count;
    uint8_t key[32];
};
enum status passkey_answer_check(struct request *rq, const json_t *given, struct passkey_answer *out,
                                 struct error *err);
enum status passkey_answer_take(struct db_conn *tx, const struct passkey_answer *answer, enum challenge_purpose purpose,
                                int64_t account_id, struct error *err);

#endif

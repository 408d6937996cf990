/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_PASSKEY_H
#define CAIRN_IDENTITY_PASSKEY_H

#include "identity/identity.h"
#include "webauthn/webauthn.h"

/* Passkeys that people have registered, and the challenges that they answer. */
#define PASSKEYS_MOST 20
#define CHALLENGE_SECONDS 300

/*
 * A challenge is not kept until it is answered: it carries when it was made and an HMAC under secret (32 bytes), so that
 * nobody can crowd out those of others. It is good for one purpose, one account (0: of whoever signs in) and one use.
 */
enum challenge_purpose { CHALLENGE_REGISTER = 'r', CHALLENGE_SIGN_IN = 's', CHALLENGE_STEP_UP = 'u' };
struct str challenge_make(struct arena *arena, const uint8_t secret[32], enum challenge_purpose purpose,
                          int64_t account_id); /* base64url */
/* In a write, once the answer has been verified. UNAUTHENTICATED for one that is not ours, too old, or used already. */
enum status challenge_take(struct db_conn *tx, const uint8_t secret[32], enum challenge_purpose purpose,
                           int64_t account_id, struct str challenge, struct error *err);

/* In a write. CONFLICT when the device is registered already, TOO_MANY beyond PASSKEYS_MOST. */
enum status passkey_add(struct db_conn *tx, int64_t account_id, const struct webauthn_credential *credential,
                        struct str name, int64_t *id, struct error *err);

struct passkey {
    int64_t id, account_id;
    struct webauthn_credential credential;
};
/* By the credential's id; NOT_FOUND. */
enum status passkey_find(struct db_conn *conn, struct arena *arena, struct str credential_id, struct passkey *out,
                         struct error *err);
/* In a write: it was used, and its count is now that. UNAUTHENTICATED when another use with that count came first. */
enum status passkey_used(struct db_conn *tx, const struct passkey *passkey, uint32_t sign_count, struct error *err);
/* In a write. */
enum status passkey_remove(struct db_conn *tx, int64_t account_id, int64_t id, int64_t by_id, struct error *err);
/* No one-time codes, recovery codes, passkeys and sessions any more: for somebody who has lost the devices. */
enum status factors_forget(struct db *db, struct str user, int64_t by_id, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_PASSWORD_H
#define CAIRN_IDENTITY_PASSWORD_H

#include "identity/identity.h"

/*
 * Passwords: Argon2id with 19 MiB, two passes, one lane (OWASP's setting). Few are hashed at once, each on a thread of
 * low priority, so that signing in never takes the processor from other requests; a few more wait, and the rest are
 * sent away with TOO_MANY. Whoever calls these two holds no database reader meanwhile.
 */
#define PASSWORD_HASH_SIZE 128
#define PASSWORD_LEAST 10
#define PASSWORD_MOST 1024

enum status password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct error *err);
/* hash absent: nobody has that password, and finding out takes as long. TOO_MANY as above; else OK and *matches. */
enum status password_matches(struct str hash, struct str password, bool *matches, struct error *err);

/* INVALID for a password that is too short or long, no text, or the person's own name. */
enum status password_check(struct str password, struct str name, struct error *err);

/* Checks it, hashes it and puts it in the place of the old one; ends the person's sessions but keep_session_id. */
enum status password_set(struct db *db, struct str user, struct str password, int64_t keep_session_id, int64_t by_id,
                         struct error *err);

/* What signing in needs to know of a name, in one look. found is false for a name without a password too. */
struct sign_in {
    bool found;
    struct account account;
    struct str password_hash;
    bool has_totp, has_passkey;
};
enum status sign_in_find(struct db_conn *conn, struct arena *arena, struct str user, struct sign_in *out,
                         struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_INTERNAL_H
#define CAIRN_IDENTITY_INTERNAL_H

#include "identity/identity.h"

/* What the files of this folder share; nobody else includes it. */

enum {
    EVENT_ACCOUNT_CREATE,
    EVENT_MEMBER_SET,
    EVENT_ORG_DEFAULT_PRIVATE,
    EVENT_KEY_CREATE,
    EVENT_KEY_REVOKE,
    EVENT_KEY_ROTATE,
    EVENT_PASSWORD_SET,
    EVENT_SESSION_START,
    EVENT_SESSION_RAISE,
    EVENT_SESSION_END,
    EVENT_TOTP_SET,
    EVENT_TOTP_CLEAR,
    EVENT_RECOVERY_USE,
    EVENT_PASSKEY_ADD,
    EVENT_PASSKEY_REMOVE,
    EVENT_ACCOUNT_ERASE
};

/* The columns that account_read() takes, of the table under the name a. */
#define ACCOUNT_COLUMNS                                                                                                \
    "a.id, a.kind, a.name, a.full_name, a.email, a.is_admin, a.default_private, a.created_us, a.erased_us"

/* Copies the columns from first on. */
void account_read(struct stmt *row, int first, struct arena *arena, struct account *out);

/* As account_find(), and INVALID with a sentence when the account is of the other kind or was erased. */
enum status account_find_kind(struct db_conn *conn, struct arena *arena, struct str name, enum account_kind kind,
                              struct account *out, struct error *err);

#define ERASED_PREFIX "erased-" /* no account may be called so */

/* As key_revoke(), and member_set() to ROLE_NONE, within a write. Names that come up live in the arena. */
enum status key_revoke_in(struct db_conn *tx, struct arena *arena, struct str user, struct str name, int64_t by_id,
                          struct error *err);
enum status member_end_in(struct db_conn *tx, struct arena *arena, struct str org, struct str user, int64_t by_id,
                          struct error *err);

/* count digits of base 62, each as likely as any other. */
void random_digits(char *out, size_t count);

/* To the letter: clients know it by its words (hub-protocol 0.4). code may be NULL. */
enum status fail_credentials(const char *code, struct error *err);

/* An event about how a person signs in: {"user","session"?,"level"?,"passkey"?}, where given. */
struct signin_event {
    int kind;
    int64_t user_id, session_id, by_id;
    enum auth_level level;
    const uint8_t *passkey; /* SHA-256 of the credential id */
};
enum status signin_event_append(struct db_conn *tx, const struct signin_event *what, struct error *err);

/* The actor of a session by its id (session.c), as actor_of_key(). */
enum status actor_of_session(struct db_conn *conn, struct arena *arena, int64_t id, struct actor *out,
                             struct error *err);

/* UTF-8 without control characters, at most limit bytes. */
bool is_one_line(struct str text, size_t limit);

#endif

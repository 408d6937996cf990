/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_SESSION_H
#define CAIRN_IDENTITY_SESSION_H

#include "identity/identity.h"

/*
 * Sessions: a browser that somebody has signed in with. It holds a secret in a cookie; the hub keeps its SHA-256. A
 * session ends after 30 days, or a week without use. Its actor may do what a key of the person of role write may.
 */
#define SESSION_DAYS 30
#define SESSION_IDLE_DAYS 7
#define SESSIONS_MOST 50 /* of one person: the oldest ends when one more begins */

struct session_new {
    int64_t account_id;
    enum auth_level level;    /* AUTH_PASSWORD or more */
    struct str agent, remote; /* what the person will know it by: User-Agent (cut), address */
};
/* In a write. *token, in arena, is for the cookie, and the only copy there will ever be. */
enum status session_create(struct db_conn *tx, struct arena *arena, const struct session_new *what, struct str *token,
                           int64_t *id, struct error *err);

/* NOT_FOUND when there is no such session, or it has ended: whoever asks is then nobody. */
enum status session_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct actor *out,
                                 struct error *err);

/* In a write: the person of the session has shown this level now. A lower one than it has changes nothing. */
enum status session_raise(struct db_conn *tx, int64_t id, enum auth_level level, struct error *err);

/* In a write: ends one session of the account (NOT_FOUND), or all but keep_id. */
enum status session_end(struct db_conn *tx, int64_t account_id, int64_t id, struct error *err);
enum status sessions_end(struct db_conn *tx, int64_t account_id, int64_t keep_id, int64_t *count, struct error *err);
/* In a write: forgets those that have ended. */
enum status sessions_sweep(struct db_conn *tx, struct error *err);

#endif

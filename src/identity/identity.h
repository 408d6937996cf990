/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_IDENTITY_H
#define CAIRN_IDENTITY_IDENTITY_H

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "db/db.h"
#include "event/event.h"

/* People and organisations (accounts share one name space, matched without case) and the keys that people hold. */
extern const struct migration_set identity_migrations;
extern const struct event_kind identity_events[]; /* ends with a NULL name */

enum account_kind { ACCOUNT_USER = 1, ACCOUNT_ORG = 2 };

struct account {
    int64_t id;
    enum account_kind kind;
    struct str name, full_name, email; /* full_name is the name when none was given; email may be absent */
    bool is_admin;
    bool default_private; /* new repos of this name space are private unless they say otherwise */
    int64_t created_us;
    bool erased; /* the person asked to be forgotten */
};

/* Ordered: each includes those before it. */
enum role { ROLE_NONE = 0, ROLE_READ = 1, ROLE_WRITE = 2, ROLE_ADMIN = 3 };
struct str role_name(enum role role);
bool role_parse(struct str name, enum role *out);

/* How surely it is the person. Ordered. */
enum auth_level { AUTH_NONE = 0, AUTH_KEY = 1, AUTH_PASSWORD = 2, AUTH_TOTP = 3, AUTH_PASSKEY = 4 };
struct str auth_level_name(enum auth_level level); /* "none", "key", "password", "totp", "passkey" */
/* What gates and tiers may ask for, in their words: "password", "two-factor" (a one-time code or a passkey), "passkey".
 * The name of a lower level is absent. */
bool sign_in_parse(struct str name, enum auth_level *out);
struct str sign_in_name(enum auth_level level);

/* One thing that a limited key may touch: all repos of a name space, or one repo; the other id is 0. */
struct key_scope {
    int64_t owner_id, repo_id;
    enum role role;
};

/* What the hub has done about a key that looks misused (src/misuse). Ordered: each includes those before it. */
enum key_hold {
    KEY_FREE,
    KEY_ASKED,     /* no bytes of gated repos, and no keys or settings, until its person has signed in and said so */
    KEY_SLOWED,    /* and requests at the floor rate only */
    KEY_SUSPENDED, /* worth as much as no key, but for appealing */
};

/* Who asks: an account by one of its keys or a session, or nobody (account.id 0). */
struct actor {
    struct account account;
    int64_t key_id; /* of the key or the session: they are numbered apart */
    struct str key_name;
    enum role key_role;
    int64_t key_created_us, key_ends_us;
    bool is_session;
    bool is_scoped; /* may do with its account's repos only what scopes say */
    const struct key_scope *scopes;
    size_t scope_count;
    int64_t bytes_per_day; /* most that the key may download; 0: what the account may */
    enum key_hold hold;
    bool is_ci;         /* the key of a CI job: of an hour, used from wherever the machines are */
    bool has_addresses; /* its owner has said from which addresses, not too many, the key is used */
    int64_t used_us;    /* when the key was last used, to the minute, before this; 0: never */
    enum auth_level level;
    int64_t auth_us; /* when the person last showed that level */
    /* What the person has shown for this: of a session its level, of a key that of the session in which it got its
     * secret; below AUTH_PASSWORD where there was none. */
    enum auth_level shown;
    struct str warning; /* for the holder: the key ends soon or has a new secret; absent when there is nothing to say */
    struct str
        country; /* from which the request comes, two letters, as a proxy in front says; absent: nobody was asked */
};

/* How surely the actor is the person, and since when that is known. */
void actor_auth(const struct actor *actor, enum auth_level *level, int64_t *at_us);
/* The most that an account can show now: AUTH_PASSKEY or AUTH_TOTP where it has that, else AUTH_PASSWORD. */
enum status account_strength(struct db_conn *conn, int64_t account_id, enum auth_level *out, struct error *err);

#define SESSION_FIRST (INT64_C(1) << 52) /* ids of sessions begin there; keys count from 1 */

/* Letters, digits, '-', '_', '.'; 1 to 96; not "." or "..", no "--" or "..", no '-' or '.' at either end (hub-protocol
 * 0.1). */
enum status account_name_check(struct str name, struct error *err);

/* Finds by name without case; NOT_FOUND otherwise. Strings are copied into arena. */
enum status account_find(struct db_conn *conn, struct arena *arena, struct str name, struct account *out,
                         struct error *err);
enum status account_get(struct db_conn *conn, struct arena *arena, int64_t id, struct account *out, struct error *err);

/* The account's role in an organisation: its membership, ROLE_ADMIN for itself, ROLE_NONE otherwise. */
enum status account_role_in(struct db_conn *conn, int64_t account_id, int64_t owner_id, enum role *out,
                            struct error *err);

/* Calls each for every organisation of a person. */
enum status account_orgs(struct db_conn *conn, struct arena *arena, int64_t account_id,
                         void (*each)(void *context, const struct account *org, enum role role), void *context,
                         struct error *err);

/*
 * Finds the actor of a token that came from remote, an address as text. UNAUTHENTICATED "Invalid credentials in
 * Authorization header" when there is none or it was revoked; with the code TokenExpired when it has ended, and
 * TokenReplaced when it has given way to a new secret. FORBIDDEN TokenAddress when the key is not for that address.
 */
enum status actor_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct str remote,
                               struct actor *out, struct error *err);
/* The actor of a key or session by its id, for addresses that the hub signed on its behalf; fails when it has ended. */
enum status actor_of_key(struct db_conn *conn, struct arena *arena, int64_t key_id, struct str remote,
                         struct actor *out, struct error *err);

/* Changes, each one write and one event; by_id is the account that does it, 0 for the command line. */

/* full_name and email may be absent. INVALID for bad names and those of the hub's own addresses, CONFLICT for taken
 * ones. */
struct account_new {
    enum account_kind kind;
    struct str name, full_name, email;
    bool is_admin;
};
enum status account_create(struct db *db, const struct account_new *what, int64_t by_id, int64_t *out_id,
                           struct error *err);
/* The same within a write. */
enum status account_create_in(struct db_conn *tx, const struct account_new *what, int64_t by_id, int64_t *out_id,
                              struct error *err);
/* In a write: the account was made by its person, who came from that address; its network is kept for a day (misuse). */
enum status account_signed_up(struct db_conn *tx, int64_t account_id, struct str remote, struct error *err);
/* In a write: something that more accounts than one may have in common (misuse): kind "device", the browser that it was made
 * with, or "payment", what paid for it. */
enum status account_mark(struct db_conn *tx, int64_t account_id, const char *kind, struct str mark, struct error *err);
bool is_email(struct str email);
/* ROLE_NONE ends a membership; NOT_FOUND when there is none. */
enum status member_set(struct db *db, struct str org, struct str user, enum role role, int64_t by_id,
                       struct error *err);

/*
 * Forgetting a person, who owns no repos any more. First nobody may act as the person: account_close() revokes all keys and ends
 * all memberships, each with its event. Last, in a write, account_erase() takes the person's names and address out of the account
 * and leaves it as "erased-<number in hex>", which can do nothing; what the log is told of it is in erasure.
 */
enum status account_close(struct db *db, struct str name, int64_t by_id, struct error *err);
struct erasure {
    uint64_t count;              /* leaves in the log that were the person's */
    uint8_t digest[SHA256_SIZE]; /* of which they were, keyed, so that it tells nobody */
    struct str reason;           /* request, law or order */
};
enum status account_erase(struct db_conn *tx, int64_t account_id, const struct erasure *erasure, int64_t by_id,
                          struct error *err);
struct str account_erased_name(struct arena *arena, int64_t id);

enum status org_set_default_private(struct db *db, struct str org, bool on, int64_t by_id, struct error *err);

#endif

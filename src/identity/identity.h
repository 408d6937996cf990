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

/* Who asks: an account by one of its keys, or nobody (account.id 0). */
struct actor {
    struct account account;
    int64_t key_id;
    struct str key_name;
    enum role key_role;
    int64_t key_created_us;
    struct str country; /* from which the request comes, two letters, as a proxy in front says; absent: nobody was asked */
};

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

/* Finds the actor of a token. UNAUTHENTICATED "Invalid credentials in Authorization header" when there is none or it
 * was revoked. */
enum status actor_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct actor *out,
                               struct error *err);
/* The actor of a key by its id, for addresses that the hub signed on the key's behalf; fails when the key is revoked.
 */
enum status actor_of_key(struct db_conn *conn, struct arena *arena, int64_t key_id, struct actor *out,
                         struct error *err);

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

/*
 * Makes a key for a person. value is the token to import, or absent to make one (hf_cairn_<id>_<secret><check>, 190
 * bits). Only the SHA-256 is stored. *token, in arena, is the only copy there will ever be. CONFLICT when the name or
 * the value is taken.
 */
enum status key_create(struct db *db, struct arena *arena, struct str user, struct str name, enum role role,
                       struct str value, int64_t by_id, struct str *token, struct error *err);
enum status key_revoke(struct db *db, struct str user, struct str name, int64_t by_id, struct error *err);

#endif

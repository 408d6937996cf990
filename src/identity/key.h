/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_KEY_H
#define CAIRN_IDENTITY_KEY_H

#include "base/network.h"
#include "identity/identity.h"

/*
 * Keys: what people and their programs send in the Authorization header (access C13). A key always ends, can be
 * limited to some repos, addresses and bytes a day, and can be given a new secret while the old one still works for a
 * while. Only the SHA-256 of a secret is kept: 190 random bits need no slow hash.
 */
#define KEY_DAYS 90       /* how long a key lasts when nobody says otherwise */
#define KEY_DAYS_MOST 366 /* and at most */
#define KEY_SCOPES_MOST 100
#define KEY_ADDRESSES_MOST 32
#define KEY_OVERLAP_DAYS_MOST 7
#define DAY_US (INT64_C(86400) * SECOND_US)

struct key_new {
    struct str user, name;
    enum role role;
    struct str value; /* the token to import; absent to make one: hf_cairn_<id>_<secret><check> */
    int64_t days;     /* 1 to KEY_DAYS_MOST */
    bool is_scoped;   /* only what scopes say, even when there are none */
    const struct key_scope *scopes;
    size_t scope_count;
    const struct network *addresses; /* none: from anywhere */
    size_t address_count;
    int64_t bytes_per_day; /* 0: what the person may */
    int64_t ends_most_us;  /* a key does not make one that outlives it; 0: no such limit */
    enum auth_level shown; /* by whoever makes it (struct actor); AUTH_NONE for the command line */
    int64_t publisher_id;  /* of a CI job: by which it was made (src/oidc); 0: of people and their programs */
    int64_t by_id;
};
/* *token, in arena, is the only copy there will ever be. CONFLICT when the name or the value is taken, now or ever. */
enum status key_create(struct db *db, struct arena *arena, const struct key_new *what, struct str *token,
                       struct error *err);

/* The same within a write. */
enum status key_create_in(struct db_conn *tx, struct arena *arena, const struct key_new *what, struct str *token,
                          struct error *err);

struct key_rotation {
    struct str user, name;
    int64_t overlap_days;  /* 0 to KEY_OVERLAP_DAYS_MOST, for which the old secret works on, with a warning */
    bool renew;            /* the key lasts its days again from now on; else its end stays */
    enum auth_level shown; /* as of a new key: it holds for the new secret, and the old one keeps its own */
    int64_t by_id;
};
/*
 * Gives the key a new secret. The old one works on until *old_until_us, but no longer than a day after it was last
 * used; one that was still working from an earlier rotation ends at once. NOT_FOUND when there is no such key,
 * CONFLICT when it has ended already.
 */
enum status key_rotate(struct db *db, struct arena *arena, const struct key_rotation *what, struct str *token,
                       int64_t *old_until_us, struct error *err);
enum status key_revoke(struct db *db, struct str user, struct str name, int64_t by_id, struct error *err);

/* Whether it has the form of the hub's tokens, with the check that belongs to it: look-alikes cost no question of the
 * database. */
bool key_is_ours(struct str token);
/* One that is nobody's. */
struct str key_make_token(struct arena *arena);

/* A secret that somebody has found where it does not belong. */
struct key_leak {
    uint8_t digest[SHA256_SIZE]; /* of the token */
    /* filled in: */
    int64_t key_id, account_id; /* 0: nobody's, or it has ended already */
    struct str name;            /* of the key */
    bool old;                   /* one that was replaced: only it ends, and the key goes on with the new one */
};
/* Whose it is, if it still works. */
enum status key_leak_find(struct db_conn *conn, struct arena *arena, struct key_leak *leak, struct error *err);
/* In a write: the secret is worth nothing from now on. by_id 0: nobody knows who has reported it. */
enum status key_leak_end(struct db_conn *tx, struct arena *arena, const struct key_leak *leak, struct error *err);

/* In a write: one key, or with key_id 0 all keys of the account. */
enum status keys_revoke(struct db_conn *tx, struct arena *arena, int64_t account_id, int64_t key_id, int64_t by_id,
                        struct error *err);

/* "10.0.0.0/8, 2001:db8::1" into at most KEY_ADDRESSES_MOST ranges; INVALID with a sentence. */
enum status key_addresses_parse(struct str text, struct network out[KEY_ADDRESSES_MOST], size_t *count,
                                struct error *err);

/* Last use is kept in memory, and written for all keys at once (a job does it each minute). */
void key_used(int64_t key_id, bool old_secret, int64_t at_us);
int64_t key_used_last(int64_t key_id, bool old_secret,
                      int64_t stored_us); /* the later of stored_us and what is in memory */
enum status key_uses_write(struct db *db, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forgetting a person. The row stays, so that its number is given to nobody else. */
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/internal.h"

/* Closing. */

struct closing {
    struct str name;
    int64_t by_id;
    struct arena arena;
};

static const char a_key_sql[] = "SELECT name FROM api_key WHERE account_id = ? AND revoked_us IS NULL LIMIT 1";
static const char an_org_sql[] =
    "SELECT a.name FROM member m JOIN account a ON a.id = m.org_id WHERE m.user_id = ? LIMIT 1";

/* The first name that sql finds; absent when there is none. */
static enum status find_name(struct db_conn *tx, struct closing *closing, const char *sql, int64_t account_id,
                             struct str *out, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, sql, &find, err));
    stmt_bind_int(find, 1, account_id);
    *out = stmt_next(find) ? arena_copy(&closing->arena, stmt_str(find, 0)) : (struct str){0};
    return stmt_end(find, err);
}

static const char *const signin_sql[] = {
    "DELETE FROM session WHERE account_id = ?",       "DELETE FROM password WHERE account_id = ?",
    "DELETE FROM totp WHERE account_id = ?",          "DELETE FROM passkey WHERE account_id = ?",
    "DELETE FROM recovery_code WHERE account_id = ?", "DELETE FROM oidc_identity WHERE account_id = ?",
    "DELETE FROM oauth_device WHERE account_id = ?",  "DELETE FROM oauth_code WHERE account_id = ?",
    "DELETE FROM oauth_token WHERE account_id = ?",   "DELETE FROM oauth_app WHERE account_id = ?",
    "DELETE FROM ci_publisher WHERE account_id = ?",
};

/* So that nobody may act as the person from then on, and what is kept of how the person signed in is gone. */
static enum status signin_forget(struct db_conn *tx, int64_t account_id, struct error *err)
{
    for (size_t i = 0; i < sizeof signin_sql / sizeof *signin_sql; i++) {
        auto_stmt struct stmt *forget = NULL;
        TRY(db_prepare(tx, signin_sql[i], &forget, err));
        stmt_bind_int(forget, 1, account_id);
        TRY(stmt_run(forget, err));
    }
    return OK;
}

static enum status close_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct closing *closing = context;
    struct account user;
    struct str name;
    TRY(account_find_kind(tx, &closing->arena, closing->name, ACCOUNT_USER, &user, err));
    TRY(signin_forget(tx, user.id, err));
    for (;;) {
        TRY(find_name(tx, closing, a_key_sql, user.id, &name, err));
        if (!str_given(name))
            break;
        TRY(key_revoke_in(tx, &closing->arena, user.name, name, closing->by_id, err));
    }
    for (;;) {
        TRY(find_name(tx, closing, an_org_sql, user.id, &name, err));
        if (!str_given(name))
            return OK;
        TRY(member_end_in(tx, &closing->arena, name, user.name, closing->by_id, err));
    }
}

enum status account_close(struct db *db, struct str name, int64_t by_id, struct error *err)
{
    struct closing closing = {.name = name, .by_id = by_id};
    enum status status = db_write(db, close_in_write, &closing, err);
    arena_free(&closing.arena);
    return status;
}

/* Erasing. */

struct str account_erased_name(struct arena *arena, int64_t id)
{
    return arena_printf(arena, ERASED_PREFIX "%llx", (unsigned long long)id);
}

static const char erase_sql[] = "UPDATE account SET name = ?, name_folded = ?, full_name = NULL, email = NULL, "
                                "is_admin = 0, erased_us = ? WHERE id = ?";
static const char keys_sql[] = "UPDATE api_key SET name = '', addresses = NULL WHERE account_id = ?";
static const char scopes_sql[] = "DELETE FROM key_scope WHERE key_id IN (SELECT id FROM api_key WHERE account_id = ?)";

enum status account_erase(struct db_conn *tx, int64_t account_id, const struct erasure *erasure, int64_t by_id,
                          struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    auto_stmt struct stmt *erase = NULL, *keys = NULL, *scopes = NULL;
    struct str name = account_erased_name(&arena, account_id);
    TRY(db_prepare(tx, erase_sql, &erase, err));
    stmt_bind_str(erase, 1, name);
    stmt_bind_str(erase, 2, name);
    stmt_bind_int(erase, 3, now_us());
    stmt_bind_int(erase, 4, account_id);
    TRY(stmt_run(erase, err));
    TRY(db_prepare(tx, keys_sql, &keys, err));
    stmt_bind_int(keys, 1, account_id);
    TRY(stmt_run(keys, err));
    TRY(db_prepare(tx, scopes_sql, &scopes, err));
    stmt_bind_int(scopes, 1, account_id);
    TRY(stmt_run(scopes, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "account", account_id);
    jw_key_int(&w, "count", (int64_t)erasure->count);
    jw_key_str(&w, "digest", hex_encode(&arena, erasure->digest, SHA256_SIZE));
    jw_key_str(&w, "reason", erasure->reason);
    jw_end(&w);
    struct event event = {.kind = &identity_events[EVENT_ACCOUNT_ERASE], .actor_id = by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

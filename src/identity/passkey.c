/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/passkey.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/internal.h"
#include "identity/session.h"
#include "identity/totp.h"

/* Challenges: seconds since 1970, random bytes, half an HMAC-SHA-256 over these, the purpose and the account. */
#define RANDOM_SIZE 16
#define MAC_SIZE 16
#define CHALLENGE_SIZE (8 + RANDOM_SIZE + MAC_SIZE)
#define NAME_LIMIT 100

static void put_number(uint8_t out[8], uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        out[i] = (uint8_t)number;
}

static void challenge_mac(const uint8_t secret[32], enum challenge_purpose purpose, int64_t account_id,
                          const uint8_t *head, uint8_t mac[SHA256_SIZE])
{
    uint8_t text[16 + 1 + 8 + 8 + RANDOM_SIZE] = "cairn challenge";
    text[16] = (uint8_t)purpose;
    put_number(text + 17, (uint64_t)account_id);
    memcpy(text + 25, head, 8 + RANDOM_SIZE);
    hmac_sha256((struct str){(const char *)secret, 32}, (struct str){(const char *)text, sizeof text}, mac);
}

struct str challenge_make(struct arena *arena, const uint8_t secret[32], enum challenge_purpose purpose,
                          int64_t account_id)
{
    uint8_t challenge[CHALLENGE_SIZE], mac[SHA256_SIZE];
    put_number(challenge, (uint64_t)(now_us() / SECOND_US));
    random_bytes(challenge + 8, RANDOM_SIZE);
    challenge_mac(secret, purpose, account_id, challenge, mac);
    memcpy(challenge + 8 + RANDOM_SIZE, mac, MAC_SIZE);
    return base64url_encode(arena, (struct str){(const char *)challenge, sizeof challenge});
}

static enum status refuse_challenge(struct error *err)
{
    return fail(err, UNAUTHENTICATED, "ChallengeSpent",
                "That request was answered already, is too old, or was never made: begin again");
}

static bool is_ours(const uint8_t secret[32], enum challenge_purpose purpose, int64_t account_id, struct str raw)
{
    uint8_t mac[SHA256_SIZE];
    uint64_t made = 0, now = (uint64_t)(now_us() / SECOND_US);
    if (raw.len != CHALLENGE_SIZE)
        return false;
    challenge_mac(secret, purpose, account_id, (const uint8_t *)raw.data, mac);
    for (size_t i = 0; i < 8; i++)
        made = made << 8 | (uint8_t)raw.data[i];
    return equal_secret(mac, raw.data + 8 + RANDOM_SIZE, MAC_SIZE) && made <= now && now - made < CHALLENGE_SECONDS;
}

static const char take_sql[] = "INSERT INTO challenge_used (challenge, until_us) VALUES (?, ?)";
static const char old_sql[] = "DELETE FROM challenge_used WHERE until_us <= ?";

enum status challenge_take(struct db_conn *tx, const uint8_t secret[32], enum challenge_purpose purpose,
                           int64_t account_id, struct str challenge, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *take = NULL, *old = NULL;
    struct str raw;
    int64_t now = now_us();
    if (!base64url_decode(&arena, str_slice(challenge, 0, 128), &raw) || !is_ours(secret, purpose, account_id, raw))
        return refuse_challenge(err);
    TRY(db_prepare(tx, old_sql, &old, err));
    stmt_bind_int(old, 1, now);
    TRY(stmt_run(old, err));
    TRY(db_prepare(tx, take_sql, &take, err));
    stmt_bind_blob(take, 1, raw.data, raw.len);
    stmt_bind_int(take, 2, now + CHALLENGE_SECONDS * SECOND_US);
    enum status status = stmt_run(take, err);
    return status == CONFLICT ? refuse_challenge(err) : status;
}

/* Passkeys. */

static enum status append_event(struct db_conn *tx, int kind, int64_t account_id, int64_t by_id,
                                struct str credential_id, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    sha256(credential_id, digest);
    return signin_event_append(
        tx, &(struct signin_event){.kind = kind, .user_id = account_id, .by_id = by_id, .passkey = digest}, err);
}

static const char count_sql[] = "SELECT count(*) FROM passkey WHERE account_id = ?";
static const char add_sql[] =
    "INSERT INTO passkey (account_id, credential_id, public_key, sign_count, name, created_us, used_us) "
    "VALUES (?, ?, ?, ?, ?, ?, 0)";

static enum status check_room(struct db_conn *tx, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *count = NULL;
    TRY(db_prepare(tx, count_sql, &count, err));
    stmt_bind_int(count, 1, account_id);
    bool full = stmt_next(count) && stmt_int(count, 0) >= PASSKEYS_MOST;
    TRY(stmt_end(count, err));
    return full ? fail(err, TOO_MANY, NULL, "You have %d passkeys, which is all that one may have: remove one",
                       PASSKEYS_MOST)
                : OK;
}

enum status passkey_add(struct db_conn *tx, int64_t account_id, const struct webauthn_credential *credential,
                        struct str name, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    if (name.len == 0 || !is_one_line(name, NAME_LIMIT))
        return fail(err, INVALID, NULL, "The name of a passkey is one line of 1 to %d bytes", NAME_LIMIT);
    TRY(check_room(tx, account_id, err));
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, account_id);
    stmt_bind_blob(add, 2, credential->id.data, credential->id.len);
    stmt_bind_blob(add, 3, credential->public_key.data, credential->public_key.len);
    stmt_bind_int(add, 4, credential->sign_count);
    stmt_bind_str(add, 5, name);
    stmt_bind_int(add, 6, now_us());
    enum status status = stmt_run(add, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, NULL, "That passkey is registered already");
    TRY(status);
    *id = db_last_id(tx);
    return append_event(tx, EVENT_PASSKEY_ADD, account_id, account_id, credential->id, err);
}

static const char find_sql[] =
    "SELECT id, account_id, credential_id, public_key, sign_count FROM passkey WHERE credential_id = ?";

enum status passkey_find(struct db_conn *conn, struct arena *arena, struct str credential_id, struct passkey *out,
                         struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_blob(find, 1, credential_id.data, credential_id.len);
    bool found = stmt_next(find);
    if (found)
        *out = (struct passkey){.id = stmt_int(find, 0),
                                .account_id = stmt_int(find, 1),
                                .credential = {.id = arena_copy(arena, stmt_str(find, 2)),
                                               .public_key = arena_copy(arena, stmt_str(find, 3)),
                                               .sign_count = (uint32_t)stmt_int(find, 4)}};
    TRY(stmt_end(find, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no such passkey");
}

static const char used_sql[] = "UPDATE passkey SET sign_count = ?, used_us = ? WHERE id = ? AND sign_count = ?";

enum status passkey_used(struct db_conn *tx, const struct passkey *passkey, uint32_t sign_count, struct error *err)
{
    auto_stmt struct stmt *used = NULL;
    TRY(db_prepare(tx, used_sql, &used, err));
    stmt_bind_int(used, 1, sign_count);
    stmt_bind_int(used, 2, now_us());
    stmt_bind_int(used, 3, passkey->id);
    stmt_bind_int(used, 4, passkey->credential.sign_count);
    TRY(stmt_run(used, err));
    return db_changes(tx) ? OK
                          : fail(err, UNAUTHENTICATED, "PasskeyRefused", "That passkey was used just now: try again");
}

static const char which_sql[] = "SELECT credential_id FROM passkey WHERE account_id = ? AND id = ?";
static const char remove_sql[] = "DELETE FROM passkey WHERE account_id = ? AND id = ?";

enum status passkey_remove(struct db_conn *tx, int64_t account_id, int64_t id, int64_t by_id, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *which = NULL, *remove = NULL;
    TRY(db_prepare(tx, which_sql, &which, err));
    stmt_bind_int(which, 1, account_id);
    stmt_bind_int(which, 2, id);
    struct str credential_id = stmt_next(which) ? arena_copy(&arena, stmt_str(which, 0)) : (struct str){0};
    TRY(stmt_end(which, err));
    if (!str_given(credential_id))
        return fail(err, NOT_FOUND, NULL, "You have no such passkey");
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, account_id);
    stmt_bind_int(remove, 2, id);
    TRY(stmt_run(remove, err));
    return append_event(tx, EVENT_PASSKEY_REMOVE, account_id, by_id, credential_id, err);
}

/* All of it. */

struct forgetting {
    struct str user;
    int64_t by_id;
    struct arena arena;
};

static const char any_sql[] = "SELECT min(id) FROM passkey WHERE account_id = ?";

static enum status any_passkey(struct db_conn *tx, int64_t account_id, int64_t *id, struct error *err)
{
    auto_stmt struct stmt *any = NULL;
    TRY(db_prepare(tx, any_sql, &any, err));
    stmt_bind_int(any, 1, account_id);
    *id = stmt_next(any) ? stmt_int(any, 0) : 0;
    return stmt_end(any, err);
}

static enum status forget_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct forgetting *forgetting = context;
    struct account user;
    int64_t id, count;
    TRY(account_find_kind(tx, &forgetting->arena, forgetting->user, ACCOUNT_USER, &user, err));
    TRY(any_passkey(tx, user.id, &id, err));
    while (id) {
        TRY(passkey_remove(tx, user.id, id, forgetting->by_id, err));
        TRY(any_passkey(tx, user.id, &id, err));
    }
    enum status status = totp_clear(tx, user.id, forgetting->by_id, err);
    if (status != NOT_FOUND)
        TRY(status);
    return sessions_end(tx, user.id, 0, &count, err);
}

enum status factors_forget(struct db *db, struct str user, int64_t by_id, struct error *err)
{
    struct forgetting forgetting = {.user = user, .by_id = by_id};
    enum status status = db_write(db, forget_in_write, &forgetting, err);
    arena_free(&forgetting.arena);
    return status;
}

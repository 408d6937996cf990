/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"
#include "base/json.h"
#include "base/time.h"
#include "identity/internal.h"
#include <assert.h>

#define KEY_NAME_LIMIT 100
#define TOKEN_LIMIT 4096
#define ID_LEN 10
#define SECRET_LEN 32 /* 62^32 is a little more than 2^190 */
#define CHECK_LEN 6   /* 62^6 is more than 2^32 */

/* Making tokens. */

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Bytes from 248 = 4 * 62 on are thrown away: they would make some digits likelier than others. */
static void random_digits(char *out, size_t count)
{
    uint8_t random[64];
    for (size_t used = sizeof random; count > 0; used++) {
        if (used == sizeof random) {
            random_bytes(random, sizeof random);
            used = 0;
        }
        if (random[used] < 248) {
            *out++ = base62[random[used] % 62];
            count--;
        }
    }
}

/* The CRC-32 of zlib, which this part does not link for 40 bytes a token. */
static uint32_t crc32_of(struct str data)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= (uint8_t)data.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

/* hf_cairn_<id>_<secret><check> (access C13); the JavaScript client refuses tokens that do not begin with hf_. By the
 * check, scanners of public code know a token from a look-alike. */
static struct str make_token(struct arena *arena, const char id[ID_LEN])
{
    char secret[SECRET_LEN], check[CHECK_LEN];
    random_digits(secret, sizeof secret);
    struct str checked = arena_printf(arena, "hf_cairn_%.*s_%.*s", ID_LEN, id, SECRET_LEN, secret);
    uint32_t crc = crc32_of(checked);
    for (size_t i = CHECK_LEN; i > 0; i--, crc /= 62)
        check[i - 1] = base62[crc % 62];
    return arena_printf(arena, "%.*s%.*s", STR_ARG(checked), CHECK_LEN, check);
}

/* Who asks. */

/* To the letter: clients know it by its words (hub-protocol 0.4). */
static enum status fail_credentials(struct error *err)
{
    return fail(err, UNAUTHENTICATED, NULL, "Invalid credentials in Authorization header");
}

#define ACTOR_SQL(condition)                                                                                           \
    "SELECT k.id, k.name, k.role, k.created_us, " ACCOUNT_COLUMNS                                                      \
    " FROM api_key k JOIN account a ON a.id = k.account_id WHERE k.revoked_us IS NULL AND " condition

static const char by_secret_sql[] = ACTOR_SQL("k.secret_sha256 = ?");
static const char by_id_sql[] = ACTOR_SQL("k.id = ?");

static enum status read_actor(struct stmt *row, struct arena *arena, struct actor *out, struct error *err)
{
    bool found = stmt_next(row);
    if (found) {
        out->key_id = stmt_int(row, 0);
        out->key_name = arena_copy(arena, stmt_str(row, 1));
        out->key_role = (enum role)stmt_int(row, 2);
        out->key_created_us = stmt_int(row, 3);
        account_read(row, 4, arena, &out->account);
    }
    TRY(stmt_end(row, err));
    return found ? OK : fail_credentials(err);
}

/* How long the search takes tells how near the hash of a guess is to a stored one; that helps nobody to guess. */
enum status actor_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct actor *out,
                               struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    auto_stmt struct stmt *find = NULL;
    if (token.len == 0 || token.len > TOKEN_LIMIT)
        return fail_credentials(err);
    sha256(token, digest);
    TRY(db_prepare(conn, by_secret_sql, &find, err));
    stmt_bind_blob(find, 1, digest, sizeof digest);
    return read_actor(find, arena, out, err);
}

enum status actor_of_key(struct db_conn *conn, struct arena *arena, int64_t key_id, struct actor *out,
                         struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, by_id_sql, &find, err));
    stmt_bind_int(find, 1, key_id);
    return read_actor(find, arena, out, err);
}

/* Changes. */

struct key_change {
    struct str user, name;
    enum role role;
    char public_id[ID_LEN];
    uint8_t digest[SHA256_SIZE];
    int64_t by_id;
    struct arena arena;
};

static enum status append_key_event(struct db_conn *tx, int kind, const struct key_change *change,
                                    const struct account *user, int64_t key_id, struct str public_id, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "key", key_id);
    jw_key_str(&w, "public_id", public_id);
    jw_key_str(&w, "name", change->name);
    if (kind == EVENT_KEY_CREATE)
        jw_key_str(&w, "role", role_name(change->role));
    jw_key_int(&w, "user", user->id);
    jw_key_str(&w, "user_name", user->name);
    jw_end(&w);
    struct event event = {.kind = &identity_events[kind], .actor_id = change->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static const char live_sql[] =
    "SELECT id, public_id FROM api_key WHERE account_id = ? AND name = ? AND revoked_us IS NULL";

/* The live key of that name; *id is 0 when there is none. */
static enum status find_live(struct db_conn *tx, struct key_change *change, int64_t account_id, int64_t *id,
                             struct str *public_id, struct error *err)
{
    auto_stmt struct stmt *live = NULL;
    TRY(db_prepare(tx, live_sql, &live, err));
    stmt_bind_int(live, 1, account_id);
    stmt_bind_str(live, 2, change->name);
    *id = 0;
    if (stmt_next(live)) {
        *id = stmt_int(live, 0);
        *public_id = arena_copy(&change->arena, stmt_str(live, 1));
    }
    return stmt_end(live, err);
}

static const char create_sql[] = "INSERT INTO api_key (account_id, name, role, secret_sha256, public_id, created_us) "
                                 "VALUES (?, ?, ?, ?, ?, ?)";

static enum status insert_key(struct db_conn *tx, const struct key_change *new, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *create = NULL;
    TRY(db_prepare(tx, create_sql, &create, err));
    stmt_bind_int(create, 1, account_id);
    stmt_bind_str(create, 2, new->name);
    stmt_bind_int(create, 3, new->role);
    stmt_bind_blob(create, 4, new->digest, sizeof new->digest);
    stmt_bind_str(create, 5, (struct str){new->public_id, ID_LEN});
    stmt_bind_int(create, 6, now_us());
    enum status status = stmt_run(create, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, NULL,
                    "This token exists already, or did until it was revoked; choose another value");
    return status;
}

static enum status write_key(struct db_conn *tx, void *context, struct error *err)
{
    struct key_change *new = context;
    struct account user;
    struct str public_id = {new->public_id, ID_LEN}, other;
    int64_t live;
    TRY(account_find_kind(tx, &new->arena, new->user, ACCOUNT_USER, &user, err));
    TRY(find_live(tx, new, user.id, &live, &other, err));
    if (live)
        return fail(err, CONFLICT, NULL, "%.*s has a token called \"%.*s\" already; revoke it or choose another name",
                    STR_ARG(user.name), STR_ARG(new->name));
    TRY(insert_key(tx, new, user.id, err));
    return append_key_event(tx, EVENT_KEY_CREATE, new, &user, db_last_id(tx), public_id, err);
}

static enum status check_key_name(struct str name, struct error *err)
{
    if (name.len >= 1 && is_one_line(name, KEY_NAME_LIMIT) && str_trim(name).len == name.len)
        return OK;
    return fail(err, INVALID, NULL, "The name of a token is one line of 1 to %d bytes, without space at its ends",
                KEY_NAME_LIMIT);
}

/* It has to fit into an HTTP header as one word. The message never repeats it. */
static enum status check_token(struct str value, struct error *err)
{
    bool good = value.len >= 1 && value.len <= TOKEN_LIMIT;
    for (size_t i = 0; good && i < value.len; i++)
        good = value.data[i] > ' ' && value.data[i] < 0x7f;
    return good ? OK
                : fail(err, INVALID, NULL, "A token is 1 to %d visible ASCII characters without space", TOKEN_LIMIT);
}

enum status key_create(struct db *db, struct arena *arena, struct str user, struct str name, enum role role,
                       struct str value, int64_t by_id, struct str *token, struct error *err)
{
    struct key_change new = {.user = user, .name = name, .role = role, .by_id = by_id};
    assert(role > ROLE_NONE);
    TRY(check_key_name(name, err));
    if (str_given(value))
        TRY(check_token(value, err));
    random_digits(new.public_id, ID_LEN);
    struct str made = str_given(value) ? arena_copy(arena, value) : make_token(arena, new.public_id);
    sha256(made, new.digest);
    enum status status = db_write(db, write_key, &new, err);
    arena_free(&new.arena);
    if (status == OK)
        *token = made;
    return status;
}

static const char revoke_sql[] = "UPDATE api_key SET revoked_us = ? WHERE id = ?";

static enum status write_revocation(struct db_conn *tx, void *context, struct error *err)
{
    struct key_change *gone = context;
    struct account user;
    struct str public_id;
    int64_t id;
    auto_stmt struct stmt *revoke = NULL;
    TRY(account_find_kind(tx, &gone->arena, gone->user, ACCOUNT_USER, &user, err));
    TRY(find_live(tx, gone, user.id, &id, &public_id, err));
    if (!id)
        return fail(err, NOT_FOUND, NULL, "%.*s has no token of that name", STR_ARG(user.name));
    TRY(db_prepare(tx, revoke_sql, &revoke, err));
    stmt_bind_int(revoke, 1, now_us());
    stmt_bind_int(revoke, 2, id);
    TRY(stmt_run(revoke, err));
    return append_key_event(tx, EVENT_KEY_REVOKE, gone, &user, id, public_id, err);
}

enum status key_revoke_in(struct db_conn *tx, struct arena *arena, struct str user, struct str name, int64_t by_id,
                          struct error *err)
{
    struct key_change gone = {.user = user, .name = name, .by_id = by_id, .arena = *arena};
    enum status status = write_revocation(tx, &gone, err);
    *arena = gone.arena;
    return status;
}

enum status key_revoke(struct db *db, struct str user, struct str name, int64_t by_id, struct error *err)
{
    struct key_change gone = {.user = user, .name = name, .by_id = by_id};
    enum status status = db_write(db, write_revocation, &gone, err);
    arena_free(&gone.arena);
    return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/key.h"
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
void random_digits(char *out, size_t count)
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

static void put_check(struct str checked, char out[CHECK_LEN])
{
    uint32_t crc = crc32_of(checked);
    for (size_t i = CHECK_LEN; i > 0; i--, crc /= 62)
        out[i - 1] = base62[crc % 62];
}

/* hf_cairn_<id>_<secret><check> (access C13); the JavaScript client refuses tokens that do not begin with hf_. By the
 * check, scanners of public code know a token from a look-alike. */
static struct str make_token(struct arena *arena, const char id[ID_LEN])
{
    char secret[SECRET_LEN], check[CHECK_LEN];
    random_digits(secret, sizeof secret);
    struct str checked = arena_printf(arena, "hf_cairn_%.*s_%.*s", ID_LEN, id, SECRET_LEN, secret);
    put_check(checked, check);
    return arena_printf(arena, "%.*s%.*s", STR_ARG(checked), CHECK_LEN, check);
}

struct str key_make_token(struct arena *arena)
{
    char id[ID_LEN];
    random_digits(id, ID_LEN);
    return make_token(arena, id);
}

bool key_is_ours(struct str token)
{
    const size_t checked = strlen("hf_cairn_") + ID_LEN + 1 + SECRET_LEN;
    char check[CHECK_LEN];
    if (token.len != checked + CHECK_LEN || !str_starts(token, STR("hf_cairn_")))
        return false;
    put_check(str_slice(token, 0, checked), check);
    return memcmp(token.data + checked, check, CHECK_LEN) == 0;
}

/* Changes. */

struct key_change {
    struct str user, name;
    int64_t by_id;
    char public_id[ID_LEN];
    uint8_t digest[SHA256_SIZE];
    const struct key_new *what; /* of a new key */
    const struct key_rotation *rotation;
    struct str token; /* made in a rotation */
    int64_t ends_us, old_until_us;
    struct arena arena;
};

/* A key that is not revoked. */
struct live {
    int64_t id; /* 0: there is none */
    struct str public_id;
    int64_t expires_us, days;
    uint8_t digest[SHA256_SIZE];
    int64_t level;
    bool is_ci;
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
        jw_key_str(&w, "role", role_name(change->what->role));
    if (kind == EVENT_KEY_CREATE && change->what->publisher_id)
        jw_key_int(&w, "publisher", change->what->publisher_id);
    if (kind == EVENT_KEY_ROTATE)
        jw_key_int(&w, "old_until", change->old_until_us);
    if (kind != EVENT_KEY_REVOKE)
        jw_key_int(&w, "ends", change->ends_us);
    jw_key_int(&w, "user", user->id);
    jw_key_str(&w, "user_name", user->name);
    jw_end(&w);
    struct event event = {.kind = &identity_events[kind], .actor_id = change->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static const char live_sql[] =
    "SELECT id, public_id, expires_us, days, secret_sha256, level, publisher_id FROM api_key "
    "WHERE account_id = ? AND name = ? AND revoked_us IS NULL";

static enum status find_live(struct db_conn *tx, struct key_change *change, int64_t account_id, struct live *out,
                             struct error *err)
{
    auto_stmt struct stmt *live = NULL;
    TRY(db_prepare(tx, live_sql, &live, err));
    stmt_bind_int(live, 1, account_id);
    stmt_bind_str(live, 2, change->name);
    *out = (struct live){0};
    if (stmt_next(live)) {
        *out = (struct live){.id = stmt_int(live, 0),
                             .public_id = arena_copy(&change->arena, stmt_str(live, 1)),
                             .expires_us = stmt_int(live, 2),
                             .days = stmt_int(live, 3),
                             .level = stmt_int(live, 5),
                             .is_ci = stmt_int(live, 6) != 0};
        struct str digest = stmt_str(live, 4);
        assert(digest.len == sizeof out->digest);
        memcpy(out->digest, digest.data, digest.len);
    }
    return stmt_end(live, err);
}

static enum status find_needed(struct db_conn *tx, struct key_change *change, struct account *user, struct live *out,
                               struct error *err)
{
    TRY(account_find_kind(tx, &change->arena, change->user, ACCOUNT_USER, user, err));
    TRY(find_live(tx, change, user->id, out, err));
    return out->id ? OK : fail(err, NOT_FOUND, NULL, "%.*s has no token of that name", STR_ARG(user->name));
}

/* Creating. */

static const char was_sql[] = "SELECT 1 FROM api_key_old WHERE secret_sha256 = ?";
static const char create_sql[] = "INSERT INTO api_key (account_id, name, role, secret_sha256, public_id, created_us, "
                                 "expires_us, days, scoped, addresses, bytes_per_day, level, publisher_id) "
                                 "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char scope_sql[] = "INSERT INTO key_scope (key_id, owner_id, repo_id, role) VALUES (?, ?, ?, ?)";

static enum status refuse_used(struct error *err)
{
    return fail(err, CONFLICT, NULL, "This token exists already, or did until it was revoked; choose another value");
}

static enum status check_not_replaced(struct db_conn *tx, const struct key_change *new, struct error *err)
{
    auto_stmt struct stmt *was = NULL;
    TRY(db_prepare(tx, was_sql, &was, err));
    stmt_bind_blob(was, 1, new->digest, sizeof new->digest);
    bool found = stmt_next(was);
    TRY(stmt_end(was, err));
    return found ? refuse_used(err) : OK;
}

/* As actor.c reads them: one after another, with a space between. */
static struct str addresses_text(struct arena *arena, const struct key_new *what)
{
    struct str all = {0};
    char text[NETWORK_TEXT];
    for (size_t i = 0; i < what->address_count; i++)
        all = arena_printf(arena, "%.*s%s%.*s", STR_ARG(all), i ? " " : "",
                           STR_ARG(network_text(&what->addresses[i], text)));
    return all;
}

static enum status insert_key(struct db_conn *tx, struct key_change *new, int64_t account_id, struct error *err)
{
    const struct key_new *what = new->what;
    int64_t now = now_us();
    auto_stmt struct stmt *create = NULL;
    new->ends_us = now + what->days *DAY_US;
    if (what->ends_most_us && new->ends_us > what->ends_most_us)
        new->ends_us = what->ends_most_us;
    TRY(db_prepare(tx, create_sql, &create, err));
    stmt_bind_int(create, 1, account_id);
    stmt_bind_str(create, 2, new->name);
    stmt_bind_int(create, 3, what->role);
    stmt_bind_blob(create, 4, new->digest, sizeof new->digest);
    stmt_bind_str(create, 5, (struct str){new->public_id, ID_LEN});
    stmt_bind_int(create, 6, now);
    stmt_bind_int(create, 7, new->ends_us);
    stmt_bind_int(create, 8, what->days);
    stmt_bind_int(create, 9, what->is_scoped);
    stmt_bind_str(create, 10, addresses_text(&new->arena, what));
    stmt_bind_int(create, 11, what->bytes_per_day);
    stmt_bind_int(create, 12, what->shown);
    stmt_bind_int(create, 13, what->publisher_id);
    enum status status = stmt_run(create, err);
    return status == CONFLICT ? refuse_used(err) : status;
}

static enum status insert_scopes(struct db_conn *tx, const struct key_new *what, int64_t key_id, struct error *err)
{
    for (size_t i = 0; i < what->scope_count; i++) {
        auto_stmt struct stmt *insert = NULL;
        TRY(db_prepare(tx, scope_sql, &insert, err));
        stmt_bind_int(insert, 1, key_id);
        stmt_bind_int(insert, 2, what->scopes[i].owner_id);
        stmt_bind_int(insert, 3, what->scopes[i].repo_id);
        stmt_bind_int(insert, 4, what->scopes[i].role);
        enum status status = stmt_run(insert, err);
        if (status == CONFLICT)
            return fail(err, INVALID, NULL, "The token names one repo or name space twice");
        TRY(status);
    }
    return OK;
}

static enum status write_key(struct db_conn *tx, void *context, struct error *err)
{
    struct key_change *new = context;
    struct account user;
    struct live other;
    TRY(account_find_kind(tx, &new->arena, new->user, ACCOUNT_USER, &user, err));
    TRY(find_live(tx, new, user.id, &other, err));
    if (other.id)
        return fail(err, CONFLICT, NULL, "%.*s has a token called \"%.*s\" already; revoke it or choose another name",
                    STR_ARG(user.name), STR_ARG(new->name));
    TRY(check_not_replaced(tx, new, err));
    TRY(insert_key(tx, new, user.id, err));
    int64_t key_id = db_last_id(tx);
    TRY(insert_scopes(tx, new->what, key_id, err));
    return append_key_event(tx, EVENT_KEY_CREATE, new, &user, key_id, (struct str){new->public_id, ID_LEN}, err);
}

static enum status check_key_name(struct str name, struct error *err)
{
    bool is_step = str_eq(name, STR(".")) || str_eq(name, STR("..")); /* no address could name it */
    if (name.len >= 1 && is_one_line(name, KEY_NAME_LIMIT) && str_trim(name).len == name.len && !is_step)
        return OK;
    return fail(err, INVALID, NULL,
                "The name of a token is one line of 1 to %d bytes, without space at its ends, and not . or ..",
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

static enum status check_new(const struct key_new *what, struct error *err)
{
    assert(what->role > ROLE_NONE);
    TRY(check_key_name(what->name, err));
    if (str_given(what->value))
        TRY(check_token(what->value, err));
    if (what->days < 1 || what->days > KEY_DAYS_MOST)
        return fail(err, INVALID, NULL, "A token lasts 1 to %d days: every one has an end", KEY_DAYS_MOST);
    if (what->scope_count > KEY_SCOPES_MOST)
        return fail(err, INVALID, NULL, "A token can be limited to at most %d repos and name spaces", KEY_SCOPES_MOST);
    if (what->bytes_per_day < 0)
        return fail(err, INVALID, NULL, "The bytes a day of a token are a whole number");
    return OK;
}

/* In a write where tx is given, else in one of its own. */
static enum status create(struct db *db, struct db_conn *tx, struct arena *arena, const struct key_new *what,
                          struct str *token, struct error *err)
{
    struct key_change new = {.user = what->user, .name = what->name, .by_id = what->by_id, .what = what};
    TRY(check_new(what, err));
    random_digits(new.public_id, ID_LEN);
    struct str made = str_given(what->value) ? arena_copy(arena, what->value) : make_token(arena, new.public_id);
    sha256(made, new.digest);
    enum status status = tx ? write_key(tx, &new, err) : db_write(db, write_key, &new, err);
    arena_free(&new.arena);
    if (status == OK)
        *token = made;
    return status;
}

enum status key_create(struct db *db, struct arena *arena, const struct key_new *what, struct str *token,
                       struct error *err)
{
    return create(db, NULL, arena, what, token, err);
}

enum status key_create_in(struct db_conn *tx, struct arena *arena, const struct key_new *what, struct str *token,
                          struct error *err)
{
    return create(NULL, tx, arena, what, token, err);
}

/* Rotating. */

static const char end_old_sql[] = "UPDATE api_key_old SET until_us = ? WHERE key_id = ? AND until_us > ?";
static const char keep_old_sql[] =
    "INSERT INTO api_key_old (secret_sha256, key_id, until_us, used_us, level) VALUES (?, ?, ?, ?, ?)";
static const char rotate_sql[] =
    "UPDATE api_key SET secret_sha256 = ?, expires_us = ?, level = ?, noticed = 0 WHERE id = ?";

/* The silence of a day is counted from the rotation on: whoever has to change a token somewhere needs that long. */
static enum status retire_secret(struct db_conn *tx, const struct key_change *change, const struct live *key,
                                 int64_t now, struct error *err)
{
    auto_stmt struct stmt *end = NULL, *keep = NULL;
    TRY(db_prepare(tx, end_old_sql, &end, err));
    stmt_bind_int(end, 1, now);
    stmt_bind_int(end, 2, key->id);
    stmt_bind_int(end, 3, now);
    TRY(stmt_run(end, err));
    TRY(db_prepare(tx, keep_old_sql, &keep, err));
    stmt_bind_blob(keep, 1, key->digest, sizeof key->digest);
    stmt_bind_int(keep, 2, key->id);
    stmt_bind_int(keep, 3, change->old_until_us);
    stmt_bind_int(keep, 4, now);
    stmt_bind_int(keep, 5, key->level);
    return stmt_run(keep, err);
}

static enum status put_secret(struct db_conn *tx, const struct key_change *change, int64_t key_id, struct error *err)
{
    auto_stmt struct stmt *rotate = NULL;
    TRY(db_prepare(tx, rotate_sql, &rotate, err));
    stmt_bind_blob(rotate, 1, change->digest, sizeof change->digest);
    stmt_bind_int(rotate, 2, change->ends_us);
    stmt_bind_int(rotate, 3, change->rotation->shown);
    stmt_bind_int(rotate, 4, key_id);
    return stmt_run(rotate, err);
}

static enum status write_rotation(struct db_conn *tx, void *context, struct error *err)
{
    struct key_change *change = context;
    struct account user;
    struct live key;
    int64_t now = now_us();
    TRY(find_needed(tx, change, &user, &key, err));
    if (key.expires_us <= now)
        return fail(err, CONFLICT, NULL, "The token \"%.*s\" has ended: revoke it, and make a new one",
                    STR_ARG(change->name));
    if (key.is_ci)
        return fail(err, CONFLICT, NULL, "The token of a CI job is not renewed: the job asks for another");
    change->token = make_token(&change->arena, key.public_id.data);
    sha256(change->token, change->digest);
    change->ends_us = change->rotation->renew ? now + key.days * DAY_US : key.expires_us;
    change->old_until_us = now + change->rotation->overlap_days * DAY_US;
    TRY(retire_secret(tx, change, &key, now, err));
    TRY(put_secret(tx, change, key.id, err));
    return append_key_event(tx, EVENT_KEY_ROTATE, change, &user, key.id, key.public_id, err);
}

enum status key_rotate(struct db *db, struct arena *arena, const struct key_rotation *what, struct str *token,
                       int64_t *old_until_us, struct error *err)
{
    struct key_change change = {.user = what->user, .name = what->name, .by_id = what->by_id, .rotation = what};
    if (what->overlap_days < 0 || what->overlap_days > KEY_OVERLAP_DAYS_MOST)
        return fail(err, INVALID, NULL, "A replaced token works on for 0 to %d days", KEY_OVERLAP_DAYS_MOST);
    enum status status = db_write(db, write_rotation, &change, err);
    if (status == OK) {
        *token = arena_copy(arena, change.token);
        *old_until_us = change.old_until_us;
    }
    arena_free(&change.arena);
    return status;
}

/* Revoking. */

static const char revoke_sql[] = "UPDATE api_key SET revoked_us = ? WHERE id = ?";

static enum status write_revocation(struct db_conn *tx, void *context, struct error *err)
{
    struct key_change *gone = context;
    struct account user;
    struct live key;
    auto_stmt struct stmt *revoke = NULL;
    TRY(find_needed(tx, gone, &user, &key, err));
    TRY(db_prepare(tx, revoke_sql, &revoke, err));
    stmt_bind_int(revoke, 1, now_us());
    stmt_bind_int(revoke, 2, key.id);
    TRY(stmt_run(revoke, err));
    return append_key_event(tx, EVENT_KEY_REVOKE, gone, &user, key.id, key.public_id, err);
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

/* Leaks. */

static const char leak_sql[] = "SELECT k.id, k.account_id, k.name, 0 FROM api_key k WHERE k.secret_sha256 = ? AND "
                               "k.revoked_us IS NULL AND k.expires_us > ? UNION ALL "
                               "SELECT k.id, k.account_id, k.name, 1 FROM api_key_old o JOIN api_key k ON k.id = "
                               "o.key_id WHERE o.secret_sha256 = ? AND k.revoked_us IS NULL AND o.until_us > ?";

enum status key_leak_find(struct db_conn *conn, struct arena *arena, struct key_leak *leak, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t now = now_us();
    TRY(db_prepare(conn, leak_sql, &row, err));
    stmt_bind_blob(row, 1, leak->digest, sizeof leak->digest);
    stmt_bind_int(row, 2, now);
    stmt_bind_blob(row, 3, leak->digest, sizeof leak->digest);
    stmt_bind_int(row, 4, now);
    leak->key_id = 0;
    if (stmt_next(row)) {
        leak->key_id = stmt_int(row, 0);
        leak->account_id = stmt_int(row, 1);
        leak->name = arena_copy(arena, stmt_str(row, 2));
        leak->old = stmt_int(row, 3) != 0;
    }
    return stmt_end(row, err);
}

/* An event of a rotation whose overlap is over. */
static enum status end_old_secret(struct db_conn *tx, const struct key_leak *leak, const struct account *user,
                                  struct error *err)
{
    auto_stmt struct stmt *end = NULL;
    struct key_change change = {.name = leak->name, .old_until_us = now_us()};
    struct live key;
    TRY(db_prepare(tx, "UPDATE api_key_old SET until_us = ? WHERE secret_sha256 = ?", &end, err));
    stmt_bind_int(end, 1, change.old_until_us);
    stmt_bind_blob(end, 2, leak->digest, sizeof leak->digest);
    TRY(stmt_run(end, err));
    enum status status = find_live(tx, &change, user->id, &key, err);
    change.ends_us = key.expires_us;
    if (status == OK)
        status = append_key_event(tx, EVENT_KEY_ROTATE, &change, user, key.id, key.public_id, err);
    arena_free(&change.arena);
    return status;
}

enum status key_leak_end(struct db_conn *tx, struct arena *arena, const struct key_leak *leak, struct error *err)
{
    struct account user;
    TRY(account_get(tx, arena, leak->account_id, &user, err));
    return leak->old ? end_old_secret(tx, leak, &user, err) : key_revoke_in(tx, arena, user.name, leak->name, 0, err);
}

/* All of them. */

static const char next_sql[] = "SELECT name FROM api_key WHERE account_id = ? AND ? IN (0, id) AND revoked_us IS NULL";

enum status keys_revoke(struct db_conn *tx, struct arena *arena, int64_t account_id, int64_t key_id, int64_t by_id,
                        struct error *err)
{
    struct account user;
    TRY(account_get(tx, arena, account_id, &user, err));
    while (true) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(tx, next_sql, &row, err));
        stmt_bind_int(row, 1, account_id);
        stmt_bind_int(row, 2, key_id);
        bool found = stmt_next(row);
        struct str name = found ? arena_copy(arena, stmt_str(row, 0)) : STR("");
        TRY(stmt_end(row, err));
        if (!found)
            return OK;
        TRY(key_revoke_in(tx, arena, user.name, name, by_id, err));
    }
}

/* Address ranges. */

enum status key_addresses_parse(struct str text, struct network out[KEY_ADDRESSES_MOST], size_t *count,
                                struct error *err)
{
    struct str piece;
    for (*count = 0; str_given(text) && str_cut(&text, ',', &piece); ++*count) {
        if (*count == KEY_ADDRESSES_MOST)
            return fail(err, INVALID, NULL, "A token can be limited to at most %d ranges of addresses",
                        KEY_ADDRESSES_MOST);
        if (!network_parse(str_trim(piece), &out[*count]))
            return fail(err, INVALID, NULL,
                        "Ranges of addresses read like 192.0.2.0/24 or 2001:db8::/32, with zeros behind the length; "
                        "number %zu does not",
                        *count + 1);
    }
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a token to who asks. */
#include "base/hash.h"
#include "base/time.h"
#include "identity/internal.h"
#include "identity/key.h"

#define TOKEN_LIMIT 4096
#define WARN_BEFORE_US (7 * DAY_US)

struct str auth_level_name(enum auth_level level)
{
    static const char *const names[] = {"none", "key", "password", "totp", "passkey"};
    return str_of(names[level]);
}

static const struct {
    const char *name;
    enum auth_level level;
} sign_ins[] = {{"password", AUTH_PASSWORD}, {"two-factor", AUTH_TOTP}, {"passkey", AUTH_PASSKEY}};

bool sign_in_parse(struct str name, enum auth_level *out)
{
    for (size_t i = 0; i < sizeof sign_ins / sizeof *sign_ins; i++)
        if (str_eq(name, str_of(sign_ins[i].name))) {
            *out = sign_ins[i].level;
            return true;
        }
    return false;
}

struct str sign_in_name(enum auth_level level)
{
    for (size_t i = 0; i < sizeof sign_ins / sizeof *sign_ins; i++)
        if (sign_ins[i].level == level)
            return str_of(sign_ins[i].name);
    return (struct str){0};
}

static const char strength_sql[] = "SELECT EXISTS (SELECT 1 FROM passkey WHERE account_id = ?), "
                                   "EXISTS (SELECT 1 FROM totp WHERE account_id = ? AND confirmed = 1)";

enum status account_strength(struct db_conn *conn, int64_t account_id, enum auth_level *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = AUTH_PASSWORD;
    TRY(db_prepare(conn, strength_sql, &row, err));
    stmt_bind_int(row, 1, account_id);
    stmt_bind_int(row, 2, account_id);
    if (stmt_next(row))
        *out = stmt_int(row, 0) ? AUTH_PASSKEY : stmt_int(row, 1) ? AUTH_TOTP : AUTH_PASSWORD;
    return stmt_end(row, err);
}

void actor_auth(const struct actor *actor, enum auth_level *level, int64_t *at_us)
{
    *level = actor->level;
    *at_us = actor->auth_us;
}

enum status fail_credentials(const char *code, struct error *err)
{
    return fail(err, UNAUTHENTICATED, code, "Invalid credentials in Authorization header");
}

#define ACTOR_SQL(old, condition)                                                                                      \
    "SELECT k.id, k.name, k.role, k.created_us, k.expires_us, k.scoped, k.addresses, k.bytes_per_day, " old            \
    ", " ACCOUNT_COLUMNS                                                                                               \
    ", k.hold, k.used_us, k.publisher_id FROM api_key k JOIN account a ON a.id = k.account_id " condition              \
    " AND k.revoked_us IS NULL"
#define ACCOUNT_AT 11 /* where the account's columns begin */
#define OLD_COLUMNS "o.until_us, o.used_us, o.level"
#define NO_OLD_COLUMNS "NULL, NULL, k.level"

static const char by_secret_sql[] = ACTOR_SQL(NO_OLD_COLUMNS, "WHERE k.secret_sha256 = ?");
static const char by_old_sql[] =
    ACTOR_SQL(OLD_COLUMNS, "JOIN api_key_old o ON o.key_id = k.id WHERE o.secret_sha256 = ?");
static const char by_id_sql[] = ACTOR_SQL(NO_OLD_COLUMNS, "WHERE k.id = ?");

/* What of the row concerns this request alone. */
struct key_row {
    struct str addresses; /* absent: from anywhere */
    int64_t old_until_us; /* of a secret that was replaced; 0 for the one in force */
};

/* "From anywhere" is not where a fleet is: as many networks as one operator may well have, and no more. */
#define PARTIES_MOST 256

static bool says_from_where(struct str ranges)
{
    struct network range;
    struct str piece;
    int64_t parties = 0;
    while (str_given(ranges) && parties <= PARTIES_MOST && str_cut(&ranges, ' ', &piece))
        if (network_parse(piece, &range))
            parties += network_parties(&range) > PARTIES_MOST ? PARTIES_MOST + 1 : network_parties(&range);
    return parties > 0 && parties <= PARTIES_MOST;
}

static bool read_actor(struct stmt *row, struct arena *arena, struct actor *out, struct key_row *rest)
{
    if (!stmt_next(row))
        return false;
    out->key_id = stmt_int(row, 0);
    out->key_name = arena_copy(arena, stmt_str(row, 1));
    out->key_role = (enum role)stmt_int(row, 2);
    out->key_created_us = stmt_int(row, 3);
    out->key_ends_us = stmt_int(row, 4);
    out->is_scoped = stmt_int(row, 5) != 0;
    rest->addresses = stmt_is_null(row, 6) ? (struct str){0} : arena_copy(arena, stmt_str(row, 6));
    out->bytes_per_day = stmt_int(row, 7);
    if (!stmt_is_null(row, 8)) {
        int64_t used_us = key_used_last(out->key_id, true, stmt_int(row, 9));
        rest->old_until_us = stmt_int(row, 8) < used_us + DAY_US ? stmt_int(row, 8) : used_us + DAY_US;
    }
    out->shown = (enum auth_level)stmt_int(row, 10);
    account_read(row, ACCOUNT_AT, arena, &out->account);
    out->hold = (enum key_hold)stmt_int(row, ACCOUNT_AT + 9);
    out->used_us = stmt_int(row, ACCOUNT_AT + 10);
    out->is_ci = stmt_int(row, ACCOUNT_AT + 11) != 0;
    out->has_addresses = says_from_where(rest->addresses);
    out->level = AUTH_KEY;
    return true;
}

static const char scopes_sql[] = "SELECT owner_id, repo_id, role FROM key_scope WHERE key_id = ? LIMIT ?";

static enum status read_scopes(struct db_conn *conn, struct arena *arena, struct actor *actor, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    struct key_scope *scopes = arena_array(arena, KEY_SCOPES_MOST, sizeof *scopes);
    TRY(db_prepare(conn, scopes_sql, &row, err));
    stmt_bind_int(row, 1, actor->key_id);
    stmt_bind_int(row, 2, KEY_SCOPES_MOST);
    while (stmt_next(row))
        scopes[actor->scope_count++] =
            (struct key_scope){stmt_int(row, 0), stmt_int(row, 1), (enum role)stmt_int(row, 2)};
    actor->scopes = scopes;
    return stmt_end(row, err);
}

static enum status check_address(struct str ranges, struct str remote, struct error *err)
{
    struct network from, range;
    struct str piece;
    bool known = network_address(remote, &from);
    while (known && str_cut(&ranges, ' ', &piece))
        if (network_parse(piece, &range) && network_has(&range, &from))
            return OK;
    return fail(err, FORBIDDEN, "TokenAddress",
                "This token may not be used from the address %.*s: whoever made it has said from where. Use it there, "
                "or ask the owner for another one.",
                STR_ARG(known ? remote : STR("that you come from")));
}

static struct str day_of(struct arena *arena, int64_t us)
{
    return str_slice(time_iso(arena, us), 0, 10);
}

static void add_warning(struct arena *arena, const struct key_row *row, struct actor *actor, int64_t now)
{
    if (row->old_until_us)
        actor->warning =
            arena_printf(arena, "This token was replaced by a new one and ends on %.*s, or after a day without use",
                         STR_ARG(day_of(arena, row->old_until_us)));
    else if (!actor->is_ci && actor->key_ends_us - now < WARN_BEFORE_US)
        actor->warning =
            arena_printf(arena, "This token ends on %.*s: make a new one", STR_ARG(day_of(arena, actor->key_ends_us)));
}

/* A key was found: may it be used, now and from there? */
static enum status finish_actor(struct db_conn *conn, struct arena *arena, const struct key_row *row, struct str remote,
                                struct actor *actor, struct error *err)
{
    int64_t now = now_us();
    if (actor->key_ends_us <= now)
        return fail_credentials("TokenExpired", err);
    if (row->old_until_us && row->old_until_us <= now)
        return fail_credentials("TokenReplaced", err);
    if (str_given(row->addresses))
        TRY(check_address(row->addresses, remote, err));
    if (actor->is_scoped)
        TRY(read_scopes(conn, arena, actor, err));
    actor->auth_us = now;
    add_warning(arena, row, actor, now);
    key_used(actor->key_id, row->old_until_us != 0, now);
    return OK;
}

/* How long the search takes tells how near the hash of a guess is to a stored one; that helps nobody to guess. */
enum status actor_authenticate(struct db_conn *conn, struct arena *arena, struct str token, struct str remote,
                               struct actor *out, struct error *err)
{
    static const char *const searches[] = {by_secret_sql, by_old_sql};
    uint8_t digest[SHA256_SIZE];
    if (token.len == 0 || token.len > TOKEN_LIMIT)
        return fail_credentials(NULL, err);
    sha256(token, digest);
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        auto_stmt struct stmt *find = NULL;
        struct actor found = {.country = out->country};
        struct key_row row = {0};
        TRY(db_prepare(conn, searches[i], &find, err));
        stmt_bind_blob(find, 1, digest, sizeof digest);
        bool is_there = read_actor(find, arena, &found, &row);
        TRY(stmt_end(find, err));
        if (!is_there)
            continue;
        TRY(finish_actor(conn, arena, &row, remote, &found, err));
        *out = found;
        return OK;
    }
    return fail_credentials(NULL, err);
}

enum status actor_of_key(struct db_conn *conn, struct arena *arena, int64_t key_id, struct str remote,
                         struct actor *out, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    struct actor found = {.country = out->country};
    struct key_row row = {0};
    if (key_id >= SESSION_FIRST)
        return actor_of_session(conn, arena, key_id, out, err);
    TRY(db_prepare(conn, by_id_sql, &find, err));
    stmt_bind_int(find, 1, key_id);
    bool is_there = read_actor(find, arena, &found, &row);
    TRY(stmt_end(find, err));
    if (!is_there)
        return fail_credentials(NULL, err);
    TRY(finish_actor(conn, arena, &row, remote, &found, err));
    *out = found;
    return OK;
}

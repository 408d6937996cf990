/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"
#include "base/network.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/internal.h"

#define NAME_LIMIT 96
#define FULL_NAME_LIMIT 200
#define EMAIL_LIMIT 254 /* what a mail server can be asked to deliver to (RFC 5321) */

static const char *const role_names[] = {
    [ROLE_NONE] = "none", [ROLE_READ] = "read", [ROLE_WRITE] = "write", [ROLE_ADMIN] = "admin"};

struct str role_name(enum role role)
{
    return str_of(role_names[role]);
}

bool role_parse(struct str name, enum role *out)
{
    for (enum role role = ROLE_READ; role <= ROLE_ADMIN; role++)
        if (str_eq(name, role_name(role))) {
            *out = role;
            return true;
        }
    return false;
}

/* Names. */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

static bool is_dash_or_dot(char c)
{
    return c == '-' || c == '.';
}

enum status account_name_check(struct str name, struct error *err)
{
    bool good = name.len >= 1 && name.len <= NAME_LIMIT && !is_dash_or_dot(name.data[0]) &&
                !is_dash_or_dot(name.data[name.len - 1]) && !str_has(name, STR("--")) && !str_has(name, STR(".."));
    for (size_t i = 0; good && i < name.len; i++)
        good = is_name_byte(name.data[i]);
    if (good)
        return OK;
    return fail(err, INVALID, NULL,
                "A name takes 1 to %d letters, digits, '-', '_' and '.', without \"--\" or \"..\" in it or '-' or '.' "
                "at its ends",
                NAME_LIMIT);
}

/* First segments of the hub's own addresses, today or one day. A repo may be called like that, an account may not. */
static const char *const reserved_names[] = {
    "api",       "assets", "buckets", "datasets", "docs",          "favicon.ico", "git",        "healthz", "join",
    "kernels",   "lfs",    "log",     "login",    "logout",        "me",          "metrics",    "models",  "new",
    "oauth",     "spaces", "static",  "settings", "organizations", "transfer",    "robots.txt", "v1",      "witness",
    "templates", "signin", "device",
};

static enum status check_not_reserved(struct str name, struct error *err)
{
    for (size_t i = 0; i < sizeof reserved_names / sizeof *reserved_names; i++)
        if (str_eq_nocase(name, str_of(reserved_names[i])))
            return fail(err, INVALID, NULL, "The name \"%s\" is reserved for the hub's own addresses",
                        reserved_names[i]);
    if (str_eq_nocase(str_slice(name, 0, sizeof ERASED_PREFIX - 1), STR(ERASED_PREFIX)))
        return fail(err, INVALID, NULL,
                    "Names that begin with \"" ERASED_PREFIX "\" are those of accounts that were erased");
    return OK;
}

bool is_one_line(struct str text, size_t limit)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return text.len <= limit && str_is_utf8(text);
}

/* Enough to catch a slip of the keyboard; whether it can be delivered to only a letter can tell. */
bool is_email(struct str email)
{
    struct str rest = email, local;
    return is_one_line(email, EMAIL_LIMIT) && !str_has(email, STR(" ")) && str_cut(&rest, '@', &local) &&
           local.len > 0 && rest.len > 0;
}

static enum status check_new(const struct account_new *what, struct error *err)
{
    TRY(account_name_check(what->name, err));
    TRY(check_not_reserved(what->name, err));
    if (!is_one_line(what->full_name, FULL_NAME_LIMIT))
        return fail(err, INVALID, NULL, "A full name is one line of at most %d bytes of UTF-8", FULL_NAME_LIMIT);
    if (str_given(what->email) && !is_email(what->email))
        return fail(err, INVALID, NULL, "An e-mail address reads like name@example.org");
    return OK;
}

/* Finding. */

static struct str copy_column(struct stmt *row, int column, struct arena *arena)
{
    struct str value = stmt_str(row, column);
    return str_given(value) ? arena_copy(arena, value) : value;
}

void account_read(struct stmt *row, int first, struct arena *arena, struct account *out)
{
    *out = (struct account){
        .id = stmt_int(row, first),
        .kind = (enum account_kind)stmt_int(row, first + 1),
        .name = copy_column(row, first + 2, arena),
        .full_name = copy_column(row, first + 3, arena),
        .email = copy_column(row, first + 4, arena),
        .is_admin = stmt_int(row, first + 5) != 0,
        .default_private = stmt_int(row, first + 6) != 0,
        .created_us = stmt_int(row, first + 7),
        .erased = !stmt_is_null(row, first + 8),
    };
    if (!str_given(out->full_name))
        out->full_name = out->name;
}

static enum status read_one(struct stmt *row, struct arena *arena, bool *found, struct account *out, struct error *err)
{
    *found = stmt_next(row);
    if (*found)
        account_read(row, 0, arena, out);
    return stmt_end(row, err);
}

static const char find_sql[] = "SELECT " ACCOUNT_COLUMNS " FROM account a WHERE a.name_folded = ?";

enum status account_find(struct db_conn *conn, struct arena *arena, struct str name, struct account *out,
                         struct error *err)
{
    /* What cannot be a name is not looked up, and not repeated in the answer. */
    if (account_name_check(name, NULL) != OK)
        return fail(err, NOT_FOUND, NULL, "There is no such user or organisation");
    auto_stmt struct stmt *find = NULL;
    bool found;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_str(find, 1, str_lower(arena, name));
    TRY(read_one(find, arena, &found, out, err));
    return found ? OK : fail(err, NOT_FOUND, NULL, "There is no user or organisation called %.*s", STR_ARG(name));
}

static const char get_sql[] = "SELECT " ACCOUNT_COLUMNS " FROM account a WHERE a.id = ?";

enum status account_get(struct db_conn *conn, struct arena *arena, int64_t id, struct account *out, struct error *err)
{
    auto_stmt struct stmt *get = NULL;
    bool found;
    TRY(db_prepare(conn, get_sql, &get, err));
    stmt_bind_int(get, 1, id);
    TRY(read_one(get, arena, &found, out, err));
    return found ? OK
                 : fail(err, NOT_FOUND, NULL, "There is no user or organisation with the number %lld", (long long)id);
}

enum status account_find_kind(struct db_conn *conn, struct arena *arena, struct str name, enum account_kind kind,
                              struct account *out, struct error *err)
{
    TRY(account_find(conn, arena, name, out, err));
    if (out->erased)
        return fail(err, INVALID, NULL, "%.*s was a person who asked to be forgotten", STR_ARG(out->name));
    if (out->kind == kind)
        return OK;
    return fail(err, INVALID, NULL,
                kind == ACCOUNT_ORG ? "%.*s is a person, not an organisation" : "%.*s is an organisation, not a person",
                STR_ARG(out->name));
}

static const char role_sql[] = "SELECT role FROM member WHERE org_id = ? AND user_id = ?";

enum status account_role_in(struct db_conn *conn, int64_t account_id, int64_t owner_id, enum role *out,
                            struct error *err)
{
    *out = ROLE_NONE;
    if (account_id == 0 || owner_id == 0) /* nobody is not even nobody's owner */
        return OK;
    if (account_id == owner_id) {
        *out = ROLE_ADMIN;
        return OK;
    }
    auto_stmt struct stmt *role = NULL;
    TRY(db_prepare(conn, role_sql, &role, err));
    stmt_bind_int(role, 1, owner_id);
    stmt_bind_int(role, 2, account_id);
    if (stmt_next(role))
        *out = (enum role)stmt_int(role, 0);
    return stmt_end(role, err);
}

static const char orgs_sql[] = "SELECT m.role, " ACCOUNT_COLUMNS " FROM member m JOIN account a ON a.id = m.org_id "
                               "WHERE m.user_id = ? ORDER BY a.name_folded";

enum status account_orgs(struct db_conn *conn, struct arena *arena, int64_t account_id,
                         void (*each)(void *context, const struct account *org, enum role role), void *context,
                         struct error *err)
{
    auto_stmt struct stmt *orgs = NULL;
    TRY(db_prepare(conn, orgs_sql, &orgs, err));
    stmt_bind_int(orgs, 1, account_id);
    while (stmt_next(orgs)) {
        struct account org;
        account_read(orgs, 1, arena, &org);
        each(context, &org, (enum role)stmt_int(orgs, 0));
    }
    return stmt_end(orgs, err);
}

/* A new account. */

struct creation {
    const struct account_new *what;
    int64_t by_id, id;
    struct arena arena;
};

static const char create_sql[] =
    "INSERT INTO account (kind, name, name_folded, full_name, email, is_admin, default_private, created_us) "
    "VALUES (?, ?, ?, ?, ?, ?, 0, ?)";

static enum status insert_account(struct db_conn *tx, struct creation *new, struct error *err)
{
    const struct account_new *what = new->what;
    bool person = what->kind == ACCOUNT_USER;
    auto_stmt struct stmt *create = NULL;
    TRY(db_prepare(tx, create_sql, &create, err));
    stmt_bind_int(create, 1, what->kind);
    stmt_bind_str(create, 2, what->name);
    stmt_bind_str(create, 3, str_lower(&new->arena, what->name));
    stmt_bind_str(create, 4, what->full_name.len ? what->full_name : (struct str){0});
    stmt_bind_str(create, 5, person ? what->email : (struct str){0});
    stmt_bind_int(create, 6, person && what->is_admin);
    stmt_bind_int(create, 7, now_us());
    enum status status = stmt_run(create, err);
    if (status == CONFLICT)
        return fail(err, CONFLICT, NULL, "The name %.*s is taken", STR_ARG(what->name));
    TRY(status);
    new->id = db_last_id(tx);
    return OK;
}

static enum status write_account(struct db_conn *tx, void *context, struct error *err)
{
    struct creation *new = context;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(insert_account(tx, new, err));
    jw_object(&w);
    jw_key_int(&w, "account", new->id);
    jw_key_str(&w, "kind", new->what->kind == ACCOUNT_USER ? STR("user") : STR("org"));
    jw_key_str(&w, "name", new->what->name);
    jw_key_bool(&w, "is_admin", new->what->kind == ACCOUNT_USER &&new->what->is_admin);
    jw_end(&w);
    struct event event = {
        .kind = &identity_events[EVENT_ACCOUNT_CREATE], .actor_id = new->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

enum status account_create_in(struct db_conn *tx, const struct account_new *what, int64_t by_id, int64_t *out_id,
                              struct error *err)
{
    struct creation new = {.what = what, .by_id = by_id};
    TRY(check_new(what, err));
    enum status status = write_account(tx, &new, err);
    arena_free(&new.arena);
    *out_id = new.id;
    return status;
}

enum status account_signed_up(struct db_conn *tx, int64_t account_id, struct str remote, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    struct network address, around;
    char text[NETWORK_TEXT];
    if (!network_address(remote, &address))
        return OK;
    around = network_around(&address);
    TRY(db_prepare(tx, "INSERT INTO sign_up (account_id, network, at_us) VALUES (?, ?, ?)", &insert, err));
    stmt_bind_int(insert, 1, account_id);
    stmt_bind_str(insert, 2, network_text(&around, text));
    stmt_bind_int(insert, 3, now_us());
    return stmt_run(insert, err);
}

static const char mark_sql[] = "INSERT INTO account_mark (account_id, kind, mark, at_us) VALUES (?, ?, ?, ?) "
                               "ON CONFLICT (kind, mark, account_id) DO UPDATE SET at_us = excluded.at_us";

enum status account_mark(struct db_conn *tx, int64_t account_id, const char *kind, struct str mark, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    uint8_t digest[SHA256_SIZE];
    sha256(mark, digest);
    TRY(db_prepare(tx, mark_sql, &put, err));
    stmt_bind_int(put, 1, account_id);
    stmt_bind_str(put, 2, str_of(kind));
    stmt_bind_blob(put, 3, digest, sizeof digest);
    stmt_bind_int(put, 4, now_us());
    return stmt_run(put, err);
}

enum status account_create(struct db *db, const struct account_new *what, int64_t by_id, int64_t *out_id,
                           struct error *err)
{
    struct creation new = {.what = what, .by_id = by_id};
    TRY(check_new(what, err));
    enum status status = db_write(db, write_account, &new, err);
    arena_free(&new.arena);
    if (status == OK && out_id)
        *out_id = new.id;
    return status;
}

/* Changes of an organisation. */

struct org_change {
    struct str org, user;
    enum role role;
    bool on;
    int64_t by_id;
    struct arena arena;
};

static const char member_sql[] = "INSERT INTO member (org_id, user_id, role) VALUES (?, ?, ?) "
                                 "ON CONFLICT (org_id, user_id) DO UPDATE SET role = excluded.role";
static const char leave_sql[] = "DELETE FROM member WHERE org_id = ? AND user_id = ?";

static enum status put_member(struct db_conn *tx, const struct account *org, const struct account *user, enum role role,
                              struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(db_prepare(tx, role == ROLE_NONE ? leave_sql : member_sql, &put, err));
    stmt_bind_int(put, 1, org->id);
    stmt_bind_int(put, 2, user->id);
    if (role != ROLE_NONE)
        stmt_bind_int(put, 3, role);
    TRY(stmt_run(put, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "%.*s is not a member of %.*s", STR_ARG(user->name), STR_ARG(org->name));
    return OK;
}

static enum status write_member(struct db_conn *tx, void *context, struct error *err)
{
    struct org_change *change = context;
    struct account org, user;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(account_find_kind(tx, &change->arena, change->org, ACCOUNT_ORG, &org, err));
    TRY(account_find_kind(tx, &change->arena, change->user, ACCOUNT_USER, &user, err));
    TRY(put_member(tx, &org, &user, change->role, err));
    jw_object(&w);
    jw_key_int(&w, "org", org.id);
    jw_key_str(&w, "org_name", org.name);
    jw_key_int(&w, "user", user.id);
    jw_key_str(&w, "user_name", user.name);
    jw_key_str(&w, "role", role_name(change->role));
    jw_end(&w);
    struct event event = {
        .kind = &identity_events[EVENT_MEMBER_SET], .actor_id = change->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

enum status member_end_in(struct db_conn *tx, struct arena *arena, struct str org, struct str user, int64_t by_id,
                          struct error *err)
{
    struct org_change change = {.org = org, .user = user, .role = ROLE_NONE, .by_id = by_id, .arena = *arena};
    enum status status = write_member(tx, &change, err);
    *arena = change.arena;
    return status;
}

enum status member_set(struct db *db, struct str org, struct str user, enum role role, int64_t by_id, struct error *err)
{
    struct org_change change = {.org = org, .user = user, .role = role, .by_id = by_id};
    enum status status = db_write(db, write_member, &change, err);
    arena_free(&change.arena);
    return status;
}

static const char default_private_sql[] = "UPDATE account SET default_private = ? WHERE id = ?";

static enum status write_default_private(struct db_conn *tx, void *context, struct error *err)
{
    struct org_change *change = context;
    struct account org;
    auto_stmt struct stmt *set = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(account_find_kind(tx, &change->arena, change->org, ACCOUNT_ORG, &org, err));
    TRY(db_prepare(tx, default_private_sql, &set, err));
    stmt_bind_int(set, 1, change->on);
    stmt_bind_int(set, 2, org.id);
    TRY(stmt_run(set, err));
    jw_object(&w);
    jw_key_int(&w, "org", org.id);
    jw_key_str(&w, "org_name", org.name);
    jw_key_bool(&w, "on", change->on);
    jw_end(&w);
    struct event event = {
        .kind = &identity_events[EVENT_ORG_DEFAULT_PRIVATE], .actor_id = change->by_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

enum status org_set_default_private(struct db *db, struct str org, bool on, int64_t by_id, struct error *err)
{
    struct org_change change = {.org = org, .on = on, .by_id = by_id};
    enum status status = db_write(db, write_default_private, &change, err);
    arena_free(&change.arena);
    return status;
}

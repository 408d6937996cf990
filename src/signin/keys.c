/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /api/settings/keys: the keys of whoever asks. A key never makes one that may more, or lasts longer, than itself. */
#include "base/time.h"
#include "identity/key.h"
#include "signin/handlers.h"
#include "signin/key_scopes.h"

#define BODY_LIMIT (256 * 1024)

enum status body_members(const json_t *body, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return fail(err, INVALID, NULL, "The body has a member \"%.64s\" that means nothing here", key);
    }
    return OK;
}

/* Showing them. */

static const char list_sql[] =
    "SELECT k.id, k.name, k.public_id, k.role, k.created_us, k.expires_us, k.used_us, k.scoped, k.addresses, "
    "k.bytes_per_day, o.until_us, o.used_us, k.level FROM api_key k LEFT JOIN api_key_old o ON o.key_id = k.id AND "
    "o.until_us > "
    "? "
    "WHERE k.account_id = ? AND k.revoked_us IS NULL AND k.name > ? ORDER BY k.name LIMIT ?";
static const char scopes_sql[] =
    "SELECT owner_id, repo_id, role FROM key_scope WHERE key_id = ? ORDER BY owner_id, repo_id";

enum status key_scopes_each(struct request *rq, int64_t key_id, void (*each)(void *context, struct str text),
                            void *context, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, scopes_sql, &row, err));
    stmt_bind_int(row, 1, key_id);
    while (stmt_next(row)) {
        const struct key_scope scope = {stmt_int(row, 0), stmt_int(row, 1), (enum role)stmt_int(row, 2)};
        struct key_scope_shown shown;
        TRY(key_scope_show(rq->db, rq->arena, &rq->actor, &scope, &shown, err));
        if (str_given(shown.text))
            each(context, shown.text);
    }
    return stmt_end(row, err);
}

static void write_scope(void *context, struct str text)
{
    jw_str(context, text);
}

static void write_time(struct request *rq, struct json_writer *w, const char *key, int64_t us)
{
    jw_key_str(w, key, us ? time_iso(rq->arena, us) : (struct str){0});
}

static void write_addresses(struct json_writer *w, struct str rest)
{
    struct str piece;
    jw_key(w, "addresses");
    jw_array(w);
    while (str_given(rest) && str_cut(&rest, ' ', &piece))
        jw_str(w, piece);
    jw_end(w);
}

static struct key_shown read_key(struct request *rq, struct stmt *row, int64_t now)
{
    struct key_shown key = {.id = stmt_int(row, 0),
                            .name = arena_copy(rq->arena, stmt_str(row, 1)),
                            .public_id = arena_copy(rq->arena, stmt_str(row, 2)),
                            .role = (enum role)stmt_int(row, 3),
                            .created_us = stmt_int(row, 4),
                            .ends_us = stmt_int(row, 5),
                            .is_scoped = stmt_int(row, 7) != 0,
                            .bytes_per_day = stmt_int(row, 9),
                            .shown = (enum auth_level)stmt_int(row, 12)};
    key.used_us = key_used_last(key.id, false, stmt_int(row, 6));
    if (!stmt_is_null(row, 8))
        key.addresses = arena_copy(rq->arena, stmt_str(row, 8));
    if (!stmt_is_null(row, 10)) {
        int64_t used_us = key_used_last(key.id, true, stmt_int(row, 11));
        int64_t until_us = stmt_int(row, 10) < used_us + DAY_US ? stmt_int(row, 10) : used_us + DAY_US;
        key.old_until_us = until_us > now ? until_us : 0;
    }
    return key;
}

enum status keys_shown(struct request *rq, struct str after, struct key_shown out[KEYS_PAGE], size_t *count,
                       struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t now = now_us();
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, now);
    stmt_bind_int(row, 2, rq->actor.account.id);
    stmt_bind_str(row, 3, str_given(after) ? after : STR(""));
    stmt_bind_int(row, 4, KEYS_PAGE);
    for (*count = 0; stmt_next(row); ++*count)
        out[*count] = read_key(rq, row, now);
    return stmt_end(row, err);
}

static enum status write_key(struct request *rq, const struct key_shown *key, struct json_writer *w, struct error *err)
{
    jw_object(w);
    jw_key_str(w, "name", key->name);
    jw_key_str(w, "id", key->public_id);
    jw_key_str(w, "role", role_name(key->role));
    write_time(rq, w, "createdAt", key->created_us);
    write_time(rq, w, "expiresAt", key->ends_us);
    jw_key_bool(w, "expired", key->ends_us <= now_us());
    jw_key_str(w, "signIn", sign_in_name(key->shown));
    write_time(rq, w, "lastUsedAt", key->used_us);
    if (key->is_scoped) {
        jw_key(w, "repos");
        jw_array(w);
        TRY(key_scopes_each(rq, key->id, write_scope, w, err));
        jw_end(w);
    }
    if (str_given(key->addresses))
        write_addresses(w, key->addresses);
    if (key->bytes_per_day)
        jw_key_int(w, "bytesPerDay", key->bytes_per_day);
    if (key->old_until_us)
        write_time(rq, w, "oldSecretUntil", key->old_until_us);
    jw_end(w);
    return OK;
}

/* GET /api/settings/keys: by name, a page at a time; never a secret. */
enum status keys_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct key_shown *keys = arena_array(rq->arena, KEYS_PAGE, sizeof *keys);
    size_t count;
    TRY(keys_shown(rq, request_query(rq, "cursor", 0), keys, &count, err));
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        TRY(write_key(rq, &keys[i], &w, err));
    jw_end(&w);
    if (count == KEYS_PAGE)
        request_link_next(rq, keys[count - 1].name);
    request_reply_json(rq, &body);
    return OK;
}

/* Making one. */

static enum status read_list(const json_t *body, const char *key, const json_t **out, struct error *err)
{
    const json_t *list = json_object_get(body, key);
    *out = json_is_null(list) ? NULL : list;
    size_t index;
    json_t *item;
    if (*out && !json_is_array(*out))
        return fail(err, INVALID, NULL, "\"%s\" is a list of texts", key);
    json_array_foreach((json_t *)*out, index, item)
    {
        if (!json_is_string(item))
            return fail(err, INVALID, NULL, "\"%s\" is a list of texts", key);
    }
    return OK;
}

static struct str text_of(const json_t *item)
{
    return (struct str){json_string_value(item), json_string_length(item)};
}

static enum status read_scopes(struct request *rq, const json_t *body, enum role role, struct key_scope *scopes,
                               struct key_new *new, struct error *err)
{
    const json_t *list;
    TRY(read_list(body, "repos", &list, err));
    new->is_scoped = list != NULL;
    new->scopes = scopes;
    for (size_t i = 0; i < json_array_size(list); i++)
        TRY(key_scope_add(rq->db, rq->arena, &rq->actor, text_of(json_array_get(list, i)), role, scopes,
                          &new->scope_count, err));
    return OK;
}

static enum status read_addresses(const json_t *body, struct network *addresses, struct key_new *new, struct error *err)
{
    const json_t *list;
    TRY(read_list(body, "addresses", &list, err));
    if (json_array_size(list) > KEY_ADDRESSES_MOST)
        return fail(err, INVALID, NULL, "A token can be limited to at most %d ranges of addresses", KEY_ADDRESSES_MOST);
    new->addresses = addresses;
    for (; new->address_count < json_array_size(list); new->address_count++)
        if (!network_parse(text_of(json_array_get(list, new->address_count)), &addresses[new->address_count]))
            return fail(err, INVALID, NULL,
                        "Ranges of addresses read like 192.0.2.0/24 or 2001:db8::/32, with zeros behind the length");
    return OK;
}

static enum status read_role(struct request *rq, const json_t *body, enum role *out, struct error *err)
{
    struct str role = json_get_str(body, "role");
    if (!str_given(role) || !role_parse(role, out))
        return fail(err, INVALID, NULL, "\"role\" is read, write or admin");
    if (*out > rq->actor.key_role)
        return fail(err, FORBIDDEN, NULL,
                    "You are here with role %.*s, and cannot make a token of role %.*s: whoever runs the hub can, by "
                    "cairn admin token create",
                    STR_ARG(role_name(rq->actor.key_role)), STR_ARG(role));
    return OK;
}

static enum status number_of(const json_t *body, const char *key, int64_t otherwise, int64_t *out, struct error *err)
{
    const json_t *value = json_object_get(body, key);
    *out = value ? json_integer_value(value) : otherwise;
    return !value || json_is_integer(value) ? OK : fail(err, INVALID, NULL, "\"%s\" is a whole number", key);
}

static void reply_token(struct request *rq, struct str name, struct str token, const char *when, int64_t us)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "name", name);
    jw_key_str(&w, "token", token);
    write_time(rq, &w, when, us);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &body);
}

/* POST /api/settings/keys {"name","role","days"?,"repos"?,"addresses"?,"bytesPerDay"?}: the token, this once. */
enum status key_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"name", "role", "days", "repos", "addresses", "bytesPerDay", NULL};
    json_t *body;
    struct network addresses[KEY_ADDRESSES_MOST];
    struct key_scope scopes[KEY_SCOPES_MOST];
    struct str token;
    struct key_new new = {.user = rq->actor.account.name, .by_id = rq->actor.account.id};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(body_members(body, members, err));
    new.name = json_get_str(body, "name");
    new.ends_most_us = rq->actor.is_session ? 0 : rq->actor.key_ends_us;
    new.shown = rq->actor.shown;
    TRY(read_role(rq, body, &new.role, err));
    TRY(number_of(body, "days", KEY_DAYS, &new.days, err));
    TRY(number_of(body, "bytesPerDay", 0, &new.bytes_per_day, err));
    TRY(read_scopes(rq, body, new.role, scopes, &new, err));
    TRY(read_addresses(body, addresses, &new, err));
    request_done_reading(rq);
    int64_t ends_us = now_us() + new.days *DAY_US;
    TRY(key_create(rq->hub->db, rq->arena, &new, &token, err));
    reply_token(rq, new.name, token, "expiresAt",
                new.ends_most_us &&ends_us > new.ends_most_us ? new.ends_most_us : ends_us);
    return OK;
}

/* Changing and ending them. */

/* POST /api/settings/keys/{name}/rotate {"overlapDays"?}: a new secret. Only a person who signed in makes it last anew. */
enum status key_rotate_post(struct request *rq, struct error *err)
{
    static const char *const members[] = {"overlapDays", NULL};
    json_t *body;
    struct str token;
    int64_t old_until_us;
    struct key_rotation rotation = {.user = rq->actor.account.name,
                                    .name = rq->params[0],
                                    .renew = rq->actor.is_session,
                                    .shown = rq->actor.shown,
                                    .by_id = rq->actor.account.id};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(body_members(body, members, err));
    TRY(number_of(body, "overlapDays", KEY_OVERLAP_DAYS_MOST, &rotation.overlap_days, err));
    request_done_reading(rq);
    TRY(key_rotate(rq->hub->db, rq->arena, &rotation, &token, &old_until_us, err));
    reply_token(rq, rotation.name, token, "oldSecretUntil", old_until_us);
    return OK;
}

/* DELETE /api/settings/keys/{name} */
enum status key_delete(struct request *rq, struct error *err)
{
    request_done_reading(rq);
    TRY(key_revoke(rq->hub->db, rq->actor.account.name, rq->params[0], rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

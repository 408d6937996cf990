/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /api/settings/oauth-apps: what people let others sign in to with this hub. */
#include "base/text.h"
#include "base/time.h"
#include "oidc/handlers.h"
#include "router/page.h"

#define BODY_LIMIT (64 * 1024)
#define APPS_MOST 50
#define URIS_MOST 10
#define URI_MOST 1000
#define NAME_MOST 80

static bool is_loopback(struct str uri)
{
    static const struct str hosts[] = {{"http://127.0.0.1", 16}, {"http://localhost", 16}, {"http://[::1]", 12}};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (str_starts(uri, hosts[i]) && uri.len > hosts[i].len &&
            (uri.data[hosts[i].len] == ':' || uri.data[hosts[i].len] == '/'))
            return true;
    return false;
}

/* They are compared to the letter, and go into a header and a policy: nothing but what an address is made of. */
static bool is_redirect_uri(struct str uri)
{
    for (size_t i = 0; i < uri.len; i++)
        if (uri.data[i] <= ' ' || uri.data[i] >= 0x7f || strchr("#\"<>\\^`{|};,'", uri.data[i]))
            return false;
    return uri.len <= URI_MOST && ((str_starts(uri, STR("https://")) && uri.len > 8) || is_loopback(uri));
}

struct app_change {
    int64_t account_id;
    struct str name, client_id, uris;
    bool is_public, crowded;
    uint8_t digest[SHA256_SIZE];
};

static enum status append(struct db_conn *tx, int kind, const struct app_change *change, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "user", change->account_id);
    jw_key_str(&w, "client", change->client_id);
    jw_end(&w);
    const struct event event = {.kind = &oidc_events[kind], .actor_id = change->account_id, .body = buf_view(&body)};
    return event_append(tx, &event, err);
}

static const char count_sql[] = "SELECT count(*) FROM oauth_app WHERE account_id = ?";
static const char add_sql[] = "INSERT INTO oauth_app (account_id, client_id, name, secret_sha256, redirect_uris, "
                              "created_us) VALUES (?, ?, ?, ?, ?, ?)";

static enum status add_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct app_change *change = context;
    auto_stmt struct stmt *count = NULL, *add = NULL;
    TRY(db_prepare(tx, count_sql, &count, err));
    stmt_bind_int(count, 1, change->account_id);
    bool crowded = stmt_next(count) && stmt_int(count, 0) >= APPS_MOST;
    TRY(stmt_end(count, err));
    if (crowded)
        return fail(err, TOO_MANY, NULL, "You have %d applications already: remove one", APPS_MOST);
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, change->account_id);
    stmt_bind_str(add, 2, change->client_id);
    stmt_bind_str(add, 3, change->name);
    if (change->is_public)
        stmt_bind_null(add, 4);
    else
        stmt_bind_blob(add, 4, change->digest, sizeof change->digest);
    stmt_bind_str(add, 5, change->uris);
    stmt_bind_int(add, 6, now_us());
    TRY(stmt_run(add, err));
    return append(tx, EVENT_APP_ADD, change, err);
}

static enum status read_uris(const json_t *list, struct buf *out, struct error *err)
{
    size_t i;
    json_t *item;
    bool good = json_array_size(list) >= 1 && json_array_size(list) <= URIS_MOST;
    json_array_foreach(list, i, item)
    {
        struct str uri = {json_string_value(item), json_string_length(item)};
        good = good && str_given(uri) && is_redirect_uri(uri);
        if (good)
            buf_printf(out, "%s%.*s", i ? "\n" : "", STR_ARG(uri));
    }
    if (good)
        return OK;
    return fail(err, INVALID, NULL,
                "\"redirectUris\" is a list of 1 to %d addresses that begin with https://, or lead to this machine by "
                "http://localhost or http://127.0.0.1, without #",
                URIS_MOST);
}

static void write_app(struct json_writer *w, struct str client_id, struct str name, bool is_public, struct str uris)
{
    struct str uri;
    jw_key_str(w, "clientId", client_id);
    jw_key_str(w, "name", name);
    jw_key_bool(w, "public", is_public);
    jw_key(w, "redirectUris");
    jw_array(w);
    while (str_given(uris) && str_cut(&uris, '\n', &uri))
        jw_str(w, uri);
    jw_end(w);
}

/* POST /api/settings/oauth-apps {"name","redirectUris","public"?}: the secret, this once. */
enum status app_post(struct request *rq, struct error *err)
{
    json_t *body;
    uint8_t random[8];
    auto_buf struct buf uris = {0}, reply = {0};
    struct json_writer w = jw_to(&reply);
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    struct app_change change = {.account_id = rq->actor.account.id,
                                .name = json_get_str(body, "name"),
                                .is_public = json_get_bool(body, "public", false)};
    bool good = change.name.len >= 1 && change.name.len <= NAME_MOST;
    for (size_t i = 0; good && i < change.name.len; i++)
        good = (unsigned char)change.name.data[i] >= 0x20 && change.name.data[i] != 0x7f;
    if (!good)
        return fail(err, INVALID, NULL, "\"name\" is what people will read: one line of at most %d bytes", NAME_MOST);
    TRY(read_uris(json_object_get(body, "redirectUris"), &uris, err));
    change.uris = buf_view(&uris);
    random_bytes(random, sizeof random);
    change.client_id = arena_printf(rq->arena, "cairn-%.*s", STR_ARG(hex_encode(rq->arena, random, sizeof random)));
    struct str secret = oauth_secret(rq->arena, change.digest);
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, add_in_write, &change, err));
    jw_object(&w);
    write_app(&w, change.client_id, change.name, change.is_public, change.uris);
    if (!change.is_public)
        jw_key_str(&w, "clientSecret", secret);
    jw_end(&w);
    reply_header(rq->http, "Cache-Control", "no-store");
    request_reply_json(rq, &reply);
    return OK;
}

static const char list_sql[] = "SELECT id, client_id, name, secret_sha256 IS NULL, redirect_uris, created_us "
                               "FROM oauth_app WHERE account_id = ? AND id > ? ORDER BY id LIMIT ?";

static enum status write_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)err;
    jw_object(w);
    write_app(w, stmt_str(row, 1), stmt_str(row, 2), stmt_int(row, 3), stmt_str(row, 4));
    jw_key_str(w, "createdAt", time_iso(rq->arena, stmt_int(row, 5)));
    jw_end(w);
    return OK;
}

/* GET /api/settings/oauth-apps: never a secret. */
enum status apps_get(struct request *rq, struct error *err)
{
    return page_list(rq, list_sql, rq->actor.account.id, OLDEST_FIRST, write_row, err);
}

static const char remove_sql[] = "DELETE FROM oauth_app WHERE account_id = ? AND client_id = ?";

static enum status remove_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct app_change *change = context;
    auto_stmt struct stmt *remove = NULL;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, change->account_id);
    stmt_bind_str(remove, 2, change->client_id);
    TRY(stmt_run(remove, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "You have no such application");
    return append(tx, EVENT_APP_REMOVE, change, err);
}

/* DELETE /api/settings/oauth-apps/{name}: by its client id. Codes and tokens that it holds end. */
enum status app_delete(struct request *rq, struct error *err)
{
    struct app_change change = {.account_id = rq->actor.account.id, .client_id = rq->params[0]};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, remove_in_write, &change, err));
    request_reply_empty(rq);
    return OK;
}

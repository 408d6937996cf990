/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /api/settings/trusted-publishers: which CI jobs get a key for a repo or a name space, as who administers it says. */
#include "base/text.h"
#include "base/time.h"
#include "identity/key.h"
#include "oidc/ci.h"
#include "repo/repo.h"
#include "signin/key_scopes.h"
#include "signin/signin.h"

#define BODY_LIMIT (64 * 1024)
#define PUBLISHERS_MOST 50 /* of an account, and of a resource */
#define CLAIMS_MOST 16
#define CLAIM_NAME_MOST 100
#define TEXT_MOST 500

/* Who may. */

static enum status may_govern(struct request *rq, const struct key_scope *scope, struct error *err)
{
    struct access_object object = {.owner_id = scope->owner_id};
    struct repo repo;
    if (scope->repo_id) {
        TRY(repo_get(rq->db, rq->arena, scope->repo_id, &repo, err));
        object = repo_access(&repo);
    }
    return access_decide(rq->db, &rq->actor, scope->repo_id ? ACT_ADMINISTER : ACT_GOVERN, &object, err);
}

static enum status find_resource(struct request *rq, struct str text, enum role role, struct key_scope *scopes,
                                 size_t *count, struct error *err)
{
    if (!str_given(text) || str_has(text, STR(":")))
        return fail(err, INVALID, NULL,
                    "\"resource\" is a repo or a name space: alice/flora, datasets/alice/birds or "
                    "alice");
    TRY(key_scope_add(rq->db, rq->arena, &rq->actor, text, role, scopes, count, err));
    return may_govern(rq, &scopes[0], err);
}

/* Registering. */

struct registration {
    int64_t account_id, id;
    struct str public_id, issuer, audience, claims;
    enum role role;
    struct key_scope scopes[KEY_SCOPES_MOST]; /* the first is the resource */
    size_t scope_count;
};

static bool is_plain(struct str text, size_t most)
{
    bool good = text.len >= 1 && text.len <= most && str_is_utf8(text);
    for (size_t i = 0; good && i < text.len; i++)
        good = (unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f;
    return good;
}

static bool is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

/* Without a claim that says whose job it is, all jobs of a provider that serves everybody would be trusted. */
static enum status read_claims(struct request *rq, const json_t *claims, struct str *out, struct error *err)
{
    static const char *const own[] = {"iss", "aud", "exp", "iat", "nbf", "jti", NULL};
    static const char *const whose[] = {"sub", "repository", "repository_id", "project_path", "project_id", NULL};
    auto_buf struct buf text = {0};
    const char *name;
    json_t *value;
    bool good = json_is_object(claims) && json_object_size(claims) <= CLAIMS_MOST, told = false;
    json_object_foreach((json_t *)claims, name, value)
    {
        struct str wanted = {json_string_value(value), json_string_length(value)};
        good = good && json_is_string(value) && is_plain(wanted, TEXT_MOST) &&
               is_plain(str_of(name), CLAIM_NAME_MOST) && !is_among(name, own);
        told = told || is_among(name, whose);
    }
    if (!good || !told)
        return fail(err, INVALID, NULL,
                    "\"claims\" says what a token has to say, to the letter: at most %d texts, with one of sub, "
                    "repository, repository_id, project_path and project_id among them, and without iss, aud, exp, "
                    "iat, nbf and jti",
                    CLAIMS_MOST);
    json_dump(claims, &text);
    *out = arena_copy(rq->arena, buf_view(&text));
    return OK;
}

static enum status read_issuer(struct request *rq, struct str issuer, struct error *err)
{
    bool good = is_plain(issuer, ISSUER_MOST) &&
                ((str_starts(issuer, STR("https://")) && issuer.len > 8) || ci_issuer_is_named(rq->hub->oidc, issuer));
    for (size_t i = 0; good && i < issuer.len; i++)
        good = issuer.data[i] > ' ' && issuer.data[i] < 0x7f && !strchr("#?@\\\"<>", issuer.data[i]);
    return good
               ? OK
               : fail(err, INVALID, NULL,
                      "\"issuer\" is what stands in the tokens as \"iss\": an address that begins with https://, of at "
                      "most %d bytes. Whoever runs the hub can allow others by --ci-issuers",
                      ISSUER_MOST);
}

static enum status read_repos(struct request *rq, const json_t *body, struct registration *out, struct error *err)
{
    const json_t *list = json_object_get(body, "repos");
    if (list && !json_is_array(list))
        return fail(err, INVALID, NULL, "\"repos\" is a list of texts");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct str text = {json_string_value(item), json_string_length(item)};
        TRY(key_scope_add(rq->db, rq->arena, &rq->actor, str_given(text) ? text : STR(""), ROLE_READ, out->scopes,
                          &out->scope_count, err));
        if (out->scopes[out->scope_count - 1].role > ROLE_WRITE)
            return fail(err, INVALID, NULL, "A CI job reads and writes, and does not administer");
    }
    return OK;
}

static enum status read_body(struct request *rq, const json_t *body, struct registration *out, struct error *err)
{
    static const char *const members[] = {"resource", "role", "issuer", "audience", "claims", "repos", NULL};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)body, name, value)
    {
        if (!is_among(name, members))
            return fail(err, INVALID, NULL, "The body has a member \"%.64s\" that means nothing here", name);
    }
    struct str role = json_get_str(body, "role");
    if (!str_given(role) || !role_parse(role, &out->role) || out->role > ROLE_WRITE)
        return fail(err, INVALID, NULL, "\"role\" is read or write");
    out->issuer = json_get_str(body, "issuer");
    out->audience = json_get_str(body, "audience");
    if (!json_object_get(body, "audience"))
        out->audience = request_base_url(rq);
    if (!is_plain(out->audience, TEXT_MOST))
        return fail(err, INVALID, NULL, "\"audience\" is a text of at most %d bytes", TEXT_MOST);
    TRY(read_issuer(rq, out->issuer, err));
    TRY(read_claims(rq, json_object_get(body, "claims"), &out->claims, err));
    TRY(find_resource(rq, json_get_str(body, "resource"), out->role, out->scopes, &out->scope_count, err));
    return read_repos(rq, body, out, err);
}

static enum status append(struct db_conn *tx, int kind, int64_t by_id, int64_t account_id, struct str public_id,
                          struct str issuer, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "public_id", public_id);
    jw_key_int(&w, "user", account_id);
    jw_key_str(&w, "issuer", issuer);
    jw_end(&w);
    return event_append(tx, &(struct event){.kind = &oidc_events[kind], .actor_id = by_id, .body = buf_view(&body)},
                        err);
}

static const char count_sql[] =
    "SELECT count(*) FROM ci_publisher WHERE account_id = ? OR (repo_id = ? AND owner_id = ?)";
static const char add_sql[] = "INSERT INTO ci_publisher (public_id, account_id, owner_id, repo_id, role, issuer, "
                              "audience, claims, created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char scope_sql[] =
    "INSERT INTO ci_publisher_scope (publisher_id, owner_id, repo_id, role) VALUES (?, ?, ?, ?)";

static enum status insert(struct db_conn *tx, struct registration *what, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_str(add, 1, what->public_id);
    stmt_bind_int(add, 2, what->account_id);
    stmt_bind_int(add, 3, what->scopes[0].owner_id);
    stmt_bind_int(add, 4, what->scopes[0].repo_id);
    stmt_bind_int(add, 5, what->role);
    stmt_bind_str(add, 6, what->issuer);
    stmt_bind_str(add, 7, what->audience);
    stmt_bind_str(add, 8, what->claims);
    stmt_bind_int(add, 9, now_us());
    TRY(stmt_run(add, err));
    what->id = db_last_id(tx);
    return OK;
}

static enum status insert_scope(struct db_conn *tx, const struct registration *what, const struct key_scope *scope,
                                struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    bool again = scope->repo_id == what->scopes[0].repo_id && scope->owner_id == what->scopes[0].owner_id;
    TRY(db_prepare(tx, scope_sql, &add, err));
    stmt_bind_int(add, 1, what->id);
    stmt_bind_int(add, 2, scope->owner_id);
    stmt_bind_int(add, 3, scope->repo_id);
    stmt_bind_int(add, 4, scope->role);
    enum status status = again ? CONFLICT : stmt_run(add, err);
    return status == CONFLICT ? fail(err, INVALID, NULL, "The publisher names one repo or name space twice") : status;
}

static enum status register_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct registration *what = context;
    auto_stmt struct stmt *count = NULL;
    TRY(db_prepare(tx, count_sql, &count, err));
    stmt_bind_int(count, 1, what->account_id);
    stmt_bind_int(count, 2, what->scopes[0].repo_id);
    stmt_bind_int(count, 3, what->scopes[0].owner_id);
    bool crowded = stmt_next(count) && stmt_int(count, 0) >= PUBLISHERS_MOST;
    TRY(stmt_end(count, err));
    if (crowded)
        return fail(err, TOO_MANY, NULL, "There are %d trusted publishers already: remove one", PUBLISHERS_MOST);
    TRY(insert(tx, what, err));
    for (size_t i = 1; i < what->scope_count; i++)
        TRY(insert_scope(tx, what, &what->scopes[i], err));
    return append(tx, EVENT_PUBLISHER_ADD, what->account_id, what->account_id, what->public_id, what->issuer, err);
}

/*
 * POST /api/settings/trusted-publishers {"resource","role","issuer","audience"?,"claims","repos"?}: by a person who has just signed
 * in, as what comes of it outlives every key.
 */
enum status publisher_post(struct request *rq, struct error *err)
{
    json_t *body;
    uint8_t random[8];
    auto_buf struct buf reply = {0};
    struct json_writer w = jw_to(&reply);
    struct registration *what = arena_alloc(rq->arena, sizeof *what);
    *what = (struct registration){.account_id = rq->actor.account.id};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_read(rq, err));
    TRY(read_body(rq, body, what, err));
    TRY(require_fresh(rq, err));
    random_bytes(random, sizeof random);
    what->public_id = arena_printf(rq->arena, "ci-%.*s", STR_ARG(hex_encode(rq->arena, random, sizeof random)));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, register_in_write, what, err));
    jw_object(&w);
    jw_key_str(&w, "id", what->public_id);
    jw_key_str(&w, "audience", what->audience);
    jw_end(&w);
    request_reply_json(rq, &reply);
    return OK;
}

/* Showing them. */

#define COLUMNS "id, public_id, account_id, owner_id, repo_id, role, issuer, audience, claims, created_us, used_us"
static const char of_account_sql[] = "SELECT " COLUMNS " FROM ci_publisher WHERE account_id = ? ORDER BY id LIMIT ?";
static const char of_object_sql[] =
    "SELECT " COLUMNS " FROM ci_publisher WHERE repo_id = ? AND owner_id = ? ORDER BY id LIMIT ?";
static const char more_sql[] =
    "SELECT owner_id, repo_id, role FROM ci_publisher_scope WHERE publisher_id = ? ORDER BY owner_id, repo_id";

static enum status write_scope(struct request *rq, struct json_writer *w, const struct key_scope *scope,
                               struct error *err)
{
    struct key_scope_shown shown;
    TRY(key_scope_show(rq->db, rq->arena, &rq->actor, scope, &shown, err));
    if (str_given(shown.text))
        jw_str(w, shown.text);
    return OK;
}

static enum status write_publisher(struct request *rq, struct json_writer *w, struct stmt *row, struct error *err)
{
    auto_stmt struct stmt *more = NULL;
    struct account by;
    const struct key_scope scope = {stmt_int(row, 3), stmt_int(row, 4), (enum role)stmt_int(row, 5)};
    TRY(account_get(rq->db, rq->arena, stmt_int(row, 2), &by, err));
    jw_object(w);
    jw_key_str(w, "id", stmt_str(row, 1));
    jw_key_str(w, "by", by.name);
    jw_key(w, "repos");
    jw_array(w);
    TRY(write_scope(rq, w, &scope, err));
    TRY(db_prepare(rq->db, more_sql, &more, err));
    stmt_bind_int(more, 1, stmt_int(row, 0));
    while (stmt_next(more)) {
        const struct key_scope other = {stmt_int(more, 0), stmt_int(more, 1), (enum role)stmt_int(more, 2)};
        TRY(write_scope(rq, w, &other, err));
    }
    TRY(stmt_end(more, err));
    jw_end(w);
    jw_key_str(w, "issuer", stmt_str(row, 6));
    jw_key_str(w, "audience", stmt_str(row, 7));
    jw_key(w, "claims");
    jw_raw(w, stmt_str(row, 8));
    jw_key_str(w, "createdAt", time_iso(rq->arena, stmt_int(row, 9)));
    jw_key_str(w, "lastUsedAt", stmt_int(row, 10) ? time_iso(rq->arena, stmt_int(row, 10)) : (struct str){0});
    jw_end(w);
    return OK;
}

/* GET /api/settings/trusted-publishers[?resource=]: one's own, or all of what one administers. */
enum status publishers_get(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct str resource = request_query(rq, "resource", 0);
    struct key_scope scopes[KEY_SCOPES_MOST];
    size_t count = 0;
    bool of_one = str_given(resource);
    if (of_one)
        TRY(find_resource(rq, resource, ROLE_READ, scopes, &count, err));
    TRY(db_prepare(rq->db, of_one ? of_object_sql : of_account_sql, &row, err));
    stmt_bind_int(row, 1, of_one ? scopes[0].repo_id : rq->actor.account.id);
    if (of_one)
        stmt_bind_int(row, 2, scopes[0].owner_id);
    stmt_bind_int(row, of_one ? 3 : 2, PUBLISHERS_MOST);
    jw_array(&w);
    while (stmt_next(row))
        TRY(write_publisher(rq, &w, row, err));
    TRY(stmt_end(row, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Removing them. */

struct removal {
    int64_t id, account_id, by_id;
    struct str public_id, issuer;
    struct key_scope scope;
    struct arena *arena;
};

static const char find_sql[] = "SELECT id, account_id, owner_id, repo_id, issuer FROM ci_publisher WHERE public_id = ?";
static const char keys_sql[] = "SELECT id FROM api_key WHERE publisher_id = ? AND revoked_us IS NULL LIMIT 1";

static enum status find(struct request *rq, struct removal *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(rq->db, find_sql, &row, err));
    stmt_bind_str(row, 1, out->public_id);
    if (stmt_next(row)) {
        out->id = stmt_int(row, 0);
        out->account_id = stmt_int(row, 1);
        out->scope = (struct key_scope){stmt_int(row, 2), stmt_int(row, 3), ROLE_READ};
        out->issuer = arena_copy(rq->arena, stmt_str(row, 4));
    }
    TRY(stmt_end(row, err));
    if (out->id && (out->account_id == rq->actor.account.id || may_govern(rq, &out->scope, NULL) == OK))
        return OK;
    return fail(err, NOT_FOUND, NULL, "There is no such trusted publisher that you could remove");
}

/* The keys that it has made end with it. */
static enum status end_keys(struct db_conn *tx, const struct removal *gone, struct error *err)
{
    for (;;) {
        auto_stmt struct stmt *row = NULL;
        TRY(db_prepare(tx, keys_sql, &row, err));
        stmt_bind_int(row, 1, gone->id);
        int64_t key_id = stmt_next(row) ? stmt_int(row, 0) : 0;
        TRY(stmt_end(row, err));
        if (!key_id)
            return OK;
        TRY(keys_revoke(tx, gone->arena, gone->account_id, key_id, gone->by_id, err));
    }
}

static enum status remove_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct removal *gone = context;
    auto_stmt struct stmt *drop = NULL;
    TRY(end_keys(tx, gone, err));
    TRY(db_prepare(tx, "DELETE FROM ci_publisher WHERE id = ?", &drop, err));
    stmt_bind_int(drop, 1, gone->id);
    TRY(stmt_run(drop, err));
    if (!db_changes(tx))
        return fail(err, NOT_FOUND, NULL, "There is no such trusted publisher that you could remove");
    return append(tx, EVENT_PUBLISHER_REMOVE, gone->by_id, gone->account_id, gone->public_id, gone->issuer, err);
}

/* DELETE /api/settings/trusted-publishers/{id}: by who has registered it, or administers what it is for. */
enum status publisher_delete(struct request *rq, struct error *err)
{
    struct removal gone = {.by_id = rq->actor.account.id, .public_id = rq->params[0], .arena = rq->arena};
    TRY(find(rq, &gone, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, remove_in_write, &gone, err));
    request_reply_empty(rq);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Repo life cycle and settings (hub-protocol 1.2). */
#include "base/time.h"
#include "gate/gate.h"
#include "hub/first_files.h"
#include "hub/handlers.h"
#include "router/page.h"
#include <stdio.h>

#define BODY_LIMIT (1 << 20)
#define CREATE_BODY_LIMIT (8 << 20) /* first files may come along */
#define OWNED_PAGE 500

enum status kind_of(struct str name, enum repo_kind *out, struct error *err)
{
    *out = KIND_MODEL;
    if (str_given(name) && !repo_kind_parse(name, out))
        return fail(err, INVALID, NULL, "\"type\" must be one of [model, dataset, space]");
    return OK;
}

struct str repo_url(struct request *rq, enum repo_kind kind, struct str full_name)
{
    return arena_printf(rq->arena, "%.*s/%.*s%.*s", STR_ARG(request_base_url(rq)), STR_ARG(repo_kind_prefix(kind)),
                        STR_ARG(full_name));
}

struct signature request_signature(struct request *rq)
{
    struct str name = rq->actor.account.name;
    return (struct signature){
        .name = name,
        .email = arena_printf(rq->arena, "%.*s@users.noreply.cairn.invalid", STR_ARG(name)),
        .at_us = now_us(),
    };
}

/*
 * New clients send visibility, older ones private; *out stays as it is when neither is given, or null. What is neither
 * is refused: a slip must not publish anything.
 */
static enum status read_visibility(const json_t *body, enum visibility *out, struct error *err)
{
    const json_t *visibility = json_object_get(body, "visibility"), *private = json_object_get(body, "private");
    struct str name = json_get_str(body, "visibility");
    if (json_is_boolean(private))
        *out = json_is_true(private) ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC;
    else if (private && !json_is_null(private))
        return fail(err, INVALID, NULL, "\"private\" must be true or false");
    if (str_eq(name, STR("public")))
        *out = VISIBILITY_PUBLIC;
    else if (str_eq(name, STR("private")))
        *out = VISIBILITY_PRIVATE;
    else if (visibility && !json_is_null(visibility))
        return fail(err, INVALID, NULL, "\"visibility\" must be one of [public, private]");
    return OK;
}

static void reply_url(struct request *rq, int status, const char *error, enum repo_kind kind, struct str full_name,
                      struct str id)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    if (error)
        jw_key_str(&w, "error", str_of(error));
    jw_key_str(&w, "url", repo_url(rq, kind, full_name));
    jw_key_str(&w, "name", full_name);
    jw_key_str(&w, "id", id);
    jw_end(&w);
    reply_buf(rq->http, status, STR("application/json; charset=utf-8"), &body);
}

/* Clients with exist_ok read url from the body of the 409 (hub-protocol trap 6). */
static enum status reply_exists(struct request *rq, enum repo_kind kind, struct str ns, struct str name,
                                struct error *err)
{
    struct repo there;
    bool moved;
    struct str kind_name = repo_kind_name(kind);
    char message[80];
    snprintf(message, sizeof message, "You already created this %.*s repo", STR_ARG(kind_name));
    TRY(request_read(rq, err));
    TRY(repo_find(rq->db, rq->arena, kind, ns, name, &there, &moved, err));
    reply_header(rq->http, "X-Error-Message", "%s", message);
    reply_url(rq, 409, message, kind, there.full_name, there.public_id);
    return OK;
}

/* POST /api/repos/create */
enum status repos_create(struct request *rq, struct error *err)
{
    json_t *body;
    struct repo_new what = {0};
    struct account owner;
    struct repo made;
    struct first_files first;
    TRY(request_json(rq, rq->actor.account.id ? CREATE_BODY_LIMIT : BODY_LIMIT, &body, err));
    TRY(kind_of(json_get_str(body, "type"), &what.kind, err));
    struct str ns = json_get_str(body, "organization"), name = json_get_str(body, "name");
    if (str_has(name, STR("/")))
        str_cut(&name, '/', &ns);
    if (!str_given(ns) || ns.len == 0)
        ns = rq->actor.account.name;
    TRY(request_admit_owner(rq, ns, &owner, err));
    TRY(repo_name_check(name, err));
    what.visibility = owner.default_private ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC;
    TRY(read_visibility(body, &what.visibility, err));
    TRY(first_files_read(rq->arena, body, what.kind, &first, err));

    struct signature author = request_signature(rq);
    what.owner_id = owner.id;
    what.ns = owner.name;
    what.name = name;
    what.sdk = what.kind == KIND_SPACE ? json_get_str(body, "sdk") : STR("");
    what.by_id = rq->actor.account.id;
    what.by_name = author.name;
    what.by_email = author.email;
    if (what.kind == KIND_SPACE && !what.sdk.len)
        return fail(err, INVALID, NULL, "\"sdk\" is required to create a space: gradio, streamlit, docker or static");
    request_done_reading(rq);
    enum status status = repo_create(rq->hub->db, rq->arena, &what, &made, err);
    if (status == CONFLICT)
        return reply_exists(rq, what.kind, what.ns, what.name, err);
    TRY(status);
    TRY(first_files_commit(rq, &made, &first, err));
    reply_url(rq, 200, NULL, made.kind, made.full_name, made.public_id);
    return OK;
}

/* DELETE /api/repos/delete, with a body */
enum status repos_delete(struct request *rq, struct error *err)
{
    json_t *body;
    enum repo_kind kind;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(kind_of(json_get_str(body, "type"), &kind, err));
    struct str ns = json_get_str(body, "organization"), name = json_get_str(body, "name");
    if (!str_given(ns) || ns.len == 0)
        ns = rq->actor.account.name;
    struct str full = str_has(name, STR("/")) ? name : arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(ns), STR_ARG(name));
    TRY(request_admit_repo(rq, kind, full, err));
    TRY(gate_repo_delete(rq->hub->db, &rq->repo, rq->actor.account.id, err));
    reply_bytes(rq->http, 200, STR("text/plain"), STR("OK"));
    return OK;
}

/* POST /api/repos/move: needs the right to administer what moves and to create where it goes. */
enum status repos_move(struct request *rq, struct error *err)
{
    json_t *body;
    enum repo_kind kind;
    struct account owner;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(kind_of(json_get_str(body, "type"), &kind, err));
    TRY(request_admit_repo(rq, kind, json_get_str(body, "fromRepo"), err));
    struct str name = json_get_str(body, "toRepo"), ns;
    if (!str_cut(&name, '/', &ns) || !str_given(name))
        return fail(err, INVALID, NULL, "\"toRepo\" must be a name space and a name: ns/name");
    TRY(request_admit_owner(rq, ns, &owner, err));
    TRY(repo_name_check(name, err));
    TRY(gate_repo_move(rq->hub->db, &rq->repo, owner.id, owner.name, name, rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

/* PUT /api/{api}/settings */
enum status repos_settings(struct request *rq, struct error *err)
{
    json_t *body;
    enum visibility visibility = 0;
    struct repo_settings settings = {0};
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(read_visibility(body, &visibility, err));
    if (visibility)
        settings.visibility = &visibility;
    const json_t *gated = json_object_get(body, "gated");
    if (gated) {
        settings.gated = json_is_string(gated) ? json_get_str(body, "gated") : STR("");
        bool known =
            json_is_false(gated) || str_eq(settings.gated, STR("auto")) || str_eq(settings.gated, STR("manual"));
        if (!known)
            return fail(err, INVALID, NULL, "\"gated\" must be one of [auto, manual, false]");
    }
    const json_t *xet = json_object_get(body, "xetEnabled");
    bool xet_enabled = json_is_true(xet);
    if (xet && !json_is_boolean(xet))
        return fail(err, INVALID, NULL, "\"xetEnabled\" must be true or false");
    if (xet)
        settings.xet_enabled = &xet_enabled;
    TRY(gate_repo_set(rq->hub->db, &rq->repo, &settings, rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

/* GET /api/{api}/auth-check and /auth-check/write: the door has answered already. */
enum status repos_auth_check(struct request *rq, struct error *err)
{
    (void)err;
    request_reply_empty(rq);
    return OK;
}

static const char owned_sql[] = "SELECT id FROM repo WHERE owner_id = ? AND id < ? ORDER BY id DESC LIMIT ?";
static enum status write_owned(struct request *rq, struct json_writer *w, int64_t repo_id, struct error *err)
{
    struct repo repo;
    int64_t bytes;
    TRY(repo_get(rq->db, rq->arena, repo_id, &repo, err));
    struct access_object object = repo_access(&repo);
    if (access_decide(rq->db, &rq->actor, ACT_SEE, &object, NULL) != OK)
        return OK;
    TRY(store_repo_bytes(rq->db, repo_id, &bytes, err));
    jw_object(w);
    jw_key_str(w, "id", repo.full_name);
    jw_key_str(w, "type", repo_kind_name(repo.kind));
    jw_key_str(w, "updatedAt", time_iso(rq->arena, repo.updated_us));
    jw_key_str(w, "visibility", repo.visibility == VISIBILITY_PRIVATE ? STR("private") : STR("public"));
    jw_key_int(w, "storage", bytes);
    jw_key_int(w, "storagePercent", 0);
    jw_end(w);
    return OK;
}

static enum status reply_owned(struct request *rq, int64_t owner_id, struct error *err)
{
    auto_stmt struct stmt *owned = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    int64_t last, rows = 0;
    TRY(page_cursor(rq, NEWEST_FIRST, &last, err));
    TRY(db_prepare(rq->db, owned_sql, &owned, err));
    stmt_bind_int(owned, 1, owner_id);
    stmt_bind_int(owned, 2, last);
    stmt_bind_int(owned, 3, OWNED_PAGE);
    jw_array(&w);
    for (; stmt_next(owned); rows++) {
        last = stmt_int(owned, 0);
        TRY(write_owned(rq, &w, last, err));
    }
    TRY(stmt_end(owned, err));
    jw_end(&w);
    if (rows == OWNED_PAGE)
        request_link_next(rq, arena_printf(rq->arena, "%lld", (long long)last));
    request_reply_json(rq, &body);
    return OK;
}

/* GET /api/settings/repositories */
enum status repos_mine(struct request *rq, struct error *err)
{
    return reply_owned(rq, rq->actor.account.id, err);
}

/* GET /api/organizations/{name}/settings/repositories */
enum status repos_of_org(struct request *rq, struct error *err)
{
    struct account org;
    TRY(account_find(rq->db, rq->arena, rq->params[0], &org, err));
    return reply_owned(rq, org.id, err);
}

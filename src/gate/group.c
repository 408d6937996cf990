/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gates of groups: one gate before several repos of a name space. A repo is behind one gate only. */
#include "base/time.h"
#include "gate/handlers.h"
#include "router/page.h"

struct group_call {
    struct request *rq;
    struct account owner;
    struct str slug;
    const struct gate_policy *policy;
    enum gate_state state;
    int64_t repo_id;
    bool adds;
};

/* params: the name space and the slug; the door is asked about the name space. */
static enum status admit(struct request *rq, struct group_call *call, struct error *err)
{
    call->rq = rq;
    call->slug = rq->params[1];
    TRY(request_admit_owner(rq, rq->params[0], &call->owner, err));
    if (str_given(call->slug))
        TRY(account_name_check(call->slug, err));
    return OK;
}

static enum status find(struct db_conn *conn, const struct group_call *call, struct gate *out, struct error *err)
{
    return gate_of_group(conn, call->rq->arena, call->owner.id, call->slug, out, err);
}

static enum status reply_group(struct request *rq, const struct group_call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct gate gate;
    TRY(request_read(rq, err));
    TRY(find(rq->db, call, &gate, err));
    jw_object(&w);
    jw_key_str(&w, "group", arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(call->owner.name), STR_ARG(gate.slug)));
    TRY(gate_write(rq, &gate, false, &w, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* GET /api/gates/{ns}/{slug} */
enum status group_show(struct request *rq, struct error *err)
{
    struct group_call call = {0};
    TRY(admit(rq, &call, err));
    return reply_group(rq, &call, err);
}

/* PUT /api/gates/{ns}/{slug}: makes it, or sets its policy. */

static enum status put_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct group_call *call = context;
    struct gate gate;
    int64_t by_id = call->rq->actor.account.id;
    enum status found = find(tx, call, &gate, err);
    if (found == NOT_FOUND)
        return gate_make(tx, call->owner.id, call->slug, 0, call->policy, by_id, &gate, err);
    TRY(found);
    return gate_set_policy(tx, &gate, call->policy, by_id, err);
}

enum status group_put(struct request *rq, struct error *err)
{
    struct group_call call = {0};
    struct gate_policy policy;
    TRY(admit(rq, &call, err));
    TRY(gate_policy_body(rq, &policy, err));
    if (!policy.has_form)
        return fail(err, INVALID, NULL,
                    "The gate of a group needs a \"form\" of its own ([] asks nothing): its repos "
                    "have different cards");
    call.policy = &policy;
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, put_in_write, &call, err));
    return reply_group(rq, &call, err);
}

/* POST /api/gates/{ns}/{slug}/state */

static enum status state_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct group_call *call = context;
    struct gate gate;
    TRY(find(tx, call, &gate, err));
    return gate_set_state(tx, &gate, call->state, call->rq->actor.account.id, err);
}

enum status group_state_post(struct request *rq, struct error *err)
{
    struct group_call call = {0};
    TRY(admit(rq, &call, err));
    TRY(gate_state_read(rq, &call.state, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, state_in_write, &call, err));
    return reply_group(rq, &call, err);
}

/* GET /api/gates/{ns}: the groups of a name space, by slug. */

static const char list_sql[] = "SELECT g.slug, g.state, (SELECT count(*) FROM gate_repo b WHERE b.gate_id = g.id) "
                               "FROM gate g WHERE g.owner_id = ? AND g.slug > ? ORDER BY g.slug LIMIT ?";

enum status group_list(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct group_call call = {0};
    struct str cursor = request_query(rq, "cursor", 0), last = STR("");
    size_t count = 0;
    TRY(admit(rq, &call, err));
    TRY(db_prepare(rq->db, list_sql, &row, err));
    stmt_bind_int(row, 1, call.owner.id);
    stmt_bind_str(row, 2, str_given(cursor) ? cursor : STR(""));
    stmt_bind_int(row, 3, PAGE);
    jw_array(&w);
    for (; stmt_next(row); count++) {
        last = arena_copy(rq->arena, stmt_str(row, 0));
        jw_object(&w);
        jw_key_str(&w, "group", arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(call.owner.name), STR_ARG(last)));
        jw_key_str(&w, "state", str_of(gate_state_name((enum gate_state)stmt_int(row, 1))));
        jw_key_int(&w, "repos", stmt_int(row, 2));
        jw_end(&w);
    }
    TRY(stmt_end(row, err));
    jw_end(&w);
    if (count == PAGE)
        request_link_next(rq, last);
    request_reply_json(rq, &body);
    return OK;
}

/* GET /api/gates/{ns}/{slug}/repos: whoever governs the name space sees its private repos too. */

static const char repos_sql[] = "SELECT r.id, r.kind, r.ns || '/' || r.name FROM gate_repo b JOIN repo r ON r.id = "
                                "b.repo_id WHERE b.gate_id = ? AND r.id > ? ORDER BY r.id LIMIT ?";

static enum status write_repo(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err)
{
    (void)rq;
    (void)err;
    jw_object(w);
    jw_key_str(w, "type", repo_kind_name((enum repo_kind)stmt_int(row, 1)));
    jw_key_str(w, "name", stmt_str(row, 2));
    jw_end(w);
    return OK;
}

enum status group_repos(struct request *rq, struct error *err)
{
    struct group_call call = {0};
    struct gate gate;
    TRY(admit(rq, &call, err));
    TRY(find(rq->db, &call, &gate, err));
    return page_list(rq, repos_sql, gate.id, OLDEST_FIRST, write_repo, err);
}

/* POST and DELETE /api/gates/{ns}/{slug}/repos {"type", "name"} */

static enum status find_repo(struct db_conn *conn, const struct group_call *call, const json_t *body, int64_t *id,
                             struct error *err)
{
    static const char *const members[] = {"type", "name", NULL};
    struct str type = json_get_str(body, "type"), name = json_get_str(body, "name"), ns;
    enum repo_kind kind = KIND_MODEL;
    struct repo repo;
    bool moved;
    TRY(json_only(body, "The body", members, err));
    if (str_given(type) && !repo_kind_parse(type, &kind))
        return fail(err, INVALID, NULL, "\"type\" must be one of [model, dataset, space]");
    if (!str_cut(&name, '/', &ns) || !str_given(name))
        return fail(err, INVALID, NULL, "\"name\" must be a name space and a name: ns/name");
    enum status found = repo_find(conn, call->rq->arena, kind, ns, name, &repo, &moved, err);
    if (found == NOT_FOUND || (found == OK && repo.owner_id != call->owner.id))
        return fail(err, NOT_FOUND, "RepoNotFound", "This name space has no such repo.");
    TRY(found);
    *id = repo.id;
    return OK;
}

/* A repo that has a gate of its own changes over: those who were let in there are not let in here by that. */
static enum status add_in_write(struct db_conn *tx, const struct group_call *call, const struct gate *gate,
                                struct error *err)
{
    struct gate now;
    int64_t by_id = call->rq->actor.account.id;
    enum status found = gate_of_repo(tx, call->rq->arena, call->repo_id, &now, err);
    if (found == OK && now.id == gate->id)
        return OK;
    if (found == OK && str_given(now.slug))
        return fail(err, CONFLICT, "HasGate", "This repo is behind the gate %.*s already: take it out of there first.",
                    STR_ARG(now.slug));
    if (found == OK)
        TRY(gate_unbind(tx, call->repo_id, by_id, err));
    else if (found != NOT_FOUND)
        return found;
    return gate_bind(tx, gate, call->repo_id, by_id, err);
}

static enum status repo_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct group_call *call = context;
    struct gate gate, now;
    TRY(find(tx, call, &gate, err));
    if (call->adds)
        return add_in_write(tx, call, &gate, err);
    enum status found = gate_of_repo(tx, call->rq->arena, call->repo_id, &now, err);
    if (found == NOT_FOUND || (found == OK && now.id != gate.id))
        return fail(err, NOT_FOUND, NULL, "This repo is not behind this gate.");
    TRY(found);
    return gate_unbind(tx, call->repo_id, call->rq->actor.account.id, err);
}

static enum status change_repos(struct request *rq, bool adds, struct error *err)
{
    struct group_call call = {.adds = adds};
    json_t *body;
    TRY(admit(rq, &call, err));
    TRY(request_json(rq, 4096, &body, err));
    TRY(find_repo(rq->db, &call, body, &call.repo_id, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, repo_in_write, &call, err));
    request_reply_empty(rq);
    return OK;
}

enum status group_repo_add(struct request *rq, struct error *err)
{
    return change_repos(rq, true, err);
}

enum status group_repo_remove(struct request *rq, struct error *err)
{
    return change_repos(rq, false, err);
}

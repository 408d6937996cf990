/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules of protected branches (repo/protect.h). */
#include "base/time.h"
#include "hub/handlers.h"
#include "repo/protect.h"

#define BODY_LIMIT (64 << 10)

static void write_rule(struct json_writer *w, struct arena *arena, const struct ref_rule *rule)
{
    jw_object(w);
    jw_key_str(w, "ref", rule->ref);
    jw_key_int(w, "approvals", rule->approvals);
    jw_key_str(w, "role", role_name(rule->role));
    jw_key_str(w, "createdAt", time_iso(arena, rule->created_us));
    jw_end(w);
}

/* GET /api/{api}/rules */
enum status rules_get(struct request *rq, struct error *err)
{
    struct ref_rule *rules;
    size_t count;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    TRY(rule_list(rq->db, rq->arena, rq->repo.id, &rules, &count, err));
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        write_rule(&w, rq->arena, &rules[i]);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

static enum status named_branch(struct request *rq, struct str *ref, struct error *err)
{
    struct revision revision;
    TRY(request_revision(rq, 0, &revision, err));
    if (!str_given(revision.ref))
        return fail(err, INVALID, NULL, "Only a branch can be protected, and \"%.*s\" is a commit",
                    STR_ARG(rq->params[0]));
    *ref = revision.ref;
    return OK;
}

/* PUT /api/{api}/rules/{rev}: {"approvals": n, "role": "read" | "write" | "admin"}; without a role it is write. */
enum status rule_put(struct request *rq, struct error *err)
{
    json_t *body;
    struct ref_rule rule;
    TRY(request_json(rq, BODY_LIMIT, &body, err));
    TRY(request_read(rq, err));
    TRY(named_branch(rq, &rule.ref, err));
    struct str role = json_get_str(body, "role");
    rule.approvals = json_get_int(body, "approvals", 0);
    if (!role_parse(str_given(role) ? role : STR("write"), &rule.role))
        rule.role = ROLE_NONE;
    request_done_reading(rq);
    TRY(rule_set(rq->hub->db, rq->repo.id, &rule, rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

/* DELETE /api/{api}/rules/{rev} */
enum status rule_delete(struct request *rq, struct error *err)
{
    struct str ref;
    TRY(named_branch(rq, &ref, err));
    request_done_reading(rq);
    TRY(rule_remove(rq->hub->db, rq->repo.id, ref, rq->actor.account.id, err));
    request_reply_empty(rq);
    return OK;
}

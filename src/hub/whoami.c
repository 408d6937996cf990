/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "hub/handlers.h"
#include "signin/key_scopes.h"

struct org_writer {
    struct json_writer *w;
    struct arena *arena;
};

static void write_org(void *context, const struct account *org, enum role role)
{
    struct org_writer *to = context;
    jw_object(to->w);
    jw_key_str(to->w, "type", STR("org"));
    jw_key_str(to->w, "id", arena_printf(to->arena, "%024llx", (unsigned long long)org->id));
    jw_key_str(to->w, "name", org->name);
    jw_key_str(to->w, "fullname", org->full_name);
    jw_key_bool(to->w, "isEnterprise", false);
    jw_key_bool(to->w, "canPay", false);
    jw_key(to->w, "periodEnd");
    jw_null(to->w);
    jw_key_str(to->w, "avatarUrl", STR(""));
    jw_key_str(to->w, "roleInOrg", role_name(role));
    jw_end(to->w);
}

/* GET /api/whoami-v2 (hub-protocol 1.1). */
enum status whoami(struct request *rq, struct error *err)
{
    const struct account *me = &rq->actor.account;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "type", STR("user"));
    jw_key_str(&w, "id", arena_printf(rq->arena, "%024llx", (unsigned long long)me->id));
    jw_key_str(&w, "name", me->name);
    jw_key_str(&w, "fullname", me->full_name.len ? me->full_name : me->name);
    jw_key_str(&w, "email", me->email);
    jw_key_bool(&w, "emailVerified", false);
    jw_key_bool(&w, "canPay", false);
    jw_key_bool(&w, "isPro", false);
    jw_key(&w, "periodEnd");
    jw_null(&w);
    jw_key_str(&w, "avatarUrl", STR(""));
    jw_key(&w, "orgs");
    jw_array(&w);
    struct org_writer to = {&w, rq->arena};
    TRY(account_orgs(rq->db, rq->arena, me->id, write_org, &to, err));
    jw_end(&w);
    jw_key(&w, "auth");
    jw_object(&w);
    jw_key_str(&w, "type", rq->actor.is_session ? STR("session") : STR("access_token"));
    jw_key_str(&w, "level", auth_level_name(rq->actor.level));
    jw_key_str(&w, "levelAt", time_iso(rq->arena, rq->actor.auth_us));
    if (!rq->actor.is_session) {
        jw_key(&w, "accessToken");
        TRY(key_access_token(rq->db, rq->arena, &rq->actor, &w, err));
    }
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

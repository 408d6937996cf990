/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens of the CAS (xet-protocol 1.1): "xet1.SCOPE.KEY.REPO.UNTIL.HMAC". */
#include "xet/token.h"
#include "base/time.h"
#include "router/room.h"
#include "router/sign.h"
#include "xet/handlers.h"

/* Clients ask for a new token a minute before the end, and never again with one that was refused: so it is still taken a
 * minute after it, for requests under way and clocks that differ. */
#define VALID_SECONDS (15 * 60)
#define SLACK_SECONDS 60

struct xet_grant xet_grant(struct request *rq, bool write)
{
    int64_t until = now_us() / SECOND_US + VALID_SECONDS;
    struct str text = arena_printf(rq->arena, "xet1.%c.%lld.%lld.%lld", write ? 'w' : 'r', (long long)rq->actor.key_id,
                                   (long long)rq->repo.id, (long long)until);
    return (struct xet_grant){
        .cas_url = arena_printf(rq->arena, "%.*s/xet", STR_ARG(request_base_url(rq))),
        .token = arena_printf(rq->arena, "%.*s.%.*s", STR_ARG(text), STR_ARG(sign_text(rq, text))),
        .expires_s = until,
    };
}

static enum status reply_grant(struct request *rq, bool write)
{
    struct xet_grant grant = xet_grant(rq, write);
    reply_header(rq->http, "X-Xet-Cas-Url", "%.*s", STR_ARG(grant.cas_url));
    reply_header(rq->http, "X-Xet-Access-Token", "%.*s", STR_ARG(grant.token));
    reply_header(rq->http, "X-Xet-Token-Expiration", "%lld", (long long)grant.expires_s);
    reply_header(rq->http, "Cache-Control", "no-store");
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "casUrl", grant.cas_url);
    jw_key_str(&w, "accessToken", grant.token);
    jw_key_int(&w, "exp", grant.expires_s);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Rights are those of the repo, and the name may be of a branch that the commit will make: a revision that is not there is no
 * error. One that is there tells who has fetched what, as the bytes are asked for by hash alone. */
enum status xet_read_token(struct request *rq, struct error *err)
{
    struct revision revision;
    (void)err;
    rq->has_commit = revision_resolve(rq->db, rq->arena, rq->repo.id, rq->params[0], &revision, NULL) == OK;
    if (rq->has_commit)
        rq->commit = revision.commit;
    return reply_grant(rq, false);
}

/* How much will come is not known before the shard names it; when nothing can come at all, that is said now. */
enum status xet_write_token(struct request *rq, struct error *err)
{
    TRY(request_has_room(rq, err));
    return reply_grant(rq, true);
}

bool xet_token_read(struct str token, struct xet_token *out)
{
    struct str version, scope, key, repo, until;
    struct xet_token read = {0};
    if (!str_cut(&token, '.', &version) || !str_cut(&token, '.', &scope) || !str_cut(&token, '.', &key) ||
        !str_cut(&token, '.', &repo) || !str_cut(&token, '.', &until))
        return false;
    read.write = str_eq(scope, STR("w"));
    if (!str_eq(version, STR("xet1")) || scope.len != 1 || !str_to_i64(key, &read.key_id) ||
        !str_to_i64(repo, &read.repo_id) || !str_to_i64(until, &read.until_s))
        return false;
    *out = read;
    return true;
}

enum status xet_token_check(struct request *rq, struct error *err)
{
    struct str token = http_header(rq->http, "authorization");
    struct xet_token fields;
    if (!str_eq_nocase(str_slice(token, 0, 7), STR("bearer ")))
        return fail(err, UNAUTHENTICATED, NULL, "The storage needs a Xet token: ask the hub for one.");
    token = str_trim(str_from(token, 7));
    const char *dot = memrchr(token.data, '.', token.len);
    size_t signed_len = dot ? (size_t)(dot - token.data) : 0;
    if (!dot || !sign_matches(rq, str_slice(token, 0, signed_len), str_from(token, signed_len + 1)) ||
        !xet_token_read(token, &fields))
        return fail(err, UNAUTHENTICATED, NULL, "This is not a Xet token of this hub: ask it for one.");
    if (fields.until_s + SLACK_SECONDS < now_us() / SECOND_US)
        return fail(err, UNAUTHENTICATED, NULL, "This Xet token has expired: ask the hub for a new one.");
    if (rq->route->action != ACT_READ && !fields.write)
        return fail(err, FORBIDDEN, NULL, "This Xet token is for reading: ask the hub for one to write with.");
    return sign_admit(rq, fields.key_id, fields.repo_id, err);
}

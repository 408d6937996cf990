/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/dispatch.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "identity/attempts.h"
#include "identity/key.h"
#include "router/flight.h"
#include "router/limit.h"
#include "router/pattern.h"
#include "router/request.h"
#include "router/session.h"
#include <assert.h>
#include <ctype.h>
#include <stdatomic.h>

static _Atomic int64_t answered[6];

int64_t dispatch_count(int status_class)
{
    return answered[status_class];
}

/* Who asks. */

static bool token_of(struct arena *arena, struct str header, struct str *token)
{
    if (str_eq_nocase(str_slice(header, 0, 7), STR("bearer "))) {
        *token = str_trim(str_from(header, 7));
        return token->len > 0;
    }
    struct str pair, user;
    if (str_eq_nocase(str_slice(header, 0, 6), STR("basic ")) &&
        base64_decode(arena, str_trim(str_from(header, 6)), &pair)) {
        *token = pair;
        return str_cut(token, ':', &user) && token->len > 0; /* git: any user name, the token as password */
    }
    return false;
}

static enum status slow_down(struct request *rq, int64_t seconds, struct error *err)
{
    reply_header(rq->http, "Retry-After", "%lld", (long long)seconds);
    return fail(err, TOO_MANY, "SlowDown",
                "Too many wrong tokens came from your network: wait %lld seconds before the next one",
                (long long)seconds);
}

/* Nobody finds one of the hub's own tokens by guessing, so a right one is let in at any time; one that somebody has thought
 * of has to wait as long as the wrong ones, or they would be told from it. */
static enum status authenticate_token(struct request *rq, struct str token, struct error *err)
{
    struct str remote = request_remote(rq);
    int64_t wait = 0;
    enum status status = actor_authenticate(rq->db, rq->arena, token, remote, &rq->actor, err);
    for (const struct module *const *module = modules; status == UNAUTHENTICATED && *module; module++)
        if ((*module)->wrong_key)
            (*module)->wrong_key(rq, token);
    if (status == UNAUTHENTICATED && !err->code[0])
        wait = token_was_wrong(token, remote);
    else if (status == OK && !key_is_ours(token))
        wait = token_must_wait(remote);
    if (!wait)
        return status;
    rq->actor = (struct actor){.country = rq->actor.country};
    return slow_down(rq, wait, err);
}

static enum status authenticate(struct request *rq, struct error *err)
{
    struct str header = http_header(rq->http, "authorization"), token;
    if (!str_given(header))
        return request_session(rq, err);
    if (!token_of(rq->arena, header, &token))
        return fail(err, UNAUTHENTICATED, NULL, "Invalid credentials in Authorization header");
    TRY(authenticate_token(rq, token, err));
    if (str_given(rq->actor.warning))
        reply_header(rq->http, "X-Token-Warning", "%.*s", STR_ARG(rq->actor.warning));
    return OK;
}

/* Which repo. */

/* "/hub" of https://example.org/hub: a proxy took it off the path that we see. */
static struct str public_prefix(struct str url)
{
    struct str piece;
    for (int slashes = 0; slashes < 3 && str_cut(&url, '/', &piece); slashes++)
        continue;
    return str_given(url) ? (struct str){url.data - 1, url.len + 1} : STR("");
}

/* 307 keeps method and body; clients follow a relative address with only its path (hub-protocol 1.8). */
static void redirect_moved(struct request *rq, const struct pattern_match *m)
{
    struct str target = rq->http->target;
    reply_header(rq->http, "Location", "%.*s%.*s%.*s%.*s", STR_ARG(public_prefix(rq->hub->public_url)),
                 (int)m->repo_start, target.data, STR_ARG(rq->repo.full_name), STR_ARG(str_from(target, m->repo_end)));
    reply_bytes(rq->http, 307, STR("text/plain"), STR(""));
}

static enum status find_repo(struct request *rq, const struct pattern_match *m, bool *moved, struct error *err)
{
    enum status found = NOT_FOUND;
    if (str_given(m->name))
        found = repo_find(rq->db, rq->arena, m->kind, m->ns, m->name, &rq->repo, moved, err);
    return found == NOT_FOUND ? access_hidden(&rq->actor, err) : found;
}

/* The door. */

/* Limits come before the door, and count also for who has no valid key: such a one is a stranger at an address. */
static enum status know(struct request *rq, struct error *err)
{
    struct error slow = {0};
    enum status status = OK;
    if (rq->route->signed_by)
        status = rq->route->signed_by(rq, err);
    else if (rq->route->action != ACT_PUBLIC)
        status = authenticate(rq, err);
    if (request_limit(rq, &slow) == OK)
        return status;
    *err = slow;
    return slow.status;
}

static enum status admit(struct request *rq, const struct pattern_match *m, bool *moved, struct error *err)
{
    TRY(know(rq, err));
    if (!rq->route->signed_by && rq->route->action != ACT_PUBLIC && m->has_repo)
        TRY(find_repo(rq, m, moved, err));
    if (rq->route->object_in_body)
        return OK;
    return request_admit(rq, err);
}

static enum status run(struct request *rq, const struct pattern_match *m, struct error *err)
{
    if (rq->route->action != ACT_PUBLIC || rq->route->signed_by)
        TRY(request_read(rq, err));
    bool moved = false;
    TRY(admit(rq, m, &moved, err));
    if (moved) {
        redirect_moved(rq, m);
        return OK;
    }
    TRY(rq->route->handle(rq, err));
    assert(rq->admitted);
    return OK;
}

/* Which route. */

/* From the top of the house down: what clients ask for most is the Hub protocol, and each pattern before it costs a try. */
static const struct route *find_route(struct request *rq, enum http_method method, struct pattern_match *m)
{
    size_t count = 0;
    while (modules[count])
        count++;
    while (count--)
        for (const struct route *route = modules[count]->routes; route && route->pattern; route++)
            if (route->method == method && pattern_match(rq->arena, route->pattern, rq->http->path, m))
                return route;
    return NULL;
}

/* No route takes this method; the path may be one that takes others. */
static enum status no_route(struct request *rq, struct error *err)
{
    struct pattern_match ignored;
    auto_buf struct buf allowed = {0};
    for (enum http_method method = 0; method < HTTP_METHODS; method++)
        if (find_route(rq, method, &ignored))
            buf_printf(&allowed, "%s%s%s", allowed.len ? ", " : "", http_method_name(method),
                       method == HTTP_GET ? ", HEAD" : "");
    if (!allowed.len)
        return fail(err, NOT_FOUND, NULL, "Sorry, we can't find the page you are looking for.");
    reply_header(rq->http, "Allow", "%.*s", STR_ARG(buf_view(&allowed)));
    return fail(err, NOT_ALLOWED, NULL, "This address does not take %s.", http_method_name(rq->http->method));
}

static uint64_t first_number;
static __attribute__((constructor)) void draw_first_number(void)
{
    random_bytes(&first_number, sizeof first_number);
}

/* Not a secret, only unlike those of other runs: counted from a random start, spread so that neighbours do not look
 * alike. */
static uint64_t request_number(void)
{
    static _Atomic uint64_t count;
    return (first_number + atomic_fetch_add(&count, 1)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* The client's trace id, cut to harmless bytes, comes back in ours: both sides' logs meet (hub-protocol 0.2). */
static struct str request_id(struct request *rq)
{
    struct str trace = str_slice(http_header(rq->http, "x-amzn-trace-id"), 0, 64);
    for (size_t i = 0; i < trace.len; i++)
        if (!isalnum((unsigned char)trace.data[i]) && !strchr("-=;_", trace.data[i]))
            trace.len = i;
    uint64_t number = request_number();
    struct str own = hex_encode(rq->arena, &number, sizeof number);
    return trace.len ? arena_printf(rq->arena, "Root=1-%.*s;%.*s", STR_ARG(own), STR_ARG(trace))
                     : arena_printf(rq->arena, "Root=1-%.*s", STR_ARG(own));
}

static void reply_failure(struct request *rq, const struct error *err)
{
    memcpy(rq->refusal, err->reason, sizeof rq->refusal);
    request_reply_error(rq, err);
    if (status_http(err->status) >= 500 && err->status != UNSUPPORTED &&
        !err->reason[0]) /* whoever runs the hub must learn of it */
        log_line("error", "request", "%.*s: %s", STR_ARG(rq->id), err->message);
}

/* Two letters as a proxy says them; what it does not say is "XX", as with proxies that do not know. */
static struct str country_of(struct request *rq)
{
    struct str said = str_trim(http_header(rq->http, rq->hub->country_header));
    if (said.len != 2 || !isalpha((unsigned char)said.data[0]) || !isalpha((unsigned char)said.data[1]))
        return STR("XX");
    char letters[2] = {(char)toupper((unsigned char)said.data[0]), (char)toupper((unsigned char)said.data[1])};
    return arena_copy(rq->arena, (struct str){letters, 2});
}

void dispatch(struct http_request *http, void *context)
{
    struct request *rq = arena_alloc(http->arena, sizeof *rq);
    *rq = (struct request){.hub = context, .http = http, .arena = http->arena};
    http->context = rq;
    rq->id = request_id(rq);
    reply_header(http, "X-Request-Id", "%.*s", STR_ARG(rq->id));
    if (str_given(http_header(http, "origin")))
        reply_header(http, "Access-Control-Expose-Headers",
                     "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,"
                     "Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash,X-Prov-Index,X-Prov-Sha256,X-Access-Reason,"
                     "X-Access-Next,X-Access-Until,X-Terms-Due,X-Recall,X-Token-Warning");

    if (rq->hub->country_header)
        rq->actor.country = country_of(rq);
    struct error err = {0};
    struct pattern_match m = {0};
    rq->route = find_route(rq, http->method == HTTP_HEAD ? HTTP_GET : http->method, &m);
    memcpy(rq->params, m.params, sizeof m.params);
    enum status status = rq->route ? run(rq, &m, &err) : no_route(rq, &err);
    if (status != OK)
        reply_failure(rq, &err);
    db_release(&rq->db);
    json_release(&rq->json);
}

/* Afterwards. */

void dispatch_done(struct http_request *http, void *context)
{
    (void)context;
    struct request *rq = http->context;
    request_limit_done(rq);
    flight_end(rq);
    for (const struct module *const *module = modules; *module; module++)
        if ((*module)->served)
            (*module)->served(rq);
    answered[http->status / 100 % 6]++;
    auto_buf struct buf line = {0};
    struct json_writer w = jw_to(&line);
    jw_object(&w);
    jw_key_str(&w, "at", time_iso(http->arena, now_us()));
    jw_key_str(&w, "event", STR("request"));
    jw_key_str(&w, "id", rq->id);
    jw_key_str(&w, "method", str_of(http_method_name(http->method)));
    jw_key_str(&w, "path", http->path); /* never the query: signed addresses carry their secret there */
    jw_key_int(&w, "status", http->status);
    jw_key_int(&w, "bytes", http->bytes_sent);
    jw_key_int(&w, "us", monotonic_us() - http->started_us);
    jw_key_str(&w, "remote", request_remote(http->context));
    if (rq->actor.account.id)
        jw_key_str(&w, "actor", rq->actor.account.name);
    jw_end(&w);
    log_json(&line);
}

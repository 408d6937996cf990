/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "base/time.h"
#include "router/flight.h"
#include "router/limit.h"
#include <inttypes.h>

struct str request_base_url(struct request *rq)
{
    if (str_given(rq->hub->public_url))
        return rq->hub->public_url;
    struct str scheme = http_header(rq->http, "x-forwarded-proto"), host = http_header(rq->http, "host");
    bool https = str_eq_nocase(scheme, STR("https"));
    return arena_printf(rq->arena, "%s://%.*s", https ? "https" : "http", STR_ARG(host));
}

static bool is_proxy(const struct hub *hub, struct str address)
{
    struct network peer;
    bool known = network_address(address, &peer);
    for (size_t i = 0; known && i < hub->proxy_count; i++)
        if (network_has(&hub->proxies[i], &peer))
            return true;
    return false;
}

/* Each proxy adds whom it was asked by to the end; what stands before the last one that is not ours, anybody may have
 * made up. */
struct str request_remote(struct request *rq)
{
    struct str remote = rq->http->remote, chain = http_header(rq->http, "x-forwarded-for");
    while (str_given(chain) && is_proxy(rq->hub, remote)) {
        const char *comma = memrchr(chain.data, ',', chain.len);
        size_t start = comma ? (size_t)(comma - chain.data) + 1 : 0;
        remote = str_trim(str_from(chain, start));
        chain = comma ? str_slice(chain, 0, start - 1) : (struct str){0};
    }
    return remote;
}

bool request_is_local(struct request *rq)
{
    struct str remote = request_remote(rq);
    bool proxied = str_given(http_header(rq->http, "x-forwarded-for")) && !is_proxy(rq->hub, rq->http->remote);
    return !proxied && (str_starts(remote, STR("127.")) || str_eq(remote, STR("::1")) ||
                        str_starts(remote, STR("::ffff:127.")));
}

/* No client sends a tenth of them; what comes behind is not looked at, nor is what follows a bad encoding. */
#define QUERY_PAIRS 1000

/* Decoded once: handlers ask for the first, second, third… occurrence of a name. */
static void read_query(struct request *rq)
{
    struct str rest = rq->http->query;
    struct query_pair pair;
    size_t most = 1;
    for (size_t i = 0; i < rest.len && most < QUERY_PAIRS; i++)
        most += rest.data[i] == '&';
    rq->query = arena_array(rq->arena, most, sizeof *rq->query);
    while (rq->query_count < most && form_next(rq->arena, &rest, &pair.name, &pair.value))
        rq->query[rq->query_count++] = pair;
}

struct str request_query(struct request *rq, const char *name, size_t index)
{
    struct str wanted = str_of(name);
    if (!rq->query)
        read_query(rq);
    for (size_t i = 0; i < rq->query_count; i++)
        if (str_eq(rq->query[i].name, wanted) && index-- == 0)
            return rq->query[i].value;
    return (struct str){0};
}

bool request_query_true(struct request *rq, const char *name)
{
    struct str value = request_query(rq, name, 0);
    return str_eq_nocase(value, STR("true")) || str_eq(value, STR("1"));
}

enum status request_body(struct request *rq, size_t limit, struct str *out, struct error *err)
{
    bool reads = rq->db != NULL;
    request_done_reading(rq);
    TRY(body_read_all(rq->http, limit, out, err));
    return reads ? request_read(rq, err) : OK;
}

enum status request_json(struct request *rq, size_t limit, json_t **out, struct error *err)
{
    struct str body;
    TRY(request_body(rq, limit, &body, err));
    if (body.len == 0)
        body = STR("{}");
    json_release(&rq->json);
    TRY(json_read(body, limit, &rq->json, err));
    if (!json_is_object(rq->json))
        return fail(err, INVALID, NULL, "The request body must be a JSON object.");
    *out = rq->json;
    return OK;
}

enum status request_admit(struct request *rq, struct error *err)
{
    struct access_object object = {0};
    if (rq->repo.id)
        object = repo_access(&rq->repo);
    TRY(access_explain(rq->db, &rq->actor, rq->route->action, rq->repo.id ? &object : NULL, &rq->access, err));
    TRY(request_slow(rq, err));
    rq->admitted = true;
    flight_begin(rq);
    if (rq->access.terms_due_us)
        reply_header(rq->http, "X-Terms-Due", "%.*s; <%.*s/api/%.*s/%.*s/terms>",
                     STR_ARG(time_iso(rq->arena, rq->access.terms_due_us)), STR_ARG(request_base_url(rq)),
                     STR_ARG(repo_kind_plural(rq->repo.kind)), STR_ARG(rq->repo.full_name));
    return OK;
}

enum status request_admit_repo(struct request *rq, enum repo_kind kind, struct str full_name, struct error *err)
{
    struct str ns, name = full_name;
    bool moved;
    if (!str_cut(&name, '/', &ns) || !str_given(name))
        return access_hidden(&rq->actor, err);
    enum status found = repo_find(rq->db, rq->arena, kind, ns, name, &rq->repo, &moved, err);
    if (found != OK)
        return found == NOT_FOUND ? access_hidden(&rq->actor, err) : found;
    return request_admit(rq, err);
}

enum status request_admit_owner(struct request *rq, struct str name, struct account *owner, struct error *err)
{
    enum status found = account_find(rq->db, rq->arena, name, owner, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    /* Account 0 owns nothing, so nobody may create there: an unknown name space reads like somebody else's. */
    struct access_object object = {.owner_id = found == OK ? owner->id : 0, .full_name = name};
    bool governs = rq->route->action == ACT_GOVERN || rq->route->action == ACT_COUNTERSIGN;
    TRY(access_decide(rq->db, &rq->actor, governs ? rq->route->action : ACT_CREATE, &object, err));
    rq->admitted = true;
    return OK;
}

void request_done_reading(struct request *rq)
{
    db_release(&rq->db);
}

enum status request_read(struct request *rq, struct error *err)
{
    if (rq->db)
        return OK;
    TRY(db_reader(rq->hub->db, &rq->db, err));
    /* What a GET shows is of one moment. Others read again after they have written. */
    bool only_reads = rq->http->method == HTTP_GET || rq->http->method == HTTP_HEAD;
    return only_reads ? db_snapshot(rq->db, err) : OK;
}

void request_reply_json(struct request *rq, struct buf *body)
{
    reply_buf(rq->http, 200, STR("application/json; charset=utf-8"), body);
}

void request_reply_empty(struct request *rq)
{
    reply_bytes(rq->http, 200, STR("application/json; charset=utf-8"), STR("{}"));
}

/* What a refusal of access says besides the sentence: as headers, for clients that read only those, and in the body. */
static void explain(struct request *rq, const struct error *err, struct json_writer *w)
{
    jw_key(w, "access");
    jw_object(w);
    jw_key_str(w, "reason", str_of(err->reason));
    reply_header(rq->http, "X-Access-Reason", "%s", err->reason);
    if (err->next[0]) {
        struct str next = arena_printf(rq->arena, "%.*s%s", STR_ARG(request_base_url(rq)), err->next);
        jw_key_str(w, "next", next);
        reply_header(rq->http, "X-Access-Next", "%.*s", STR_ARG(next));
    }
    if (err->until_us) {
        struct str until = time_iso(rq->arena, err->until_us);
        jw_key_str(w, "until", until);
        reply_header(rq->http, "X-Access-Until", "%.*s", STR_ARG(until));
    }
    jw_end(w);
}

void request_reply_error(struct request *rq, const struct error *err)
{
    if (err->code[0])
        reply_header(rq->http, "X-Error-Code", "%s", err->code);
    reply_header(rq->http, "X-Error-Message", "%s", err->message);
    /* git asks for a password only when it sees this; so does a browser, over the page whose script has asked. */
    bool browser = str_given(http_header(rq->http, "sec-fetch-mode"));
    if (err->status == UNAUTHENTICATED)
        reply_header(rq->http, "WWW-Authenticate",
                     browser ? "Bearer realm=\"Cairn\"" : "Basic realm=\"Cairn\", charset=\"UTF-8\"");
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "error", str_of(err->message));
    if (err->reason[0])
        explain(rq, err, &w);
    else if (err->until_us > now_us())
        reply_header(rq->http, "Retry-After", "%lld", (long long)((err->until_us - now_us()) / SECOND_US + 1));
    jw_end(&w);
    reply_buf(rq->http, status_http(err->status), STR("application/json; charset=utf-8"), &body);
}

void request_link_next(struct request *rq, struct str cursor)
{
    auto_buf struct buf query = {0};
    struct str rest = rq->http->query, pair;
    while (str_given(rest) && str_cut(&rest, '&', &pair))
        if (pair.len && !str_starts(pair, STR("cursor=")))
            buf_printf(&query, "%.*s&", STR_ARG(pair));
    struct str base = request_base_url(rq);
    reply_header(rq->http, "Link", "<%.*s%.*s?%.*scursor=%.*s>; rel=\"next\"", STR_ARG(base), STR_ARG(rq->http->path),
                 STR_ARG(buf_view(&query)), STR_ARG(percent_encode(rq->arena, cursor, false)));
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/session.h"
#include "identity/session.h"

struct str request_origin(struct request *rq)
{
    struct str url = request_base_url(rq), rest = url, piece;
    for (int slashes = 0; slashes < 3 && str_given(rest); slashes++)
        str_cut(&rest, '/', &piece);
    return str_given(rest) ? str_slice(url, 0, (size_t)(rest.data - url.data) - 1) : url;
}

bool request_same_origin(struct request *rq)
{
    return str_eq(http_header(rq->http, "origin"), request_origin(rq));
}

/* Behind https the name that browsers protect: no neighbour in the same domain can set it (RFC 6265bis "__Host-"). */
static struct str cookie_name(struct request *rq)
{
    return str_starts(request_base_url(rq), STR("https:")) ? STR("__Host-cairn_session") : STR("cairn_session");
}

static struct str find_cookie(struct request *rq)
{
    struct str rest = http_header(rq->http, "cookie"), wanted = cookie_name(rq), pair, name;
    while (str_given(rest) && str_cut(&rest, ';', &pair)) {
        pair = str_trim(pair);
        str_cut(&pair, '=', &name);
        if (str_eq(name, wanted) && str_given(pair))
            return pair;
    }
    return (struct str){0};
}

enum status request_session(struct request *rq, struct error *err)
{
    struct str token = find_cookie(rq);
    struct actor actor = {.country = rq->actor.country};
    if (!str_given(token))
        return OK;
    enum status found = session_authenticate(rq->db, rq->arena, token, &actor, err);
    if (found == NOT_FOUND)
        return OK;
    TRY(found);
    bool only_reads = rq->http->method == HTTP_GET || rq->http->method == HTTP_HEAD;
    if (!only_reads && !request_same_origin(rq))
        return fail(err, FORBIDDEN, "CrossSite",
                    "A browser that is signed in may change things from the hub's own pages only: send a token in the "
                    "Authorization header instead");
    rq->actor = actor;
    reply_header(rq->http, "Vary", "Cookie");
    return OK;
}

void reply_session_cookie(struct request *rq, struct str token)
{
    struct str name = cookie_name(rq);
    const char *secure = str_starts(name, STR("__Host-")) ? "; Secure" : "";
    if (str_given(token))
        reply_header(rq->http, "Set-Cookie", "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s", STR_ARG(name),
                     STR_ARG(token), SESSION_DAYS * 86400, secure);
    else
        reply_header(rq->http, "Set-Cookie", "%.*s=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0%s", STR_ARG(name),
                     secure);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_REQUEST_H
#define CAIRN_ROUTER_REQUEST_H

#include "base/json.h"
#include "module.h"
#include "quota/limiter.h"
#include "repo/ref.h"
#include "router/pattern.h"
#include "store/store.h"

/* A reply on its way (flight.h). */
struct flight {
    struct flight *before, *after;
    int64_t number; /* 0: it is none */
};

struct query_pair {
    struct str name, value; /* decoded */
};

/*
 * A request on its way through a handler. What the route's pattern and action promise has been done: params are
 * decoded, repo is resolved, the actor is known, and access_decide() said yes.
 */
struct request {
    struct hub *hub;
    struct http_request *http;
    struct arena *arena;
    const struct route *route;
    struct db_conn *db; /* a reader; NULL for ACT_PUBLIC and after request_done_reading() */
    struct actor actor; /* account.id 0: nobody */
    struct repo repo;   /* of {api} and {web} patterns */
    struct str params[PATTERN_PARAMS];
    struct query_pair *query; /* NULL until request_query() is asked for the first time */
    size_t query_count;
    struct str id;               /* of the request, as it stands in the log and in X-Request-Id */
    json_t *json;                /* the parsed body, released with the request */
    bool admitted;               /* access_decide() has said yes to the route's action */
    struct visit visit;          /* what it counts as */
    struct access_answer access; /* why */
    struct flight flight;
    char refusal[24];  /* the word with which a gate has refused it; "" */
    struct oid commit; /* of the revision that was asked for, once it was looked up */
    bool has_commit;
    int64_t plan_bytes; /* of a file that this reply tells where to fetch, from its beginning; 0: it tells no such thing */
};

/* For handlers. */

/* The hub's address as this request's client sees it: the configured one, or from Host and X-Forwarded-Proto. */
struct str request_base_url(struct request *rq);
/* The client's address as text: the peer's, or where the peer is a proxy of ours (hub->proxies), what that says. */
struct str request_remote(struct request *rq);
/* The client is on this machine, as far as can be known: what comes through a proxy that nobody has named is not. */
bool request_is_local(struct request *rq);
/* A query parameter, decoded; absent when it is not there. index 0 is its first occurrence. */
struct str request_query(struct request *rq, const char *name, size_t index);
bool request_query_true(struct request *rq, const char *name);
/* The whole body, at most limit bytes, as body_read_all(). The reader is not kept while the client takes its time. */
enum status request_body(struct request *rq, size_t limit, struct str *out, struct error *err);
/* The body as a JSON object; released with the request. An empty body counts as {}. */
enum status request_json(struct request *rq, size_t limit, json_t **out, struct error *err);
/* Asks the door for the route's action on rq->repo, if there is one: what the dispatcher does before the handler. */
enum status request_admit(struct request *rq, struct error *err);
/* For routes with object_in_body: find the object, ask the door, and fill rq->repo. full_name is "ns/name". */
enum status request_admit_repo(struct request *rq, enum repo_kind kind, struct str full_name, struct error *err);
/* The same for a name space: ACT_GOVERN and ACT_COUNTERSIGN where the route asks for one of them, else ACT_CREATE (also
 * for where a repo is moved to). owner is filled. An unknown one is refused like a foreign one. */
enum status request_admit_owner(struct request *rq, struct str name, struct account *owner, struct error *err);

/*
 * Gives the database reader back: before a long transfer, and before calling what borrows one itself (a draft), as
 * threads that each hold one and want a second could wait for one another.
 */
void request_done_reading(struct request *rq);
/* Borrows it again, where it is not there. */
enum status request_read(struct request *rq, struct error *err);
/* Replies 200 with what was written. */
void request_reply_json(struct request *rq, struct buf *body);
/* Replies 200 with an empty object. */
void request_reply_empty(struct request *rq);
/* Replies with the status, code and sentence of err, as hub-protocol 0.4 has them; headers already added stay. */
void request_reply_error(struct request *rq, const struct error *err);
/* The Link header that names the next page: this request's own address with the parameter `cursor` set to value. */
void request_link_next(struct request *rq, struct str cursor);

#endif

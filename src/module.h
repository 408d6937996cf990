/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MODULE_H
#define CAIRN_MODULE_H

#include "access/access.h"
#include "base/network.h"
#include "db/db.h"
#include "event/event.h"
#include "machine/machine.h"
#include "net/http.h"
#include "timer/timer.h"
#include <stdatomic.h>

/*
 * A part of the house shows one face, a struct module in its module.c: the tables below. modules.c lists the faces.
 */

struct hub_key;
struct oidc;
struct record;
struct store;
struct request;
struct limiter;
struct cosigner;
struct federate;
struct witness;

/* What every handler and job may use; made once by serve. */
struct hub {
    struct db *db;
    struct store *store;
    struct record *record;
    struct hub_key *hub_key;
    struct str certificate_anchors; /* PEM of those who may vouch for signers; absent for none */
    struct str public_url;          /* without trailing slash; absent: taken from each request's Host */
    const struct network *proxies;  /* of ours, that say whom they were asked by */
    size_t proxy_count;
    uint8_t signing_secret[32]; /* of upload addresses */
    const char *country_header; /* in which a proxy in front says from where a request comes; NULL: none does */
    bool xet;                   /* tell clients of Xet; its addresses are there in any case */
    struct cosigner *cosigner;  /* this hub as a witness of other logs; NULL: it is none */
    struct oidc *oidc;          /* signing in elsewhere with this hub, and here with an outside provider */
    struct str outside_name;    /* the host of that provider; absent: there is none */
    struct witness *witness;    /* the witnesses of this hub's log; NULL: it has none */
    struct federate *federate;  /* what participants of federated training have sent */
    const char *houses;         /* addresses of second houses, with commas, that runs may name; NULL: any */
    struct limiter *limiter;    /* of requests and bytes sent; NULL: nothing is limited */
    struct http_server *server;
    int64_t started_us;
    atomic_bool stopping; /* no request comes any more: slow jobs end soon, whatever they are at */
};

typedef enum status route_handler(struct request *rq, struct error *err);

/*
 * Patterns are made of segments:
 *   text       itself
 *   {api}      models|datasets|spaces and a repo's ns/name: fills rq->repo (one-segment names are repos that are not
 * there) {web}      nothing|datasets|spaces and ns/name: the same for web addresses; ".git" behind the name is taken
 * off where the next segment asks for it by being written {web}.git {kind}     models|datasets|spaces, as a parameter
 *   {rev}      a revision: one segment, decoded after splitting, or refs/pr/N and refs/convert/X unescaped
 *   {name}     any one segment, decoded
 *   {path*}    the rest, decoded after splitting; may be empty
 * Text right behind {rev} or {name}, as in {rev}.tlog-proof, is taken off the end. Parameters are numbered in their order. A request for a repo by an old name is answered 307 to the new one.
 */
struct route {
    enum http_method method; /* HTTP_GET routes also answer HEAD */
    const char *pattern;
    enum action action;
    route_handler *handle;
    /* For addresses that carry their own signature instead of a key: checks it and fills rq->actor and rq->repo. NULL
     * elsewhere. */
    route_handler *signed_by;
    /* What the action is about stands in the body: the handler names it with request_admit_repo() or
     * request_admit_owner() before it does anything; the dispatcher asserts that it did. */
    bool object_in_body;
};

struct job {
    const char *name;
    unsigned period_seconds;
    enum status (*run)(struct hub *hub, struct error *err);
    bool soon; /* has something to do after some writes: then it does not wait for its time */
    bool slow; /* may take minutes: these have a thread of their own, and ask for hub->stopping now and then */
    bool last; /* runs once more when no request comes any more: it keeps what would be lost */
};

struct module {
    const char *name;
    const struct migration_set *migrations;
    const struct event_kind *events;       /* ends with a NULL name */
    const struct route *routes;            /* ends with a NULL pattern */
    const struct job *jobs;                /* ends with a NULL name */
    const struct timer_kind *timers;       /* ends with a NULL name */
    const struct machine *const *machines; /* ends with NULL; what `cairn machines` prints */
    /* In the write in which a person has accepted some texts (terms/terms.h): what that sets right. */
    enum status (*accepted)(struct db_conn *tx, int64_t account_id, struct error *err);
    /* In the write in which an appeal against a step of enforcement is upheld: the part takes back what the step did, or, when
     * it was upheld in part, lets it end after days. */
    enum status (*overturned)(struct db_conn *tx, int64_t step_id, int64_t days, struct error *err);
    /* After a reply is out, or its client gone: rq->http says what became of it. On a thread that others wait for. */
    void (*served)(struct request *rq);
    /* A token that is nobody's was shown; the answer is out of this function's hands. */
    void (*wrong_key)(struct request *rq, struct str token);
    /* In the write that erases an account: the part lets go of the person; then its statements, which take the account's id, forget what it
     * keeps. forgets ends with NULL. */
    enum status (*erase)(struct db_conn *tx, int64_t account_id, struct error *err);
    const char *const *forgets;
};

extern const struct module *const modules[]; /* ends with NULL */

#endif

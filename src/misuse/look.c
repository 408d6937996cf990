/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "base/time.h"
#include "identity/key.h"
#include "misuse/internal.h"
#include "misuse/places.h"
#include "misuse/watch.h"
#include <pthread.h>

/*
 * Requests are looked at when their replies are out, on threads that others wait for: so only memory is touched there, and what
 * has to be written waits for a job, which comes each second. That is little: a signal of a key is written at most every six hours.
 */
#define WAITING_MOST 4096
#define WHOLE_LEAST (1 << 20) /* a smaller file is no load */
#define YOUNG_US DAY_US

static struct watch *watch;
static struct places *places;

struct waiting {
    int64_t key_id, account_id, gate_id;
    unsigned raised, burst_repos;
    uint32_t woke_clients;
    bool is_new;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct waiting queue[WAITING_MOST];
static size_t queued, lost;

enum status misuse_open(const char *countries, const char *throwaway, struct error *err)
{
    TRY(places_open(countries, throwaway, &places, err));
    watch = watch_new(WATCH_SLOTS);
    return OK;
}

void misuse_close(void)
{
    watch_free(watch);
    places_free(places);
    watch = NULL;
    places = NULL;
}

void look_forget(int64_t key_id)
{
    if (watch && key_id)
        watch_forget(watch, key_id);
}

/* Looking. */

/* FNV-1a, so that an empty text and what is not known are not alike. */
static uint32_t hash_of(const void *data, size_t len)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 16777619U;
    return hash ? hash : 1;
}

/* "huggingface_hub" of "huggingface_hub/0.34.0; python/3.12": versions come and go. */
static uint32_t client_of(const struct http_request *http)
{
    struct str agent = http_header(http, "user-agent");
    size_t len = 0;
    while (len < agent.len && !strchr("/ ;(", agent.data[len]))
        len++;
    return len ? hash_of(agent.data, len) : 0;
}

static void look_where(struct request *rq, struct sight *s)
{
    struct network address, around;
    if (!network_address(request_remote(rq), &address))
        return;
    around = network_around(&address);
    s->network = hash_of(around.bytes, sizeof around.bytes);
    if (s->gated)
        s->place = place_of(places, &address);
}

static void look_what(struct request *rq, struct sight *s)
{
    const struct http_request *http = rq->http;
    if (rq->route->action != ACT_READ || http->method != HTTP_GET)
        return;
    bool served = (http->status == 200 || http->status == 206) && http->bytes_sent > 0;
    s->bytes = served ? http->bytes_sent : 0;
    s->refused = rq->refusal[0] && strcmp(rq->refusal, "step-up") != 0;
    s->gated = rq->access.gate_id && (served || s->refused);
    s->repo_id = rq->repo.id;
    s->gate_id = rq->access.gate_id;
    if (!s->gated)
        return;
    s->whole = (http->status == 200 && http->bytes_sent >= WHOLE_LEAST) || (served && rq->plan_bytes >= WHOLE_LEAST);
    /* Xet and git-lfs name what they fetch by hash, whatever the revision: the same content again is the same revision again. */
    s->revision =
        rq->has_commit ? hash_of(rq->commit.bytes, sizeof rq->commit.bytes) : hash_of(&rq->repo.id, sizeof rq->repo.id);
    s->file = hash_of(http->path.data, http->path.len);
}

static void put(const struct waiting *one)
{
    pthread_mutex_lock(&lock);
    if (queued < WAITING_MOST)
        queue[queued++] = *one;
    else
        lost++;
    pthread_mutex_unlock(&lock);
}

void look_served(struct request *rq)
{
    const struct actor *actor = &rq->actor;
    if (!watch || !rq->route || !actor->key_id || !actor->account.id)
        return;
    struct sight s = {.key_id = actor->key_id,
                      .account_id = actor->account.id,
                      .at_us = now_us(),
                      .used_us = actor->used_us,
                      .client = client_of(rq->http),
                      .is_ci = actor->is_ci,
                      .has_addresses = actor->has_addresses};
    look_what(rq, &s);
    look_where(rq, &s);
    s.throwaway = s.at_us - actor->account.created_us < YOUNG_US && is_throwaway(places, actor->account.email);
    struct seen seen = watch_see(watch, &s);
    if (seen.raised || seen.is_new)
        put(&(struct waiting){s.key_id, s.account_id, s.gate_id, seen.raised, seen.found.burst_repos,
                              seen.found.woke_clients, seen.is_new});
}

/* What memory does not know. */

static const char clients_sql[] = "SELECT clients FROM misuse_client WHERE key_id = ?";

/* Of a key that has not been in memory: the programs that used it before. */
static enum status remember(struct db_conn *conn, struct waiting *one, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, clients_sql, &row, err));
    stmt_bind_int(row, 1, one->key_id);
    uint32_t clients = stmt_next(row) ? (uint32_t)stmt_int(row, 0) : 0;
    TRY(stmt_end(row, err));
    if (watch_remember(watch, one->key_id, clients, one->woke_clients))
        one->raised |= 1U << NEW_CLIENT;
    return OK;
}

static const char burst_sql[] =
    "SELECT count(*), (SELECT max(created_us) FROM access_grant WHERE account_id = ? AND gate_id = ? AND state <= 3) "
    "FROM gate_repo WHERE gate_id = ?";

/* How many repos the gate has, and whether the person was let in lately. */
static enum status settle_burst(struct db_conn *conn, struct waiting *one, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    if (!(one->raised & 1U << BURST))
        return OK;
    TRY(db_prepare(conn, burst_sql, &row, err));
    stmt_bind_int(row, 1, one->account_id);
    stmt_bind_int(row, 2, one->gate_id);
    stmt_bind_int(row, 3, one->gate_id);
    bool bursts = stmt_next(row) && trail_bursts(one->burst_repos, stmt_int(row, 0), stmt_int(row, 1), now_us());
    if (!bursts)
        one->raised &= ~(1U << BURST);
    return stmt_end(row, err);
}

/* The job. */

struct round {
    struct waiting *all;
    size_t count;
    bool raised;
};

static enum status write_round(struct db_conn *tx, void *context, struct error *err)
{
    const struct round *r = context;
    for (size_t i = 0; i < r->count; i++)
        if (r->all[i].raised)
            TRY(cases_raise(tx, r->all[i].account_id, r->all[i].key_id, r->all[i].raised, err));
    return OK;
}

static enum status settle(struct hub *hub, struct round *r, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(hub->db, &conn, err));
    for (size_t i = 0; i < r->count; i++) {
        if (r->all[i].is_new)
            TRY(remember(conn, &r->all[i], err));
        TRY(settle_burst(conn, &r->all[i], err));
        r->raised |= r->all[i].raised != 0;
    }
    return OK;
}

enum status look_run(struct hub *hub, struct error *err)
{
    static struct waiting taken[WAITING_MOST]; /* there is one thread of jobs */
    struct round r = {.all = taken};
    pthread_mutex_lock(&lock);
    memcpy(taken, queue, queued * sizeof *queue);
    r.count = queued;
    size_t gone = lost;
    queued = lost = 0;
    pthread_mutex_unlock(&lock);
    if (gone)
        log_line("warning", "misuse", "%zu signs of misuse came faster than they can be looked at, and were not", gone);
    enum status status = r.count ? settle(hub, &r, err) : OK;
    if (status == OK && r.raised)
        status = db_write(hub->db, write_round, &r, err);
    for (size_t i = 0; (status == UNAVAILABLE || status == NO_SPACE) && i < r.count; i++)
        put(&taken[i]); /* for the next time; what fails for other reasons would fail for ever */
    return status;
}

static const char put_clients_sql[] = "INSERT INTO misuse_client (key_id, clients) VALUES (?, ?) ON CONFLICT (key_id) "
                                      "DO UPDATE SET clients = excluded.clients";

#define CLIENTS_AT_ONCE 1000
struct clients {
    int64_t key_id[CLIENTS_AT_ONCE];
    uint32_t clients[CLIENTS_AT_ONCE];
    size_t count;
};

static enum status write_clients(struct db_conn *tx, void *context, struct error *err)
{
    const struct clients *all = context;
    for (size_t i = 0; i < all->count; i++) {
        auto_stmt struct stmt *write = NULL;
        TRY(db_prepare(tx, put_clients_sql, &write, err));
        stmt_bind_int(write, 1, all->key_id[i]);
        stmt_bind_int(write, 2, all->clients[i]);
        TRY(stmt_run(write, err));
    }
    return OK;
}

enum status look_write_clients(struct hub *hub, struct error *err)
{
    struct clients some = {.count = CLIENTS_AT_ONCE};
    size_t cursor = 0;
    while (some.count == CLIENTS_AT_ONCE) {
        some.count = 0;
        while (some.count < CLIENTS_AT_ONCE &&
               watch_unwritten(watch, &cursor, &some.key_id[some.count], &some.clients[some.count]))
            some.count += some.key_id[some.count] < SESSION_FIRST; /* a browser stays what it is */
        enum status status = some.count ? db_write(hub->db, write_clients, &some, err) : OK;
        for (size_t i = 0; status != OK && i < some.count; i++) /* for the next time */
            watch_remember(watch, some.key_id[i], 0, 0);
        TRY(status);
    }
    return OK;
}

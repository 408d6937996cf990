/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/flight.h"
#include "base/log.h"
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* One list for the program, as there is one server. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct flight head = {&head, &head, 0};
static int64_t count, last_number;

#define REQUEST_OF(flight_) ((struct request *)((char *)(flight_)-offsetof(struct request, flight)))

void flight_begin(struct request *rq)
{
    struct flight *f = &rq->flight;
    if (rq->route->action != ACT_READ || !rq->repo.id || f->number)
        return;
    pthread_mutex_lock(&lock);
    *f = (struct flight){head.before, &head, ++last_number};
    f->before->after = f->after->before = f;
    count++;
    pthread_mutex_unlock(&lock);
}

void flight_end(struct request *rq)
{
    struct flight *f = &rq->flight;
    if (!f->number)
        return;
    pthread_mutex_lock(&lock);
    f->before->after = f->after;
    f->after->before = f->before;
    count--;
    pthread_mutex_unlock(&lock);
}

/* What the door needs to know, copied: the request may be over before the answer is there. */
struct look {
    int64_t number, key_id, account_id, repo_id;
    enum role key_role;
    bool has_country;
    char country[2];
    char id[96]; /* of the request, for the log */
};

static void copy_look(const struct request *rq, struct look *out)
{
    *out = (struct look){rq->flight.number, rq->actor.key_id, rq->actor.account.id, rq->repo.id, rq->actor.key_role};
    out->has_country = rq->actor.country.len == 2;
    if (out->has_country)
        memcpy(out->country, rq->actor.country.data, 2);
    snprintf(out->id, sizeof out->id, "%.*s", STR_ARG(rq->id));
}

static struct look *copy_all(size_t *out_count)
{
    pthread_mutex_lock(&lock);
    struct look *looks = calloc((size_t)count + 1, sizeof *looks);
    size_t at = 0;
    if (!looks)
        abort();
    for (struct flight *f = head.after; f != &head; f = f->after)
        copy_look(REQUEST_OF(f), &looks[at++]);
    pthread_mutex_unlock(&lock);
    *out_count = at;
    return looks;
}

static void cut(const struct look *look)
{
    pthread_mutex_lock(&lock);
    for (struct flight *f = head.after; f != &head; f = f->after)
        if (f->number == look->number)
            http_cut(REQUEST_OF(f)->http);
    pthread_mutex_unlock(&lock);
}

/* As the request came in, but with what key and person are by now. */
static enum status actor_now(struct db_conn *conn, struct arena *arena, const struct look *look, struct actor *out,
                             struct error *err)
{
    if (look->has_country)
        out->country = (struct str){look->country, 2};
    if (look->key_id)
        return actor_of_key(conn, arena, look->key_id, out, err);
    out->key_role = look->key_role;
    return look->account_id ? account_get(conn, arena, look->account_id, &out->account, err) : OK;
}

static enum status ask_again(struct db_conn *conn, struct arena *arena, const struct look *look, struct error *err)
{
    struct actor actor = {0};
    struct repo repo;
    TRY(actor_now(conn, arena, look, &actor, err));
    TRY(repo_get(conn, arena, look->repo_id, &repo, err));
    struct access_object object = repo_access(&repo);
    return access_decide(conn, &actor, ACT_READ, &object, err);
}

/* A database that does not answer is no reason to cut everybody off. */
static bool is_no(enum status status, const struct error *err)
{
    return status == UNAUTHENTICATED || status == FORBIDDEN || status == NOT_FOUND || (status != OK && err->reason[0]);
}

static enum status check_one(struct hub *hub, const struct look *look, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_arena struct arena arena = {0};
    TRY(db_reader(hub->db, &conn, err));
    struct error why = {0};
    enum status status = ask_again(conn, &arena, look, &why);
    if (status == OK)
        return OK;
    if (!is_no(status, &why)) {
        *err = why;
        return status;
    }
    cut(look);
    log_line("info", "cut", "%s: %s", look->id, why.message);
    return OK;
}

enum status flights_check(struct hub *hub, struct error *err)
{
    size_t looks_count;
    struct look *looks = copy_all(&looks_count);
    enum status status = OK;
    for (size_t i = 0; i < looks_count && status == OK; i++)
        status = check_one(hub, &looks[i], err);
    free(looks);
    return status;
}

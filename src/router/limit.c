/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/limit.h"

static long long seconds(int64_t ns)
{
    return (long long)((ns + 999999999) / 1000000000);
}

/*
 * As stock clients read them: after a 429 they wait t seconds and one more when r is 0, or else Retry-After. t is the time until
 * one more request is allowed when none is, and until all are there again otherwise.
 */
static void add_headers(struct request *rq)
{
    const struct visit *visit = &rq->visit;
    const struct rate_answer *answer = &visit->answer;
    if (answer->wait_ns && !answer->allowed)
        reply_header(rq->http, "Retry-After", "%lld", seconds(answer->wait_ns));
    if (!visit->ask_count)
        return;
    const struct rate *rate = &visit->asks[answer->strictest].rate;
    const char *word = unit_specs[visit->unit].word;
    reply_header(rq->http, "RateLimit", "\"%s\";r=%lld;t=%lld", word, (long long)answer->remaining,
                 seconds(answer->remaining ? answer->full_ns : answer->wait_ns));
    reply_header(rq->http, "RateLimit-Policy", "\"gcra\";\"%s\";q=%lld;w=%lld", word, (long long)rate->most,
                 seconds(rate->burst_ns));
}

enum status request_limit(struct request *rq, struct error *err)
{
    if (!rq->hub->limiter)
        return OK;
    struct caller caller = {.key_id = rq->actor.key_id, .account_id = rq->actor.account.id};
    caller.address = request_remote(rq);
    caller.local = request_is_local(rq);
    caller.slowed = rq->actor.hold >= KEY_SLOWED;
    caller.bytes_per_day = rq->actor.bytes_per_day;
    enum status status = limiter_enter(rq->hub->limiter, rq->db, &caller,
                                       unit_of_action(rq->route->action, rq->route->method == HTTP_GET),
                                       rq->http->method == HTTP_HEAD, &rq->visit, err);
    add_headers(rq);
    return status;
}

enum status request_slow(struct request *rq, struct error *err)
{
    if (!rq->hub->limiter || !rq->access.slowed_until_us)
        return OK;
    enum status status = limiter_floor(rq->hub->limiter, rq->actor.account.id, rq->repo.owner_id, &rq->visit, err);
    if (status == OK)
        return OK;
    reply_header(rq->http, "Retry-After", "%lld", seconds(rq->visit.answer.wait_ns));
    error_explain(err, "slowed", rq->access.slowed_until_us, "/api/enforcement");
    return status;
}

enum status request_promise(struct request *rq, int64_t bytes, struct error *err)
{
    if (!rq->visit.unit || rq->http->method == HTTP_HEAD)
        return OK;
    enum status status = limiter_promise(rq->hub->limiter, rq->db, &rq->visit, bytes, err);
    if (status != OK && rq->visit.answer.wait_ns)
        reply_header(rq->http, "Retry-After", "%lld", seconds(rq->visit.answer.wait_ns));
    return status;
}

void request_limit_done(struct request *rq)
{
    if (rq->visit.unit)
        limiter_leave(rq->hub->limiter, &rq->visit, rq->http->status, rq->http->bytes_sent);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The routes of a witness (c2sp.org/tlog-witness): a log that is told of this hub gets the prefix https://…/witness. */
#include "base/time.h"
#include "router/request.h"
#include "witness/cosigner.h"
#include "witness/handlers.h"
#include "witness/submission.h"

#define PLAIN STR("text/plain; charset=utf-8")

static enum status cosigner_of(struct request *rq, struct cosigner **out, struct error *err)
{
    *out = rq->hub->cosigner;
    return *out ? OK : fail(err, NOT_FOUND, NULL, "This hub is no witness: see --witness-logs in cairn serve --help.");
}

/* POST /witness/add-checkpoint: whoever sends it, what counts is the log's signature in it. */
enum status witness_add(struct request *rq, struct error *err)
{
    struct cosigner *cosigner;
    struct cosigner_answer answer;
    struct str body;
    TRY(cosigner_of(rq, &cosigner, err));
    TRY(request_body(rq, SUBMISSION_MOST, &body, err));
    TRY(cosigner_add(cosigner, rq->arena, body, now_us(), &answer, err));
    reply_header(rq->http, "Cache-Control", "no-store");
    reply_bytes(rq->http, answer.conflict ? 409 : 200, answer.conflict ? STR("text/x.tlog.size") : PLAIN, answer.text);
    return OK;
}

/* GET /witness/{hash}/checkpoint: what was cosigned last, for those who watch this witness. */
enum status witness_latest(struct request *rq, struct error *err)
{
    struct cosigner *cosigner;
    auto_buf struct buf note = {0};
    TRY(cosigner_of(rq, &cosigner, err));
    TRY(cosigner_latest(cosigner, rq->params[0], &note, err));
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    reply_header(rq->http, "Cache-Control", "no-cache");
    reply_buf(rq->http, 200, PLAIN, &note);
    return OK;
}

/* GET /witness/vkey: the line of the key, for policy files. Whoever trusts it had better have it from elsewhere too. */
enum status witness_vkey(struct request *rq, struct error *err)
{
    struct cosigner *cosigner;
    TRY(cosigner_of(rq, &cosigner, err));
    reply_header(rq->http, "Access-Control-Allow-Origin", "*");
    reply_bytes(rq->http, 200, PLAIN, arena_printf(rq->arena, "%.*s\n", STR_ARG(cosigner_vkey(cosigner))));
    return OK;
}

static const struct route witness_routes[] = {
    {HTTP_POST, "/witness/add-checkpoint", ACT_PUBLIC, witness_add},
    {HTTP_GET, "/witness/vkey", ACT_PUBLIC, witness_vkey},
    {HTTP_GET, "/witness/{hash}/checkpoint", ACT_PUBLIC, witness_latest},
    {0},
};

const struct module witness_module = {.name = "witness", .routes = witness_routes};

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the hub says about itself, and what clients ask at start-up. */
#include "base/time.h"
#include "hub/handlers.h"
#include "identity/attempts.h"
#include "router/dispatch.h"
#include "signin/signin.h"
#include "witness/witness.h"

/* GET /healthz: 200 while the database answers. */
enum status health(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_reader(rq->hub->db, &rq->db, err));
    TRY(db_prepare(rq->db, "SELECT 1", &stmt, err));
    TRY(stmt_run(stmt, err));
    reply_bytes(rq->http, 200, STR("text/plain"), STR("ok\n"));
    return OK;
}

/* GET /metrics: Prometheus text format 0.0.4. Counts only; nothing here names a repo or a person. */
enum status metrics(struct request *rq, struct error *err)
{
    (void)err;
    struct http_stats net;
    struct db_stats db;
    http_server_stats(rq->hub->server, &net);
    db_stats(rq->hub->db, &db);
    auto_buf struct buf text = {0};
    buf_printf(&text, "# TYPE cairn_requests_total counter\n");
    for (int class = 1; class <= 5; class ++)
        buf_printf(&text, "cairn_requests_total{class=\"%dxx\"} %lld\n", class, (long long)dispatch_count(class));
    const struct {
        const char *name, *type;
        int64_t value;
    } values[] = {
        {"cairn_uptime_seconds", "gauge", (monotonic_us() - rq->hub->started_us) / SECOND_US},
        {"cairn_connections", "gauge", net.connections},
        {"cairn_threads", "gauge", net.threads},
        {"cairn_threads_busy", "gauge", net.threads_busy},
        {"cairn_received_bytes_total", "counter", net.bytes_in},
        {"cairn_sent_bytes_total", "counter", net.bytes_out},
        {"cairn_database_writes_total", "counter", db.writes},
        {"cairn_database_commits_total", "counter", db.groups},
        {"cairn_database_readers", "gauge", db.readers_open},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        buf_printf(&text, "# TYPE %s %s\n%s %lld\n", values[i].name, values[i].type, values[i].name,
                   (long long)values[i].value);
    static const char *const results[] = {
        [SIGN_IN_GOOD] = "good", [SIGN_IN_REFUSED] = "refused", [SIGN_IN_SLOWED] = "slowed"};
    buf_printf(&text, "# TYPE cairn_sign_ins_total counter\n");
    for (enum sign_in_result result = 0; result < SIGN_IN_RESULTS; result++)
        buf_printf(&text, "cairn_sign_ins_total{result=\"%s\"} %lld\n", results[result],
                   (long long)sign_in_count(result));
    buf_printf(&text, "# TYPE cairn_wrong_tokens_total counter\ncairn_wrong_tokens_total %lld\n",
               (long long)tokens_wrong());
    witness_metrics(rq->hub->witness, &text);
    reply_buf(rq->http, 200, STR("text/plain; version=0.0.4"), &text);
    return OK;
}

/* GET /api/agent-harnesses: every client process asks once and caches the answer (hub-protocol 1.1). */
enum status agent_harnesses(struct request *rq, struct error *err)
{
    (void)err;
    reply_bytes(rq->http, 200, STR("application/json"), STR("{\"standardEnvVars\":[],\"harnesses\":{}}"));
    return OK;
}

/* HEAD /api/telemetry/…: answered, and forgotten. */
enum status telemetry(struct request *rq, struct error *err)
{
    (void)err;
    reply_bytes(rq->http, 200, STR("text/plain"), STR(""));
    return OK;
}

/* GET /: a person who opens the hub's address in a browser learns how to use it; the pages come with a later part. */
enum status landing(struct request *rq, struct error *err)
{
    (void)err;
    struct str base = request_base_url(rq);
    struct str text =
        arena_printf(rq->arena,
                     "This is a Cairn hub: open AI models, with rules that are public and provably kept.\n\n"
                     "Use it with the tools you have:\n\n"
                     "  export HF_ENDPOINT=%.*s\n"
                     "  hf auth login --token YOUR_TOKEN\n"
                     "  hf upload you/your-model ./folder\n"
                     "  hf download you/your-model\n",
                     STR_ARG(base));
    reply_bytes(rq->http, 200, STR("text/plain; charset=utf-8"), text);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "prov/forget.h"
#include "record/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/log/checkpoint", ACT_PUBLIC, log_checkpoint},
    {HTTP_GET, "/log/stream", ACT_PUBLIC, log_stream},
    {HTTP_GET, "/log/vkey", ACT_PUBLIC, log_vkey},
    {HTTP_GET, "/log/tile/{path*}", ACT_PUBLIC, log_tile},
    {HTTP_GET, "/log/old/{name}/checkpoint", ACT_PUBLIC, log_checkpoint},
    {HTTP_GET, "/log/old/{name}/vkey", ACT_PUBLIC, log_vkey},
    {HTTP_GET, "/log/old/{name}/tile/{path*}", ACT_PUBLIC, log_tile},

    {HTTP_GET, "/api/{api}/provenance", ACT_SEE, history_get},
    {HTTP_GET, "/api/{api}/provenance/head", ACT_SEE, head_get},
    {HTTP_GET, "/api/{api}/provenance/{rev}.tlog-proof", ACT_SEE, proof_get},
    {HTTP_GET, "/api/settings/pseudonyms", ACT_SELF, pseudonyms_get},
    {HTTP_GET, "/api/settings/log/{name}.tlog-proof", ACT_SELF, leaf_proof_get},
    {HTTP_GET, "/api/{api}/provenance/leaf/{name}.tlog-proof", ACT_SEE, leaf_proof_get},
    {0},
};

static enum status log_heads(struct hub *hub, struct error *err)
{
    bool logged;
    return prov_heads_log(hub->db, now_us(), &logged, err);
}

/* Commands beside the server write without the log. */
static enum status catch_up(struct hub *hub, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    bool done;
    TRY(db_reader(hub->db, &conn, err));
    TRY(prov_caught_up(conn, &done, err));
    db_release(&conn);
    return done ? OK : record_catch_up(hub->record, err);
}

static const struct job jobs[] = {{"epoch", 60, epoch_job},
                                  {"manifests", 1, manifest_job, .soon = true},
                                  {"heads of the log", 5, log_heads},
                                  {"catching up", 1, catch_up},
                                  {0}};

const struct module record_module = {
    .name = "record", .migrations = &record_migrations, .events = record_events, .routes = routes, .jobs = jobs};

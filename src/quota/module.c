/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"
#include "base/log.h"
#include "quota/limiter.h"
#include "quota/quota.h"

static enum status flush(struct hub *hub, struct error *err)
{
    return limiter_flush(hub->limiter, false, err);
}

static enum status forget(struct hub *hub, struct error *err)
{
    return db_write(hub->db, meters_forget, NULL, err);
}

static void print_correction(void *context, const char *what)
{
    (void)context;
    log_line("warning", "quota", "%s, and are corrected", what);
}

static enum status recount(struct hub *hub, struct error *err)
{
    return quota_recount(hub->db, print_correction, NULL, err);
}

static const struct job jobs[] = {
    {"bytes sent", 1, flush},
    {"days of keys that are over", 86400, forget},
    {"counting quotas anew", 86400, recount, .slow = true},
    {0}};

extern const struct module quota_module;
const struct module quota_module = {
    .name = "quota", .migrations = &quota_migrations, .jobs = jobs, .timers = quota_timers};

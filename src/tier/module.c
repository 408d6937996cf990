/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limiter.h"
#include "tier/api.h"
#include "tier/assign.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/tiers", ACT_LIST, tiers_get},
    {HTTP_GET, "/api/tiers/{slug}", ACT_LIST, tier_get},
    {0},
};

static enum status by_rules(struct hub *hub, struct error *err)
{
    TRY(assign_by_rules(hub->db, err));
    limiter_changed(hub->limiter);
    return OK;
}

static const struct job jobs[] = {{"tiers by rule", 3600, by_rules, .slow = true}, {0}};
static const struct machine *const machines[] = {&assign_machine, NULL};

const struct module tier_module = {.name = "tier",
                                   .events = tier_events,
                                   .routes = routes,
                                   .jobs = jobs,
                                   .timers = tier_timers,
                                   .machines = machines};

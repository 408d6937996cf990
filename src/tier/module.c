/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limiter.h"
#include "tier/api.h"
#include "tier/assign.h"
#include "tier/over.h"
#include "tier/pool.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/tiers", ACT_LIST, tiers_get},
    {HTTP_GET, "/api/tiers/{slug}", ACT_LIST, tier_get},
    {HTTP_GET, "/api/usage", ACT_SELF, usage_get},
    {HTTP_GET, "/api/usage/applications", ACT_SELF, applications_get},
    {HTTP_POST, "/api/tiers/{slug}/applications", ACT_SELF_CHANGE, application_post},
    {HTTP_POST, "/api/tiers/applications/{id}", ACT_SELF_CHANGE, application_decide},
    {HTTP_DELETE, "/api/tiers/applications/{id}", ACT_SELF_CHANGE, application_withdraw},
    {HTTP_POST, "/api/tiers/holders/{account}", ACT_SELF_CHANGE, holder_post},
    {HTTP_POST, "/api/tiers/appeal", ACT_SELF_CHANGE, tier_appeal_post},
    {HTTP_GET, "/api/pools", ACT_LIST, pools_get},
    {HTTP_GET, "/api/pools/{id}", ACT_LIST, pool_get},
    {HTTP_GET, "/api/pools/{id}/ledger", ACT_LIST, pool_ledger},
    {HTTP_POST, "/api/pools", ACT_SELF_CHANGE, pool_post},
    {HTTP_POST, "/api/pools/{id}/wishes", ACT_SELF_CHANGE, pool_wish},
    {HTTP_POST, "/api/payments/{source}", ACT_PUBLIC, payment_post},
    {0},
};

static enum status by_rules(struct hub *hub, struct error *err)
{
    TRY(assign_by_rules(hub->db, err));
    limiter_changed(hub->limiter);
    return OK;
}

static enum status archived(struct hub *hub, struct error *err)
{
    return over_look_again(hub->db, err);
}

static enum status pools(struct hub *hub, struct error *err)
{
    return pools_run(hub->db, err);
}

static const struct job jobs[] = {{"tiers by rule", 3600, by_rules, .slow = true},
                                  {"sponsor pools", 600, pools, .slow = true},
                                  {"archived repos", 60, archived, .slow = true},
                                  {0}};
static const struct machine *const machines[] = {&assign_machine, NULL};

/* Answers and evidence go, and so does what hangs on them; counters keep a number that is nobody's any more. */
static const char *const forgets[] = {
    "DELETE FROM tier_application WHERE account_id = ?",
    "UPDATE tier_assign SET state = 6, version = version + 1, code = '', appeal = '' WHERE account_id = ? AND state IN "
    "(1, 2, 3, 4, 5)",
    "DELETE FROM pool_wish WHERE account_id = ?",
    "DELETE FROM pool_share WHERE account_id = ?",
    "UPDATE payment SET account_id = 0 WHERE account_id = ?",
    "DELETE FROM payment_ref WHERE account_id = ?",
    "DELETE FROM tier_used WHERE account_id = ?",
    "DELETE FROM tier_over WHERE account_id = ?",
    NULL,
};
_Static_assert(ASSIGN_DOWNGRADED == 6, "a statement above names it");

const struct module tier_module = {.name = "tier",
                                   .migrations = &tier_migrations,
                                   .events = tier_events,
                                   .routes = routes,
                                   .jobs = jobs,
                                   .timers = tier_timers,
                                   .machines = machines,
                                   .forgets = forgets};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/flight.h"
#include "use/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/access", ACT_SEE, access_get},
    {HTTP_GET, "/api/reads", ACT_SELF, reads_get},
    {HTTP_GET, "/api/reads/{id}/proof", ACT_SELF, read_proof},
    {HTTP_GET, "/api/{api}/uses", ACT_ADMINISTER, uses_get},
    {HTTP_POST, "/api/{api}/recalls", ACT_ADMINISTER, recall_post},
    {HTTP_GET, "/api/{api}/recalls", ACT_SEE, recalls_get},
    {HTTP_POST, "/api/{api}/enforcement", ACT_ADMINISTER, enforcement_post},
    {HTTP_GET, "/api/{api}/enforcement", ACT_ADMINISTER, enforcement_get},
    {HTTP_POST, "/api/{api}/enforcement/{id}/sign", ACT_ADMINISTER, enforcement_sign},
    {HTTP_GET, "/api/enforcement", ACT_SELF, enforcement_mine},
    {HTTP_POST, "/api/enforcement/{id}/appeal", ACT_SELF, enforcement_appeal},
    {HTTP_GET, "/api/enforcement/looks", ACT_SELF, enforcement_looks},
    {HTTP_POST, "/api/enforcement/{id}/look", ACT_SELF, enforcement_look},
    {HTTP_GET, "/api/holds", ACT_SELF, holds_get},
    {HTTP_POST, "/api/holds/{id}", ACT_SELF, hold_post},
    {0},
};

static const struct job jobs[] = {
    {"reads", 1, reads_flush, .last = true},
    {"tensors of gated repos", 1, tensors_look, .soon = true},
    {"flights", FLIGHT_SECONDS, flights_check},
    {"old reads", 3600, reads_forget, .slow = true},
    {0},
};

static const struct timer_kind timers[] = {
    {"use.recall", recall_fire}, {"use.strike", strike_fire}, {"use.look", look_fire}, {0}};
static const struct machine *const machines[] = {&enforcement_machine, NULL};

static const char *const forgets[] = {
    "DELETE FROM read_person WHERE account_id = ?",
    "DELETE FROM read_day WHERE account_id = ?",
    "DELETE FROM recall_told WHERE account_id = ?",
    "UPDATE enforcement_step SET text = '', appeal = '' WHERE enforcement_id IN (SELECT id FROM enforcement WHERE "
    "account_id = ?)",
    "UPDATE access_hold SET dispute = '', text = '' WHERE uploader_id = ?",
    "UPDATE access_block SET text = '' WHERE account_id = ?",
    NULL,
};

const struct module use_module = {
    .name = "use",
    .migrations = &use_migrations,
    .routes = routes,
    .jobs = jobs,
    .timers = timers,
    .machines = machines,
    .overturned = step_overturned,
    .served = read_served,
    .forgets = forgets,
};

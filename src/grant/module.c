/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grant/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/grants", ACT_SELF, grants_mine},
    {HTTP_POST, "/api/grants/{id}/surrender", ACT_SELF, grant_surrender},
    {HTTP_GET, "/api/{api}/grants", ACT_ADMINISTER, grants_of_repo},
    {HTTP_POST, "/api/{api}/grants/{id}/revoke", ACT_ADMINISTER, grant_revoke},
    {HTTP_POST, "/api/{api}/grants/{id}/suspend", ACT_ADMINISTER, grant_suspend},
    {HTTP_POST, "/api/{api}/grants/{id}/resume", ACT_ADMINISTER, grant_resume},
    {0},
};
static const struct machine *const machines[] = {&grant_machine, NULL};

const struct module grant_module = {.name = "grant",
                                    .migrations = &grant_migrations,
                                    .routes = routes,
                                    .timers = grant_timers,
                                    .machines = machines,
                                    .accepted = grant_accepted,
                                    .erase = grant_erase,
                                    .forgets = grant_forgets};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lineage/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/lineage", ACT_SEE, lineage_get},
    {0},
};

static const struct job jobs[] = {{"declared lineage", 1, declared_job, .soon = true}, {0}};

const struct module lineage_module = {
    .name = "lineage", .migrations = &lineage_migrations, .events = lineage_events, .routes = routes, .jobs = jobs};

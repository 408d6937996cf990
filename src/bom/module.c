/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bom/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/bom/{rev}", ACT_SEE, bom_get},
    {HTTP_POST, "/api/{api}/bom/{rev}", ACT_WRITE, bom_post},
    {0},
};

const struct module bom_module = {.name = "bom", .migrations = &bom_migrations, .events = bom_events, .routes = routes};

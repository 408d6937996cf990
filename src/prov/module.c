/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"
#include "prov/chain.h"

extern const struct module prov_module;
const struct module prov_module = {.name = "prov", .migrations = &prov_migrations, .events = prov_events};

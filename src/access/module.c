/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"
#include "access/log.h"

extern const struct module access_module;
const struct module access_module = {.name = "access", .migrations = &access_migrations, .events = access_events};

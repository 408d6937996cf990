/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"

extern const struct module event_module;
const struct module event_module = {.name = "event", .migrations = &event_migrations};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"

extern const struct module identity_module;
const struct module identity_module = {
    .name = "identity", .migrations = &identity_migrations, .events = identity_events};

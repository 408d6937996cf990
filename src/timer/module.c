/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"

extern const struct module timer_module;

static enum status run(struct hub *hub, struct error *err)
{
    return timers_run(hub->db, err);
}

static const struct job jobs[] = {{"timers", 1, run, .soon = true}, {0}};

const struct module timer_module = {.name = "timer", .migrations = &timer_migrations, .jobs = jobs};

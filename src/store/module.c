/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"
#include "base/time.h"
#include "store/store.h"

static enum status sweep(struct hub *hub, struct error *err)
{
    struct store_freed freed;
    return store_sweep(hub->store, now_us(), false, &freed, err);
}

static const struct job store_jobs[] = {{"store sweep", 3600, sweep}, {0}};

extern const struct module store_module;
const struct module store_module = {.name = "store", .migrations = &store_migrations, .jobs = store_jobs};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module.h"
#include "repo/repo.h"

extern const struct module repo_module;
const struct module repo_module = {.name = "repo", .migrations = &repo_migrations, .events = repo_events};

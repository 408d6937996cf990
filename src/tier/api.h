/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_API_H
#define CAIRN_TIER_API_H

#include "tier/internal.h"

/* Handlers of this part's routes; module.c has the table. */
route_handler tiers_get, tier_get;

#endif

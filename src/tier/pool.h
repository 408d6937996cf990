/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_POOL_H
#define CAIRN_TIER_POOL_H

#include "tier/internal.h"

/* Counts what was used of shares, takes back what lay idle for 30 days, and divides pools whose period has begun. */
enum status pools_run(struct db *db, struct error *err);

#endif

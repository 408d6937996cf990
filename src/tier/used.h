/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_USED_H
#define CAIRN_TIER_USED_H

#include "quota/quota.h"

/*
 * "Uses that much of the soft limit, for that many days": the rule used. Of what is kept it is written down since when it has
 * been so (tier_used), looked at with the tiers by rule, hourly: one row, which changes when that does, not daily. Of what is
 * downloaded the counters of the spans that are over say it.
 */

/* What the rules of all tiers and pools ask for, by unit and percent. */
struct used_watch {
    bool asked[UNITS][101];
};
/* Reads it, and forgets what no rule asks for any more: should one ask again, its days begin anew. */
enum status used_watch_read(struct db *db, struct used_watch *out, struct error *err);
/* Writes down what is different now. */
enum status used_note(struct db *db, const struct used_watch *watch, int64_t account_id, struct error *err);

/* Is it so now, and has it been for that many days? days is at least 1. */
enum status used_for(struct db_conn *conn, int64_t account_id, enum unit unit, int64_t percent, int64_t days,
                     int64_t now_us, bool *met, struct error *err);

#endif

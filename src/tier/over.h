/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_OVER_H
#define CAIRN_TIER_OVER_H

#include "quota/quota.h"

/*
 * Who keeps more than the tier allows, after a downgrade for one: writes that need room are refused at once (quota.h), all can be
 * read, nothing is deleted. After 180 days like that, and three notices of it, the repos that count against what is full are archived
 * (access.h): read as before, and not changed. They come back by themselves when there is room again. An account at a time, each
 * step in a write of its own; with the tiers by rule, hourly.
 */
enum status over_look(struct db *db, int64_t account_id, struct error *err);
/* The same for all that have archived repos, each minute: whoever has made room shall not wait for long. */
enum status over_look_again(struct db *db, struct error *err);

struct over_state {
    bool archived;
    int64_t archive_us; /* when it comes to that, at the earliest; 0 when it has */
};
/* NOT_FOUND: the account keeps no more than it may. */
enum status over_get(struct db_conn *conn, int64_t account_id, struct over_state *out, struct error *err);

#endif

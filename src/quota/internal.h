/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_INTERNAL_H
#define CAIRN_QUOTA_INTERNAL_H

#include "quota/quota.h"

/* What the files of this part share; nobody else includes it. */

/* quota.c: an amount as people read it; what is begun counts whole. */
long long quota_shown(const struct unit_spec *spec, int64_t amount);

/*
 * group.c: of an ask account_id, repo_id, unit and amount count. Is there room in the groups that the repo is in? Asked before the rows
 * of the repo and its reservations are changed; the row of a repo that is new to the account may be there. An amount of 0
 * asks whether the repo, as it is there, fits. old_name: groups that this name matches are not asked; absent: all are.
 */
enum status groups_room(struct db_conn *conn, const struct limits *limits, const struct quota_ask *ask,
                        struct str old_name, struct error *err);
/* In a write: counts what is summed over a span. */
enum status groups_add(struct db_conn *tx, const struct limits *limits, const struct quota_ask *ask, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_INTERNAL_H
#define CAIRN_TIER_INTERNAL_H

#include "machine/machine.h"
#include "router/request.h"
#include "tier/tier.h"

/* What the files of this part share; nobody else includes it. */

#define DAY_US (INT64_C(86400) * SECOND_US)
#define TIER_ANSWER_LIMIT 20000

extern const struct migration_set tier_migrations;
extern const struct event_kind tier_events[];
enum { EVENT_TIER_PUBLISH, EVENT_TIER_STEP, EVENT_POOL, EVENT_PAYMENT };

/* tier.c: the tiers there are */

struct tier {
    int64_t id; /* 0: built in, and nobody has been given it */
    struct tier_in_force now;
    struct tier_doc doc;
    json_t *json; /* what doc looks into; json_release() it */
};
/* The row of a slug; *id is 0 when there is none. */
enum status tier_find_id(struct db_conn *conn, struct str slug, int64_t *id, struct error *err);
/* In a write: the row, made for a built-in one. NOT_FOUND when there is no such tier. */
enum status tier_make_id(struct db_conn *tx, struct str slug, int64_t *id, struct error *err);
/* NOT_FOUND when there is no such tier. Release tier->json. */
enum status tier_load(struct db_conn *conn, struct arena *arena, struct str slug, struct tier *out, struct error *err);
/* Calls each for every tier, in their order. It may not keep what it is given. */
enum status tier_each(struct db_conn *conn,
                      enum status (*each)(void *context, const struct tier *tier, struct error *err), void *context,
                      struct error *err);
struct str tier_slug(struct db_conn *conn, struct arena *arena, int64_t id, struct error *err);

#endif

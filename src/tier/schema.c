/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/internal.h"

/*
 * - tier_application: what somebody answered; of evidence only the SHA-256. Goes with the person.
 * - pool_wish: who asks for a share of a pool. pool_draw: what was given in a period, and by which seed the lot was drawn.
 * - payment: what a payment provider has told, each of its messages once.
 */
static const char create_sql[] =
    "CREATE TABLE tier_application ("
    "  id INTEGER PRIMARY KEY,"
    "  account_id BIGINT NOT NULL,"
    "  assign_id BIGINT NOT NULL,"
    "  by_id BIGINT NOT NULL,"
    "  answers TEXT NOT NULL,"
    "  evidence BLOB,"
    "  text TEXT NOT NULL DEFAULT ''," /* the decision's, to the person */
    "  created_us BIGINT NOT NULL,"
    "  decided_us BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX tier_application_account ON tier_application (account_id, id);"
    "CREATE INDEX tier_application_assign ON tier_application (assign_id);"

    "CREATE TABLE pool_wish (" /* who asks for a share */
    "  pool_id BIGINT NOT NULL REFERENCES pool (id),"
    "  account_id BIGINT NOT NULL,"
    "  wants BIGINT NOT NULL,"
    "  created_us BIGINT NOT NULL,"
    "  PRIMARY KEY (pool_id, account_id)) WITHOUT ROWID;"

    "CREATE TABLE pool_draw ("
    "  pool_id BIGINT NOT NULL REFERENCES pool (id),"
    "  period BIGINT NOT NULL,"
    "  seed BLOB NOT NULL,"
    "  shares BIGINT NOT NULL,"
    "  waiting BIGINT NOT NULL,"
    "  given BIGINT NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  PRIMARY KEY (pool_id, period)) WITHOUT ROWID;"

    "CREATE TABLE payment_source ("
    "  source TEXT PRIMARY KEY,"
    "  secret TEXT NOT NULL) WITHOUT ROWID;" /* an HMAC's: a hash of it would be of no use */

    "CREATE TABLE payment ("
    "  source TEXT NOT NULL,"
    "  event TEXT NOT NULL," /* the provider's own id of the message */
    "  account_id BIGINT NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  amount BIGINT NOT NULL,"
    "  sha256 BLOB NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  PRIMARY KEY (source, event)) WITHOUT ROWID;";

/* Of a suspension: who has ordered it, and what its holder says against it. */
static const char appeal_sql[] = "ALTER TABLE tier_assign ADD COLUMN suspended_by BIGINT NOT NULL DEFAULT 0;"
                                 "ALTER TABLE tier_assign ADD COLUMN appealed_us BIGINT NOT NULL DEFAULT 0;"
                                 "ALTER TABLE tier_assign ADD COLUMN appeal TEXT NOT NULL DEFAULT '';";

/*
 * Who is who at a provider: ref is a number of its own, of a customer or a subscription. Only the first message, of the purchase,
 * names the account and the tier; those that follow for years name the subscription.
 */
static const char customer_sql[] = "CREATE TABLE payment_ref ("
                                   "  source TEXT NOT NULL,"
                                   "  ref TEXT NOT NULL,"
                                   "  account_id BIGINT NOT NULL,"
                                   "  tier TEXT NOT NULL,"
                                   "  PRIMARY KEY (source, ref)) WITHOUT ROWID;"
                                   "CREATE INDEX payment_ref_account ON payment_ref (account_id);";

/* Since when an account has been using that percent of its soft limit, looked at hourly; no row: it does not. */
static const char used_sql[] = "CREATE TABLE tier_used ("
                               "  account_id BIGINT NOT NULL,"
                               "  unit BIGINT NOT NULL,"
                               "  percent BIGINT NOT NULL,"
                               "  since_us BIGINT NOT NULL,"
                               "  PRIMARY KEY (account_id, unit, percent)) WITHOUT ROWID;";

/* Who keeps more than the tier allows: steps of over.c that are done, and when the next is due. */
static const char over_sql[] = "CREATE TABLE tier_over ("
                               "  account_id BIGINT PRIMARY KEY,"
                               "  step BIGINT NOT NULL,"
                               "  next_us BIGINT NOT NULL) WITHOUT ROWID;";

const struct migration_set tier_migrations = {
    "tier", (const char *const[]){create_sql, appeal_sql, customer_sql, used_sql, over_sql, NULL}};

const struct event_kind tier_events[] = {[EVENT_TIER_PUBLISH] = {"tier.publish", 1},
                                         [EVENT_TIER_STEP] = {"tier.step", 1},
                                         [EVENT_POOL] = {"pool.step", 1},
                                         [EVENT_PAYMENT] = {"payment.receive", 1},
                                         {0}};

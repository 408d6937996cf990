/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/quota.h"

/*
 * What limits are read from, and what counts against them; the part tier above writes the first three.
 * - tier_version: body is the tier as published (doc.h), which never changes; in force from effective_us, until the next is.
 * - tier_assign: state is that of the tier machine (tier/assign.h). 3 and 4 are those in which its tier holds, 5 is
 *   suspended, 1 and 2 wait for a decision.
 * - quota_counter: span is 0 for what is held; else the number of the span of time, as per_s divides it. An account_id below 0 is a group
 *   of repos (group.c).
 * - quota_reservation: what has been promised and has not come yet. key is unique, so that a client that asks again does not
 *   reserve twice.
 * - quota_repo: what a repo counts for, and against whom: what has been added is taken off the same again.
 * - pool: what a sponsor gives, a budget of one unit for each period. pool_share: what somebody was given of it for a period, which
 *   is added to what the tier allows where that says "sponsor". used: of it, as last looked at; idle_us: when that last grew.
 * - quota_line: the ledger of what is spent or given once: bytes sent, what a pool pays for, payments.
 */
static const char create_sql[] = "CREATE TABLE tier (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);"

                                 "CREATE TABLE tier_version ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  tier_id BIGINT NOT NULL REFERENCES tier (id),"
                                 "  seq BIGINT NOT NULL,"
                                 "  body TEXT NOT NULL,"
                                 "  sha256 BLOB NOT NULL,"
                                 "  effective_us BIGINT NOT NULL,"
                                 "  by_id BIGINT NOT NULL,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  UNIQUE (tier_id, seq));"

                                 "CREATE TABLE tier_assign ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  tier_id BIGINT NOT NULL REFERENCES tier (id),"
                                 "  state BIGINT NOT NULL,"
                                 "  version BIGINT NOT NULL,"
                                 "  source TEXT NOT NULL," /* application, rule, board, payment */
                                 "  from_us BIGINT NOT NULL,"
                                 "  until_us BIGINT NOT NULL DEFAULT 0," /* of the state, where it ends by itself */
                                 "  back BIGINT NOT NULL DEFAULT 0,"     /* where a suspension leads back to */
                                 "  moved_us BIGINT NOT NULL DEFAULT 0," /* when the account came to this tier */
                                 "  code TEXT NOT NULL DEFAULT '');"
                                 "CREATE UNIQUE INDEX tier_assign_live ON tier_assign (account_id) "
                                 "WHERE state IN (3, 4, 5);"
                                 "CREATE UNIQUE INDEX tier_assign_open ON tier_assign (account_id, tier_id) "
                                 "WHERE state IN (1, 2);"
                                 "CREATE INDEX tier_assign_account ON tier_assign (account_id, id);"

                                 "CREATE TABLE quota_counter ("
                                 "  account_id BIGINT NOT NULL,"
                                 "  unit BIGINT NOT NULL,"
                                 "  span BIGINT NOT NULL,"
                                 "  used BIGINT NOT NULL DEFAULT 0,"
                                 "  reserved BIGINT NOT NULL DEFAULT 0,"
                                 "  PRIMARY KEY (account_id, unit, span)) WITHOUT ROWID;"

                                 "CREATE TABLE quota_reservation ("
                                 "  key TEXT PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  unit BIGINT NOT NULL,"
                                 "  repo_id BIGINT NOT NULL,"
                                 "  amount BIGINT NOT NULL,"
                                 "  expires_us BIGINT NOT NULL) WITHOUT ROWID;"
                                 "CREATE INDEX quota_reservation_expires ON quota_reservation (expires_us);"
                                 "CREATE INDEX quota_reservation_account ON quota_reservation (account_id, unit);"
                                 "CREATE INDEX quota_reservation_repo ON quota_reservation (repo_id);"

                                 "CREATE TABLE quota_repo ("
                                 "  repo_id BIGINT PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  unit BIGINT NOT NULL,"
                                 "  bytes BIGINT NOT NULL) WITHOUT ROWID;"
                                 "CREATE INDEX quota_repo_account ON quota_repo (account_id, unit);"

                                 "CREATE TABLE quota_line ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  unit BIGINT NOT NULL,"
                                 "  amount BIGINT NOT NULL,"
                                 "  cause TEXT NOT NULL,"
                                 "  key TEXT NOT NULL UNIQUE,"
                                 "  pool_id BIGINT NOT NULL DEFAULT 0);"
                                 "CREATE INDEX quota_line_pool ON quota_line (pool_id, id) WHERE pool_id <> 0;"
                                 "CREATE INDEX quota_line_account ON quota_line (account_id, id);"

                                 "CREATE TABLE pool ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  sponsor_id BIGINT NOT NULL,"
                                 "  name TEXT NOT NULL,"
                                 "  unit BIGINT NOT NULL,"
                                 "  budget BIGINT NOT NULL,"
                                 "  least BIGINT NOT NULL," /* the floor of a share */
                                 "  per_s BIGINT NOT NULL,"
                                 "  rules TEXT NOT NULL,"  /* JSON: who may have one, and bands */
                                 "  sha256 BLOB NOT NULL," /* of the pool as it was published */
                                 "  created_us BIGINT NOT NULL,"
                                 "  closed_us BIGINT NOT NULL DEFAULT 0);"

                                 "CREATE TABLE pool_share ("
                                 "  pool_id BIGINT NOT NULL REFERENCES pool (id),"
                                 "  period BIGINT NOT NULL,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  amount BIGINT NOT NULL,"
                                 "  used BIGINT NOT NULL DEFAULT 0,"
                                 "  idle_us BIGINT NOT NULL,"
                                 "  PRIMARY KEY (pool_id, period, account_id)) WITHOUT ROWID;"
                                 "CREATE INDEX pool_share_account ON pool_share (account_id);";

/* quota_key_day: what a key with a limit of its own has downloaded since the first byte of its day. */
static const char key_day_sql[] = "CREATE TABLE quota_key_day ("
                                  "  key_id BIGINT PRIMARY KEY,"
                                  "  began_us BIGINT NOT NULL,"
                                  "  bytes BIGINT NOT NULL) WITHOUT ROWID;";

const struct migration_set quota_migrations = {"quota", (const char *const[]){create_sql, key_day_sql, NULL}};

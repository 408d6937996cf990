/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "use/internal.h"

/*
 * - read_batch: what was read, or refused, in one second: the records, one a line, are the leaves of an RFC 6962 tree whose
 *   root is in the log. They name a person only by a commitment, which a row of read_person opens. Forgetting a person, or
 *   the ninety days that have passed, takes that row away, and the root still stands.
 * - read_day: one row for each person, revision and day, for the owner: so popular repos do not make the database grow with
 *   each read. commit_id is empty where a request named its bytes by hash alone.
 */
static const char reads_sql[] = "CREATE TABLE read_batch ("
                                "  id INTEGER PRIMARY KEY,"
                                "  event_id BIGINT NOT NULL,"
                                "  first_us BIGINT NOT NULL,"
                                "  last_us BIGINT NOT NULL,"
                                "  count BIGINT NOT NULL,"
                                "  root BLOB NOT NULL,"
                                "  records TEXT NOT NULL);" /* "" once they are too old */
                                "CREATE INDEX read_batch_last ON read_batch (last_us) WHERE records <> '';"

                                "CREATE TABLE read_person ("
                                "  account_id BIGINT NOT NULL,"
                                "  batch_id BIGINT NOT NULL REFERENCES read_batch (id),"
                                "  salt BLOB NOT NULL,"
                                "  PRIMARY KEY (account_id, batch_id)) WITHOUT ROWID;"
                                "CREATE INDEX read_person_batch ON read_person (batch_id);"

                                "CREATE TABLE read_day ("
                                "  id INTEGER PRIMARY KEY,"
                                "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                "  account_id BIGINT NOT NULL,"
                                "  commit_id BLOB NOT NULL,"
                                "  day BIGINT NOT NULL,"
                                "  grant_id BIGINT NOT NULL," /* 0: as a member of the owner */
                                "  reads BIGINT NOT NULL,"
                                "  bytes BIGINT NOT NULL,"
                                "  first_us BIGINT NOT NULL,"
                                "  last_us BIGINT NOT NULL,"
                                "  UNIQUE (repo_id, account_id, commit_id, day));"
                                "CREATE INDEX read_day_repo ON read_day (repo_id, id);"
                                "CREATE INDEX read_day_account ON read_day (account_id);";

/* recall.cursor: the last row of read_day whose person was told. */
static const char recall_sql[] = "CREATE TABLE recall ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  commit_id BLOB NOT NULL,"
                                 "  severity TEXT NOT NULL,"
                                 "  text TEXT NOT NULL,"
                                 "  by_id BIGINT NOT NULL,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  cursor BIGINT NOT NULL DEFAULT 0);"
                                 "CREATE INDEX recall_repo ON recall (repo_id, commit_id);"
                                 "CREATE TABLE recall_told ("
                                 "  recall_id BIGINT NOT NULL REFERENCES recall (id) ON DELETE CASCADE,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  PRIMARY KEY (recall_id, account_id)) WITHOUT ROWID;";

/*
 * - enforcement: how far up the ladder a person stands with an owner. owner_id 0: with the hub.
 * - enforcement_step: what was done, and on what ground. text and appeal are emptied when the person is
 *   forgotten. second_id: who has
 *   signed besides; a step that waits for that has done_us 0.
 */
static const char enforcement_sql[] = "CREATE TABLE enforcement ("
                                      "  id INTEGER PRIMARY KEY,"
                                      "  owner_id BIGINT NOT NULL,"
                                      "  account_id BIGINT NOT NULL,"
                                      "  state BIGINT NOT NULL,"
                                      "  version BIGINT NOT NULL,"
                                      "  UNIQUE (owner_id, account_id));"
                                      "CREATE INDEX enforcement_account ON enforcement (account_id);"
                                      "CREATE TABLE enforcement_step ("
                                      "  id INTEGER PRIMARY KEY,"
                                      "  enforcement_id BIGINT NOT NULL REFERENCES enforcement (id),"
                                      "  repo_id BIGINT NOT NULL,"
                                      "  step TEXT NOT NULL,"
                                      "  code TEXT NOT NULL,"
                                      "  text TEXT NOT NULL,"
                                      "  points BIGINT NOT NULL,"
                                      "  until_us BIGINT NOT NULL,"
                                      "  by_id BIGINT NOT NULL,"
                                      "  second_id BIGINT NOT NULL DEFAULT 0,"
                                      "  appeal TEXT NOT NULL DEFAULT '',"
                                      "  at_us BIGINT NOT NULL,"
                                      "  done_us BIGINT NOT NULL);"
                                      "CREATE INDEX enforcement_step_of ON enforcement_step (enforcement_id, id);";

/* The step "slow" came in between: states of the ladder from SUSPENDED on are one higher. */
static const char slow_sql[] = "UPDATE enforcement SET state = state + 1 WHERE state >= 2;";

/* overturned_us: an appeal has taken it back. appeal: before, what the person wrote; since, the appeal's address. */
static const char overturned_sql[] = "ALTER TABLE enforcement_step ADD COLUMN overturned_us BIGINT NOT NULL DEFAULT 0;";

/* look_due_us: by when the board looks at it; 0: it need not. looked_us: when somebody of it did. */
static const char look_sql[] = "ALTER TABLE enforcement_step ADD COLUMN look_due_us BIGINT NOT NULL DEFAULT 0;"
                               "ALTER TABLE enforcement_step ADD COLUMN looked_us BIGINT NOT NULL DEFAULT 0;"
                               "CREATE INDEX enforcement_step_look ON enforcement_step (id) "
                               "WHERE look_due_us > 0 AND looked_us = 0;";

const struct migration_set use_migrations = {
    "use", (const char *const[]){reads_sql, recall_sql, enforcement_sql, slow_sql, overturned_sql, look_sql, NULL}};

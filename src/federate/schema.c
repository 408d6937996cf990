/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "federate/internal.h"

/*
 * - federate_run: settings is the JSON object that it was opened with. state: enum run_state. round counts from 1;
 *   base_oid, due_us, frozen_us and round_rejected are of that round. A round that is frozen takes no update any more: what
 *   it comes to is settled then, whenever it is computed.
 *   noise_seed is there while a round is frozen: who has it can take the noise off again.
 * - federate_participant: missed: it sent nothing for the round before, and is not waited for.
 * - federate_update: of the current round; they go in the write that ends it.
 */
static const char create_sql[] = "CREATE TABLE federate_run ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  public_id TEXT NOT NULL UNIQUE,"
                                 "  by_id BIGINT NOT NULL,"
                                 "  state BIGINT NOT NULL,"
                                 "  settings TEXT NOT NULL,"
                                 "  round BIGINT NOT NULL,"
                                 "  accepted BIGINT NOT NULL DEFAULT 0,"
                                 "  rejected BIGINT NOT NULL DEFAULT 0,"
                                 "  base_oid BLOB NOT NULL,"
                                 "  due_us BIGINT NOT NULL DEFAULT 0,"
                                 "  frozen_us BIGINT NOT NULL DEFAULT 0,"
                                 "  round_rejected BIGINT NOT NULL DEFAULT 0,"
                                 "  why TEXT NOT NULL DEFAULT '',"
                                 "  noise_seed BLOB,"
                                 "  opened_us BIGINT NOT NULL);"
                                 "CREATE INDEX federate_run_repo ON federate_run (repo_id, id);"
                                 "CREATE UNIQUE INDEX federate_run_open ON federate_run (repo_id) WHERE state = 1;"

                                 "CREATE TABLE federate_participant ("
                                 "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  joined_us BIGINT NOT NULL,"
                                 "  missed BIGINT NOT NULL DEFAULT 0,"
                                 "  PRIMARY KEY (run_id, account_id));"

                                 "CREATE TABLE federate_update ("
                                 "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  state BIGINT NOT NULL,"
                                 "  examples BIGINT NOT NULL,"
                                 "  tries BIGINT NOT NULL,"
                                 "  sha256 BLOB NOT NULL,"
                                 "  data_at BIGINT NOT NULL,"
                                 "  norm TEXT NOT NULL,"
                                 "  PRIMARY KEY (run_id, account_id));";

/*
 * - federate_base: the commits with whose models the newest rounds began.
 * - federate_update: based: the round with whose model its training began. federate_participant: the newest of these among its accepted
 *   updates, and the update.
 */
static const char buffer_sql[] =
    "CREATE TABLE federate_base ("
    "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
    "  round BIGINT NOT NULL,"
    "  base_oid BLOB NOT NULL,"
    "  PRIMARY KEY (run_id, round));"
    "INSERT INTO federate_base SELECT id, round, base_oid FROM federate_run WHERE state = 1;"
    "ALTER TABLE federate_update ADD COLUMN based BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE federate_participant ADD COLUMN based BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE federate_participant ADD COLUMN taken BLOB;";

/* federate_run: of a frozen round of a race, since when its candidates are there, which was chosen (from 1), and the judge's scores. */
static const char race_sql[] = "ALTER TABLE federate_run ADD COLUMN judging_us BIGINT NOT NULL DEFAULT 0;"
                               "ALTER TABLE federate_run ADD COLUMN chosen BIGINT NOT NULL DEFAULT 0;"
                               "ALTER TABLE federate_run ADD COLUMN scores TEXT NOT NULL DEFAULT '';";

/*
 * Two houses:
 * - federate_config: what a round is bound to; house_signature is NULL until the other house has signed it. seed is what the hub's random
 *   bytes and noise of the round follow from; it goes with the round: who has it can take the noise off again.
 * - federate_report: body is struct report, until the round is over; the row stays, as a nonce counts once in a run. verdict: enum verdict.
 */
static const char houses_sql[] = "CREATE TABLE federate_config ("
                                 "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                 "  round BIGINT NOT NULL,"
                                 "  config TEXT NOT NULL,"
                                 "  hub_signature BLOB NOT NULL,"
                                 "  house_signature BLOB,"
                                 "  seed BLOB,"
                                 "  PRIMARY KEY (run_id, round));"

                                 "CREATE TABLE federate_report ("
                                 "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                 "  nonce BLOB NOT NULL,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  round BIGINT NOT NULL,"
                                 "  verdict BIGINT NOT NULL DEFAULT 0,"
                                 "  body BLOB,"
                                 "  PRIMARY KEY (run_id, nonce));"
                                 "CREATE INDEX federate_report_round ON federate_report (run_id, round);";

/*
 * - federate_run: order_seed: by which rows are put into buckets, of a frozen round.
 * - federate_suspicion: score: a number, the evidence against a participant; rounds: of which it was gathered; flags: in how many of them
 *   its group was marked. state: suspects.c.
 */
static const char suspicion_sql[] = "ALTER TABLE federate_run ADD COLUMN order_seed BLOB;"
                                    "ALTER TABLE federate_participant ADD COLUMN removed BIGINT NOT NULL DEFAULT 0;"
                                    "CREATE TABLE federate_suspicion ("
                                    "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                    "  account_id BIGINT NOT NULL,"
                                    "  score TEXT NOT NULL,"
                                    "  rounds BIGINT NOT NULL,"
                                    "  flags BIGINT NOT NULL,"
                                    "  state BIGINT NOT NULL,"
                                    "  PRIMARY KEY (run_id, account_id));";

/*
 * Mode "one-house" (cohort.h). identity: the key with which a participant signs in this run.
 * - federate_attempt: at the run's current round; attempts are counted through all rounds. drawn: cohorts have been.
 * - federate_cohort: stage: enum cohort_stage. dealt and survivors are lists, a bit a member, in the order of places.
 * - federate_member: what each has sent; they go with the attempt.
 */
static const char cohorts_sql[] = "ALTER TABLE federate_participant ADD COLUMN identity BLOB;"

                                  "CREATE TABLE federate_attempt ("
                                  "  run_id BIGINT PRIMARY KEY REFERENCES federate_run (id) ON DELETE CASCADE,"
                                  "  round BIGINT NOT NULL,"
                                  "  attempt BIGINT NOT NULL,"
                                  "  model TEXT NOT NULL,"
                                  "  width BIGINT NOT NULL,"
                                  "  nonce BLOB NOT NULL,"
                                  "  due_us BIGINT NOT NULL DEFAULT 0,"
                                  "  drawn BIGINT NOT NULL DEFAULT 0);"

                                  "CREATE TABLE federate_cohort ("
                                  "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                  "  number BIGINT NOT NULL,"
                                  "  stage BIGINT NOT NULL,"
                                  "  due_us BIGINT NOT NULL,"
                                  "  dealt BLOB NOT NULL,"
                                  "  survivors BLOB NOT NULL,"
                                  "  PRIMARY KEY (run_id, number));"

                                  "CREATE TABLE federate_member ("
                                  "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                  "  account_id BIGINT NOT NULL,"
                                  "  keys BLOB NOT NULL,"
                                  "  cohort BIGINT NOT NULL DEFAULT 0,"
                                  "  place BIGINT NOT NULL DEFAULT 0,"
                                  "  dealing BLOB,"
                                  "  masked BLOB,"
                                  "  signature BLOB,"
                                  "  answer BLOB,"
                                  "  PRIMARY KEY (run_id, account_id));";

/*
 * The digest of an update is its BLAKE3 from here on, which goes into the round's record; those that are there by SHA-256, of rounds under way
 * in the mode plain, are asked for again.
 */
#define OF_PLAIN_RUNS "(SELECT id FROM federate_run WHERE state = 1 AND settings LIKE '%\"mode\":\"plain\"%')"
static const char digest_sql[] =
    "UPDATE federate_run SET due_us = 0, frozen_us = 0, noise_seed = NULL, judging_us = 0, chosen = 0, scores = '', "
    "accepted = accepted - (SELECT count(*) FROM federate_update u WHERE u.run_id = federate_run.id AND u.state = 1) "
    "WHERE id IN " OF_PLAIN_RUNS ";"
    "UPDATE federate_participant SET based = 0, taken = NULL WHERE run_id IN " OF_PLAIN_RUNS ";"
    "DELETE FROM federate_update WHERE run_id IN " OF_PLAIN_RUNS ";"
    "ALTER TABLE federate_update RENAME COLUMN sha256 TO digest;";

/* federate_signatures: of the reports that were in a round's sum, 64 bytes each, in the order of the list (reports.c). */
static const char signatures_sql[] = "CREATE TABLE federate_signatures ("
                                     "  run_id BIGINT NOT NULL REFERENCES federate_run (id) ON DELETE CASCADE,"
                                     "  round BIGINT NOT NULL,"
                                     "  list BLOB NOT NULL,"
                                     "  PRIMARY KEY (run_id, round));";

const struct migration_set federate_migrations = {
    "federate", (const char *const[]){create_sql, buffer_sql, race_sql, houses_sql, suspicion_sql, cohorts_sql,
                                      digest_sql, signatures_sql, NULL}};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/internal.h"

/*
 * - evidence: what is erased for a person goes by account_id. Envelopes name people; nothing else here does.
 * - signer: proof is the envelope that registered the key. A hint is unique among revoked keys too, so that whose
 *   signature it is never depends on when one asks.
 * - statement: an index over events, by what they are about: what was said stands in the event.
 * - deployment: heard_us is when it was last heard of, logged_us when that was last put into the log.
 * - hub_key: the hub's own, so that what an earlier one signed can still be checked.
 * - oms_signature: whose model signatures a commit has; the bundles are evidence.
 */
static const char create_sql[] = "CREATE TABLE evidence ("
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  digest BLOB NOT NULL,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  bytes BLOB NOT NULL,"
                                 "  PRIMARY KEY (repo_id, digest));"
                                 "CREATE INDEX evidence_account ON evidence (account_id);"

                                 "CREATE TABLE signer ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                 "  hint TEXT NOT NULL UNIQUE,"
                                 "  pem TEXT NOT NULL,"
                                 "  name TEXT NOT NULL,"
                                 "  proof BLOB NOT NULL,"
                                 "  event_id BIGINT NOT NULL,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  revoked_us BIGINT NOT NULL DEFAULT 0);"
                                 "CREATE INDEX signer_account ON signer (account_id);"

                                 "CREATE TABLE statement ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  signer_id BIGINT NOT NULL,"
                                 "  evidence BLOB NOT NULL,"
                                 "  event_id BIGINT NOT NULL UNIQUE,"
                                 "  UNIQUE (repo_id, evidence));"
                                 "CREATE INDEX statement_commit ON statement (repo_id, commit_oid, id);"

                                 "CREATE TABLE release ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  version TEXT NOT NULL,"
                                 "  channel TEXT NOT NULL,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  event_id BIGINT NOT NULL,"
                                 "  UNIQUE (repo_id, version, channel));"

                                 "CREATE TABLE deployment ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  public_id TEXT NOT NULL UNIQUE,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  dir_hash TEXT NOT NULL,"
                                 "  env TEXT NOT NULL,"
                                 "  state BIGINT NOT NULL,"
                                 "  started_us BIGINT NOT NULL,"
                                 "  heard_us BIGINT NOT NULL,"
                                 "  logged_us BIGINT NOT NULL,"
                                 "  start_event BIGINT NOT NULL,"
                                 "  last_event BIGINT NOT NULL);"
                                 "CREATE INDEX deployment_repo ON deployment (repo_id, id);";

static const char signatures_sql[] = "CREATE TABLE hub_key ("
                                     "  hint TEXT PRIMARY KEY,"
                                     "  pem TEXT NOT NULL,"
                                     "  added_us BIGINT NOT NULL);"

                                     "CREATE TABLE oms_signature ("
                                     "  id INTEGER PRIMARY KEY,"
                                     "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                     "  commit_oid BLOB NOT NULL,"
                                     "  account_id BIGINT NOT NULL,"
                                     "  evidence BLOB NOT NULL,"
                                     "  event_id BIGINT NOT NULL,"
                                     "  at_us BIGINT NOT NULL,"
                                     "  UNIQUE (repo_id, commit_oid, evidence));";

const struct migration_set attest_migrations = {"attest", (const char *const[]){create_sql, signatures_sql, NULL}};

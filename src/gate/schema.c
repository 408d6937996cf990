/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/internal.h"

/*
 * - gate_policy: never changed, never deleted; what a request was submitted under is found by (gate_id, seq).
 * - gate.home_repo_id: of the repo that a simple gate was made for, also while it is not in use: who had been let in is
 *   let in again when the repo is gated again.
 * - gate_form: forms that requests were made with, which cards change.
 * - gate_card: what the card of a repo asks applicants (form.h), as its members extra_gated_*.
 * - access_request: numbers as in request.h; states up to 6 are open. Text is in access_request_text alone, whose body
 *   is emptied when the person is forgotten; the hash stays.
 * - access_request_member: others of the lab. state: 0 invited, 1 joined, 2 declined, 3 left.
 */
static const char create_sql[] =
    "ALTER TABLE gate ADD COLUMN home_repo_id BIGINT NOT NULL DEFAULT 0;"
    "CREATE INDEX gate_home ON gate (home_repo_id) WHERE home_repo_id > 0;"

    "CREATE TABLE gate_policy ("
    "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
    "  seq BIGINT NOT NULL,"
    "  body TEXT NOT NULL,"
    "  sha256 BLOB NOT NULL,"
    "  by_id BIGINT NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  PRIMARY KEY (gate_id, seq));"

    "CREATE TABLE gate_card (repo_id INTEGER PRIMARY KEY REFERENCES repo (id) ON DELETE CASCADE, body TEXT NOT NULL);"

    "CREATE TABLE gate_form (sha256 BLOB PRIMARY KEY, body TEXT NOT NULL);"

    "CREATE TABLE access_request ("
    "  id INTEGER PRIMARY KEY,"
    "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
    "  applicant_id BIGINT NOT NULL,"
    "  purpose TEXT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  back BIGINT NOT NULL,"
    "  version BIGINT NOT NULL,"
    "  cycle BIGINT NOT NULL,"
    "  policy_seq BIGINT NOT NULL,"
    "  renews_id BIGINT NOT NULL,"
    "  by_owner BIGINT NOT NULL,"
    "  opened_us BIGINT NOT NULL,"
    "  state_since_us BIGINT NOT NULL,"
    "  submitted_us BIGINT NOT NULL,"
    "  decided_us BIGINT NOT NULL,"
    "  clock_used_us BIGINT NOT NULL,"
    "  clock_since_us BIGINT NOT NULL,"
    "  due_us BIGINT NOT NULL,"
    "  outcome BIGINT NOT NULL,"
    "  code TEXT NOT NULL,"
    "  answers_sha256 BLOB NOT NULL,"
    "  form_sha256 BLOB NOT NULL,"
    "  terms_told BIGINT NOT NULL DEFAULT 0);" /* up to which epoch of the gate the applicant was told of new texts */
    "CREATE UNIQUE INDEX access_request_open ON access_request (gate_id, applicant_id, purpose) WHERE state <= 6;"
    "CREATE INDEX access_request_queue ON access_request (gate_id, id) WHERE state BETWEEN 1 AND 6;"
    "CREATE INDEX access_request_told ON access_request (gate_id, terms_told) WHERE state BETWEEN 1 AND 6;"
    "CREATE INDEX access_request_state ON access_request (gate_id, state, id);"
    "CREATE INDEX access_request_person ON access_request (applicant_id, gate_id, id);"
    "CREATE INDEX access_request_decided ON access_request (gate_id, decided_us);"

    "CREATE TABLE access_request_text ("
    "  id INTEGER PRIMARY KEY,"
    "  request_id BIGINT NOT NULL REFERENCES access_request (id),"
    "  cycle BIGINT NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  by_id BIGINT NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  sha256 BLOB NOT NULL,"
    "  body TEXT);"
    "CREATE INDEX access_request_text_request ON access_request_text (request_id, id);"
    "CREATE INDEX access_request_text_by ON access_request_text (by_id);"

    "CREATE TABLE access_request_member ("
    "  request_id BIGINT NOT NULL REFERENCES access_request (id),"
    "  account_id BIGINT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  PRIMARY KEY (request_id, account_id));"
    "CREATE INDEX access_request_member_account ON access_request_member (account_id, request_id);"

    /* Repos that were gated before there were gates get simple ones. */
    "INSERT INTO gate (id, owner_id, state, version, policy_seq, created_us, home_repo_id) "
    "SELECT id, owner_id, 1, 1, 1, created_us, id FROM repo WHERE gated <> '';"
    "INSERT INTO gate_repo (repo_id, gate_id) SELECT id, id FROM repo WHERE gated <> '';"
    "INSERT INTO gate_policy (gate_id, seq, body, sha256, by_id, at_us) SELECT id, 1, "
    "CASE gated WHEN 'auto' THEN '{\"mode\":\"click\"}' ELSE '{\"mode\":\"manual\"}' END, "
    "CASE gated WHEN 'auto' THEN " CLICK_SHA256 " ELSE " MANUAL_SHA256 " END, 0, created_us "
    "FROM repo WHERE gated <> '';";

/* For how many of one person are open (quota/unit.c). */
static const char by_person_sql[] = "CREATE INDEX access_request_open_person ON access_request (applicant_id) "
                                    "WHERE state <= 6;";

const struct migration_set gate_migrations = {"gate", (const char *const[]){create_sql, by_person_sql, NULL}};

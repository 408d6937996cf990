/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terms/internal.h"

/*
 * - terms_doc: owner_id 0 is "templates".
 * - terms_version: frozen once published_us is set; until then it waits for a second person. change: editorial 1, minor 2,
 *   material 3, emergency 4; proposed: what the rule (classify.h) made of it, 0 for a first version. basis_seq: the newest
 *   version up to this one that had to be accepted anew; whoever has accepted that one or a later one has accepted this
 *   one too. digest: terms.h, "sha256".
 * - gate_terms: since_seq and since_epoch: from which acceptance on the document counts as accepted when the gate has
 *   asked for it from its beginning (since_epoch 0); else the epoch of that number says it.
 * - terms_acceptance: evidence, which outlives the person; terms_receipt is the person's own and does not. payload: what
 *   is signed, frozen in the write that accepts; envelope: with the signature, made when somebody asks for it first.
 * - terms_walk: grants of a gate that have to be looked at after a change, those up to cursor are done.
 */
static const char create_sql[] = "CREATE TABLE terms_doc ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  owner_id BIGINT NOT NULL,"
                                 "  slug TEXT NOT NULL,"
                                 "  kind TEXT NOT NULL,"
                                 "  UNIQUE (owner_id, slug));"

                                 "CREATE TABLE terms_version ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  doc_id BIGINT NOT NULL REFERENCES terms_doc (id),"
                                 "  seq BIGINT NOT NULL,"
                                 "  change BIGINT NOT NULL,"
                                 "  proposed BIGINT NOT NULL,"
                                 "  basis_seq BIGINT NOT NULL,"
                                 "  summary TEXT NOT NULL,"
                                 "  effective_us BIGINT NOT NULL,"
                                 "  grace_us BIGINT NOT NULL,"
                                 "  digest BLOB NOT NULL,"
                                 "  by_id BIGINT NOT NULL,"
                                 "  second_id BIGINT NOT NULL DEFAULT 0,"
                                 "  posted_us BIGINT NOT NULL,"
                                 "  published_us BIGINT NOT NULL DEFAULT 0,"
                                 "  UNIQUE (doc_id, seq));"

                                 "CREATE TABLE terms_text ("
                                 "  version_id BIGINT NOT NULL REFERENCES terms_version (id),"
                                 "  lang TEXT NOT NULL,"
                                 "  sha256 BLOB NOT NULL,"
                                 "  body TEXT NOT NULL,"
                                 "  PRIMARY KEY (version_id, lang));"

                                 "CREATE TABLE gate_terms ("
                                 "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
                                 "  doc_id BIGINT NOT NULL REFERENCES terms_doc (id),"
                                 "  place BIGINT NOT NULL,"
                                 "  risk BIGINT NOT NULL,"
                                 "  since_epoch BIGINT NOT NULL,"
                                 "  since_seq BIGINT NOT NULL,"
                                 "  PRIMARY KEY (gate_id, doc_id));"
                                 "CREATE INDEX gate_terms_doc ON gate_terms (doc_id);"

                                 "CREATE TABLE terms_acceptance ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  doc_id BIGINT NOT NULL,"
                                 "  seq BIGINT NOT NULL,"
                                 "  sha256 BLOB NOT NULL,"
                                 "  lang TEXT NOT NULL,"
                                 "  gate_id BIGINT NOT NULL,"
                                 "  request_id BIGINT NOT NULL,"
                                 "  method TEXT NOT NULL,"
                                 "  at_us BIGINT NOT NULL);"
                                 "CREATE INDEX terms_acceptance_account ON terms_acceptance (account_id, doc_id, seq);"

                                 "CREATE TABLE terms_receipt ("
                                 "  id INTEGER PRIMARY KEY," /* of the acceptance */
                                 "  account_id BIGINT NOT NULL,"
                                 "  payload TEXT NOT NULL,"
                                 "  envelope TEXT);"
                                 "CREATE INDEX terms_receipt_account ON terms_receipt (account_id, id);"

                                 "CREATE TABLE terms_walk ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  gate_id BIGINT NOT NULL,"
                                 "  version_id BIGINT NOT NULL,"
                                 "  cursor BIGINT NOT NULL DEFAULT 0);";

const struct migration_set terms_migrations = {"terms", (const char *const[]){create_sql, NULL}};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "access/access.h"

/*
 * What the door reads; the parts above write it.
 * - gate: of one repo (slug is NULL) or of a group in a name space. state: 1 open, 2 paused (nobody may ask), 3 closed.
 *   opens_us: nobody gets bytes before (embargo); closes_us: nobody may ask after. binds_members: also the owner's own
 *   members need a grant. terms_epoch counts the changes of its texts that everybody has to accept anew. territory:
 *   "" for none, or "+" (only these) or "-" (all but these) and countries of two capital letters, each behind a space.
 * - gate_epoch: until when those who have accepted only what was before an epoch are still let in, and since when they
 *   know. Nobody has to any more when due_us is INT64_MAX: the gate has stopped to ask for that text.
 * - access_grant: state is that of the grant machine (grant/grant.h); what has come true by the clock alone may not be
 *   written there yet, so the door compares the times itself. terms_epoch: the last one of the gate of which all
 *   texts are accepted; -1 when some text was never accepted, as when an owner adds a person.
 * - access_block: owner_id 0 is the whole hub. slow: 1 for who is not shut out, but held to the floor rate.
 * - access_hold: bytes that only the repo's own name space and the board get, because they look like those of a gated
 *   repo, or nobody has looked yet. state: 1 open, 2 released, 3 confirmed.
 */
static const char create_sql[] = "CREATE TABLE gate ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  owner_id BIGINT NOT NULL,"
                                 "  slug TEXT,"
                                 "  state BIGINT NOT NULL,"
                                 "  version BIGINT NOT NULL,"
                                 "  policy_seq BIGINT NOT NULL,"
                                 "  opens_us BIGINT NOT NULL DEFAULT 0,"
                                 "  closes_us BIGINT NOT NULL DEFAULT 0,"
                                 "  binds_members BIGINT NOT NULL DEFAULT 0,"
                                 "  terms_epoch BIGINT NOT NULL DEFAULT 0,"
                                 "  territory TEXT NOT NULL DEFAULT '',"
                                 "  created_us BIGINT NOT NULL,"
                                 "  UNIQUE (owner_id, slug));"

                                 "CREATE TABLE gate_repo ("
                                 "  repo_id INTEGER PRIMARY KEY REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  gate_id BIGINT NOT NULL REFERENCES gate (id));"
                                 "CREATE INDEX gate_repo_gate ON gate_repo (gate_id);"

                                 "CREATE TABLE gate_epoch ("
                                 "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
                                 "  epoch BIGINT NOT NULL,"
                                 "  terms_version_id BIGINT NOT NULL,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  due_us BIGINT NOT NULL,"
                                 "  PRIMARY KEY (gate_id, epoch));"

                                 "CREATE TABLE access_grant ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
                                 "  account_id BIGINT NOT NULL,"
                                 "  purpose TEXT NOT NULL DEFAULT '',"
                                 "  request_id BIGINT NOT NULL DEFAULT 0,"
                                 "  state BIGINT NOT NULL,"
                                 "  version BIGINT NOT NULL,"
                                 "  not_before_us BIGINT NOT NULL DEFAULT 0,"
                                 "  expires_us BIGINT NOT NULL DEFAULT 0," /* 0: never */
                                 "  terms_epoch BIGINT NOT NULL,"
                                 "  code TEXT NOT NULL DEFAULT ''," /* why it is suspended, revoked... */
                                 "  text TEXT NOT NULL DEFAULT '',"
                                 "  until_us BIGINT NOT NULL DEFAULT 0," /* of a suspension; 0: open */
                                 "  by_id BIGINT NOT NULL,"              /* who gave it; 0: a rule */
                                 "  created_us BIGINT NOT NULL,"
                                 "  changed_us BIGINT NOT NULL);"
                                 /* states 1 to 3 are those of a live grant: active, reaccept_due, suspended */
                                 "CREATE UNIQUE INDEX access_grant_live ON access_grant (gate_id, account_id, purpose) "
                                 "WHERE state <= 3;"
                                 /* all that the door asks of a grant, so that it reads no row */
                                 "CREATE INDEX access_grant_account ON access_grant "
                                 "(account_id, gate_id, state, not_before_us, expires_us, terms_epoch);"
                                 "CREATE INDEX access_grant_gate ON access_grant (gate_id, id) WHERE state <= 3;"
                                 "CREATE INDEX access_grant_request ON access_grant (request_id);"
                                 "CREATE INDEX access_grant_changed ON access_grant (gate_id, changed_us);"
                                 /* The state first: one with the gate first is what the planner would take for a
                                  * person's live grant, and walk all grants of the gate. */
                                 "CREATE INDEX access_grant_state ON access_grant (state, gate_id, id);"

                                 "CREATE TABLE access_block ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  owner_id BIGINT NOT NULL,"
                                 "  from_us BIGINT NOT NULL,"
                                 "  until_us BIGINT NOT NULL DEFAULT 0,"
                                 "  code TEXT NOT NULL,"
                                 "  text TEXT NOT NULL,"
                                 "  by_id BIGINT NOT NULL,"
                                 "  lifted_us BIGINT NOT NULL DEFAULT 0);"
                                 "CREATE INDEX access_block_account ON access_block (account_id, owner_id);"

                                 "CREATE TABLE access_hold ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  gate_id BIGINT NOT NULL," /* whose bytes they look like; 0: pending */
                                 "  kind TEXT NOT NULL,"      /* object, chunks, tensors; pending: not looked at yet */
                                 "  state BIGINT NOT NULL,"
                                 "  share_ppm BIGINT NOT NULL," /* how much of it, in parts of a million */
                                 "  commit_id BLOB NOT NULL,"
                                 "  path TEXT NOT NULL,"
                                 "  uploader_id BIGINT NOT NULL,"
                                 "  dispute TEXT NOT NULL DEFAULT '',"
                                 "  by_id BIGINT NOT NULL DEFAULT 0," /* who has settled it */
                                 "  text TEXT NOT NULL DEFAULT '',"
                                 "  created_us BIGINT NOT NULL,"
                                 "  changed_us BIGINT NOT NULL);"
                                 "CREATE INDEX access_hold_repo ON access_hold (repo_id) WHERE state <> 2;"
                                 "CREATE INDEX access_hold_gate ON access_hold (gate_id, id);";

/* What who gets its bytes must have shown in signing in: one of enum auth_level, 0 for nothing. */
static const char sign_in_sql[] = "ALTER TABLE gate ADD COLUMN sign_in BIGINT NOT NULL DEFAULT 0;";

static const char slow_sql[] = "ALTER TABLE access_block ADD COLUMN slow BIGINT NOT NULL DEFAULT 0;";

const struct migration_set access_migrations = {"access",
                                                (const char *const[]){create_sql, sign_in_sql, slow_sql, NULL}};

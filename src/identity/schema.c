/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/internal.h"

/*
 * Accounts are never deleted, so that an id means the same person for as long as events name it. Keys stay after they
 * are revoked for the same reason; and because secret_sha256 is unique among all of them, a revoked token cannot be
 * imported again.
 */
static const char create_sql[] =
    "CREATE TABLE account ("
    "  id INTEGER PRIMARY KEY,"
    "  kind BIGINT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  name_folded TEXT NOT NULL UNIQUE,"
    "  full_name TEXT,"
    "  email TEXT,"
    "  is_admin BIGINT NOT NULL,"
    "  default_private BIGINT NOT NULL,"
    "  created_us BIGINT NOT NULL);"

    "CREATE TABLE member ("
    "  org_id BIGINT NOT NULL REFERENCES account (id),"
    "  user_id BIGINT NOT NULL REFERENCES account (id),"
    "  role BIGINT NOT NULL,"
    "  PRIMARY KEY (org_id, user_id));"
    "CREATE INDEX member_user ON member (user_id);"

    "CREATE TABLE api_key ("
    "  id INTEGER PRIMARY KEY,"
    "  account_id BIGINT NOT NULL REFERENCES account (id),"
    "  name TEXT NOT NULL,"
    "  role BIGINT NOT NULL,"
    "  secret_sha256 BLOB NOT NULL UNIQUE,"
    "  public_id TEXT NOT NULL UNIQUE,"
    "  created_us BIGINT NOT NULL,"
    "  revoked_us BIGINT);"
    "CREATE UNIQUE INDEX api_key_name ON api_key (account_id, name) WHERE revoked_us IS NULL;";

static const char erased_sql[] = "ALTER TABLE account ADD COLUMN erased_us BIGINT;";

/*
 * Keys end. Those of before get a year from the day on which the hub learns of it. api_key_old: secrets that a rotation
 * has replaced, kept for ever so that they cannot be imported; each works until until_us and a day after used_us.
 * key_scope: one of owner_id and repo_id is 0. noticed: how many notices about its end the holder was sent.
 */
static const char key_end_sql[] =
    "ALTER TABLE api_key ADD COLUMN expires_us BIGINT NOT NULL DEFAULT 0;"
    "UPDATE api_key SET expires_us = (CAST(strftime('%s', 'now') AS INTEGER) + 366 * 86400) * 1000000;"
    "ALTER TABLE api_key ADD COLUMN days BIGINT NOT NULL DEFAULT 90;"
    "ALTER TABLE api_key ADD COLUMN used_us BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE api_key ADD COLUMN noticed BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE api_key ADD COLUMN scoped BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE api_key ADD COLUMN addresses TEXT;"
    "ALTER TABLE api_key ADD COLUMN bytes_per_day BIGINT NOT NULL DEFAULT 0;"
    "CREATE INDEX api_key_end ON api_key (expires_us) WHERE revoked_us IS NULL;"

    "CREATE TABLE api_key_old ("
    "  secret_sha256 BLOB PRIMARY KEY,"
    "  key_id BIGINT NOT NULL REFERENCES api_key (id),"
    "  until_us BIGINT NOT NULL,"
    "  used_us BIGINT NOT NULL);"
    "CREATE INDEX api_key_old_key ON api_key_old (key_id);"

    "CREATE TABLE key_scope ("
    "  key_id BIGINT NOT NULL REFERENCES api_key (id),"
    "  owner_id BIGINT NOT NULL,"
    "  repo_id BIGINT NOT NULL,"
    "  role BIGINT NOT NULL,"
    "  PRIMARY KEY (key_id, owner_id, repo_id));"
    "CREATE INDEX key_scope_repo ON key_scope (repo_id) WHERE repo_id > 0;";

/*
 * Signing in. Sessions are numbered from SESSION_FIRST on, at random, so that an address signed for one that has ended is
 * never one of another. totp: secret is encrypted; last_step is the newest step of which a code was used. A challenge
 * is kept from its use until nobody would take it any more.
 */
static const char signin_sql[] = "CREATE TABLE password ("
                                 "  account_id BIGINT PRIMARY KEY REFERENCES account (id),"
                                 "  hash TEXT NOT NULL,"
                                 "  set_us BIGINT NOT NULL);"

                                 "CREATE TABLE session ("
                                 "  id BIGINT PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                 "  token_sha256 BLOB NOT NULL UNIQUE,"
                                 "  level BIGINT NOT NULL,"
                                 "  auth_us BIGINT NOT NULL,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  used_us BIGINT NOT NULL,"
                                 "  ends_us BIGINT NOT NULL,"
                                 "  agent TEXT NOT NULL,"
                                 "  remote TEXT NOT NULL);"
                                 "CREATE INDEX session_account ON session (account_id, created_us);"
                                 "CREATE INDEX session_end ON session (ends_us);"

                                 "CREATE TABLE totp ("
                                 "  account_id BIGINT PRIMARY KEY REFERENCES account (id),"
                                 "  secret BLOB NOT NULL,"
                                 "  confirmed BIGINT NOT NULL,"
                                 "  last_step BIGINT NOT NULL);"

                                 "CREATE TABLE recovery_code ("
                                 "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                 "  code_sha256 BLOB NOT NULL,"
                                 "  PRIMARY KEY (account_id, code_sha256));"

                                 "CREATE TABLE passkey ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                 "  credential_id BLOB NOT NULL UNIQUE,"
                                 "  public_key BLOB NOT NULL,"
                                 "  sign_count BIGINT NOT NULL,"
                                 "  name TEXT NOT NULL,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  used_us BIGINT NOT NULL);"
                                 "CREATE INDEX passkey_account ON passkey (account_id);"

                                 "CREATE TABLE challenge_used ("
                                 "  challenge BLOB PRIMARY KEY,"
                                 "  until_us BIGINT NOT NULL);"
                                 "CREATE INDEX challenge_used_until ON challenge_used (until_us);";

/*
 * OpenID Connect (src/oidc). Codes and tokens are kept as their SHA-256. oidc_identity: who somebody is elsewhere.
 * oauth_device: account_id is of whoever allowed or refused it, state one of enum device_state. oauth_token: what
 * oauth_code gave, so that a code used twice ends it.
 */
static const char oauth_sql[] = "CREATE TABLE oidc_identity ("
                                "  issuer TEXT NOT NULL,"
                                "  sub TEXT NOT NULL,"
                                "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                "  created_us BIGINT NOT NULL,"
                                "  PRIMARY KEY (issuer, sub));"
                                "CREATE INDEX oidc_identity_account ON oidc_identity (account_id);"

                                "CREATE TABLE oauth_device ("
                                "  device_sha256 BLOB PRIMARY KEY,"
                                "  user_code TEXT NOT NULL UNIQUE,"
                                "  client_id TEXT NOT NULL,"
                                "  agent TEXT NOT NULL,"
                                "  remote TEXT NOT NULL,"
                                "  network BLOB NOT NULL,"
                                "  state BIGINT NOT NULL,"
                                "  account_id BIGINT NOT NULL,"
                                "  name TEXT NOT NULL,"
                                "  role BIGINT NOT NULL,"
                                "  ends_us BIGINT NOT NULL);"
                                "CREATE INDEX oauth_device_network ON oauth_device (network);"
                                "CREATE INDEX oauth_device_end ON oauth_device (ends_us);"

                                "CREATE TABLE oauth_app ("
                                "  id INTEGER PRIMARY KEY,"
                                "  account_id BIGINT NOT NULL REFERENCES account (id),"
                                "  client_id TEXT NOT NULL UNIQUE,"
                                "  name TEXT NOT NULL,"
                                "  secret_sha256 BLOB,"          /* NULL: a public client */
                                "  redirect_uris TEXT NOT NULL," /* one a line */
                                "  created_us BIGINT NOT NULL);"
                                "CREATE INDEX oauth_app_account ON oauth_app (account_id);"

                                "CREATE TABLE oauth_code ("
                                "  code_sha256 BLOB PRIMARY KEY,"
                                "  app_id BIGINT NOT NULL REFERENCES oauth_app (id) ON DELETE CASCADE,"
                                "  account_id BIGINT NOT NULL,"
                                "  redirect_uri TEXT NOT NULL,"
                                "  scope TEXT NOT NULL,"
                                "  nonce TEXT,"
                                "  challenge TEXT NOT NULL,"
                                "  auth_us BIGINT NOT NULL,"
                                "  used BIGINT NOT NULL,"
                                "  ends_us BIGINT NOT NULL);"
                                "CREATE INDEX oauth_code_end ON oauth_code (ends_us);"

                                "CREATE TABLE oauth_token ("
                                "  token_sha256 BLOB PRIMARY KEY,"
                                "  code_sha256 BLOB NOT NULL,"
                                "  app_id BIGINT NOT NULL REFERENCES oauth_app (id) ON DELETE CASCADE,"
                                "  account_id BIGINT NOT NULL,"
                                "  scope TEXT NOT NULL,"
                                "  ends_us BIGINT NOT NULL);"
                                "CREATE INDEX oauth_token_code ON oauth_token (code_sha256);"
                                "CREATE INDEX oauth_token_end ON oauth_token (ends_us);";

/*
 * What the person had shown in the session that gave a secret: of a key, of a secret that was replaced, of a device that was
 * allowed. Of those before nobody knows.
 */
static const char level_sql[] = "ALTER TABLE api_key ADD COLUMN level BIGINT NOT NULL DEFAULT 0;"
                                "ALTER TABLE api_key_old ADD COLUMN level BIGINT NOT NULL DEFAULT 0;"
                                "ALTER TABLE oauth_device ADD COLUMN level BIGINT NOT NULL DEFAULT 0;";

/* hold: one of enum key_hold; the part misuse writes it. sign_up: from where people have made accounts in the last day. */
static const char hold_sql[] = "ALTER TABLE api_key ADD COLUMN hold BIGINT NOT NULL DEFAULT 0;"
                               "CREATE TABLE sign_up ("
                               "  account_id BIGINT PRIMARY KEY REFERENCES account (id),"
                               "  network TEXT NOT NULL,"
                               "  at_us BIGINT NOT NULL);"
                               "CREATE INDEX sign_up_network ON sign_up (network);";

/*
 * By what accounts may be known to be one person's: kind is "device" or "payment", of the rest only its SHA-256 is kept, and no
 * longer than the part misuse needs it. looked: that part has seen it.
 */
static const char mark_sql[] = "CREATE TABLE account_mark ("
                               "  id INTEGER PRIMARY KEY,"
                               "  account_id BIGINT NOT NULL,"
                               "  kind TEXT NOT NULL,"
                               "  mark BLOB NOT NULL,"
                               "  at_us BIGINT NOT NULL,"
                               "  looked BIGINT NOT NULL DEFAULT 0,"
                               "  UNIQUE (kind, mark, account_id));"
                               "CREATE INDEX account_mark_new ON account_mark (id) WHERE looked = 0;"
                               "CREATE INDEX account_mark_old ON account_mark (at_us);";

/*
 * CI jobs (src/oidc). ci_publisher: whose tokens are exchanged for a key of account_id, for one repo or name space (the other id
 * is 0) and what ci_publisher_scope adds; claims is a JSON object. ci_token: which have been, until they end.
 * api_key.publisher_id: by which a key was made.
 */
static const char ci_sql[] = "CREATE TABLE ci_publisher ("
                             "  id INTEGER PRIMARY KEY,"
                             "  public_id TEXT NOT NULL UNIQUE,"
                             "  account_id BIGINT NOT NULL REFERENCES account (id),"
                             "  owner_id BIGINT NOT NULL,"
                             "  repo_id BIGINT NOT NULL,"
                             "  role BIGINT NOT NULL,"
                             "  issuer TEXT NOT NULL,"
                             "  audience TEXT NOT NULL,"
                             "  claims TEXT NOT NULL,"
                             "  created_us BIGINT NOT NULL,"
                             "  used_us BIGINT NOT NULL DEFAULT 0);"
                             "CREATE INDEX ci_publisher_account ON ci_publisher (account_id);"
                             "CREATE INDEX ci_publisher_object ON ci_publisher (repo_id, owner_id, issuer);"

                             "CREATE TABLE ci_publisher_scope ("
                             "  publisher_id BIGINT NOT NULL REFERENCES ci_publisher (id) ON DELETE CASCADE,"
                             "  owner_id BIGINT NOT NULL,"
                             "  repo_id BIGINT NOT NULL,"
                             "  role BIGINT NOT NULL,"
                             "  PRIMARY KEY (publisher_id, owner_id, repo_id));"

                             "CREATE TABLE ci_token ("
                             "  sha256 BLOB PRIMARY KEY,"
                             "  ends_us BIGINT NOT NULL);"
                             "CREATE INDEX ci_token_end ON ci_token (ends_us);"

                             "ALTER TABLE api_key ADD COLUMN publisher_id BIGINT NOT NULL DEFAULT 0;"
                             "CREATE INDEX api_key_publisher ON api_key (publisher_id) WHERE publisher_id <> 0;";

const struct migration_set identity_migrations = {"identity", (const char *const[]){create_sql, erased_sql, key_end_sql,
                                                                                    signin_sql, oauth_sql, level_sql,
                                                                                    hold_sql, mark_sql, ci_sql, NULL}};

const struct event_kind identity_events[] = {
    [EVENT_ACCOUNT_CREATE] = {"account.create", 1},
    [EVENT_MEMBER_SET] = {"member.set", 2},
    [EVENT_ORG_DEFAULT_PRIVATE] = {"org.default_private", 1},
    [EVENT_KEY_CREATE] = {"key.create", 1},
    [EVENT_KEY_REVOKE] = {"key.revoke", 1},
    [EVENT_KEY_ROTATE] = {"key.rotate", 1},
    [EVENT_PASSWORD_SET] = {"password.set", 1},
    [EVENT_SESSION_START] = {"session.start", 1},
    [EVENT_SESSION_RAISE] = {"session.raise", 1},
    [EVENT_SESSION_END] = {"session.end", 1},
    [EVENT_TOTP_SET] = {"totp.set", 1},
    [EVENT_TOTP_CLEAR] = {"totp.clear", 1},
    [EVENT_RECOVERY_USE] = {"recovery.use", 1},
    [EVENT_PASSKEY_ADD] = {"passkey.add", 1},
    [EVENT_PASSKEY_REMOVE] = {"passkey.remove", 1},
    [EVENT_ACCOUNT_ERASE] = {"account.erase", 1},
    {0},
};

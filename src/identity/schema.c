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

const struct migration_set identity_migrations = {"identity", (const char *const[]){create_sql, erased_sql, NULL}};

const struct event_kind identity_events[] = {
    [EVENT_ACCOUNT_CREATE] = {"account.create", 1},
    [EVENT_MEMBER_SET] = {"member.set", 1},
    [EVENT_ORG_DEFAULT_PRIVATE] = {"org.default_private", 1},
    [EVENT_KEY_CREATE] = {"key.create", 1},
    [EVENT_KEY_REVOKE] = {"key.revoke", 1},
    [EVENT_ACCOUNT_ERASE] = {"account.erase", 1},
    {0},
};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grant/internal.h"

/* Grants themselves stand in access_grant (access/schema.c), where the door reads them. A grant is suspended while it has
 * causes: one by the same mover (machine.h) with the same code replaces the one before. */
static const char create_sql[] = "CREATE TABLE grant_cause ("
                                 "  grant_id BIGINT NOT NULL REFERENCES access_grant (id),"
                                 "  code TEXT NOT NULL,"
                                 "  mover BIGINT NOT NULL,"
                                 "  until_us BIGINT NOT NULL," /* 0: open */
                                 "  text TEXT NOT NULL,"
                                 "  PRIMARY KEY (grant_id, code, mover));";

const struct migration_set grant_migrations = {"grant", (const char *const[]){create_sql, NULL}};

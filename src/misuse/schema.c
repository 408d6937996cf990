/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/cases.h"

/*
 * - misuse_signal: when a signal was last seen; key_id 0: of the account. What is older than ten half-lives is forgotten.
 * - misuse_client: programs that a key was used by, a bit each (trail.h).
 * - misuse_case: looked_by: the administrator who has said that it stands; due_us: until when one has to look, 0: nobody.
 * - misuse_match: holds (access_hold) that have had their points.
 */
static const char create_sql[] = "CREATE TABLE misuse_signal ("
                                 "  account_id BIGINT NOT NULL,"
                                 "  key_id BIGINT NOT NULL,"
                                 "  signal TEXT NOT NULL,"
                                 "  seen_us BIGINT NOT NULL,"
                                 "  PRIMARY KEY (account_id, key_id, signal)) WITHOUT ROWID;"
                                 "CREATE INDEX misuse_signal_seen ON misuse_signal (seen_us);"

                                 "CREATE TABLE misuse_client (key_id BIGINT PRIMARY KEY, clients BIGINT NOT NULL);"

                                 "CREATE TABLE misuse_case ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  account_id BIGINT NOT NULL,"
                                 "  key_id BIGINT NOT NULL,"
                                 "  state BIGINT NOT NULL,"
                                 "  version BIGINT NOT NULL,"
                                 "  signals TEXT NOT NULL,"
                                 "  points BIGINT NOT NULL,"
                                 "  opened_us BIGINT NOT NULL,"
                                 "  changed_us BIGINT NOT NULL,"
                                 "  due_us BIGINT NOT NULL DEFAULT 0,"
                                 "  looked_by BIGINT NOT NULL DEFAULT 0,"
                                 "  appealed_us BIGINT NOT NULL DEFAULT 0,"
                                 "  appeal TEXT NOT NULL DEFAULT '',"
                                 "  answer TEXT NOT NULL DEFAULT '');"
                                 "CREATE UNIQUE INDEX misuse_case_open ON misuse_case (account_id, key_id) "
                                 "WHERE state <= 4;"
                                 "CREATE INDEX misuse_case_account ON misuse_case (account_id, id);"

                                 "CREATE TABLE misuse_match (hold_id BIGINT PRIMARY KEY);"

                                 "CREATE TABLE honey_key ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  secret_sha256 BLOB NOT NULL UNIQUE,"
                                 "  account_id BIGINT NOT NULL," /* 0: nobody's */
                                 "  note TEXT NOT NULL,"
                                 "  made_us BIGINT NOT NULL,"
                                 "  used_us BIGINT NOT NULL DEFAULT 0);";

const struct migration_set misuse_migrations = {"misuse", (const char *const[]){create_sql, NULL}};

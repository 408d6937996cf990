/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repo/internal.h"

/*
 * - repo_serial: numbers of repos are never given twice, because events and signed addresses outlive a repo.
 * - git_object: what a listing asks stands before the bytes, so that reading it stays on the row's first page.
 * - commit_row: history counts the commits that are reachable from this one, itself included.
 * - path_touch: the paths, and folders above them, in which a commit differs from its first parent.
 */
static const char create_sql[] = "CREATE TABLE repo_serial (last BIGINT NOT NULL);"
                                 "INSERT INTO repo_serial (last) VALUES (0);"

                                 "CREATE TABLE repo ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  public_id TEXT NOT NULL UNIQUE,"
                                 "  kind BIGINT NOT NULL,"
                                 "  owner_id BIGINT NOT NULL,"
                                 "  ns TEXT NOT NULL,"
                                 "  name TEXT NOT NULL,"
                                 "  ns_key TEXT NOT NULL,"
                                 "  name_key TEXT NOT NULL,"
                                 "  visibility BIGINT NOT NULL,"
                                 "  disabled BIGINT NOT NULL DEFAULT 0,"
                                 "  gated TEXT NOT NULL DEFAULT '',"
                                 "  sdk TEXT NOT NULL DEFAULT '',"
                                 "  last_number BIGINT NOT NULL DEFAULT 0,"
                                 "  created_us BIGINT NOT NULL,"
                                 "  updated_us BIGINT NOT NULL,"
                                 "  UNIQUE (kind, ns_key, name_key));"
                                 "CREATE INDEX repo_owner ON repo (owner_id, updated_us);"

                                 "CREATE TABLE repo_alias ("
                                 "  kind BIGINT NOT NULL,"
                                 "  ns_key TEXT NOT NULL,"
                                 "  name_key TEXT NOT NULL,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
                                 "  PRIMARY KEY (kind, ns_key, name_key));"
                                 "CREATE INDEX repo_alias_repo ON repo_alias (repo_id);"

                                 "CREATE TABLE git_object ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
                                 "  oid BLOB NOT NULL,"
                                 "  kind BIGINT NOT NULL,"
                                 "  size BIGINT NOT NULL,"
                                 "  lfs_sha256 BLOB,"
                                 "  lfs_size BIGINT,"
                                 "  encoding BIGINT NOT NULL,"
                                 "  bytes BLOB NOT NULL,"
                                 "  UNIQUE (repo_id, oid));"

                                 "CREATE TABLE commit_row ("
                                 "  id INTEGER PRIMARY KEY,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
                                 "  oid BLOB NOT NULL,"
                                 "  tree BLOB NOT NULL,"
                                 "  parents BLOB NOT NULL,"
                                 "  history BIGINT NOT NULL,"
                                 "  at_us BIGINT NOT NULL,"
                                 "  author_name TEXT NOT NULL,"
                                 "  author_email TEXT NOT NULL,"
                                 "  title TEXT NOT NULL,"
                                 "  message TEXT NOT NULL,"
                                 "  UNIQUE (repo_id, oid));"

                                 "CREATE TABLE path_touch ("
                                 "  repo_id BIGINT NOT NULL,"
                                 "  path TEXT NOT NULL,"
                                 "  commit_id BIGINT NOT NULL,"
                                 "  PRIMARY KEY (repo_id, path, commit_id)) WITHOUT ROWID;"

                                 "CREATE TABLE ref ("
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
                                 "  name TEXT NOT NULL,"
                                 "  target BLOB NOT NULL,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  PRIMARY KEY (repo_id, name)) WITHOUT ROWID;";

static const char xet_sql[] = "ALTER TABLE repo ADD COLUMN xet_enabled BIGINT NOT NULL DEFAULT 1;";

static const char archived_sql[] = "ALTER TABLE repo ADD COLUMN archived BIGINT NOT NULL DEFAULT 0;"
                                   "CREATE INDEX repo_archived ON repo (owner_id) WHERE archived <> 0;";

/* The SHA-256 of plain files, before the bytes for the reason above. */
static const char sha256_sql[] =
    "CREATE TABLE git_object_next ("
    "  id INTEGER PRIMARY KEY,"
    "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
    "  oid BLOB NOT NULL,"
    "  kind BIGINT NOT NULL,"
    "  size BIGINT NOT NULL,"
    "  lfs_sha256 BLOB,"
    "  lfs_size BIGINT,"
    "  sha256 BLOB,"
    "  encoding BIGINT NOT NULL,"
    "  bytes BLOB NOT NULL,"
    "  UNIQUE (repo_id, oid));"
    "INSERT INTO git_object_next (id, repo_id, oid, kind, size, lfs_sha256, lfs_size, encoding, bytes)"
    " SELECT id, repo_id, oid, kind, size, lfs_sha256, lfs_size, encoding, bytes FROM git_object;"
    "DROP TABLE git_object;"
    "ALTER TABLE git_object_next RENAME TO git_object;";

/*
 * - commit_row.by_id: the account that made the commit; 0 for those of before, so that nobody can approve them.
 * - approval: what each person said last of a commit, for a branch (ref).
 * - pull: of a pull request refs/pr/N, what is more than its ref. Its number is taken before its first commit is there.
 */
static const char protect_sql[] =
    "ALTER TABLE commit_row ADD COLUMN by_id BIGINT NOT NULL DEFAULT 0;"

    "CREATE TABLE ref_rule ("
    "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
    "  name TEXT NOT NULL,"
    "  approvals BIGINT NOT NULL,"
    "  role BIGINT NOT NULL,"
    "  created_us BIGINT NOT NULL,"
    "  PRIMARY KEY (repo_id, name)) WITHOUT ROWID;"

    "CREATE TABLE approval ("
    "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
    "  commit_oid BLOB NOT NULL,"
    "  ref TEXT NOT NULL,"
    "  account_id BIGINT NOT NULL,"
    "  decision BIGINT NOT NULL,"
    "  event_id BIGINT NOT NULL,"
    "  at_us BIGINT NOT NULL,"
    "  PRIMARY KEY (repo_id, commit_oid, ref, account_id)) WITHOUT ROWID;"

    "CREATE TABLE pull ("
    "  repo_id BIGINT NOT NULL REFERENCES repo (id),"
    "  number BIGINT NOT NULL,"
    "  ref TEXT NOT NULL,"
    "  base TEXT NOT NULL,"
    "  title TEXT NOT NULL,"
    "  by_id BIGINT NOT NULL,"
    "  created_us BIGINT NOT NULL,"
    "  merged BLOB,"
    "  PRIMARY KEY (repo_id, number)) WITHOUT ROWID;"
    "INSERT INTO pull (repo_id, number, ref, base, title, by_id, created_us)"
    " SELECT r.repo_id, CAST(substr(r.name, 9) AS BIGINT), r.name, 'refs/heads/main', c.title, 0, c.at_us FROM ref r"
    " JOIN commit_row c ON c.repo_id = r.repo_id AND c.oid = r.commit_oid WHERE r.name LIKE 'refs/pr/%';";

const struct migration_set repo_migrations = {
    "repo", (const char *const[]){create_sql, xet_sql, sha256_sql, protect_sql, archived_sql, NULL}};

const struct event_kind repo_events[] = {
    [EVENT_CREATE] = {"repo.create", 1},
    [EVENT_DELETE] = {"repo.delete", 1},
    [EVENT_MOVE] = {"repo.move", 1},
    [EVENT_SETTINGS] = {"repo.settings", 1},
    [EVENT_REF_CREATE] = {"ref.create", 1},
    [EVENT_REF_DELETE] = {"ref.delete", 1},
    [EVENT_COMMIT] = {"commit", 1},
    [EVENT_PROTECT] = {"repo.protect", 1},
    {0},
};

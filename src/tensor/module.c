/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tensor/internal.h"

/*
 * - tensor_file: a content that commits have named as a safetensors file. Its numbers are never used again, because a
 * pass may be under way while a row goes.
 * - tensor_seen: that a commit of a repo names it. idx and commit_oid are of the change that brought it, as the log has
 * it. Each repo waits for a pass of its own, unless anybody may read the file elsewhere: how soon a file is ready must
 * not tell that somebody has it in private.
 * - tensor: at and size are places in the file. shape is 8 bytes, big-endian, for each dimension. content is the
 * SHA-256 of the tensor's entry under the name "": what is compared across repos. It is NULL for tensors that tell
 * nothing by being shared.
 */
static const char create_sql[] = "CREATE TABLE tensor_file ("
                                 "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
                                 "  sha256 BLOB NOT NULL UNIQUE,"
                                 "  state BIGINT NOT NULL DEFAULT 0,"
                                 "  why TEXT NOT NULL DEFAULT '');"

                                 "CREATE TABLE tensor_seen ("
                                 "  file_id BIGINT NOT NULL REFERENCES tensor_file (id) ON DELETE CASCADE,"
                                 "  repo_id BIGINT NOT NULL REFERENCES repo (id) ON DELETE CASCADE,"
                                 "  is_lfs BIGINT NOT NULL,"
                                 "  blob BLOB NOT NULL,"
                                 "  size BIGINT NOT NULL,"
                                 "  commit_oid BLOB NOT NULL,"
                                 "  idx BIGINT,"
                                 "  state BIGINT NOT NULL,"
                                 "  tries BIGINT NOT NULL DEFAULT 0,"
                                 "  due_us BIGINT NOT NULL DEFAULT 0,"
                                 "  PRIMARY KEY (file_id, repo_id));"
                                 "CREATE INDEX tensor_seen_repo ON tensor_seen (repo_id, state);"
                                 "CREATE INDEX tensor_seen_pending ON tensor_seen (size) WHERE state = 0;"

                                 "CREATE TABLE tensor ("
                                 "  file_id BIGINT NOT NULL REFERENCES tensor_file (id) ON DELETE CASCADE,"
                                 "  position BIGINT NOT NULL,"
                                 "  name TEXT NOT NULL,"
                                 "  dtype TEXT NOT NULL,"
                                 "  shape BLOB NOT NULL,"
                                 "  at BIGINT NOT NULL,"
                                 "  size BIGINT NOT NULL,"
                                 "  digest BLOB NOT NULL,"
                                 "  content BLOB,"
                                 "  PRIMARY KEY (file_id, position)) WITHOUT ROWID;"
                                 "CREATE INDEX tensor_content ON tensor (content, file_id) WHERE content IS NOT NULL;";

static const struct migration_set tensor_migrations = {"tensor", (const char *const[]){create_sql, NULL}};

static const struct route routes[] = {
    {HTTP_GET, "/api/{api}/tensors/{rev}", ACT_READ, tensors_get},
    {HTTP_GET, "/api/{api}/tensors/{rev}/proof", ACT_READ, tensor_proof_get},
    {HTTP_GET, "/api/{api}/lineage/bytes/{rev}", ACT_READ, shared_get},
    {0},
};

static const struct job jobs[] = {
    {"tensors", 1, pass_job, .soon = true, .slow = true}, {"rows of tensors", 3600, rows_job, .slow = true}, {0}};

const struct module tensor_module = {
    .name = "tensor", .migrations = &tensor_migrations, .routes = routes, .jobs = jobs};

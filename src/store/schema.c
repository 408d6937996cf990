/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/store.h"

/*
 * Ids of objects, and of xorbs, are never used again (AUTOINCREMENT): whoever looked one up shortly before it was swept must not
 * open another repo's file that got its number.
 */
static const char first_sql[] =
    "CREATE TABLE container (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " size INTEGER NOT NULL, created_us INTEGER NOT NULL);"
    "CREATE TABLE object (id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL);"
    "CREATE TABLE extent (object_id INTEGER NOT NULL REFERENCES object (id), seq INTEGER NOT NULL,"
    " container_id INTEGER NOT NULL REFERENCES container (id), start INTEGER NOT NULL, length INTEGER NOT NULL,"
    " encoding INTEGER NOT NULL, PRIMARY KEY (object_id, seq));"
    "CREATE INDEX extent_container ON extent (container_id);"
    "CREATE TABLE object_hold (repo_id INTEGER NOT NULL, object_id INTEGER NOT NULL REFERENCES object (id),"
    " created_us INTEGER NOT NULL, PRIMARY KEY (repo_id, object_id));"
    "CREATE INDEX object_hold_object ON object_hold (object_id);"
    "CREATE TABLE upload (id TEXT PRIMARY KEY, repo_id INTEGER NOT NULL, sha256 BLOB NOT NULL, size INTEGER NOT NULL,"
    " part_size INTEGER NOT NULL, changed_us INTEGER NOT NULL, state INTEGER NOT NULL);"
    "CREATE INDEX upload_content ON upload (repo_id, sha256);"
    "CREATE TABLE upload_part (upload_id TEXT NOT NULL REFERENCES upload (id), number INTEGER NOT NULL,"
    " etag TEXT NOT NULL, PRIMARY KEY (upload_id, number));";

/*
 * Xorbs between extents and containers. A file from before stays as it is, one uncompressed xorb without chunks, whatever its
 * length: plain clients read it, Xet clients do not see it (object.xet_hash is NULL). mentioned_us is 0 for a xorb that no
 * client was told of. Where bytes stand in an object is in the key, so that a range deep in a large file is found at once.
 */
static const char xorb_sql[] =
    "CREATE TABLE xorb (id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB UNIQUE,"
    " container_id INTEGER NOT NULL REFERENCES container (id), start INTEGER NOT NULL, stored INTEGER NOT NULL,"
    " table_at INTEGER NOT NULL, length INTEGER NOT NULL, chunks INTEGER NOT NULL, created_us INTEGER NOT NULL,"
    " mentioned_us INTEGER NOT NULL);"
    "CREATE INDEX xorb_container ON xorb (container_id);"
    /* who has sent its bytes */
    "CREATE TABLE xorb_sender (xorb_id INTEGER NOT NULL REFERENCES xorb (id), account_id INTEGER NOT NULL,"
    " PRIMARY KEY (xorb_id, account_id));"
    /* chunks that clients may ask for, about one in 1024 */
    "CREATE TABLE dedup_key (chunk BLOB NOT NULL, xorb_id INTEGER NOT NULL REFERENCES xorb (id),"
    " PRIMARY KEY (chunk, xorb_id));"
    "CREATE INDEX dedup_key_xorb ON dedup_key (xorb_id);"
    "INSERT INTO xorb (hash, container_id, start, stored, table_at, length, chunks, created_us, mentioned_us)"
    " SELECT NULL, id, 0, size, size, size, 0, created_us, 0 FROM container;"
    "ALTER TABLE extent RENAME TO extent_before;"
    "CREATE TABLE extent (object_id INTEGER NOT NULL REFERENCES object (id), at INTEGER NOT NULL,"
    " xorb_id INTEGER NOT NULL REFERENCES xorb (id), length INTEGER NOT NULL, chunk_start INTEGER NOT NULL,"
    " chunk_end INTEGER NOT NULL, stored_at INTEGER NOT NULL, stored INTEGER NOT NULL, packed INTEGER NOT NULL,"
    " PRIMARY KEY (object_id, at));"
    "INSERT INTO extent SELECT e.object_id, 0, x.id, e.length, 0, 0, e.start, e.length, 0"
    " FROM extent_before e JOIN xorb x ON x.container_id = e.container_id WHERE e.length > 0;"
    "DROP TABLE extent_before;"
    "CREATE INDEX extent_xorb ON extent (xorb_id);"
    "ALTER TABLE container DROP COLUMN kind;"
    "ALTER TABLE object ADD COLUMN xet_hash BLOB;"
    "CREATE INDEX object_xet ON object (xet_hash);";

/* Ranges of containers that stay, whose xorbs have gone: freed.c gives the bytes back. */
static const char freed_sql[] =
    "CREATE TABLE freed_range (container_id INTEGER NOT NULL REFERENCES container (id), start INTEGER NOT NULL,"
    " length INTEGER NOT NULL, freed_us INTEGER NOT NULL, PRIMARY KEY (container_id, start));";

/* Of a container whose bytes may not have reached the disk: in which boot of the machine it came (settle.c). */
static const char boot_sql[] = "ALTER TABLE container ADD COLUMN boot TEXT;"
                               "CREATE INDEX container_boot ON container (boot) WHERE boot IS NOT NULL;";

/* So that the objects that use a xorb are found one by one, however often each of them uses it. */
static const char users_sql[] = "DROP INDEX extent_xorb; CREATE INDEX extent_xorb ON extent (xorb_id, object_id);";

static const char *const migrations[] = {first_sql, xorb_sql, freed_sql, boot_sql, users_sql, NULL};
const struct migration_set store_migrations = {.part = "store", .sql = migrations};

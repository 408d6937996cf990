/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <stdio.h>
#include <unistd.h>

struct commit {
    const struct arrival *arrival;
    int64_t created_us;
    bool duplicate; /* the store has the content in another container */
};

static const char finish_upload_sql[] = "UPDATE upload SET state = 1, changed_us = ? WHERE id = ? AND state = 0";
static const char delete_parts_sql[] = "DELETE FROM upload_part WHERE upload_id = ?";
static const char find_object_sql[] = "SELECT id FROM object WHERE sha256 = ?";
static const char insert_container_sql[] = "INSERT INTO container (name, kind, size, created_us) VALUES (?, ?, ?, ?)";
static const char insert_object_sql[] = "INSERT INTO object (sha256, size, created_us) VALUES (?, ?, ?)";
static const char insert_extent_sql[] =
    "INSERT INTO extent (object_id, seq, container_id, start, length, encoding) VALUES (?, 0, ?, 0, ?, ?)";

static enum status finish_upload(struct db_conn *tx, const char *upload, struct error *err)
{
    auto_stmt struct stmt *finish = NULL;
    TRY(db_prepare(tx, finish_upload_sql, &finish, err));
    stmt_bind_int(finish, 1, now_us());
    stmt_bind_str(finish, 2, str_of(upload));
    TRY(stmt_run(finish, err));
    if (db_changes(tx) != 1)
        return fail(err, NOT_FOUND, NULL, "This upload is no longer there, perhaps because its repo was deleted.");
    auto_stmt struct stmt *parts = NULL;
    TRY(db_prepare(tx, delete_parts_sql, &parts, err));
    stmt_bind_str(parts, 1, str_of(upload));
    return stmt_run(parts, err);
}

static enum status insert_object(struct db_conn *tx, const struct commit *commit, int64_t *object_id, struct error *err)
{
    const struct arrival *arrival = commit->arrival;
    auto_stmt struct stmt *container = NULL, *object = NULL, *extent = NULL;
    TRY(db_prepare(tx, insert_container_sql, &container, err));
    stmt_bind_str(container, 1, str_of(arrival->name));
    stmt_bind_int(container, 2, CONTAINER_RAW);
    stmt_bind_int(container, 3, arrival->size);
    stmt_bind_int(container, 4, commit->created_us);
    TRY(stmt_run(container, err));
    int64_t container_id = db_last_id(tx);

    TRY(db_prepare(tx, insert_object_sql, &object, err));
    stmt_bind_blob(object, 1, arrival->sha256, SHA256_SIZE);
    stmt_bind_int(object, 2, arrival->size);
    stmt_bind_int(object, 3, commit->created_us);
    TRY(stmt_run(object, err));
    *object_id = db_last_id(tx);

    TRY(db_prepare(tx, insert_extent_sql, &extent, err));
    stmt_bind_int(extent, 1, *object_id);
    stmt_bind_int(extent, 2, container_id);
    stmt_bind_int(extent, 3, arrival->size);
    stmt_bind_int(extent, 4, ENCODING_NONE);
    return stmt_run(extent, err);
}

static enum status write_arrival(struct db_conn *tx, void *context, struct error *err)
{
    struct commit *commit = context;
    const struct arrival *arrival = commit->arrival;
    if (arrival->upload)
        TRY(finish_upload(tx, arrival->upload, err));
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(tx, find_object_sql, &find, err));
    stmt_bind_blob(find, 1, arrival->sha256, SHA256_SIZE);
    commit->duplicate = stmt_next(find);
    int64_t object_id = commit->duplicate ? stmt_int(find, 0) : 0;
    TRY(stmt_end(find, err));
    if (!commit->duplicate)
        TRY(insert_object(tx, commit, &object_id, err));
    return store_hold(tx, arrival->repo_id, object_id, err);
}

enum status commit_arrival(struct store *store, int fd, const struct arrival *arrival, struct error *err)
{
    char incoming[STORE_PATH_LIMIT], container[STORE_PATH_LIMIT], folder[STORE_PATH_LIMIT];
    incoming_path(store->root, arrival->name, incoming);
    container_path(store->root, arrival->name, container);
    snprintf(folder, sizeof(folder), "%s/containers/%.2s", store->root, arrival->name);

    if (fdatasync(fd) != 0)
        return disk_fail(err, "sync an incoming file");
    if (rename(incoming, container) != 0)
        return disk_fail(err, "make an incoming file a container");
    enum status status = folder_sync(folder, err);
    if (status != OK) {
        unlink(container);
        return disk_explain(status, err);
    }
    struct commit commit = {.arrival = arrival, .created_us = now_us()};
    status = db_write(store->db, write_arrival, &commit, err);
    /* When a commit fails with an error of the disk, its rows may still be found after a restart, and then need the
     * container. So only a certain failure removes it; the others leave it to the sweep. */
    if (status == OK ? commit.duplicate : status == NO_SPACE || status == NOT_FOUND)
        unlink(container);
    return disk_explain(status, err);
}

enum status digest_check(const uint8_t expected[SHA256_SIZE], const uint8_t actual[SHA256_SIZE], struct error *err)
{
    if (memcmp(expected, actual, SHA256_SIZE) == 0)
        return OK;
    char announced[2 * SHA256_SIZE + 1], arrived[2 * SHA256_SIZE + 1];
    hex_name(expected, SHA256_SIZE, announced);
    hex_name(actual, SHA256_SIZE, arrived);
    return fail(err, UNPROCESSABLE, NULL,
                "The file was announced with SHA-256 %s, but what arrived has %s. Nothing was kept; upload it again.",
                announced, arrived);
}

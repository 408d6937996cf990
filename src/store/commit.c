/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct commit {
    const struct arrival *arrival;
    int64_t container; /* its id; 0 when the store had everything */
    bool *needed;      /* of each xorb: the container has it */
    struct buf unsettled;
};

static const char finish_upload_sql[] = "UPDATE upload SET state = 1, changed_us = ? WHERE id = ? AND state = 0";
static const char delete_parts_sql[] = "DELETE FROM upload_part WHERE upload_id = ?";

static int64_t container_size(const struct ingested *file)
{
    return file->size + file->chunks * CHUNK_ROW;
}

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

/* A xorb that the store lacks. Chunks are counted over the whole file, as the tables of its xorbs follow each other. */
static enum status insert_xorb(struct db_conn *tx, struct commit *commit, size_t index, int64_t chunks_before,
                               int64_t *id, struct error *err)
{
    const struct ingested *file = commit->arrival->file;
    const struct ingest_xorb *xorb = &file->xorbs[index];
    if (!commit->container)
        TRY(container_insert(tx, commit->arrival->name, container_size(file), &commit->container, err));
    commit->needed[index] = true;
    struct xorb_new new = {.hash = xorb->hash,
                           .container = commit->container,
                           .start = xorb->start,
                           .stored = xorb->length,
                           .table_at = file->size + chunks_before * CHUNK_ROW,
                           .length = xorb->length,
                           .chunks = xorb->chunks};
    return xorb_insert(tx, &new, id, err);
}

/* The keys of a file stand in its order: *key is the first that is not in front of the xorb, and moves behind it. */
static enum status insert_keys(struct db_conn *tx, const struct ingested *file, size_t index, int64_t xorb_id,
                               bool made, size_t *key, struct error *err)
{
    for (; *key < file->key_count && file->keys[*key].xorb == index; ++*key)
        if (made || *key == 0)
            TRY(dedup_key_insert(tx, &file->keys[*key].chunk, xorb_id, err));
    return OK;
}

static enum status insert_extents(struct db_conn *tx, struct commit *commit, int64_t object_id, struct error *err)
{
    const struct ingested *file = commit->arrival->file;
    int64_t chunks_before = 0;
    size_t key = 0;
    for (size_t i = 0; i < file->xorb_count; i++) {
        const struct ingest_xorb *xorb = &file->xorbs[i];
        struct extent extent = {.at = xorb->start, .length = xorb->length, .end = xorb->chunks, .stored = xorb->length};
        bool found;
        TRY(xorb_by_hash(tx, &xorb->hash, &found, &extent.xorb, err));
        if (found) {
            TRY(unsettled_note(tx, extent.xorb.container, &commit->unsettled, err));
            extent.stored = extent.xorb.stored;
            extent.packed = extent.stored != extent.length;
        } else {
            TRY(insert_xorb(tx, commit, i, chunks_before, &extent.xorb.id, err));
        }
        TRY(insert_keys(tx, file, i, extent.xorb.id, !found, &key, err));
        TRY(extent_insert(tx, object_id, &extent, err));
        chunks_before += xorb->chunks;
    }
    return OK;
}

static enum status write_arrival(struct db_conn *tx, void *context, struct error *err)
{
    struct commit *commit = context;
    const struct arrival *arrival = commit->arrival;
    const struct ingested *file = arrival->file;
    int64_t object_id;
    bool made;
    if (arrival->upload)
        TRY(finish_upload(tx, arrival->upload, err));
    TRY(object_insert(tx, file->sha256, file->size, file->size ? &file->hash : NULL, &object_id, &made, err));
    commit->container = 0;
    if (made)
        TRY(insert_extents(tx, commit, object_id, err));
    TRY(store_hold(tx, arrival->repo_id, object_id, err));
    return unsettled_check(&commit->unsettled, err);
}

enum status container_make(struct store *store, const char *name, int fd, bool durable, char path[STORE_PATH_LIMIT],
                           struct error *err)
{
    char incoming[STORE_PATH_LIMIT], folder[STORE_PATH_LIMIT];
    incoming_path(store->root, name, incoming);
    container_path(store->root, name, path);
    snprintf(folder, sizeof(folder), "%s/containers/%.2s", store->root, name);
    TRY(container_folder(store, name, err));
    if (durable && fdatasync(fd) != 0)
        return disk_fail(err, "sync an incoming file");
    if (rename(incoming, path) != 0)
        return disk_fail(err, "make an incoming file a container");
    enum status status = durable ? folder_sync(folder, err) : OK;
    if (status != OK)
        unlink(path);
    return status;
}

/* With the tables of its xorbs behind its bytes. */
static enum status make_container(struct store *store, int fd, const struct arrival *arrival,
                                  char path[STORE_PATH_LIMIT], struct error *err)
{
    if (ftruncate(fd, arrival->file->size) != 0)
        return disk_fail(err, "cut an incoming file to its size");
    TRY(ingest_write_tables(arrival->ingest, fd, err));
    return container_make(store, arrival->name, fd, true, path, err);
}

/* Gives back the room of xorbs that the store had: runs of them at once, as a block of the disk may lie in two. */
static void punch_holes(const struct commit *commit, int fd)
{
    const struct ingested *file = commit->arrival->file;
    for (size_t i = 0, next; i < file->xorb_count; i = next) {
        for (next = i; next < file->xorb_count && !commit->needed[next];)
            next++;
        int64_t end = next < file->xorb_count ? file->xorbs[next].start : file->size;
        if (next > i)
            (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, file->xorbs[i].start,
                            end - file->xorbs[i].start);
        else
            next++;
    }
}

enum status commit_arrival(struct store *store, int fd, const struct arrival *arrival, struct error *err)
{
    char container[STORE_PATH_LIMIT];
    struct commit commit = {.arrival = arrival};
    if (arrival->file->size == 0) {
        TRY(db_write(store->db, write_arrival, &commit, err));
        incoming_remove(store, arrival->name);
        return OK;
    }
    enum status status = make_container(store, fd, arrival, container, err);
    if (status != OK)
        return disk_explain(status, err);
    commit.needed = calloc(arrival->file->xorb_count, sizeof(*commit.needed));
    if (!commit.needed)
        abort();
    status = settled_write(store, write_arrival, &commit, &commit.unsettled, err);
    /* When a commit fails with an error of the disk, its rows may still be found after a restart, and then need the
     * container. So only a certain failure removes it; the others leave it to the sweep. */
    if (status == OK ? !commit.container : status == NO_SPACE || status == NOT_FOUND || status == TOO_LARGE)
        unlink(container);
    else if (status == OK)
        punch_holes(&commit, fd);
    free(commit.needed);
    buf_free(&commit.unsettled);
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

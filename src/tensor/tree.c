/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree over the tensors of a revision. */
#include "tensor/internal.h"

static enum status count_tensors(struct db_conn *conn, const struct tensor_files *files, int64_t *total,
                                 struct error *err)
{
    int64_t count;
    *total = 0;
    for (size_t i = 0; i < files->count; i++) {
        TRY(rows_count(conn, files->items[i].id, &count, err));
        *total += count;
    }
    return OK;
}

enum status tensors_load(struct db_conn *conn, struct arena *arena, const struct tensor_files *files,
                         struct tensor **out, size_t *count, struct error *err)
{
    struct error why;
    int64_t total;
    size_t read;
    *count = 0;
    TRY(count_tensors(conn, files, &total, err));
    if (total > REVISION_TENSORS_MOST)
        return OK;
    *out = arena_array(arena, (size_t)total + 1, sizeof **out);
    for (size_t i = 0; i < files->count; i++) {
        TRY(rows_read(conn, arena, files->items[i].id, 0, total - (int64_t)*count, *out + *count, &read, err));
        *count += read;
    }
    if (tensor_sort(*out, *count, &why) != OK)
        *count = 0;
    return OK;
}

enum status tensors_root(struct hub *hub, int64_t repo_id, const struct oid *commit, bool *pending, bool *found,
                         struct tlog_hash *root, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    struct tensor_files files;
    struct tensor *tensors;
    size_t count = 0;
    TRY(tensors_of_revision(hub, &arena, repo_id, commit, &files, err));
    *pending = files.state == TENSORS_PENDING;
    *found = false;
    if (files.state != TENSORS_READY)
        return OK;
    TRY(db_reader(hub->db, &conn, err));
    TRY(db_snapshot(conn, err));
    TRY(tensors_load(conn, &arena, &files, &tensors, &count, err));
    *found = count > 0;
    if (*found)
        *root = tensor_root(tensors, count);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which safetensors files a revision has, and what is known of them. */
#include "base/time.h"
#include "prov/find.h"
#include "tensor/internal.h"
#include <stdatomic.h>
#include <time.h>

#define FILES_LISTED_MOST 1000000
#define WAITING_MOST 32
#define WAIT_US (10 * SECOND_US)

struct named {
    struct tensor_file file;
    struct entry entry;
    bool missing;      /* this repo's commits have not named it before */
    struct oid commit; /* the rest is only filled when it is missing: which commit brought it */
    bool logged;
    uint64_t index;
};

struct listing_of {
    struct db_conn *conn;
    struct arena *arena;
    int64_t repo_id;
    const struct oid *commit;
    struct named *items;
    size_t count;
};

/* What is known. */

static const char known_sql[] = "SELECT f.id, f.state, f.why, s.state FROM tensor_file f"
                                " JOIN tensor_seen s ON s.file_id = f.id AND s.repo_id = ? WHERE f.sha256 = ?";

static enum status find_known(const struct listing_of *l, struct named *named, struct error *err)
{
    auto_stmt struct stmt *known = NULL;
    struct tensor_file *file = &named->file;
    TRY(db_prepare(l->conn, known_sql, &known, err));
    stmt_bind_int(known, 1, l->repo_id);
    stmt_bind_blob(known, 2, file->sha256, SHA256_SIZE);
    file->state = TENSORS_PENDING;
    named->missing = !stmt_next(known);
    if (!named->missing) {
        file->id = stmt_int(known, 0);
        if (stmt_int(known, 3) == SEEN_READY)
            file->state = stmt_int(known, 1) == FILE_DONE ? TENSORS_READY : TENSORS_REFUSED;
        if (file->state == TENSORS_REFUSED)
            file->why = arena_copy(l->arena, stmt_str(known, 2));
    }
    return stmt_end(known, err);
}

/* The commit that brought the file, and where the log has it; otherwise the one that was asked about. */
static enum status find_origin(const struct listing_of *l, struct named *named, struct error *err)
{
    struct entry entry;
    TRY(entry_find(l->conn, l->arena, l->repo_id, l->commit, named->file.path, true, &entry, err));
    named->commit = entry.last_commit ? entry.last_commit->id : *l->commit;
    TRY(prov_revision_leaf(l->conn, l->repo_id, named->commit.bytes, REVISION_MOVED, &named->index, &named->logged,
                           err));
    if (named->logged)
        return OK;
    named->commit = *l->commit;
    return prov_revision_leaf(l->conn, l->repo_id, named->commit.bytes, REVISION_MOVED, &named->index, &named->logged,
                              err);
}

static enum status add_file(struct listing_of *l, struct str path, struct error *err)
{
    struct named *named = &l->items[l->count++];
    *named = (struct named){.file = {.path = path}};
    TRY(entry_find(l->conn, l->arena, l->repo_id, l->commit, path, false, &named->entry, err));
    TRY(entry_sha256(l->conn, l->repo_id, &named->entry, named->file.sha256, err));
    TRY(find_known(l, named, err));
    return named->missing ? find_origin(l, named, err) : OK;
}

/* Too many to be looked at counts as none. */
static enum status list_files(struct listing_of *l, struct error *err)
{
    struct listing how = {.recursive = true, .names_only = true, .limit = FILES_LISTED_MOST};
    struct entry *entries;
    size_t count, found = 0;
    bool more;
    TRY(entry_list(l->conn, l->arena, l->repo_id, l->commit, STR(""), &how, &entries, &count, &more, err));
    for (size_t i = 0; i < count; i++)
        if (!entries[i].is_folder && tensor_file_name(entries[i].path))
            entries[found++] = entries[i];
    if (more || found > TENSOR_FILES_MOST)
        return OK;
    l->items = arena_array(l->arena, found + 1, sizeof *l->items);
    for (size_t i = 0; i < found; i++)
        TRY(add_file(l, entries[i].path, err));
    return OK;
}

/* Putting down what is to be looked at. */

static const char ready_elsewhere_sql[] = "SELECT repo_id FROM tensor_seen WHERE file_id = ? AND state = 1 LIMIT 100";

/* May anybody see what is known of the file, in one of the first repos that have it? */
static enum status is_public(struct db_conn *tx, int64_t file_id, bool *out, struct error *err)
{
    static const struct actor nobody = {0};
    auto_arena struct arena arena = {0};
    auto_stmt struct stmt *ready = NULL;
    struct repo repo;
    struct error no;
    *out = false;
    TRY(db_prepare(tx, ready_elsewhere_sql, &ready, err));
    stmt_bind_int(ready, 1, file_id);
    while (!*out && stmt_next(ready)) {
        TRY(repo_get(tx, &arena, stmt_int(ready, 0), &repo, err));
        struct access_object object = repo_access(&repo);
        *out = access_decide(tx, &nobody, ACT_READ, &object, &no) == OK;
    }
    return stmt_end(ready, err);
}

static const char insert_file_sql[] = "INSERT INTO tensor_file (sha256) VALUES (?) ON CONFLICT DO NOTHING";
static const char find_file_sql[] = "SELECT id FROM tensor_file WHERE sha256 = ?";

static enum status file_of(struct db_conn *tx, const uint8_t sha256[SHA256_SIZE], int64_t *id, struct error *err)
{
    auto_stmt struct stmt *insert = NULL, *find = NULL;
    TRY(db_prepare(tx, insert_file_sql, &insert, err));
    stmt_bind_blob(insert, 1, sha256, SHA256_SIZE);
    TRY(stmt_run(insert, err));
    TRY(db_prepare(tx, find_file_sql, &find, err));
    stmt_bind_blob(find, 1, sha256, SHA256_SIZE);
    *id = stmt_next(find) ? stmt_int(find, 0) : 0;
    return stmt_end(find, err);
}

static const char insert_seen_sql[] = "INSERT INTO tensor_seen (file_id, repo_id, is_lfs, blob, size, commit_oid, idx, "
                                      "state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                                      " ON CONFLICT DO NOTHING";

static enum status insert_seen(struct db_conn *tx, int64_t repo_id, const struct named *named, struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    bool ready;
    int64_t file_id;
    TRY(file_of(tx, named->file.sha256, &file_id, err));
    TRY(is_public(tx, file_id, &ready, err));
    TRY(db_prepare(tx, insert_seen_sql, &insert, err));
    stmt_bind_int(insert, 1, file_id);
    stmt_bind_int(insert, 2, repo_id);
    stmt_bind_int(insert, 3, named->entry.is_lfs);
    stmt_bind_blob(insert, 4, named->entry.oid.bytes, SHA1_SIZE);
    stmt_bind_int(insert, 5, named->entry.size);
    stmt_bind_blob(insert, 6, named->commit.bytes, SHA1_SIZE);
    if (named->logged)
        stmt_bind_int(insert, 7, (int64_t)named->index);
    else
        stmt_bind_null(insert, 7);
    stmt_bind_int(insert, 8, ready ? SEEN_READY : SEEN_PENDING);
    return stmt_run(insert, err);
}

static enum status insert_missing(struct db_conn *tx, void *context, struct error *err)
{
    const struct listing_of *l = context;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].missing)
            TRY(insert_seen(tx, l->repo_id, &l->items[i], err));
    return OK;
}

/* All of a revision. */

static enum status read_files(struct db *db, struct listing_of *l, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    l->count = 0;
    TRY(db_reader(db, &conn, err));
    TRY(db_snapshot(conn, err));
    l->conn = conn;
    return list_files(l, err);
}

static bool has_missing(const struct listing_of *l)
{
    bool missing = false;
    for (size_t i = 0; i < l->count; i++)
        missing = missing || l->items[i].missing;
    return missing;
}

static void hand_out(const struct listing_of *l, struct tensor_files *out)
{
    *out = (struct tensor_files){.items = arena_array(l->arena, l->count + 1, sizeof *out->items), .count = l->count};
    out->state = l->count ? TENSORS_READY : TENSORS_NONE;
    for (size_t i = 0; i < l->count; i++) {
        out->items[i] = l->items[i].file;
        if (out->items[i].state < out->state)
            out->state = out->items[i].state;
    }
}

enum status tensors_of_revision(struct hub *hub, struct arena *arena, int64_t repo_id, const struct oid *commit,
                                struct tensor_files *out, struct error *err)
{
    struct listing_of l = {.arena = arena, .repo_id = repo_id, .commit = commit};
    TRY(read_files(hub->db, &l, err));
    if (has_missing(&l)) {
        TRY(db_write(hub->db, insert_missing, &l, err));
        TRY(read_files(hub->db, &l, err));
    }
    hand_out(&l, out);
    return OK;
}

static const char pending_sql[] = "SELECT 1 FROM tensor_seen WHERE repo_id = ? AND state = 0 LIMIT 1";

enum status tensors_pending(struct db *db, int64_t repo_id, bool *pending, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, pending_sql, &row, err));
    stmt_bind_int(row, 1, repo_id);
    *pending = stmt_next(row);
    return stmt_end(row, err);
}

static atomic_int waiting;

enum status tensors_await(struct hub *hub, int64_t repo_id, struct error *err)
{
    static const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
    int64_t until = monotonic_us() + WAIT_US;
    bool pending = atomic_fetch_add(&waiting, 1) < WAITING_MOST;
    enum status status = OK;
    while (status == OK && pending && !hub->stopping && monotonic_us() < until) {
        nanosleep(&moment, NULL);
        status = tensors_pending(hub->db, repo_id, &pending, err);
    }
    atomic_fetch_sub(&waiting, 1);
    return status;
}

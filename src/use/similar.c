/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gated weights that are recognised from their tensors: what a hold "pending" waits for. */
#include "base/time.h"
#include "tensor/tensors.h"
#include "use/hold.h"

#define AT_ONCE 16

struct waiting {
    int64_t id, repo_id, uploader_id;
    struct oid commit;
};

static const char waiting_sql[] = "SELECT id, repo_id, uploader_id, commit_id FROM access_hold "
                                  "WHERE state = 1 AND gate_id = 0 AND id > ? ORDER BY id LIMIT ?";

static enum status read_waiting(struct db *db, int64_t after, struct waiting *out, size_t *count, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, waiting_sql, &row, err));
    stmt_bind_int(row, 1, after);
    stmt_bind_int(row, 2, AT_ONCE);
    for (*count = 0; stmt_next(row); ++*count) {
        out[*count] = (struct waiting){stmt_int(row, 0), stmt_int(row, 1), stmt_int(row, 2)};
        memcpy(out[*count].commit.bytes, stmt_str(row, 3).data, SHA1_SIZE);
    }
    return stmt_end(row, err);
}

/* For each gate of others, the bytes of the file's tensors that its repos have; a tensor that an open repo had before them, by
 * the order of the log, does not count. */
static const char shares_sql[] =
    "SELECT m.gate_id, m.owner_id, SUM(m.size) FROM (SELECT DISTINCT g.id AS gate_id, g.owner_id AS owner_id, "
    "t.position AS "
    "position, t.size AS size FROM tensor t JOIN tensor u ON u.content = t.content "
    "JOIN tensor_seen s ON s.file_id = u.file_id JOIN gate_repo r ON r.repo_id = s.repo_id JOIN gate g ON g.id = "
    "r.gate_id "
    "WHERE t.file_id = ? AND t.content IS NOT NULL AND s.repo_id <> ? "
    "AND g.id NOT IN (SELECT gate_id FROM gate_repo WHERE repo_id = ?) "
    "AND g.owner_id NOT IN (SELECT owner_id FROM repo WHERE id = ?) "
    "AND NOT EXISTS (SELECT 1 FROM tensor v JOIN tensor_seen q ON q.file_id = v.file_id JOIN repo p ON p.id = "
    "q.repo_id "
    "WHERE v.content = t.content AND q.repo_id <> ? AND q.idx < s.idx AND p.visibility = 1 "
    "AND NOT EXISTS (SELECT 1 FROM gate_repo x WHERE x.repo_id = p.id) "
    "AND NOT EXISTS (SELECT 1 FROM access_hold y WHERE y.repo_id = p.id AND y.state <> 2))) AS m "
    "GROUP BY m.gate_id, m.owner_id";
static const char total_sql[] = "SELECT COALESCE(SUM(size), 0) FROM tensor WHERE file_id = ? AND content IS NOT NULL";

static enum status tensor_bytes(struct db_conn *tx, int64_t file_id, int64_t *total, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, total_sql, &row, err));
    stmt_bind_int(row, 1, file_id);
    *total = stmt_next(row) ? stmt_int(row, 0) : 0;
    return stmt_end(row, err);
}

struct look {
    const struct waiting *waiting;
    const struct repo *repo;
    const struct tensor_files *files;
};

static enum status hold_match(struct db_conn *tx, const struct look *look, const struct tensor_file *file,
                              int64_t gate_id, int64_t owner_id, int64_t ppm, struct error *err)
{
    const struct waiting *w = look->waiting;
    struct held held = {w->repo_id, gate_id, "tensors", ppm, w->uploader_id, true, w->commit, file->path};
    enum role role;
    TRY(account_role_in(tx, w->uploader_id, owner_id, &role, err));
    if (role >= ROLE_READ)
        return OK;
    TRY(hold_put(tx, &held, err));
    return db_changes(tx) ? hold_tell(tx, look->repo, owner_id, w->uploader_id, db_last_id(tx), err) : OK;
}

static enum status look_at_file(struct db_conn *tx, const struct look *look, const struct tensor_file *file,
                                struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t total;
    TRY(tensor_bytes(tx, file->id, &total, err));
    TRY(db_prepare(tx, shares_sql, &row, err));
    stmt_bind_int(row, 1, file->id);
    for (int i = 2; i <= 5; i++)
        stmt_bind_int(row, i, look->waiting->repo_id);
    while (total && stmt_next(row)) {
        int64_t ppm = (int64_t)((double)stmt_int(row, 2) / (double)total * 1e6);
        if (ppm >= HOLD_SHARE_PPM)
            TRY(hold_match(tx, look, file, stmt_int(row, 0), stmt_int(row, 1), ppm, err));
    }
    return stmt_end(row, err);
}

static const char looked_sql[] = "UPDATE access_hold SET state = 2, changed_us = ? WHERE id = ? AND state = 1";

/* What was found is held in the same write in which the wait ends. */
static enum status write_look(struct db_conn *tx, void *context, struct error *err)
{
    const struct look *look = context;
    auto_stmt struct stmt *looked = NULL;
    for (size_t i = 0; i < look->files->count; i++)
        if (look->files->items[i].state == TENSORS_READY)
            TRY(look_at_file(tx, look, &look->files->items[i], err));
    TRY(db_prepare(tx, looked_sql, &looked, err));
    stmt_bind_int(looked, 1, now_us());
    stmt_bind_int(looked, 2, look->waiting->id);
    return stmt_run(looked, err);
}

static enum status find_repo(struct hub *hub, struct arena *arena, int64_t id, struct repo *out, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(hub->db, &conn, err));
    return repo_get(conn, arena, id, out, err);
}

static enum status look_at(struct hub *hub, const struct waiting *waiting, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct tensor_files files;
    struct repo repo;
    enum status found = find_repo(hub, &arena, waiting->repo_id, &repo, err);
    if (found != OK)
        return found == NOT_FOUND ? OK : found; /* its holds have gone with it */
    TRY(tensors_of_revision(hub, &arena, repo.id, &waiting->commit, &files, err));
    if (files.state == TENSORS_PENDING)
        return OK;
    struct look look = {waiting, &repo, &files};
    return db_write(hub->db, write_look, &look, err);
}

/* A job. One that cannot be looked at does not keep the others waiting: it stays held, and is tried again. */
enum status tensors_look(struct hub *hub, struct error *err)
{
    struct waiting waiting[AT_ONCE];
    enum status status = OK;
    size_t count;
    int64_t after = 0;
    do {
        TRY(read_waiting(hub->db, after, waiting, &count, err));
        for (size_t i = 0; i < count; i++) {
            struct error why = {0};
            after = waiting[i].id;
            if (look_at(hub, &waiting[i], &why) == OK)
                continue;
            status = why.status;
            *err = why;
        }
    } while (count == AT_ONCE);
    return status;
}

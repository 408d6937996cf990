/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes that may not have reached the disk yet. A xorb is answered as soon as the kernel has it, so that the disk writes while
 * more xorbs come and while the shard's SHA-256 is made; nobody has been promised anything before the shard is taken. Its
 * container is marked with the boot of the machine until its bytes are known to be durable, which they must be before any object
 * is made of them. What is marked with another boot may be torn: it is forgotten, and its sender told to send it again.
 */
#include "store/internal.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char boot[64];

static __attribute__((constructor)) void read_boot(void)
{
    auto_buf struct buf text = {0};
    if (file_read_all("/proc/sys/kernel/random/boot_id", sizeof boot - 1, &text, NULL) == OK && text.len > 0)
        memcpy(boot, text.data, text.len);
    else /* then a new start of the program counts as one of the machine */
        random_name(boot);
}

/* Marks. */

static const char mark_sql[] = "UPDATE container SET boot = ? WHERE id = ?";

enum status container_unsettled(struct db_conn *tx, int64_t container_id, struct error *err)
{
    auto_stmt struct stmt *mark = NULL;
    TRY(db_prepare(tx, mark_sql, &mark, err));
    stmt_bind_str(mark, 1, str_of(boot));
    stmt_bind_int(mark, 2, container_id);
    return stmt_run(mark, err);
}

static const char is_marked_sql[] = "SELECT 1 FROM container WHERE id = ? AND boot IS NOT NULL";
static const char settled_sql[] = "UPDATE container SET boot = NULL WHERE id = ?";
static const char torn_sql[] = "SELECT id FROM container WHERE boot IS NOT NULL AND boot <> ? LIMIT 1";

static enum status run_on(struct db_conn *conn, const char *sql, int64_t id, bool *found, struct error *err)
{
    auto_stmt struct stmt *stmt = NULL;
    TRY(db_prepare(conn, sql, &stmt, err));
    stmt_bind_int(stmt, 1, id);
    *found = stmt_next(stmt);
    return stmt_end(stmt, err);
}

enum status unsettled_note(struct db_conn *tx, int64_t container_id, struct buf *unsettled, struct error *err)
{
    bool marked;
    TRY(run_on(tx, is_marked_sql, container_id, &marked, err));
    if (marked)
        buf_add(unsettled, &container_id, sizeof container_id);
    return OK;
}

enum status unsettled_check(const struct buf *unsettled, struct error *err)
{
    return unsettled->len == 0 ? OK : fail(err, STALE, NULL, "Some bytes are not durable yet. Try again.");
}

/* Forgetting. */

static enum status forget(struct db_conn *tx, int64_t container_id, struct error *err)
{
    static const char *const statements[] = {
        "DELETE FROM dedup_key WHERE xorb_id IN (SELECT id FROM xorb WHERE container_id = ?)",
        "DELETE FROM xorb_sender WHERE xorb_id IN (SELECT id FROM xorb WHERE container_id = ?)",
        "DELETE FROM xorb WHERE container_id = ?", "DELETE FROM container WHERE id = ?"};
    bool row;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        TRY(run_on(tx, statements[i], container_id, &row, err));
    return OK;
}

static enum status forget_torn(struct db_conn *tx, void *context, struct error *err)
{
    bool *more = context;
    auto_stmt struct stmt *torn = NULL;
    TRY(db_prepare(tx, torn_sql, &torn, err));
    stmt_bind_str(torn, 1, str_of(boot));
    *more = stmt_next(torn);
    int64_t id = *more ? stmt_int(torn, 0) : 0;
    TRY(stmt_end(torn, err));
    return *more ? forget(tx, id, err) : OK;
}

static enum status any_torn(struct db *db, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *torn = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, torn_sql, &torn, err));
    stmt_bind_str(torn, 1, str_of(boot));
    *found = stmt_next(torn);
    return stmt_end(torn, err);
}

/* The files go with the next sweep, as all that have no row. */
enum status settle_after_crash(struct store *store, struct error *err)
{
    bool more;
    TRY(any_torn(store->db, &more, err));
    while (more)
        TRY(db_write(store->db, forget_torn, &more, err));
    return OK;
}

/* Settling. */

struct settling {
    const int64_t *ids;
    size_t count;
};

static enum status mark_settled(struct db_conn *tx, void *context, struct error *err)
{
    const struct settling *settling = context;
    bool row;
    for (size_t i = 0; i < settling->count; i++)
        TRY(run_on(tx, settled_sql, settling->ids[i], &row, err));
    return OK;
}

static enum status forget_all(struct db_conn *tx, void *context, struct error *err)
{
    const struct settling *settling = context;
    bool marked;
    for (size_t i = 0; i < settling->count; i++) {
        TRY(run_on(tx, is_marked_sql, settling->ids[i], &marked, err));
        TRY(marked ? forget(tx, settling->ids[i], err) : OK);
    }
    return OK;
}

static const char marked_name_sql[] = "SELECT name FROM container WHERE id = ? AND boot IS NOT NULL";

/* Nothing when somebody else has settled it, or a sweep has taken it. */
static enum status sync_one(struct store *store, int64_t id, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *find = NULL;
    char path[STORE_PATH_LIMIT], name[NAME_SIZE] = "";
    TRY(db_reader(store->db, &conn, err));
    TRY(db_prepare(conn, marked_name_sql, &find, err));
    stmt_bind_int(find, 1, id);
    bool found = stmt_next(find) && stmt_str(find, 0).len < NAME_SIZE;
    if (found)
        memcpy(name, stmt_str(find, 0).data, stmt_str(find, 0).len);
    TRY(stmt_end(find, err));
    stmt_release(&find);
    db_release(&conn);
    if (!found)
        return OK;
    container_path(store->root, name, path);
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fdatasync(fd) != 0)
        return disk_fail(err, "sync a container");
    *strrchr(path, '/') = '\0';
    return folder_sync(path, err);
}

static int by_id(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* A file may go to and fro between two containers a hundred thousand times. */
static size_t keep_distinct(int64_t *ids, size_t count)
{
    size_t kept = 0;
    qsort(ids, count, sizeof *ids, by_id);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || ids[i] != ids[kept - 1])
            ids[kept++] = ids[i];
    return kept;
}

static enum status settle(struct store *store, const struct buf *unsettled, struct error *err)
{
    int64_t *ids = (int64_t *)unsettled->data;
    struct settling settling = {ids, keep_distinct(ids, unsettled->len / sizeof *ids)};
    enum status status = OK;
    for (size_t i = 0; i < settling.count && status == OK; i++)
        status = sync_one(store, settling.ids[i], err);
    if (status == OK)
        return db_write(store->db, mark_settled, &settling, err);
    /* A second sync would say that all is well, although what the first one could not write is gone. */
    (void)db_write(store->db, forget_all, &settling, NULL);
    return status;
}

enum status settled_write(struct store *store, db_write_fn *fn, void *context, struct buf *unsettled, struct error *err)
{
    for (;;) {
        unsettled->len = 0;
        enum status status = db_write(store->db, fn, context, err);
        if (status != STALE || unsettled->len == 0)
            return status;
        TRY(settle(store, unsettled, err));
    }
}

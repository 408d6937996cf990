/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pass over a file that a commit has named: header to the sandboxed child, then all bytes once, from the first
 * tensor to the last. What has been found is written down while it goes on, so that a pass that is cut off (a stop, a
 * power cut) goes on behind the last tensor that has a row.
 *
 * Here rather than while the bytes come in: they come as one stream, as parts in any order, or as chunks of which some
 * are already there, and the header may be the last to come (docs/design.md has the measurement).
 */
#include "base/log.h"
#include "base/time.h"
#include "quota/quota.h"
#include "scan/worker.h"
#include "tensor/internal.h"
#include <limits.h>

#define ROWS_AT_ONCE 1000
#define WRITE_EVERY_US (2 * SECOND_US)
#define SLICE (INT64_C(1) << 30) /* bytes, after which smaller files may go first */
#define SMALLER_MOST 64          /* of them */
#define TRIES 3
#define RETRY_US (20 * SECOND_US)

struct seen {
    int64_t file_id, repo_id, tries;
    uint8_t sha256[SHA256_SIZE];
    struct oid blob;
    int64_t inspected_us; /* by the child: counts against the owner of the repo (access.md C12, scan.seconds) */
    bool is_lfs, known;   /* known: the rows are all there, from a pass for another repo */
};

struct pass {
    struct hub *hub;
    const struct seen *seen;
    struct source *source;
    struct tensor_list list;
    struct hasher *hasher;
    struct tensor_row rows[ROWS_AT_ONCE];
    size_t row_count;
    int64_t first;      /* position of rows[0] */
    int64_t written_us; /* monotonic */
    int64_t since;      /* bytes since smaller files went first */
};

static enum status run_some(struct hub *hub, int64_t smaller_than, int most, struct error *err);

/* Rows. */

static enum status insert_rows(struct db_conn *tx, void *context, struct error *err)
{
    const struct pass *pass = context;
    for (size_t i = 0; i < pass->row_count; i++)
        TRY(rows_insert(tx, pass->seen->file_id, pass->first + (int64_t)i, &pass->rows[i], err));
    return OK;
}

/* The same bytes again, for another repo, find nothing new; they are read only so that it takes as long. */
static enum status write_rows(struct pass *pass, struct error *err)
{
    if (pass->row_count && !pass->seen->known)
        TRY(db_write(pass->hub->db, insert_rows, pass, err));
    pass->first += (int64_t)pass->row_count;
    pass->row_count = 0;
    pass->written_us = monotonic_us();
    return OK;
}

static enum status add_row(struct pass *pass, const struct tensor_row *row, struct error *err)
{
    pass->rows[pass->row_count++] = *row;
    bool due = pass->row_count == ROWS_AT_ONCE || monotonic_us() - pass->written_us > WRITE_EVERY_US;
    return due ? write_rows(pass, err) : OK;
}

/* Bytes. */

static bool all_are(uint8_t value, const uint8_t *data, size_t len)
{
    return len == 0 || (data[0] == value && memcmp(data, data + 1, len - 1) == 0);
}

static enum status take_breath(struct pass *pass, size_t len, struct error *err)
{
    if (pass->hub->stopping)
        return fail(err, STALE, NULL, "The hub is stopping");
    pass->since += (int64_t)len;
    if (pass->since < SLICE)
        return OK;
    pass->since = 0;
    return run_some(pass->hub, SLICE, SMALLER_MOST, err);
}

static enum status hash_tensor(struct pass *pass, const struct tensor *tensor, struct tensor_row *row,
                               struct error *err)
{
    bool even = true;
    uint8_t value = 0;
    const uint8_t *data;
    int64_t left = tensor->end - tensor->begin, size = left;
    for (size_t len; left > 0; left -= (int64_t)len) {
        TRY(source_next(pass->source, (size_t)left, &data, &len, err));
        value = left == size ? data[0] : value;
        even = even && all_are(value, data, len);
        hasher_add(pass->hasher, data, len);
        TRY(take_breath(pass, len, err));
    }
    row->tensor = *tensor;
    row->trivial = even || size < TENSOR_TRIVIAL;
    hasher_end(pass->hasher, row->tensor.digest);
    return OK;
}

static enum status hash_tensors(struct pass *pass, int64_t data_at, struct error *err)
{
    const struct tensor_list *list = &pass->list;
    if (!pass->seen->known) {
        auto_conn struct db_conn *conn = NULL;
        TRY(db_reader(pass->hub->db, &conn, err));
        TRY(rows_count(conn, pass->seen->file_id, &pass->first, err));
    }
    size_t start = (size_t)pass->first;
    if (start < list->count)
        TRY(source_seek(pass->source, data_at + list->items[start].begin, err));
    pass->written_us = monotonic_us();
    for (size_t i = start; i < list->count; i++) {
        struct tensor_row row;
        TRY(hash_tensor(pass, &list->items[i], &row, err));
        row.tensor.begin += data_at;
        row.tensor.end += data_at;
        TRY(add_row(pass, &row, err));
    }
    return write_rows(pass, err);
}

/* The header. */

static enum status read_exactly(struct source *source, size_t len, struct buf *out, struct error *err)
{
    const uint8_t *data;
    for (size_t got; len > 0; len -= got) {
        TRY(source_next(source, len, &data, &got, err));
        buf_add(out, data, got);
    }
    return OK;
}

/* *data_at is where the tensors begin. */
static enum status read_header(struct source *source, struct arena *arena, struct tensor_list *list, int64_t *data_at,
                               int64_t *inspected_us, struct error *err)
{
    auto_buf struct buf header = {0};
    int64_t size = source_size(source), len;
    if (size < 8)
        return fail(err, INVALID, NULL, "The file is too short for a safetensors file");
    TRY(source_seek(source, 0, err));
    TRY(read_exactly(source, 8, &header, err));
    TRY(tensor_header_size((const uint8_t *)header.data, &len, err));
    if (len > size - 8)
        return fail(err, INVALID, NULL, "The header is longer than the file");
    header.len = 0;
    TRY(read_exactly(source, (size_t)len, &header, err));
    TRY(scan_tensors(buf_view(&header), arena, list, inspected_us, err));
    *data_at = 8 + len;
    if (list->bytes != size - *data_at)
        return fail(err, INVALID, NULL, "The file has %lld bytes behind its header, its tensors take %lld",
                    (long long)(size - *data_at), (long long)list->bytes);
    return OK;
}

/* One file. */

static enum status run_pass(struct hub *hub, struct seen *seen, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_source struct source *source = NULL;
    int64_t data_at = 0;
    TRY(source_open(hub, seen->repo_id, seen->is_lfs, seen->sha256, &seen->blob, &source, err));
    struct pass *pass = arena_alloc(&arena, sizeof *pass);
    *pass = (struct pass){.hub = hub, .seen = seen, .source = source};
    TRY(read_header(source, &arena, &pass->list, &data_at, &seen->inspected_us, err));
    pass->hasher = hasher_sha256();
    enum status status = hash_tensors(pass, data_at, err);
    hasher_free(pass->hasher);
    return status;
}

/* What came of it. */

struct outcome {
    const struct seen *seen;
    enum file_state state;
    struct str why;
};

static const char settle_file_sql[] = "UPDATE tensor_file SET state = ?, why = ? WHERE id = ? AND state <> 1";
static const char settle_seen_sql[] = "UPDATE tensor_seen SET state = 1 WHERE file_id = ? AND repo_id = ?";

static enum status write_settled(struct db_conn *tx, void *context, struct error *err)
{
    const struct outcome *outcome = context;
    auto_stmt struct stmt *file = NULL, *seen = NULL;
    TRY(db_prepare(tx, settle_file_sql, &file, err));
    stmt_bind_int(file, 1, outcome->state);
    stmt_bind_str(file, 2, outcome->why);
    stmt_bind_int(file, 3, outcome->seen->file_id);
    TRY(stmt_run(file, err));
    TRY(db_prepare(tx, settle_seen_sql, &seen, err));
    stmt_bind_int(seen, 1, outcome->seen->file_id);
    stmt_bind_int(seen, 2, outcome->seen->repo_id);
    TRY(stmt_run(seen, err));
    return quota_spend(tx, outcome->seen->repo_id, UNIT_SCAN, outcome->seen->inspected_us, err);
}

static const char later_sql[] =
    "UPDATE tensor_seen SET tries = tries + 1, due_us = ? WHERE file_id = ? AND repo_id = ?";

static enum status write_later(struct db_conn *tx, void *context, struct error *err)
{
    const struct outcome *outcome = context;
    auto_stmt struct stmt *later = NULL;
    TRY(db_prepare(tx, later_sql, &later, err));
    stmt_bind_int(later, 1, now_us() + (outcome->seen->tries + 1) * RETRY_US);
    stmt_bind_int(later, 2, outcome->seen->file_id);
    stmt_bind_int(later, 3, outcome->seen->repo_id);
    TRY(stmt_run(later, err));
    return quota_spend(tx, outcome->seen->repo_id, UNIT_SCAN, outcome->seen->inspected_us, err);
}

/*
 * INVALID and TOO_LARGE are about the file, for good. Anything else may be a bad moment (the child did not start, the
 * disk did not answer); after some of them the file counts as one that cannot be looked at, so that its manifest can be
 * logged.
 */
static enum status settle(struct hub *hub, const struct seen *seen, enum status status, struct error *why,
                          struct error *err)
{
    struct outcome outcome = {seen, status == OK ? FILE_DONE : FILE_REFUSED,
                              status == OK ? STR("") : str_of(why->message)};
    if (status == STALE) /* stopping */
        return fail(err, status, NULL, "%s", why->message);
    if (status == OK || status == INVALID || status == TOO_LARGE)
        return db_write(hub->db, write_settled, &outcome, err);
    log_line("error", "tensors", "A safetensors file of repo %lld could not be looked at: %s", (long long)seen->repo_id,
             why->message);
    if (seen->tries + 1 < TRIES)
        return db_write(hub->db, write_later, &outcome, err);
    outcome.why = STR("The hub could not look at the file");
    return db_write(hub->db, write_settled, &outcome, err);
}

/* The job. */

/* The smallest first, so that those who wait least wait least. */
static const char next_sql[] =
    "SELECT s.file_id, s.repo_id, s.tries, s.is_lfs, s.blob, f.sha256, f.state FROM tensor_seen s"
    " JOIN tensor_file f ON f.id = s.file_id WHERE s.state = 0 AND s.size < ? AND s.due_us <= ? ORDER BY s.size LIMIT "
    "1";

static enum status next_seen(struct db *db, int64_t smaller_than, struct seen *out, bool *found, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *next = NULL;
    TRY(db_reader(db, &conn, err));
    TRY(db_prepare(conn, next_sql, &next, err));
    stmt_bind_int(next, 1, smaller_than);
    stmt_bind_int(next, 2, now_us());
    *found = stmt_next(next);
    if (*found) {
        *out = (struct seen){.file_id = stmt_int(next, 0), .repo_id = stmt_int(next, 1), .tries = stmt_int(next, 2)};
        out->is_lfs = stmt_int(next, 3) != 0;
        memcpy(out->blob.bytes, stmt_str(next, 4).data, SHA1_SIZE);
        memcpy(out->sha256, stmt_str(next, 5).data, SHA256_SIZE);
        out->known = stmt_int(next, 6) == FILE_DONE;
    }
    return stmt_end(next, err);
}

static enum status run_some(struct hub *hub, int64_t smaller_than, int most, struct error *err)
{
    struct seen seen;
    bool found;
    while (most-- > 0) {
        struct error why = {0};
        TRY(next_seen(hub->db, smaller_than, &seen, &found, err));
        if (!found)
            return OK;
        TRY(settle(hub, &seen, run_pass(hub, &seen, &why), &why, err));
    }
    return OK;
}

enum status pass_job(struct hub *hub, struct error *err)
{
    enum status status = run_some(hub, INT64_MAX, INT_MAX, err);
    return hub->stopping ? OK : status;
}

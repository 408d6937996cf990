/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does the store still hold what it should? */
#include "cas/cut.h"
#include "cas/xorb.h"
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* What a check needs of memory, however large the store is. */
struct bench {
    struct chunk chunks[XORB_CHUNKS_MOST];
    uint8_t payload[XORB_PAYLOAD_MOST], data[CHUNK_MAX], scratch[CHUNK_MAX];
};

struct check {
    struct store *store;
    struct db_conn *conn;
    struct bench *bench;
    struct findings *findings;
};

/* Goes on after damage. What was swept while it was being looked at is none. */
static enum status check_settle(const struct check *check, enum status status, const struct error *finding,
                                const char *exists_sql, int64_t id, const char *what, struct error *err)
{
    auto_stmt struct stmt *exists = NULL;
    if (status == OK)
        return OK;
    if (status == UNAVAILABLE) /* that says something about us, not about what is kept */
        return fail(err, status, NULL, "%s", finding->message);
    TRY(db_prepare(check->conn, exists_sql, &exists, err));
    stmt_bind_int(exists, 1, id);
    bool stands = stmt_next(exists);
    TRY(stmt_end(exists, err));
    if (stands)
        findings_add(check->findings, "%s is damaged: %s", what, finding->message);
    return OK;
}

/* Containers. One statement for each row, here and below, so that a check of many hours does not hold one old state of
 * the database. */

static const char next_container_sql[] = "SELECT id, name, size FROM container WHERE id > ? ORDER BY id LIMIT 1";
static const char container_exists_sql[] = "SELECT 1 FROM container WHERE id = ?";

enum status container_check(const char *root, struct str name, int64_t size, struct error *err)
{
    char path[STORE_PATH_LIMIT], text[NAME_SIZE];
    struct stat status;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    if (name.len != strlen(text) || !name_valid(text))
        return fail(err, CORRUPT, NULL, "the database names it in a way that cannot be.");
    container_path(root, text, path);
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? fail(err, CORRUPT, NULL, "its file %s is missing.", text)
                               : disk_fail(err, "look at a container");
    if (!S_ISREG(status.st_mode) || status.st_size != size)
        return fail(err, CORRUPT, NULL, "its file %s has %lld bytes where it should have %lld.", text,
                    (long long)status.st_size, (long long)size);
    return OK;
}

static enum status check_containers(const struct check *check, struct error *err)
{
    for (int64_t id = 0;;) {
        struct error finding = {0};
        enum status status = OK;
        char what[64];
        auto_stmt struct stmt *next = NULL;
        TRY(db_prepare(check->conn, next_container_sql, &next, err));
        stmt_bind_int(next, 1, id);
        bool found = stmt_next(next);
        if (found) {
            id = stmt_int(next, 0);
            status = container_check(check->store->root, stmt_str(next, 1), stmt_int(next, 2), &finding);
        }
        TRY(stmt_end(next, err));
        if (!found)
            return OK;
        snprintf(what, sizeof(what), "The container %lld", (long long)id);
        TRY(check_settle(check, status, &finding, container_exists_sql, id, what, err));
    }
}

/* Xorbs. */

static const char next_xorb_sql[] =
    "SELECT " XORB_COLUMNS ", container.size FROM xorb JOIN container ON container.id = xorb.container_id"
    " WHERE xorb.id > ? ORDER BY xorb.id LIMIT 1";
static const char xorb_exists_sql[] = "SELECT 1 FROM xorb WHERE id = ?";

static enum status check_chunk(const struct check *check, int fd, const struct xorb *xorb, uint32_t index,
                               struct error *err)
{
    struct bench *bench = check->bench;
    static const struct chunk none = {0};
    const struct chunk *chunk = &bench->chunks[index], *before = index > 0 ? chunk - 1 : &none;
    size_t stored = chunk->stored_end - before->stored_end, len = chunk->end - before->end;
    TRY(pread_full(fd, bench->payload, stored, xorb->start + before->stored_end, err));
    TRY(chunk_decode(chunk->scheme, bench->payload, stored, bench->data, len, bench->scratch, err));
    struct chunk_hash hash = chunk_hash_of(bench->data, len);
    if (!chunk_hash_eq(&hash, &chunk->hash))
        return fail(err, CORRUPT, NULL, "the bytes of its chunk %u have another hash.", index);
    return OK;
}

static enum status check_chunks(const struct check *check, const struct xorb *xorb, struct error *err)
{
    auto_fd int fd = -1;
    struct merkle merkle = {0};
    const struct chunk *chunks = check->bench->chunks;
    struct chunk before;
    TRY(container_open(check->store, check->conn, xorb->container, &fd, err));
    TRY(chunks_read(fd, xorb, 0, xorb->chunks, &before, check->bench->chunks, err));
    (void)posix_fadvise(fd, xorb->start, xorb->stored, POSIX_FADV_SEQUENTIAL);
    for (uint32_t i = 0; i < xorb->chunks; i++) {
        TRY(check_chunk(check, fd, xorb, i, err));
        merkle_add(&merkle, &chunks[i].hash, chunks[i].end - (i > 0 ? chunks[i - 1].end : 0));
    }
    struct chunk_hash root = merkle_root(&merkle);
    const struct chunk *last = &chunks[xorb->chunks - 1];
    if (last->end != xorb->length || last->stored_end != xorb->stored || !chunk_hash_eq(&root, &xorb->hash))
        return fail(err, CORRUPT, NULL, "its chunks are not those that it is named after.");
    return OK;
}

/* The bytes of a xorb without chunks are known by the SHA-256 of their object only. */
static enum status check_xorb(const struct check *check, const struct xorb *xorb, int64_t container_size,
                              struct error *err)
{
    bool named = !chunk_hash_is_zero(&xorb->hash);
    if (named != (xorb->chunks > 0) || xorb->chunks > XORB_CHUNKS_MOST ||
        !within(xorb->start, xorb->stored, xorb->table_at) ||
        !within(xorb->table_at, (int64_t)xorb->chunks * CHUNK_ROW, container_size))
        return fail(err, CORRUPT, NULL, "the database does not say, or not consistently, where its bytes are.");
    return named ? check_chunks(check, xorb, err) : OK;
}

static enum status check_xorbs(const struct check *check, struct error *err)
{
    for (struct xorb xorb = {0};;) {
        struct error finding = {0};
        char what[64 + CHUNK_HASH_TEXT], text[CHUNK_HASH_TEXT];
        auto_stmt struct stmt *next = NULL;
        TRY(db_prepare(check->conn, next_xorb_sql, &next, err));
        stmt_bind_int(next, 1, xorb.id);
        bool found = stmt_next(next);
        int64_t size = found ? stmt_int(next, XORB_COLUMN_COUNT) : 0;
        if (found)
            xorb_of_row(next, 0, &xorb);
        TRY(stmt_end(next, err));
        if (!found)
            return OK;
        chunk_hash_text(&xorb.hash, text);
        snprintf(what, sizeof(what), "The xorb %lld (%s)", (long long)xorb.id, text);
        TRY(check_settle(check, check_xorb(check, &xorb, size, &finding), &finding, xorb_exists_sql, xorb.id, what,
                         err));
    }
}

/* Objects. */

static const char next_object_sql[] = "SELECT id, size, sha256, xet_hash FROM object WHERE id > ? ORDER BY id LIMIT 1";
static const char object_exists_sql[] = "SELECT 1 FROM object WHERE id = ?";
static const char next_extent_sql[] =
    "SELECT " XORB_COLUMNS ", extent.at, extent.length, extent.chunk_start, extent.chunk_end, extent.stored_at,"
    " extent.stored, extent.packed FROM extent JOIN xorb ON xorb.id = extent.xorb_id"
    " WHERE extent.object_id = ? AND extent.at > ? ORDER BY extent.at LIMIT 1";

struct checked {
    struct object object;
    bool has_xet_hash;
    struct chunk_hash xet_hash;
};

static enum status extent_next(struct db_conn *conn, int64_t object_id, int64_t after, bool *found, struct extent *out,
                               struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    TRY(db_prepare(conn, next_extent_sql, &next, err));
    stmt_bind_int(next, 1, object_id);
    stmt_bind_int(next, 2, after);
    *found = stmt_next(next);
    if (*found) {
        int64_t start = stmt_int(next, XORB_COLUMN_COUNT + 2), end = stmt_int(next, XORB_COLUMN_COUNT + 3);
        bool small = start >= 0 && end >= 0 && start <= XORB_CHUNKS_MOST && end <= XORB_CHUNKS_MOST;
        *out = (struct extent){
            .at = stmt_int(next, XORB_COLUMN_COUNT),
            .length = stmt_int(next, XORB_COLUMN_COUNT + 1),
            .start = small ? (uint32_t)start : UINT32_MAX,
            .end = small ? (uint32_t)end : 0,
            .stored_at = stmt_int(next, XORB_COLUMN_COUNT + 4),
            .stored = stmt_int(next, XORB_COLUMN_COUNT + 5),
            .packed = stmt_int(next, XORB_COLUMN_COUNT + 6) != 0,
        };
        xorb_of_row(next, 0, &out->xorb);
    }
    return stmt_end(next, err);
}

static enum status extent_unsound(struct error *err)
{
    return fail(err, CORRUPT, NULL, "the database does not say, or not consistently, where its bytes are.");
}

/* The extent must say of its chunks what their table says. Adds them to the tree. */
static enum status check_extent(const struct check *check, const struct extent *extent, struct merkle *merkle,
                                struct error *err)
{
    auto_fd int fd = -1;
    struct chunk before;
    const struct xorb *xorb = &extent->xorb;
    if (xorb->chunks == 0 && extent->start == 0 && extent->end == 0 && !extent->packed &&
        extent->stored == extent->length && within(extent->stored_at, extent->stored, xorb->stored))
        return OK;
    if (extent->start >= extent->end || extent->end > xorb->chunks || xorb->chunks > XORB_CHUNKS_MOST)
        return extent_unsound(err);
    TRY(container_open(check->store, check->conn, xorb->container, &fd, err));
    TRY(chunks_read(fd, xorb, extent->start, extent->end, &before, check->bench->chunks, err));
    uint32_t count = extent->end - extent->start, end = before.end;
    const struct chunk *chunks = check->bench->chunks, *last = &chunks[count - 1];
    bool packed = false;
    for (uint32_t i = 0; i < count; i++) {
        packed |= chunks[i].scheme != SCHEME_NONE;
        merkle_add(merkle, &chunks[i].hash, chunks[i].end - end);
        end = chunks[i].end;
    }
    if (before.stored_end != extent->stored_at || last->stored_end - before.stored_end != extent->stored ||
        last->end - before.end != extent->length || (packed && !extent->packed))
        return extent_unsound(err);
    return OK;
}

static enum status check_layout(const struct check *check, const struct checked *checked, struct error *err)
{
    const struct object *object = &checked->object;
    struct merkle merkle = {0};
    struct extent extent = {.at = INT64_MIN};
    int64_t covered = 0;
    for (;;) {
        bool found;
        TRY(extent_next(check->conn, object->id, extent.at, &found, &extent, err));
        if (!found)
            break;
        if (extent.at != covered || extent.length <= 0 || extent.length > object->size - covered)
            return extent_unsound(err);
        TRY(check_extent(check, &extent, &merkle, err));
        covered += extent.length;
    }
    if (covered != object->size)
        return extent_unsound(err);
    struct chunk_hash root = merkle_root(&merkle), hash = file_hash_of(&root);
    if (checked->has_xet_hash && !chunk_hash_eq(&hash, &checked->xet_hash))
        return fail(err, CORRUPT, NULL, "its chunks do not give its Xet hash.");
    return OK;
}

static enum status hash_view(struct store_view *view, struct hasher *hasher, struct error *err)
{
    struct store_piece piece;
    for (bool found;;) {
        TRY(store_view_next(view, &piece, &found, err));
        if (!found)
            return OK;
        if (piece.fd >= 0)
            TRY(disk_hash(piece.fd, piece.offset, piece.length, hasher, err));
        else
            hasher_add(hasher, piece.data, (size_t)piece.length);
    }
}

static enum status check_bytes(const struct check *check, const struct object *object, struct error *err)
{
    struct store_view *view;
    TRY(store_view_open(check->store, check->conn, object->id, 0, object->size, &view, err));
    struct hasher *hasher = hasher_sha256();
    uint8_t digest[SHA256_SIZE];
    enum status status = hash_view(view, hasher, err);
    hasher_end(hasher, digest);
    hasher_free(hasher);
    store_view_close(view);
    if (status != OK || memcmp(digest, object->sha256, SHA256_SIZE) == 0)
        return status;
    char actual[2 * SHA256_SIZE + 1];
    hex_name(digest, SHA256_SIZE, actual);
    return fail(err, CORRUPT, NULL, "its bytes have the SHA-256 %s.", actual);
}

/* Fills out with the first one behind after; its id is 0 at the end. */
static enum status object_next(struct db_conn *conn, int64_t after, struct checked *out, struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    TRY(db_prepare(conn, next_object_sql, &next, err));
    stmt_bind_int(next, 1, after);
    *out = (struct checked){0};
    if (stmt_next(next)) {
        struct str sha256 = stmt_str(next, 2), xet_hash = stmt_str(next, 3);
        out->object = (struct object){.id = stmt_int(next, 0), .size = stmt_int(next, 1)};
        out->has_xet_hash = str_given(xet_hash);
        memcpy(out->object.sha256, sha256.data, sha256.len < SHA256_SIZE ? sha256.len : SHA256_SIZE);
        if (xet_hash.len == CHUNK_HASH_SIZE)
            memcpy(out->xet_hash.bytes, xet_hash.data, CHUNK_HASH_SIZE);
    }
    return stmt_end(next, err);
}

static enum status check_objects(const struct check *check, struct error *err)
{
    struct checked checked = {0};
    for (;;) {
        struct error finding = {0};
        char what[64 + 2 * SHA256_SIZE], hex[2 * SHA256_SIZE + 1];
        TRY(object_next(check->conn, checked.object.id, &checked, err));
        if (checked.object.id == 0)
            return OK;
        enum status status = check_layout(check, &checked, &finding);
        if (status == OK)
            status = check_bytes(check, &checked.object, &finding);
        hex_name(checked.object.sha256, SHA256_SIZE, hex);
        snprintf(what, sizeof(what), "The file with SHA-256 %s (%lld bytes)", hex, (long long)checked.object.size);
        TRY(check_settle(check, status, &finding, object_exists_sql, checked.object.id, what, err));
    }
}

enum status store_check(struct store *store, struct findings *findings, struct error *err)
{
    store_assert(store);
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    struct check check = {.store = store, .conn = conn, .findings = findings};
    check.bench = malloc(sizeof(*check.bench));
    if (!check.bench)
        abort();
    enum status status = check_containers(&check, err);
    if (status == OK)
        status = check_xorbs(&check, err);
    if (status == OK)
        status = check_objects(&check, err);
    free(check.bench);
    return status;
}

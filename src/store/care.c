/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct check {
    struct store *store;
    struct db_conn *conn;
    void (*report)(void *context, const char *finding);
    void *context;
    int64_t *findings;
};

static const char next_object_sql[] = "SELECT id, size, sha256 FROM object WHERE id > ? ORDER BY id LIMIT 1";
static const char object_exists_sql[] = "SELECT 1 FROM object WHERE id = ?";
static const char layout_sql[] =
    "SELECT extent.seq, extent.start, extent.length, extent.encoding, container.size, container.name FROM extent"
    " LEFT JOIN container ON container.id = extent.container_id WHERE extent.object_id = ? ORDER BY extent.seq";

/* CORRUPT unless the rows of the extents cover the object exactly and stay within their containers. */
static enum status check_layout(struct db_conn *conn, const struct object *object, struct error *err)
{
    auto_stmt struct stmt *layout = NULL;
    TRY(db_prepare(conn, layout_sql, &layout, err));
    stmt_bind_int(layout, 1, object->id);
    int64_t covered = 0, seq = 0;
    bool sound = true;
    while (sound && stmt_next(layout)) {
        int64_t start = stmt_int(layout, 1), length = stmt_int(layout, 2), size = stmt_int(layout, 4);
        sound = stmt_int(layout, 0) == seq++ && !stmt_is_null(layout, 5) && stmt_int(layout, 3) == ENCODING_NONE &&
                start >= 0 && length >= 0 && size >= 0 && start <= size && length <= size - start &&
                length <= object->size - covered;
        covered += length;
    }
    TRY(stmt_end(layout, err));
    if (sound && covered == object->size && seq > 0)
        return OK;
    return fail(err, CORRUPT, NULL, "the database does not say, or not consistently, where its bytes are");
}

static const char containers_of_sql[] = "SELECT DISTINCT container.name, container.size FROM extent"
                                        " JOIN container ON container.id = extent.container_id"
                                        " WHERE extent.object_id = ? ORDER BY container.name";

/* CORRUPT unless the container is a file of that size in the folder. */
static enum status check_container(const char *root, struct str name, int64_t size, struct error *err)
{
    char path[STORE_PATH_LIMIT], text[NAME_SIZE];
    struct stat status;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    if (!name_valid(text))
        return fail(err, CORRUPT, NULL, "the database names a container in a way that cannot be");
    container_path(root, text, path);
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? fail(err, CORRUPT, NULL, "the container %s is missing", text)
                               : fail_errno(err, "reading the state of a container");
    if (!S_ISREG(status.st_mode) || status.st_size != size)
        return fail(err, CORRUPT, NULL, "the container %s has %lld bytes where it should have %lld", text,
                    (long long)status.st_size, (long long)size);
    return OK;
}

static enum status check_containers(const struct check *check, const struct object *object, struct error *err)
{
    auto_stmt struct stmt *containers = NULL;
    TRY(db_prepare(check->conn, containers_of_sql, &containers, err));
    stmt_bind_int(containers, 1, object->id);
    while (stmt_next(containers))
        TRY(check_container(check->store->root, stmt_str(containers, 0), stmt_int(containers, 1), err));
    return stmt_end(containers, err);
}

static enum status check_bytes(const struct check *check, const struct object *object, struct error *err)
{
    struct store_view *view;
    TRY(store_view_open(check->store, check->conn, object->id, 0, object->size, &view, err));
    struct hasher *hasher = hasher_sha256();
    enum status status = OK;
    for (size_t i = 0; i < view->count && status == OK; i++)
        status = disk_hash(view->pieces[i].fd, view->pieces[i].offset, view->pieces[i].length, hasher, err);
    uint8_t digest[SHA256_SIZE];
    hasher_end(hasher, digest);
    hasher_free(hasher);
    store_view_close(view);
    if (status != OK || memcmp(digest, object->sha256, SHA256_SIZE) == 0)
        return status;
    char actual[2 * SHA256_SIZE + 1];
    hex_name(digest, SHA256_SIZE, actual);
    return fail(err, CORRUPT, NULL, "its bytes have the SHA-256 %s", actual);
}

static enum status check_object(const struct check *check, const struct object *object, struct error *err)
{
    TRY(check_layout(check->conn, object, err));
    TRY(check_containers(check, object, err));
    return check_bytes(check, object, err);
}

static enum status object_gone(struct db_conn *conn, int64_t id, bool *gone, struct error *err)
{
    auto_stmt struct stmt *exists = NULL;
    TRY(db_prepare(conn, object_exists_sql, &exists, err));
    stmt_bind_int(exists, 1, id);
    *gone = !stmt_next(exists);
    return stmt_end(exists, err);
}

/* Fills *object with the first one behind after; its id is 0 at the end. One statement each, so that a check of many
 * hours does not hold one old state of the database. */
static enum status object_next(struct db_conn *conn, int64_t after, struct object *object, struct error *err)
{
    auto_stmt struct stmt *next = NULL;
    TRY(db_prepare(conn, next_object_sql, &next, err));
    stmt_bind_int(next, 1, after);
    *object = (struct object){0};
    if (stmt_next(next)) {
        struct str sha256 = stmt_str(next, 2);
        *object = (struct object){.id = stmt_int(next, 0), .size = stmt_int(next, 1)};
        memcpy(object->sha256, sha256.data, sha256.len < SHA256_SIZE ? sha256.len : SHA256_SIZE);
    }
    return stmt_end(next, err);
}

enum status store_check(struct store *store, void (*report)(void *context, const char *finding), void *context,
                        int64_t *findings, struct error *err)
{
    store_assert(store);
    auto_conn struct db_conn *conn = NULL;
    TRY(db_reader(store->db, &conn, err));
    struct check check = {.store = store, .conn = conn, .report = report, .context = context, .findings = findings};
    *findings = 0;
    struct object object;
    for (int64_t last = 0;; last = object.id) {
        TRY(object_next(conn, last, &object, err));
        if (object.id == 0)
            return OK;
        struct error finding = {0};
        bool gone;
        enum status status = check_object(&check, &object, &finding);
        if (status == OK)
            continue;
        if (status == UNAVAILABLE) /* that says something about us, not about the object */
            return fail(err, status, NULL, "%s", finding.message);
        TRY(object_gone(conn, object.id, &gone, err)); /* swept while it was being looked at: no damage */
        if (gone)
            continue;
        char hex[2 * SHA256_SIZE + 1], line[sizeof(finding.message) + 128];
        hex_name(object.sha256, SHA256_SIZE, hex);
        snprintf(line, sizeof(line), "The file with SHA-256 %s (%lld bytes) is damaged: %s.", hex,
                 (long long)object.size, finding.message);
        (*findings)++;
        report(context, line);
    }
}

static const char containers_sql[] = "SELECT name, size FROM container ORDER BY id";

static enum status copy_bytes(const char *from, const char *to, int64_t size, struct error *err)
{
    auto_fd int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return fail_errno(err, "opening a container");
    auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return fail_errno(err, "creating a file of the backup");
    char *piece = malloc((size_t)MIB);
    if (!piece)
        abort();
    enum status status = OK;
    int64_t flushed = 0;
    for (int64_t at = 0; status == OK && at < size;) {
        size_t len = size - at < MIB ? (size_t)(size - at) : (size_t)MIB;
        status = pread_full(in, piece, len, at, err);
        if (status == OK)
            status = pwrite_full(out, piece, len, at, err);
        at += (int64_t)len;
        disk_flush_early(out, at, &flushed);
    }
    free(piece);
    if (status == OK && fdatasync(out) != 0)
        status = fail_errno(err, "writing a file of the backup to disk");
    return status;
}

/* A copy takes its name when it is complete, so that a backup that was broken off can be run again into the same
 * folder. */
static enum status copy_container(const char *from, const char *root, const char *to, const char *name, int64_t size,
                                  struct error *err)
{
    char partial[STORE_PATH_LIMIT];
    incoming_path(root, name, partial);
    enum status status = copy_bytes(from, partial, size, err);
    if (status == OK && rename(partial, to) != 0)
        status = fail_errno(err, "naming a file of the backup");
    if (status != OK)
        unlink(partial);
    return status;
}

static enum status backup_container(struct store *store, const char *root, struct str name, int64_t size,
                                    struct error *err)
{
    char from[STORE_PATH_LIMIT], to[STORE_PATH_LIMIT], text[NAME_SIZE];
    struct error finding = {0};
    enum status status = check_container(store->root, name, size, &finding);
    if (status != OK)
        return fail(err, status, NULL, "The backup is not complete: %s. Run cairn fsck.", finding.message);
    snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
    container_path(store->root, text, from);
    container_path(root, text, to);
    if (link(from, to) != 0 && errno != EEXIST)
        TRY(copy_container(from, root, to, text, size, err));
    status = check_container(root, name, size, &finding);
    return status == OK ? OK : fail(err, status, NULL, "The backup is damaged: %s.", finding.message);
}

enum status store_backup(struct store *store, struct db_conn *snapshot, const char *root, struct error *err)
{
    store_assert(store);
    TRY(store_folders(root, err));
    auto_stmt struct stmt *containers = NULL;
    TRY(db_prepare(snapshot, containers_sql, &containers, err));
    while (stmt_next(containers))
        TRY(backup_container(store, root, stmt_str(containers, 0), stmt_int(containers, 1), err));
    TRY(stmt_end(containers, err));
    for (unsigned i = 0; i < 256; i++) {
        char folder[STORE_PATH_LIMIT];
        snprintf(folder, sizeof(folder), "%s/containers/%02x", root, i);
        TRY(folder_sync(folder, err));
    }
    return OK;
}

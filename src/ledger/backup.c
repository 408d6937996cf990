/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "ledger/internal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)1024 * 1024)
#define TRIES 10000 /* of a millisecond */

static enum status copy_bytes(int from, int to, int64_t len, struct error *err)
{
    char *piece = malloc(PIECE);
    if (!piece)
        abort();
    enum status status = OK;
    for (int64_t at = 0; status == OK && at < len;) {
        size_t part = len - at < (int64_t)PIECE ? (size_t)(len - at) : PIECE;
        status = pread_full(from, piece, part, at, err);
        if (status == OK)
            status = pwrite_full(to, piece, part, at, err);
        at += (int64_t)part;
    }
    free(piece);
    return status;
}

static enum status copy_file(int from, const char *to, const char *name, int64_t len, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", to, name);
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, path);
    TRY(copy_bytes(from, fd, len, err));
    return fsync(fd) ? fail_errno(err, path) : OK;
}

/* The tiles of a level that the tree has nodes in; the last one may be shorter in the file. */
static enum status copy_level(const struct ledger *ledger, unsigned level, const char *to, struct error *err)
{
    char name[32];
    struct stat found;
    uint64_t nodes = ledger->published.size >> (TILE_HEIGHT * level);
    int64_t len = node_offset(level * TILE_HEIGHT, nodes + TILE_WIDTH - 1 - (nodes + TILE_WIDTH - 1) % TILE_WIDTH);
    snprintf(name, sizeof name, "level-%u", level);
    if (fstat(ledger->levels[level], &found))
        return fail_errno(err, name);
    return copy_file(ledger->levels[level], to, name, found.st_size < len ? found.st_size : len, err);
}

static enum status copy_text(const char *to, const char *name, struct str text, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", to, name);
    return file_write_durable(path, text, 0600, err);
}

/* No "synced": the hub that opens the copy makes all from the entries again, and compares. */
static enum status copy_log(struct ledger *ledger, const char *to, struct error *err)
{
    const struct published *published = &ledger->published;
    TRY(copy_file(ledger->entries, to, "entries", (int64_t)published->bytes, err));
    TRY(copy_file(ledger->bundles, to, "bundles", (int64_t)((published->size / TILE_WIDTH + 1) * sizeof(uint64_t)),
                  err));
    for (unsigned level = 0; level < LEVEL_FILES && ledger->levels[level] >= 0; level++)
        TRY(copy_level(ledger, level, to, err));
    auto_buf struct buf vkey = {0};
    buf_printf(&vkey, "%.*s\n", STR_ARG(buf_view(&ledger->vkey)));
    TRY(copy_text(to, "vkey", buf_view(&vkey), err));
    return copy_text(to, "checkpoint", buf_view(&published->note), err);
}

static enum status copy_key(const char *folder, const char *keys, struct error *err)
{
    char path[PATH_MAX];
    auto_buf struct buf key = {0};
    snprintf(path, sizeof path, "%s/key", folder);
    TRY(file_read_all(path, SMALL_FILE_MOST, &key, err));
    enum status status = copy_text(keys, "key", buf_view(&key), err);
    OPENSSL_cleanse(key.data, key.len);
    return status;
}

/*
 * Opens the log in a state that is also the one of the signer's record: only such a pair can go on together. Between a signature
 * and its publication they differ for a moment.
 */
static enum status open_with_record(const char *folder, struct ledger **out, struct buf *record, struct error *err)
{
    for (int i = 0; i < TRIES; i++) {
        struct signed_tree last;
        record->len = 0;
        TRY(record_peek(folder, record, &last, err));
        TRY(ledger_open_reader(folder, out, err));
        if ((*out)->published.size == last.size && tlog_hash_eq(&(*out)->published.root, &last.root))
            return OK;
        ledger_close(*out);
        *out = NULL;
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    }
    return fail(
        err, UNAVAILABLE, NULL,
        "The signer of the log in %s has signed another tree than the one that is published. Start the hub, which "
        "puts that right, and try again.",
        folder);
}

static enum status copy_all(struct ledger *ledger, const char *folder, const char *to, const char *keys,
                            const struct buf *record, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/entries", to);
    if (access(path, F_OK) == 0)
        return fail(err, CONFLICT, NULL, "%s has a log already, and a backup never replaces one.", to);
    TRY(folder_make(to, 0700, err));
    TRY(copy_log(ledger, to, err));
    TRY(folder_sync(to, err));
    if (!keys)
        return OK;
    TRY(folder_make(keys, 0700, err));
    TRY(copy_text(keys, "signer", buf_view(record), err));
    return copy_key(folder, keys, err);
}

enum status ledger_backup(const char *folder, const char *to, const char *keys, struct error *err)
{
    struct ledger *ledger = NULL;
    auto_buf struct buf record = {0};
    if (strlen(to) > PATH_MAX - 32 || (keys && strlen(keys) > PATH_MAX - 32))
        return fail(err, INVALID, NULL, "The path of the backup is too long.");
    TRY(keys ? open_with_record(folder, &ledger, &record, err) : ledger_open_reader(folder, &ledger, err));
    enum status status = copy_all(ledger, folder, to, keys, &record, err);
    ledger_close(ledger);
    return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "base/log.h"
#include "ledger/internal.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PENDING_MOST ((size_t)1024 * 1024)
/* Levels and bundles are made again from so many entries at most after a crash; that takes a few tenths of a second. */
#define SYNC_LEAVES 65536

static enum status store_nodes(void *context, unsigned level, uint64_t first, const struct tlog_hash *nodes,
                               size_t count, struct error *err)
{
    struct ledger *ledger = context;
    TRY(ledger_open_level(ledger, level / TILE_HEIGHT, err));
    return pwrite_full(ledger->levels[level / TILE_HEIGHT], nodes, count * sizeof *nodes, node_offset(level, first),
                       err);
}

enum status ledger_store_growth(struct ledger *ledger, struct error *err)
{
    struct growth *growth = &ledger->growth;
    bool full = growth_full(growth);
    TRY(growth_give(growth, store_nodes, ledger, err));
    if (!full)
        return OK;
    uint64_t start = htobe64(growth->bytes), number = growth->frontier.size / TILE_WIDTH;
    return pwrite_full(ledger->bundles, &start, sizeof start, (int64_t)(number * sizeof start), err);
}

/* Writes what is pending to the end of the entries; *written is where that is. */
static enum status flush_entries(struct ledger *ledger, struct buf *pending, uint64_t *written, struct error *err)
{
    TRY(pwrite_full(ledger->entries, pending->data, pending->len, (int64_t)*written, err));
    *written += pending->len;
    pending->len = 0;
    return OK;
}

static enum status write_entries(struct ledger *ledger, const struct str *entries, size_t count, struct error *err)
{
    auto_buf struct buf pending = {0};
    uint64_t written = ledger->growth.bytes;
    for (size_t i = 0; i < count; i++) {
        TRY(bundle_add(&pending, entries[i], err));
        growth_add(&ledger->growth, entries[i]);
        if (growth_full(&ledger->growth))
            TRY(ledger_store_growth(ledger, err));
        if (pending.len >= PENDING_MOST)
            TRY(flush_entries(ledger, &pending, &written, err));
    }
    TRY(ledger_store_growth(ledger, err));
    return flush_entries(ledger, &pending, &written, err);
}

/*
 * Nobody waits for the disk here: after a crash the checkpoint is signed again, with the same bytes. The two files change
 * names, because to make a new one and drop the old one each time costs some file systems more than all else that is
 * done for an append. Readers beside this process see the old one or the new one, but see ledger_read_checkpoint().
 */
static enum status replace_checkpoint(struct ledger *ledger, struct str note, struct error *err)
{
    auto_fd int fd = -1;
    int folder = ledger->folder_fd;
    TRY(ledger_open_file(ledger, "checkpoint.new", O_WRONLY | O_CREAT | O_TRUNC, &fd, err));
    TRY(write_full(fd, note.data, note.len, err));
    /* The first time there is nothing to change names with, and not all file systems can. */
    if (renameat2(folder, "checkpoint.new", folder, "checkpoint", RENAME_EXCHANGE) &&
        renameat(folder, "checkpoint.new", folder, "checkpoint"))
        return fail_errno(err, "checkpoint");
    return OK;
}

/* It has been signed, so it is published whether or not there is room for the file; then the file is behind until the
 * next one, as after a crash. */
static void publish(struct ledger *ledger, const struct checkpoint *checkpoint, struct buf *note)
{
    struct error err = {0};
    if (replace_checkpoint(ledger, buf_view(note), &err) != OK)
        log_line("error", "ledger_checkpoint", "%s", err.message);
    pthread_mutex_lock(&ledger->lock);
    struct buf old = ledger->published.note;
    ledger->published = (struct published){checkpoint->size, ledger->growth.bytes, checkpoint->root, *note};
    pthread_mutex_unlock(&ledger->lock);
    *note = old;
}

enum status ledger_sign(struct ledger *ledger, struct error *err)
{
    struct tlog_source source = ledger_source(ledger);
    struct tlog_path proof;
    auto_buf struct buf note = {0}, line = {0};
    const struct tlog_frontier *frontier = &ledger->growth.frontier;
    struct checkpoint next = {ledger->verifier.name, frontier->size, tlog_root(frontier), {0}};
    TRY(tlog_prove_consistency(&source, ledger->published.size, next.size, &proof, err));
    checkpoint_write(&note, &next);
    TRY(signing_sign(&ledger->signing, buf_view(&note), &proof, &line, err));
    buf_byte(&note, '\n');
    buf_str(&note, buf_view(&line));
    publish(ledger, &next, &note);
    return OK;
}

/* When the number cannot be written, the files are good all the same, and only a crash would cost more time. */
static void keep_synced(struct ledger *ledger, uint64_t size)
{
    char path[PATH_MAX], number[32];
    struct error err = {0};
    int len = snprintf(number, sizeof number, "%llu\n", (unsigned long long)size);
    ledger_path(ledger, "synced", path);
    if (file_write_durable(path, (struct str){number, (size_t)len}, 0600, &err) == OK)
        ledger->synced = size;
    else
        log_line("error", "ledger_synced", "%s", err.message);
}

enum status ledger_sync_if_due(struct ledger *ledger, struct error *err)
{
    uint64_t size = ledger->published.size - ledger->published.size % TILE_WIDTH;
    if (size - ledger->synced < SYNC_LEAVES)
        return OK;
    for (unsigned level = 0; level < LEVEL_FILES; level++)
        if (ledger->levels[level] >= 0 && fdatasync(ledger->levels[level]))
            return fail_errno(err, "sync of the log's levels");
    if (fdatasync(ledger->bundles))
        return fail_errno(err, "sync of the log's bundles");
    TRY(folder_sync(ledger->folder, err));
    keep_synced(ledger, size);
    return OK;
}

/* What was written of a failed append is behind the published tree and is written over by the next one. */
static void take_back(struct ledger *ledger, const struct tlog_frontier *frontier, uint64_t bytes)
{
    growth_start(&ledger->growth, frontier, bytes);
    if (ftruncate(ledger->entries, (off_t)bytes))
        ledger->broken = true;
}

static enum status check_entries(const struct ledger *ledger, const struct str *entries, size_t count,
                                 struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].len > LEDGER_ENTRY_MOST)
            return fail(err, TOO_LARGE, NULL, "The log entry has %zu bytes; %d are allowed.", entries[i].len,
                        LEDGER_ENTRY_MOST);
    if (ledger->broken)
        return fail(err, UNAVAILABLE, NULL,
                    "The log takes nothing more since its disk or its signer failed. Restart the hub; see "
                    "its messages for why.");
    return OK;
}

enum status ledger_append(struct ledger *ledger, const struct str *entries, size_t count, uint64_t *first,
                          struct error *err)
{
    ledger_assert(ledger);
    TRY(check_entries(ledger, entries, count, err));
    struct tlog_frontier before = ledger->growth.frontier;
    uint64_t bytes = ledger->growth.bytes;
    *first = before.size;
    if (count == 0)
        return OK;
    enum status status = write_entries(ledger, entries, count, err);
    if (status != OK) {
        take_back(ledger, &before, bytes);
        return status;
    }
    /* From here on, what fails leaves open what is on disk or was signed; opening anew finds out. */
    ledger->broken = true;
    if (fdatasync(ledger->entries))
        return fail_errno(err, "sync of the log's entries");
    TRY(ledger_sign(ledger, err));
    /* This append is done, whatever comes of the rest. */
    struct error why = {0};
    ledger->broken = ledger_sync_if_due(ledger, &why) != OK;
    if (ledger->broken)
        log_line("error", "ledger_sync", "%s", why.message);
    return OK;
}

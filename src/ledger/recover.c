/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the signer signed last is the truth: the files are brought to exactly that. */
#include "base/file.h"
#include "base/log.h"
#include "ledger/internal.h"
#include "tlog/text.h"

#include <sys/stat.h>
#include <unistd.h>

#define BEHIND                                                                                                         \
    "Going on would give the world two histories of one log. Restore the newest copy of the whole folder, or begin a " \
    "new log with a new name (cairn admin log begin-anew)."

/* A missing or unreadable number is 0: everything is then made again. */
static uint64_t read_synced(struct ledger *ledger)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    uint64_t synced;
    ledger_path(ledger, "synced", path);
    if (file_read_all(path, SMALL_FILE_MOST, &text, NULL) != OK || !tlog_decimal(str_trim(buf_view(&text)), &synced))
        return 0;
    return synced - synced % TILE_WIDTH;
}

/*
 * A checkpoint, or files, of a tree larger than the signer remembers mean that its record is an old copy. It may be the
 * only thing that is old, so nothing is cut off the entries then.
 */
static enum status check_record(struct ledger *ledger, const struct signed_tree *last, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str bytes;
    struct checkpoint checkpoint;
    enum status status = ledger_read_checkpoint(ledger, &arena, &bytes, &checkpoint, err);
    if (status == NOT_FOUND)
        checkpoint = (struct checkpoint){0};
    else
        TRY(status);
    uint64_t seen = checkpoint.size > ledger->synced ? checkpoint.size : ledger->synced;
    if (seen > last->size)
        return fail(err, CORRUPT, NULL,
                    "The signer of the log in %s remembers a tree of %llu entries, but one of %llu was "
                    "published: its record is an old copy. " BEHIND,
                    ledger->folder, (unsigned long long)last->size, (unsigned long long)seen);
    if (status == OK && checkpoint.size == last->size && !tlog_hash_eq(&checkpoint.root, &last->root))
        return fail(err, CORRUPT, NULL,
                    "The checkpoint of the log in %s contradicts what its signer remembers. " BEHIND, ledger->folder);
    return OK;
}

/* Makes the level and bundle files again from where they were last known to be on disk. */
static enum status regrow(struct ledger *ledger, uint64_t size, struct error *err)
{
    struct tlog_source source = ledger_source(ledger);
    struct tlog_frontier frontier;
    auto_entries struct entry_reader reader = {.fd = ledger->entries};
    struct str entry;
    for (unsigned level = 0; level < LEVEL_FILES && ledger->synced >> (TILE_HEIGHT * level); level++)
        TRY(ledger_open_level(ledger, level, err));
    TRY(tlog_frontier_read(&source, ledger->synced, &frontier, err));
    TRY(pwrite_full(ledger->bundles, &(uint64_t){0}, sizeof(uint64_t), 0, err));
    TRY(bundle_start(ledger, ledger->synced / TILE_WIDTH, &reader.offset, err));
    growth_start(&ledger->growth, &frontier, reader.offset);
    while (ledger->growth.frontier.size < size) {
        TRY(entries_next(&reader, &entry, err));
        growth_add(&ledger->growth, entry);
        if (growth_full(&ledger->growth))
            TRY(ledger_store_growth(ledger, err));
    }
    return ledger_store_growth(ledger, err);
}

/* What is behind the signed tree was never acknowledged, and after a power failure need not even be what was written.
 */
static enum status cut_entries(struct ledger *ledger, struct error *err)
{
    struct stat found;
    uint64_t bytes = ledger->growth.bytes;
    if (fstat(ledger->entries, &found))
        return fail_errno(err, "entries");
    if ((uint64_t)found.st_size == bytes)
        return OK;
    log_line("warn", "ledger_cut", "%llu bytes of entries that were never acknowledged were cut off the log",
             (unsigned long long)((uint64_t)found.st_size - bytes));
    return ftruncate(ledger->entries, (off_t)bytes) ? fail_errno(err, "entries") : OK;
}

/* Grows the tree again up to what was signed; CORRUPT when that is not what comes out. */
static enum status regrow_signed(struct ledger *ledger, const struct signed_tree *last, struct error *err)
{
    TRY(regrow(ledger, last->size, err));
    struct tlog_hash root = tlog_root(&ledger->growth.frontier);
    if (!tlog_hash_eq(&root, &last->root))
        return fail(err, CORRUPT, NULL,
                    "The entries do not give the root that was signed, so at least one was changed.");
    return OK;
}

enum status ledger_recover(struct ledger *ledger, const struct signed_tree *last, struct error *err)
{
    struct error why = {0};
    ledger->synced = read_synced(ledger);
    TRY(check_record(ledger, last, err));
    enum status status = regrow_signed(ledger, last, &why);
    if (status == CORRUPT && ledger->synced > 0) {
        ledger->synced = 0; /* the files made from the entries may be what is damaged; make all of them again */
        status = regrow_signed(ledger, last, &why);
    }
    if (status == CORRUPT)
        return fail(err, CORRUPT, NULL,
                    "The log in %s is not the one of %llu entries that its signer has signed. %s " BEHIND,
                    ledger->folder, (unsigned long long)last->size, why.message);
    if (status != OK)
        return fail(err, status, why.code, "%s", why.message);
    TRY(cut_entries(ledger, err));
    TRY(folder_sync(ledger->folder, err));
    ledger->published.size = last->size;
    ledger->published.root = last->root;
    TRY(ledger_sign(ledger, err));
    return ledger_sync_if_due(ledger, err);
}

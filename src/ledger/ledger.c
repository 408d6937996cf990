/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "ledger/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

void ledger_assert(const struct ledger *ledger)
{
    assert(ledger && ledger->magic == LEDGER_MAGIC);
}

void ledger_path(const struct ledger *ledger, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", ledger->folder, name);
}

enum status ledger_open_file(struct ledger *ledger, const char *name, int flags, int *fd, struct error *err)
{
    *fd = openat(ledger->folder_fd, name, flags | O_CLOEXEC, 0600);
    return *fd < 0 ? fail_errno(err, name) : OK;
}

enum status ledger_open_level(struct ledger *ledger, unsigned level, struct error *err)
{
    char name[32];
    if (ledger->levels[level] >= 0)
        return OK;
    snprintf(name, sizeof name, "level-%u", level);
    return ledger_open_file(ledger, name, ledger->appends ? O_RDWR | O_CREAT : O_RDONLY, &ledger->levels[level], err);
}

static enum status read_checkpoint(struct ledger *ledger, struct arena *arena, struct str *bytes,
                                   struct checkpoint *out, struct error *err)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    struct note note;
    ledger_path(ledger, "checkpoint", path);
    TRY(file_read_all(path, SMALL_FILE_MOST, &text, err));
    if (text.len == 0)
        return fail(err, NOT_FOUND, NULL, "%s is empty.", path);
    *bytes = arena_copy(arena, buf_view(&text));
    struct error why = {0};
    if (checkpoint_open(arena, *bytes, &ledger->verifier, &note, out, &why) != OK)
        return fail(err, CORRUPT, NULL, "%s is not what this log signed: %s Remove it, and it is made again.", path,
                    why.message);
    return OK;
}

/* Who is held up between opening the file and reading it, while two appends go by, finds it being written over. */
enum status ledger_read_checkpoint(struct ledger *ledger, struct arena *arena, struct str *bytes,
                                   struct checkpoint *out, struct error *err)
{
    enum status status = read_checkpoint(ledger, arena, bytes, out, err);
    return status == OK ? OK : read_checkpoint(ledger, arena, bytes, out, err);
}

static enum status ledger_new(const char *folder, bool appends, struct ledger **out, struct error *err)
{
    if (strlen(folder) >= sizeof((struct ledger *)NULL)->folder)
        return fail(err, INVALID, NULL, "The path of the log's folder is too long.");
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        abort();
    ledger->magic = LEDGER_MAGIC;
    ledger->appends = appends;
    memcpy(ledger->folder, folder, strlen(folder) + 1);
    ledger->folder_fd = ledger->entries = ledger->bundles = ledger->signing.socket = -1;
    for (unsigned i = 0; i < LEVEL_FILES; i++)
        ledger->levels[i] = -1;
    pthread_mutex_init(&ledger->lock, NULL);
    *out = ledger;
    ledger->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ledger->folder_fd < 0 ? fail_errno(err, folder) : OK;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    ledger_assert(ledger);
    signing_stop(&ledger->signing);
    for (unsigned i = 0; i < LEVEL_FILES; i++)
        fd_close(&ledger->levels[i]);
    fd_close(&ledger->bundles);
    fd_close(&ledger->entries);
    fd_close(&ledger->folder_fd); /* and with it the lock */
    pthread_mutex_destroy(&ledger->lock);
    buf_free(&ledger->published.note);
    buf_free(&ledger->vkey);
    arena_free(&ledger->arena);
    ledger->magic = 0;
    free(ledger);
}

/* The vkey file is for readers, who may not see the key; it never changes. */
static enum status keep_vkey(struct ledger *ledger, struct error *err)
{
    char path[PATH_MAX];
    auto_buf struct buf kept = {0}, line = {0};
    ledger_path(ledger, "vkey", path);
    buf_str(&line, buf_view(&ledger->vkey));
    buf_byte(&line, '\n');
    enum status status = file_read_all(path, SMALL_FILE_MOST, &kept, err);
    if (status == NOT_FOUND)
        return file_write_durable(path, buf_view(&line), 0600, err);
    TRY(status);
    if (!str_eq(buf_view(&kept), buf_view(&line)))
        return fail(err, CORRUPT, NULL,
                    "The log's public key %s is not that of its private key; one of the two was changed. "
                    "Restore the one that was.",
                    path);
    return OK;
}

static enum status open_files(struct ledger *ledger, struct error *err)
{
    int flags = ledger->appends ? O_RDWR | O_CREAT : O_RDONLY;
    TRY(ledger_open_file(ledger, "entries", flags, &ledger->entries, err));
    return ledger_open_file(ledger, "bundles", flags, &ledger->bundles, err);
}

static enum status open_to_append(struct ledger *ledger, struct str origin, const char *program, struct error *err)
{
    struct signed_tree last;
    if (flock(ledger->folder_fd, LOCK_EX | LOCK_NB))
        return fail(err, CONFLICT, NULL, "Another process has the log in %s open to append.", ledger->folder);
    TRY(signing_start(&ledger->signing, program, ledger->folder, err));
    TRY(signing_open(&ledger->signing, origin, &last, &ledger->vkey, err));
    TRY(note_verifier_parse(&ledger->arena, buf_view(&ledger->vkey), &ledger->verifier, err));
    TRY(keep_vkey(ledger, err));
    TRY(open_files(ledger, err));
    return ledger_recover(ledger, &last, err);
}

enum status ledger_open(const char *folder, struct str origin, const char *program, struct ledger **out,
                        struct error *err)
{
    struct ledger *ledger = NULL;
    TRY(folder_make(folder, 0700, err));
    enum status status = ledger_new(folder, true, &ledger, err);
    if (status == OK)
        status = open_to_append(ledger, origin, program, err);
    if (status != OK) {
        ledger_close(ledger);
        return status;
    }
    *out = ledger;
    return OK;
}

/* How far the published leaves reach in the entries file. */
static enum status measure_entries(struct ledger *ledger, struct published *published, struct error *err)
{
    auto_entries struct entry_reader reader = {.fd = ledger->entries};
    struct str entry;
    TRY(bundle_start(ledger, published->size / TILE_WIDTH, &reader.offset, err));
    for (uint64_t i = 0; i < published->size % TILE_WIDTH; i++)
        TRY(entries_next(&reader, &entry, err));
    published->bytes = reader.offset;
    return OK;
}

static enum status open_to_read(struct ledger *ledger, struct error *err)
{
    auto_arena struct arena arena = {0};
    char path[PATH_MAX];
    struct str bytes;
    struct checkpoint checkpoint;
    ledger_path(ledger, "vkey", path);
    TRY(file_read_all(path, SMALL_FILE_MOST, &ledger->vkey, err));
    ledger->vkey.len = str_trim(buf_view(&ledger->vkey)).len;
    TRY(note_verifier_parse(&ledger->arena, buf_view(&ledger->vkey), &ledger->verifier, err));
    if (ledger->verifier.kind != NOTE_ED25519)
        return fail(err, CORRUPT, NULL, "%s is not the public key of a log.", path);
    TRY(ledger_read_checkpoint(ledger, &arena, &bytes, &checkpoint, err));
    TRY(open_files(ledger, err));
    for (unsigned level = 0; level < LEVEL_FILES && checkpoint.size >> (TILE_HEIGHT * level); level++)
        TRY(ledger_open_level(ledger, level, err));
    ledger->published.size = checkpoint.size;
    ledger->published.root = checkpoint.root;
    buf_str(&ledger->published.note, bytes);
    return measure_entries(ledger, &ledger->published, err);
}

enum status ledger_open_reader(const char *folder, struct ledger **out, struct error *err)
{
    struct ledger *ledger = NULL;
    enum status status = ledger_new(folder, false, &ledger, err);
    if (status == OK)
        status = open_to_read(ledger, err);
    if (status != OK) {
        ledger_close(ledger);
        return status;
    }
    *out = ledger;
    return OK;
}

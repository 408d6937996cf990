/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include "ledger/internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/*
 * Two slots, written in turn, so that one torn by a power failure leaves the one before. The file has its full length
 * from the beginning: no write to it needs room, and syncing it does not touch what the file system knows of it.
 */
#define SLOTS 2
#define SLOT_DISTANCE 4096
#define MARK "cairn signer 1\n"

struct slot {
    char mark[16];
    uint64_t sequence, size; /* big-endian */
    uint8_t root[SHA256_SIZE], key[SHA256_SIZE];
    uint8_t digest[SHA256_SIZE]; /* of all before it */
};

static void slot_digest(const struct slot *slot, uint8_t out[SHA256_SIZE])
{
    sha256((struct str){(const char *)slot, offsetof(struct slot, digest)}, out);
}

static bool slot_sound(const struct slot *slot)
{
    uint8_t digest[SHA256_SIZE];
    slot_digest(slot, digest);
    return memcmp(slot->mark, MARK, sizeof slot->mark) == 0 && memcmp(slot->digest, digest, sizeof digest) == 0;
}

/*
 * Blank is a record whose first slot was never written and whose second, where a record begins, is not sound: a crash
 * in the midst of record_begin() leaves that, and whatever has been signed with it was the empty tree.
 */
static enum status is_blank(int fd, bool *out, struct error *err)
{
    char bytes[SLOTS * SLOT_DISTANCE] = {0};
    struct slot second;
    size_t got;
    TRY(pread_most(fd, bytes, sizeof bytes, 0, &got, err));
    memcpy(&second, bytes + SLOT_DISTANCE, sizeof second);
    *out = bytes[0] == 0 && memcmp(bytes, bytes + 1, SLOT_DISTANCE - 1) == 0 && !slot_sound(&second);
    return OK;
}

enum status record_open(const char *folder, struct record *out, bool *blank, struct error *err)
{
    char path[PATH_MAX];
    *out = (struct record){.fd = -1};
    snprintf(path, sizeof path, "%s/signer", folder);
    auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, path);
    /* The signer of a hub that was killed may still be at its last signature, which must be in what is read next. */
    while (flock(fd, LOCK_EX))
        if (errno != EINTR)
            return fail_errno(err, path);
    TRY(is_blank(fd, blank, err));
    out->fd = fd;
    fd = -1;
    return OK;
}

enum status record_store(struct record *record, const struct signed_tree *tree, struct error *err)
{
    struct slot slot = {.mark = MARK, .sequence = htobe64(record->sequence + 1), .size = htobe64(tree->size)};
    memcpy(slot.root, tree->root.bytes, SHA256_SIZE);
    memcpy(slot.key, record->key, SHA256_SIZE);
    slot_digest(&slot, slot.digest);
    TRY(pwrite_full(record->fd, &slot, sizeof slot, (int64_t)((record->sequence + 1) % SLOTS) * SLOT_DISTANCE, err));
    if (fdatasync(record->fd))
        return fail_errno(err, "sync of the signer's record");
    record->sequence++;
    record->last = *tree;
    return OK;
}

enum status record_begin(struct record *record, const uint8_t key[SHA256_SIZE], struct error *err)
{
    struct signed_tree empty = {0, tlog_root(&(struct tlog_frontier){0})};
    char zeros[SLOTS * SLOT_DISTANCE] = {0};
    memcpy(record->key, key, SHA256_SIZE);
    record->sequence = 0;
    TRY(pwrite_full(record->fd, zeros, sizeof zeros, 0, err));
    TRY(record_store(record, &empty, err));
    return fsync(record->fd) ? fail_errno(err, "sync of the signer's record") : OK;
}

static enum status newest_slot(const struct slot slots[SLOTS], const struct slot **out, struct error *err)
{
    *out = NULL;
    for (int i = 0; i < SLOTS; i++)
        if (slot_sound(&slots[i]) && (!*out || be64toh(slots[i].sequence) > be64toh((*out)->sequence)))
            *out = &slots[i];
    if (!*out || be64toh((*out)->size) > INT64_MAX)
        return fail(err, CORRUPT, NULL,
                    "The signer's record is damaged, so what was signed last is not known and signing on "
                    "could fork the log. Restore the file \"signer\" as it was last, or begin a new log "
                    "with cairn admin log begin-anew.");
    return OK;
}

static void tree_of_slot(const struct slot *slot, struct signed_tree *out)
{
    out->size = be64toh(slot->size);
    memcpy(out->root.bytes, slot->root, SHA256_SIZE);
}

enum status record_read(struct record *record, const uint8_t key[SHA256_SIZE], struct error *err)
{
    struct slot slots[SLOTS];
    const struct slot *newest;
    for (int i = 0; i < SLOTS; i++)
        TRY(pread_full(record->fd, &slots[i], sizeof slots[i], i * SLOT_DISTANCE, err));
    TRY(newest_slot(slots, &newest, err));
    if (memcmp(newest->key, key, SHA256_SIZE) != 0)
        return fail(err, CORRUPT, NULL,
                    "The signer's key is not the one that its record is of. Restore the file \"key\".");
    record->sequence = be64toh(newest->sequence);
    tree_of_slot(newest, &record->last);
    memcpy(record->key, key, SHA256_SIZE);
    return OK;
}

/* The signer may be writing one of the slots: then that one is not sound, or is the newer one already. */
enum status record_peek(const char *folder, struct buf *out, struct signed_tree *last, struct error *err)
{
    char path[PATH_MAX];
    struct slot slots[SLOTS] = {0};
    const struct slot *newest;
    size_t start = out->len;
    snprintf(path, sizeof path, "%s/signer", folder);
    TRY(file_read_all(path, SLOTS * SLOT_DISTANCE, out, err));
    for (size_t i = 0; i < SLOTS && out->len - start >= i * SLOT_DISTANCE + sizeof *slots; i++)
        memcpy(&slots[i], out->data + start + i * SLOT_DISTANCE, sizeof slots[i]);
    TRY(newest_slot(slots, &newest, err));
    tree_of_slot(newest, last);
    return OK;
}

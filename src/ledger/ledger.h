/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LEDGER_LEDGER_H
#define CAIRN_LEDGER_LEDGER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/finding.h"
#include "base/hash.h"

/*
 * The hub's transparency log on disk (C2SP tlog-tiles; provenance 1.4, 1.5): entries are appended, never changed,
 * and every state that anybody is shown is a checkpoint signed by a process of its own, which signs nothing that
 * does not extend what it signed before.
 *
 * Folder:  entries      uint16 length, big-endian, and bytes of each entry, one after the other
 *          bundles      where each bundle of 256 entries begins in entries, the one to come included: u64, big-endian
 *          level-0 …    the hashes of a level, 32 bytes each: tile N of the level begins at N * 16384; its inner nodes
 *                       stand behind its hashes, so that a proof has nothing to fold
 *          synced       how many entries' levels and bundles are surely on disk; after a crash the rest is made again
 *          checkpoint   the newest signed checkpoint; checkpoint.new is the one before it
 *          vkey         the line of the public key
 *          signer       the signer's own record: what it signed last
 *          key          the signer's private key (mode 0600; only the signer reads it)
 *
 * entries is the truth up to what the signer's record says, and the other files but the signer's are made from it
 * again when they are behind. What stands behind that in entries was never acknowledged and is cut off at opening.
 * One process appends at a time (a lock on the folder); others may read.
 *
 * To begin a log with a key that there is already, write it to "key" in an empty folder (note_signer_write())
 * before opening.
 */
struct ledger;

#define LEDGER_ENTRY_MOST 65535

/*
 * Opens or creates the log of that origin ("hub.example.org/log/1"; it must be the one of an existing log, CONFLICT
 * else) and starts the signer: the program at program is run with the words "signer FOLDER" and a socket as its
 * standard input (see signer.h). CONFLICT when another process has the log open to append. CORRUPT, with what to
 * do, when the log on disk is behind what the signer has signed (a restored backup would fork the log) or
 * contradicts it, or the signer's record is an old copy.
 */
enum status ledger_open(const char *folder, struct str origin, const char *program, struct ledger **out,
                        struct error *err);
/*
 * For reading alone, beside the process that appends; it goes on showing the state that was published when it was
 * opened. NOT_FOUND when there is no log. After a power failure the log must first have been opened to append,
 * which mends the files.
 */
enum status ledger_open_reader(const char *folder, struct ledger **out, struct error *err);
void ledger_close(struct ledger *ledger);

/*
 * Appends entries in order; *first is the index of the first one. When it returns OK they are durable and in a
 * checkpoint that is published. From one thread at a time. A write that fails (a full disk, say) leaves nothing,
 * and the next append may go well. After a failed sync, or when the signer has ended or refused, nobody knows what
 * is on disk or signed: from then on it is UNAVAILABLE until the log is opened again, which finds out; reading goes
 * on.
 */
enum status ledger_append(struct ledger *ledger, const struct str *entries, size_t count, uint64_t *first,
                          struct error *err);

/* Reading: on any thread, and never waiting for the disk to sync. The published state. */
struct ledger_state {
    uint64_t size;
    uint8_t root[SHA256_SIZE];
};
void ledger_state(struct ledger *ledger, struct ledger_state *out);
/* The signed note; appended to out. */
void ledger_checkpoint(struct ledger *ledger, struct buf *out);
struct str ledger_vkey(struct ledger *ledger); /* the verifier key line of the origin; lasts as long as the ledger */

/* Appended to out; NOT_FOUND beyond the published size. width 1..256 (256: the whole tile). */
enum status ledger_tile(struct ledger *ledger, unsigned level, uint64_t number, unsigned width, struct buf *out,
                        struct error *err);
enum status ledger_bundle(struct ledger *ledger, uint64_t number, unsigned width, struct buf *out, struct error *err);
enum status ledger_entry(struct ledger *ledger, uint64_t index, struct buf *out, struct error *err);
/* Hashes of 32 bytes, appended to out. NOT_FOUND for a size beyond the published one; INVALID unless index < size and
 * from <= to. */
enum status ledger_inclusion(struct ledger *ledger, uint64_t index, uint64_t size, struct buf *out, struct error *err);
enum status ledger_consistency(struct ledger *ledger, uint64_t from, uint64_t to, struct buf *out, struct error *err);

/*
 * Computes everything that is published again from entries and compares: levels, bundles, root, signature. Errors
 * are those of a disk that cannot be read; damage is a finding.
 */
enum status ledger_check(struct ledger *ledger, struct findings *findings, struct error *err);

/*
 * Copies the log in folder as it is published into the folder to, which is made, while the hub may go on: all but what is the
 * signer's. With keys, a folder too, the signer's key and record go there, and the copy is of exactly the tree that the record
 * is of, because only so the two can go on together. NOT_FOUND when there is no log; CONFLICT when there is one in to; UNAVAILABLE
 * when the signer has signed more than is published and does not publish it.
 */
enum status ledger_backup(const char *folder, const char *to, const char *keys, struct error *err);

#endif

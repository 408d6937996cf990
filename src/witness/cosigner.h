/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WITNESS_COSIGNER_H
#define CAIRN_WITNESS_COSIGNER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * This hub as a witness of other logs (c2sp.org/tlog-witness; provenance 1.7): it remembers the largest tree that it
 * has seen of each log, and signs only what is proved to continue it. A log that shows two histories finds nobody who
 * signs the second.
 *
 * Folder:  key        the private key (mode 0600), made on first use; never a log's key
 *          <sha256>   for each log, by the hash of its origin in hex: the checkpoint that was cosigned last, with the
 *                     log's signature and ours. It is written durably before anybody is given the cosignature.
 *
 * The folder belongs into no backup, and is not in those of `cairn backup`: a memory that is put back is one that was
 * rolled back, and this witness would then sign a second history of what it has forgotten. Nothing here can notice
 * that, since an old file looks as it did when it was new. Whoever has lost the folder, or has only an old copy, starts
 * as a new witness with a new key and tells the logs so.
 *
 * One process uses a folder at a time; the caller sees to that (serve.lock).
 */
struct cosigner;

/*
 * logs_file names a file with the lines `log <vkey> [<url>]` of those logs that are witnessed, or any policy file that
 * has such lines (tlog/policy.h). name is what the key is called if it has to be made; a key that there is keeps its
 * name. The folder is made when it is missing.
 *
 * Errors: those of reading the file and of policy_parse; CORRUPT for a memory or a key that is damaged or do not belong
 * together: it must not count as one that is empty.
 */
enum status cosigner_open(const char *folder, const char *logs_file, struct str name, struct cosigner **out,
                          struct error *err);
void cosigner_close(struct cosigner *cosigner);

/* On any thread, from here on. */

struct str cosigner_vkey(const struct cosigner *cosigner); /* the line of the public key; lasts as long as cosigner */

struct cosigner_answer {
    bool conflict;   /* the log is mistaken about what was seen last: 409 with type text/x.tlog.size, and the size */
    struct str text; /* else 200 and the line of the cosignature; in the arena */
};

/*
 * The answer to add-checkpoint, asked in the order of the table in provenance 1.7. now_us is the time that goes into
 * the cosignature. When it returns OK without conflict, the tree has been remembered for good.
 *
 * Errors, with the HTTP statuses of the table: INVALID and TOO_LARGE for a body that is malformed, NOT_FOUND for a log
 * that is not witnessed, FORBIDDEN when it has not signed, UNPROCESSABLE for a tree that does not continue the last
 * one, TOO_MANY; and UNAVAILABLE when the clock cannot be right, and those of a disk that does not take it.
 */
enum status cosigner_add(struct cosigner *cosigner, struct arena *arena, struct str body, int64_t now_us,
                         struct cosigner_answer *out, struct error *err);

/* Appends the checkpoint that was cosigned last; origin_hash is the SHA-256 of the log's origin in lower-case hex.
 * NOT_FOUND for a log that is not witnessed or of which there is none yet. */
enum status cosigner_latest(struct cosigner *cosigner, struct str origin_hash, struct buf *out, struct error *err);

#endif

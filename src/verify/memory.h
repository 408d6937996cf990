/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_MEMORY_H
#define CAIRN_VERIFY_MEMORY_H

#include "verify/run.h"
#include "verify/source.h"

/*
 * What is remembered from one run to the next, in the folder "state": the key that an address had when it was first
 * met without any other word for it (keys/…), and the largest checkpoint seen of a log (checkpoints/…, by its key),
 * with which every later one must be consistent. One readable file each; or, where the run has a `kept`, in the program alone. Evidence
 * against a log always goes to files.
 */
struct kept {
    struct buf path, content;
    struct kept *next;
};
void kept_free(struct kept *first);

/*
 * Takes the log's key on trust from the source, as "vkey" below it, unless the settings name one; then that is the key
 * for good. False, with findings, when the source shows another one than it did the first time.
 */
bool memory_trust(struct run *run, const struct source *source);

/* A checkpoint that has been verified, as a note and as what it says, with the key that signed it. */
struct seen {
    struct str note;
    struct checkpoint checkpoint;
    struct note_verifier log;
};

/* Reads and judges a note by run->trust; findings when it does not hold. with_quorum: the policy's quorum too. */
bool seen_open(struct run *run, struct str note, bool with_quorum, struct seen *out);

bool seen_has_quorum(struct run *run, struct str note); /* says nothing of it */

/* What was remembered of that log; *known is false when nothing was. */
bool memory_recall(struct run *run, const struct note_verifier *log, struct seen *out, bool *known);

/* The finding for a checkpoint that contradicts one seen before; keeps both in files of their own, as evidence. */
bool memory_conflict(struct run *run, const struct seen *before, const struct seen *now);

/* hub.c: a proof that a hub gave, after memory_trust(): that it holds, is about the revision of the settings, and that the hub's log has only
 * grown since it was last seen; what is seen now is remembered. */
bool hub_proof_check(struct run *run, const struct source *log, struct str proof);

/* Remembers a checkpoint that is consistent with the one before, and the key of memory_trust(). */
bool memory_keep(struct run *run, const struct source *source, const struct seen *now);

#endif

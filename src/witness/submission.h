/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WITNESS_SUBMISSION_H
#define CAIRN_WITNESS_SUBMISSION_H

#include "tlog/checkpoint.h"

/* What a log sends to a witness, the body of add-checkpoint (provenance 1.7): a checkpoint, and the proof that its tree
 * continues the one that the witness saw last. */
#define SUBMISSION_MOST 16384

struct submission {
    uint64_t old; /* how large the tree was that the log believes the witness saw last */
    struct tlog_path proof;
    struct note note; /* the signed checkpoint */
    struct checkpoint checkpoint;
};

/*
 * Reads a body; *out lives in the arena and does not need body any more. Nothing is verified. INVALID for what is not
 * one in every byte; TOO_LARGE over SUBMISSION_MOST bytes, or for a long checkpoint. A size of 0 with a root that is
 * not the empty tree's is read: it is not malformed, and who sent it is asked first.
 */
enum status submission_parse(struct arena *arena, struct str body, struct submission *out, struct error *err);

/* Appends a body. note is the signed checkpoint, best without foreign cosignatures. */
void submission_write(struct buf *out, uint64_t old, const struct tlog_path *proof, struct str note);

#endif

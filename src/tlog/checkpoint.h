/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_CHECKPOINT_H
#define CAIRN_TLOG_CHECKPOINT_H

#include "tlog/note.h"
#include "tlog/tree.h"

/* Checkpoints (provenance 1.4): the text in which a log says how large its tree is and what its root is, to be signed
 * as a note; and what witnesses add to such a note, cosignature/v1 (1.6). */
#define CHECKPOINT_TEXT_MOST 8192 /* bytes, so that a hundred signatures over it are soon checked */

struct checkpoint {
    struct str origin; /* the log's name for all its life: a key name, so without spaces and '+' */
    uint64_t size;     /* at most INT64_MAX */
    struct tlog_hash root;
    struct str extensions; /* further lines with their newlines; only read, since our log writes none */
};

/* Appends the text: origin, size and root, a line each. */
void checkpoint_write(struct buf *out, const struct checkpoint *checkpoint);

/* Reads a note's text; *out points into it. INVALID when it is not a checkpoint; UNPROCESSABLE, with *out filled, when
 * it says size 0 with another root than that of the empty tree: a log signed that, and a witness has an answer to it.
 */
enum status checkpoint_parse(struct str text, struct checkpoint *out, struct error *err);

/*
 * Reads a whole checkpoint note and requires log's signature. log is of kind NOTE_ED25519 and its name is the origin.
 * Errors: those of note_parse, checkpoint_parse and note_verify; UNPROCESSABLE when it is another log's.
 */
enum status checkpoint_open(struct arena *arena, struct str bytes, const struct note_verifier *log, struct note *note,
                            struct checkpoint *out, struct error *err);

/* Appends a whole note: the checkpoint, an empty line, the line of signer, whose name is the origin (INVALID else). */
enum status checkpoint_sign(const struct checkpoint *checkpoint, const struct note_signer *signer, struct buf *out,
                            struct error *err);

/*
 * Appends the line with which a witness (a signer of kind NOTE_COSIGNATURE) says that at time, in seconds since 1970,
 * this was the largest tree it had seen of the log and that it grew consistently: the caller has checked that.
 */
void cosignature_sign(struct str text, const struct note_signer *signer, uint64_t time, struct buf *out);

/* What the witness says to the note; its time is in *time when NOTE_SIGNED. For NOTE_ML_DSA always NOTE_UNSIGNED. */
enum note_verdict cosignature_check(const struct note *note, const struct note_verifier *witness, uint64_t *time);

#endif

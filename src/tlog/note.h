/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_NOTE_H
#define CAIRN_TLOG_NOTE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * Signed notes (provenance 1.3): a text, an empty line, and lines that sign the text. A line names its key by a name
 * and a number; only a key that the reader was given beforehand makes it worth anything.
 */
#define NOTE_MOST (1024 * 1024)
#define NOTE_LINES_MOST 100
#define NOTE_NAME_MOST 1024
#define NOTE_SIGNATURE_SIZE 64
#define NOTE_SEED_SIZE 32
#define NOTE_PUBLIC_SIZE 32

enum note_kind {
    NOTE_ED25519 = 1,     /* signs the text: logs */
    NOTE_COSIGNATURE = 4, /* Ed25519 over a time and a checkpoint (checkpoint.h): witnesses */
    NOTE_ML_DSA = 6,      /* known, so that policies may list it; nothing here can verify it */
};

/* A public key under its name. */
struct note_verifier {
    enum note_kind kind;
    struct str name;
    uint32_t id;
    uint8_t public_key[NOTE_PUBLIC_SIZE]; /* zero for NOTE_ML_DSA */
};

/* A private key; keep it out of logs and clear it with note_signer_clear(). */
struct note_signer {
    struct note_verifier verifier;
    uint8_t seed[NOTE_SEED_SIZE];
};

struct note_line {
    struct str name;
    uint32_t id;
    struct str signature; /* what stands behind the id; at least one byte */
};

struct note {
    struct str text; /* with its last newline */
    struct note_line *lines;
    size_t count;
};

/* UTF-8 of 1 to NOTE_NAME_MOST bytes without Unicode white space, '+', and characters below the space. */
bool note_name_valid(struct str name);

/*
 * Reads a note; nothing is verified. INVALID for what is not one in every byte, or has more than NOTE_LINES_MOST lines;
 * TOO_LARGE over NOTE_MOST bytes. *out lives in the arena and does not need bytes any more.
 */
enum status note_parse(struct arena *arena, struct str bytes, struct note *out, struct error *err);

/* The first line with that verifier's name and id; NULL when there is none. Others with the same are to be ignored. */
const struct note_line *note_find(const struct note *note, const struct note_verifier *verifier);

enum note_verdict {
    NOTE_UNSIGNED, /* no line of that key */
    NOTE_SIGNED,
    NOTE_FORGED, /* a line of that key that does not hold: the whole note must be refused */
};

/* What the verifier, of kind NOTE_ED25519, says to the note. */
enum note_verdict note_check(const struct note *note, const struct note_verifier *verifier);

/* Passes when at least one of the verifiers, all of kind NOTE_ED25519, has signed; UNPROCESSABLE else or on a forged
 * line. */
enum status note_verify(const struct note *note, const struct note_verifier *verifiers, size_t count,
                        struct error *err);

/*
 * Appends the line with which signer (of kind NOTE_ED25519) signs text. A whole note is text, a newline, and lines.
 * INVALID when text is not fit for a note: see note_parse; it ends in a newline.
 */
enum status note_sign(struct str text, const struct note_signer *signer, struct buf *out, struct error *err);

/* Appends any signature line; a line from note_parse() comes out as it was. */
void note_line_write(struct buf *out, const struct note_line *line);

/*
 * The text of a public key: name+id+base64(kind, key), for example "hub.example.org/log/1+33d7b496+AeHT…". The
 * verifier's name is copied into the arena. INVALID when malformed or when the id is not that of the name and key;
 * UNSUPPORTED for kinds that enum note_kind lacks.
 */
enum status note_verifier_parse(struct arena *arena, struct str text, struct note_verifier *out, struct error *err);
void note_verifier_write(struct buf *out, const struct note_verifier *verifier); /* not for NOTE_ML_DSA */

/*
 * The text of a private key, "PRIVATE+KEY+" before the form above with the seed in place of the key. Go's tools write
 * kind 1 for witnesses as well: note_signer_make() turns such a key into one for cosignatures.
 */
enum status note_signer_parse(struct arena *arena, struct str text, struct note_signer *out, struct error *err);
void note_signer_write(struct buf *out, const struct note_signer *signer);

/* A key from its seed; kind is NOTE_ED25519 or NOTE_COSIGNATURE. INVALID for a bad name, which is copied into the
 * arena. */
enum status note_signer_make(struct arena *arena, enum note_kind kind, struct str name,
                             const uint8_t seed[NOTE_SEED_SIZE], struct note_signer *out, struct error *err);
void note_signer_clear(struct note_signer *signer);

/* Ed25519 over any message; for what else is signed with these keys. */
void note_signature_make(const struct note_signer *signer, struct str message, uint8_t out[NOTE_SIGNATURE_SIZE]);
bool note_signature_holds(const struct note_verifier *verifier, struct str message, struct str signature);

#endif

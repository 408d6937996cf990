/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/checkpoint.h"

#include "tlog/text.h"

#include <assert.h>
#include <endian.h>

#define TIME_SIZE 8

void checkpoint_write(struct buf *out, const struct checkpoint *checkpoint)
{
    assert(checkpoint->size <= INT64_MAX);
    buf_str(out, checkpoint->origin);
    buf_printf(out, "\n%llu\n", (unsigned long long)checkpoint->size);
    tlog_hash_write(out, &checkpoint->root);
    buf_byte(out, '\n');
}

/* Whether text is whole lines, none of them empty. */
static bool lines_given(struct str text)
{
    struct str line;
    while (tlog_line(&text, &line))
        if (line.len == 0)
            return false;
    return text.len == 0;
}

enum status checkpoint_parse(struct str text, struct checkpoint *out, struct error *err)
{
    struct str size, root;
    struct tlog_hash empty = tlog_root(&(struct tlog_frontier){0});
    *out = (struct checkpoint){0};
    if (text.len > CHECKPOINT_TEXT_MOST)
        return fail(err, TOO_LARGE, NULL, "The text of the checkpoint has %zu bytes; %d are allowed.", text.len,
                    CHECKPOINT_TEXT_MOST);
    if (!tlog_line(&text, &out->origin) || out->origin.len == 0 || !tlog_line(&text, &size) ||
        !tlog_decimal(size, &out->size) || !tlog_line(&text, &root) || !tlog_hash_parse(root, &out->root) ||
        !lines_given(text))
        return fail(err, INVALID, NULL,
                    "This is not a checkpoint: its lines should be the name of the log, the size of "
                    "its tree in decimal, and the root in base64.");
    out->extensions = text;
    if (out->size == 0 && !tlog_hash_eq(&out->root, &empty))
        return fail(err, UNPROCESSABLE, NULL,
                    "The checkpoint gives an empty tree a root that is not the empty tree's.");
    return OK;
}

enum status checkpoint_open(struct arena *arena, struct str bytes, const struct note_verifier *log, struct note *note,
                            struct checkpoint *out, struct error *err)
{
    TRY(note_parse(arena, bytes, note, err));
    TRY(checkpoint_parse(note->text, out, err));
    if (!str_eq(out->origin, log->name))
        return fail(err, UNPROCESSABLE, NULL, "The checkpoint is of the log %.*s, not of %.*s.", STR_ARG(out->origin),
                    STR_ARG(log->name));
    return note_verify(note, log, 1, err);
}

enum status checkpoint_sign(const struct checkpoint *checkpoint, const struct note_signer *signer, struct buf *out,
                            struct error *err)
{
    if (!str_eq(checkpoint->origin, signer->verifier.name))
        return fail(err, INVALID, NULL, "The key is that of the log %.*s and does not sign for %.*s.",
                    STR_ARG(signer->verifier.name), STR_ARG(checkpoint->origin));
    auto_buf struct buf note = {0};
    checkpoint_write(&note, checkpoint);
    auto_buf struct buf line = {0};
    TRY(note_sign(buf_view(&note), signer, &line, err));
    buf_byte(&note, '\n');
    buf_str(&note, buf_view(&line));
    buf_str(out, buf_view(&note));
    return OK;
}

/* A cosignature covers its time and the whole text. */
static void cosigned_message(struct buf *out, struct str text, uint64_t time)
{
    buf_printf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
    buf_str(out, text);
}

void cosignature_sign(struct str text, const struct note_signer *signer, uint64_t time, struct buf *out)
{
    assert(signer->verifier.kind == NOTE_COSIGNATURE && time <= INT64_MAX);
    auto_buf struct buf message = {0};
    cosigned_message(&message, text, time);
    uint8_t signature[TIME_SIZE + NOTE_SIGNATURE_SIZE];
    uint64_t stored = htobe64(time);
    memcpy(signature, &stored, TIME_SIZE);
    note_signature_make(signer, buf_view(&message), signature + TIME_SIZE);
    note_line_write(out, &(struct note_line){
                             signer->verifier.name, signer->verifier.id, {(const char *)signature, sizeof signature}});
}

enum note_verdict cosignature_check(const struct note *note, const struct note_verifier *witness, uint64_t *time)
{
    assert(witness->kind == NOTE_COSIGNATURE || witness->kind == NOTE_ML_DSA);
    const struct note_line *line = witness->kind == NOTE_ML_DSA ? NULL : note_find(note, witness);
    if (!line)
        return NOTE_UNSIGNED;
    if (line->signature.len != TIME_SIZE + NOTE_SIGNATURE_SIZE)
        return NOTE_FORGED;
    uint64_t stored;
    memcpy(&stored, line->signature.data, TIME_SIZE);
    *time = be64toh(stored);
    auto_buf struct buf message = {0};
    cosigned_message(&message, note->text, *time);
    bool holds =
        *time <= INT64_MAX && note_signature_holds(witness, buf_view(&message), str_from(line->signature, TIME_SIZE));
    return holds ? NOTE_SIGNED : NOTE_FORGED;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A note, checkpoint or key that is read says, when written again, what it said before: there is one form of each. */
#include "tlog/checkpoint.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void checkpoint_again(struct str text)
{
    auto_buf struct buf again = {0};
    struct checkpoint checkpoint;
    if (checkpoint_parse(text, &checkpoint, NULL) != OK)
        return;
    must(checkpoint.size <= INT64_MAX && checkpoint.origin.len > 0);
    checkpoint_write(&again, &checkpoint);
    buf_str(&again, checkpoint.extensions);
    must(str_eq(buf_view(&again), text));
}

static void note_again(struct arena *arena, struct str bytes)
{
    auto_buf struct buf again = {0};
    struct note note;
    struct error err = {0};
    if (note_parse(arena, bytes, &note, &err) != OK) {
        must(err.message[0]);
        return;
    }
    must(note.count > 0 && note.count <= NOTE_LINES_MOST);
    buf_str(&again, note.text);
    buf_byte(&again, '\n');
    for (size_t i = 0; i < note.count; i++) {
        must(note_name_valid(note.lines[i].name) && note.lines[i].signature.len > 0);
        note_line_write(&again, &note.lines[i]);
    }
    must(str_eq(buf_view(&again), bytes));
    checkpoint_again(note.text);
    struct note_verifier verifier = {NOTE_ED25519, note.lines[0].name, note.lines[0].id, {0}};
    must(note_check(&note, &verifier) != NOTE_UNSIGNED);
    verifier.kind = NOTE_COSIGNATURE;
    uint64_t time;
    must(cosignature_check(&note, &verifier, &time) != NOTE_UNSIGNED);
}

static void keys_again(struct arena *arena, struct str text)
{
    auto_buf struct buf again = {0};
    struct note_verifier verifier;
    struct note_signer signer;
    if (note_verifier_parse(arena, text, &verifier, NULL) == OK && verifier.kind != NOTE_ML_DSA) {
        note_verifier_write(&again, &verifier);
        must(str_eq(buf_view(&again), text));
    } else if (note_signer_parse(arena, text, &signer, NULL) == OK) {
        note_signer_write(&again, &signer);
        must(str_eq(buf_view(&again), text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    struct str bytes = {(const char *)data, len};
    note_again(&arena, bytes);
    checkpoint_again(bytes);
    keys_again(&arena, bytes);
    return 0;
}

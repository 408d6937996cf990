/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/note.h"

#include "base/text.h"
#include "tlog/text.h"

#include <assert.h>
#include <endian.h>

#define DASH STR("\xE2\x80\x94 ")
#define ID_SIZE 4

/* The characters with Unicode's White_Space property. */
static bool is_space(uint32_t c)
{
    return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool note_name_valid(struct str name)
{
    if (name.len == 0 || name.len > NOTE_NAME_MOST)
        return false;
    while (name.len) {
        uint32_t c;
        size_t len = str_utf8_char(name, &c);
        if (len == 0 || c < ' ' || c == '+' || is_space(c))
            return false;
        name = str_from(name, len);
    }
    return true;
}

static bool characters_valid(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' && text.data[i] != '\n')
            return false;
    return str_is_utf8(text);
}

/* The length of the text: what stands before the last empty line, its newline included; 0 when there is no such line.
 */
static size_t text_length(struct str bytes)
{
    for (size_t i = bytes.len; i > 1; i--)
        if (bytes.data[i - 1] == '\n' && bytes.data[i - 2] == '\n')
            return i - 1;
    return 0;
}

static bool line_parse(struct arena *arena, struct str text, struct note_line *out)
{
    struct str blob;
    uint32_t id;
    if (!str_starts(text, DASH))
        return false;
    text = str_from(text, DASH.len);
    if (!str_cut(&text, ' ', &out->name) || !note_name_valid(out->name) || !base64_decode(arena, text, &blob) ||
        blob.len <= ID_SIZE)
        return false;
    memcpy(&id, blob.data, ID_SIZE);
    out->id = be32toh(id);
    out->signature = str_from(blob, ID_SIZE);
    return true;
}

enum status note_parse(struct arena *arena, struct str bytes, struct note *out, struct error *err)
{
    if (bytes.len > NOTE_MOST)
        return fail(err, TOO_LARGE, NULL, "The signed note has %zu bytes; %d are allowed.", bytes.len, NOTE_MOST);
    bytes = arena_copy(arena, bytes);
    size_t length = text_length(bytes);
    if (length == 0 || !characters_valid(bytes))
        return fail(err, INVALID, NULL,
                    "This is not a signed note: it should be UTF-8 without control characters, with an empty line "
                    "between its text and its signatures.");
    struct str rest = str_from(bytes, length + 1), line;
    *out = (struct note){{bytes.data, length}, NULL, 0};
    size_t capacity = 0;
    while (tlog_line(&rest, &line)) {
        if (out->count == NOTE_LINES_MOST)
            return fail(err, INVALID, NULL, "The signed note has more than %d signatures.", NOTE_LINES_MOST);
        out->lines = array_room(arena, out->lines, out->count, &capacity, sizeof *out->lines);
        if (!line_parse(arena, line, &out->lines[out->count++]))
            return fail(err, INVALID, NULL, "Signature line %zu of the signed note is malformed.", out->count);
    }
    if (rest.len || out->count == 0)
        return fail(err, INVALID, NULL, "The signed note does not end in whole signature lines.");
    return OK;
}

const struct note_line *note_find(const struct note *note, const struct note_verifier *verifier)
{
    for (size_t i = 0; i < note->count; i++)
        if (note->lines[i].id == verifier->id && str_eq(note->lines[i].name, verifier->name))
            return &note->lines[i];
    return NULL;
}

enum note_verdict note_check(const struct note *note, const struct note_verifier *verifier)
{
    assert(verifier->kind == NOTE_ED25519);
    const struct note_line *line = note_find(note, verifier);
    if (!line)
        return NOTE_UNSIGNED;
    return note_signature_holds(verifier, note->text, line->signature) ? NOTE_SIGNED : NOTE_FORGED;
}

enum status note_verify(const struct note *note, const struct note_verifier *verifiers, size_t count, struct error *err)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++) {
        enum note_verdict verdict = note_check(note, &verifiers[i]);
        if (verdict == NOTE_FORGED)
            return fail(err, UNPROCESSABLE, NULL,
                        "The signature of %.*s does not fit the note: one of them was changed.",
                        STR_ARG(verifiers[i].name));
        good += verdict == NOTE_SIGNED;
    }
    if (good == 0)
        return fail(err, UNPROCESSABLE, NULL, "The note is signed by no key that is trusted here.");
    return OK;
}

void note_line_write(struct buf *out, const struct note_line *line)
{
    auto_buf struct buf blob = {0};
    uint32_t id = htobe32(line->id);
    buf_add(&blob, &id, sizeof id);
    buf_str(&blob, line->signature);
    buf_str(out, DASH);
    buf_str(out, line->name);
    buf_byte(out, ' ');
    tlog_base64(out, blob.data, blob.len);
    buf_byte(out, '\n');
}

enum status note_sign(struct str text, const struct note_signer *signer, struct buf *out, struct error *err)
{
    assert(signer->verifier.kind == NOTE_ED25519);
    if (!str_ends(text, STR("\n")) || !characters_valid(text) || text.len > NOTE_MOST / 2)
        return fail(err, INVALID, NULL,
                    "A text to be signed should be UTF-8 lines without control characters, of %d bytes at most.",
                    NOTE_MOST / 2);
    uint8_t signature[NOTE_SIGNATURE_SIZE];
    note_signature_make(signer, text, signature);
    note_line_write(out, &(struct note_line){
                             signer->verifier.name, signer->verifier.id, {(const char *)signature, sizeof signature}});
    return OK;
}

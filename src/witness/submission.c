/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness/submission.h"

#include "tlog/text.h"

#define OLD STR("old ")

enum status submission_parse(struct arena *arena, struct str body, struct submission *out, struct error *err)
{
    struct str line;
    *out = (struct submission){0};
    if (body.len > SUBMISSION_MOST)
        return fail(err, TOO_LARGE, NULL, "What is submitted has %zu bytes; %d are allowed.", body.len,
                    SUBMISSION_MOST);
    if (!tlog_line(&body, &line) || !str_starts(line, OLD) || !tlog_decimal(str_from(line, OLD.len), &out->old))
        return fail(err, INVALID, NULL, "The first line should be \"old\" and the size of the last tree in decimal.");
    if (!tlog_path_parse(&body, &out->proof))
        return fail(err, INVALID, NULL,
                    "Behind the first line should stand the hashes of the proof, at most %d lines of base64, and an "
                    "empty line.",
                    TLOG_LINES_MOST);
    TRY(note_parse(arena, body, &out->note, err));
    struct error why = {0};
    enum status status = checkpoint_parse(out->note.text, &out->checkpoint, &why);
    return status == OK || status == UNPROCESSABLE ? OK : fail(err, status, NULL, "%s", why.message);
}

void submission_write(struct buf *out, uint64_t old, const struct tlog_path *proof, struct str note)
{
    buf_printf(out, "old %llu\n", (unsigned long long)old);
    tlog_path_write(out, proof);
    buf_str(out, note);
}

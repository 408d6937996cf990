/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is read as a submission says, when written again, what it said before. */
#include "witness/submission.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf note = {0}, again = {0};
    struct str body = {(const char *)data, len};
    struct submission what;
    struct error err = {0};
    if (submission_parse(&arena, body, &what, &err) != OK) {
        if (!err.message[0])
            abort();
        return 0;
    }
    if (len > SUBMISSION_MOST || what.checkpoint.size > INT64_MAX || what.old > INT64_MAX || what.note.count == 0)
        abort();
    buf_str(&note, what.note.text);
    buf_byte(&note, '\n');
    for (size_t i = 0; i < what.note.count; i++)
        note_line_write(&note, &what.note.lines[i]);
    submission_write(&again, what.old, &what.proof, buf_view(&note));
    if (!str_eq(buf_view(&again), body))
        abort();
    return 0;
}

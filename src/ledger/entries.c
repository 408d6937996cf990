/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ledger/internal.h"

#include <errno.h>
#include <unistd.h>

#define WINDOW ((size_t)1024 * 1024)
#define LENGTH_SIZE 2

/* Has at least need bytes in the window, which then begins with them. */
static enum status window_fill(struct entry_reader *reader, size_t need, struct error *err)
{
    struct buf *window = &reader->window;
    if (window->len - reader->at >= need)
        return OK;
    buf_reserve(window, WINDOW);
    window->len -= reader->at;
    memmove(window->data, window->data + reader->at, window->len);
    reader->at = 0;
    while (window->len < need) {
        ssize_t got =
            pread(reader->fd, window->data + window->len, WINDOW - window->len, (off_t)(reader->offset + window->len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, "the entries of the log");
        if (got == 0)
            return fail(err, CORRUPT, NULL, "The entries of the log end within an entry, at byte %llu.",
                        (unsigned long long)(reader->offset + window->len));
        window->len += (size_t)got;
    }
    return OK;
}

enum status entries_next(struct entry_reader *reader, struct str *entry, struct error *err)
{
    TRY(window_fill(reader, LENGTH_SIZE, err));
    const uint8_t *head = (const uint8_t *)reader->window.data + reader->at;
    size_t len = (size_t)(head[0] << 8 | head[1]);
    TRY(window_fill(reader, LENGTH_SIZE + len, err));
    *entry = (struct str){reader->window.data + reader->at + LENGTH_SIZE, len};
    reader->at += LENGTH_SIZE + len;
    reader->offset += LENGTH_SIZE + len;
    return OK;
}

void entries_end(struct entry_reader *reader)
{
    buf_free(&reader->window);
}

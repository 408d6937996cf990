/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_BUF_H
#define CAIRN_BASE_BUF_H

#include "base/str.h"

/* A growing byte buffer on the heap. {0} is an empty one. Out of memory aborts. */
struct buf {
    char *data;
    size_t len, capacity;
};

#define auto_buf __attribute__((cleanup(buf_free)))

void buf_free(struct buf *buf);
void buf_reserve(struct buf *buf, size_t more); /* room for at least that many further bytes */
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_str(struct buf *buf, struct str s);
static inline void buf_byte(struct buf *buf, char c)
{
    if (buf->len == buf->capacity)
        buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
}
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct str buf_view(const struct buf *buf)
{
    return (struct str){buf->data ? buf->data : "", buf->len};
}

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALLEST 128

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_reserve(struct buf *buf, size_t more)
{
    if (buf->capacity - buf->len >= more)
        return;
    size_t need, capacity;
    if (__builtin_add_overflow(buf->len, more, &need))
        abort();
    if (__builtin_add_overflow(buf->capacity, buf->capacity / 2, &capacity) || capacity < need)
        capacity = need;
    if (capacity < SMALLEST)
        capacity = SMALLEST;
    buf->data = realloc(buf->data, capacity);
    if (!buf->data)
        abort();
    buf->capacity = capacity;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    buf_reserve(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void buf_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.data, s.len);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    buf_reserve(buf, SMALLEST);
    int len = vsnprintf(buf->data + buf->len, buf->capacity - buf->len, format, args);
    if (len < 0)
        abort();
    if ((size_t)len >= buf->capacity - buf->len) {
        buf_reserve(buf, (size_t)len + 1); /* the 1 is vsnprintf()'s NUL, which is not part of the buffer */
        vsnprintf(buf->data + buf->len, buf->capacity - buf->len, format, again);
    }
    buf->len += (size_t)len;
    va_end(again);
    va_end(args);
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/log.h"

#include "base/json.h"
#include "base/time.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

/* What standard error does not take is lost: there is nobody left to tell. */
static void emit(struct str line)
{
    struct iovec parts[2] = {{(void *)line.data, line.len}, {"\n", 1}};
    while (writev(STDERR_FILENO, parts, 2) < 0 && errno == EINTR)
        continue;
}

void log_line(const char *level, const char *event, const char *format, ...)
{
    int saved_errno = errno; /* so that a caller can log first and fail_errno() after */
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);

    auto_arena struct arena arena = {0};
    auto_buf struct buf line = {0};
    struct json_writer w = jw_to(&line);
    jw_object(&w);
    jw_key_str(&w, "at", time_iso(&arena, now_us()));
    jw_key_str(&w, "level", str_of(level));
    jw_key_str(&w, "event", str_of(event));
    jw_key_str(&w, "message", str_of(message));
    jw_end(&w);
    emit(buf_view(&line));
    errno = saved_errno;
}

void log_json(const struct buf *object)
{
    emit(buf_view(object));
}

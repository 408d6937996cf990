/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "base/json.h"
#include "base/time.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void log_json(const struct buf *object)
{
    auto_buf struct buf line = {0};
    buf_str(&line, buf_view(object));
    buf_byte(&line, '\n');
    /* A log that cannot be written must not stop the hub: there is nobody left to tell. */
    ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
    (void)ignored;
}

void log_line(const char *level, const char *event, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    auto_arena struct arena arena = {0};
    auto_buf struct buf object = {0};
    struct json_writer w = jw_to(&object);
    jw_object(&w);
    jw_key_str(&w, "at", time_iso(&arena, now_us()));
    jw_key_str(&w, "level", str_of(level));
    jw_key_str(&w, "event", str_of(event));
    jw_key_str(&w, "message", str_of(message));
    jw_end(&w);
    log_json(&object);
}

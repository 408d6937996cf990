/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/error.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What is cut in the middle of a UTF-8 character would make the whole message invalid. */
static void drop_cut_character(char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (need > len - start + 1)
        text[start - 1] = '\0';
}

/* Messages quote what people sent. They go out as JSON and as a header, which must say the same. */
static void mend_utf8(char *text)
{
    uint32_t code_point;
    struct str rest = str_of(text);
    for (size_t at = 0, step; at < rest.len; at += step) {
        step = str_utf8_char(str_from(rest, at), &code_point);
        if (step == 0) {
            text[at] = '?';
            step = 1;
        }
    }
}

enum status fail(struct error *err, enum status status, const char *code, const char *format, ...)
{
    if (!err)
        return status;
    struct error made = {.status = status}; /* apart from *err, because the arguments may point into it */
    if (code)
        snprintf(made.code, sizeof made.code, "%s", code);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(made.message, sizeof made.message, format, args);
    va_end(args);
    if (len >= (int)sizeof made.message)
        drop_cut_character(made.message, sizeof made.message - 1);
    mend_utf8(made.message);
    *err = made;
    return status;
}

bool error_is(const struct error *err, const char *code)
{
    return strcmp(err->code, code) == 0;
}

void error_explain(struct error *err, const char *reason, int64_t until_us, const char *next_format, ...)
{
    if (!err)
        return;
    snprintf(err->reason, sizeof err->reason, "%s", reason);
    err->until_us = until_us;
    if (!next_format)
        return;
    va_list args;
    va_start(args, next_format);
    vsnprintf(err->next, sizeof err->next, next_format, args);
    va_end(args);
}

enum status fail_errno(struct error *err, const char *what)
{
    int number = errno;
    enum status status = INTERNAL;
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the limit of a process, or of the file system: there is no more room for this file either */
        status = NO_SPACE;
        break;
    case ENOENT:
        status = NOT_FOUND;
        break;
    case EACCES:
    case EPERM:
        status = FORBIDDEN;
        break;
    }
    char text[128];
    return fail(err, status, NULL, "%s: %s", what, strerror_r(number, text, sizeof text));
}

int status_http(enum status status)
{
    switch (status) {
    case OK:
        return 200;
    case INVALID:
        return 400;
    case UNAUTHENTICATED:
        return 401;
    case FORBIDDEN:
        return 403;
    case UNPAID:
        return 402;
    case NOT_FOUND:
        return 404;
    case NOT_ALLOWED:
        return 405;
    case TIMED_OUT:
        return 408;
    case CONFLICT:
        return 409;
    case STALE:
        return 412;
    case TOO_LARGE:
        return 413;
    case BAD_RANGE:
        return 416;
    case UNPROCESSABLE:
        return 422;
    case TOO_MANY:
        return 429;
    case INTERNAL:
    case CORRUPT:
        return 500;
    case UNSUPPORTED:
        return 501;
    case UNAVAILABLE:
        return 503;
    case NO_SPACE:
        return 507;
    }
    return 500;
}

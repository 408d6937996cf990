/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum status fail(struct error *err, enum status status, const char *code, const char *format, ...)
{
    if (!err)
        return status;
    va_list arguments;
    va_start(arguments, format);
    /* Formatted aside first: an argument may well be the message that err holds. */
    char message[sizeof err->message];
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    err->status = status;
    snprintf(err->code, sizeof err->code, "%s", code ? code : "");
    memcpy(err->message, message, sizeof message);
    return status;
}

enum status fail_errno(struct error *err, const char *what)
{
    int number = errno;
    enum status status = INTERNAL;
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        status = NO_SPACE;
    else if (number == ENOENT)
        status = NOT_FOUND;
    else if (number == EACCES || number == EPERM || number == EROFS)
        status = FORBIDDEN;
    else if (number == EEXIST)
        status = CONFLICT;
    char text[128];
    return fail(err, status, NULL, "%s: %s", what, strerror_r(number, text, sizeof text));
}

int status_http(enum status status)
{
    static const int http[] = {
        [OK] = 200,        [INVALID] = 400,   [UNAUTHENTICATED] = 401, [FORBIDDEN] = 403,   [NOT_FOUND] = 404,
        [NOT_ALLOWED] = 405, [TIMED_OUT] = 408, [CONFLICT] = 409,      [STALE] = 412,       [TOO_LARGE] = 413,
        [BAD_RANGE] = 416, [UNPROCESSABLE] = 422, [TOO_MANY] = 429,    [INTERNAL] = 500,    [CORRUPT] = 500,
        [UNSUPPORTED] = 501, [UNAVAILABLE] = 503, [NO_SPACE] = 507,
    };
    return http[status];
}

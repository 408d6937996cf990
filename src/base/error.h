/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_ERROR_H
#define CAIRN_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One error type for the whole program. A function that can fail returns an enum status and fills a struct error;
 * callers pass both up with TRY. Only the dispatcher (HTTP) and main (exit status) print them.
 */
enum status {
    OK = 0,
    INVALID,         /* 400: the input is malformed */
    UNAUTHENTICATED, /* 401: who are you? */
    UNPAID,          /* 402: a payment would help */
    FORBIDDEN,       /* 403: you may not */
    NOT_FOUND,       /* 404 */
    NOT_ALLOWED,     /* 405: the path exists, the method does not */
    TIMED_OUT,       /* 408: the peer was too slow */
    CONFLICT,        /* 409: it exists already */
    STALE,           /* 412: the state moved since you looked */
    TOO_LARGE,       /* 413 */
    BAD_RANGE,       /* 416 */
    UNPROCESSABLE,   /* 422: well-formed, but cannot be done */
    TOO_MANY,        /* 429 */
    INTERNAL,        /* 500: a bug of ours, or a library said no without a reason */
    CORRUPT,         /* 500: stored data is damaged */
    UNSUPPORTED,     /* 501 */
    UNAVAILABLE,     /* 503: try again later */
    NO_SPACE,        /* 507: disk or quota is full */
};

struct error {
    enum status status;
    char code[48];      /* for machines: "RevisionNotFound"; "" where the protocol has none */
    char message[1024]; /* for people: what happened, why, what to do next; UTF-8, no secret in it */

    /* Of a refusal by a gate, besides: a word for machines, where to go on (a path of the hub), and until when it holds,
     * in microseconds since 1970. "" and 0 where there is none; fail() empties them. */
    char reason[24], next[256];
    int64_t until_us;
};

/*
 * Fills err and returns status, so that a failing path is one line: return fail(err, NOT_FOUND, "EntryNotFound", …).
 * code may be NULL. A message that is too long is cut. err may be NULL where the caller does not care.
 */
enum status fail(struct error *err, enum status status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

bool error_is(const struct error *err, const char *code);

/* After fail(): fills reason, until_us and, by the format, next; a NULL format is for a refusal that no step ends. */
void error_explain(struct error *err, const char *reason, int64_t until_us, const char *next_format, ...)
    __attribute__((format(printf, 4, 5)));

/* fail() for a failed system call: turns errno into a status (ENOSPC, EDQUOT and EFBIG: NO_SPACE, ENOENT: NOT_FOUND, …). */
enum status fail_errno(struct error *err, const char *what);

/* The HTTP status that goes with a status; 200 for OK. */
int status_http(enum status status);

#define TRY(expression)                                                                                                \
    do {                                                                                                               \
        enum status try_status_ = (expression);                                                                        \
        if (try_status_ != OK)                                                                                         \
            return try_status_;                                                                                        \
    } while (0)

#endif

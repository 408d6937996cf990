/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_FETCH_FETCH_H
#define CAIRN_FETCH_FETCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * An HTTP client, over libcurl: for what Cairn asks of other servers (witnesses) and its commands of a hub. http and
 * https only, certificates checked, no proxy but what the environment names, no cookies.
 */
struct fetch {
    const char *method;    /* NULL: GET, or POST where there is a body */
    struct str url;        /* http:// or https:// */
    struct str token;      /* sent as "Authorization: Bearer", and to no other host after a redirect; absent for none */
    struct str basic;      /* "user:password", sent as "Authorization: Basic", as token is; absent for none */
    struct str type, body; /* of a POST or PUT; absent for none */
    const char *range;     /* "0-1023": only these bytes, where the server can (it answers 206 then); NULL: all */
    size_t limit;          /* bytes that the answer's body may have; 0: 1 MiB */
    int timeout_ms;        /* for all of it; 0: 30 s */
    bool follow;           /* redirects, five at most */
    bool public_only;      /* to no address but a public one, whatever the name leads to: for what strangers may name */
    struct buf *into;      /* the answer's body is appended, if there is one; NULL: it lives in the arena */
};

struct fetch_answer {
    int status;      /* of HTTP, whatever it is */
    struct str type; /* Content-Type without parameters; "" when there was none */
    struct str body;
    struct str error_code; /* X-Error-Code, by which a hub says what was wrong; "" when there was none */
};

/*
 * *out lives in the arena. An answer of any HTTP status is OK; the caller looks at it. UNAVAILABLE when there was no
 * answer, with the reason; TIMED_OUT; TOO_LARGE over limit; INVALID for other kinds of addresses. On any thread.
 */
enum status fetch(struct arena *arena, const struct fetch *what, struct fetch_answer *out, struct error *err);

#endif

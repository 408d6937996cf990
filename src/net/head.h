/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NET_HEAD_H
#define CAIRN_NET_HEAD_H

#include "net/http.h"

/* The request head as bytes: pure functions without input or output, the first thing that foreign bytes meet. */

#define HEAD_HEADERS 100 /* more than any client sends; each costs a search in http_header() */

/* Where the search for the end of a head stands, so that a head in many small pieces is not searched again each time.
 */
struct head_scan {
    size_t line;    /* start of the line that is not yet complete */
    size_t scanned; /* no LF before this */
    size_t lines;   /* complete lines so far, the request line included */
};

enum head_found { HEAD_MORE, HEAD_COMPLETE, HEAD_BAD };

/*
 * Looks for the empty line that ends a head in the first len bytes; data may move between calls, its content may not
 * change. HEAD_COMPLETE: *head_len counts the head with its empty line. HEAD_BAD: a line that does not end in CRLF, or
 * bytes that cannot begin a request; found at once, so that a client that ends lines otherwise gets an answer and not a
 * timeout.
 */
enum head_found head_find_end(struct head_scan *scan, const char *data, size_t len, size_t *head_len);

struct head {
    enum http_method method;
    struct str target, path, query;
    struct http_header *headers;
    size_t header_count;
    bool http11, chunked, keep_alive, expects_continue;
    int64_t content_length; /* -1 when chunked */
};

/*
 * Parses one head of exactly len bytes, empty line included, into views of it. out->headers has room for capacity of
 * them. Returns 0, or the HTTP status to refuse it with and the reason for people in *reason (a literal).
 */
int head_parse(const char *data, size_t len, struct http_header *headers, size_t capacity, struct head *out,
               const char **reason);

#endif

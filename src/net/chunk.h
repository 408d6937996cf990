/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NET_CHUNK_H
#define CAIRN_NET_CHUNK_H

#include "base/str.h"

/*
 * The framing of a chunked body (RFC 9112 section 7.1), strictly: sizes in 1 to 15 hexadecimal digits, CRLF after each
 * line and each piece. Extensions are dropped, as are trailers; both are bounded over the whole body. {0} is the start
 * of a body.
 */
struct chunk_decoder {
    int64_t left;  /* body bytes of the present chunk that are still to come */
    size_t extras; /* bytes of extensions and trailers so far */
    unsigned char state, digits;
};

enum chunk_found {
    CHUNK_MORE, /* everything consumed, more framing must come */
    CHUNK_DATA, /* decoder->left body bytes come next; the caller takes some and lowers left by as many */
    CHUNK_END,  /* the body is complete */
    CHUNK_BAD,
};

/* Consumes framing from the start of data. *used is how much of it; body bytes are never consumed. */
enum chunk_found chunk_next(struct chunk_decoder *decoder, const char *data, size_t len, size_t *used);

#endif

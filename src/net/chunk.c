/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/chunk.h"

#define EXTRAS_LIMIT (16 << 10)
#define DIGITS_LIMIT 15 /* fits int64_t without a check for overflow */

enum {
    SIZE,          /* in the digits of a chunk's size */
    EXTENSION,     /* after the ';' */
    SIZE_LF,       /* the size line wants its LF */
    DATA,          /* inside a chunk, or just behind its last byte */
    DATA_LF,       /* the chunk wants its LF */
    TRAILER_START, /* at the start of a trailer line, or of the empty one that ends the body */
    TRAILER,       /* inside a trailer line */
    TRAILER_LF,
    LAST_LF,
    END,
    BAD,
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static unsigned char after_digit(struct chunk_decoder *d, char c)
{
    int value = hex_value(c);
    if (value >= 0) {
        if (d->digits == DIGITS_LIMIT)
            return BAD;
        d->digits++;
        d->left = d->left * 16 + value;
        return SIZE;
    }
    if (d->digits == 0)
        return BAD;
    return c == ';' ? EXTENSION : c == '\r' ? SIZE_LF : BAD;
}

/* Extensions and trailers: nobody reads them, but a control character in them is somebody's trick. */
static unsigned char after_extra(struct chunk_decoder *d, char c, unsigned char state, unsigned char at_cr)
{
    if (c == '\r')
        return at_cr;
    bool control = (unsigned char)c < ' ' && c != '\t';
    return control || c == 0x7f || ++d->extras > EXTRAS_LIMIT ? BAD : state;
}

static unsigned char after(struct chunk_decoder *d, char c)
{
    switch (d->state) {
    case SIZE:
        return after_digit(d, c);
    case EXTENSION:
        return after_extra(d, c, EXTENSION, SIZE_LF);
    case SIZE_LF:
        return c != '\n' ? BAD : d->left ? DATA : TRAILER_START;
    case DATA:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        d->digits = 0;
        return c == '\n' ? SIZE : BAD;
    case TRAILER_START:
        if (c == ' ' || c == '\t') /* a folded line */
            return BAD;
        return after_extra(d, c, TRAILER, LAST_LF);
    case TRAILER:
        return after_extra(d, c, TRAILER, TRAILER_LF);
    case TRAILER_LF:
        return c == '\n' ? TRAILER_START : BAD;
    case LAST_LF:
        return c == '\n' ? END : BAD;
    default:
        return BAD;
    }
}

enum chunk_found chunk_next(struct chunk_decoder *d, const char *data, size_t len, size_t *used)
{
    size_t i = 0;
    while (d->state != END && d->state != BAD && !(d->state == DATA && d->left > 0) && i < len)
        d->state = after(d, data[i++]);
    *used = i;
    if (d->state == BAD)
        return CHUNK_BAD;
    if (d->state == END)
        return CHUNK_END;
    return d->state == DATA && d->left > 0 ? CHUNK_DATA : CHUNK_MORE;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NET_RANGE_H
#define CAIRN_NET_RANGE_H

#include "base/error.h"
#include "base/str.h"

/*
 * A Range header against a file of size bytes (RFC 9110 section 14). Single ranges a-b, a-, -n. Absent header, another
 * unit, a malformed one or several ranges: *partial is false and the whole file is meant (a server may ignore Range).
 * BAD_RANGE when the one range starts at or after the end.
 */
enum status range_parse(struct str header, int64_t size, bool *partial, int64_t *offset, int64_t *length,
                        struct error *err);

/*
 * Several ranges for somebody who must have exactly what was asked for: "bytes=a-b,c-d", each with both ends, within size,
 * first <= last; at most most of them, in any order. INVALID for anything else (also an absent header), BAD_RANGE for one that
 * is not within size.
 */
struct range {
    int64_t offset, length;
};
enum status ranges_parse(struct str header, int64_t size, struct range *out, size_t most, size_t *count,
                         struct error *err);

#endif

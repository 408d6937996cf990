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

#endif

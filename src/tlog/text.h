/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_TEXT_H
#define CAIRN_TLOG_TEXT_H

#include "base/buf.h"

/* The texts of a log have one form for one value, so that two readers never see different things in the same bytes. */

/* Takes a line off the front of *rest, without its newline. False when *rest has no newline: text without one is no
 * line. */
bool tlog_line(struct str *rest, struct str *line);

/* A decimal from 0 to INT64_MAX: digits only, no leading zero but in "0". */
bool tlog_decimal(struct str text, uint64_t *out);

/* Appends the base64 of len bytes; len is at most INT32_MAX / 2. */
void tlog_base64(struct buf *out, const void *data, size_t len);

#endif

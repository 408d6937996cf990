/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_LOG_H
#define CAIRN_BASE_LOG_H

#include "base/buf.h"

/*
 * One JSON object a line on standard error, written with one write(2) so that lines of several threads do not mix.
 * Callers never pass secrets; query strings of signed addresses count as secrets.
 */
void log_line(const char *level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_json(const struct buf *object); /* a finished object, for the access log */

#endif

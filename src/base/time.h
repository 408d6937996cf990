/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_TIME_H
#define CAIRN_BASE_TIME_H

#include "base/arena.h"

#define SECOND_US INT64_C(1000000)

/* Microseconds since 1970 UTC, as all stored times are; and a clock that never steps back, for durations. */
int64_t now_us(void);
int64_t monotonic_us(void);

/* From now on now_us() is that far ahead of the machine's clock: how tests see what comes with time. 0: no longer. */
void clock_travel(int64_t us);

/* "2025-03-07T12:24:18.657Z", the only form that stock clients read (hub-protocol 0.6). */
struct str time_iso(struct arena *arena, int64_t us);

/* "2025-03-07" or "2025-03-07T12:24:18.657Z", with or without the fraction (which does not count); of the years 1900 to
 * 9999, below 0 before 1970. False for anything else, also for days that no month has. */
bool time_read(struct str text, int64_t *us);

/* RFC 9110 date for HTTP headers; out takes 30 bytes with the NUL. */
void time_http(int64_t us, char out[30]);

#endif

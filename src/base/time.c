/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Commit dates come from strangers; outside the years 1 to 9999 no client can parse them, so they are moved to the
 * edge. */
#define YEAR_1 (INT64_C(-62135596800) * SECOND_US)
#define YEAR_10000 (INT64_C(253402300800) * SECOND_US)

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now))
        abort();
    return now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

static _Atomic int64_t ahead_us;

void clock_travel(int64_t us)
{
    ahead_us = us;
}

int64_t now_us(void)
{
    return clock_us(CLOCK_REALTIME) + ahead_us;
}

int64_t monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

/* Splits into calendar fields and microseconds of the second, rounding down before 1970 too. */
static struct tm calendar(int64_t us, int *fraction)
{
    us = us < YEAR_1 ? YEAR_1 : us >= YEAR_10000 ? YEAR_10000 - 1 : us;
    int64_t rest = us % SECOND_US;
    if (rest < 0)
        rest += SECOND_US;
    *fraction = (int)rest;
    time_t seconds = (us - rest) / SECOND_US;
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        abort();
    return tm;
}

struct str time_iso(struct arena *arena, int64_t us)
{
    int fraction;
    struct tm tm = calendar(us, &fraction);
    return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                        tm.tm_hour, tm.tm_min, tm.tm_sec, fraction / 1000);
}

void time_http(int64_t us, char out[30])
{
    /* Not strftime(), which would speak the language of the locale. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int fraction;
    struct tm tm = calendar(us, &fraction);
    char text[96];
    snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, 29);
    out[29] = '\0';
}

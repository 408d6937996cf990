/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

int64_t now_us(void) { return read_clock(CLOCK_REALTIME); }
int64_t monotonic_us(void) { return read_clock(CLOCK_MONOTONIC); }

static int64_t split(int64_t us, struct tm *out)
{
    int64_t fraction = us % SECOND_US;
    if (fraction < 0)
        fraction += SECOND_US;
    time_t seconds = (time_t)((us - fraction) / SECOND_US);
    gmtime_r(&seconds, out);
    return fraction;
}

struct str time_iso(struct arena *arena, int64_t us)
{
    struct tm tm;
    int64_t fraction = split(us, &tm);
    return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                        tm.tm_min, tm.tm_sec, (int)(fraction / 1000));
}

void time_http(int64_t us, char out[30])
{
    /* Not strftime: its names follow the locale, HTTP's do not. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    split(us, &tm);
    snprintf(out, 30, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday], (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
             (unsigned)tm.tm_sec % 100);
}

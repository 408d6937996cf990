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

/* `pattern` with digits for its zeros. */
static bool has_form(struct str text, struct str pattern)
{
    if (text.len != pattern.len)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (pattern.data[i] == '0' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != pattern.data[i])
            return false;
    return true;
}

static int digits_at(struct str text, size_t at, size_t len)
{
    int number = 0;
    for (size_t i = at; i < at + len; i++)
        number = number * 10 + text.data[i] - '0';
    return number;
}

bool time_read(struct str text, int64_t *us)
{
    bool is_day = has_form(text, STR("0000-00-00"));
    struct str fraction = str_slice(text, 19, text.len > 20 ? text.len - 20 : 0);
    bool is_time = has_form(str_slice(text, 0, 19), STR("0000-00-00T00:00:00")) && str_ends(text, STR("Z")) &&
                   (fraction.len == 0 || (fraction.len >= 2 && fraction.len <= 10 &&
                                          has_form(fraction, str_slice(STR(".000000000"), 0, fraction.len))));
    if (!is_day && !is_time)
        return false;
    struct tm tm = {
        .tm_year = digits_at(text, 0, 4) - 1900, .tm_mon = digits_at(text, 5, 2) - 1, .tm_mday = digits_at(text, 8, 2)};
    if (is_time) {
        tm.tm_hour = digits_at(text, 11, 2);
        tm.tm_min = digits_at(text, 14, 2);
        tm.tm_sec = digits_at(text, 17, 2);
    }
    struct tm given = tm;
    time_t seconds = timegm(&tm);
    *us = (int64_t)seconds * SECOND_US;
    return tm.tm_year >= 0 && tm.tm_mon == given.tm_mon && tm.tm_mday == given.tm_mday && tm.tm_hour == given.tm_hour &&
           tm.tm_min == given.tm_min && tm.tm_sec == given.tm_sec;
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

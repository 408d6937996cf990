/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/clock.h"

#define WEEK_US (7 * WORKDAY_US)
#define WORK_WEEK_US (5 * WORKDAY_US)
#define FIRST_MONDAY_US (4 * WORKDAY_US) /* 1970 began on a Thursday */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The working time since the first Monday of 1970; less than nothing before it. */
static int64_t work_at(int64_t us)
{
    int64_t weeks = floor_div(us - FIRST_MONDAY_US, WEEK_US), rest = us - FIRST_MONDAY_US - weeks * WEEK_US;
    return weeks * WORK_WEEK_US + (rest < WORK_WEEK_US ? rest : WORK_WEEK_US);
}

int64_t clock_worked(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? work_at(to_us) - work_at(from_us) : 0;
}

int64_t clock_due(int64_t from_us, int64_t work_us)
{
    if (work_us <= 0)
        return from_us;
    /* One microsecond less, and one later: the end of a Friday is the end of Friday, not the start of Monday. */
    int64_t last = work_at(from_us) + work_us - 1, weeks = floor_div(last, WORK_WEEK_US);
    return FIRST_MONDAY_US + weeks * WEEK_US + (last - weeks * WORK_WEEK_US) + 1;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_CLOCK_H
#define CAIRN_GATE_CLOCK_H

#include <stdint.h>

/*
 * Working time: Monday to Friday, UTC, each of 24 hours; no public holidays, which differ too much between the places
 * that people review from. What is promised in "days" is promised in these, so that nobody has to work at a weekend and
 * everybody can recompute a due date.
 */
#define WORKDAY_US (INT64_C(86400) * 1000000)

/* How much working time lies between two times; 0 when to is not after from. */
int64_t clock_worked(int64_t from_us, int64_t to_us);

/* The earliest time at which work_us of working time has passed since from_us; from_us itself for nothing. */
int64_t clock_due(int64_t from_us, int64_t work_us);

#endif

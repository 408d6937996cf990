/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_CSV_H
#define CAIRN_GATE_CSV_H

#include "base/arena.h"
#include "base/error.h"

/*
 * Comma-separated values as RFC 4180 has them, with either line end, a byte order mark or none, and quotes only around
 * whole fields. What people export is foreign: every length is limited, and bytes that are not UTF-8 are refused.
 */
#define CSV_COLUMNS_MOST 64
#define CSV_FIELD_LIMIT (64 * 1024)

struct csv {
    struct str rest;
    int64_t line; /* where the next record begins; from 1 */
};

struct csv csv_open(struct str text);

/*
 * The next record: its fields as copies in arena. False at the end, and on an error, which is then in err: INVALID with
 * the line. fields has room for CSV_COLUMNS_MOST. Blank lines are skipped.
 */
bool csv_next(struct csv *csv, struct arena *arena, struct str *fields, size_t *count, struct error *err);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_REPORT_H
#define CAIRN_VERIFY_REPORT_H

#include "base/arena.h"
#include "base/error.h"
#include "cairn/verify.h"

/*
 * What a run finds. A check that does not pass does not end the run: the next one may have more to say. So functions of
 * this part add findings, and return whether it makes sense to go on from there.
 */
enum outcome { PASSED, NOTED, FAILED, UNABLE, MISUSED };

struct report {
    struct arena arena; /* holds the texts, and lives as long */
    struct cairn_finding *findings;
    size_t count, capacity;
    size_t counts[MISUSED + 1]; /* by outcome */
};

/* Adds a finding; check is a literal. What is not fit for a terminal becomes '?'. Returns false, for return found(…).
 */
bool found(struct report *report, enum outcome outcome, const char *check, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The finding for an error: UNABLE where a disk or a network is to blame, FAILED for bytes that are wrong. */
bool found_error(struct report *report, const char *check, const struct error *err);

/* A run without any finding that passed has verified nothing, whatever its settings were. */
enum cairn_verdict report_verdict(const struct report *report);
const char *verdict_name(enum cairn_verdict verdict);

#endif

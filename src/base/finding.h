/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_FINDING_H
#define CAIRN_BASE_FINDING_H

#include <stdint.h>

/* What a check of something finds: each finding is told, a line without its end, and counted. */
struct findings {
    void (*report)(void *context, const char *finding);
    void *context;
    int64_t count;
};

/* At most 1023 bytes of it. */
void findings_add(struct findings *findings, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

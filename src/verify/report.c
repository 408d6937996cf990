/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "verify/report.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const outcomes[] = {"passed", "note", "failed", "unable", "misused"};

/* Names of files, and what a hub says, end up on somebody's terminal: no control characters, no broken UTF-8. */
static const char *show(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1), *at = out;
    while (text.len) {
        uint32_t c = 0;
        size_t len = str_utf8_char(text, &c);
        if (len == 0 || c < ' ' || (c >= 0x7F && c < 0xA0))
            *at++ = '?';
        else
            at = (char *)memcpy(at, text.data, len) + len;
        text = str_from(text, len ? len : 1);
    }
    return out;
}

bool found(struct report *report, enum outcome outcome, const char *check, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        abort();
    report->findings =
        array_room(&report->arena, report->findings, report->count, &report->capacity, sizeof *report->findings);
    report->findings[report->count++] =
        (struct cairn_finding){outcomes[outcome], check, show(&report->arena, (struct str){text, (size_t)len})};
    report->counts[outcome]++;
    free(text);
    return false;
}

bool found_error(struct report *report, const char *check, const struct error *err)
{
    bool is_wrong = err->status == INVALID || err->status == UNPROCESSABLE || err->status == CORRUPT ||
                    err->status == TOO_LARGE || err->status == CONFLICT || err->status == STALE;
    return found(report, is_wrong ? FAILED : UNABLE, check, "%s", err->message);
}

enum cairn_verdict report_verdict(const struct report *report)
{
    if (report->counts[FAILED])
        return CAIRN_FAILED;
    if (report->counts[MISUSED])
        return CAIRN_MISUSED;
    return report->counts[UNABLE] || !report->counts[PASSED] ? CAIRN_UNABLE : CAIRN_VERIFIED;
}

const char *verdict_name(enum cairn_verdict verdict)
{
    static const char *const names[] = {"verified", "failed", "misused", "unable"};
    return names[verdict];
}

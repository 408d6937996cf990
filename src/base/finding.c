/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/finding.h"

#include <stdarg.h>
#include <stdio.h>

void findings_add(struct findings *findings, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    findings->count++;
    findings->report(findings->context, text);
}

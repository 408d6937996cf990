/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "grant/internal.h"
#include <stdarg.h>
#include <stdio.h>

const char *day_of(struct granting *g, int64_t us)
{
    return str_slice(time_iso(&g->arena, us), 0, 10).len == 10
               ? arena_cstr(&g->arena, str_slice(time_iso(&g->arena, us), 0, 10))
               : "";
}

/* A notice for the holder. Texts are cut where a person would have stopped to read. */
enum status tell_holder(struct granting *g, const char *kind, int64_t due_us, struct error *err, const char *format,
                        ...)
{
    auto_buf struct buf text = {0};
    char *made;
    va_list args;
    if (g->forgets)
        return OK;
    va_start(args, format);
    int len = vasprintf(&made, format, args);
    va_end(args);
    if (len < 0)
        return fail(err, INTERNAL, NULL, "Out of memory.");
    buf_add(&text, made, (size_t)len);
    free(made);
    const struct notice notice = {g->grant.account_id, g->repo_id, kind, buf_view(&text), due_us};
    return notice_add(g->tx, &notice, err);
}

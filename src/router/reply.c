/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/reply.h"
#include "base/log.h"

bool reply_view_piece(struct store_view *view, struct http_extent *out)
{
    struct store_piece piece;
    struct error err = {0};
    bool found;
    if (store_view_next(view, &piece, &found, &err) != OK) {
        log_line("error", "download", "%s", err.message);
        return false;
    }
    if (found)
        *out = (struct http_extent){piece.fd, piece.offset, piece.length, piece.data};
    return found;
}

static bool next_piece(void *view, struct http_extent *out)
{
    return reply_view_piece(view, out);
}

static void release_view(void *view)
{
    store_view_close(view);
}

void request_reply_view(struct request *rq, int status, struct str type, int64_t length, struct store_view *view)
{
    reply_pieces(rq->http, status, type, length, next_piece, release_view, view);
}

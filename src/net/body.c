/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define FRAMING_ROOM (4 << 10)

ssize_t receive(struct exchange *x, void *into, size_t capacity)
{
    ssize_t got;
    do
        got = recv(x->connection->fd, into, capacity, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        x->received += got;
    return got;
}

bool body_complete(struct exchange *x)
{
    return x->body_done || (!x->chunked && x->body_left <= (int64_t)exchange_input(x).len);
}

static enum status fail_body(struct exchange *x, struct error *err, enum status status, const char *message)
{
    x->body_failed = status;
    return fail(err, status, NULL, "%s", message);
}

static enum status wait_readable(struct exchange *x, struct error *err)
{
    const struct http_config *config = &x->connection->server->config;
    int64_t start = monotonic_us(), patience = config->stall_seconds * SECOND_US;
    if (!exchange_may_wait(x))
        return fail_body(x, err, UNAVAILABLE, "Too many uploads at once; try again in a moment.");
    for (;;) {
        struct pollfd ready = {.fd = x->connection->fd, .events = POLLIN};
        int count = poll(&ready, 1, SLICE_MS);
        int64_t waited = monotonic_us() - start;
        /* Only time spent waiting counts against the sender, not what the handler does with the bytes. */
        if (exchange_too_slow(x, x->received, x->waited_us + waited))
            return fail_body(x, err, TIMED_OUT, "The request body arrives too slowly.");
        if (count > 0) {
            x->waited_us += waited;
            return OK;
        }
        if (waited >= patience)
            return fail_body(x, err, TIMED_OUT, "The request body stopped arriving.");
        if (atomic_load(&x->connection->server->cut))
            return fail_body(x, err, UNAVAILABLE, "The server is stopping.");
    }
}

static enum status send_continue(struct exchange *x, struct error *err)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    x->expects_continue = false;
    ssize_t sent = send(x->connection->fd, line, sizeof line - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)sizeof line - 1) /* nothing else is in the socket's buffer, so the peer is gone */
        return fail_body(x, err, INVALID, "The connection was closed before the request was complete.");
    return OK;
}

/* At least one byte from the socket. */
static enum status must_receive(struct exchange *x, void *into, size_t capacity, size_t *got, struct error *err)
{
    for (;;) {
        ssize_t count = receive(x, into, capacity);
        if (count > 0) {
            *got = (size_t)count;
            return OK;
        }
        if (count == 0 || errno != EAGAIN)
            return fail_body(x, err, INVALID, "The connection was closed before the request was complete.");
        TRY(wait_readable(x, err));
    }
}

/* Body bytes as they come, buffered ones first; capacity is at most what the framing says belongs to the body. */
static enum status take(struct exchange *x, void *into, size_t capacity, size_t *got, struct error *err)
{
    struct str input = exchange_input(x);
    if (input.len == 0)
        return must_receive(x, into, capacity, got, err);
    *got = input.len < capacity ? input.len : capacity;
    memcpy(into, input.data, *got);
    x->in_at += *got;
    return OK;
}

static enum status take_at_most(struct exchange *x, void *into, size_t capacity, int64_t *left, size_t *got,
                                struct error *err)
{
    TRY(take(x, into, (int64_t)capacity < *left ? capacity : (size_t)*left, got, err));
    *left -= (int64_t)*got;
    return OK;
}

static enum status read_chunked(struct exchange *x, void *into, size_t capacity, size_t *got, struct error *err)
{
    for (;;) {
        struct str input = exchange_input(x);
        size_t used;
        enum chunk_found found = chunk_next(&x->chunk, input.data, input.len, &used);
        x->in_at += used;
        if (found == CHUNK_BAD)
            return fail_body(x, err, INVALID, "The chunked body is malformed.");
        if (found == CHUNK_END) {
            x->body_done = true;
            return OK;
        }
        if (found == CHUNK_DATA)
            return take_at_most(x, into, capacity, &x->chunk.left, got, err);
        x->in.len = x->in_at = 0;
        buf_reserve(&x->in, FRAMING_ROOM);
        TRY(must_receive(x, x->in.data, x->in.capacity, &x->in.len, err));
    }
}

enum status body_read(struct http_request *rq, void *into, size_t capacity, size_t *got, struct error *err)
{
    struct exchange *x = exchange_of(rq);
    *got = 0;
    if (x->body_failed)
        return fail(err, x->body_failed, NULL, "The request body could not be read.");
    if (x->body_done || capacity == 0)
        return OK;
    if (x->expects_continue)
        TRY(send_continue(x, err));
    if (x->chunked)
        return read_chunked(x, into, capacity, got, err);
    TRY(take_at_most(x, into, capacity, &x->body_left, got, err));
    x->body_done = x->body_left == 0;
    return OK;
}

enum status body_read_all(struct http_request *rq, size_t limit, struct str *out, struct error *err)
{
    auto_buf struct buf body = {0};
    if (rq->content_length > 0 && (uint64_t)rq->content_length > limit)
        return fail(err, TOO_LARGE, NULL, "The request body may have at most %zu bytes here.", limit);
    for (;;) {
        /* Room grows with what has come, not with what was announced. */
        size_t room = body.len < (4 << 10) ? 4 << 10 : body.len, got;
        buf_reserve(&body, room);
        TRY(body_read(rq, body.data + body.len, body.capacity - body.len, &got, err));
        if (got == 0)
            break;
        body.len += got;
        if (body.len > limit)
            return fail(err, TOO_LARGE, NULL, "The request body may have at most %zu bytes here.", limit);
    }
    *out = arena_copy(rq->arena, buf_view(&body));
    return OK;
}

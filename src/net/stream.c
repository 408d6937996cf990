/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies that are written while the handler works. */
#include "base/time.h"
#include "net/internal.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

static enum status fail_stream(struct exchange *x, struct error *err, const char *message)
{
    x->stream_failed = true;
    return fail(err, UNAVAILABLE, NULL, "%s", message);
}

static enum status wait_writable(struct exchange *x, struct error *err)
{
    const struct http_server *server = x->connection->server;
    int64_t start = monotonic_us(), patience = server->config.stall_seconds * SECOND_US;
    if (!exchange_may_wait(x))
        return fail_stream(x, err, "Too many clients are waited for at once; try again in a moment.");
    for (;;) {
        struct pollfd ready = {.fd = x->connection->fd, .events = POLLOUT};
        int count = poll(&ready, 1, SLICE_MS);
        int64_t waited = monotonic_us() - start;
        /* Only time spent waiting counts against the reader, not what the handler works in between. */
        if (exchange_too_slow(x, x->rq.bytes_sent, x->waited_us + waited))
            return fail_stream(x, err, "The client reads the reply too slowly.");
        if (count > 0) {
            x->waited_us += waited;
            return OK;
        }
        if (waited >= patience)
            return fail_stream(x, err, "The client has stopped reading the reply.");
        if (atomic_load(&server->cut))
            return fail_stream(x, err, "The server is stopping.");
    }
}

static void drop_front(struct iovec *part, size_t *len)
{
    size_t taken = part->iov_len < *len ? part->iov_len : *len;
    part->iov_base = (char *)part->iov_base + taken;
    part->iov_len -= taken;
    *len -= taken;
}

/* Sends three parts whole, of which the middle one is of the body. */
static enum status push(struct exchange *x, struct iovec parts[3], struct error *err)
{
    while (parts[0].iov_len + parts[1].iov_len + parts[2].iov_len > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
        if (atomic_load(&x->connection->server->cut))
            return fail_stream(x, err, "The server is stopping.");
        ssize_t count = sendmsg(x->connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN) {
            TRY(wait_writable(x, err));
            continue;
        }
        if (count < 0 && errno != EINTR)
            return fail_stream(x, err, "The client has closed the connection.");
        size_t sent = count > 0 ? (size_t)count : 0, body = parts[1].iov_len;
        for (size_t i = 0; i < 3; i++)
            drop_front(&parts[i], &sent);
        x->rq.bytes_sent += (int64_t)(body - parts[1].iov_len);
    }
    return OK;
}

enum status reply_open(struct http_request *rq, int status, struct str type, struct error *err)
{
    struct exchange *x = exchange_of(rq);
    assert(!x->replied && !x->streams && rq->method != HTTP_HEAD);
    assert(status >= 200 && status <= 599 && status != 204 && status != 304);
    x->streams = true;
    x->waited_us = 0;
    x->type = type;
    rq->status = status;
    reply_compose(x);
    x->head_at = x->head.len;
    return push(x, (struct iovec[3]){{x->head.data, x->head.len}, {NULL, 0}, {NULL, 0}}, err);
}

enum status reply_more(struct http_request *rq, struct str data, struct error *err)
{
    struct exchange *x = exchange_of(rq);
    assert(x->streams && !x->replied);
    if (x->stream_failed)
        return fail(err, UNAVAILABLE, NULL, "The reply could not be sent.");
    if (data.len == 0) /* as a chunk it would be the end */
        return OK;
    char size[sizeof "ffffffffffffffff\r\n"] = "", end[] = "\r\n";
    struct iovec parts[3] = {{size, 0}, {(char *)data.data, data.len}, {end, 0}};
    if (x->http11) {
        parts[0].iov_len = (size_t)snprintf(size, sizeof size, "%zx\r\n", data.len);
        parts[2].iov_len = sizeof end - 1;
    }
    return push(x, parts, err);
}

void reply_close(struct http_request *rq)
{
    struct exchange *x = exchange_of(rq);
    assert(x->streams && !x->replied);
    char end[] = "0\r\n\r\n";
    if (x->http11 && !x->stream_failed)
        (void)push(x, (struct iovec[3]){{end, sizeof end - 1}, {NULL, 0}, {NULL, 0}}, NULL);
    x->replied = true;
}

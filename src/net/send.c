/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES 16             /* of memory in one system call */
#define CORK_FROM (256 << 10) /* bytes; below, two system calls cost more than they save */
#define SENDFILE_MOST (2 << 20)

static void skip_finished(struct exchange *x)
{
    while (x->extent_at < x->extent_count && x->extent_sent == x->extents[x->extent_at].length) {
        x->extent_at++;
        x->extent_sent = 0;
    }
}

/* The head and the pieces of memory that follow. *more: something comes after them, so that the last packet should wait
 * for it. */
static size_t gather(const struct exchange *x, struct iovec *pieces, bool *more)
{
    size_t count = 0, at = x->extent_at;
    int64_t sent = x->extent_sent;
    if (x->head_at < x->head.len)
        pieces[count++] = (struct iovec){x->head.data + x->head_at, x->head.len - x->head_at};
    for (; at < x->extent_count && count < PIECES && x->extents[at].fd < 0; at++, sent = 0)
        if (x->extents[at].length > sent)
            pieces[count++] =
                (struct iovec){(char *)x->extents[at].data + sent, (size_t)(x->extents[at].length - sent)};
    *more = at < x->extent_count;
    return count;
}

static void advance(struct exchange *x, size_t sent)
{
    size_t head = x->head.len - x->head_at;
    if (head > sent)
        head = sent;
    x->head_at += head;
    sent -= head;
    x->rq.bytes_sent += (int64_t)sent;
    while (sent > 0) {
        skip_finished(x);
        int64_t left = x->extents[x->extent_at].length - x->extent_sent;
        int64_t part = left < (int64_t)sent ? left : (int64_t)sent;
        x->extent_sent += part;
        sent -= (size_t)part;
    }
    skip_finished(x);
}

static ssize_t send_memory(struct connection *c, struct exchange *x)
{
    struct iovec pieces[PIECES];
    bool more;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = gather(x, pieces, &more)};
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
}

static ssize_t send_file(struct connection *c, struct exchange *x)
{
    const struct http_extent *extent = &x->extents[x->extent_at];
    off_t offset = extent->offset + x->extent_sent;
    int64_t left = extent->length - x->extent_sent;
    atomic_fetch_add(&c->server->turns, 1); /* this thread is no reason for the keeper to add one */
    return sendfile(c->fd, extent->fd, &offset, (size_t)(left < SENDFILE_MOST ? left : SENDFILE_MOST));
}

/* Corked, pieces fill whole packets and the reader is woken less often: a fifth less CPU for a large file. */
static void cork(struct connection *c, struct exchange *x, int on)
{
    if (x->corked != on)
        setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    x->corked = on;
}

enum step reply_send(struct connection *c)
{
    struct exchange *x = c->exchange;
    skip_finished(x);
    if (x->extent_count > 2 || (x->extent_count > 0 && x->length >= CORK_FROM))
        cork(c, x, true);
    while (x->head_at < x->head.len || x->extent_at < x->extent_count) {
        if (c->turn_left <= 0)
            return WAIT_WRITE;
        bool memory = x->head_at < x->head.len || x->extents[x->extent_at].fd < 0;
        ssize_t sent = memory ? send_memory(c, x) : send_file(c, x);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return exchange_too_slow(x, x->rq.bytes_sent, monotonic_us() - x->since) ? CLOSE : WAIT_WRITE;
        if (sent <=
            0) /* the peer left, or the file is shorter than its extent says: the length promised cannot be kept */
            return CLOSE;
        if (memory) {
            advance(x, (size_t)sent);
        } else {
            x->extent_sent += sent;
            x->rq.bytes_sent += sent;
            skip_finished(x);
        }
        c->turn_left -= sent;
    }
    cork(c, x, false);
    return GO_ON;
}

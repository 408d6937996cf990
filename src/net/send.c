/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define CORK_FROM (256 << 10) /* bytes; below, two system calls cost more than they save */
#define SENDFILE_MOST (2 << 20)

/* Sees that a piece with something in it is at hand, never with more than was promised. False: there is none, and the
 * length promised cannot be kept. */
static bool have_piece(struct exchange *x)
{
    while (x->piece.length == 0) {
        atomic_fetch_add(&x->connection->server->turns, 1); /* this thread is no reason for the keeper to add one */
        if (!x->next || !x->next(x->pieces, &x->piece))
            return false;
        assert(x->piece.length >= 0);
    }
    if (x->piece.length > x->left)
        x->piece.length = x->left;
    return true;
}

static void advance(struct exchange *x, size_t sent)
{
    size_t head = x->head.len - x->head_at;
    if (head > sent)
        head = sent;
    x->head_at += head;
    int64_t body = (int64_t)(sent - head);
    if (body == 0)
        return;
    x->rq.bytes_sent += body;
    x->left -= body;
    x->piece.length -= body;
    if (x->piece.fd < 0)
        x->piece.data += body;
    else
        x->piece.offset += body;
}

/* The head, and with it the piece at hand where that is memory. When something comes after them, the last packet waits
 * for it. */
static ssize_t send_memory(struct connection *c, struct exchange *x)
{
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    int64_t left = x->left;
    if (x->head_at < x->head.len)
        parts[message.msg_iovlen++] = (struct iovec){x->head.data + x->head_at, x->head.len - x->head_at};
    if (left > 0 && x->piece.fd < 0) {
        parts[message.msg_iovlen++] = (struct iovec){(char *)x->piece.data, (size_t)x->piece.length};
        left -= x->piece.length;
    }
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (left > 0 ? MSG_MORE : 0));
}

/* Corked, pieces fill whole packets and the reader is woken less often: a fifth less CPU for a large file. */
static void cork(struct connection *c, struct exchange *x, int on)
{
    if (x->corked != on)
        setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
    x->corked = on;
}

static ssize_t send_file(struct connection *c, struct exchange *x)
{
    off_t offset = x->piece.offset;
    int64_t left = x->piece.length;
    if (left < x->left)
        cork(c, x, true); /* something comes after it, and sendfile has no MSG_MORE */
    atomic_fetch_add(&c->server->turns, 1);
    return sendfile(c->fd, x->piece.fd, &offset, (size_t)(left < SENDFILE_MOST ? left : SENDFILE_MOST));
}

enum step reply_send(struct connection *c)
{
    struct exchange *x = c->exchange;
    if (x->left >= CORK_FROM)
        cork(c, x, true);
    while (x->head_at < x->head.len || x->left > 0) {
        if (c->turn_left <= 0)
            return WAIT_WRITE;
        if (x->left > 0 && !have_piece(x))
            return CLOSE;
        bool memory = x->head_at < x->head.len || x->piece.fd < 0;
        ssize_t sent = memory ? send_memory(c, x) : send_file(c, x);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return exchange_too_slow(x, x->rq.bytes_sent, monotonic_us() - x->since) ? CLOSE : WAIT_WRITE;
        if (sent <= 0) /* the peer left, or the file is shorter than its piece says */
            return CLOSE;
        advance(x, (size_t)sent);
        c->turn_left -= sent;
    }
    cork(c, x, false);
    return GO_ON;
}

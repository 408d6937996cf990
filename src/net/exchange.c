/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <stdlib.h>
#include <sys/socket.h>

#define KEEP_CAPACITY (64 << 10) /* a buffer that one odd request made larger is not kept */

/* Most requests are over within one turn of one thread, so one spare exchange a thread saves nearly all allocations. */
static _Thread_local struct exchange *spare;

static void exchange_free(struct exchange *x)
{
    arena_free(&x->arena);
    buf_free(&x->in);
    buf_free(&x->head);
    buf_free(&x->headers);
    free(x);
}

void exchange_forget_spare(void)
{
    if (spare)
        exchange_free(spare);
    spare = NULL;
}

struct exchange *exchange_take(struct connection *c)
{
    struct exchange *x = spare ? spare : calloc(1, sizeof *x);
    if (!x)
        abort();
    spare = NULL;
    x->connection = c;
    return x;
}

static void limit_capacity(struct buf *buf)
{
    if (buf->capacity > KEEP_CAPACITY)
        buf_free(buf);
}

void exchange_renew(struct exchange *x)
{
    arena_reset(&x->arena);
    size_t left = x->in.len - x->in_at;
    if (left == 0) {
        x->in.len = 0;
        limit_capacity(&x->in);
    } else if (x->in_at > 0) {
        memmove(x->in.data, x->in.data + x->in_at, left);
        x->in.len = left;
    }
    limit_capacity(&x->head);
    limit_capacity(&x->headers);
    x->head.len = x->headers.len = 0;
    *x = (struct exchange){
        .connection = x->connection, .arena = x->arena, .in = x->in, .head = x->head, .headers = x->headers};
}

void exchange_give(struct exchange *x)
{
    x->in.len = x->in_at = 0;
    exchange_renew(x);
    if (spare)
        exchange_free(x);
    else
        spare = x;
}

void exchange_end(struct exchange *x)
{
    struct http_server *server = x->connection->server;
    if (x->ended)
        return;
    x->ended = true;
    atomic_fetch_add_explicit(&server->bytes_in, x->received, memory_order_relaxed);
    atomic_fetch_add_explicit(&server->bytes_out, x->rq.bytes_sent, memory_order_relaxed);
    if (x->handled || x->refused)
        atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
    if (x->holds_upload)
        atomic_fetch_sub(&server->uploads, 1);
    if (x->handled && server->config.done)
        server->config.done(&x->rq, server->config.context);
    if (x->release)
        x->release(x->pieces);
    x->release = NULL;
    buf_free(&x->owned);
}

void exchange_slim(struct exchange *x)
{
    size_t left = x->in.len - x->in_at;
    enum state state = x->connection->state;
    bool unhandled = state == READING_HEAD;
    if (left == 0) {
        buf_free(&x->in);
        x->in_at = 0;
    } else if (unhandled) {
        struct buf exact = {0};
        buf_add(&exact, x->in.data + x->in_at, left);
        buf_free(&x->in);
        x->in = exact;
        x->in_at = 0;
    }
    if (unhandled || state == LINGERING)
        arena_free(&x->arena);
    if (unhandled || state == LINGERING || (state == LISTENING && exchange_sent(x))) {
        x->head_at = 0;
        buf_free(&x->head);
        buf_free(&x->headers);
    }
}

bool exchange_too_slow(const struct exchange *x, int64_t bytes, int64_t us)
{
    int64_t seconds = us / SECOND_US;
    return seconds > RATE_AFTER_SECONDS && bytes / seconds < x->connection->server->config.min_bytes_per_second;
}

/*
 * Waiting costs a thread, so only so many requests may do it at once: the rest of the threads stays free for those that
 * do not wait for a slow peer. A request that was admitted keeps its place to its end.
 */
bool exchange_may_wait(struct exchange *x)
{
    struct http_server *server = x->connection->server;
    if (!x->holds_upload && atomic_fetch_add(&server->uploads, 1) >= server->upload_limit) {
        atomic_fetch_sub(&server->uploads, 1);
        return false;
    }
    x->holds_upload = true;
    return true;
}

bool http_must_end(struct http_request *rq)
{
    return atomic_load(&exchange_of(rq)->connection->server->cut);
}

bool http_is_stopping(struct http_request *rq)
{
    return atomic_load(&exchange_of(rq)->connection->server->stopping);
}

/* Whoever owns the connection finds it broken when it sends on, and epoll says so at once where it waits. Until done() has
 * returned, nobody closes the socket. Without lingering, the close that follows throws away what the kernel holds still. */
void http_cut(struct http_request *rq)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    int fd = exchange_of(rq)->connection->fd;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    shutdown(fd, SHUT_RDWR);
}

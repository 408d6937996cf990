/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_ROOM (16 << 10)

/* A request begins. */

static enum step refuse(struct connection *c, int status, const char *reason)
{
    reply_refuse(c->exchange, status, reason);
    c->state = SENDING;
    return GO_ON;
}

static enum step handle(struct connection *c)
{
    struct exchange *x = c->exchange;
    const struct http_config *config = &c->server->config;
    x->handled = true;
    config->handle(&x->rq, config->context);
    assert(x->replied);
    if (x->stream_failed)
        return CLOSE;
    x->since = monotonic_us();
    if (!x->streams)
        reply_compose(x);
    c->state = x->topic && x->rq.method != HTTP_HEAD ? LISTENING : SENDING;
    return GO_ON;
}

static void fill_request(struct exchange *x, const struct head *head)
{
    struct http_request *rq = &x->rq;
    *rq = (struct http_request){
        .arena = &x->arena,
        .method = head->method,
        .target = head->target,
        .path = head->path,
        .query = head->query,
        .headers = head->headers,
        .header_count = head->header_count,
        .content_length = head->content_length,
        .remote = str_of(x->connection->remote),
        .started_us = x->since,
    };
    x->http11 = head->http11;
    x->chunked = head->chunked;
    x->keep_alive = head->keep_alive;
    x->expects_continue = head->expects_continue;
    x->body_left = head->chunked ? 0 : head->content_length;
    x->body_done = head->content_length == 0;
}

/* The head is copied, so that what the request points to does not move when more is received. */
static enum step begin_request(struct connection *c, size_t head_len)
{
    struct exchange *x = c->exchange;
    struct str copy = arena_copy(&x->arena, str_slice(exchange_input(x), 0, head_len));
    size_t capacity = x->scan.lines < HEAD_HEADERS ? x->scan.lines : HEAD_HEADERS;
    struct http_header *headers = arena_array(&x->arena, capacity, sizeof *headers);
    struct head head;
    const char *reason;
    int refused = head_parse(copy.data, copy.len, headers, capacity, &head, &reason);
    x->in_at += head_len;
    if (refused)
        return refuse(c, refused, reason);
    fill_request(x, &head);
    if (x->body_done || x->chunked || x->expects_continue || head.content_length > SMALL_BODY)
        return handle(c);
    c->state = AWAITING_BODY;
    x->since = monotonic_us();
    return GO_ON;
}

/* WAIT_READ when the head is not complete. */
static enum step look_for_head(struct connection *c)
{
    struct exchange *x = c->exchange;
    struct str input = exchange_input(x);
    size_t limit = c->server->config.head_limit, head_len = 0;
    if (input.len > 0 && input.data[0] == '\r' && !x->skipped_line) {
        /* Some clients put an empty line after a body; one is forgiven (RFC 9112 section 2.2). */
        if (input.len == 1)
            return WAIT_READ;
        if (input.data[1] == '\n') {
            x->in_at += 2;
            x->skipped_line = true;
            input = exchange_input(x);
        }
    }
    enum head_found found = head_find_end(&x->scan, input.data, input.len, &head_len);
    if (found == HEAD_BAD)
        return refuse(c, 400, "The request is not HTTP/1.1 with lines that end in CRLF.");
    if (head_len > limit || (found == HEAD_MORE && input.len >= limit))
        return refuse(c, 431, "The request line and headers are too long.");
    return found == HEAD_COMPLETE ? begin_request(c, head_len) : WAIT_READ;
}

/* Receives what there is behind what is buffered. */
static ssize_t fill(struct exchange *x, size_t room)
{
    buf_reserve(&x->in, room);
    ssize_t got = receive(x, x->in.data + x->in.len, x->in.capacity - x->in.len);
    if (got > 0)
        x->in.len += (size_t)got;
    return got;
}

static enum step read_head(struct connection *c)
{
    if (!c->exchange)
        c->exchange = exchange_take(c);
    struct exchange *x = c->exchange;
    if (exchange_input(x).len > 0) {
        if (x->since == 0)
            x->since = monotonic_us();
        enum step step = look_for_head(c);
        if (step != WAIT_READ)
            return step;
    }
    ssize_t got = fill(x, READ_ROOM);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        return CLOSE;
    if (got > 0) {
        if (x->since == 0)
            x->since = monotonic_us();
        return look_for_head(c);
    }
    if (exchange_input(x).len == 0) {
        exchange_give(x);
        c->exchange = NULL;
    }
    return WAIT_READ;
}

static enum step await_body(struct connection *c)
{
    struct exchange *x = c->exchange;
    size_t have = exchange_input(x).len;
    while (have < (size_t)x->body_left) {
        ssize_t got = fill(x, (size_t)x->body_left - have);
        if (got < 0 && errno == EAGAIN)
            return WAIT_READ;
        if (got <= 0)
            return CLOSE;
        have += (size_t)got;
    }
    return handle(c);
}

/* A request ends. */

/*
 * Closing a socket that has unread bytes resets the connection, and the client may lose the answer that is under way to
 * it. So our side is shut and what still comes is dropped, for a while.
 */
static enum step begin_linger(struct connection *c)
{
    struct exchange *x = c->exchange;
    if (shutdown(c->fd, SHUT_WR) != 0)
        return CLOSE;
    x->in.len = x->in_at = 0;
    x->body_left = LINGER_BYTES;
    x->until = monotonic_us() + LINGER_SECONDS * SECOND_US;
    c->state = LINGERING;
    return GO_ON;
}

static enum step next_request(struct connection *c)
{
    struct exchange *x = c->exchange;
    c->state = READING_HEAD;
    if (exchange_input(x).len == 0) {
        exchange_give(x);
        c->exchange = NULL;
        return WAIT_READ;
    }
    exchange_renew(x);
    x->since = monotonic_us();
    return c->turn_left > 0 ? GO_ON
                            : WAIT_WRITE; /* more is buffered: "writable" comes at once, after the others' turn */
}

static enum step after_reply(struct connection *c)
{
    struct exchange *x = c->exchange;
    exchange_end(x);
    bool all_read = body_complete(x);
    if (x->close)
        return x->refused || !all_read || (int64_t)exchange_input(x).len > x->body_left ? begin_linger(c) : CLOSE;
    c->turn_left -= READ_ROOM; /* so that a pipeline of many small requests ends its turn, too */
    if (all_read) {
        x->in_at += (size_t)x->body_left;
        return next_request(c);
    }
    x->body_left -= (int64_t)exchange_input(x).len;
    x->in.len = x->in_at = 0;
    x->until = monotonic_us() + c->server->head_seconds * SECOND_US;
    c->state = DRAINING;
    return GO_ON;
}

static enum step send_reply(struct connection *c)
{
    enum step step = reply_send(c);
    return step == GO_ON ? after_reply(c) : step;
}

/* Takes up to *left bytes off the socket. GO_ON when that many have come. MSG_TRUNC: TCP drops them without copying; there is a place
 * for them all the same, since TSan takes NULL for one that all threads write to. */
static enum step drop(struct connection *c, int64_t *left)
{
    char place[64 << 10];
    while (*left > 0) {
        if (c->turn_left <= 0)
            return WAIT_READ;
        size_t most = *left < (int64_t)sizeof place ? (size_t)*left : sizeof place;
        ssize_t got = recv(c->fd, place, most, MSG_TRUNC | MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? WAIT_READ : CLOSE;
        *left -= got;
        c->turn_left -= got;
    }
    return GO_ON;
}

/*
 * What is under way, then the newest. Not the newest again and again, which could go on for ever: whatever is published
 * after topic_next() has looked brings another turn, because the keeper knocks.
 */
static enum step tell(struct connection *c)
{
    enum step step = reply_send(c);
    if (step == GO_ON && topic_next(c->exchange))
        step = reply_send(c);
    if (step == GO_ON)
        step = drop(c, &c->exchange->body_left) == WAIT_READ ? WAIT_READ : CLOSE;
    return step;
}

static enum step drain(struct connection *c)
{
    enum step step = drop(c, &c->exchange->body_left);
    return step == GO_ON ? next_request(c) : step;
}

static enum step linger(struct connection *c)
{
    enum step step = drop(c, &c->exchange->body_left);
    return step == GO_ON ? CLOSE : step;
}

/* The machine. */

static int64_t deadline_of(const struct connection *c)
{
    const struct exchange *x = c->exchange;
    const struct http_config *config = &c->server->config;
    int64_t now = monotonic_us();
    if (c->state == READING_HEAD)
        return x ? x->since + c->server->head_seconds * SECOND_US : now + config->idle_seconds * SECOND_US;
    if (c->state == DRAINING || c->state == LINGERING)
        return x->until;
    if (c->state == LISTENING && exchange_sent(x))
        return now + config->listener_seconds * SECOND_US;
    int64_t stalled = now + config->stall_seconds * SECOND_US;
    if (c->state == SENDING || c->state == LISTENING)
        return stalled;
    int64_t too_slow = x->since + (RATE_AFTER_SECONDS + x->body_left / config->min_bytes_per_second) * SECOND_US;
    return stalled < too_slow ? stalled : too_slow;
}

void connection_close(struct connection *c)
{
    if (c->exchange) {
        exchange_end(c->exchange);
        exchange_give(c->exchange);
        c->exchange = NULL;
    }
    close(c->fd);
    table_release(c);
}

void connection_serve(struct connection *c)
{
    static enum step (*const act[STATES])(struct connection *) = {
        [READING_HEAD] = read_head, [AWAITING_BODY] = await_body, [SENDING] = send_reply,
        [LISTENING] = tell,         [DRAINING] = drain,           [LINGERING] = linger,
    };
    c->turn_left = TURN_BYTES;
    for (;;) {
        enum step step = act[c->state](c);
        if (step == GO_ON)
            continue;
        if (step == CLOSE || atomic_load(&c->server->cut)) {
            connection_close(c);
            return;
        }
        if (c->exchange)
            exchange_slim(c->exchange);
        if (table_park(c, step, deadline_of(c)))
            return;
        c->turn_left = TURN_BYTES;
    }
}

/* The keeper calls this: it must not come to run a handler. A refusal leads to SENDING, LINGERING and the end, and so
 * does listening. */
void connection_expire(struct connection *c)
{
    bool stopping = atomic_load(&c->server->stopping), listens = c->state == LISTENING && exchange_sent(c->exchange);
    if (listens && !stopping) {
        topic_keep_alive(c->exchange);
        connection_serve(c);
    } else if (!atomic_load(&c->server->cut) &&
               ((c->state == READING_HEAD && c->exchange && !stopping) || c->state == AWAITING_BODY)) {
        refuse(c, 408, "The request did not arrive in time.");
        connection_serve(c);
    } else {
        if (listens)
            topic_say_end(c->exchange);
        connection_close(c);
    }
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Topics: server-sent events to many listeners, of which none has a thread. */
#include "base/time.h"
#include "net/internal.h"
#include <assert.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* What may wait in a listener's socket. Small, because the newest event is to overtake what waits for a slow reader,
 * and because a thousand of these times the megabytes that the kernel would allow is memory that a stranger chooses. */
#define QUEUE_BYTES (16 << 10)

/* An event as it goes out, shared by all who are sent it: framed as a chunk, of which clients of HTTP/1.0 get the
 * inside. */
struct news {
    _Atomic unsigned users;
    size_t len, body_at, body_len;
    char chunk[];
};

struct http_topic {
    pthread_mutex_t lock;
    struct news *newest; /* absent until something was published */
    struct http_server *server;
    unsigned listeners; /* while there are any, server lives */
};

static struct news *news_make(struct str event)
{
    char size[sizeof "ffffffffffffffff\r\n"];
    size_t size_len = (size_t)snprintf(size, sizeof size, "%zx\r\n", event.len), len = size_len + event.len + 2;
    struct news *news = malloc(sizeof *news + len);
    if (!news)
        abort();
    *news = (struct news){.users = 1, .len = len, .body_at = size_len, .body_len = event.len};
    memcpy(news->chunk, size, size_len);
    memcpy(news->chunk + size_len, event.data, event.len);
    memcpy(news->chunk + size_len + event.len, "\r\n", 2);
    return news;
}

static void news_drop(struct news *news)
{
    if (news && atomic_fetch_sub(&news->users, 1) == 1)
        free(news);
}

struct http_topic *http_topic_new(void)
{
    struct http_topic *topic = calloc(1, sizeof *topic);
    if (!topic)
        abort();
    pthread_mutex_init(&topic->lock, NULL);
    return topic;
}

void http_topic_free(struct http_topic *topic)
{
    assert(topic->listeners == 0);
    news_drop(topic->newest);
    pthread_mutex_destroy(&topic->lock);
    free(topic);
}

void http_topic_publish(struct http_topic *topic, struct str event)
{
    assert(event.len > 0); /* as a chunk it would be the end */
    struct news *news = news_make(event);
    pthread_mutex_lock(&topic->lock);
    struct news *older = topic->newest;
    topic->newest = news;
    if (topic->listeners > 0)
        server_has_news(topic->server);
    pthread_mutex_unlock(&topic->lock);
    news_drop(older);
}

static bool join(struct http_topic *topic, struct http_server *server)
{
    unsigned most = server->config.max_connections / 2; /* the rest is for those who ask and go */
    pthread_mutex_lock(&topic->lock);
    bool joins = topic->listeners < (most < HTTP_TOPIC_LISTENERS ? most : HTTP_TOPIC_LISTENERS);
    if (joins) {
        assert(topic->listeners == 0 || topic->server == server);
        topic->server = server;
        topic->listeners++;
    }
    pthread_mutex_unlock(&topic->lock);
    return joins;
}

static void leave(void *listener)
{
    struct exchange *x = listener;
    pthread_mutex_lock(&x->topic->lock);
    x->topic->listeners--;
    pthread_mutex_unlock(&x->topic->lock);
    news_drop(x->news);
    x->news = NULL;
}

static void begin_piece(struct exchange *x, const char *data, size_t len)
{
    x->piece = (struct http_extent){.fd = -1, .data = data, .length = (int64_t)len};
    x->left = x->piece.length;
    x->since = monotonic_us();
}

/* The listener keeps the event that it was sent last, so that no other can have the same address. */
bool topic_next(struct exchange *x)
{
    struct http_topic *topic = x->topic;
    struct news *older = x->news;
    pthread_mutex_lock(&topic->lock);
    bool newer = topic->newest != older;
    if (newer) {
        x->news = topic->newest;
        atomic_fetch_add(&x->news->users, 1);
    }
    pthread_mutex_unlock(&topic->lock);
    if (!newer)
        return false;
    news_drop(older);
    if (x->http11)
        begin_piece(x, x->news->chunk, x->news->len);
    else
        begin_piece(x, x->news->chunk + x->news->body_at, x->news->body_len);
    return true;
}

/* An empty comment (HTML, "Server-sent events"). */
void topic_keep_alive(struct exchange *x)
{
    static const char chunk[] = "4\r\n: \n\n\r\n";
    if (x->http11)
        begin_piece(x, chunk, sizeof chunk - 1);
    else
        begin_piece(x, chunk + 3, 4);
}

/* So that clients and proxies see an end and not a failure; where it cannot be sent at once, they see a failure. */
void topic_say_end(struct exchange *x)
{
    static const char end[] = "0\r\n\r\n";
    if (x->http11)
        (void)!send(x->connection->fd, end, sizeof end - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum status reply_topic(struct http_request *rq, struct http_topic *topic, struct error *err)
{
    struct exchange *x = exchange_of(rq);
    struct connection *c = x->connection;
    int queue = QUEUE_BYTES, patience_ms = (int)c->server->config.stall_seconds * 1000;
    assert(!x->replied && !x->streams && !x->holds_upload); /* a place among the uploads would be held for days */
    if (!join(topic, c->server))
        return fail(err, UNAVAILABLE, NULL, "Too many clients listen already; ask now and then instead, or try later.");
    x->topic = topic;
    x->release = leave;
    x->pieces = x;
    x->streams = x->replied = true;
    x->type = STR("text/event-stream");
    rq->status = 200;
    reply_header(rq, "Cache-Control", "no-cache");
    reply_header(rq, "X-Accel-Buffering", "no"); /* nginx and others would wait for more */
    reply_compose(x);
    if (rq->method == HTTP_HEAD)
        return OK;
    setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof queue);
    /* A peer that vanished acknowledges nothing, which TCP alone would bear for a quarter of an hour. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
    x->in.len = x->in_at = 0;
    x->body_left = DRAIN_BYTES;
    topic_next(x);
    return OK;
}

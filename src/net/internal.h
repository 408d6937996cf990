/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NET_INTERNAL_H
#define CAIRN_NET_INTERNAL_H

#include "net/chunk.h"
#include "net/head.h"
#include "net/http.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#define TURN_BYTES (8 << 20)    /* what one connection may move before others get their turn on the thread */
#define SMALL_BODY (64 << 10)   /* up to this a body is awaited without a thread */
#define DRAIN_BYTES (256 << 10) /* up to this an unread body is read and dropped, to keep the connection */
#define LINGER_BYTES                                                                                                   \
    (64 << 20) /* what is read and dropped of a larger one, so that the client comes to read our answer */
#define LINGER_SECONDS 10
#define HEAD_SECONDS 15
#define RATE_AFTER_SECONDS 30 /* min_bytes_per_second counts from this age of a body */

/*
 * A connection is a place in a table that is never freed while the server lives, and costs about a hundred bytes. What
 * a request needs hangs in an exchange, which exists from its first byte until its reply is out.
 *
 * Who may touch a connection? The word says. Its lower two bits are the owner, the rest counts the times it was armed;
 * epoll's event carries that count, so that a late event for an earlier time is known as such.
 *
 * FREE     nobody: the place is in the free list
 * PARKED   nobody: epoll is armed; whoever moves it to OWNED by compare-and-swap owns it (a thread with the event, or
 *          the keeper)
 * OWNED    one thread
 * KNOCKED  one thread, and before it had let go the event came, or news for those who listen: it must go on instead of
 *          parking
 */
enum { FREE, PARKED, OWNED, KNOCKED };

enum state {
    READING_HEAD,  /* idle, or with part of a head */
    AWAITING_BODY, /* a small body is to be complete before the handler runs */
    SENDING,
    LISTENING, /* to a topic: what was published is sent, what the peer says is dropped */
    DRAINING,  /* dropping an unread body, then the next request */
    LINGERING, /* our side is shut; dropping what comes until the peer closes */
    STATES,
};

enum step { GO_ON, WAIT_READ, WAIT_WRITE, CLOSE };

struct connection {
    _Atomic uint64_t word;
    _Atomic int64_t deadline; /* monotonic; the keeper expires the connection then */
    _Atomic unsigned char state;
    bool registered; /* epoll knows fd */
    int fd;
    uint32_t next_free;
    int64_t turn_left;
    struct http_server *server;
    struct exchange *exchange; /* absent when idle */
    char remote[INET6_ADDRSTRLEN];
};

struct exchange {
    struct http_request rq; /* first, so that a handler's request leads back here */
    struct connection *connection;

    /* Kept from one request to the next: in has received bytes, of which those before in_at are consumed. */
    struct arena arena;
    struct buf in, head, headers;
    size_t in_at;

    /* The request's framing. */
    struct head_scan scan;
    struct chunk_decoder chunk;
    int64_t since;     /* monotonic: when the head, then the body, then the reply began */
    int64_t until;     /* of draining and lingering */
    int64_t body_left; /* without chunks: to be consumed still */
    int64_t received;  /* of body and head, by recv */
    int64_t waited_us; /* in body_read, then in reply_more */
    bool skipped_line, http11, chunked, keep_alive, expects_continue, body_done, holds_upload;
    enum status body_failed;

    /* The reply. */
    bool handled, replied, ended, refused, close, corked;
    bool streams, stream_failed; /* by reply_open; replied is said by reply_close */
    struct http_topic *topic;
    struct news *news; /* the newest that was taken of the topic */
    struct str type;
    int64_t length, left; /* of the body; not sent yet */
    size_t head_at;
    struct http_extent piece; /* what is left of the one at hand */
    struct buf owned;
    bool (*next)(void *context, struct http_extent *out); /* absent when piece is the whole body */
    void (*release)(void *context);
    void *pieces;
};

struct worker {
    struct http_server *server;
    struct worker *next;
    pthread_t thread;
};

struct http_server {
    struct http_config config; /* with all defaults filled in */
    unsigned head_seconds, min_threads, upload_limit;
    int epoll, listener, stop_event, keeper_event, quit_event, port;

    pthread_mutex_t lock; /* the free list and the list of threads that left */
    struct connection *connections;
    uint32_t first_free, fresh; /* places from fresh on were never used */
    bool accept_paused;
    struct worker *left;

    _Atomic bool stopping, cut, quit, alerted, news;
    _Atomic unsigned waiting, threads, wanted, turns, uploads;
    _Atomic int64_t open, requests, bytes_in, bytes_out;
};

static inline struct exchange *exchange_of(struct http_request *rq)
{
    return (struct exchange *)rq;
}
static inline struct str exchange_input(const struct exchange *x)
{
    return (struct str){x->in.data ? x->in.data + x->in_at : "", x->in.len - x->in_at};
}
static inline bool exchange_sent(const struct exchange *x)
{
    return x->left == 0 && x->head_at == x->head.len;
}

/* exchange.c: taken from and given back to a thread's own spare one where there is one. */
struct exchange *exchange_take(struct connection *c);
void exchange_give(struct exchange *x);
void exchange_end(struct exchange *x);   /* done(), release, counts: once for each request */
void exchange_renew(struct exchange *x); /* ready for the next request; keeps received bytes */
void exchange_slim(struct exchange *x);  /* gives back memory that an unfinished request need not hold */
void exchange_forget_spare(void);
/* Has a body moved too slowly, so many bytes in so much time? */
bool exchange_too_slow(const struct exchange *x, int64_t bytes, int64_t us);
/* May a handler's thread wait for this peer? Once it may, it may until the end of the request. */
bool exchange_may_wait(struct exchange *x);

/* connection.c: the state machine. The caller owns c, and does not afterwards. */
void connection_serve(struct connection *c);
void connection_expire(struct connection *c);
void connection_close(struct connection *c);

/* table.c: places and ownership. */
struct connection *table_reserve(struct http_server *server); /* absent when full; accepting then pauses */
void table_release(struct connection *c);
void table_resume_accept(struct http_server *server);
struct connection *table_claim(struct http_server *server, uint64_t event); /* absent when it is not ours to serve */
bool table_park(struct connection *c, enum step step, int64_t deadline);    /* false: still ours, go on */
void table_sweep(struct http_server *server, int64_t now);
void table_tell(struct http_server *server); /* has all who listen look for news */

/* listen.c */
#define EVENT_LISTENER UINT64_MAX
#define EVENT_QUIT (UINT64_MAX - 1)
enum status listen_open(struct http_server *server, struct error *err);
void listen_arm(struct http_server *server, int operation);
void listen_accept(struct http_server *server);

/* reply.c, send.c, stream.c and topic.c */
void reply_refuse(struct exchange *x, int status, const char *reason);
void reply_compose(struct exchange *x);     /* settles whether the connection stays, and writes the head */
enum step reply_send(struct connection *c); /* GO_ON when all is out */
bool topic_next(struct exchange *x);        /* the newest event is the piece to send now; false: it was already */
void topic_keep_alive(struct exchange *x);
void topic_say_end(struct exchange *x);

/* body.c */
#define SLICE_MS 500 /* of waiting, after which a stopping server is noticed */
ssize_t receive(struct exchange *x, void *into, size_t capacity); /* recv without waiting; counts */
bool body_complete(struct exchange *x); /* all of the body is consumed, or can be without reading the socket */

/* server.c */
void server_wake_keeper(struct http_server *server);
void server_has_news(struct http_server *server);

#endif

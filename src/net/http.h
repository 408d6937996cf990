/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NET_HTTP_H
#define CAIRN_NET_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * The HTTP/1.1 server. A small set of threads waits on one epoll set; whichever wakes for a connection reads the
 * request head, checks it strictly, and runs the handler there and then: plain blocking code, top to bottom. A handler
 * that reads a body reads it straight from the socket. Sending needs no thread: what the socket does not take at once
 * is sent when it can take more, by sendfile for files. Threads are added while all are busy, up to a limit, and leave
 * again when idle.
 *
 * Strictness (RFC 9112, and what request smuggling lives from): refused with 400 and a closed connection are a bare LF
 * or CR, NUL, folded headers, white space before a colon, Content-Length together with Transfer-Encoding, a repeated or
 * non-decimal Content-Length, a transfer coding other than exactly "chunked", a missing or repeated Host, a request
 * target that is not origin-form, a version other than HTTP/1.0 or 1.1 (505), a head over the limit (431).
 */
struct http_server;

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_PATCH, HTTP_OPTIONS, HTTP_METHODS };
const char *http_method_name(enum http_method method);

struct http_header {
    struct str name, value; /* value without outer white space */
};

struct http_request {
    struct arena *arena; /* lives until the reply has been sent */
    enum http_method method;
    struct str target;      /* as received: path, and query where there is one */
    struct str path, query; /* the two halves of target, not decoded; query absent when there is no '?' */
    const struct http_header *headers;
    size_t header_count;
    int64_t content_length; /* -1 when chunked; 0 when there is no body */
    struct str remote;      /* the peer's address as text */
    int64_t started_us;     /* monotonic */
    /* What was replied, valid in http_config.done: */
    int status;
    int64_t bytes_sent; /* of the body */
    void *context;      /* the handler's, for done() */
};

/* The value of the first header of that name (case ignored); absent when there is none. */
struct str http_header(const struct http_request *rq, const char *name);

/* The request body. */

/*
 * Reads up to capacity bytes; *got is 0 at the end of the body. Sends "100 Continue" first when the client waits for
 * it. TIMED_OUT when the peer sends nothing for http_config.stall_seconds or stays under
 * http_config.min_bytes_per_second; INVALID when the peer closes early or a chunk is malformed; UNAVAILABLE when too
 * many requests wait for their bodies at once (an eighth of the threads is kept from them), or the server stops. After
 * an error the connection closes after the reply.
 */
enum status body_read(struct http_request *rq, void *into, size_t capacity, size_t *got, struct error *err);

/* The whole body, in rq->arena. TOO_LARGE as soon as it is known to exceed limit. */
enum status body_read_all(struct http_request *rq, size_t limit, struct str *out, struct error *err);

/* The reply: headers in any order, then exactly one of reply_bytes, reply_buf, reply_pieces, or
 * reply_open to reply_close, or reply_topic. */

/* Adds a header; CR, LF, NUL and other control characters in the value become spaces. */
void reply_header(struct http_request *rq, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* type may be absent (no Content-Type). body must live as long as rq->arena or the program. No body goes out on HEAD,
 * 204, 304. */
void reply_bytes(struct http_request *rq, int status, struct str type, struct str body);

/* Takes the buffer's memory over and leaves *body empty. */
void reply_buf(struct http_request *rq, int status, struct str type, struct buf *body);

/* A piece of a reply: a range of an open file, or memory when fd is -1. */
struct http_extent {
    int fd;
    int64_t offset, length;
    const char *data;
};

/*
 * Sends length bytes that next() gives piece by piece while they go out, from any thread but never two at once. A piece, with
 * its file or memory, stays valid until the next call. next() answers false when it has no more, at the end or because it
 * failed: when fewer than length bytes were given then, the connection is cut, so that the client knows. It may wait for a
 * disk, not for a peer. release(context) is called exactly once when nothing is needed any more, sent or not, from any thread.
 */
void reply_pieces(struct http_request *rq, int status, struct str type, int64_t length,
                  bool (*next)(void *context, struct http_extent *out), void (*release)(void *context), void *context);

/*
 * A reply that is written while the handler works, for long work with progress: in chunks (RFC 9112 section 7.1; to a client
 * of HTTP/1.0 without them, ended by closing). reply_open() sends the head, reply_more() a piece of the body, at once; each
 * waits for a slow peer as long as a body may stall. After an error (UNAVAILABLE: the peer has gone, is too slow, or the server
 * stops) the handler ends its work and calls reply_close() all the same. Instead of the other replies, and never for HEAD.
 * What is left of the request's body must have been read.
 */
enum status reply_open(struct http_request *rq, int status, struct str type, struct error *err);
enum status reply_more(struct http_request *rq, struct str data, struct error *err);
void reply_close(struct http_request *rq);

/*
 * Server-sent events (HTML, "Server-sent events"): a topic keeps the newest event that was published, and whoever listens
 * to it is sent that at once and then each that follows, until the client or the server ends. Only the newest counts: a
 * listener that has not taken one yet when the next is published skips to the next, and what is published within a
 * twentieth of a second goes out as one. So a slow listener holds up nobody and costs no memory of its own; none costs a
 * thread. All listeners of a topic belong to one server.
 */
#define HTTP_TOPIC_LISTENERS 1024 /* at once; half of max_connections where that is less */
struct http_topic;
struct http_topic *http_topic_new(void);
/* When the server of its listeners does not run any more. */
void http_topic_free(struct http_topic *topic);

/* From any thread, and waits for nobody. The event, as text/event-stream wants it and with the empty line at its end, is
 * copied. */
void http_topic_publish(struct http_topic *topic, struct str event);

/*
 * Replies 200 with a text/event-stream of the topic, Cache-Control and X-Accel-Buffering with it. A listener who is sent
 * nothing for http_config.listener_seconds is sent an empty comment, so that proxies keep the connection and peers that
 * have gone are found. What the client says meanwhile is dropped; the end of its side, or a quarter of a MiB, ends it. The
 * connection closes afterwards. When the server stops, listeners are let go at once. Never after body_read() has waited
 * for the request's body. rq->bytes_sent counts the framing, too.
 *
 * UNAVAILABLE when HTTP_TOPIC_LISTENERS listen already: then nothing has been replied.
 */
enum status reply_topic(struct http_request *rq, struct http_topic *topic, struct error *err);

/* Has the server stopped waiting for handlers (http_server_run)? Long work that neither reads a body nor writes a reply asks now and
 * then, and ends with UNAVAILABLE. */
bool http_must_end(struct http_request *rq);

/* Has it been told to stop? Who waits for something that may be long in coming answers without it. */
bool http_is_stopping(struct http_request *rq);

/*
 * Ends the connection of a request whose reply must not go on: what has not left this machine yet never does, and the client
 * sees that the reply is short. From any thread, but only after its handler has been called and before done() has returned for
 * it; the caller sees to that.
 */
void http_cut(struct http_request *rq);

/* The server. */

struct http_config {
    const char *listen;                                     /* "127.0.0.1:8080", "[::1]:0"; port 0 takes a free one */
    void (*handle)(struct http_request *rq, void *context); /* must reply; called on any thread, several at once */
    void (*done)(struct http_request *rq,
                 void *context); /* after the last byte went out or the peer left; may be NULL */
    void *context;
    size_t head_limit;        /* bytes of request line and headers; 0: 32 KiB */
    unsigned max_threads;     /* 0: 256 */
    unsigned max_connections; /* 0: 16384; beyond it new connections wait in the listen queue */
    unsigned idle_seconds;  /* keep-alive and unfinished heads; 0: 75 for idle, and a head must be complete within 15 */
    unsigned stall_seconds; /* no byte moved in a body, either way; 0: 30 */
    unsigned min_bytes_per_second; /* of a body once it is 30 s old; 0: 1024 */
    unsigned listener_seconds;     /* reply_topic; 0: 20 */
};

/* Binds and listens, starts no thread. *out is stopped and freed by http_server_free(). */
enum status http_server_new(const struct http_config *config, struct http_server **out, struct error *err);
int http_server_port(const struct http_server *server);

/* Serves until http_server_stop() is called, from any thread or a signal handler; then takes no new request, lets those
 * in flight finish for at most grace_seconds, cuts the connections of the rest, and returns when no handler runs any
 * more. The calling thread runs no handler: it keeps the time and the number of threads. */
void http_server_run(struct http_server *server, unsigned grace_seconds);
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server);

struct http_stats {
    int64_t connections, threads, threads_busy, requests, bytes_in, bytes_out;
};
void http_server_stats(const struct http_server *server, struct http_stats *out);

#endif

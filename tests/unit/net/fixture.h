/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A running server with a few paths, and a client that says exactly the bytes that a test writes. */
#ifndef CAIRN_TESTS_NET_FIXTURE_H
#define CAIRN_TESTS_NET_FIXTURE_H

#include "base/buf.h"
#include "base/file.h"
#include "net/http.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* Last: it needs what the standard headers define, and its fail() is a macro where ours is a function. */
#include <cmocka.h>

#define PATIENCE_MS 60000 /* for what must happen; a test that waits as long has failed */

struct site {
    struct http_server *server;
    struct http_config config;
    pthread_t thread;
    unsigned grace_seconds;
    int file; /* a file of FILE_SIZE bytes, byte i being pattern(i) */
    _Atomic int handled, done, released, blocked;
    _Atomic int64_t done_bytes;
    _Atomic int done_status, body_status;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gate_open;
};

#define FILE_SIZE (24 << 20)
static inline char pattern(int64_t i)
{
    return (char)('a' + i % 23);
}

static inline struct str site_param(struct http_request *rq, const char *name)
{
    for (struct str rest = rq->query, pair; str_cut(&rest, '&', &pair);) {
        struct str value = pair, key;
        if (str_cut(&value, '=', &key) && str_eq(key, str_of(name)) && str_given(value))
            return value;
    }
    return (struct str){0};
}

static inline int64_t site_number(struct http_request *rq, const char *name)
{
    int64_t number = 0;
    str_to_i64(site_param(rq, name), &number);
    return number;
}

static inline void site_failed(struct http_request *rq, struct site *site, const struct error *err)
{
    site->body_status = (int)err->status;
    reply_header(rq, "X-Error-Message", "%s", err->message);
    reply_bytes(rq, status_http(err->status), STR("text/plain"), STR("no"));
}

/* /echo: the body comes back. */
static inline void site_echo(struct http_request *rq, struct site *site)
{
    struct error err = {0};
    struct str body;
    if (body_read_all(rq, 8 << 20, &body, &err) != OK)
        site_failed(rq, site, &err);
    else
        reply_bytes(rq, 200, STR("application/octet-stream"), body);
}

/* /sum: reads a body of any size in pieces of its own and says how long it was. */
static inline void site_sum(struct http_request *rq, struct site *site)
{
    size_t got, piece = 64 << 10;
    int64_t total = 0;
    struct error err = {0};
    char *room = arena_alloc(rq->arena, piece);
    do {
        if (body_read(rq, room, piece, &got, &err) != OK) {
            site_failed(rq, site, &err);
            return;
        }
        total += (int64_t)got;
    } while (got > 0);
    reply_bytes(rq, 200, STR("text/plain"), arena_printf(rq->arena, "%lld", (long long)total));
}

struct site_pieces {
    struct site *site;
    struct http_extent extents[4];
    size_t at;
};

static inline bool site_next(void *context, struct http_extent *out)
{
    struct site_pieces *pieces = context;
    if (pieces->at == 4)
        return false;
    *out = pieces->extents[pieces->at++];
    return true;
}

static inline void site_released(void *context)
{
    ((struct site_pieces *)context)->site->released++;
}

/* /file: three pieces, the middle one of memory. /short: a piece that reaches past the end of its file. */
static inline void site_file(struct http_request *rq, struct site *site, bool too_short)
{
    struct site_pieces *pieces = arena_alloc(rq->arena, sizeof *pieces);
    int64_t length = FILE_SIZE + 8 + (too_short ? 10 : 0);
    *pieces = (struct site_pieces){.site = site};
    pieces->extents[0] = (struct http_extent){.fd = site->file, .offset = 0, .length = 1000};
    pieces->extents[1] = (struct http_extent){.fd = -1, .length = 8, .data = "-middle-"};
    pieces->extents[2] = (struct http_extent){.fd = -1, .length = 0, .data = NULL};
    pieces->extents[3] = (struct http_extent){.fd = site->file, .offset = 1000, .length = length - 1008};
    reply_pieces(rq, 200, STR("application/octet-stream"), length, site_next, site_released, pieces);
}

/* /gate: answers when the test opens the gate. */
static inline void site_gate(struct http_request *rq, struct site *site)
{
    pthread_mutex_lock(&site->lock);
    site->blocked++;
    while (!site->gate_open)
        pthread_cond_wait(&site->changed, &site->lock);
    site->blocked--;
    pthread_mutex_unlock(&site->lock);
    reply_bytes(rq, 200, STR("text/plain"), STR("through"));
}

/* /toil: works until the server asks for the end. */
static inline void site_toil(struct http_request *rq, struct site *site)
{
    site->blocked++;
    while (!http_must_end(rq))
        usleep(1000);
    reply_bytes(rq, 503, STR("text/plain"), STR("ended"));
}

static inline void site_handle(struct http_request *rq, void *context)
{
    struct site *site = context;
    site->handled++;
    if (str_eq(rq->path, STR("/echo"))) {
        site_echo(rq, site);
    } else if (str_eq(rq->path, STR("/sum"))) {
        site_sum(rq, site);
    } else if (str_eq(rq->path, STR("/file")) || str_eq(rq->path, STR("/short"))) {
        site_file(rq, site, str_eq(rq->path, STR("/short")));
    } else if (str_eq(rq->path, STR("/gate"))) {
        site_gate(rq, site);
    } else if (str_eq(rq->path, STR("/toil"))) {
        site_toil(rq, site);
    } else if (str_eq(rq->path, STR("/refuse"))) {
        reply_bytes(rq, 401, STR("text/plain"), STR("who are you?"));
    } else if (str_eq(rq->path, STR("/status"))) {
        reply_bytes(rq, (int)site_number(rq, "s"), STR("text/plain"), STR("body"));
    } else if (str_eq(rq->path, STR("/inject"))) {
        reply_header(rq, "X-Name", "a\r\nX-Evil: 1%c\x7f", '\0');
        reply_bytes(rq, 200, STR("text/plain\r\nX-Evil: 2"), STR("ok"));
    } else if (str_eq(rq->path, STR("/long-header"))) {
        reply_header(rq, "X-Long", "%s", arena_cstr(rq->arena, rq->query));
        reply_bytes(rq, 200, STR("text/plain"), STR("ok"));
    } else if (str_eq(rq->path, STR("/big"))) {
        struct buf big = {0};
        for (int64_t i = 0, n = site_number(rq, "n"); i < n; i++)
            buf_byte(&big, pattern(i));
        reply_buf(rq, 200, STR("text/plain"), &big);
        assert(big.data == NULL);
    } else {
        reply_header(rq, "X-Remote", "%.*s", STR_ARG(rq->remote));
        reply_bytes(rq, 200, STR("text/plain"), STR("hello"));
    }
}

static inline void site_done(struct http_request *rq, void *context)
{
    struct site *site = context;
    site->done_bytes += rq->bytes_sent;
    site->done_status = rq->status;
    site->done++;
}

static inline void *site_run(void *context)
{
    struct site *site = context;
    http_server_run(site->server, site->grace_seconds);
    return NULL;
}

static inline int made_file(void)
{
    char path[] = "/tmp/cairn-net-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    char *content = malloc(FILE_SIZE);
    for (int64_t i = 0; i < FILE_SIZE; i++)
        content[i] = pattern(i);
    assert_int_equal(write_full(fd, content, FILE_SIZE, NULL), OK);
    free(content);
    return fd;
}

/* All sites of a program have one file, which nobody changes; making it takes longer than most tests. */
static inline void site_open_file(struct site *site)
{
    static int file = -1;
    if (file < 0)
        file = made_file();
    site->file = fcntl(file, F_DUPFD_CLOEXEC, 0);
    assert_true(site->file >= 0);
}

/* With site->config filled as far as a test cares. Clients can dial from now on, and even speak; nobody listens to them yet. */
static inline void site_listen(struct site *site)
{
    struct error err = {0};
    if (!site->config.listen)
        site->config.listen = "127.0.0.1:0";
    if (!site->config.handle)
        site->config.handle = site_handle;
    if (!site->config.done)
        site->config.done = site_done;
    site->config.context = site;
    pthread_mutex_init(&site->lock, NULL);
    pthread_cond_init(&site->changed, NULL);
    site_open_file(site);
    if (http_server_new(&site->config, &site->server, &err) != OK)
        fail_msg("%s", err.message);
}

static inline void site_serve(struct site *site)
{
    assert_int_equal(pthread_create(&site->thread, NULL, site_run, site), 0);
}

static inline void site_start(struct site *site)
{
    site_listen(site);
    site_serve(site);
}

static inline void site_open_gate(struct site *site)
{
    pthread_mutex_lock(&site->lock);
    site->gate_open = true;
    pthread_cond_broadcast(&site->changed);
    pthread_mutex_unlock(&site->lock);
}

static inline void site_stop(struct site *site)
{
    http_server_stop(site->server);
    pthread_join(site->thread, NULL);
    http_server_free(site->server);
    close(site->file);
}

/* Every request that a handler saw has been reported as done, once. */
static inline void site_stop_and_check(struct site *site)
{
    site_stop(site);
    assert_int_equal(site->handled, site->done);
}

#define wait_until(condition)                                                                                          \
    do {                                                                                                               \
        int tries_ = 0;                                                                                                \
        while (!(condition) && tries_++ < PATIENCE_MS / 2)                                                             \
            usleep(2000);                                                                                              \
        assert_true(condition);                                                                                        \
    } while (0)

/* The client. */

static inline int dial(struct site *site)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(site->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline void say_bytes(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
}

#define SAY(fd, literal) say_bytes(fd, literal, sizeof(literal) - 1)

/* What the server said in answer to one request, and the bytes behind it that belong to the next answer. */
struct answer {
    int status;
    struct buf head, body, rest;
};

#define auto_answer __attribute__((cleanup(answer_free)))
static inline void answer_free(struct answer *answer)
{
    buf_free(&answer->head);
    buf_free(&answer->body);
    buf_free(&answer->rest);
}

/* False at the end of the stream. */
static inline bool hear_more(int fd, struct buf *into)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    buf_reserve(into, 1 << 20);
    ssize_t n = recv(fd, into->data + into->len, into->capacity - into->len, 0);
    if (n > 0)
        into->len += (size_t)n;
    return n > 0;
}

static inline struct str answer_header(const struct answer *answer, const char *name)
{
    struct str rest = buf_view(&answer->head), line, key;
    while (str_cut(&rest, '\n', &line)) {
        if (str_cut(&line, ':', &key) && str_given(line) && str_eq_nocase(key, str_of(name)))
            return str_trim(line);
    }
    return (struct str){0};
}

static inline bool answer_closes(const struct answer *answer)
{
    return str_eq(answer_header(answer, "connection"), STR("close"));
}

/* Hears one whole answer; bodiless for the answer to a HEAD. False when the stream ends before an answer begins. */
static inline bool hear_one(int fd, struct answer *answer, bool bodiless)
{
    struct buf *all = &answer->rest;
    const char *end;
    while (!all->len || !(end = memmem(all->data, all->len, "\r\n\r\n", 4)))
        if (!hear_more(fd, all)) {
            assert_int_equal(all->len, 0);
            return false;
        }
    buf_free(&answer->head);
    buf_free(&answer->body);
    size_t head = (size_t)(end - all->data) + 4;
    buf_add(&answer->head, all->data, head);
    assert_true(str_starts(buf_view(&answer->head), STR("HTTP/1.1 ")));
    answer->status = (int)strtol(answer->head.data + 9, NULL, 10);
    int64_t length = 0;
    if (!bodiless && answer->status >= 200 && answer->status != 204 && answer->status != 304)
        assert_true(str_to_i64(answer_header(answer, "content-length"), &length));
    while (all->len < head + (size_t)length)
        assert_true(hear_more(fd, all));
    buf_add(&answer->body, all->data + head, (size_t)length);
    size_t left = all->len - head - (size_t)length;
    memmove(all->data, all->data + head + length, left);
    all->len = left;
    return true;
}

static inline void hear(int fd, struct answer *answer)
{
    assert_true(hear_one(fd, answer, false));
}

static inline void hears_the_end(int fd, struct answer *answer)
{
    assert_int_equal(answer->rest.len, 0);
    assert_false(hear_more(fd, &answer->rest));
}

/* Hears a head into answer->head, and leaves what follows in answer->rest. */
static inline void hear_head(int fd, struct answer *answer)
{
    struct buf *all = &answer->rest;
    const char *end;
    while (!all->len || !(end = memmem(all->data, all->len, "\r\n\r\n", 4)))
        assert_true(hear_more(fd, all));
    size_t head = (size_t)(end - all->data) + 4;
    buf_free(&answer->head);
    buf_add(&answer->head, all->data, head);
    memmove(all->data, all->data + head, all->len - head);
    all->len -= head;
    answer->status = (int)strtol(answer->head.data + 9, NULL, 10);
}

/* Hears exactly these bytes. */
static inline void hear_text(int fd, struct answer *answer, const char *text)
{
    size_t len = strlen(text);
    while (answer->rest.len < len)
        assert_true(hear_more(fd, &answer->rest));
    assert_memory_equal(answer->rest.data, text, len);
    answer->rest.len -= len;
    memmove(answer->rest.data, answer->rest.data + len, answer->rest.len);
}

/* Says the bytes on a connection of their own and hears the one answer. */
static inline void ask_bytes(struct site *site, const char *data, size_t len, struct answer *answer)
{
    auto_fd int fd = dial(site);
    say_bytes(fd, data, len);
    hear(fd, answer);
}

#define ASK(site, literal, answer) ask_bytes(site, literal, sizeof(literal) - 1, answer)

/* A site with the server's own patience, for a test that needs no other: set-up and tear-down of cmocka. */
static __attribute__((unused)) int site_setup(void **state)
{
    struct site *site = calloc(1, sizeof *site);
    site->grace_seconds = 20;
    site_start(site);
    *state = site;
    return 0;
}

static __attribute__((unused)) int site_teardown(void **state)
{
    site_stop_and_check(*state);
    free(*state);
    return 0;
}

#endif

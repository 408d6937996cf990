/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

struct str http_header(const struct http_request *rq, const char *name)
{
    struct str wanted = str_of(name);
    for (size_t i = 0; i < rq->header_count; i++)
        if (str_eq_nocase(rq->headers[i].name, wanted))
            return rq->headers[i].value;
    return (struct str){0};
}

/* What a handler says. */

/* A header value is one line whatever somebody managed to put into a name or message: else they could write headers of
 * their own. */
static void make_harmless(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = ' ';
}

void reply_header(struct http_request *rq, const char *name, const char *format, ...)
{
    struct buf *headers = &exchange_of(rq)->headers;
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    buf_str(headers, str_of(name));
    buf_str(headers, STR(": "));
    buf_reserve(headers, 256);
    int len = vsnprintf(headers->data + headers->len, 256, format, arguments);
    va_end(arguments);
    if (len >= 256) {
        buf_reserve(headers, (size_t)len + 1);
        vsnprintf(headers->data + headers->len, (size_t)len + 1, format, again);
    }
    va_end(again);
    assert(len >= 0);
    make_harmless(headers->data + headers->len, (size_t)len);
    headers->len += (size_t)len;
    buf_str(headers, STR("\r\n"));
}

static struct exchange *settle(struct http_request *rq, int status, struct str type, int64_t length)
{
    struct exchange *x = exchange_of(rq);
    assert(!x->replied && !x->streams && status >= 200 && status <= 599 && length >= 0);
    x->replied = true;
    rq->status = status;
    x->type = type;
    x->length = x->left = length;
    return x;
}

void reply_pieces(struct http_request *rq, int status, struct str type, int64_t length,
                  bool (*next)(void *context, struct http_extent *out), void (*release)(void *context), void *context)
{
    struct exchange *x = settle(rq, status, type, length);
    x->next = next;
    x->release = release;
    x->pieces = context;
}

void reply_bytes(struct http_request *rq, int status, struct str type, struct str body)
{
    struct exchange *x = settle(rq, status, type, (int64_t)body.len);
    x->piece = (struct http_extent){.fd = -1, .length = (int64_t)body.len, .data = body.data};
}

void reply_buf(struct http_request *rq, int status, struct str type, struct buf *body)
{
    struct exchange *x = exchange_of(rq);
    x->owned = *body;
    *body = (struct buf){0};
    reply_bytes(rq, status, type, buf_view(&x->owned));
}

/* The reasons are literals of ours, without anything that JSON would want escaped. */
void reply_refuse(struct exchange *x, int status, const char *reason)
{
    struct buf body = {0};
    x->refused = true;
    x->rq.arena = &x->arena;
    x->rq.method = HTTP_GET;
    buf_printf(&body, "{\"error\": \"%s\"}", reason);
    reply_header(&x->rq, "X-Error-Message", "%s", reason);
    reply_buf(&x->rq, status, STR("application/json"), &body);
    x->since = monotonic_us();
    reply_compose(x);
}

/* The head. */

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return ""; /* a client must not need it (RFC 9112 section 4) */
}

static struct str date_now(void)
{
    static _Thread_local int64_t second;
    static _Thread_local char text[30];
    int64_t now = now_us();
    if (now / SECOND_US != second) {
        second = now / SECOND_US;
        time_http(now, text);
    }
    return str_of(text);
}

static void add_number(struct buf *out, int64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buf_add(out, digits + at, sizeof digits - at);
}

/* What is left unread of a body is either little enough to drop, or the connection ends: it would be read as the next
 * request. */
static bool must_close(struct exchange *x)
{
    if (x->refused || !x->keep_alive || x->body_failed || atomic_load(&x->connection->server->stopping))
        return true;
    if (body_complete(x))
        return false;
    return x->chunked || x->expects_continue || x->body_left - (int64_t)exchange_input(x).len > DRAIN_BYTES;
}

void reply_compose(struct exchange *x)
{
    int status = x->rq.status;
    bool bodiless = status == 204 || status == 304;
    x->close = must_close(x) || x->topic || (x->streams && !x->http11);
    struct buf *head = &x->head;
    buf_str(head, STR("HTTP/1.1 "));
    add_number(head, status);
    buf_byte(head, ' ');
    buf_str(head, str_of(phrase_of(status)));
    buf_str(head, STR("\r\nDate: "));
    buf_str(head, date_now());
    if (str_given(x->type)) {
        buf_str(head, STR("\r\nContent-Type: "));
        size_t at = head->len;
        buf_str(head, x->type);
        make_harmless(head->data + at, head->len - at);
    }
    if (x->streams) {
        if (x->http11)
            buf_str(head, STR("\r\nTransfer-Encoding: chunked"));
    } else if (!bodiless) {
        buf_str(head, STR("\r\nContent-Length: "));
        add_number(head, x->length);
    }
    if (x->close)
        buf_str(head, STR("\r\nConnection: close"));
    else if (!x->http11)
        buf_str(head, STR("\r\nConnection: keep-alive"));
    buf_str(head, STR("\r\n"));
    buf_str(head, buf_view(&x->headers));
    buf_str(head, STR("\r\n"));
    if (bodiless || x->rq.method == HTTP_HEAD)
        x->left = 0;
}

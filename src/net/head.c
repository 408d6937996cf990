/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/head.h"

/* What a byte may stand in. */
enum {
    TOKEN = 1,  /* a method or header name (RFC 9110 section 5.6.2) */
    VALUE = 2,  /* a header value: visible, space, tab, and bytes over 127 */
    TARGET = 4, /* a request target: visible ASCII but '#', which begins what clients keep to themselves */
    HOST = 8,   /* Host: names, addresses, port; it comes back in the addresses that we hand out */
};

static const unsigned char classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE | TARGET,
    ['"'] = VALUE | TARGET,
    ['#'] = TOKEN | VALUE,
    ['$'] = TOKEN | VALUE | TARGET,
    ['%'] = TOKEN | VALUE | TARGET | HOST,
    ['&' ... '\''] = TOKEN | VALUE | TARGET,
    ['(' ... ')'] = VALUE | TARGET,
    ['*' ... '+'] = TOKEN | VALUE | TARGET,
    [','] = VALUE | TARGET,
    ['-' ... '.'] = TOKEN | VALUE | TARGET | HOST,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = TOKEN | VALUE | TARGET | HOST,
    [':'] = VALUE | TARGET | HOST,
    [';' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = TOKEN | VALUE | TARGET | HOST,
    ['['] = VALUE | TARGET | HOST,
    ['\\'] = VALUE | TARGET,
    [']'] = VALUE | TARGET | HOST,
    ['^'] = TOKEN | VALUE | TARGET,
    ['_'] = TOKEN | VALUE | TARGET | HOST,
    ['`'] = TOKEN | VALUE | TARGET,
    ['a' ... 'z'] = TOKEN | VALUE | TARGET | HOST,
    ['{'] = VALUE | TARGET,
    ['|'] = TOKEN | VALUE | TARGET,
    ['}'] = VALUE | TARGET,
    ['~'] = TOKEN | VALUE | TARGET | HOST,
    [128 ... 255] = VALUE,
};

static bool all_of(struct str s, unsigned char class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(classes[(unsigned char)s.data[i]] & class))
            return false;
    return true;
}

enum head_found head_find_end(struct head_scan *scan, const char *data, size_t len, size_t *head_len)
{
    if (len > 0 && scan->lines == 0 && !(classes[(unsigned char)data[0]] & TOKEN))
        return HEAD_BAD;
    const char *lf;
    while (scan->scanned < len && (lf = memchr(data + scan->scanned, '\n', len - scan->scanned))) {
        size_t at = (size_t)(lf - data);
        if (at == scan->line || data[at - 1] != '\r')
            return HEAD_BAD;
        bool empty = at == scan->line + 1;
        scan->line = scan->scanned = at + 1;
        if (empty) {
            *head_len = at + 1;
            return HEAD_COMPLETE;
        }
        scan->lines++;
    }
    /* A CR in the unfinished line can only be its last byte. */
    size_t from = scan->scanned > scan->line ? scan->scanned - 1 : scan->scanned;
    const char *cr = from < len ? memchr(data + from, '\r', len - from) : NULL;
    if (cr && cr != data + len - 1)
        return HEAD_BAD;
    scan->scanned = len;
    return HEAD_MORE;
}

static const struct str methods[] = {
    [HTTP_GET] = STR("GET"),         [HTTP_HEAD] = STR("HEAD"),     [HTTP_POST] = STR("POST"),
    [HTTP_PUT] = STR("PUT"),         [HTTP_DELETE] = STR("DELETE"), [HTTP_PATCH] = STR("PATCH"),
    [HTTP_OPTIONS] = STR("OPTIONS"),
};

const char *http_method_name(enum http_method method)
{
    return methods[method].data;
}

static int refuse(int status, const char *text, const char **reason)
{
    *reason = text;
    return status;
}

/* "HTTP/1.1" or "HTTP/1.0"; 505 for the same form with other digits. */
static int parse_version(struct str version, bool *http11, const char **reason)
{
    *http11 = str_eq(version, STR("HTTP/1.1"));
    if (*http11 || str_eq(version, STR("HTTP/1.0")))
        return 0;
    const char *p = version.data;
    if (version.len == 8 && str_starts(version, STR("HTTP/")) && p[5] >= '0' && p[5] <= '9' && p[6] == '.' &&
        p[7] >= '0' && p[7] <= '9')
        return refuse(505, "This server speaks HTTP/1.1 and HTTP/1.0.", reason);
    return refuse(400, "The request line is malformed.", reason);
}

static int parse_request_line(struct str line, struct head *out, const char **reason)
{
    struct str method, rest = line;
    if (!str_cut(&rest, ' ', &method) || !str_cut(&rest, ' ', &out->target) || !str_given(rest) || method.len == 0 ||
        !all_of(method, TOKEN))
        return refuse(400, "The request line is malformed.", reason);
    int refused = parse_version(rest, &out->http11, reason);
    if (refused)
        return refused;
    if (out->target.len == 0 || out->target.data[0] != '/' || !all_of(out->target, TARGET))
        return refuse(400, "The request target must be a path in visible ASCII.", reason);
    out->query = out->target;
    str_cut(&out->query, '?', &out->path);
    for (out->method = 0; out->method < HTTP_METHODS; out->method++)
        if (str_eq(method, methods[out->method]))
            return 0;
    return refuse(501, "This method is not known here.", reason);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static int parse_header(struct str line, struct http_header *out, const char **reason)
{
    struct str value = line;
    if (!str_cut(&value, ':', &out->name) || !str_given(value) || out->name.len == 0 || !all_of(out->name, TOKEN))
        return refuse(400, "A header line is malformed.", reason);
    if (!all_of(value, VALUE))
        return refuse(400, "A header value has a control character.", reason);
    while (value.len && blank(value.data[0]))
        value = str_from(value, 1);
    while (value.len && blank(value.data[value.len - 1]))
        value.len--;
    out->value = value;
    return 0;
}

/* What decides where this request ends and whether another follows. Each may be seen once; seen is a set of these bits.
 */
enum { SEEN_HOST = 1, SEEN_LENGTH = 2, SEEN_CODING = 4, SEEN_CLOSE = 8, SEEN_KEEP = 16 };

static void read_connection(struct str list, unsigned *seen)
{
    for (struct str item; str_cut(&list, ',', &item);) {
        item = str_trim(item);
        if (str_eq_nocase(item, STR("close")))
            *seen |= SEEN_CLOSE;
        else if (str_eq_nocase(item, STR("keep-alive")))
            *seen |= SEEN_KEEP;
    }
}

static int read_framing(const struct http_header *h, struct head *out, unsigned *seen, const char **reason)
{
    if (h->name.len == 4 && str_eq_nocase(h->name, STR("Host"))) {
        if (*seen & SEEN_HOST || h->value.len == 0 || !all_of(h->value, HOST))
            return refuse(400, "Host must be given once and be a host name.", reason);
        *seen |= SEEN_HOST;
    } else if (h->name.len == 14 && str_eq_nocase(h->name, STR("Content-Length"))) {
        if (*seen & SEEN_LENGTH || !str_to_i64(h->value, &out->content_length))
            return refuse(400, "Content-Length must be given once and be a decimal number.", reason);
        *seen |= SEEN_LENGTH;
    } else if (h->name.len == 17 && str_eq_nocase(h->name, STR("Transfer-Encoding"))) {
        if (*seen & SEEN_CODING || !str_eq_nocase(h->value, STR("chunked")))
            return refuse(400, "Transfer-Encoding must be given once and be chunked.", reason);
        *seen |= SEEN_CODING;
    } else if (h->name.len == 10 && str_eq_nocase(h->name, STR("Connection"))) {
        read_connection(h->value, seen);
    } else if (h->name.len == 6 && str_eq_nocase(h->name, STR("Expect"))) {
        out->expects_continue = str_eq_nocase(h->value, STR("100-continue"));
    }
    return 0;
}

static int settle_framing(struct head *out, unsigned seen, const char **reason)
{
    if (out->http11 && !(seen & SEEN_HOST))
        return refuse(400, "Host is missing.", reason);
    if (seen & SEEN_CODING && seen & SEEN_LENGTH)
        return refuse(400, "Content-Length and Transfer-Encoding exclude each other.", reason);
    if (seen & SEEN_CODING && !out->http11)
        return refuse(400, "HTTP/1.0 has no Transfer-Encoding.", reason);
    out->chunked = seen & SEEN_CODING;
    if (out->chunked)
        out->content_length = -1;
    out->keep_alive = !(seen & SEEN_CLOSE) && (out->http11 || seen & SEEN_KEEP);
    /* Only 1.1 knows the expectation, and without a body there is nothing to continue with. */
    out->expects_continue = out->expects_continue && out->http11 && out->content_length != 0;
    return 0;
}

int head_parse(const char *data, size_t len, struct http_header *headers, size_t capacity, struct head *out,
               const char **reason)
{
    *out = (struct head){.headers = headers};
    struct str rest = {data, len}, line;
    unsigned seen = 0;
    for (bool first = true;; first = false) {
        const char *lf = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
        if (!lf || lf == rest.data || lf[-1] != '\r')
            return refuse(400, "A line of the head does not end in CRLF.", reason);
        line = (struct str){rest.data, (size_t)(lf - rest.data) - 1};
        rest = str_from(rest, line.len + 2);
        if (line.len == 0 && !first)
            break;
        int refused;
        if (first) {
            refused = parse_request_line(line, out, reason);
        } else if (out->header_count == capacity) {
            return refuse(431, "The request has too many headers.", reason);
        } else {
            struct http_header *header = &headers[out->header_count++];
            refused = parse_header(line, header, reason);
            if (!refused)
                refused = read_framing(header, out, &seen, reason);
        }
        if (refused)
            return refused;
    }
    if (rest.len != 0)
        return refuse(400, "The head is malformed.", reason);
    return settle_framing(out, seen, reason);
}

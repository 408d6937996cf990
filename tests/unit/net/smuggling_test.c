/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What request smuggling lives from, said raw over a socket. Each bad request gets its status and a closed connection,
 * and what stands behind it is never read as a request. Each good twin differs in the one thing that is wrong with a
 * bad one.
 */
#include "fixture.h"

struct raw {
    const char *name, *bytes;
    size_t len;
    int status;
};

#define RAW(name, status, literal)                                                                                     \
    {                                                                                                                  \
        name, literal, sizeof(literal) - 1, status                                                                     \
    }

static const struct raw bad[] = {
    RAW("bare LF after the request line", 400, "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    RAW("bare LF after a header", 400, "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"),
    RAW("bare LF as the empty line", 400, "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    RAW("bare LF everywhere", 400, "GET / HTTP/1.1\nHost: h\n\n"),
    RAW("bare CR as line end", 400, "GET / HTTP/1.1\rHost: h\r\r"),
    RAW("CR inside a value", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n"),
    RAW("CR CR LF", 400, "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
    RAW("NUL in a value", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"),
    RAW("NUL in a name", 400, "GET / HTTP/1.1\r\nHost: h\r\nX\0Y: a\r\n\r\n"),
    RAW("NUL in the target", 400, "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("another control character", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01\r\n\r\n"),
    RAW("DEL in a value", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\x7f\r\n\r\n"),
    RAW("folded header", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"),
    RAW("folded header with a tab", 400, "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb: c\r\n\r\n"),
    RAW("space before the first header", 400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    RAW("space before the colon", 400, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
    RAW("tab before the colon", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length\t: 2\r\n\r\nab"),
    RAW("no colon", 400, "GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n"),
    RAW("empty name", 400, "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n"),
    RAW("name that is no token", 400, "GET / HTTP/1.1\r\nHost: h\r\nX(y): x\r\n\r\n"),
    RAW("name outside ASCII", 400, "GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa9: x\r\n\r\n"),
    RAW("both lengths", 400,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    RAW("both lengths, other order", 400,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    RAW("two different lengths", 400,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    RAW("the same length twice", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
    RAW("a list of lengths", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab"),
    RAW("a length with plus", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab"),
    RAW("a negative length", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\nab"),
    RAW("a hexadecimal length", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab"),
    RAW("a length with a fraction", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2.0\r\n\r\nab"),
    RAW("a length with a space inside", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\nab"),
    RAW("an empty length", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n"),
    RAW("a length beyond 63 bits", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775808\r\n\r\n"),
    RAW("a length that wraps", 400, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551618\r\n\r\nab"),
    RAW("an unknown coding", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    RAW("a list of codings", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    RAW("identity", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    RAW("chunked twice", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    RAW("two coding headers", 400,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    RAW("a quoted coding", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    RAW("a vertical tab beside the coding", 400,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0b"
        "chunked\r\n\r\n0\r\n\r\n"),
    RAW("an empty coding", 400, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n"),
    RAW("chunked in HTTP/1.0", 400, "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    RAW("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
    RAW("two Hosts", 400, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    RAW("two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n"),
    RAW("an empty Host", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    RAW("a Host with a path", 400, "GET / HTTP/1.1\r\nHost: h/evil\r\n\r\n"),
    RAW("a Host with a user", 400, "GET / HTTP/1.1\r\nHost: a@h\r\n\r\n"),
    RAW("absolute target", 400, "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("authority target", 400, "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("asterisk target", 400, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("fragment in the target", 400, "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("target outside ASCII", 400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("two spaces in the request line", 400, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("a space in the target", 400, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("a tab in the request line", 400, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("a space after the version", 400, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    RAW("no version", 400, "GET /\r\n\r\n"),
    RAW("version in small letters", 400, "GET / http/1.1\r\nHost: h\r\n\r\n"),
    RAW("version with more digits", 400, "GET / HTTP/1.10\r\nHost: h\r\n\r\n"),
    RAW("no method", 400, " / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("method that is no token", 400, "GE@T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("two empty lines before", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("a TLS greeting", 400, "\x16\x03\x01\x02\x00\x01\x00"),
    RAW("unknown method", 501, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("CONNECT", 400, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("method in small letters", 501, "get / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    RAW("HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: h\r\n\r\n"),
    RAW("HTTP/0.9 by number", 505, "GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
};

#define CHUNKED "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

/* These have a good head, so the handler runs; reading the body fails. */
static const struct raw bad_chunks[] = {
    RAW("bare LF after the size", 400, CHUNKED "2\nab\r\n0\r\n\r\n"),
    RAW("bare LF after the data", 400, CHUNKED "2\r\nab\n0\r\n\r\n"),
    RAW("bare LF at the end", 400, CHUNKED "2\r\nab\r\n0\r\n\n"),
    RAW("0x before the size", 400, CHUNKED "0x2\r\nab\r\n0\r\n\r\n"),
    RAW("plus before the size", 400, CHUNKED "+2\r\nab\r\n0\r\n\r\n"),
    RAW("minus before the size", 400, CHUNKED "-2\r\nab\r\n0\r\n\r\n"),
    RAW("space before the size", 400, CHUNKED " 2\r\nab\r\n0\r\n\r\n"),
    RAW("space after the size", 400, CHUNKED "2 \r\nab\r\n0\r\n\r\n"),
    RAW("empty size", 400, CHUNKED "\r\nab\r\n0\r\n\r\n"),
    RAW("size with an underscore", 400, CHUNKED "1_0\r\nab\r\n0\r\n\r\n"),
    RAW("size that overflows", 400, CHUNKED "10000000000000002\r\nab\r\n0\r\n\r\n"),
    RAW("size in too many digits", 400, CHUNKED "0000000000000002\r\nab\r\n0\r\n\r\n"),
    RAW("size smaller than the data", 400, CHUNKED "1\r\nab\r\n0\r\n\r\n"),
    RAW("size larger than the data", 400, CHUNKED "3\r\nab\r\n0\r\n\r\n"),
    RAW("CR in an extension", 400, CHUNKED "2;a\rb\r\nab\r\n0\r\n\r\n"),
    RAW("LF in an extension", 400, CHUNKED "2;a\nb\r\nab\r\n0\r\n\r\n"),
    RAW("NUL in an extension", 400, CHUNKED "2;\0\r\nab\r\n0\r\n\r\n"),
    RAW("folded trailer", 400, CHUNKED "0\r\nA: b\r\n c\r\n\r\n"),
    RAW("bare LF in a trailer", 400, CHUNKED "0\r\nA: b\n\r\n"),
};

static const struct raw good[] = {
    RAW("plain", 200, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("one empty line before", 200, "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("white space around a value", 200, "GET / HTTP/1.1\r\nHost: \t h \t\r\n\r\n"),
    RAW("no white space before a value", 200, "GET / HTTP/1.1\r\nHost:h\r\n\r\n"),
    RAW("an empty value", 200, "GET / HTTP/1.1\r\nHost: h\r\nX:\r\n\r\n"),
    RAW("tab inside a value", 200, "GET / HTTP/1.1\r\nHost: h\r\nX: a\tb\r\n\r\n"),
    RAW("value outside ASCII", 200, "GET / HTTP/1.1\r\nHost: h\r\nX: \xc3\xa9\r\n\r\n"),
    RAW("every kind of token", 200, "GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),
    RAW("names in any case", 200, "POST /echo HTTP/1.1\r\nhOST: h\r\ncontent-LENGTH: 2\r\n\r\nab"),
    RAW("Host with a port", 200, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
    RAW("no Host in HTTP/1.0", 200, "GET / HTTP/1.0\r\n\r\n"),
    RAW("a length", 200, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"),
    RAW("a length with zeros in front", 200, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0002\r\n\r\nab"),
    RAW("a length of zero", 200, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
    RAW("chunked", 200, CHUNKED "2\r\nab\r\n0\r\n\r\n"),
    RAW("Chunked", 200, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    RAW("zeros before a size", 200, CHUNKED "0002\r\nab\r\n000\r\n\r\n"),
    RAW("hexadecimal size", 200, CHUNKED "00000000000000a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
    RAW("an extension", 200, CHUNKED "2;name=\"va lue\"\r\nab\r\n0;x\r\n\r\n"),
    RAW("trailers", 200, CHUNKED "2\r\nab\r\n0\r\nX: y\r\nHost: other\r\n\r\n"),
    RAW("query and odd characters", 200, "GET /a?b=c&d=[1]|{2}\"<>\\^`%00 HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("the ordinary OPTIONS", 200, "OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n"),
    RAW("a GET with a body", 200, "GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"),
};

static const char follower[] = "GET /smuggled HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/* Says the request with another right behind it; the number of answers that come until the end of the stream. */
static int answers_to(struct site *site, const struct raw *raw, struct answer *answer, int *first_status)
{
    auto_fd int fd = dial(site);
    auto_buf struct buf both = {0};
    buf_add(&both, raw->bytes, raw->len);
    buf_add(&both, follower, sizeof follower - 1);
    say_bytes(fd, both.data, both.len);
    int count = 0;
    for (; hear_one(fd, answer, false); count++)
        if (count == 0)
            *first_status = answer->status;
    return count;
}

static void each_bad_request_is_refused_and_nothing_behind_it_is_read(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        auto_answer struct answer answer = {0};
        int status = 0, count = answers_to(site, &bad[i], &answer, &status);
        if (count != 1 || status != bad[i].status || !answer_closes(&answer) || site->handled != 0)
            fail_msg("%s: %d answers, the first %d", bad[i].name, count, status);
        assert_true(str_eq(answer_header(&answer, "content-type"), STR("application/json")));
        assert_true(str_starts(buf_view(&answer.body), STR("{\"error\": \"")));
        assert_true(str_given(answer_header(&answer, "x-error-message")));
    }
    struct http_stats stats;
    http_server_stats(site->server, &stats);
    wait_until((http_server_stats(site->server, &stats), stats.requests == sizeof bad / sizeof *bad));
}

static void each_bad_chunk_is_refused_and_nothing_behind_it_is_read(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof bad_chunks / sizeof *bad_chunks; i++) {
        auto_answer struct answer answer = {0};
        int status = 0, count = answers_to(site, &bad_chunks[i], &answer, &status);
        if (count != 1 || status != 400 || !answer_closes(&answer) || site->handled != (int)i + 1)
            fail_msg("%s: %d answers, the first %d", bad_chunks[i].name, count, status);
    }
}

static void each_good_twin_is_served_and_so_is_the_request_behind_it(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        auto_answer struct answer answer = {0};
        bool stays = !memmem(good[i].bytes, good[i].len, "HTTP/1.0", 8);
        int status = 0, count = answers_to(site, &good[i], &answer, &status);
        if (count != (stays ? 2 : 1) || status != 200)
            fail_msg("%s: %d answers, the first %d", good[i].name, count, status);
    }
}

static void a_head_over_the_limit_is_refused_and_one_at_the_limit_is_not(void **state)
{
    struct site *site = *state;
    for (int over = 0; over <= 1; over++) {
        auto_answer struct answer answer = {0};
        auto_buf struct buf request = {0};
        buf_str(&request, STR("GET / HTTP/1.1\r\nHost: h\r\nX: "));
        while (request.len < (32 << 10) - 4 + (size_t)over)
            buf_byte(&request, 'x');
        buf_str(&request, STR("\r\n\r\n"));
        ask_bytes(site, request.data, request.len, &answer);
        assert_int_equal(answer.status, over ? 431 : 200);
    }
}

static void an_endless_head_is_refused_before_it_ends(void **state)
{
    auto_answer struct answer answer = {0};
    auto_buf struct buf request = {0};
    buf_str(&request, STR("GET /"));
    while (request.len < 40 << 10)
        buf_byte(&request, 'x');
    ask_bytes(*state, request.data, request.len, &answer);
    assert_int_equal(answer.status, 431);
}

static void more_than_a_hundred_headers_are_refused_and_a_hundred_are_not(void **state)
{
    for (int count = 100; count <= 101; count++) {
        auto_answer struct answer answer = {0};
        auto_buf struct buf request = {0};
        buf_str(&request, STR("GET / HTTP/1.1\r\nHost: h\r\n"));
        for (int i = 1; i < count; i++)
            buf_str(&request, STR("X: y\r\n"));
        buf_str(&request, STR("\r\n"));
        ask_bytes(*state, request.data, request.len, &answer);
        assert_int_equal(answer.status, count == 100 ? 200 : 431);
    }
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(each_bad_request_is_refused_and_nothing_behind_it_is_read),
        WITH_SITE(each_bad_chunk_is_refused_and_nothing_behind_it_is_read),
        WITH_SITE(each_good_twin_is_served_and_so_is_the_request_behind_it),
        WITH_SITE(a_head_over_the_limit_is_refused_and_one_at_the_limit_is_not),
        WITH_SITE(an_endless_head_is_refused_before_it_ends),
        WITH_SITE(more_than_a_hundred_headers_are_refused_and_a_hundred_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

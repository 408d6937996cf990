/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parser makes of good heads; the bad ones are in smuggling_test.c, over a socket. */
#include "net/head.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

/* Last: it needs what the standard headers define. */
#include <cmocka.h>

static struct http_header headers[HEAD_HEADERS];

static struct head parse(const char *text)
{
    struct head_scan scan = {0};
    struct head head;
    const char *reason = "";
    size_t len = 0;
    if (head_find_end(&scan, text, strlen(text), &len) != HEAD_COMPLETE ||
        head_parse(text, len, headers, HEAD_HEADERS, &head, &reason) != 0)
        fail_msg("%s refused: %s", text, reason);
    assert_int_equal(scan.lines, head.header_count + 1);
    return head;
}

static void the_target_is_split_at_the_first_question_mark(void **state)
{
    (void)state;
    struct head head = parse("GET /a/b%2Fc?x=1?y HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(str_eq(head.target, STR("/a/b%2Fc?x=1?y")));
    assert_true(str_eq(head.path, STR("/a/b%2Fc")));
    assert_true(str_eq(head.query, STR("x=1?y")));
    head = parse("GET /a? HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(str_given(head.query) && head.query.len == 0);
    head = parse("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_false(str_given(head.query));
}

static void each_known_method_is_itself(void **state)
{
    (void)state;
    for (enum http_method method = 0; method < HTTP_METHODS; method++) {
        char text[64];
        snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", http_method_name(method));
        assert_int_equal(parse(text).method, method);
    }
}

static void values_lose_their_outer_white_space_and_names_keep_their_case(void **state)
{
    (void)state;
    struct head head = parse("GET / HTTP/1.1\r\nHost: h\r\nX-Y:\t a  b \t\r\nEmpty: \r\n\r\n");
    assert_int_equal(head.header_count, 3);
    assert_true(str_eq(head.headers[1].name, STR("X-Y")));
    assert_true(str_eq(head.headers[1].value, STR("a  b")));
    assert_true(str_given(head.headers[2].value) && head.headers[2].value.len == 0);
}

static void a_connection_stays_or_closes_as_both_sides_understand_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool stays;
    } table[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: x ,CLOSE\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (parse(table[i].text).keep_alive != table[i].stays)
            fail_msg("%s", table[i].text);
}

static void the_body_is_framed_as_the_headers_say(void **state)
{
    (void)state;
    struct head head = parse("PUT / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(head.content_length == 0 && !head.chunked && !head.expects_continue);
    head = parse("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_true(head.content_length == INT64_MAX && !head.chunked);
    head = parse("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    assert_true(head.content_length == -1 && head.chunked && head.expects_continue);
    head = parse("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: something\r\n\r\n");
    assert_false(head.expects_continue);
}

static void an_end_is_found_only_where_there_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum head_found found;
    } table[] = {
        {"", HEAD_MORE},
        {"G", HEAD_MORE},
        {"GET / HTTP/1.1\r", HEAD_MORE},
        {"GET / HTTP/1.1\r\n", HEAD_MORE},
        {"GET / HTTP/1.1\r\n\r", HEAD_MORE},
        {"GET / HTTP/1.1\r\n\r\n", HEAD_COMPLETE},
        {"GET / HTTP/1.1\r\n\r\n\n", HEAD_COMPLETE},
        {"GET / HTTP/1.1\n", HEAD_BAD},
        {"GET / HTTP/1.1\rH", HEAD_BAD},
        {"\n", HEAD_BAD},
        {"\r", HEAD_BAD},
        {"{", HEAD_BAD},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct head_scan scan = {0};
        size_t len;
        if (head_find_end(&scan, table[i].text, strlen(table[i].text), &len) != table[i].found)
            fail_msg("%zu: %s", i, table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_target_is_split_at_the_first_question_mark),
        cmocka_unit_test(each_known_method_is_itself),
        cmocka_unit_test(values_lose_their_outer_white_space_and_names_keep_their_case),
        cmocka_unit_test(a_connection_stays_or_closes_as_both_sides_understand_it),
        cmocka_unit_test(the_body_is_framed_as_the_headers_say),
        cmocka_unit_test(an_end_is_found_only_where_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

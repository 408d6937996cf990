/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a client that behaves gets. */
#include "fixture.h"

static void a_get_is_answered_with_a_length_a_date_and_the_peers_address(void **state)
{
    auto_answer struct answer answer = {0};
    ASK(*state, "GET /x HTTP/1.1\r\nHost: hub\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    assert_true(str_eq(buf_view(&answer.body), STR("hello")));
    assert_true(str_eq(answer_header(&answer, "content-type"), STR("text/plain")));
    assert_true(str_ends(answer_header(&answer, "date"), STR(" GMT")));
    assert_true(str_eq(answer_header(&answer, "x-remote"), STR("127.0.0.1")));
    assert_false(str_given(answer_header(&answer, "connection")));
}

static void a_connection_serves_many_requests(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    for (int i = 0; i < 50; i++) {
        SAY(fd, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n");
        hear(fd, &answer);
        assert_int_equal(answer.status, 200);
    }
}

static void a_connection_closes_when_the_client_asks_for_it(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET / HTTP/1.1\r\nHost: hub\r\nConnection: foo, Close\r\n\r\n");
    hear(fd, &answer);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
}

static void http_1_0_closes_unless_it_asks_to_stay(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear(fd, &answer);
    assert_true(str_eq(answer_header(&answer, "connection"), STR("keep-alive")));
    SAY(fd, "GET / HTTP/1.0\r\n\r\n");
    hear(fd, &answer);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
            "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
            "\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nth");
    const char *const expected[] = {"one", "hello", "two", "three"};
    for (size_t i = 0; i < 4; i++) {
        if (i == 3)
            SAY(fd, "ree");
        hear(fd, &answer);
        assert_true(str_eq(buf_view(&answer.body), str_of(expected[i])));
    }
}

static void a_pipeline_of_thousands_is_answered_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_buf struct buf many = {0};
    auto_fd int fd = dial(*state);
    for (int i = 0; i < 3000; i++)
        buf_str(&many, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    say_bytes(fd, many.data, many.len);
    for (int i = 0; i < 3000; i++)
        hear(fd, &answer);
}

static void head_has_the_headers_of_get_and_no_body(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "HEAD /file HTTP/1.1\r\nHost: hub\r\n\r\n");
    assert_true(hear_one(fd, &answer, true));
    int64_t length;
    assert_true(str_to_i64(answer_header(&answer, "content-length"), &length));
    assert_int_equal(length, FILE_SIZE + 8);
    SAY(fd, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n"); /* and what comes next is the next answer */
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("hello")));
    wait_until(site->released == 1 && site->done == 2);
    assert_int_equal(site->done_bytes, 5);
}

static void no_content_and_not_modified_have_neither_body_nor_length(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET /status?s=204 HTTP/1.1\r\nHost: h\r\n\r\nGET /status?s=304 HTTP/1.1\r\nHost: h\r\n\r\n"
            "GET /status?s=404 HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        hear(fd, &answer);
        assert_int_equal(answer.status, i == 0 ? 204 : 304);
        assert_false(str_given(answer_header(&answer, "content-length")));
    }
    hear(fd, &answer);
    assert_int_equal(answer.status, 404);
    assert_true(str_eq(buf_view(&answer.body), STR("body")));
}

static void pieces_of_files_and_memory_arrive_as_one_body(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    ASK(site, "GET /file HTTP/1.1\r\nHost: hub\r\n\r\n", &answer);
    assert_int_equal(answer.body.len, FILE_SIZE + 8);
    assert_memory_equal(answer.body.data + 1000, "-middle-", 8);
    for (int64_t i = 0; i < FILE_SIZE; i++)
        if (answer.body.data[i < 1000 ? i : i + 8] != pattern(i))
            fail_msg("byte %lld differs", (long long)i);
    wait_until(site->released == 1 && site->done == 1);
    assert_int_equal(site->done_bytes, FILE_SIZE + 8);
}

static void a_file_that_became_shorter_ends_the_connection(void **state)
{
    struct site *site = *state;
    auto_buf struct buf all = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /short HTTP/1.1\r\nHost: hub\r\n\r\n");
    while (hear_more(fd, &all))
        ;
    wait_until(site->released == 1 && site->done == 1);
    assert_int_equal(site->done_bytes, FILE_SIZE + 8);
}

static void a_large_buffer_goes_out_whole_to_a_slow_reader(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET /big?n=9000000 HTTP/1.1\r\nHost: hub\r\n\r\n");
    usleep(100000); /* the socket fills; whether it did makes no difference to what must come out */
    hear(fd, &answer);
    assert_int_equal(answer.body.len, 9000000);
    for (int64_t i = 0; i < 9000000; i++)
        if (answer.body.data[i] != pattern(i))
            fail_msg("byte %lld differs", (long long)i);
}

static void a_header_value_cannot_become_another_header(void **state)
{
    auto_answer struct answer answer = {0};
    ASK(*state, "GET /inject HTTP/1.1\r\nHost: hub\r\n\r\n", &answer);
    assert_false(str_given(answer_header(&answer, "x-evil")));
    assert_true(str_starts(answer_header(&answer, "x-name"), STR("a  X-Evil: 1")));
    assert_true(str_starts(answer_header(&answer, "content-type"), STR("text/plain  X-Evil")));
}

static void a_long_header_value_goes_out_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_buf struct buf request = {0};
    buf_str(&request, STR("GET /long-header?"));
    for (int i = 0; i < 5000; i++)
        buf_byte(&request, 'x');
    buf_str(&request, STR(" HTTP/1.1\r\nHost: hub\r\n\r\n"));
    ask_bytes(*state, request.data, request.len, &answer);
    assert_int_equal(answer_header(&answer, "x-long").len, 5000);
}

static void a_head_that_arrives_byte_by_byte_is_understood(void **state)
{
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\nok";
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        say_bytes(fd, request + i, 1);
        usleep(200);
    }
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("ok")));
}

static void addresses_that_cannot_be_listened_on_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "8080",  "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "example.org:80",
        "::1:80", "[::1]", "[::1:80",   "[zz]:80",    "999.0.0.1:80",    ":80",          "192.0.2.1:1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_config config = {.listen = bad[i], .handle = site_handle};
        struct http_server *server;
        struct error err = {0};
        if (http_server_new(&config, &server, &err) == OK)
            fail_msg("%s", bad[i]);
        assert_true(err.message[0] != '\0');
    }
    static const char *const good[] = {"127.0.0.1:0", "localhost:0", "0.0.0.0:0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct http_config config = {.listen = good[i], .handle = site_handle};
        struct http_server *server;
        assert_int_equal(http_server_new(&config, &server, NULL), OK);
        assert_true(http_server_port(server) > 0);
        http_server_free(server);
    }
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_get_is_answered_with_a_length_a_date_and_the_peers_address),
        WITH_SITE(a_connection_serves_many_requests),
        WITH_SITE(a_connection_closes_when_the_client_asks_for_it),
        WITH_SITE(http_1_0_closes_unless_it_asks_to_stay),
        WITH_SITE(pipelined_requests_are_answered_in_order),
        WITH_SITE(a_pipeline_of_thousands_is_answered_whole),
        WITH_SITE(head_has_the_headers_of_get_and_no_body),
        WITH_SITE(no_content_and_not_modified_have_neither_body_nor_length),
        WITH_SITE(pieces_of_files_and_memory_arrive_as_one_body),
        WITH_SITE(a_file_that_became_shorter_ends_the_connection),
        WITH_SITE(a_large_buffer_goes_out_whole_to_a_slow_reader),
        WITH_SITE(a_header_value_cannot_become_another_header),
        WITH_SITE(a_long_header_value_goes_out_whole),
        WITH_SITE(a_head_that_arrives_byte_by_byte_is_understood),
        cmocka_unit_test(addresses_that_cannot_be_listened_on_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

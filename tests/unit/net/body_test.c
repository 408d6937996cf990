/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Request bodies: read, refused, dropped, announced and never sent. */
#include "fixture.h"

static void say_zeros(int fd, size_t len)
{
    static const char zeros[64 << 10];
    for (; len > 0; len -= len < sizeof zeros ? len : sizeof zeros)
        say_bytes(fd, zeros, len < sizeof zeros ? len : sizeof zeros);
}

/* Sends as much as the server takes; a server that has answered may stop listening. */
static void say_zeros_until_refused(int fd, size_t len)
{
    static const char zeros[64 << 10];
    for (ssize_t n; len > 0; len -= (size_t)n)
        if ((n = send(fd, zeros, len < sizeof zeros ? len : sizeof zeros, MSG_NOSIGNAL)) <= 0)
            return;
}

static void says_still_alive(int fd, struct answer *answer)
{
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(fd, answer);
    assert_true(str_eq(buf_view(&answer->body), STR("hello")));
}

static void a_large_body_is_read_whole_and_the_connection_stays(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n");
    say_zeros(fd, 30000000);
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("30000000")));
    says_still_alive(fd, &answer);
}

static void a_small_body_in_pieces_is_read_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n");
    for (int i = 0; i < 60; i++) {
        say_zeros(fd, 1000);
        usleep(500);
    }
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("60000")));
    says_still_alive(fd, &answer);
}

static void a_chunked_body_in_any_pieces_is_read_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "PUT /sum HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 40; i++) {
        SAY(fd, "1");
        SAY(fd, "86a0\r");
        SAY(fd, "\n");
        say_zeros(fd, 100000);
        SAY(fd, "\r\n");
    }
    SAY(fd, "0\r\nTrailer: dropped\r\n\r\n");
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("4000000")));
    says_still_alive(fd, &answer);
}

static void a_body_over_the_handlers_limit_is_refused_known_or_not(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int known = dial(*state), unknown = dial(*state);
    SAY(known, "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
    hear(known, &answer);
    assert_int_equal(answer.status, 413);
    assert_true(answer_closes(&answer));
    SAY(unknown, "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\n");
    say_zeros_until_refused(unknown, 20 << 20);
    hear(unknown, &answer);
    assert_int_equal(answer.status, 413);
    assert_true(answer_closes(&answer));
}

static void a_client_that_waits_for_continue_gets_it_before_the_body(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\n");
    hear(fd, &answer);
    assert_int_equal(answer.status, 100);
    SAY(fd, "body");
    hear(fd, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(str_eq(buf_view(&answer.body), STR("body")));
    says_still_alive(fd, &answer);
}

static void a_refusal_comes_instead_of_continue_and_ends_the_connection(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    hear(fd, &answer);
    assert_int_equal(answer.status, 401);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
}

static void http_1_0_and_empty_bodies_get_no_continue(void **state)
{
    static const char *const requests[] = {
        "POST /echo HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok",
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        auto_answer struct answer answer = {0};
        ask_bytes(*state, requests[i], strlen(requests[i]), &answer);
        assert_int_equal(answer.status, 200);
    }
}

static void a_small_unread_body_is_dropped_and_the_connection_stays(void **state)
{
    static const size_t sizes[] = {5, 60000, 70000, 250000};
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char head[128];
        int len =
            snprintf(head, sizeof head, "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        say_bytes(fd, head, (size_t)len);
        say_zeros(fd, sizes[i] / 2);
        usleep(2000);
        say_zeros(fd, sizes[i] - sizes[i] / 2);
        hear(fd, &answer);
        assert_int_equal(answer.status, 401);
        assert_false(answer_closes(&answer));
        says_still_alive(fd, &answer);
    }
}

static void a_large_unread_body_ends_the_connection_but_its_answer_is_heard(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "PUT /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 40000000\r\n\r\n");
    say_zeros(fd, 40000000); /* first the whole body, then a look at the answer, as some clients do */
    hear(fd, &answer);
    assert_int_equal(answer.status, 401);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
    assert_int_equal(site->handled, 1);
}

static void an_unread_chunked_body_ends_the_connection(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "PUT /refuse HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            "26\r\nGET /smuggled HTTP/1.1\r\nHost: hub\r\n\r\n\r\n0\r\n\r\n");
    hear(fd, &answer);
    assert_int_equal(answer.status, 401);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
    assert_int_equal(site->handled, 1);
}

static void a_peer_that_leaves_within_its_body_is_noticed(void **state)
{
    struct site *site = *state;
    auto_fd int large = dial(site), small = dial(site), chunked = dial(site);
    SAY(large, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nonly this");
    fd_close(&large);
    wait_until(site->done == 1);
    assert_int_equal(site->body_status, INVALID);
    site->body_status = 0;
    SAY(chunked, "PUT /sum HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nonly this");
    fd_close(&chunked);
    wait_until(site->done == 2);
    assert_int_equal(site->body_status, INVALID);
    SAY(small, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nonly this");
    fd_close(&small);
    struct http_stats stats;
    wait_until((http_server_stats(site->server, &stats), stats.connections == 0));
    assert_int_equal(site->handled, 2); /* no handler has to see half a small body */
}

static void a_client_that_only_shuts_its_side_gets_its_answer(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
    shutdown(fd, SHUT_WR);
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("body")));
    hears_the_end(fd, &answer);
}

static void bytes_in_and_out_are_counted(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    ask_bytes(site, request, sizeof request - 1, &answer);
    struct http_stats stats;
    wait_until((http_server_stats(site->server, &stats), stats.requests == 1));
    assert_int_equal(stats.bytes_in, sizeof request - 1);
    assert_int_equal(stats.bytes_out, 4);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, site_setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_large_body_is_read_whole_and_the_connection_stays),
        WITH_SITE(a_small_body_in_pieces_is_read_whole),
        WITH_SITE(a_chunked_body_in_any_pieces_is_read_whole),
        WITH_SITE(a_body_over_the_handlers_limit_is_refused_known_or_not),
        WITH_SITE(a_client_that_waits_for_continue_gets_it_before_the_body),
        WITH_SITE(a_refusal_comes_instead_of_continue_and_ends_the_connection),
        WITH_SITE(http_1_0_and_empty_bodies_get_no_continue),
        WITH_SITE(a_small_unread_body_is_dropped_and_the_connection_stays),
        WITH_SITE(a_large_unread_body_ends_the_connection_but_its_answer_is_heard),
        WITH_SITE(an_unread_chunked_body_ends_the_connection),
        WITH_SITE(a_peer_that_leaves_within_its_body_is_noticed),
        WITH_SITE(a_client_that_only_shuts_its_side_gets_its_answer),
        WITH_SITE(bytes_in_and_out_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

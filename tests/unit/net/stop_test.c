/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stopping: who is let finish, who is not, and that it always ends. */
#include "fixture.h"
#include "net/internal.h"
#include <signal.h>

static struct site *start_site(unsigned grace_seconds)
{
    struct site *site = calloc(1, sizeof *site);
    site->grace_seconds = grace_seconds;
    site_start(site);
    return site;
}

/* The run has ended or will end by itself. */
static void expect_end(struct site *site)
{
    pthread_join(site->thread, NULL);
    http_server_free(site->server);
    close(site->file);
    assert_int_equal(site->handled, site->done);
    free(site);
}

static void idle_connections_and_unfinished_heads_are_closed_at_once(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int used = dial(site), fresh = dial(site), half = dial(site);
    SAY(half, "GET / HT");
    SAY(used, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(used, &answer);
    http_server_stop(site->server);
    hears_the_end(used, &answer);
    expect_end(site);
}

static void a_request_in_flight_finishes_and_its_connection_closes(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site), idle = dial(site);
    SAY(fd, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->blocked == 1);
    http_server_stop(site->server);
    hears_the_end(idle, &answer); /* so the stop has begun */
    site_open_gate(site);
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("through")));
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
    expect_end(site);
}

static void a_download_in_flight_finishes(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site), idle = dial(site);
    SAY(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->handled == 1);
    http_server_stop(site->server);
    hears_the_end(idle, &answer);
    hear(fd, &answer);
    assert_int_equal(answer.body.len, FILE_SIZE + 8);
    expect_end(site);
}

/* Has the server read the head of a request with a small body, which no handler sees before it is complete? */
static bool a_body_is_awaited(struct site *site)
{
    for (int i = 0; i < 8; i++)
        if (atomic_load(&site->server->connections[i].state) == AWAITING_BODY)
            return true;
    return false;
}

static void an_upload_in_flight_finishes(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int large = dial(site), small = dial(site), idle = dial(site);
    static const char zeros[100000];
    SAY(large, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    SAY(small, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    wait_until(site->handled == 1 && a_body_is_awaited(site));
    http_server_stop(site->server);
    hears_the_end(idle, &answer);
    say_bytes(large, zeros, sizeof zeros);
    hear(large, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("100000")));
    SAY(small, "second");
    hear(small, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("10")));
    assert_true(answer_closes(&answer));
    expect_end(site);
}

static void after_the_grace_everybody_is_cut_off(void **state)
{
    (void)state;
    struct site *site = start_site(0);
    auto_fd int upload = dial(site), download = dial(site), small = dial(site);
    SAY(upload, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf");
    SAY(download, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    SAY(small, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    wait_until(site->handled == 2 && a_body_is_awaited(site));
    http_server_stop(site->server);
    pthread_join(site->thread, NULL);
    assert_int_equal(site->released, 1);
    assert_int_equal(site->body_status, UNAVAILABLE);
    assert_int_equal(site->handled, site->done);
    http_server_free(site->server);
    close(site->file);
    free(site);
}

static void work_that_waits_for_nobody_is_asked_to_end_too(void **state)
{
    (void)state;
    struct site *site = start_site(0);
    auto_fd int fd = dial(site);
    SAY(fd, "GET /toil HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->blocked == 1);
    http_server_stop(site->server);
    expect_end(site);
}

static void stopping_refuses_new_connections(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site), idle = dial(site), late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SAY(fd, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->blocked == 1);
    http_server_stop(site->server);
    hears_the_end(idle, &answer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(site->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof address), -1);
    site_open_gate(site);
    hear(fd, &answer);
    expect_end(site);
}

static void a_server_can_be_stopped_before_it_runs_and_freed_without_running(void **state)
{
    (void)state;
    struct http_config config = {.listen = "127.0.0.1:0", .handle = site_handle};
    struct http_server *server;
    assert_int_equal(http_server_new(&config, &server, NULL), OK);
    http_server_stop(server);
    http_server_stop(server);
    http_server_run(server, 3600);
    http_server_free(server);
    assert_int_equal(http_server_new(&config, &server, NULL), OK);
    http_server_free(server);
}

static struct http_server *signalled;
static void on_signal(int number)
{
    (void)number;
    http_server_stop(signalled);
}

static void a_signal_handler_can_stop_it(void **state)
{
    (void)state;
    struct site *site = start_site(3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(fd, &answer);
    signalled = site->server;
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    expect_end(site);
    signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_and_unfinished_heads_are_closed_at_once),
        cmocka_unit_test(a_request_in_flight_finishes_and_its_connection_closes),
        cmocka_unit_test(a_download_in_flight_finishes),
        cmocka_unit_test(an_upload_in_flight_finishes),
        cmocka_unit_test(after_the_grace_everybody_is_cut_off),
        cmocka_unit_test(work_that_waits_for_nobody_is_asked_to_end_too),
        cmocka_unit_test(stopping_refuses_new_connections),
        cmocka_unit_test(a_server_can_be_stopped_before_it_runs_and_freed_without_running),
        cmocka_unit_test(a_signal_handler_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

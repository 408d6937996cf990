/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clients that are slow, silent, many or gone; what they must not be able to hold. Each test waits for an outcome, not
 * for a time. */
#include "fixture.h"
#include "net/internal.h"
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>

static struct site *listen_with(struct http_config config, unsigned grace_seconds)
{
    struct site *site = calloc(1, sizeof *site);
    site->config = config;
    site->grace_seconds = grace_seconds;
    site_listen(site);
    return site;
}

static struct site *start_site(struct http_config config, unsigned grace_seconds)
{
    struct site *site = listen_with(config, grace_seconds);
    site_serve(site);
    return site;
}

static void end_site(struct site *site)
{
    site_stop_and_check(site);
    free(site);
}

static struct http_stats stats_of(struct site *site)
{
    struct http_stats stats;
    http_server_stats(site->server, &stats);
    return stats;
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct site *site = listen_with((struct http_config){.idle_seconds = 1}, 20);
    auto_answer struct answer answer = {0};
    auto_fd int fresh = dial(site), used = dial(site);
    SAY(used, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    site_serve(site); /* only now, as who does not speak within the second is not listened to */
    hear(used, &answer);
    hears_the_end(used, &answer);
    hears_the_end(fresh, &answer);
    end_site(site);
}

static void an_unfinished_head_is_answered_with_408(void **state)
{
    (void)state;
    struct site *site = listen_with((struct http_config){.idle_seconds = 1}, 20);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET / HTTP/1.1\r\nHost:");
    site_serve(site);
    hear(fd, &answer);
    assert_int_equal(answer.status, 408);
    assert_true(answer_closes(&answer));
    hears_the_end(fd, &answer);
    end_site(site);
}

static void a_small_body_that_stops_is_answered_with_408(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 1}, 20);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    hear(fd, &answer);
    assert_int_equal(answer.status, 408);
    assert_int_equal(site->handled, 0);
    end_site(site);
}

static void a_large_body_that_stops_times_out_in_the_handler(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 1}, 20);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "POST /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf");
    hear(fd, &answer);
    assert_int_equal(answer.status, 408);
    assert_int_equal(site->body_status, TIMED_OUT);
    assert_true(answer_closes(&answer));
    end_site(site);
}

static void a_reader_that_stops_is_let_go_and_its_pieces_released(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 1}, 20);
    auto_fd int fd = dial(site);
    SAY(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->done == 1 && site->released == 1);
    assert_true(site->done_bytes < FILE_SIZE);
    end_site(site);
}

static void a_peer_that_leaves_within_a_download_releases_its_pieces(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 20);
    auto_buf struct buf some = {0};
    for (int i = 1; i <= 10; i++) {
        auto_fd int fd = dial(site);
        SAY(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(hear_more(fd, &some));
        fd_close(&fd);
        wait_until(site->done == i && site->released == i);
    }
    end_site(site);
}

static void the_rate_counts_only_once_a_body_is_old_enough(void **state)
{
    (void)state;
    struct http_server server = {.config = {.min_bytes_per_second = 1000}};
    struct connection c = {.server = &server};
    struct exchange x = {.connection = &c};
    assert_false(exchange_too_slow(&x, 0, 30 * INT64_C(1000000)));
    assert_true(exchange_too_slow(&x, 0, 31 * INT64_C(1000000)));
    assert_true(exchange_too_slow(&x, 30999, 31 * INT64_C(1000000)));
    assert_false(exchange_too_slow(&x, 31000, 31 * INT64_C(1000000)));
}

/* One thread serves them all: none of the slow ones can be holding it. */
static void slow_clients_hold_no_thread(void **state)
{
    (void)state;
    struct site *site =
        listen_with((struct http_config){.max_threads = 1, .stall_seconds = 3600, .min_bytes_per_second = 1}, 20);
    site->server->head_seconds = 3600;
    site_serve(site);
    int heads[50], bodies[50];
    for (int i = 0; i < 50; i++) {
        heads[i] = dial(site);
        SAY(heads[i], "GET / HTTP/1.1\r\nHo");
        bodies[i] = dial(site);
        SAY(bodies[i], "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    }
    auto_answer struct answer answer = {0};
    auto_fd int download = dial(site);
    SAY(download, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n"); /* and does not read */
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    for (int i = 0; i < 50; i++) {
        SAY(heads[i], "st: h\r\n\r\n");
        hear(heads[i], &answer);
        assert_true(str_eq(buf_view(&answer.body), STR("hello")));
        SAY(bodies[i], "second");
        hear(bodies[i], &answer);
        assert_true(str_eq(buf_view(&answer.body), STR("halfsecond")));
        close(heads[i]);
        close(bodies[i]);
    }
    fd_close(&download);
    end_site(site);
}

static void stalled_uploads_leave_threads_for_others(void **state)
{
    (void)state;
    struct site *site =
        start_site((struct http_config){.max_threads = 8, .stall_seconds = 3600, .min_bytes_per_second = 1}, 20);
    struct pollfd uploads[8];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < 8; i++) {
        uploads[i] = (struct pollfd){.fd = dial(site), .events = POLLIN};
        SAY(uploads[i].fd, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf");
        wait_until(site->handled == i + 1);
    }
    wait_until(site->body_status == UNAVAILABLE); /* one of them, the last to come to wait */
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(poll(uploads, 8, PATIENCE_MS), 1);
    for (int i = 0; i < 8; i++) {
        if (uploads[i].revents) {
            hear(uploads[i].fd, &answer);
            assert_int_equal(answer.status, 503);
        }
        close(uploads[i].fd);
    }
    end_site(site);
}

static void blocked_handlers_are_joined_by_more_threads(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 20);
    int clients[40];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < 40; i++) {
        clients[i] = dial(site);
        SAY(clients[i], "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(site->blocked == 40);
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    assert_true(stats_of(site).threads_busy >= 40);
    site_open_gate(site);
    for (int i = 0; i < 40; i++) {
        hear(clients[i], &answer);
        assert_true(str_eq(buf_view(&answer.body), STR("through")));
        close(clients[i]);
    }
    wait_until(stats_of(site).threads_busy == 0);
    end_site(site);
}

static void threads_never_exceed_their_limit(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.max_threads = 5}, 20);
    int clients[20];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < 20; i++) {
        clients[i] = dial(site);
        SAY(clients[i], "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(site->blocked == 5);
    assert_int_equal(stats_of(site).threads, 5);
    assert_int_equal(site->handled, 5);
    site_open_gate(site);
    for (int i = 0; i < 20; i++) {
        hear(clients[i], &answer);
        close(clients[i]);
    }
    end_site(site);
}

static void connections_over_the_limit_wait_for_a_place(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.max_connections = 4}, 20);
    auto_answer struct answer answer = {0};
    int clients[8];
    for (int i = 0; i < 8; i++) {
        clients[i] = dial(site);
        SAY(clients[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (int i = 0; i < 4; i++)
        hear(clients[i], &answer);
    assert_int_equal(stats_of(site).connections, 4);
    assert_int_equal(site->handled, 4);
    for (int i = 4; i < 8; i++) {
        close(clients[i - 4]);
        hear(clients[i], &answer);
        assert_int_equal(answer.status, 200);
    }
    for (int i = 4; i < 8; i++)
        close(clients[i]);
    end_site(site);
}

static void running_out_of_descriptors_delays_connections_and_no_more(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 20);
    auto_answer struct answer answer = {0};
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        &answer); /* so that nothing else wants a descriptor for the first time */
    wait_until(stats_of(site).connections == 0);
    struct rlimit before, tight;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = open("/dev/null", O_RDONLY);
    close(lowest);
    tight = before;
    tight.rlim_cur = (rlim_t)lowest + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    auto_fd int fd = dial(site); /* takes the last one */
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    usleep(50000);
    assert_int_equal(site->handled, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    hear(fd, &answer);
    assert_int_equal(answer.status, 200);
    end_site(site);
}

static size_t heap_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void a_thousand_idle_connections_cost_little(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 20);
    enum { COUNT = 1000 };
    int *clients = calloc(COUNT, sizeof *clients);
    auto_answer struct answer answer = {0};
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    size_t before = heap_in_use();
    for (int i = 0; i < COUNT; i++) {
        clients[i] = dial(site);
        SAY(clients[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        hear(clients[i], &answer);
    }
    wait_until(site->done == COUNT + 1);
    size_t after = heap_in_use(), heap = after > before ? after - before : 0;
    size_t each = heap / COUNT + sizeof(struct connection);
    print_message("idle keep-alive connection: %zu bytes (%zu of them in the table)\n", each,
                  sizeof(struct connection));
    assert_true(each < 2048);
    for (int i = 0; i < COUNT; i++)
        close(clients[i]);
    free(clients);
    end_site(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(an_unfinished_head_is_answered_with_408),
        cmocka_unit_test(a_small_body_that_stops_is_answered_with_408),
        cmocka_unit_test(a_large_body_that_stops_times_out_in_the_handler),
        cmocka_unit_test(a_reader_that_stops_is_let_go_and_its_pieces_released),
        cmocka_unit_test(a_peer_that_leaves_within_a_download_releases_its_pieces),
        cmocka_unit_test(the_rate_counts_only_once_a_body_is_old_enough),
        cmocka_unit_test(slow_clients_hold_no_thread),
        cmocka_unit_test(stalled_uploads_leave_threads_for_others),
        cmocka_unit_test(blocked_handlers_are_joined_by_more_threads),
        cmocka_unit_test(threads_never_exceed_their_limit),
        cmocka_unit_test(connections_over_the_limit_wait_for_a_place),
        cmocka_unit_test(running_out_of_descriptors_delays_connections_and_no_more),
        cmocka_unit_test(a_thousand_idle_connections_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

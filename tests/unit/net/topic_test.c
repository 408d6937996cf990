/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Server-sent events: topics that many listen to. */
#include "fixture.h"
#include "net/internal.h"
#include <sys/resource.h>

#define LISTEN "GET /listen HTTP/1.1\r\nHost: h\r\n\r\n"

static struct http_topic *topic;

static void handle(struct http_request *rq, void *context)
{
    struct site *site = context;
    struct error err = {0};
    if (!str_eq(rq->path, STR("/listen"))) {
        site_handle(rq, context);
        return;
    }
    site->handled++;
    reply_header(rq, "X-Kind", "news");
    if (reply_topic(rq, topic, &err) != OK)
        site_failed(rq, site, &err);
}

static struct site *start_site(struct http_config config, unsigned grace_seconds)
{
    struct site *site = calloc(1, sizeof *site);
    site->config = config;
    site->config.handle = handle;
    site->grace_seconds = grace_seconds;
    topic = http_topic_new();
    site_start(site);
    return site;
}

/* Every listener has been let go, which http_topic_free() asserts. */
static void end_site(struct site *site)
{
    site_stop_and_check(site);
    http_topic_free(topic);
    free(site);
}

static int setup(void **state)
{
    *state = start_site((struct http_config){0}, 3600);
    return 0;
}

static int teardown(void **state)
{
    end_site(*state);
    return 0;
}

/* Events are numbers here, and text behind them to make them as large as a test wants. */
static void publish(int64_t number, size_t padding)
{
    auto_buf struct buf event = {0};
    buf_printf(&event, "data: %lld ", (long long)number);
    for (size_t i = 0; i < padding; i++)
        buf_byte(&event, pattern((int64_t)i));
    buf_str(&event, STR("\n\n"));
    http_topic_publish(topic, buf_view(&event));
}

static void drop_front(struct buf *buf, size_t len)
{
    buf->len -= len;
    memmove(buf->data, buf->data + len, buf->len);
}

/* Hears a chunk of the stream, which is an event or a comment; empty: the last chunk. */
static void hear_chunk(int fd, struct answer *answer, struct buf *out)
{
    struct buf *all = &answer->rest;
    const char *end;
    while (!all->len || !(end = memmem(all->data, all->len, "\r\n", 2)))
        assert_true(hear_more(fd, all));
    size_t at = (size_t)(end - all->data) + 2, len = strtoul(all->data, NULL, 16);
    while (all->len < at + len + 2)
        assert_true(hear_more(fd, all));
    out->len = 0;
    buf_add(out, all->data + at, len);
    assert_memory_equal(all->data + at + len, "\r\n", 2);
    drop_front(all, at + len + 2);
}

#define THE_END (-1)

/* The next event's number; comments are passed over. */
static int64_t hear_number(int fd, struct answer *answer)
{
    auto_buf struct buf event = {0};
    do {
        hear_chunk(fd, answer, &event);
        if (event.len == 0)
            return THE_END;
        assert_memory_equal(event.data + event.len - 2, "\n\n", 2);
    } while (event.data[0] == ':');
    assert_true(str_starts(buf_view(&event), STR("data: ")));
    return strtoll(event.data + 6, NULL, 10);
}

/* Hears ever higher numbers until it is that one; how many they were. */
static int hear_up_to(int fd, struct answer *answer, int64_t last)
{
    int heard = 0;
    for (int64_t number, before = INT64_MIN; before != last; before = number, heard++) {
        number = hear_number(fd, answer);
        assert_true(number > before && number <= last);
    }
    return heard;
}

static int begin_to_listen(struct site *site, struct answer *answer)
{
    int fd = dial(site);
    SAY(fd, LISTEN);
    hear_head(fd, answer);
    assert_int_equal(answer->status, 200);
    return fd;
}

static void a_listener_is_sent_the_newest_event_at_once_and_then_each_that_follows(void **state)
{
    auto_answer struct answer answer = {0};
    publish(1, 0);
    publish(2, 0);
    auto_fd int fd = begin_to_listen(*state, &answer);
    assert_true(str_eq(answer_header(&answer, "content-type"), STR("text/event-stream")));
    assert_true(str_eq(answer_header(&answer, "cache-control"), STR("no-cache")));
    assert_true(str_eq(answer_header(&answer, "transfer-encoding"), STR("chunked")));
    assert_true(str_eq(answer_header(&answer, "x-accel-buffering"), STR("no")));
    assert_true(str_eq(answer_header(&answer, "x-kind"), STR("news")));
    assert_false(str_given(answer_header(&answer, "content-length")));
    assert_true(answer_closes(&answer));
    hear_text(fd, &answer, "a\r\ndata: 2 \n\n\r\n");
    for (int64_t number = 3; number < 20; number++) {
        publish(number, 0);
        assert_int_equal(hear_number(fd, &answer), number);
    }
    assert_int_equal(answer.rest.len, 0);
}

static void listening_may_begin_before_there_is_any_event(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = begin_to_listen(*state, &answer);
    assert_int_equal(answer.rest.len, 0);
    publish(7, 0);
    assert_int_equal(hear_number(fd, &answer), 7);
}

static void of_a_burst_the_last_arrives_and_what_comes_before_it_in_order(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = begin_to_listen(*state, &answer);
    for (int64_t number = 1; number <= 5000; number++)
        publish(number, 0);
    assert_true(hear_up_to(fd, &answer, 5000) < 5000);
}

static void a_large_event_arrives_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_buf struct buf event = {0};
    publish(1, 3000000);
    auto_fd int fd = begin_to_listen(*state, &answer);
    hear_chunk(fd, &answer, &event);
    assert_int_equal(event.len, 3000010);
    for (int64_t i = 0; i < 3000000; i++)
        if (event.data[8 + i] != pattern(i))
            fail_msg("byte %lld differs", (long long)i);
    publish(2, 1);
    assert_int_equal(hear_number(fd, &answer), 2);
}

/* A client whose side takes little, so that the server's soon can send no more. */
static int dial_narrow(struct site *site)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(site->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = 4096;
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void a_slow_listener_holds_up_nobody_and_skips_to_the_newest(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 3600, .min_bytes_per_second = 1}, 3600);
    auto_answer struct answer slow = {0}, fast = {0};
    auto_fd int slow_fd = dial_narrow(site), fast_fd = begin_to_listen(site, &fast);
    SAY(slow_fd, LISTEN);
    hear_head(slow_fd, &slow);
    for (int64_t number = 1; number <= 25; number++) {
        publish(number, 200000);
        assert_int_equal(hear_number(fast_fd, &fast), number);
    }
    assert_true(hear_up_to(slow_fd, &slow, 25) <= 5); /* the sockets between have room for less than two */
    publish(26, 0);
    assert_int_equal(hear_number(slow_fd, &slow), 26);
    end_site(site);
}

static void a_listener_that_stops_taking_is_let_go(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 1, .listener_seconds = 3600}, 3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial_narrow(site), other = begin_to_listen(site, &answer);
    SAY(fd, LISTEN);
    wait_until(site->handled == 2);
    publish(1, 1000000);
    assert_int_equal(hear_number(other, &answer), 1);
    wait_until(site->done == 1);
    assert_true(site->done_bytes < 1000000);
    publish(2, 0); /* and the other one is no worse for it, though it has waited as long */
    assert_int_equal(hear_number(other, &answer), 2);
    end_site(site);
}

static void a_thousand_listen_without_a_thread_each_and_one_more_is_refused(void **state)
{
    (void)state;
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    struct site *site = start_site((struct http_config){.max_threads = 4}, 3600);
    static int fds[HTTP_TOPIC_LISTENERS];
    static struct answer heard[HTTP_TOPIC_LISTENERS];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < HTTP_TOPIC_LISTENERS; i++)
        fds[i] = begin_to_listen(site, &heard[i]);
    ASK(site, LISTEN, &answer);
    assert_int_equal(answer.status, 503);
    assert_true(str_has(answer_header(&answer, "x-error-message"), STR("Too many clients listen already")));
    assert_false(str_given(answer_header(&answer, "cache-control")));
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    for (int64_t number = 1; number <= 3; number++) {
        publish(number, 300);
        for (int i = 0; i < HTTP_TOPIC_LISTENERS; i++)
            assert_int_equal(hear_number(fds[i], &heard[i]), number);
    }
    wait_until(site->done == 2); /* who was refused, and who asked for something else */
    close(fds[0]);
    wait_until(site->done == 3);
    fds[0] = begin_to_listen(site, &answer); /* the place is free again */
    for (int i = 0; i < HTTP_TOPIC_LISTENERS; i++) {
        close(fds[i]);
        answer_free(&heard[i]);
    }
    end_site(site);
}

static void listeners_leave_half_of_the_connections_to_others(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.max_connections = 6}, 3600);
    auto_answer struct answer answer = {0};
    auto_fd int a = begin_to_listen(site, &answer), b = begin_to_listen(site, &answer),
                c = begin_to_listen(site, &answer);
    ASK(site, LISTEN, &answer);
    assert_int_equal(answer.status, 503);
    end_site(site);
}

/* By closing, by a reset, and by closing its own direction alone. */
static void a_listener_that_leaves_is_noticed_before_anything_is_published(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    int closes = begin_to_listen(site, &answer), resets = begin_to_listen(site, &answer);
    auto_fd int shuts = begin_to_listen(site, &answer), stays = begin_to_listen(site, &answer);
    struct linger hard = {.l_onoff = 1};
    close(closes);
    wait_until(site->done == 1);
    setsockopt(resets, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(resets);
    wait_until(site->done == 2);
    shutdown(shuts, SHUT_WR);
    wait_until(site->done == 3);
    hears_the_end(shuts, &answer);
    assert_int_equal(site->done_status, 200);
    publish(1, 0);
    assert_int_equal(hear_number(stays, &answer), 1);
}

static void stopping_lets_listeners_go_at_once(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 3600}, 3600);
    auto_answer struct answer first = {0}, second = {0}, old = {0};
    auto_fd int idle = begin_to_listen(site, &first), told = begin_to_listen(site, &second), older = dial(site),
                stuck = dial_narrow(site);
    SAY(older, "GET /listen HTTP/1.0\r\n\r\n");
    hear_head(older, &old);
    publish(1, 1000000);
    SAY(stuck, LISTEN);
    wait_until(site->handled == 4);
    assert_int_equal(hear_number(told, &second), 1);
    assert_int_equal(hear_number(idle, &first), 1);
    while (old.rest.len < 1000010)
        assert_true(hear_more(older, &old.rest));
    old.rest.len = 0;
    end_site(site); /* it would wait for an hour */
    assert_int_equal(hear_number(idle, &first), THE_END);
    hears_the_end(idle, &first);
    hears_the_end(older, &old);
}

static void a_client_of_http_1_0_gets_the_events_without_framing(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    publish(1, 0);
    SAY(fd, "GET /listen HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear_head(fd, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer_closes(&answer));
    assert_false(str_given(answer_header(&answer, "transfer-encoding")));
    hear_text(fd, &answer, "data: 1 \n\n");
    publish(2, 0);
    hear_text(fd, &answer, "data: 2 \n\n");
}

static void who_asks_for_the_head_gets_that_and_does_not_listen(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    publish(1, 0);
    SAY(fd, "HEAD /listen HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(str_eq(answer_header(&answer, "content-type"), STR("text/event-stream")));
    hears_the_end(fd, &answer);
    wait_until(site->done == 1);
}

static void nothing_that_a_listener_says_is_taken_for_a_request(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, LISTEN "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer);
    SAY(fd, LISTEN);
    publish(1, 0);
    assert_int_equal(hear_number(fd, &answer), 1);
    SAY(fd, "nonsense\n\n");
    publish(2, 0);
    assert_int_equal(hear_number(fd, &answer), 2);
    http_server_stop(site->server);
    assert_int_equal(hear_number(fd, &answer), THE_END);
    assert_int_equal(site->handled, 1);
}

static void a_listener_that_talks_without_end_is_let_go(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = begin_to_listen(site, &answer);
    static const char zeros[64 << 10];
    while (send(fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
        ;
    wait_until(site->done == 1);
}

static void who_hears_nothing_for_long_hears_a_comment(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.listener_seconds = 1, .stall_seconds = 3600}, 3600);
    auto_answer struct answer answer = {0}, old = {0};
    auto_fd int fd = begin_to_listen(site, &answer), older = dial(site);
    SAY(older, "GET /listen HTTP/1.0\r\n\r\n");
    hear_head(older, &old);
    hear_text(fd, &answer, "4\r\n: \n\n\r\n4\r\n: \n\n\r\n");
    hear_text(older, &old, ": \n\n: \n\n");
    publish(1, 0);
    assert_int_equal(hear_number(fd, &answer), 1);
    end_site(site);
}

/* Several threads publish while listeners come and go, and one of them stays. */

#define PUBLISHERS 4
#define EACH 20000

static void *publish_many(void *context)
{
    int64_t thread = (int64_t)(intptr_t)context;
    for (int64_t i = 0; i < EACH; i++)
        publish(thread * EACH + i, 20);
    return NULL;
}

static void several_threads_publish_while_listeners_come_and_go(void **state)
{
    struct site *site = *state;
    pthread_t threads[PUBLISHERS];
    auto_answer struct answer answer = {0};
    auto_fd int stays = begin_to_listen(site, &answer);
    for (intptr_t i = 0; i < PUBLISHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, (void *)i), 0);
    for (int i = 0; i < 200; i++) {
        auto_answer struct answer other = {0};
        auto_fd int fd = begin_to_listen(site, &other);
        if (i % 2)
            assert_true(hear_number(fd, &other) >= 0);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    publish(PUBLISHERS * EACH, 0);
    int64_t newest[PUBLISHERS] = {-1, -1, -1, -1};
    for (int64_t number; (number = hear_number(stays, &answer)) != PUBLISHERS * EACH;) {
        assert_true(number >= 0 && number < PUBLISHERS * EACH && number > newest[number / EACH]);
        newest[number / EACH] = number; /* those of one thread are in its order */
    }
    wait_until(site->done == 200);
}

static void stopping_while_others_publish_and_listen_ends(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct site *site = start_site((struct http_config){0}, (unsigned)round % 2 ? 3600 : 0);
        pthread_t publisher;
        int fds[20];
        auto_answer struct answer answer = {0};
        for (int i = 0; i < 20; i++) {
            fds[i] = i % 2 ? dial_narrow(site) : dial(site);
            SAY(fds[i], LISTEN);
        }
        wait_until(site->handled > 10);
        assert_int_equal(pthread_create(&publisher, NULL, publish_many, NULL), 0);
        site_stop_and_check(site);
        pthread_join(publisher, NULL); /* it may publish though the server is gone */
        http_topic_free(topic);
        for (int i = 0; i < 20; i++)
            close(fds[i]);
        free(site);
    }
}

/* The moment between a thread's look for news and its letting go of the connection is too short to be met from outside. */
static void news_that_come_while_a_connection_is_being_parked_are_not_lost(void **state)
{
    (void)state;
    struct http_config config = {.listen = "127.0.0.1:0", .handle = handle};
    struct http_server *server;
    int ends[2];
    assert_int_equal(http_server_new(&config, &server, NULL), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct connection *c = table_reserve(server), *idle = table_reserve(server);
    c->fd = ends[0];
    c->state = LISTENING;
    idle->fd = ends[1];
    table_tell(server);
    assert_false(table_park(c, WAIT_READ, INT64_MAX)); /* it must look again */
    assert_true(table_park(c, WAIT_READ, INT64_MAX));
    assert_true(table_park(idle, WAIT_READ, INT64_MAX)); /* for it there are none */
    close(ends[0]);
    close(ends[1]);
    http_server_free(server);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_listener_is_sent_the_newest_event_at_once_and_then_each_that_follows),
        WITH_SITE(listening_may_begin_before_there_is_any_event),
        WITH_SITE(of_a_burst_the_last_arrives_and_what_comes_before_it_in_order),
        WITH_SITE(a_large_event_arrives_whole),
        cmocka_unit_test(a_slow_listener_holds_up_nobody_and_skips_to_the_newest),
        cmocka_unit_test(a_listener_that_stops_taking_is_let_go),
        cmocka_unit_test(a_thousand_listen_without_a_thread_each_and_one_more_is_refused),
        cmocka_unit_test(listeners_leave_half_of_the_connections_to_others),
        WITH_SITE(a_listener_that_leaves_is_noticed_before_anything_is_published),
        cmocka_unit_test(stopping_lets_listeners_go_at_once),
        WITH_SITE(a_client_of_http_1_0_gets_the_events_without_framing),
        WITH_SITE(who_asks_for_the_head_gets_that_and_does_not_listen),
        WITH_SITE(nothing_that_a_listener_says_is_taken_for_a_request),
        WITH_SITE(a_listener_that_talks_without_end_is_let_go),
        cmocka_unit_test(who_hears_nothing_for_long_hears_a_comment),
        WITH_SITE(several_threads_publish_while_listeners_come_and_go),
        cmocka_unit_test(stopping_while_others_publish_and_listen_ends),
        cmocka_unit_test(news_that_come_while_a_connection_is_being_parked_are_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

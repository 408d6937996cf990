/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies that are ended from another thread. */
#include "fixture.h"

#define CLIENTS 40

/* Requests between their handler and their end, as a keeper of such a list must guard them. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct http_request *list[CLIENTS];

static void list_swap(struct http_request *old, struct http_request *new)
{
    pthread_mutex_lock(&list_lock);
    for (size_t i = 0; i < CLIENTS; i++)
        if (list[i] == old) {
            list[i] = new;
            break;
        }
    pthread_mutex_unlock(&list_lock);
}

static void handle(struct http_request *rq, void *context)
{
    list_swap(NULL, rq);
    site_handle(rq, context);
}

static void done(struct http_request *rq, void *context)
{
    list_swap(rq, NULL);
    site_done(rq, context);
}

static int setup(void **state)
{
    struct site *site = calloc(1, sizeof *site);
    site->grace_seconds = 20;
    site->config.handle = handle;
    site->config.done = done;
    site_start(site);
    *state = site;
    return 0;
}

static void cut_all(void)
{
    pthread_mutex_lock(&list_lock);
    for (size_t i = 0; i < CLIENTS; i++)
        if (list[i])
            http_cut(list[i]);
    pthread_mutex_unlock(&list_lock);
}

/* A client with little room: the server's buffers fill, and it waits. */
static int dial_small(struct site *site)
{
    int fd = dial(site), small = 128 << 10;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    return fd;
}

static size_t hear_all(int fd, struct answer *answer)
{
    hear_head(fd, answer);
    while (hear_more(fd, &answer->rest))
        continue;
    return answer->rest.len;
}

static void a_reply_that_is_cut_ends_short(void **state)
{
    struct site *site = *state;
    auto_fd int fd = dial_small(site);
    auto_answer struct answer answer = {0};
    SAY(fd, "GET /file HTTP/1.1\r\nHost: hub\r\n\r\n");
    hear_head(fd, &answer);
    cut_all();
    while (hear_more(fd, &answer.rest))
        continue;
    assert_true(answer.rest.len < FILE_SIZE);
    wait_until(site->done == 1 && site->released == 1);
    assert_true(site->done_bytes < FILE_SIZE);
}

static void a_reply_that_is_not_cut_goes_through(void **state)
{
    struct site *site = *state;
    auto_fd int fd = dial_small(site);
    auto_answer struct answer answer = {0};
    SAY(fd, "GET /file HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n");
    assert_int_equal(FILE_SIZE + 8, hear_all(fd, &answer));
}

static void the_other_connections_go_on(void **state)
{
    struct site *site = *state;
    auto_fd int slow = dial_small(site), idle = dial(site);
    auto_answer struct answer answer = {0}, hello = {0};
    SAY(idle, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n");
    hear(idle, &hello);
    wait_until(site->done == 1); /* it is heard a moment before it is done with, and would be cut */
    SAY(slow, "GET /file HTTP/1.1\r\nHost: hub\r\n\r\n");
    hear_head(slow, &answer);
    cut_all();
    SAY(idle, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n");
    hear(idle, &hello);
    assert_int_equal(200, hello.status);
}

/* While the server sends as fast as it can, and with connections that end by themselves meanwhile. */
static void *keep_cutting(void *stop)
{
    while (!*(_Atomic bool *)stop) {
        cut_all();
        usleep(500);
    }
    return NULL;
}

static void cutting_races_with_sending_and_ending(void **state)
{
    struct site *site = *state;
    _Atomic bool stop = false;
    pthread_t thread;
    assert_int_equal(0, pthread_create(&thread, NULL, keep_cutting, &stop));
    for (int round = 0; round < 10; round++) {
        int fds[CLIENTS];
        struct buf heard = {0};
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = i % 2 ? dial_small(site) : dial(site);
            send(fds[i], i % 3 ? "GET /file HTTP/1.1\r\nHost: hub\r\n\r\n" : "GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
                 i % 3 ? 34 : 30, MSG_NOSIGNAL);
        }
        for (int i = 0; i < CLIENTS; i++) {
            if (i % 4)
                hear_more(fds[i], &heard);
            close(fds[i]);
        }
        buf_free(&heard);
    }
    stop = true;
    pthread_join(thread, NULL);
}

int main(void)
{
#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, setup, site_teardown)
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_reply_that_is_cut_ends_short),
        WITH_SITE(a_reply_that_is_not_cut_goes_through),
        WITH_SITE(the_other_connections_go_on),
        WITH_SITE(cutting_races_with_sending_and_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies that are written while the handler works. */
#include "fixture.h"
#include "net/chunk.h"

static enum status write_lines(struct http_request *rq, struct site *site, struct error *err)
{
    int64_t lines = site_number(rq, "lines"), size = site_number(rq, "size");
    char *line = arena_alloc(rq->arena, (size_t)size + 1);
    for (int64_t i = 0; i < size; i++)
        line[i] = pattern(i);
    for (int64_t i = 0; i < lines; i++) {
        TRY(reply_more(rq, (struct str){line, (size_t)size}, err));
        TRY(reply_more(rq, STR(""), err)); /* says nothing, and must not look like the end */
    }
    if (site_number(rq, "gate") == 0)
        return OK;
    pthread_mutex_lock(&site->lock);
    site->blocked++;
    while (!site->gate_open)
        pthread_cond_wait(&site->changed, &site->lock);
    site->blocked--;
    pthread_mutex_unlock(&site->lock);
    return reply_more(rq, STR("through"), err);
}

/* /lines?lines=N&size=S: so many pieces of that size; with gate=1 one more when the test opens the gate; with read=1
 * after the request's body. site->body_status says how it ended. */
static void handle(struct http_request *rq, void *context)
{
    struct site *site = context;
    struct error err = {0};
    struct str body;
    if (!str_eq(rq->path, STR("/lines"))) {
        site_handle(rq, context);
        return;
    }
    site->handled++;
    if (site_number(rq, "read") && body_read_all(rq, 8 << 20, &body, &err) != OK) {
        site_failed(rq, site, &err);
        return;
    }
    reply_header(rq, "X-Kind", "lines");
    enum status status = reply_open(rq, 201, STR("text/plain"), &err);
    if (status == OK)
        status = write_lines(rq, site, &err);
    if (status != OK)
        assert(err.status == UNAVAILABLE && err.message[0] && reply_more(rq, STR("late"), NULL) == UNAVAILABLE);
    site->body_status = (int)status;
    reply_close(rq);
}

static struct site *start_site(struct http_config config, unsigned grace_seconds)
{
    struct site *site = calloc(1, sizeof *site);
    site->config = config;
    site->config.handle = handle;
    site->grace_seconds = grace_seconds;
    site->body_status = -1;
    site_start(site);
    return site;
}

static int setup(void **state)
{
    *state = start_site((struct http_config){0}, 20);
    return 0;
}

static void a_reply_goes_out_in_chunks_and_the_connection_stays(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "POST /lines?read=1&lines=2&size=17 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    hear_head(fd, &answer);
    assert_int_equal(answer.status, 201);
    assert_true(str_eq(answer_header(&answer, "transfer-encoding"), STR("chunked")));
    assert_true(str_eq(answer_header(&answer, "content-type"), STR("text/plain")));
    assert_true(str_eq(answer_header(&answer, "x-kind"), STR("lines")));
    assert_false(str_given(answer_header(&answer, "content-length")));
    assert_false(str_given(answer_header(&answer, "connection")));
    hear_text(fd, &answer, "11\r\nabcdefghijklmnopq\r\n11\r\nabcdefghijklmnopq\r\n0\r\n\r\n");
    wait_until(site->done == 1);
    assert_int_equal(site->done_status, 201);
    assert_int_equal(site->done_bytes, 34); /* of the body, without what frames it */
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("hello")));
}

static void a_client_of_http_1_0_gets_the_bytes_and_then_the_end(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /lines?lines=2&size=3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hear_head(fd, &answer);
    assert_true(answer_closes(&answer));
    assert_false(str_given(answer_header(&answer, "transfer-encoding")));
    assert_false(str_given(answer_header(&answer, "content-length")));
    hear_text(fd, &answer, "abcabc");
    hears_the_end(fd, &answer);
    wait_until(site->done == 1);
    assert_int_equal(site->done_bytes, 6);
}

static void a_reply_without_any_piece_is_an_empty_body(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET /lines?lines=0 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer);
    hear_text(fd, &answer, "0\r\n\r\n");
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), STR("hello")));
}

static void what_was_said_arrives_while_the_handler_goes_on(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /lines?lines=1&size=3&gate=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer);
    hear_text(fd, &answer, "3\r\nabc\r\n");
    assert_int_equal(site->done, 0);
    site_open_gate(site);
    hear_text(fd, &answer, "7\r\nthrough\r\n0\r\n\r\n");
}

static void the_connection_closes_when_a_large_body_was_left_unread(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "POST /lines?lines=1&size=3 HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n");
    hear_head(fd, &answer);
    assert_true(answer_closes(&answer));
    hear_text(fd, &answer, "3\r\nabc\r\n0\r\n\r\n");
    hears_the_end(fd, &answer);
}

static void the_connection_closes_when_the_client_asks_for_it(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    SAY(fd, "GET /lines?lines=1&size=3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    hear_head(fd, &answer);
    assert_true(answer_closes(&answer));
    hear_text(fd, &answer, "3\r\nabc\r\n0\r\n\r\n");
    hears_the_end(fd, &answer);
}

/* Takes the framing off what follows the head, until its end. */
static void hear_chunks(int fd, struct answer *answer)
{
    struct chunk_decoder decoder = {0};
    struct buf *all = &answer->rest;
    for (size_t at = 0;;) {
        size_t used;
        enum chunk_found found = chunk_next(&decoder, all->data + at, all->len - at, &used);
        at += used;
        assert_int_not_equal(found, CHUNK_BAD);
        if (found == CHUNK_END) {
            assert_int_equal(at, all->len);
            return;
        }
        if (found == CHUNK_DATA && at < all->len) {
            size_t part = all->len - at < (size_t)decoder.left ? all->len - at : (size_t)decoder.left;
            buf_add(&answer->body, all->data + at, part);
            decoder.left -= (int64_t)part;
            at += part;
        } else {
            assert_true(hear_more(fd, all));
        }
    }
}

static void large_pieces_reach_a_slow_reader_whole(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /lines?lines=3&size=5000001 HTTP/1.1\r\nHost: h\r\n\r\n");
    usleep(100000); /* the socket fills; whether it did makes no difference to what must come out */
    hear_head(fd, &answer);
    hear_chunks(fd, &answer);
    assert_int_equal(answer.body.len, 15000003);
    for (int64_t i = 0; i < 15000003; i++)
        if (answer.body.data[i] != pattern(i % 5000001))
            fail_msg("byte %lld differs", (long long)i);
    wait_until(site->done == 1);
    assert_int_equal(site->done_bytes, 15000003);
    assert_int_equal(site->body_status, OK);
}

/* Also that no SIGPIPE comes: it would end the program. */
static void a_peer_that_leaves_ends_the_work(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    for (int i = 1; i <= 10; i++) {
        auto_fd int fd = dial(site);
        SAY(fd, "GET /lines?lines=1000000000&size=1000 HTTP/1.1\r\nHost: h\r\n\r\n");
        hear_head(fd, &answer);
        answer.rest.len = 0;
        fd_close(&fd);
        wait_until(site->done == i);
        assert_int_equal(site->body_status, UNAVAILABLE);
        assert_int_equal(site->done_status, 201);
    }
}

/* Reads on after the head until the stream ends, and expects that it does so without the last chunk. */
static void expect_a_cut(int fd, struct answer *answer)
{
    while (hear_more(fd, &answer->rest))
        ;
    assert_false(str_ends(buf_view(&answer->rest), STR("0\r\n\r\n")));
}

static void a_reader_that_stops_is_let_go(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 1}, 20);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /lines?lines=1000&size=1000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->done == 1);
    assert_int_equal(site->body_status, UNAVAILABLE);
    assert_true(site->done_bytes > 0 && site->done_bytes < 1000000000);
    hear_head(fd, &answer);
    expect_a_cut(fd, &answer);
    site_stop_and_check(site);
    free(site);
}

static void a_stop_reaches_a_handler_that_waits_for_its_peer(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.stall_seconds = 3600}, 0);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /lines?lines=1000&size=1000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer); /* it writes, and stands as soon as the socket is full */
    site_stop_and_check(site);
    assert_int_equal(site->body_status, UNAVAILABLE);
    expect_a_cut(fd, &answer);
    free(site);
}

static void a_stop_reaches_a_handler_that_works(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 0);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site), idle = dial(site);
    SAY(idle, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(idle, &answer); /* the server has it: one that waits to be accepted is reset before the grace is over */
    SAY(fd, "GET /lines?lines=1&size=3&gate=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->blocked == 1);
    http_server_stop(site->server);
    hears_the_end(idle, &answer); /* so the grace, of no length, is over */
    site_open_gate(site);
    site_stop_and_check(site);
    assert_int_equal(site->body_status, UNAVAILABLE);
    hear_head(fd, &answer);
    hear_text(fd, &answer, "3\r\nabc\r\n");
    hears_the_end(fd, &answer);
    free(site);
}

static void within_the_grace_a_reply_is_finished(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){0}, 3600);
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site), idle = dial(site);
    SAY(fd, "GET /lines?lines=1&size=3&gate=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(site->blocked == 1);
    http_server_stop(site->server);
    hears_the_end(idle, &answer);
    site_open_gate(site);
    hear_head(fd, &answer);
    hear_text(fd, &answer, "3\r\nabc\r\n7\r\nthrough\r\n0\r\n\r\n");
    hears_the_end(fd, &answer);
    site_stop_and_check(site);
    assert_int_equal(site->body_status, OK);
    free(site);
}

static void readers_that_stop_leave_threads_for_others(void **state)
{
    (void)state;
    struct site *site = start_site((struct http_config){.max_threads = 8, .stall_seconds = 3600}, 0);
    int readers[8];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < 8; i++) {
        readers[i] = dial(site);
        SAY(readers[i], "GET /lines?lines=1000&size=1000000 HTTP/1.1\r\nHost: h\r\n\r\n");
        wait_until(site->handled == i + 1);
    }
    wait_until(site->done == 1); /* one of them, the last to come to wait */
    assert_int_equal(site->body_status, UNAVAILABLE);
    ASK(site, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &answer);
    assert_int_equal(answer.status, 200);
    for (int i = 0; i < 8; i++)
        close(readers[i]);
    wait_until(site->done == 9);
    auto_fd int fd = dial(site); /* and their places are free again */
    SAY(fd, "GET /lines?lines=3&size=5000001 HTTP/1.1\r\nHost: h\r\n\r\n");
    hear_head(fd, &answer);
    hear_chunks(fd, &answer);
    wait_until(site->done == 10);
    assert_int_equal(site->body_status, OK);
    site_stop_and_check(site);
    free(site);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(a_reply_goes_out_in_chunks_and_the_connection_stays),
        WITH_SITE(a_client_of_http_1_0_gets_the_bytes_and_then_the_end),
        WITH_SITE(a_reply_without_any_piece_is_an_empty_body),
        WITH_SITE(what_was_said_arrives_while_the_handler_goes_on),
        WITH_SITE(the_connection_closes_when_a_large_body_was_left_unread),
        WITH_SITE(the_connection_closes_when_the_client_asks_for_it),
        WITH_SITE(large_pieces_reach_a_slow_reader_whole),
        WITH_SITE(a_peer_that_leaves_ends_the_work),
        cmocka_unit_test(a_reader_that_stops_is_let_go),
        cmocka_unit_test(a_stop_reaches_a_handler_that_waits_for_its_peer),
        cmocka_unit_test(a_stop_reaches_a_handler_that_works),
        cmocka_unit_test(within_the_grace_a_reply_is_finished),
        cmocka_unit_test(readers_that_stop_leave_threads_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

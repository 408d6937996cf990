/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies whose pieces are asked for while they go out. */
#include "fixture.h"

#define GRAIN (64 << 10)

/* What next() gives: before each grain of the file a label in memory, which is overwritten by the next call, as the
 * contract allows; or, with only_labels, nothing but labels. */
struct supply {
    struct site *site;
    int64_t grains, given;
    bool only_labels, with_nothing, label_is_next, nothing_is_next;
    char label[8];
    _Atomic int inside;
};

static _Atomic int asked;

/* Seven digits and a NUL. */
static void write_label(char label[8], int64_t number)
{
    label[7] = 0;
    for (int i = 6; i >= 0; i--, number /= 10)
        label[i] = (char)('0' + number % 10);
}

static struct http_extent label_of(struct supply *supply)
{
    write_label(supply->label, supply->given);
    return (struct http_extent){.fd = -1, .length = 8, .data = supply->label};
}

static struct http_extent grain_of(const struct supply *supply)
{
    return (struct http_extent){.fd = supply->site->file, .offset = supply->given * GRAIN, .length = GRAIN};
}

static bool supply_next(void *context, struct http_extent *out)
{
    struct supply *supply = context;
    assert(supply->inside++ == 0);
    asked++;
    memset(supply->label, 'X', sizeof supply->label);
    bool more = supply->given < supply->grains;
    if (supply->with_nothing && supply->nothing_is_next) {
        *out = (struct http_extent){.fd = supply->given % 2 ? -1 : supply->site->file};
    } else if (more && supply->label_is_next) {
        *out = label_of(supply);
        supply->given += supply->only_labels;
        supply->label_is_next = supply->only_labels;
    } else if (more) {
        *out = grain_of(supply);
        supply->given++;
        supply->label_is_next = true;
    }
    supply->nothing_is_next = !supply->nothing_is_next;
    supply->inside--;
    return more;
}

static void supply_release(void *context)
{
    struct supply *supply = context;
    assert(supply->inside == 0);
    supply->site->released++;
}

/* /supply?grains=N&length=L, with labels=1 for only labels, nothing=1 for empty pieces in between, status=S. */
static void handle(struct http_request *rq, void *context)
{
    struct site *site = context;
    if (!str_eq(rq->path, STR("/supply"))) {
        site_handle(rq, context);
        return;
    }
    site->handled++;
    struct supply *supply = arena_alloc(rq->arena, sizeof *supply);
    *supply = (struct supply){.site = site, .grains = site_number(rq, "grains"), .label_is_next = true};
    supply->only_labels = site_number(rq, "labels") != 0;
    supply->with_nothing = site_number(rq, "nothing") != 0;
    int64_t status = site_number(rq, "status");
    reply_pieces(rq, status ? (int)status : 200, STR("application/octet-stream"), site_number(rq, "length"),
                 supply_next, supply_release, supply);
}

static int setup(void **state)
{
    struct site *site = calloc(1, sizeof *site);
    site->grace_seconds = 20;
    site->config.handle = handle;
    asked = 0;
    site_start(site);
    *state = site;
    return 0;
}

static void request(int fd, const char *method, const char *query)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s /supply?%s HTTP/1.1\r\nHost: hub\r\n\r\n", method, query);
    say_bytes(fd, text, (size_t)len);
}

static void ask_supply(int fd, const char *query, struct answer *answer)
{
    request(fd, "GET", query);
    hear(fd, answer);
}

static void expect_grains(const struct answer *answer, int64_t grains)
{
    assert_int_equal(answer->body.len, grains * (8 + GRAIN));
    const char *at = answer->body.data;
    for (int64_t grain = 0; grain < grains; grain++, at += GRAIN) {
        char label[8];
        write_label(label, grain);
        assert_memory_equal(at, label, 8);
        at += 8;
        for (int64_t i = 0; i < GRAIN; i++)
            if (at[i] != pattern(grain * GRAIN + i))
                fail_msg("byte %lld of grain %lld differs", (long long)i, (long long)grain);
    }
}

/* And the connection goes on. */
static void expect_hello(int fd, struct answer *answer)
{
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    hear(fd, answer);
    assert_true(str_eq(buf_view(&answer->body), STR("hello")));
}

static int64_t expect_a_cut(struct site *site, const char *query)
{
    auto_buf struct buf all = {0};
    auto_fd int fd = dial(site);
    request(fd, "GET", query);
    while (hear_more(fd, &all))
        ;
    wait_until(site->released == 1 && site->done == 1);
    return (int64_t)all.len;
}

static void labels_and_grains_arrive_as_one_body(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    ask_supply(fd, "grains=200&length=13108800", &answer);
    expect_grains(&answer, 200);
    expect_hello(fd, &answer);
    wait_until(site->released == 1 && site->done == 2);
    assert_int_equal(site->done_bytes, 13108800 + 5);
    assert_int_equal(asked, 400); /* and not once more when nothing was missing */
}

static void small_replies_of_few_pieces_arrive_whole(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    static const char *const queries[] = {"grains=1&length=65544", "grains=2&length=131088", "grains=3&length=196632"};
    for (int i = 0; i < 3; i++) {
        ask_supply(fd, queries[i], &answer);
        expect_grains(&answer, i + 1);
    }
}

static void pieces_of_memory_alone_arrive_in_order(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    ask_supply(fd, "grains=1000&labels=1&length=8000", &answer);
    assert_int_equal(answer.body.len, 8000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(strtol(answer.body.data + 8 * (size_t)i, NULL, 10), i);
}

static void slow_readers_get_every_byte(void **state)
{
    enum { READERS = 6 };
    int readers[READERS];
    auto_answer struct answer answer = {0};
    for (int i = 0; i < READERS; i++) {
        readers[i] = dial(*state);
        request(readers[i], "GET", "grains=200&length=13108800");
    }
    usleep(50000); /* the sockets fill; whether they did makes no difference to what must come out */
    for (int i = 0; i < READERS; i++) {
        hear(readers[i], &answer);
        expect_grains(&answer, 200);
        close(readers[i]);
    }
}

static void pieces_with_nothing_in_them_are_passed_over(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    ask_supply(fd, "grains=20&nothing=1&length=1310880", &answer);
    expect_grains(&answer, 20);
    expect_hello(fd, &answer);
}

static void more_pieces_than_promised_are_cut_to_the_length(void **state)
{
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(*state);
    ask_supply(fd, "grains=20&length=131", &answer); /* within a piece of a file */
    assert_int_equal(answer.body.len, 131);
    ask_supply(fd, "grains=20&length=65548", &answer); /* within a piece of memory */
    assert_int_equal(answer.body.len, 65548);
    assert_memory_equal(answer.body.data + 65544, "0000", 4);
    ask_supply(fd, "grains=20&length=5", &answer); /* within the first */
    assert_true(str_eq(buf_view(&answer.body), STR("00000")));
    expect_hello(fd, &answer);
}

static void fewer_pieces_than_promised_end_the_connection(void **state)
{
    struct site *site = *state;
    assert_true(expect_a_cut(site, "grains=10&length=655441") >= 655440);
    assert_int_equal(site->done_bytes, 655440);
}

static void no_piece_at_all_ends_the_connection(void **state)
{
    struct site *site = *state;
    assert_int_equal(expect_a_cut(site, "grains=0&length=1"), 0); /* not even a head that promises something */
    assert_int_equal(site->done_bytes, 0);
    assert_int_equal(asked, 1);
}

static void nothing_is_asked_for_where_no_body_goes_out(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    request(fd, "HEAD", "grains=10&length=655440");
    assert_true(hear_one(fd, &answer, true));
    assert_true(str_eq(answer_header(&answer, "content-length"), STR("655440")));
    ask_supply(fd, "grains=10&length=655440&status=304", &answer);
    assert_int_equal(answer.status, 304);
    ask_supply(fd, "grains=10&length=0", &answer);
    assert_true(str_eq(answer_header(&answer, "content-length"), STR("0")));
    expect_hello(fd, &answer);
    wait_until(site->released == 3 && site->done == 4);
    assert_int_equal(asked, 0);
    assert_int_equal(site->done_bytes, 5);
}

static void a_reply_that_ends_its_connection_is_released_once(void **state)
{
    struct site *site = *state;
    auto_answer struct answer answer = {0};
    auto_fd int fd = dial(site);
    SAY(fd, "GET /supply?grains=20&length=1310880 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    hear(fd, &answer);
    hears_the_end(fd, &answer);
    struct http_stats stats;
    wait_until((http_server_stats(site->server, &stats), stats.connections == 0));
    assert_int_equal(site->released, 1);
    assert_int_equal(site->done, 1);
}

static void a_peer_that_leaves_ends_the_asking(void **state)
{
    struct site *site = *state;
    auto_buf struct buf some = {0};
    for (int i = 1; i <= 10; i++) {
        auto_fd int fd = dial(site);
        request(fd, "GET", "grains=300&length=19663200");
        assert_true(hear_more(fd, &some));
        fd_close(&fd);
        wait_until(site->done == i && site->released == i);
    }
    assert_true(asked < 10 * 600);
}

/* Its own start, as the grace is none. */
static void a_stopping_server_releases_what_it_cuts_off(void **state)
{
    (void)state;
    struct site *site = calloc(1, sizeof *site);
    site->config.handle = handle;
    site_start(site);
    auto_fd int fd = dial(site);
    request(fd, "GET", "grains=300&length=19663200");
    wait_until(site->handled == 1);
    site_stop_and_check(site);
    assert_int_equal(site->released, 1);
    free(site);
}

#define WITH_SITE(test) cmocka_unit_test_setup_teardown(test, setup, site_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SITE(labels_and_grains_arrive_as_one_body),
        WITH_SITE(small_replies_of_few_pieces_arrive_whole),
        WITH_SITE(pieces_of_memory_alone_arrive_in_order),
        WITH_SITE(slow_readers_get_every_byte),
        WITH_SITE(pieces_with_nothing_in_them_are_passed_over),
        WITH_SITE(more_pieces_than_promised_are_cut_to_the_length),
        WITH_SITE(fewer_pieces_than_promised_end_the_connection),
        WITH_SITE(no_piece_at_all_ends_the_connection),
        WITH_SITE(nothing_is_asked_for_where_no_body_goes_out),
        WITH_SITE(a_reply_that_ends_its_connection_is_released_once),
        WITH_SITE(a_peer_that_leaves_ends_the_asking),
        cmocka_unit_test(a_stopping_server_releases_what_it_cuts_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

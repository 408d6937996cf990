/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who waits for a round is let go when something has changed, when too many wait, and when the server stops. */
#include "../net/fixture.h"
#include "base/time.h"
#include "federate/wait.h"

static struct waits waits;
static _Atomic int woken, let_go;

/* It would wait for an hour. */
static void handle(struct http_request *rq, void *context)
{
    struct site *site = context;
    uint64_t seen = waits_seen(&waits);
    site->handled++;
    bool changed = waits_for_change(&waits, rq, seen, monotonic_us() + 3600 * SECOND_US);
    atomic_fetch_add(changed ? &woken : &let_go, 1);
    reply_bytes(rq, 200, STR("text/plain"), changed ? STR("changed") : STR("nothing"));
}

static unsigned waiting(void)
{
    pthread_mutex_lock(&waits.lock);
    unsigned waiting = waits.waiting;
    pthread_mutex_unlock(&waits.lock);
    return waiting;
}

static struct site *start_site(void)
{
    struct site *site = calloc(1, sizeof *site);
    waits_begin(&waits);
    woken = let_go = 0;
    site->config = (struct http_config){.handle = handle, .stall_seconds = 3600};
    site->grace_seconds = 3600;
    site_start(site);
    return site;
}

static void expect(int fd, const char *wanted)
{
    auto_answer struct answer answer = {0};
    hear(fd, &answer);
    assert_true(str_eq(buf_view(&answer.body), str_of(wanted)));
}

static void those_who_wait_hear_of_a_change(void **state)
{
    (void)state;
    struct site *site = start_site();
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = dial(site);
        SAY(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(waiting() == 3);
    assert_int_equal(woken, 0);
    waits_changed(&waits);
    for (int i = 0; i < 3; i++) {
        expect(fds[i], "changed");
        close(fds[i]);
    }
    site_stop_and_check(site);
    waits_end(&waits);
    free(site);
}

static void a_server_that_stops_lets_them_go(void **state)
{
    (void)state;
    struct site *site = start_site();
    auto_fd int fd = dial(site);
    SAY(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until(waiting() == 1);
    http_server_stop(site->server);
    expect(fd, "nothing");
    site_stop_and_check(site);
    assert_int_equal(let_go, 1);
    waits_end(&waits);
    free(site);
}

static void more_than_a_part_of_the_threads_do_not_wait(void **state)
{
    (void)state;
    struct site *site = start_site();
    int fds[70];
    for (int i = 0; i < 70; i++) {
        fds[i] = dial(site);
        SAY(fds[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    wait_until(let_go == 6 && waiting() == 64);
    waits_changed(&waits);
    wait_until(woken == 64);
    for (int i = 0; i < 70; i++)
        close(fds[i]);
    site_stop_and_check(site);
    assert_int_equal(let_go, 6);
    waits_end(&waits);
    free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_wait_hear_of_a_change),
        cmocka_unit_test(a_server_that_stops_lets_them_go),
        cmocka_unit_test(more_than_a_part_of_the_threads_do_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

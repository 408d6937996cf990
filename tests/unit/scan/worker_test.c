/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wall around the child: it is this very program, started as "worker", or a stand-in that misbehaves. */
#include "base/arena.h"
#include "base/time.h"
#include "scan/safetensors.h"
#include "scan/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (120 * SECOND_US) /* for children that end by themselves, on a busy machine */

static enum status run_for(int64_t deadline_us, const char *const *argv, struct str input, struct buf *out,
                           struct error *err)
{
    const struct worker worker = {argv[0], argv, deadline_us, 1024};
    return worker_run(&worker, input, out, err);
}

static void answers(const char *header, const char *expected)
{
    auto_buf struct buf out = {0};
    struct error err = {0};
    if (scan_safetensors(str_of(header), &out, NULL, &err) != OK)
        fail_msg("%s", err.message);
    buf_byte(&out, 0);
    assert_string_equal(expected, out.data);
}

static void finds_an_error(struct str header)
{
    auto_buf struct buf out = {0};
    struct error err = {0};
    if (scan_safetensors(header, &out, NULL, &err) != OK)
        fail_msg("%s", err.message);
    if (!str_starts(buf_view(&out), STR("{\"error\":\"")))
        fail_msg("%.*s", STR_ARG(buf_view(&out)));
}

static void the_child_summarises_a_good_header(void **state)
{
    (void)state;
    answers("{\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}",
            "{\"parameters\":{\"BF16\":4},\"total\":4,\"tensors\":1}");
}

static void the_child_tells_what_is_wrong_with_a_bad_one(void **state)
{
    auto_buf struct buf deep = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_str(&deep, STR("{\"a\":"));
    finds_an_error(buf_view(&deep));
    finds_an_error(STR(""));
    finds_an_error(STR("{\"a\":\"\xff\xfe\"}"));
    finds_an_error(STR("{\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,9]}}"));
}

static struct str large_header(struct buf *text, int tensors)
{
    buf_byte(text, '{');
    for (int i = 0; i < tensors; i++)
        buf_printf(text,
                   "%s\"model.layers.%d.mlp.weight\":{\"dtype\":\"BF16\",\"shape\":[4,2],\"data_offsets\":[%d,%d]}",
                   i ? "," : "", i, i * 16, i * 16 + 16);
    buf_byte(text, '}');
    return buf_view(text);
}

static void fifty_thousand_tensors_fit_in_the_sandbox(void **state)
{
    auto_buf struct buf text = {0}, out = {0};
    struct error err = {0};
    (void)state;
    if (scan_safetensors(large_header(&text, 50000), &out, NULL, &err) != OK)
        fail_msg("%s", err.message);
    assert_true(str_has(buf_view(&out), STR("\"total\":400000,\"tensors\":50000")));
}

static void the_child_tells_the_tensors_of_a_header(void **state)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0};
    struct tensor_list list;
    struct error err = {0};
    (void)state;
    if (scan_tensors(large_header(&text, 100000), &arena, &list, NULL, &err) != OK)
        fail_msg("%s", err.message);
    assert_int_equal(100000, list.count);
    assert_int_equal(1600000, list.bytes);
    assert_string_equal("model.layers.99999.mlp.weight", list.items[99999].name.data);
    assert_int_equal(INVALID, scan_tensors(STR("{\"a\":1}"), &arena, &list, NULL, &err));
    assert_true(str_has(str_of(err.message), STR("no known dtype")));
}

static void a_header_beyond_the_limit_starts_no_child(void **state)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf text = {0}, out = {0};
    struct tensor_list list;
    struct error err;
    (void)state;
    buf_reserve(&text, SAFETENSORS_HEADER_LIMIT + 1);
    memset(text.data, ' ', SAFETENSORS_HEADER_LIMIT + 1);
    text.len = SAFETENSORS_HEADER_LIMIT + 1;
    assert_int_equal(TOO_LARGE, scan_safetensors(buf_view(&text), &out, NULL, &err));
    assert_int_equal(TOO_LARGE, scan_tensors(buf_view(&text), &arena, &list, NULL, &err));
}

/* Children that misbehave. */

static void a_child_that_hangs_is_stopped(void **state)
{
    static const char *const argv[] = {"/bin/sleep", "1000", NULL};
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    assert_int_equal(TIMED_OUT, run_for(SECOND_US / 10, argv, STR(""), &out, &err));
    assert_int_equal(-1, waitpid(-1, NULL, WNOHANG)); /* and reaped */
}

static void the_processor_time_of_a_child_is_told_though_it_was_stopped(void **state)
{
    static const char *const busy[] = {"/bin/sh", "-c", "while :; do :; done", NULL}, *const idle[] = {"/bin/true",
                                                                                                       NULL};
    int64_t spent = 0;
    struct worker worker = {busy[0], busy, SECOND_US / 2, 100, &spent};
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    assert_int_equal(TIMED_OUT, worker_run(&worker, STR(""), &out, &err));
    int64_t first = spent;
    assert_true(first > 0);
    worker.program = idle[0];
    worker.argv = idle;
    assert_int_equal(UNAVAILABLE, worker_run(&worker, STR(""), &out, &err));
    assert_true(spent >= first); /* it is added */
}

static void a_child_that_dies_without_a_word_is_an_error(void **state)
{
    static const char *const argv[] = {"/bin/false", NULL}, *const killed[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
    auto_buf struct buf out = {0}, large = {0};
    struct error err;
    (void)state;
    buf_reserve(&large, 4 << 20);
    memset(large.data, 'x', 4 << 20);
    large.len = 4 << 20;
    assert_int_equal(UNAVAILABLE, run_for(PATIENCE, argv, buf_view(&large), &out, &err));
    assert_int_equal(UNAVAILABLE, run_for(PATIENCE, killed, STR(""), &out, &err));
    assert_int_equal(-1, waitpid(-1, NULL, WNOHANG));
}

static void a_program_that_is_missing_is_an_error(void **state)
{
    static const char *const argv[] = {"/nowhere/cairn", NULL};
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    assert_int_equal(UNAVAILABLE, run_for(PATIENCE, argv, STR(""), &out, &err));
}

static void a_child_that_never_stops_talking_is_stopped(void **state)
{
    static const char *const argv[] = {"/usr/bin/yes", NULL};
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    buf_str(&out, STR("before"));
    assert_int_equal(TOO_LARGE, run_for(PATIENCE, argv, STR(""), &out, &err));
    assert_true(str_eq(buf_view(&out), STR("before")));
}

static void what_the_child_says_arrives_whole(void **state)
{
    static const char *const argv[] = {"/bin/cat", NULL};
    auto_buf struct buf in = {0}, out = {0};
    struct error err;
    (void)state;
    for (int i = 0; i < 1024; i++)
        buf_byte(&in, (char)i);
    assert_int_equal(OK, run_for(PATIENCE, argv, buf_view(&in), &out, &err));
    assert_true(str_eq(buf_view(&in), buf_view(&out)));
}

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void no_descriptor_stays_behind_or_goes_over(void **state)
{
    static const char *const argv[] = {
        "/bin/sh", "-c", "for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; echo end", NULL};
    static const char *const missing[] = {"/nowhere/cairn", NULL};
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    int before = open_descriptors();
    int leaky = dup(2); /* without close-on-exec */
    assert_int_equal(OK, run_for(PATIENCE, argv, STR(""), &out, &err));
    assert_true(str_eq(buf_view(&out), STR("end\n")));
    run_for(PATIENCE, missing, STR(""), &out, &err);
    close(leaky);
    assert_int_equal(before, open_descriptors());
}

static void a_worker_starts_no_workers(void **state)
{
    auto_buf struct buf out = {0};
    struct error err;
    (void)state;
    setenv("CAIRN_WORKER", "1", 1);
    enum status status = scan_safetensors(STR("{}"), &out, NULL, &err);
    unsetenv("CAIRN_WORKER");
    assert_int_equal(UNAVAILABLE, status);
    assert_int_equal(OK, scan_safetensors(STR("{}"), &out, NULL, &err));
}

/* The sandbox. */

static int end_of(const char *task)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO); /* to a file, should ours be one, it may not write */
        execl("/proc/self/exe", "cairn", "worker", task, NULL);
        _exit(99);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    return status;
}

static void the_kernel_kills_a_child_that_reaches_out(void **state)
{
    static const char *const probes[] = {"probe-open", "probe-socket", "probe-fork",
                                         "probe-kill", "probe-read",   "probe-code"};
    (void)state;
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        int status = end_of(probes[i]);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s ended with %d", probes[i], status);
    }
}

static void a_child_that_stays_inside_ends_well(void **state)
{
    (void)state;
    assert_int_equal(0, end_of("probe-nothing"));
    assert_int_equal(2, WEXITSTATUS(end_of("unknown")));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_child_summarises_a_good_header),
        cmocka_unit_test(the_child_tells_what_is_wrong_with_a_bad_one),
        cmocka_unit_test(fifty_thousand_tensors_fit_in_the_sandbox),
        cmocka_unit_test(the_child_tells_the_tensors_of_a_header),
        cmocka_unit_test(a_header_beyond_the_limit_starts_no_child),
        cmocka_unit_test(a_child_that_hangs_is_stopped),
        cmocka_unit_test(the_processor_time_of_a_child_is_told_though_it_was_stopped),
        cmocka_unit_test(a_child_that_dies_without_a_word_is_an_error),
        cmocka_unit_test(a_program_that_is_missing_is_an_error),
        cmocka_unit_test(a_child_that_never_stops_talking_is_stopped),
        cmocka_unit_test(what_the_child_says_arrives_whole),
        cmocka_unit_test(no_descriptor_stays_behind_or_goes_over),
        cmocka_unit_test(a_worker_starts_no_workers),
        cmocka_unit_test(the_kernel_kills_a_child_that_reaches_out),
        cmocka_unit_test(a_child_that_stays_inside_ends_well),
    };
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main(argc - 1, argv + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

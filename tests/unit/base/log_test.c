/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include "base/json.h"
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* Standard error goes to a file of its own while a test logs. */
struct capture {
    int saved, file;
};

static struct capture capture_begin(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    struct capture capture = {dup(STDERR_FILENO), dup(fileno(file))};
    fclose(file);
    dup2(capture.file, STDERR_FILENO);
    return capture;
}

static struct str capture_end(struct capture capture, struct arena *arena)
{
    dup2(capture.saved, STDERR_FILENO);
    size_t len = (size_t)lseek(capture.file, 0, SEEK_END);
    char *text = arena_alloc(arena, len + 1);
    assert_int_equal(pread(capture.file, text, len, 0), len);
    close(capture.saved);
    close(capture.file);
    return (struct str){text, len};
}

static void a_line_is_one_json_object(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct capture capture = capture_begin();
    errno = EXDEV;
    log_line("warning", "disk.slow", "took %d ms\n\"quoted\" \xFF", 7);
    assert_int_equal(errno, EXDEV);
    struct str text = capture_end(capture, &arena);

    assert_true(str_ends(text, STR("}\n")));
    struct str line = str_slice(text, 0, text.len - 1);
    assert_false(str_has(line, STR("\n")));
    struct error err;
    auto_json json_t *object = NULL;
    assert_int_equal(json_read(line, 10000, &object, &err), OK);
    assert_int_equal(json_get_str(object, "at").len, strlen("2025-03-07T12:24:18.657Z"));
    assert_str(json_get_str(object, "level"), "warning");
    assert_str(json_get_str(object, "event"), "disk.slow");
    assert_str(json_get_str(object, "message"), "took 7 ms\n\"quoted\" \xEF\xBF\xBD");
}

static void a_long_message_is_cut_and_the_line_stays_whole(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct capture capture = capture_begin();
    log_line("info", "long", "%*d", 100000, 1);
    struct str text = capture_end(capture, &arena);
    assert_true(text.len < 4096);
    assert_true(str_ends(text, STR("\"}\n")));
}

static void a_finished_object_gets_its_line_end(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    auto_buf struct buf object = {0};
    buf_str(&object, STR("{\"a\":1}"));
    struct capture capture = capture_begin();
    log_json(&object);
    assert_str(capture_end(capture, &arena), "{\"a\":1}\n");
}

static void *log_a_while(void *unused)
{
    for (int i = 0; i < 100; i++)
        log_line("info", "thread", "%0*d", 200, i);
    return unused;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0); /* a pipe takes a short write whole, as a journal does */
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, log_a_while, NULL);

    auto_buf struct buf all = {0};
    for (;;) {
        buf_reserve(&all, 4096);
        ssize_t got = read(ends[0], all.data + all.len, 4096);
        assert_true(got > 0);
        all.len += (size_t)got;
        size_t lines = 0;
        for (size_t i = 0; i < all.len; i++)
            lines += all.data[i] == '\n';
        if (lines == 200)
            break;
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[0]);
    struct str rest = buf_view(&all), line;
    while (str_cut(&rest, '\n', &line) && line.len) {
        assert_true(str_starts(line, STR("{\"at\":")));
        assert_true(str_ends(line, STR("\"}")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_one_json_object),
        cmocka_unit_test(a_long_message_is_cut_and_the_line_stays_whole),
        cmocka_unit_test(a_finished_object_gets_its_line_end),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

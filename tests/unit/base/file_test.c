/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test starts in an empty folder of its own. */
static int enter_folder(void **state)
{
    char *folder = strdup("/tmp/cairn-file-XXXXXX");
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *ftw)
{
    (void)found, (void)kind, (void)ftw;
    return remove(path);
}

static int leave_folder(void **state)
{
    int failed = chdir("/") || nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

static int names_in(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    for (struct dirent *item; (item = readdir(folder));)
        count += strcmp(item->d_name, ".") && strcmp(item->d_name, "..");
    closedir(folder);
    return count;
}

static void assert_content(const char *path, const char *expected)
{
    auto_buf struct buf content = {0};
    struct error err;
    assert_int_equal(file_read_all(path, 1000, &content, &err), OK);
    assert_str(buf_view(&content), expected);
}

static void a_durable_write_makes_the_file_with_its_mode(void **state)
{
    (void)state;
    struct error err;
    mode_t before = umask(077);
    assert_int_equal(file_write_durable("new", STR("content"), 0640, &err), OK);
    umask(before);
    assert_content("new", "content");
    struct stat found;
    assert_int_equal(stat("new", &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(names_in("."), 1); /* no temporary file stays */
}

static void a_durable_write_replaces_the_file_as_a_whole(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(file_write_durable("file", STR("a long first version"), 0600, &err), OK);
    auto_fd int reader = open("file", O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_write_durable("file", STR("second"), 0600, &err), OK);
    assert_content("file", "second");
    char old[21] = {0};
    assert_int_equal(pread_full(reader, old, 20, 0, &err), OK); /* who has it open goes on reading the old version */
    assert_string_equal(old, "a long first version");
}

static void a_durable_write_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(file_write_durable("missing/file", STR("x"), 0600, &err), NOT_FOUND);
    assert_int_equal(mkdir("taken", 0700), 0);
    assert_int_equal(file_write_durable("taken", STR("x"), 0600, &err), INTERNAL);
    assert_int_equal(names_in("."), 1);
    assert_int_equal(file_write_durable("taken/empty", STR(""), 0600, &err), OK);
    assert_content("taken/empty", "");
}

static void a_full_disk_is_told_as_such(void **state)
{
    (void)state;
    struct error err;
    auto_fd int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, "x", 1, &err), NO_SPACE);
    assert_int_equal(pwrite_full(fd, "x", 1, 0, &err), NO_SPACE);
    assert_int_equal(write_full(fd, NULL, 0, &err), OK);
}

static void writing_to_a_closed_file_fails(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(write_full(-1, "x", 1, &err), INTERNAL);
    assert_int_equal(pwrite_full(-1, "x", 1, 0, &err), INTERNAL);
    assert_int_equal(pread_full(-1, &(char){0}, 1, 0, &err), INTERNAL);
}

static void reading_stops_at_the_limit_and_keeps_what_the_buffer_had(void **state)
{
    (void)state;
    struct error err;
    file_write_durable("file", STR("12345"), 0600, &err);
    auto_buf struct buf out = {0};
    buf_str(&out, STR(">"));
    assert_int_equal(file_read_all("file", 4, &out, &err), TOO_LARGE);
    assert_str(buf_view(&out), ">");
    assert_int_equal(file_read_all("file", 5, &out, &err), OK);
    assert_str(buf_view(&out), ">12345");
    assert_int_equal(file_read_all("missing", 5, &out, &err), NOT_FOUND);
    assert_int_equal(file_read_all(".", 5, &out, &err), INTERNAL);
    assert_str(buf_view(&out), ">12345");
}

static void a_file_of_many_pieces_is_read_whole(void **state)
{
    (void)state;
    struct error err;
    auto_buf struct buf content = {0}, again = {0};
    while (content.len < 300000)
        buf_printf(&content, "%zu,", content.len);
    assert_int_equal(file_write_durable("large", buf_view(&content), 0600, &err), OK);
    assert_int_equal(file_read_all("large", SIZE_MAX, &again, &err), OK);
    assert_true(str_eq(buf_view(&content), buf_view(&again)));
}

static void bytes_are_written_and_read_at_their_offset(void **state)
{
    (void)state;
    struct error err;
    auto_fd int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite_full(fd, "67", 2, 6, &err), OK);
    assert_int_equal(write_full(fd, "012345", 6, &err), OK);
    char three[3];
    assert_int_equal(pread_full(fd, three, 3, 5, &err), OK);
    assert_memory_equal(three, "567", 3);
}

static void a_file_that_ends_too_early_is_corrupt(void **state)
{
    (void)state;
    struct error err;
    auto_fd int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    write_full(fd, "01234", 5, &err);
    char four[4];
    assert_int_equal(pread_full(fd, four, 4, 1, &err), OK);
    assert_int_equal(pread_full(fd, four, 4, 2, &err), CORRUPT);
    assert_int_equal(pread_full(fd, four, 1, 5, &err), CORRUPT);
    assert_int_equal(pread_full(fd, four, 0, 5, &err), OK);
}

static void folders_are_made_with_their_parents_and_may_exist(void **state)
{
    auto_arena struct arena arena = {0};
    struct error err;
    struct stat found;
    assert_int_equal(folder_make("a/b/c/", 0700, &err), OK);
    assert_int_equal(folder_make("a/b", 0700, &err), OK);
    assert_int_equal(stat("a/b/c", &found), 0);
    assert_int_equal(folder_make(arena_cstr(&arena, arena_printf(&arena, "%s/x/y", (char *)*state)), 0700, &err), OK);
    assert_int_equal(stat("x/y", &found), 0);
    assert_int_equal(folder_make("/", 0700, &err), OK);
}

static void a_folder_is_not_made_where_a_file_is(void **state)
{
    (void)state;
    struct error err;
    file_write_durable("file", STR(""), 0600, &err);
    assert_int_not_equal(folder_make("file", 0700, &err), OK);
    assert_int_not_equal(folder_make("file/below", 0700, &err), OK);
    assert_int_not_equal(folder_make("", 0700, &err), OK);
}

static void a_folder_can_be_synced_and_a_missing_one_not(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(folder_sync(".", &err), OK);
    assert_int_equal(folder_sync("missing", &err), NOT_FOUND);
}

static void closing_twice_is_harmless(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), closed = fd;
    fd_close(&fd);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    fd_close(&fd);
}

static bool can_be_locked(void)
{
    int fd = open("locked", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool can = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return can;
}

/* A duplicate is what a child has that is just being started. */
static void a_lock_is_given_back_although_somebody_else_has_the_file(void **state)
{
    (void)state;
    for (int gives_back = 0; gives_back < 2; gives_back++) {
        int fd = open("locked", O_RDWR | O_CREAT | O_CLOEXEC, 0600), child = dup(fd);
        assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
        if (gives_back)
            lock_close(&fd);
        else
            fd_close(&fd);
        assert_int_equal(fd, -1);
        assert_int_equal(can_be_locked(), gives_back);
        close(child);
    }
    int none = -1;
    lock_close(&none);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_durable_write_makes_the_file_with_its_mode),
        in_folder(a_durable_write_replaces_the_file_as_a_whole),
        in_folder(a_durable_write_that_fails_leaves_nothing_behind),
        in_folder(a_full_disk_is_told_as_such),
        in_folder(writing_to_a_closed_file_fails),
        in_folder(reading_stops_at_the_limit_and_keeps_what_the_buffer_had),
        in_folder(a_file_of_many_pieces_is_read_whole),
        in_folder(bytes_are_written_and_read_at_their_offset),
        in_folder(a_file_that_ends_too_early_is_corrupt),
        in_folder(folders_are_made_with_their_parents_and_may_exist),
        in_folder(a_folder_is_not_made_where_a_file_is),
        in_folder(a_folder_can_be_synced_and_a_missing_one_not),
        in_folder(closing_twice_is_harmless),
        in_folder(a_lock_is_given_back_although_somebody_else_has_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

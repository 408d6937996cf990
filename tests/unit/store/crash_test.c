/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "store_fixture.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define ROUNDS 60
#define UPLOADERS 3

struct acknowledged {
    uint64_t seed;
    int64_t size, repo;
};

struct uploader {
    struct house *house;
    unsigned round, number;
    int to_parent;
};

static enum status put_in_one_part(struct house *house, int64_t repo, const struct content *content, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_part struct part *part = NULL;
    struct parts_plan plan;
    char etag[33];
    TRY(parts_begin(house->store, &arena, repo, content->sha256, (int64_t)content->len, &plan, err));
    TRY(part_open(house->store, plan.id, repo, 1, (int64_t)content->len, &part, err));
    TRY(part_write(part, content->data, content->len, err));
    TRY(part_keep(&part, etag, err));
    struct part_claim claim = {1, str_of(etag)};
    return parts_finish(house->store, plan.id, repo, &claim, 1, err);
}

/* Uploads until the process is killed, some contents a second time, and tells the parent what the store has promised to
 * keep. */
static void *upload_until_killed(void *context)
{
    struct uploader *uploader = context;
    struct error err;
    for (uint64_t i = 0;; i++) {
        struct acknowledged done = {.seed = (uploader->round * 100 + uploader->number) * 10000 + i % 50,
                                    .repo = 1 + (int64_t)(i % 3)};
        done.size = 1 + (int64_t)(done.seed * 7919 % 100000);
        auto_content struct content content = content_of(done.seed, (size_t)done.size);
        enum status status = i % 2 ? put_in_one_part(uploader->house, done.repo, &content, &err)
                                   : put_as(uploader->house, done.repo, &content, content.sha256, done.size, &err);
        if (status != OK || write(uploader->to_parent, &done, sizeof(done)) != sizeof(done))
            _exit(3);
    }
}

static void child_run(struct house *house, unsigned round, int to_parent)
{
    struct uploader uploaders[UPLOADERS];
    pthread_t thread;
    house_start(house);
    for (unsigned i = 0; i < UPLOADERS; i++) {
        uploaders[i] = (struct uploader){house, round, i, to_parent};
        pthread_create(&thread, NULL, upload_until_killed, &uploaders[i]);
    }
    /* Should the parent die first, the pipe ends these threads. */
    pthread_join(thread, NULL);
    _exit(4);
}

/* Runs a child, kills it a little after its first word, and returns how many uploads it had acknowledged. */
static size_t run_and_kill(struct house *house, unsigned round, struct acknowledged *list, size_t room)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        child_run(house, round, ends[1]);
    }
    close(ends[1]);
    struct pollfd first = {.fd = ends[0], .events = POLLIN};
    poll(&first, 1, 20000);
    usleep(round * 7919 % 37 * 1000);
    kill(child, SIGKILL);
    size_t count = 0;
    while (count < room && read(ends[0], &list[count], sizeof(*list)) == sizeof(*list))
        count++;
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    return count;
}

static void sweep(struct house *house, int64_t now)
{
    struct store_freed freed;
    assert_int_equal(store_sweep(house->store, now, false, &freed, &house->err), OK);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
    struct house *house = *state;
    static struct acknowledged list[4096];
    size_t total = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count = run_and_kill(house, round, list, sizeof(list) / sizeof(list[0]));
        total += count;
        house_start(house);
        for (size_t i = 0; i < count; i++) {
            auto_content struct content content = content_of(list[i].seed, (size_t)list[i].size);
            assert_stored(house, list[i].repo, &content);
        }
        assert_int_equal(findings(house), 0);
        /* Keeps the later checks short, and tries the sweep on what a crash leaves. */
        sweep(house, now_us() + 2 * DAY_US);
        assert_int_equal(files_in(house, "incoming"), 0);
        assert_int_equal(files_in(house, "containers"), count_rows(house, "SELECT count(*) FROM container"));
        assert_int_equal(findings(house), 0);
        if (round % 8 == 7) {
            for (int64_t repo = 1; repo <= 3; repo++)
                release(house, repo);
            sweep(house, now_us() + DAY_US);
            assert_int_equal(files_in(house, ""), 0);
        }
        house_stop(house);
    }
    assert_true(total >= ROUNDS);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_file_that_the_disk_does_not_take_leaves_nothing(void **state)
{
    struct house *house = *state;
    auto_content struct content large = content_of(1, 5000000), small = content_of(2, 100000);
    struct error err;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(put(house, ALICE, &small), OK);
    limit_file_size(3000000);
    enum status whole = put_as(house, ALICE, &large, large.sha256, 5000000, &err);
    enum status part = put_in_one_part(house, ALICE, &large, &err);
    limit_file_size(RLIM_INFINITY);
    assert_int_not_equal(whole, OK);
    assert_int_not_equal(part, OK);
    assert_not_held(house, ALICE, &large);
    assert_stored(house, ALICE, &small);
    assert_int_equal(findings(house), 0);
    /* The same upload goes through once there is room. */
    assert_int_equal(put_in_one_part(house, ALICE, &large, &err), OK);
    assert_stored(house, ALICE, &large);
    assert_int_equal(files_in(house, "incoming"), 0);
}

/* Runs with a store on a file system of 8 MiB, in a process of its own because that needs its own namespace. */
static void fill_a_small_disk(struct house *house)
{
    auto_content struct content small = content_of(1, 3000000), large = content_of(2, 9000000),
                                fits = content_of(3, 2000000);
    struct error err;
    house_start(house);
    assert_int_equal(put(house, ALICE, &small), OK);
    assert_int_equal(put_as(house, ALICE, &large, large.sha256, 9000000, &err), NO_SPACE);
    assert_non_null(strstr(err.message, "Free space"));
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(put_in_one_part(house, ALICE, &large, &err), NO_SPACE);
    assert_non_null(strstr(err.message, "Free space"));
    assert_int_equal(files_in(house, "incoming"), 0);
    assert_int_equal(count_rows(house, "SELECT count(*) FROM upload"), 0);
    assert_stored(house, ALICE, &small);
    assert_int_equal(put(house, ALICE, &fits), OK);
    assert_stored(house, ALICE, &fits);
    assert_int_equal(findings(house), 0);
    house_stop(house);
}

static void a_full_disk_is_told_and_loses_nothing(void **state)
{
    struct house *house = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool mounted = unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                       mount("none", house->dir, "tmpfs", 0, "size=8m") == 0;
        if (mounted)
            fill_a_small_disk(house);
        else
            print_message("Not tried with a small file system: mounting one needs more rights.\n");
        _exit(0);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_kill_9, house_make, house_remove),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_loses_nothing, house_make, house_remove),
        in_a_house(a_file_that_the_disk_does_not_take_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

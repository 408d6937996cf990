/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server's side of the wall: starts the child, hands it the bytes, takes what it prints, and never waits for ever.
 */
#include "scan/worker.h"
#include "base/file.h"
#include "base/json.h"
#include "base/time.h"
#include "scan/safetensors.h"
#include "scan/table.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKER_MARK "CAIRN_WORKER" /* in the environment of a child */
#define OUTPUT_LIMIT (64 << 10)
#define DEADLINE (5 * SECOND_US)
#define DEADLINE_OF_JOBS                                                                                               \
    (30 * SECOND_US) /* where nobody waits for the answer; the child's processor time is limited anyway */

/*
 * The input is a sealed file in memory rather than a pipe: all of it is there before the child starts, so nobody waits
 * for the other to write, a child that dies early costs no SIGPIPE, and the child cannot change it.
 */
static enum status input_file(struct str input, int *out, struct error *err)
{
    auto_fd int fd = memfd_create("cairn-worker-input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return fail_errno(err, "memfd_create");
    TRY(write_full(fd, input.data, input.len, err));
    if (lseek(fd, 0, SEEK_SET) || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return fail_errno(err, "input of the worker");
    *out = fd;
    fd = -1;
    return OK;
}

/* Nothing of the server but the two descriptors goes over: no other files, no environment, no signals held back. */
static int spawn(const struct worker *worker, int input, int output, pid_t *pid)
{
    static char *const environment[] = {WORKER_MARK "=1", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int failed = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!failed) /* what the child says there is not for the server's log, which it could flood */
        failed = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawn(pid, worker->program, &actions, &attributes, (char *const *)worker->argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* The server's end of the child's standard output, and the child. */
static enum status start(const struct worker *worker, struct str input, int *output, pid_t *pid, struct error *err)
{
    auto_fd int in = -1;
    int ends[2];
    TRY(input_file(input, &in, err));
    if (pipe2(ends, O_CLOEXEC))
        return fail_errno(err, "pipe2");
    auto_fd int theirs = ends[1], ours = ends[0];
    int failed = spawn(worker, in, theirs, pid);
    if (failed)
        return fail(err, UNAVAILABLE, NULL, "%s cannot be started: %s", worker->program, strerrordesc_np(failed));
    *output = ours;
    ours = -1;
    return OK;
}

static enum status wait_readable(int fd, int64_t deadline, struct error *err)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    for (;;) {
        int64_t left = deadline - monotonic_us();
        if (left <= 0)
            return fail(err, TIMED_OUT, NULL, "The worker took too long and was stopped");
        int ready = poll(&wanted, 1, (int)(left / 1000) + 1);
        if (ready > 0)
            return OK;
        if (ready < 0 && errno != EINTR)
            return fail_errno(err, "poll");
    }
}

/* Until the child closes its output, which it does at the latest when it ends. */
static enum status collect(int fd, const struct worker *worker, int64_t deadline, struct buf *out, struct error *err)
{
    char piece[4096];
    for (size_t total = 0;;) {
        TRY(wait_readable(fd, deadline, err));
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, "output of the worker");
        if (got == 0)
            return total ? OK : fail(err, UNAVAILABLE, NULL, "The worker ended without an answer");
        total += (size_t)got;
        if (total > worker->output_limit)
            return fail(err, TOO_LARGE, NULL, "The worker said more than %zu bytes and was stopped",
                        worker->output_limit);
        buf_add(out, piece, (size_t)got);
    }
}

static int64_t microseconds(struct timeval time)
{
    return time.tv_sec * SECOND_US + time.tv_usec;
}

/* Killed also after a good answer: it has nothing left to do, and this way the wait below is short. Returns its processor time. */
static int64_t stop(pid_t pid)
{
    struct rusage used = {0};
    kill(pid, SIGKILL);
    while (wait4(pid, NULL, 0, &used) < 0 && errno == EINTR)
        ;
    return microseconds(used.ru_utime) + microseconds(used.ru_stime);
}

enum status worker_run(const struct worker *worker, struct str input, struct buf *out, struct error *err)
{
    auto_fd int output = -1;
    pid_t pid;
    size_t before = out->len;
    int64_t deadline = monotonic_us() + worker->deadline_us;
    TRY(start(worker, input, &output, &pid, err));
    enum status status = collect(output, worker, deadline, out, err);
    int64_t spent = stop(pid);
    if (worker->spent_us)
        *worker->spent_us += spent;
    if (status != OK)
        out->len = before;
    return status;
}

/* The child may be in the hands of whoever wrote its input: only the known members of its answer go on. */
static enum status check_summary(struct str answer, struct buf *out, struct error *err)
{
    auto_json json_t *root = NULL;
    const char *dtype;
    json_t *count;
    TRY(json_read(answer, OUTPUT_LIMIT, &root, err));
    struct str error = json_get_str(root, "error");
    if (!str_given(error) && !json_is_object(json_object_get(root, "parameters")))
        return fail(err, UNAVAILABLE, NULL, "The worker gave no answer that makes sense");
    struct json_writer w = jw_to(out);
    jw_object(&w);
    if (str_given(error)) {
        jw_key_str(&w, "error", error);
        jw_end(&w);
        return OK;
    }
    jw_key(&w, "parameters");
    jw_object(&w);
    json_object_foreach(json_object_get(root, "parameters"), dtype, count)
        jw_key_int(&w, dtype, json_integer_value(count));
    jw_end(&w);
    jw_key_int(&w, "total", json_get_int(root, "total", 0));
    jw_key_int(&w, "tensors", json_get_int(root, "tensors", 0));
    jw_end(&w);
    return OK;
}

/* Has the header looked at by a child that does task, and appends its answer. */
static enum status ask_child(const char *task, int64_t deadline_us, size_t output_limit, struct str header,
                             struct buf *answer, int64_t *spent_us, struct error *err)
{
    const char *const argv[] = {"cairn", "worker", task, NULL};
    const struct worker worker = {"/proc/self/exe", argv, deadline_us, output_limit, spent_us};
    /* A program that does not hand "worker" to worker_main(), a test say, would start itself again and again. */
    if (getenv(WORKER_MARK))
        return fail(err, UNAVAILABLE, NULL, "A worker starts no workers");
    if (header.len > SAFETENSORS_HEADER_LIMIT)
        return fail(err, TOO_LARGE, NULL, "The header has %zu bytes; at most %d are accepted", header.len,
                    SAFETENSORS_HEADER_LIMIT);
    return worker_run(&worker, header, answer, err);
}

enum status scan_safetensors(struct str header, struct buf *out_json, int64_t *spent_us, struct error *err)
{
    auto_buf struct buf answer = {0};
    TRY(ask_child("safetensors", DEADLINE, OUTPUT_LIMIT, header, &answer, spent_us, err));
    return check_summary(buf_view(&answer), out_json, err);
}

enum status scan_tensors(struct str header, struct arena *arena, struct tensor_list *out, int64_t *spent_us,
                         struct error *err)
{
    auto_buf struct buf answer = {0};
    TRY(ask_child("tensors", DEADLINE_OF_JOBS, TENSOR_TABLE_MOST + 1, header, &answer, spent_us, err));
    return tensor_table_read(arena, buf_view(&answer), out, err);
}

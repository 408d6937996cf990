/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The child's side of the wall: into the sandbox first, then the foreign bytes. */
#include "base/file.h"
#include "base/json.h"
#include "scan/safetensors.h"
#include "scan/sandbox.h"
#include "scan/table.h"
#include "scan/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_PIECE (256 << 10)
#define MIB ((size_t)1 << 20)

/* One byte more than the limit tells an input that is too long. */
static enum status read_input(size_t limit, struct buf *in, struct error *err)
{
    for (;;) {
        buf_reserve(in, READ_PIECE);
        ssize_t got = read(STDIN_FILENO, in->data + in->len, READ_PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, "read");
        in->len += (size_t)got;
        if (got == 0 || in->len > limit)
            return OK;
    }
}

static void write_error(struct buf *out, const char *message)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key_str(&w, "error", str_of(message));
    jw_end(&w);
}

static int run_safetensors(void)
{
    auto_buf struct buf in = {0}, out = {0};
    struct error err;
    if (read_input(SAFETENSORS_HEADER_LIMIT, &in, &err) != OK)
        return 1;
    if (safetensors_summary(buf_view(&in), &out, &err) != OK)
        write_error(&out, err.message);
    return write_full(STDOUT_FILENO, out.data, out.len, &err) != OK;
}

static int run_tensors(void)
{
    auto_buf struct buf in = {0}, out = {0};
    struct error err;
    if (read_input(SAFETENSORS_HEADER_LIMIT, &in, &err) != OK)
        return 1;
    tensor_table_write(buf_view(&in), &out);
    return write_full(STDOUT_FILENO, out.data, out.len, &err) != OK;
}

/* Each probe ends well only when the sandbox failed to stop it. */
static int probe_nothing(void)
{
    return write_full(STDOUT_FILENO, "alive", 5, NULL) != OK;
}
static int probe_open(void)
{
    return open("/dev/null", O_RDONLY) < 0;
}
static int probe_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}
static int probe_fork(void)
{
    return fork() < 0;
}
static int probe_kill(void)
{
    return kill(getppid(), 0);
}
static int probe_read(void)
{
    return read(STDOUT_FILENO, &(char){0}, 1) < 0;
}
static int probe_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

/* Summaries are made for each upload, several at a time; tables of tensors one after the other, and of all that there
 * are. */
static const struct {
    const char *name;
    int (*run)(void);
    size_t memory; /* bytes */
} tasks[] = {
    {"safetensors", run_safetensors, 256 * MIB}, {"tensors", run_tensors, 512 * MIB},
    {"probe-nothing", probe_nothing, 256 * MIB}, {"probe-open", probe_open, 256 * MIB},
    {"probe-socket", probe_socket, 256 * MIB},   {"probe-fork", probe_fork, 256 * MIB},
    {"probe-kill", probe_kill, 256 * MIB},       {"probe-read", probe_read, 256 * MIB},
    {"probe-code", probe_code, 256 * MIB},
};

int worker_main(int argc, char **argv)
{
    struct error err;
    size_t task = 0;
    while (task < sizeof tasks / sizeof *tasks && (argc != 2 || strcmp(argv[1], tasks[task].name) != 0))
        task++;
    if (task == sizeof tasks / sizeof *tasks)
        return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    json_object_seed(0); /* reads /dev/urandom, which is out of reach later */
    if (sandbox_enter(tasks[task].memory, &err) != OK) {
        fprintf(stderr, "cairn worker: %s\n", err.message);
        return 1;
    }
    _exit(tasks[task]
              .run()); /* not exit(): whatever others registered to run at the end may call what is forbidden now */
}

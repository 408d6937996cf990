/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The side that asks the signer. */
#include "base/file.h"
#include "ledger/internal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nothing of the hub goes over but the socket and standard error: no other files, no environment, no signals held back.
 */
static int spawn(const char *program, const char *folder, int socket, pid_t *pid)
{
    const char *const argv[] = {program, "signer", folder, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int failed = posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawn(pid, program, &actions, &attributes, (char *const *)argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum status signing_start(struct signing *signing, const char *program, const char *folder, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return fail_errno(err, "socketpair");
    auto_fd int ours = ends[0], theirs = ends[1];
    int failed = spawn(program, folder, theirs, &signing->pid);
    if (failed)
        return fail(err, UNAVAILABLE, NULL, "The log's signer %s cannot be started: %s.", program,
                    strerrordesc_np(failed));
    signing->socket = ours;
    ours = -1;
    return OK;
}

void signing_stop(struct signing *signing)
{
    if (signing->socket < 0)
        return;
    fd_close(&signing->socket);
    while (waitpid(signing->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static enum status ask(struct signing *signing, const struct buf *question, char *answer, size_t *len,
                       struct error *err)
{
    ssize_t got;
    do
        got = send(signing->socket, question->data, question->len, MSG_NOSIGNAL);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        do
            got = recv(signing->socket, answer, SIGNER_PACKET_MOST, 0);
        while (got < 0 && errno == EINTR);
    if (got < 2)
        return fail(err, UNAVAILABLE, NULL,
                    "The log's signer has ended, so nothing can be added to the log until it is opened "
                    "again.");
    if (answer[0] != SIGNER_DONE)
        return fail(err, answer[1] > OK && answer[1] <= NO_SPACE ? (enum status)answer[1] : INTERNAL, NULL, "%.*s",
                    (int)got - 2, answer + 2);
    *len = (size_t)got;
    return OK;
}

enum status signing_open(struct signing *signing, struct str origin, struct signed_tree *last, struct buf *vkey,
                         struct error *err)
{
    auto_buf struct buf question = {0};
    char answer[SIGNER_PACKET_MOST];
    uint64_t size;
    size_t len, head = 1 + sizeof size + SHA256_SIZE;
    buf_byte(&question, SIGNER_OPEN);
    buf_str(&question, origin);
    TRY(ask(signing, &question, answer, &len, err));
    if (len < head)
        return fail(err, INTERNAL, NULL, "The log's signer is not of this version.");
    memcpy(&size, answer + 1, sizeof size);
    last->size = be64toh(size);
    memcpy(last->root.bytes, answer + 1 + sizeof size, SHA256_SIZE);
    buf_add(vkey, answer + head, len - head);
    return OK;
}

enum status signing_sign(struct signing *signing, struct str text, const struct tlog_path *proof, struct buf *line,
                         struct error *err)
{
    auto_buf struct buf question = {0};
    char answer[SIGNER_PACKET_MOST];
    size_t len;
    buf_byte(&question, SIGNER_SIGN);
    buf_byte(&question, (char)proof->count);
    buf_add(&question, proof->hashes, proof->count * SHA256_SIZE);
    buf_str(&question, text);
    TRY(ask(signing, &question, answer, &len, err));
    buf_add(line, answer + 1, len - 1);
    return OK;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Preloaded into a hub: sockets and files give and take fewer bytes at once than was asked for, as they may (recv(2), pread(2), sendfile(2)),
 * now one, now some, now all. Nothing may depend on where they cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static _Thread_local uint64_t state;

static uint64_t dice(void)
{
    if (!state)
        state = (uint64_t)(uintptr_t)&state ^ (uint64_t)getpid() << 32 ^ 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t chop(size_t len)
{
    size_t most = (size_t[]){1, 16, 1500, 65536, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}[dice() % 8];
    return len < 2 ? len : 1 + dice() % (len < most ? len : most);
}

#define NEXT(type, name, ...)                                                                                          \
    static type (*next)(__VA_ARGS__);                                                                                  \
    if (!next)                                                                                                         \
    next = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t recv(int fd, void *into, size_t len, int flags)
{
    int type = 0;
    socklen_t size = sizeof type;
    NEXT(ssize_t, "recv", int, void *, size_t, int);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return next(fd, into, type == SOCK_STREAM ? chop(len) : len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(ssize_t, "sendmsg", int, const struct msghdr *, int);
    struct msghdr less = *message;
    struct iovec first;
    if (message->msg_control || message->msg_iovlen == 0 || message->msg_iov[0].iov_len == 0)
        return next(fd, message, flags);
    first = (struct iovec){message->msg_iov[0].iov_base, chop(message->msg_iov[0].iov_len)};
    less.msg_iov = &first;
    less.msg_iovlen = 1;
    return next(fd, &less, flags);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t len)
{
    NEXT(ssize_t, "sendfile", int, int, off_t *, size_t);
    return next(to, from, offset, chop(len));
}

ssize_t pread(int fd, void *into, size_t len, off_t offset)
{
    NEXT(ssize_t, "pread", int, void *, size_t, off_t);
    return next(fd, into, chop(len), offset);
}

ssize_t pwrite(int fd, const void *from, size_t len, off_t offset)
{
    NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return next(fd, from, chop(len), offset);
}

/* The program is built for large files: these are the names that it calls. */
ssize_t sendfile64(int, int, off_t *, size_t) __attribute__((alias("sendfile")));
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "base/file.h"

#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_PIECE ((size_t)64 * 1024)

void fd_close(int *fd)
{
    int saved_errno = errno; /* cleanup must not hide why the function failed */
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved_errno;
}

void lock_close(int *fd)
{
    int saved_errno = errno;
    if (*fd >= 0)
        flock(*fd, LOCK_UN);
    errno = saved_errno;
    fd_close(fd);
}

enum status file_read_all(const char *path, size_t limit, struct buf *out, struct error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, path);
    size_t start = out->len;
    for (;;) {
        size_t room = limit - (out->len - start);
        size_t piece = room < READ_PIECE ? room + 1 : READ_PIECE; /* one byte more tells a file that is too long */
        buf_reserve(out, piece);
        ssize_t got = read(fd, out->data + out->len, piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || (size_t)got > room) {
            out->len = start;
            return got < 0 ? fail_errno(err, path)
                           : fail(err, TOO_LARGE, NULL, "%s: longer than %zu bytes", path, limit);
        }
        if (got == 0)
            return OK;
        out->len += (size_t)got;
    }
}

enum status write_full(int fd, const void *data, size_t len, struct error *err)
{
    for (const char *at = data; len;) {
        ssize_t wrote = write(fd, at, len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return fail_errno(err, "write");
        at += wrote;
        len -= (size_t)wrote;
    }
    return OK;
}

enum status pwrite_full(int fd, const void *data, size_t len, int64_t offset, struct error *err)
{
    for (const char *at = data; len;) {
        ssize_t wrote = pwrite(fd, at, len, offset);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return fail_errno(err, "write");
        at += wrote;
        offset += wrote;
        len -= (size_t)wrote;
    }
    return OK;
}

enum status pread_most(int fd, void *data, size_t len, int64_t offset, size_t *got, struct error *err)
{
    for (*got = 0; *got < len;) {
        ssize_t count = pread(fd, (char *)data + *got, len - *got, offset + (int64_t)*got);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail_errno(err, "read");
        if (count == 0)
            return OK;
        *got += (size_t)count;
    }
    return OK;
}

enum status pread_full(int fd, void *data, size_t len, int64_t offset, struct error *err)
{
    size_t got;
    TRY(pread_most(fd, data, len, offset, &got, err));
    if (got == len)
        return OK;
    return fail(err, CORRUPT, NULL, "a stored file ends at byte %lld, %zu bytes too early",
                (long long)offset + (long long)got, len - got);
}

static enum status write_and_sync(int fd, struct str content, unsigned mode, struct error *err)
{
    if (fchmod(fd, mode))
        return fail_errno(err, "fchmod");
    TRY(write_full(fd, content.data, content.len, err));
    return fsync(fd) ? fail_errno(err, "fsync") : OK;
}

static enum status sync_parent(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return folder_sync(".", err);
    auto_arena struct arena arena = {0};
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    return folder_sync(arena_cstr(&arena, (struct str){path, len}), err);
}

enum status file_write_durable(const char *path, struct str content, unsigned mode, struct error *err)
{
    auto_arena struct arena arena = {0};
    char *temporary = arena_cstr(&arena, arena_printf(&arena, "%s.XXXXXX", path));
    auto_fd int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, path);
    enum status status = write_and_sync(fd, content, mode, err);
    if (status == OK && rename(temporary, path))
        status = fail_errno(err, path);
    if (status != OK) {
        unlink(temporary);
        return status;
    }
    return sync_parent(path, err);
}

static enum status folder_make_one(const char *path, unsigned mode, struct error *err)
{
    if (mkdir(path, mode) == 0)
        return OK;
    int why = errno; /* EEXIST, but also EROFS or EACCES, may come for a folder that is there already */
    struct stat found;
    if (stat(path, &found) == 0 && S_ISDIR(found.st_mode))
        return OK;
    errno = why;
    return fail_errno(err, path);
}

enum status folder_make(const char *path, unsigned mode, struct error *err)
{
    auto_arena struct arena arena = {0};
    char *copy = arena_cstr(&arena, str_of(path));
    for (char *at = copy; *at; at++) {
        if (*at != '/' || at == copy)
            continue;
        *at = '\0';
        TRY(folder_make_one(copy, mode, err));
        *at = '/';
    }
    return folder_make_one(copy, mode, err);
}

enum status folder_sync(const char *path, struct error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return fail_errno(err, path);
    return OK;
}

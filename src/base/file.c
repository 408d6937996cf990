/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

enum status file_read_all(const char *path, size_t limit, struct buf *out, struct error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, path);
    for (;;) {
        buf_reserve(out, 64 << 10);
        ssize_t got = read(fd, out->data + out->len, 64 << 10);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, path);
        if (got == 0)
            return OK;
        out->len += (size_t)got;
        if (out->len > limit)
            return fail(err, TOO_LARGE, NULL, "%s is over %zu bytes", path, limit);
    }
}

enum status write_full(int fd, const void *data, size_t len, struct error *err)
{
    for (const char *at = data; len > 0;) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno(err, "write");
        at += put;
        len -= (size_t)put;
    }
    return OK;
}

enum status pwrite_full(int fd, const void *data, size_t len, int64_t offset, struct error *err)
{
    for (const char *at = data; len > 0;) {
        ssize_t put = pwrite(fd, at, len, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno(err, "write");
        at += put;
        len -= (size_t)put;
        offset += put;
    }
    return OK;
}

enum status pread_full(int fd, void *data, size_t len, int64_t offset, struct error *err)
{
    for (char *at = data; len > 0;) {
        ssize_t got = pread(fd, at, len, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(err, "read");
        if (got == 0)
            return fail(err, CORRUPT, NULL, "A stored file is shorter than it must be.");
        at += got;
        len -= (size_t)got;
        offset += got;
    }
    return OK;
}

enum status folder_make(const char *path, unsigned mode, struct error *err)
{
    char partial[4096];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof partial)
        return fail(err, INVALID, NULL, "The folder's name is empty or too long.");
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, mode) != 0 && errno != EEXIST)
            return fail_errno(err, partial);
    }
    struct stat info;
    if (stat(path, &info) != 0)
        return fail_errno(err, path);
    return S_ISDIR(info.st_mode) ? OK : fail(err, CONFLICT, NULL, "%s is not a folder", path);
}

enum status folder_sync(const char *path, struct error *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? OK : fail_errno(err, path);
}

static enum status write_and_sync(const char *path, struct str content, unsigned mode, struct error *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return fail_errno(err, path);
    TRY(write_full(fd, content.data, content.len, err));
    return fsync(fd) == 0 ? OK : fail_errno(err, path);
}

static enum status sync_parent(const char *path, struct error *err)
{
    char folder[4096] = ".";
    const char *slash = strrchr(path, '/');
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return folder_sync(folder, err);
}

enum status file_write_durable(const char *path, struct str content, unsigned mode, struct error *err)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.%ld.new", path, (long)getpid()) >= sizeof temporary)
        return fail(err, INVALID, NULL, "The file's name is too long.");
    enum status status = write_and_sync(temporary, content, mode, err);
    if (status == OK && rename(temporary, path) != 0)
        status = fail_errno(err, path);
    if (status != OK) {
        unlink(temporary);
        return status;
    }
    return sync_parent(path, err);
}

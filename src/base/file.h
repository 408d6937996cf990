/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_FILE_H
#define CAIRN_BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

#define auto_fd __attribute__((cleanup(fd_close)))
void fd_close(int *fd); /* closes and sets to -1; nothing when negative */
/* The same for a file that is locked by flock(): gives the lock back at once. close() alone does not while a child that is just being
 * started has the file, too. */
void lock_close(int *fd);
#define auto_lock __attribute__((cleanup(lock_close)))

enum status file_read_all(const char *path, size_t limit, struct buf *out, struct error *err);
/* Replaces path as a whole: temporary file, fsync, rename, fsync of the folder. */
enum status file_write_durable(const char *path, struct str content, unsigned mode, struct error *err);
enum status write_full(int fd, const void *data, size_t len, struct error *err);
enum status pwrite_full(int fd, const void *data, size_t len, int64_t offset, struct error *err);
/* Reads exactly len bytes at offset; CORRUPT when the file is shorter. */
enum status pread_full(int fd, void *data, size_t len, int64_t offset, struct error *err);
/* As many as there are, up to len: *got. One pread() may give fewer than that. */
enum status pread_most(int fd, void *data, size_t len, int64_t offset, size_t *got, struct error *err);
enum status folder_make(const char *path, unsigned mode, struct error *err); /* with parents; fine when it exists */
enum status folder_sync(const char *path, struct error *err);                /* makes renames in it durable */

#endif

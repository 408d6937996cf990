/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LEDGER_FAULTS_H
#define CAIRN_LEDGER_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The calls that write to disk or to the other process, in place of the C library's: each is a step, and at one step of
 * one process there is a fault. A write that is killed has been done by half.
 */
enum fault { FAULT_NONE, FAULT_KILL, FAULT_FAIL };

static struct {
    enum fault kind;
    long at, steps; /* the step to fail at, from 1; those so far */
} faults;

static void fault_arm(enum fault kind, long at)
{
    faults.at = at;
    faults.steps = 0;
    faults.kind = kind;
}

/* The signer takes its fault from a file beside the folder of the log: "kind at". */
__attribute__((unused)) static void fault_arm_signer(const char *folder)
{
    char path[512];
    int kind;
    long at;
    snprintf(path, sizeof path, "%s.fault", folder);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%d %ld", &kind, &at) == 2)
        fault_arm((enum fault)kind, at);
    if (file)
        fclose(file);
}

__attribute__((unused)) static void fault_tell_signer(const char *folder, enum fault kind, long at)
{
    char path[512];
    snprintf(path, sizeof path, "%s.fault", folder);
    FILE *file = fopen(path, "w");
    if (!file || fprintf(file, "%d %ld", (int)kind, at) < 0 || fclose(file))
        abort();
}

static bool fault_now(void)
{
    return faults.kind != FAULT_NONE && ++faults.steps == faults.at;
}

/* True when the call is to fail. */
static bool fault_step(void)
{
    if (!fault_now())
        return false;
    if (faults.kind == FAULT_KILL)
        kill(getpid(), SIGKILL);
    errno = EIO;
    return true;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    bool now = fault_now();
    if (now && faults.kind == FAULT_FAIL) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t wrote = syscall(SYS_pwrite64, fd, data, now ? len / 2 : len, offset);
    if (now)
        kill(getpid(), SIGKILL);
    return wrote;
}

ssize_t write(int fd, const void *data, size_t len)
{
    return fd > STDERR_FILENO && fault_step() ? -1 : syscall(SYS_write, fd, data, len);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return fault_step() ? -1 : syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

int fsync(int fd)
{
    return fault_step() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fault_step() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length)
{
    return fault_step() ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int rename(const char *from, const char *to)
{
    return fault_step() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return fault_step() ? -1 : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return fault_step() ? -1 : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scan/sandbox.h"
#include "base/file.h"
#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_LIMIT 5 /* seconds */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Landlock. */

/*
 * From the kernel's interface, as the system's headers may be older than the kernel. Each version of the interface
 * added rights; a kernel refuses those that it does not know.
 */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define RULESET_VERSION 1u

struct ruleset_attr {
    uint64_t files, network, scopes;
};

static uint64_t bits(unsigned count)
{
    return (UINT64_C(1) << count) - 1;
}

/* A rule set that handles all rights and grants none. */
static struct ruleset_attr no_rights(long version)
{
    return (struct ruleset_attr){
        .files = bits(version >= 5   ? 16
                      : version >= 3 ? 15
                      : version == 2 ? 14
                                     : 13),
        .network = version >= 4 ? bits(2) : 0,
        .scopes = version >= 6 ? bits(2) : 0,
    };
}

static enum status enter_landlock(struct error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
    if (version < 1)
        return OK; /* an old kernel, or one without it: seccomp alone forbids open and socket too */
    struct ruleset_attr attr = no_rights(version);
    size_t size = version >= 6 ? sizeof attr : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    auto_fd int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0))
        return fail_errno(err, "landlock");
    return OK;
}

/* Limits. */

static enum status limit(int resource, rlim_t most, struct error *err)
{
    struct rlimit value = {most, most};
    return setrlimit(resource, &value) ? fail_errno(err, "setrlimit") : OK;
}

static enum status enter_limits(size_t memory, struct error *err)
{
    if (!SANITIZED) /* sanitizers reserve terabytes of addresses */
        TRY(limit(RLIMIT_AS, memory, err));
    TRY(limit(RLIMIT_CPU, CPU_LIMIT, err));
    TRY(limit(RLIMIT_FSIZE, 0, err));
    TRY(limit(RLIMIT_CORE, 0, err));
    return limit(RLIMIT_NOFILE, 0, err); /* those that are open stay so */
}

/* Seccomp. */

/* sysinfo is what the C library's qsort() asks before it sorts much; it tells the machine's memory and load, nothing
 * more. */
static const int allowed[] = {
    SCMP_SYS(exit),          SCMP_SYS(exit_group),      SCMP_SYS(brk),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),          SCMP_SYS(madvise),
    SCMP_SYS(clock_gettime), SCMP_SYS(futex),           SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sysinfo),       SCMP_SYS(restart_syscall),
};

/* What sanitizers call on their own, to watch and to report. */
static const int allowed_sanitized[] = {
    SCMP_SYS(mprotect),  SCMP_SYS(sigaltstack),     SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(gettid),    SCMP_SYS(sched_yield),     SCMP_SYS(getpid),       SCMP_SYS(prctl),
    SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return failed;
}

static int add_rules(scmp_filter_ctx filter)
{
    int failed = allow_all(filter, allowed, sizeof allowed / sizeof *allowed);
    if (!failed && SANITIZED)
        failed = allow_all(filter, allowed_sanitized, sizeof allowed_sanitized / sizeof *allowed_sanitized);
    if (!failed)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, STDIN_FILENO));
    if (!failed)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO));
    if (!failed)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO));
    if (!failed) /* memory, but none that could become code */
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return failed;
}

static enum status enter_seccomp(struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return fail(err, INTERNAL, NULL, "seccomp: no filter");
    int failed = add_rules(filter);
    if (!failed)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return failed ? fail(err, INTERNAL, NULL, "seccomp: error %d", -failed) : OK;
}

enum status sandbox_enter(size_t memory, struct error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return fail_errno(err, "no_new_privs");
    TRY(enter_landlock(err));
    TRY(enter_limits(memory, err));
    return enter_seccomp(err);
}

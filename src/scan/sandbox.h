/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_SANDBOX_H
#define CAIRN_SCAN_SANDBOX_H

#include "base/error.h"
#include <stddef.h>

/*
 * Gives up, for good and for the whole process, all that a parser does not need: small limits of memory (bytes of
 * address space) and time, no file system and network (Landlock, as far as the kernel has it), and a list of system
 * calls beyond which the kernel kills the process: reading descriptor 0, writing 1 and 2, memory, time, exit. The
 * process must have one thread. An error means that the sandbox is not complete and nothing foreign may be read.
 */
enum status sandbox_enter(size_t memory, struct error *err);

#endif

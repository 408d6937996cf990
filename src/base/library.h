/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_LIBRARY_H
#define CAIRN_BASE_LIBRARY_H

#include "base/error.h"

/*
 * A library that is loaded when it is first wanted. For those that bring many others: every start of the program would
 * load them all, and each sandboxed worker would have them in its memory, for nothing.
 *
 * names: the functions that are wanted, and NULL; functions: where their addresses go, in the same order. UNAVAILABLE,
 * with the linker's reason, when the system does not have them. It is never unloaded.
 */
enum status library_load(const char *library, const char *const *names, void **functions, struct error *err);

#endif

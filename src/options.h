/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OPTIONS_H
#define CAIRN_OPTIONS_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A flag with a value. Its environment variable is its name in capitals behind CAIRN_: --public-url is
 * CAIRN_PUBLIC_URL. */
struct option_spec {
    const char *name;   /* without the dashes */
    const char **value; /* set when the flag or the variable is there; keeps its default otherwise */
};

/*
 * Reads "--name value" and "--name=value" anywhere after argv[0]; what is left over goes to rest (as many as
 * rest_most), in order. INVALID names an unknown flag, a missing value, or too many words.
 */
enum status options_read(int argc, char **argv, const struct option_spec *specs, size_t count, const char **rest,
                         size_t rest_most, size_t *rest_count, struct error *err);

/* Takes a flag without a value out of the words, before options_read() sees them. */
bool flag_take(int *argc, char **argv, const char *flag);

#define SIZE_TEXT 16
void size_text(int64_t bytes, char out[SIZE_TEXT]); /* "1.5 GiB" */

#endif

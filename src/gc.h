/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GC_H
#define CAIRN_GC_H

#include "db/db.h"

/* cairn gc. Returns an exit status and works while the server runs. */
int gc_main(int argc, char **argv);

/* What it shares with cairn du. */

struct store;

/* Takes a flag without a value out of the words, before options_read() sees them. */
bool flag_take(int *argc, char **argv, const char *flag);
/* Opens a data folder for a command; what was opened is for the caller to close, also after a failure. */
enum status data_open(const char *data, struct db **db, struct store **store, struct error *err);

#define SIZE_TEXT 16
void size_text(int64_t bytes, char out[SIZE_TEXT]); /* "1.5 GiB" */

#endif

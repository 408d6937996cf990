/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MODULES_H
#define CAIRN_MODULES_H

#include "db/db.h"

/*
 * Opens a data folder: makes it (0700) when it is missing, opens or creates its database, and runs the migrations of
 * all parts. Several processes may have one folder open: the server and the command line.
 */
enum status hub_data_open(const char *dir, struct db **out, struct error *err);

/* The same with its store. What was opened is for the caller to close, also after a failure. */
struct store;
enum status hub_store_open(const char *dir, struct db **db, struct store **store, struct error *err);

/* One server a folder: UNAVAILABLE when there is one. The folder is taken until *fd is closed. */
enum status hub_data_lock(const char *dir, int *fd, struct error *err);

#endif

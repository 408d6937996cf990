/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MODULES_H
#define CAIRN_MODULES_H

#include "db/db.h"

/*
 * Opens a data folder: makes it (0700) when it is missing, opens or creates its database, and runs the migrations of
 * all parts. Several processes may have one folder open: the server and the command line.
 */
enum status hub_data_open(const char *dir, struct db **out, struct error *err);

#endif

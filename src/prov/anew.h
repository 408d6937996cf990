/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PROV_ANEW_H
#define CAIRN_PROV_ANEW_H

#include "prov/chain.h"

/* Beginning a new log, when the old one cannot go on. */

enum status prov_any_leaf(struct db_conn *conn, bool *any, struct error *err);

/*
 * Lays aside what the database knows of the log so far, and appends the epoch with which the next one
 * begins. Repos keep their ids in the log; their chains begin anew. The call can be made again after a crash; then the epoch is
 * there twice.
 */
enum status prov_begin_anew(struct db *db, const struct prov_epoch *epoch, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_ERASE_H
#define CAIRN_ATTEST_ERASE_H

#include "db/db.h"

/* Forgetting a person, as far as signatures go (provenance 3.4). */

/* Revokes the person's signing keys, each with its event. */
enum status attest_close(struct db *db, int64_t account_id, struct error *err);

#endif

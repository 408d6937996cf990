/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_INTERNAL_H
#define CAIRN_ACCESS_INTERNAL_H

#include "access/access.h"

/* The part of the decision that is about bytes alone: holds and gates. answer is filled on OK. is_board: a hub
 * administrator with a key of that role. */
enum status access_bytes(struct db_conn *conn, const struct actor *actor, const struct access_object *object,
                         bool is_board, struct access_answer *answer, struct error *err);

#endif

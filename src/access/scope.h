/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ACCESS_SCOPE_H
#define CAIRN_ACCESS_SCOPE_H

#include "access/access.h"

/* What the door asks first: does the limit of the actor's key leave the question open (OK), or settle it with a refusal? */
enum status access_scope(struct db_conn *conn, const struct actor *actor, enum action action,
                         const struct access_object *object, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_HANDLERS_H
#define CAIRN_SIGNIN_HANDLERS_H

#include "router/request.h"

/* What the files of this folder share; nobody else includes it. */

/* keys.c */
route_handler keys_get, key_post, key_rotate_post, key_delete;
/* key_notice.c: tells holders a week and a day before a key ends. A job. */
enum status key_notices(struct hub *hub, struct error *err);

/* INVALID naming the first member of the body that is not among names, which ends with NULL. */
enum status body_members(const json_t *body, const char *const *names, struct error *err);

#endif

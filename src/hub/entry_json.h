/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_ENTRY_JSON_H
#define CAIRN_HUB_ENTRY_JSON_H

#include "repo/tree.h"
#include "router/request.h"

/* One entry of rq's repo as tree and paths-info show it (hub-protocol 1.5). expand adds lastCommit. */
enum status entry_write(struct request *rq, struct json_writer *w, const struct entry *entry, bool expand,
                        struct error *err);

#endif

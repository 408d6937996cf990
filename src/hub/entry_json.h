/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_ENTRY_JSON_H
#define CAIRN_HUB_ENTRY_JSON_H

#include "base/json.h"
#include "repo/tree.h"

/* One entry as tree and paths-info show it (hub-protocol 1.5). expand adds lastCommit. */
void entry_write(struct json_writer *w, struct arena *arena, const struct entry *entry, bool expand);

#endif

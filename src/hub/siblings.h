/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_SIBLINGS_H
#define CAIRN_HUB_SIBLINGS_H

#include "router/request.h"

/*
 * Writes the list of all files of a commit as info has it (hub-protocol 1.3), with sizes and ids when blobs is set.
 * Lists of names are remembered: a commit never changes, and clients ask for the info of the same few commits all the
 * time.
 */
enum status siblings_write(struct request *rq, struct json_writer *w, int64_t repo_id, const struct oid *commit,
                           bool blobs, struct error *err);

#endif

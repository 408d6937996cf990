/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_INFO_H
#define CAIRN_HUB_INFO_H

#include "hub/summary.h"

/* Which fields of a repo's info an answer has (hub-protocol 1.3). */
struct info_fields {
    uint64_t set; /* bits of the table in info.c */
    bool expand;  /* asked for by name: only _id, id and these */
    bool blobs;   /* siblings with sizes and ids */
};

/* Reads expand, blobs and so on from the query. INVALID names the allowed values of expand. list: the shorter default
 * of listings. */
enum status info_fields_read(struct request *rq, enum repo_kind kind, bool list, struct info_fields *out,
                             struct error *err);

/* Whether the answer has the field of that name. */
bool info_fields_have(const struct info_fields *fields, const char *name);

/* Writes one repo. revision NULL means main. */
enum status info_write(struct request *rq, struct json_writer *w, const struct repo *repo,
                       const struct revision *revision, const struct info_fields *fields, struct error *err);

#endif

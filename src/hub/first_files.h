/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_FIRST_FILES_H
#define CAIRN_HUB_FIRST_FILES_H

#include "hub/commit_line.h"
#include "router/request.h"

/* What the JavaScript client may send along when it makes a repo: "files" and a "license" (hub-protocol 1.2). */
struct first_file {
    struct str path, content; /* in the arena */
};
struct first_files {
    struct first_file *files;
    size_t count;
};

/*
 * Reads them from the body, before there is a repo: INVALID or UNPROCESSABLE when they cannot be. A license becomes the
 * card of a README.md, unless files has one or the repo is a space, whose README.md stands already.
 */
enum status first_files_read(struct arena *arena, const json_t *body, enum repo_kind kind, struct first_files *out,
                             struct error *err);

/* Commits them on top of the first commit of a repo just made, which rq->repo becomes. Nothing when there are none. */
enum status first_files_commit(struct request *rq, const struct repo *made, const struct first_files *first,
                               struct error *err);

#endif

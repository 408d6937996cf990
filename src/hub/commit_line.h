/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_COMMIT_LINE_H
#define CAIRN_HUB_COMMIT_LINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

#define REGULAR_FILE_LIMIT (16 << 20)                               /* bytes of a file that travels inside a commit */
#define COMMIT_LINE_LIMIT (REGULAR_FILE_LIMIT / 3 * 4 + (64 << 10)) /* the same as base64, and its wrapping */

#define MESSAGE_LIMIT (64 << 10) /* bytes of what a commit says; a page of history holds a thousand of them */

/* One line of the NDJSON body of a commit (hub-protocol 1.6). Clients send copies as file or lfsFile (1.7). */
enum commit_line_kind { LINE_HEADER, LINE_FILE, LINE_LFS_FILE, LINE_DELETED_FILE, LINE_DELETED_FOLDER };

struct commit_line {
    enum commit_line_kind kind;
    /* header */
    struct str summary, description;
    struct str parent_commit; /* 5 to 40 hex digits, or absent */
    /* the others; checked by path_check(), no slash at the end */
    struct str path;
    struct str old_path; /* file: what it is renamed from, or absent */
    /* lfsFile */
    uint8_t sha256[SHA256_SIZE];
    int64_t size; /* -1 when not said: a copy on the server */
};

/*
 * Parses one line. Strings live in arena; a file's bytes are put into content (emptied first). INVALID names what is
 * wrong; UNPROCESSABLE is a path that cannot be.
 */
enum status commit_line_parse(struct arena *arena, struct str line, struct commit_line *out, struct buf *content,
                              struct error *err);
/* The value of a line "file" alone: {"path", "content", "encoding"}. */
enum status commit_line_file(struct arena *arena, const json_t *value, struct commit_line *out, struct buf *content,
                             struct error *err);

#endif

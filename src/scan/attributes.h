/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_ATTRIBUTES_H
#define CAIRN_SCAN_ATTRIBUTES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/*
 * The root .gitattributes and .gitignore of a repo, read once and asked many times. Both follow git (gitattributes(5),
 * gitignore(5)), whose own answers are the tests. Paths are repo-relative, through path_check(), and name files.
 *
 * The limits of both: beyond them, TOO_LARGE.
 */
#define RULES_TEXT_LIMIT (1 << 20) /* bytes */
#define RULES_LIMIT 10000          /* rules that are kept; comments and other attributes do not count */

/* Of .gitattributes only what it says about "filter" is kept. Macros are ignored, and so are lines that git ignores. */
struct attributes;
/* An absent or empty text has no rules. The result lives in the arena and does not need text any more. */
enum status attributes_parse(struct arena *arena, struct str text, struct attributes **out, struct error *err);
/* Whether the last rule that matches path and mentions the filter sets it to lfs. */
bool attributes_is_lfs(const struct attributes *attributes, struct str path);

/* Appends to the text of a .gitattributes a rule that makes exactly this path a large file. */
void attributes_append_lfs(struct buf *text, struct str path);
/* The same for one path: the whole new text, in the arena. For many paths append to one buffer. */
struct str attributes_add_lfs(struct arena *arena, struct str text, struct str path);

struct ignore;
enum status ignore_parse(struct arena *arena, struct str text, struct ignore **out, struct error *err);
/* True when path, or a folder that it is in, is excluded; what is in an excluded folder cannot be included again. */
bool ignore_matches(const struct ignore *ignore, struct str path);

#endif

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_BASE_PATH_H
#define CAIRN_BASE_PATH_H

#include "base/error.h"
#include "base/str.h"

#define PATH_LIMIT 1024     /* bytes of a whole repo-relative path */
#define PATH_NAME_LIMIT 255 /* bytes of one name in it */

/*
 * Accepts a repo-relative file path in the form that git can store and every client can check out: UTF-8, no NUL or
 * control characters, no empty, "." or ".." names, nothing that a file system would fold to ".git" (git's own rules for
 * HFS and NTFS), no backslash, no leading or trailing slash. UNPROCESSABLE with the reason otherwise
 * (hub-protocol 1.6).
 */
enum status path_check(struct str path, struct error *err);

/* A branch or tag name by git-check-ref-format(1), at most 255 bytes. INVALID otherwise. */
enum status ref_name_check(struct str name, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SCAN_PATTERN_H
#define CAIRN_SCAN_PATTERN_H

#include "base/arena.h"

/*
 * One path pattern as .gitattributes and .gitignore share it (gitignore(5), "PATTERN FORMAT"), taken apart once so that
 * most paths are refused by comparing bytes.
 */
struct pattern {
    struct str text;   /* without the slashes that only say how to match; unescaped when it is_literal */
    size_t head, tail; /* bytes at its ends that stand for themselves */
    bool is_literal;
    bool any_folder;  /* has no slash inside: matches the last name of a path */
    bool folder_only; /* ended in a slash */
};

/* text without a leading '!'. False for what can never match. */
bool pattern_parse(struct arena *arena, struct str text, struct pattern *out);

/*
 * Matching is bounded, as both patterns and paths come from outside: each look at a path has so many steps, counted in
 * bytes of pattern times bytes of path. Real files of rules need a thousandth of it; when it is used up, nothing
 * matches any more.
 */
#define PATTERN_STEPS (4 << 20)
bool pattern_matches(const struct pattern *pattern, struct str path, bool is_folder, size_t *steps);

#endif

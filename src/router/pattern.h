/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_PATTERN_H
#define CAIRN_ROUTER_PATTERN_H

#include "base/arena.h"
#include "repo/repo.h"

#define PATTERN_PARAMS 6

/* What a pattern (module.h) found in a path. */
struct pattern_match {
    bool has_repo;
    enum repo_kind kind;
    struct str ns, name;         /* name absent: a one-segment id, which no repo has */
    size_t repo_start, repo_end; /* where ns/name stands in the path, for the redirect of a moved repo */
    struct str params[PATTERN_PARAMS];
};

/* Matches a raw path; segments are decoded after splitting. False also for a path with bad percent-encoding. */
bool pattern_match(struct arena *arena, const char *pattern, struct str path, struct pattern_match *out);

#endif

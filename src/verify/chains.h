/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_CHAINS_H
#define CAIRN_VERIFY_CHAINS_H

#include "leaf/heads.h"
#include "leaf/leaf.h"
#include "verify/report.h"

/*
 * What the leaves of a log promise each other (provenance 3.3): that those of a repo follow on one another without a
 * gap, that a "repo-heads" leaf has the heads of all repos, and a "void" leaf names an earlier one. To be told all
 * leaves in order. Memory grows with the number of repos, not of leaves.
 */
struct chains;

struct chains *chains_new(void);
void chains_free(struct chains *chains);

/* The next leaf, of that index and leaf hash. False, with findings, when it breaks a promise. */
bool chains_add(struct chains *chains, uint64_t index, const struct leaf *leaf, const struct tlog_hash *hash,
                struct report *report);

struct chains_count {
    uint64_t repos, heads, voids;
};
struct chains_count chains_count(const struct chains *chains);

#endif

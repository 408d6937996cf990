/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_ROBUST_SUSPICION_H
#define CAIRN_ROBUST_SUSPICION_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Who spoils the sums that nobody looks into? Groups are drawn anew in each round, so that flags of groups are a group test of their members
 * (federated 2.6): each flag, and each that does not come, is evidence for or against each member, and evidence adds up.
 */
struct group_mark {
    double norm;     /* of the group's mean change */
    double distance; /* to the geometric median of all groups, in units of the median distance */
    double
        along; /* how far it goes the way of that median, in units of the median of it; 1 where they go no common way */
    bool flagged;
};

#define GROUPS_LEAST 3 /* of fewer none is flagged */
/* From the Gram matrix (count * count) of the groups' means: the same bits for the same matrix. */
void groups_mark(const double *gram, size_t count, struct group_mark *out);

/*
 * The Gram matrix of means of rows, from that of the rows (n * n). group_of: by row, below groups; each group has a row. out: groups * groups.
 */
void groups_gram(const double *gram, size_t n, const size_t *group_of, size_t groups, double *out);

/*
 * log P(mark | this member is bad) / P(mark | it is good), in a group of that size. Were the rates below those of a training, the evidence
 * against a good one would go beyond H, at any time, with probability exp(-H) at most.
 */
double group_evidence(bool flagged, size_t size);
#define GROUP_MISS 0.2         /* a group with a bad one is not flagged */
#define GROUP_FALSE_ALARM 0.05 /* one without is */
#define GROUP_PRIOR 0.1        /* another member is bad */

/* Evidence for somebody goes no further than that below zero: who has behaved well for long is not trusted for ever. */
double evidence_add(double score, double evidence, double threshold);

#endif

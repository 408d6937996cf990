/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_MERGE_EVIDENCE_H
#define CAIRN_HUB_MERGE_EVIDENCE_H

#include "repo/pull.h"
#include "router/request.h"

/*
 * What proves a merge into a protected branch: the hub's own signed statement that the commit has the approvals which
 * the branch's rule asks for, with the leaf of each (provenance 3.2). A SLSA verification summary in a DSSE envelope:
 *   subject            the commit, as gitCommit
 *   resourceUri        git+<address of the repo>@<branch>
 *   policy             the rule: sha256 is of {"approvals":n,"ref":"refs/heads/…","role":"…"}; n and the role stand
 *                      beside it as cairn_approvals and cairn_role
 *   inputAttestations  of each approval that counts: where its envelope is, its sha256, and cairn_leaf: the index of
 *                      its leaf in the log
 *   verifiedLevels     ["CAIRN_APPROVALS_n"], n of them
 */
enum status merge_evidence(struct request *rq, const struct merge *merge, struct str *envelope, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_ATTEST_H
#define CAIRN_ATTEST_ATTEST_H

#include "router/request.h"

/*
 * What people say of a commit, in words that they have signed: in-toto statements in DSSE envelopes (provenance 3.2).
 * Each is kept as evidence (evidence.h) and becomes a leaf of the log, which names the evidence by its hash. The hub
 * speaks for nobody: it takes a statement only from the person whose registered key (signer.h) has signed it.
 *
 * Kinds, by predicateType, with the members of the predicate (a question mark: may be absent):
 *   urn:cairn:approval:v1      decision: approve|reject|withdraw, branch?, repo?
 *   urn:cairn:deployment:v1    phase: start|heartbeat|stop, env (start): prod|staging|dev|edge, id (later ones),
 *                              region?: a country, hardware?: cpu|gpu|npu|tpu|other, runtime?, config?, tee?: SHA-256, approval?: index of
 *                              its leaf, repo?
 *   https://in-toto.io/attestation/release/v0.1 (or v0.2)
 *                              purl, with a version, channel?: alpha|beta|dev|preview|stable, supersedes?: index of its
 *                              leaf, packageId?
 *   https://in-toto.io/attestation/test-result/v0.1
 *                              result, configuration: what is called "suite", "data" or "harness" by its sha256
 *   urn:cairn:lineage:v1       parents: a list of {rel, digest: {dirHash1}, weight?: 0 to 10000}, by who may write here; or
 *                              confirms: evidence of such a statement, by who may write to a parent's repo; repo?
 * repo and packageId are the repo's id in the log: with one, a statement holds in that repo only.
 */
extern const struct module attest_module;

#define APPROVAL_PREDICATE "urn:cairn:approval:v1"
#define DEPLOYMENT_PREDICATE "urn:cairn:deployment:v1"
#define LINEAGE_PREDICATE "urn:cairn:lineage:v1"
#define RELEASE_PREDICATE "https://in-toto.io/attestation/release/v0.1"
#define RELEASE_PREDICATE_LATER "https://in-toto.io/attestation/release/v0.2"
#define TEST_RESULT_PREDICATE "https://in-toto.io/attestation/test-result/v0.1"

#define RELEASE_CHANNELS "alpha beta dev preview stable"
#define DEPLOYMENT_PLACES "dev edge prod staging"
#define DEPLOYMENT_HARDWARE "cpu gpu npu other tpu"

#endif

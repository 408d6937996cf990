/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PROV_LEAF_H
#define CAIRN_PROV_LEAF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"

/*
 * Leaves: the entries of the hub's transparency log (provenance 3.1, 3.2). A leaf is one JSON object in the one form
 * that RFC 8785 gives it, and says nothing about people but pseudonyms and commitments: no names, no paths, no free
 * text.
 *
 * Types and the members of their bodies (a question mark: may be absent):
 *   repo        op, approvals?, gated?, kind?, visibility?, xet?   of a repo
 *   commit      op, files?, force?, new?, old?, protected          of a repo: a ref moved
 *   manifest    bytes, dirHash1, files, omsRoot, omsRootAlt?, tensorRoot?
 *                                                                  of a repo: what a commit holds
 *   approval    decision, have, required, role, subject            of a repo: subject is the index of the commit's leaf
 *   release     channel, manifest, supersedes?                     of a repo: the latter two are indices of leaves
 *   evaluation  data?, harness?, metrics, suite?                   of a repo: digests
 *   lineage     grade, parent, rel?, weight?                       of a repo: parent is the dirHash1 of its manifest
 *   bom         digest, format                                     of a repo: SHA-256 of a bill of material
 *   deployment  approval?, config?, env, hardware?, id, manifest, phase, region?, runtime?, tee?
 *                                                                  of a repo: manifest is a dirHash1, region a country
 *   federated-round
 *               accepted, base, blake3?, mode, noise?, record, rejected, result, round, rule, run
 *                                                                  of a repo: base and result are digests of the model, blake3
 *                                                                  of the same bytes as result; noise in millionths of the bound
 *   access-decision
 *               basis, decision, expires?, policy?, role?          of either: role is what a member of an organisation may do
 *   key         digest, op, use                                    of the hub
 *   erasure     count, digest, reason                              of the hub: the digest hides which leaves
 *   void        index                                              of either: the change of that leaf was not made
 *   epoch       build, checkpoint, config?, policy?                of the hub
 *   repo-heads  count, covers, root                                of the hub
 * Leaves of other types are carried: what all types have in common is read, the body is left as it is.
 */
#define LEAF_MOST 4096
#define LEAF_REPO_SIZE 16
#define LEAF_ACTOR_SIZE 16
#define LEAF_LIST_MOST 8     /* subjects; commitments */
#define LEAF_MEMBERS_MOST 11 /* of the body of a type that is known */

/* How the hub knows that it was the actor. Only LEAF_HUB_ASSERTED needs no evidence. */
enum leaf_auth { LEAF_HUB_ASSERTED, LEAF_OIDC, LEAF_SSH, LEAF_TOKEN, LEAF_USER_SIGNED };

struct leaf_subject {
    struct str algorithm; /* gitCommit, gitTree, dirHash1, omsRoot or sha256 */
    struct str digest;    /* 40 hex digits for git's, 64 for the others */
};

struct leaf_commitment {
    struct str field; /* small letters */
    uint8_t digest[SHA256_SIZE];
};

struct leaf_value {
    bool given;
    int64_t number;  /* counts; flags as 0 and 1 */
    struct str text; /* words and hex */
};

/* {0} is an empty one, by the hub. Strings are views: of what the composer gave, or of the arena that it was read into.
 */
struct leaf {
    struct str type;
    int64_t at; /* seconds since 1970 by the hub's clock */
    bool of_repo;
    uint8_t repo[LEAF_REPO_SIZE];
    uint64_t rseq;                 /* counts the repo's leaves from 0 */
    uint8_t previous[SHA256_SIZE]; /* leaf hash of the repo's leaf before; zeros for the first */
    bool by_person;                /* otherwise by the hub itself */
    uint8_t actor[LEAF_ACTOR_SIZE];
    enum leaf_auth auth;
    struct leaf_subject subjects[LEAF_LIST_MOST];
    size_t subject_count;
    struct leaf_commitment commitments[LEAF_LIST_MOST]; /* sorted by field */
    size_t commitment_count;
    bool has_evidence;
    uint8_t evidence[SHA256_SIZE];
    struct leaf_value body[LEAF_MEMBERS_MOST]; /* of a known type: by leaf_set_ and leaf_get */
    struct str other_body;                     /* of another type: its JSON; absent otherwise */
};

/* Composing. The type must be set, and have a member of that name (asserted). An absent text leaves the member out. */
void leaf_set_text(struct leaf *leaf, const char *member, struct str text);
void leaf_set_number(struct leaf *leaf, const char *member, int64_t number); /* a flag: 0 or 1 */
void leaf_add_subject(struct leaf *leaf, const char *algorithm, struct str digest);
void leaf_commit(struct leaf *leaf, const char *field, const uint8_t digest[SHA256_SIZE]);

/*
 * Appends the leaf's bytes. INTERNAL when a value is not what the type allows: nothing is written then, so that what
 * does not belong into a public log cannot slip into it.
 */
enum status leaf_write(const struct leaf *leaf, struct buf *out, struct error *err);

/* The value of a body's member; not given when the type has no such member, or the leaf leaves it out. */
struct leaf_value leaf_get(const struct leaf *leaf, const char *member);

/*
 * Reads a leaf that may come from anywhere. INVALID for bytes that leaf_write() would not have written, as far as the
 * type is known; TOO_LARGE; UNSUPPORTED for another version of the format.
 */
enum status leaf_parse(struct arena *arena, struct str bytes, struct leaf *out, struct error *err);

#endif

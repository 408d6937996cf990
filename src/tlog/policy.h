/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_POLICY_H
#define CAIRN_TLOG_POLICY_H

#include "tlog/checkpoint.h"

/*
 * Policy files (provenance 1.8): which logs a verifier believes, and which witnesses must have seen a checkpoint before
 * it counts. A file is the verifier's own, but is read as strictly as if it were not.
 */
#define POLICY_MOST (256 * 1024)
#define POLICY_LOGS_MOST 256
#define POLICY_PARTIES_MOST 1024 /* witnesses and groups */

struct policy_log {
    struct note_verifier verifier; /* its name is the origin */
    struct str url;                /* absent when the file gives none */
};

/* A witness, or a group of parties that stand before it in the file. */
struct policy_party {
    struct str name; /* only for use within the file; opaque bytes */
    bool is_group;
    unsigned needed;               /* of a group: how many members must have seen a checkpoint */
    int group;                     /* place of the group that this party belongs to; -1 for none */
    struct note_verifier verifier; /* of a witness: kind NOTE_COSIGNATURE or NOTE_ML_DSA */
    struct str url;                /* of a witness; absent when the file gives none */
};

/* {0} believes no log and asks for no witness. */
struct policy {
    struct policy_log *logs;
    struct policy_party *parties;
    size_t log_count, party_count;
    const struct policy_party *quorum; /* NULL for "none" */
};

/*
 * Reads a policy file; *out lives in the arena and does not need text any more. INVALID, with the number of the line,
 * for anything that the format does not allow; UNSUPPORTED for kinds of keys that note.h does not know; TOO_LARGE.
 * Witnesses and logs with ML-DSA keys are accepted and never count: a quorum that cannot do without them is never met.
 */
enum status policy_parse(struct arena *arena, struct str text, struct policy *out, struct error *err);

/*
 * What is known of a checkpoint that a policy accepts. The times are in seconds since 1970, and 0 for a quorum of
 * "none". They can be trusted as the quorum can: each is wrong only when all witnesses of a set that meets the quorum
 * are wrong.
 */
struct policy_verdict {
    struct checkpoint checkpoint;
    unsigned cosignatures; /* by witnesses of the policy */
    uint64_t seen_by;      /* a quorum had seen it by then: what the tree holds is not newer */
    uint64_t fresh_at;     /* a quorum knew of no larger tree then; foreign clocks, so it can lie in the future */
};

/*
 * Judges a whole checkpoint note. It must be signed by the log of its origin, which is log when that is given (kind
 * NOTE_ED25519; the policy's own logs then do not matter) and otherwise any in the policy; no known key may have a
 * forged line; the quorum must be met. *out lives in the arena.
 *
 * Errors: those of note_parse and checkpoint_parse; UNPROCESSABLE when the policy does not accept the checkpoint.
 */
enum status policy_check(struct arena *arena, const struct policy *policy, const struct note_verifier *log,
                         struct str checkpoint, struct policy_verdict *out, struct error *err);

#endif

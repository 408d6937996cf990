/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_TLOG_PROOF_H
#define CAIRN_TLOG_PROOF_H

#include "tlog/policy.h"

/* Proof files, ".tlog-proof" (provenance 1.9): all that is needed to check without a network that an entry is in a log.
 */
#define PROOF_MOST (1024 * 1024)

struct proof {
    struct str extra; /* what goes with the entry, often the entry itself; absent for none. Nothing vouches for it! */
    uint64_t index;
    struct tlog_path path;
    struct str checkpoint; /* the note, with the log's signature and cosignatures */
};

/* Appends a proof file. TOO_LARGE when it is over PROOF_MOST bytes; out is unchanged on failure. */
enum status proof_write(struct buf *out, const struct proof *proof, struct error *err);

/*
 * Reads a proof file; *out lives in the arena and does not need bytes any more. INVALID for what proof_write() does not
 * write; TOO_LARGE. The checkpoint is not looked at.
 */
enum status proof_parse(struct arena *arena, struct str bytes, struct proof *out, struct error *err);

/*
 * Proves that entry is in the log: the policy accepts the checkpoint (see policy_check, also for log), and the path
 * leads from the entry to its root. The entry's hash is made here, so that no one has to be believed about it. *out
 * lives in the arena.
 *
 * Errors: those of policy_check; UNPROCESSABLE when the path does not lead there.
 */
enum status proof_verify(struct arena *arena, const struct proof *proof, struct str entry, const struct policy *policy,
                         const struct note_verifier *log, struct policy_verdict *out, struct error *err);

#endif

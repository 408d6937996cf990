/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WITNESS_WITNESS_H
#define CAIRN_WITNESS_WITNESS_H

#include "ledger/ledger.h"

/*
 * The witnesses of this hub's log (provenance 1.7, 1.8): a thread sends each new checkpoint to those that a policy file
 * names, and keeps what they sign. Who has the policy then need not believe this hub that it shows everybody the same
 * log. Commits do not wait for it; releases can, by witness_cosigned_for().
 *
 * The alarm: a witness has seen another history of the log, or a longer one than there is here. Then the log must not
 * grow before somebody has looked, since every leaf more would have to be taken back. It stays until the hub is started
 * again. A witness that lies can give a false one; its word is not proof, and a line of the policy file is soon
 * removed.
 */
struct witness;

/*
 * policy_file is the policy (tlog/policy.h); only witnesses with a URL can be asked. kept names a file for the newest
 * checkpoint with its cosignatures, so that there is one right after a start. ledger must live longer.
 *
 * Errors: those of reading the policy, with its name; UNSUPPORTED when no witness can be asked, or when those that can
 * be could never meet the quorum.
 */
enum status witness_open(struct ledger *ledger, const char *policy_file, const char *kept, struct witness **out,
                         struct error *err);

/*
 * To be called once before anything is appended: asks each witness, for a few seconds at most. CORRUPT, with what to
 * do, when one of them, or the checkpoint that was kept, knows of more than the log holds or of another log: a backup
 * was restored, or the log was changed. Those that cannot be reached are only warned of.
 */
enum status witness_start_check(struct witness *witness, struct error *err);

/* From then on checkpoints are sent. */
void witness_start(struct witness *witness);
/* Ends the thread, when there is one; waits for answers under way, a second at most. NULL is fine. */
void witness_close(struct witness *witness);

/* On any thread, from here on. NULL, which stands for a hub without a policy, is fine where said. */

/* There is a new checkpoint; otherwise it is noticed within a second. NULL is fine. */
void witness_notice(struct witness *witness);

/* Appends the newest checkpoint that the policy accepts; false when there is none. */
bool witness_cosigned(struct witness *witness, struct buf *out);
/* Appends the newest checkpoint that was sent, with the cosignatures that it has by now; false before the first. */
bool witness_newest(struct witness *witness, struct buf *out);

/*
 * Appends a checkpoint that the policy accepts and whose tree holds leaf index. NOT_FOUND when there is no such leaf;
 * UNAVAILABLE when the witnesses have not cosigned it yet.
 */
enum status witness_cosigned_for(struct witness *witness, uint64_t index, struct buf *note, struct error *err);

/*
 * Waits until there is one, two seconds at most, and not at all while the witnesses have taken longer than that: who asks for a
 * proof of what was just done would otherwise get one that no policy accepts. NULL is fine.
 */
void witness_await(struct witness *witness, uint64_t index);

/* For whoever appends to the log: UNAVAILABLE, with the reason, once there was an alarm. NULL is fine. */
enum status witness_may_append(struct witness *witness, struct error *err);
bool witness_alarmed(struct witness *witness);

/* Appends lines for GET /metrics. NULL is fine. */
void witness_metrics(struct witness *witness, struct buf *out);

#endif

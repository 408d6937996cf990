/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_EVIDENCE_H
#define CAIRN_ATTEST_EVIDENCE_H

#include "base/arena.h"
#include "base/hash.h"
#include "db/db.h"

/*
 * Evidence: the signed envelopes (DSSE, Sigstore bundles) that prove what leaves say. The log has only their SHA-256;
 * the bytes stay here, because they name people and must be erasable (provenance 3.4). They belong to a repo: whoever
 * may see that may read them, and a digest opens nothing elsewhere (rule 3).
 */
#define EVIDENCE_STATEMENT_MOST (1024 * 1024)
#define EVIDENCE_BUNDLE_MOST (32 * 1024 * 1024)

/*
 * Within a write: keeps bytes exactly as they were sent. digest is their SHA-256, for the event's "evidence". Bytes
 * that the repo has already stay whose they were. TOO_LARGE over EVIDENCE_BUNDLE_MOST; CONFLICT when the repo is gone.
 */
enum status evidence_put(struct db_conn *tx, int64_t repo_id, int64_t account_id, struct str bytes,
                         uint8_t digest[SHA256_SIZE], struct error *err);

/* NOT_FOUND when the repo has no such evidence, or the person asked for its erasure. *bytes lives in the arena. */
enum status evidence_get(struct db_conn *conn, struct arena *arena, int64_t repo_id, const uint8_t digest[SHA256_SIZE],
                         struct str *bytes, struct error *err);

#endif

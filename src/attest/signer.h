/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_SIGNER_H
#define CAIRN_ATTEST_SIGNER_H

#include "oms/dsse.h"
#include "oms/key.h"
#include "router/request.h"

/*
 * Signing keys: the public keys of people, who keep the private ones. A key is one person's for good: it is registered
 * by an envelope that it has signed itself, and once revoked it does not come back, to anybody.
 */
#define SIGNERS_MOST 16 /* keys that a person may have at a time */

struct signer {
    int64_t id, account_id;
    struct str account; /* its name */
    struct str hint;    /* oms_key_hint() */
    struct str pem, name;
    int64_t created_us, revoked_us; /* revoked_us 0: it may sign */
};

/* By the hint, revoked or not. NOT_FOUND. Strings live in the arena. */
enum status signer_find(struct db_conn *conn, struct arena *arena, struct str hint, struct signer *out,
                        struct error *err);
/* An account's keys, those revoked too, newest first. */
enum status signer_list(struct db_conn *conn, struct arena *arena, int64_t account_id, struct signer **out,
                        size_t *count, struct error *err);

/*
 * Finds which of the account's keys has signed the envelope, which has one signature. A keyid, where there is one, says
 * which key to try.
 * FORBIDDEN when the account has no such key or has revoked it, UNPROCESSABLE when the signature does not fit.
 */
enum status signer_verify(struct db_conn *conn, struct arena *arena, int64_t account_id,
                          const struct dsse_envelope *envelope, struct signer *out, struct error *err);

/* Within the write that relies on a signature: FORBIDDEN when the key has been revoked since signer_verify(). */
enum status signer_still(struct db_conn *tx, const struct signer *signer, struct error *err);

/* What proves that a key is the caller's to register: an envelope of this type, signed by the key that it holds. */
#define SIGNER_MEDIA_TYPE "application/vnd.cairn.signing-key+json"

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_TOTP_H
#define CAIRN_IDENTITY_TOTP_H

#include "identity/identity.h"

/*
 * One-time codes (RFC 6238: SHA-1, six digits, steps of 30 seconds, as every app has them), and recovery codes for the
 * day on which the app is lost. Each code works once. The secret has to be kept whole, so it is encrypted under a key
 * that is not in the database (seal_key: 32 bytes).
 */
#define TOTP_SECRET_SIZE 20
#define TOTP_STEP_SECONDS 30
#define TOTP_DIGITS 6
#define RECOVERY_CODES 10

/* The code of a step, as a number of so many digits (up to 8). */
uint32_t totp_code(struct str secret, uint64_t step, unsigned digits);
/* Base32 without padding (RFC 4648), as apps want the secret. */
struct str totp_secret_text(struct arena *arena, const uint8_t secret[TOTP_SECRET_SIZE]);

/* In a write: a new secret, which counts only once a code of it was shown. CONFLICT when one counts already. */
enum status totp_begin(struct db_conn *tx, int64_t account_id, const uint8_t seal_key[32],
                       uint8_t secret[TOTP_SECRET_SIZE], struct error *err);
/*
 * In a write: takes a code of the steps around now that is newer than any used before; or, confirmed secrets only, a
 * recovery code, which is then gone. UNAUTHENTICATED when it is neither, NOT_FOUND when the account has no secret.
 * With confirm, the secret counts from then on, and codes gets new recovery codes, in arena.
 */
enum status totp_take(struct db_conn *tx, struct arena *arena, int64_t account_id, const uint8_t seal_key[32],
                      struct str code, bool confirm, struct str codes[RECOVERY_CODES], struct error *err);
/* In a write: sign in without codes again; NOT_FOUND when there were none. */
enum status totp_clear(struct db_conn *tx, int64_t account_id, int64_t by_id, struct error *err);

#endif

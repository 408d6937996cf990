/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_SIGNIN_H
#define CAIRN_SIGNIN_SIGNIN_H

#include "module.h"

/* Keys as their holders see them, and signing in: by password, one-time code and passkey. */
extern const struct module signin_module;

/*
 * Only for a session whose person has shown in the last quarter of an hour as much as the account can: FORBIDDEN
 * StepUp for others. Keys never get here: whoever finds one would have the account.
 */
enum status require_fresh(struct request *rq, struct error *err);

/* Attempts to sign in since the start, for GET /metrics. */
enum sign_in_result { SIGN_IN_GOOD, SIGN_IN_REFUSED, SIGN_IN_SLOWED, SIGN_IN_RESULTS };
int64_t sign_in_count(enum sign_in_result result);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_CI_H
#define CAIRN_OIDC_CI_H

#include "base/json.h"
#include "oidc/handlers.h"

/*
 * CI jobs: their provider signs for each an ID token that says which it is, and for that the hub gives a key of an hour (specs/access.md
 * C13), to nobody but who a trusted publisher describes: publishers.c registers them, ci.c exchanges.
 */
#define CI_SECONDS 3600
#define CI_SKEW_SECONDS 60 /* between the issuer's clock and ours */

/* The operator has named it in --ci-issuers. */
bool ci_issuer_is_named(const struct oidc *oidc, struct str issuer);

/* What owners say of a job: each claim that they name has to be there to the letter, as a text. */
bool ci_claims_match(const json_t *wanted, const json_t *claims);

/* Are these the claims of a token for that audience alone, now? Pure; the signature has been verified. UNAUTHENTICATED. */
enum status ci_check_claims(struct str issuer, struct str audience, const json_t *claims, struct error *err);

#endif

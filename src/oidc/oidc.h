/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_OIDC_H
#define CAIRN_OIDC_OIDC_H

#include "module.h"

/*
 * OpenID Connect: signing in elsewhere with this hub, signing in here with an outside provider, the device flow of
 * `hf auth login` (RFC 8628), and keys of an hour for CI jobs that show who they are (RFC 8693).
 */
extern const struct module oidc_module;

/* The outside provider, as the operator names it; issuer NULL: none. */
struct oidc_outside {
    const char *issuer, *client_id;
    const char *secret_file; /* NULL: a public client */
    bool sign_up;            /* whoever comes from there for the first time gets an account */
    const char *ci_issuers;  /* of CI jobs, with commas between them: they may stand in a private network; NULL: none */
};

/*
 * Reads or makes the hub's key for ID tokens (ES256, in oidc.pem of the data folder), and sets hub->oidc and
 * hub->outside_name. INVALID with a sentence about what the operator named.
 */
enum status oidc_open(const char *dir, const struct oidc_outside *outside, struct hub *hub, struct error *err);
void oidc_close(struct oidc *oidc); /* nothing for NULL */

#endif

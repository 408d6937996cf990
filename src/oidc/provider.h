/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_PROVIDER_H
#define CAIRN_OIDC_PROVIDER_H

#include "base/json.h"
#include "oidc/handlers.h"

/*
 * What the hub asks of the outside provider. Only the issuer that the operator named is asked, on its own scheme, host
 * and port, whatever its documents say; no redirects are followed. All of it waits for the network: hold no reader.
 */

/* Where a browser is sent, from the provider's configuration. UNAVAILABLE, or INVALID for one that cannot be used. */
enum status provider_authorization(struct oidc *oidc, struct arena *arena, struct str *url, struct error *err);

struct provider_code {
    struct str code, redirect_uri, verifier, nonce;
};
/* Exchanges the code and verifies the ID token. The claims are to be released. UNAUTHENTICATED when it is not right. */
enum status provider_exchange(struct oidc *oidc, struct arena *arena, const struct provider_code *what, json_t **claims,
                              struct error *err);

/* Are these the claims of an ID token for us, now? Pure; its signature has been verified. */
enum status provider_check_claims(struct str issuer, struct str client_id, struct str nonce, const json_t *claims,
                                  struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_OIDC_PROVIDER_H
#define CAIRN_OIDC_PROVIDER_H

#include "base/json.h"
#include "oidc/handlers.h"

/*
 * What the hub asks of the outside provider: the issuer that the operator named, and the addresses that its configuration
 * names, as far as provider_may_ask() goes. No redirects are followed. All of it waits for the network: hold no reader.
 */

/*
 * May the hub go, or send people, to what a document of that issuer names? To any host by https, as providers spread over
 * several; by http only to the issuer itself, or where that is on this machine, to this machine.
 */
bool provider_may_ask(struct str issuer, struct str url);
/* http://localhost or http://127.0.0.1 with a port: for tests and first steps. */
bool provider_is_local(struct str url);

/* Where a browser is sent, from the provider's configuration. UNAVAILABLE, or INVALID for one that cannot be used. */
enum status provider_authorization(struct provider *provider, struct arena *arena, struct str *url, struct error *err);

struct provider_code {
    struct str code, redirect_uri, verifier, nonce;
};
/* Exchanges the code and verifies the ID token. The claims are to be released. UNAUTHENTICATED when it is not right. */
enum status provider_exchange(struct oidc *oidc, struct arena *arena, const struct provider_code *what, json_t **claims,
                              struct error *err);

/* A token that its issuer has signed, by the keys that it has now. The claims are to be released, and still have to be looked
 * at. */
enum status provider_verify(struct provider *provider, struct arena *arena, struct str token, json_t **claims,
                            struct error *err);

/* Are these the claims of an ID token for us, now? Pure; its signature has been verified. */
enum status provider_check_claims(struct str issuer, struct str client_id, struct str nonce, const json_t *claims,
                                  struct error *err);

#endif

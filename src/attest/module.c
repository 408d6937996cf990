/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/settings/signing-keys", ACT_SELF, signer_mine},
    {HTTP_POST, "/api/settings/signing-keys", ACT_SELF_CHANGE, signer_add},
    {HTTP_DELETE, "/api/settings/signing-keys/{name}", ACT_SELF_CHANGE, signer_revoke},

    {HTTP_GET, "/api/{api}/attestations", ACT_SEE, statements_get},
    {HTTP_POST, "/api/{api}/attestations", ACT_ATTEST, statement_post},
    {HTTP_GET, "/api/{api}/deployments", ACT_SEE, deployments_get},
    {HTTP_POST, "/api/{api}/deployments", ACT_ATTEST, deployment_post},
    {HTTP_GET, "/api/{api}/releases", ACT_SEE, releases_get},
    {HTTP_GET, "/api/{api}/evidence/{name}", ACT_SEE, evidence_read},

    {HTTP_GET, "/log/attestation-key.pem", ACT_PUBLIC, attestation_key_get},
    {HTTP_GET, "/api/{api}/oms/{rev}/statement", ACT_SEE, oms_statement_get},
    {HTTP_GET, "/api/{api}/oms/{rev}", ACT_SEE, oms_list},
    {HTTP_POST, "/api/{api}/oms/{rev}", ACT_WRITE, oms_post},
    {HTTP_GET, "/api/{api}/provenance/{rev}.sig", ACT_SEE, oms_bundle_get},
    {0},
};

/* What was said with the keys stays, in the log too; that it was signed by the person cannot be shown any more. */
static const char *const forgets[] = {"DELETE FROM evidence WHERE account_id = ?",
                                      "DELETE FROM signer WHERE account_id = ?", NULL};

const struct module attest_module = {
    .name = "attest", .migrations = &attest_migrations, .events = attest_events, .routes = routes, .forgets = forgets};

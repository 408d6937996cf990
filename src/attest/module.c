/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/log/attestation-key.pem", ACT_PUBLIC, attestation_key_get},
    {HTTP_GET, "/api/{api}/oms/{rev}/statement", ACT_SEE, oms_statement_get},
    {HTTP_GET, "/api/{api}/oms/{rev}", ACT_SEE, oms_list},
    {HTTP_POST, "/api/{api}/oms/{rev}", ACT_WRITE, oms_post},
    {HTTP_GET, "/api/{api}/provenance/{rev}.sig", ACT_SEE, oms_bundle_get},
    {0},
};

static const char *const migrations[] = {
    /* Keys of the hub's own, so that what an earlier one signed can still be checked. */
    "CREATE TABLE hub_key (hint TEXT PRIMARY KEY, pem TEXT NOT NULL, added_us BIGINT NOT NULL)",
    oms_create_sql,
    NULL,
};
static const struct migration_set attest_migrations = {"attest", migrations};

extern const struct module attest_module;
const struct module attest_module = {.name = "attest", .migrations = &attest_migrations, .routes = routes};

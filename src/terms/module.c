/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "terms/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/terms/{name}/{name}", ACT_LIST, terms_list},
    {HTTP_POST, "/api/terms/{name}/{name}", ACT_GOVERN, terms_post, .object_in_body = true},
    {HTTP_GET, "/api/terms/{name}/{name}/{name}", ACT_LIST, terms_text_get},
    {HTTP_POST, "/api/terms/{name}/{name}/{name}/countersign", ACT_COUNTERSIGN, terms_countersign,
     .object_in_body = true},
    {HTTP_GET, "/api/{api}/terms", ACT_SEE, terms_of_repo},
    {HTTP_POST, "/api/{api}/terms/accept", ACT_APPLY, terms_accept_post},
    {HTTP_GET, "/api/receipts", ACT_SELF, receipts_list},
    {HTTP_GET, "/api/receipts/{name}", ACT_SELF, receipt_get},
    {0},
};

/* Acceptances stay: a hash, a version and a time, of a person without a name. */
static const char *const forgets[] = {"DELETE FROM terms_receipt WHERE account_id = ?", NULL};

const struct module terms_module = {
    .name = "terms", .migrations = &terms_migrations, .events = terms_events, .routes = routes, .forgets = forgets};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "oidc/handlers.h"
#include "oidc/oidc.h"

const struct event_kind oidc_events[] = {
    [EVENT_APP_ADD] = {"oauth.app_add", 1},
    [EVENT_APP_REMOVE] = {"oauth.app_remove", 1},
    [EVENT_DEVICE] = {"oauth.device", 1},
    [EVENT_GRANT] = {"oauth.grant", 1},
    [EVENT_LINK] = {"oidc.link", 1},
    [EVENT_UNLINK] = {"oidc.unlink", 1},
    [EVENT_PUBLISHER_ADD] = {"oidc.publisher_add", 1},
    [EVENT_PUBLISHER_REMOVE] = {"oidc.publisher_remove", 1},
    {0},
};

static const struct route routes[] = {
    {HTTP_POST, "/oauth/device", ACT_PUBLIC, device_code_post},
    {HTTP_GET, "/device", ACT_LIST, device_get},
    {HTTP_POST, "/device", ACT_SELF_CHANGE, device_post},
    {HTTP_POST, "/oauth/token", ACT_PUBLIC, token_post},

    {HTTP_GET, "/.well-known/openid-configuration", ACT_PUBLIC, configuration_get},
    {HTTP_GET, "/oauth/jwks", ACT_PUBLIC, keys_get_public},
    {HTTP_GET, "/oauth/authorize", ACT_LIST, authorize_get},
    {HTTP_POST, "/oauth/authorize", ACT_SELF_CHANGE, authorize_post},
    {HTTP_GET, "/oauth/userinfo", ACT_SELF, userinfo_get, userinfo_bearer},
    {HTTP_POST, "/oauth/userinfo", ACT_SELF, userinfo_get, userinfo_bearer},
    {HTTP_GET, "/api/settings/oauth-apps", ACT_SELF_CHANGE, apps_get},
    {HTTP_POST, "/api/settings/oauth-apps", ACT_SELF_CHANGE, app_post},
    {HTTP_DELETE, "/api/settings/oauth-apps/{name}", ACT_SELF_CHANGE, app_delete},

    {HTTP_GET, "/api/settings/trusted-publishers", ACT_SELF_CHANGE, publishers_get},
    {HTTP_POST, "/api/settings/trusted-publishers", ACT_SELF_CHANGE, publisher_post},
    {HTTP_DELETE, "/api/settings/trusted-publishers/{id}", ACT_SELF_CHANGE, publisher_delete},

    {HTTP_GET, "/signin/oidc", ACT_LIST, outside_get},
    {HTTP_POST, "/signin/oidc", ACT_SELF_CHANGE, outside_post},
    {HTTP_GET, "/signin/oidc/callback", ACT_LIST, outside_callback},
    {HTTP_DELETE, "/api/settings/oidc", ACT_SELF_CHANGE, outside_delete},
    {0},
};

/* What has ended is told apart from what never was for a while. */
#define KEEP_US (15 * 60 * SECOND_US)

static const char *const sweeps[] = {
    "DELETE FROM oauth_device WHERE ends_us <= ?", "DELETE FROM oauth_code WHERE ends_us <= ?",
    "DELETE FROM oauth_token WHERE ends_us <= ?", "DELETE FROM ci_token WHERE ends_us <= ?",
    /* They end by themselves, and shall not fill the list of keys. One that is held stays: its
                                      * case is not over. */
    "UPDATE api_key SET revoked_us = expires_us WHERE publisher_id <> 0 AND hold = 0 "
    "AND revoked_us IS NULL AND expires_us <= ?"};

static enum status sweep_in_write(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
        auto_stmt struct stmt *sweep = NULL;
        TRY(db_prepare(tx, sweeps[i], &sweep, err));
        stmt_bind_int(sweep, 1, now_us() - KEEP_US);
        TRY(stmt_run(sweep, err));
    }
    return OK;
}

static enum status sweep(struct hub *hub, struct error *err)
{
    return db_write(hub->db, sweep_in_write, NULL, err);
}

static const struct job jobs[] = {{"oauth-sweep", 900, sweep}, {0}};

const struct module oidc_module = {.name = "oidc", .events = oidc_events, .routes = routes, .jobs = jobs};

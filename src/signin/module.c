/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/key.h"
#include "identity/session.h"
#include "signin/handlers.h"
#include "signin/signin.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/settings/keys", ACT_SELF_CHANGE, keys_get},
    {HTTP_POST, "/api/settings/keys", ACT_SELF_CHANGE, key_post},
    {HTTP_POST, "/api/settings/keys/{name}/rotate", ACT_SELF_CHANGE, key_rotate_post},
    {HTTP_DELETE, "/api/settings/keys/{name}", ACT_SELF_CHANGE, key_delete},

    {HTTP_POST, "/api/sessions", ACT_PUBLIC, session_post},
    {HTTP_GET, "/api/sessions", ACT_SELF_CHANGE, sessions_get},
    {HTTP_DELETE, "/api/sessions", ACT_SELF_CHANGE, sessions_delete},
    {HTTP_DELETE, "/api/sessions/{name}", ACT_SELF_CHANGE, session_delete},
    {HTTP_POST, "/api/sessions/challenge", ACT_LIST, challenge_post},
    {HTTP_POST, "/api/sessions/step-up", ACT_SELF, session_step_up},
    {HTTP_POST, "/api/settings/password", ACT_SELF_CHANGE, password_post},
    {HTTP_POST, "/api/settings/totp", ACT_SELF_CHANGE, totp_post},
    {HTTP_POST, "/api/settings/totp/confirm", ACT_SELF_CHANGE, totp_confirm},
    {HTTP_DELETE, "/api/settings/totp", ACT_SELF_CHANGE, totp_delete},
    {HTTP_GET, "/api/settings/passkeys", ACT_SELF_CHANGE, passkeys_get},
    {HTTP_POST, "/api/settings/passkeys", ACT_SELF_CHANGE, passkey_post},
    {HTTP_DELETE, "/api/settings/passkeys/{name}", ACT_SELF_CHANGE, passkey_delete},

    {HTTP_GET, "/signin", ACT_LIST, page_get},
    {HTTP_POST, "/signin", ACT_PUBLIC, page_post},
    {HTTP_POST, "/signin/out", ACT_SELF, page_out},
    {HTTP_GET, "/signin/page.js", ACT_PUBLIC, script_get},
    {HTTP_GET, "/signin/page.css", ACT_PUBLIC, style_get},
    {0},
};

static enum status sweep_in_write(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return sessions_sweep(tx, err);
}

static enum status sweep(struct hub *hub, struct error *err)
{
    return db_write(hub->db, sweep_in_write, NULL, err);
}

static enum status write_uses(struct hub *hub, struct error *err)
{
    return key_uses_write(hub->db, err);
}

static const struct job jobs[] = {
    {"key-uses", 60, write_uses, .last = true},
    {"key-notices", 60, key_notices},
    {"session-sweep", 3600, sweep},
    {0},
};

const struct module signin_module = {.name = "signin", .routes = routes, .jobs = jobs};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/key.h"
#include "signin/handlers.h"
#include "signin/signin.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/settings/keys", ACT_SELF_CHANGE, keys_get},
    {HTTP_POST, "/api/settings/keys", ACT_SELF_CHANGE, key_post},
    {HTTP_POST, "/api/settings/keys/{name}/rotate", ACT_SELF_CHANGE, key_rotate_post},
    {HTTP_DELETE, "/api/settings/keys/{name}", ACT_SELF_CHANGE, key_delete},
    {0},
};

static enum status write_uses(struct hub *hub, struct error *err)
{
    return key_uses_write(hub->db, err);
}

static const struct job jobs[] = {
    {"key-uses", 60, write_uses},
    {"key-notices", 60, key_notices},
    {0},
};

const struct module signin_module = {.name = "signin", .routes = routes, .jobs = jobs};

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/handlers.h"
#include "hub/hub.h"
#include "hub/summary.h"

static const struct route hub_routes[] = {
    /* What is asked most stands first; no two of these fit one path. */
    {HTTP_GET, "/{web}/resolve/{rev}/{path*}", ACT_READ, resolve_get},
    {HTTP_GET, "/api/{api}", ACT_SEE, info_get},
    {HTTP_GET, "/api/{api}/revision/{rev}", ACT_SEE, info_get_revision},
    {HTTP_GET, "/api/{api}/tree/{rev}/{path*}", ACT_SEE, tree_get},

    {HTTP_GET, "/", ACT_PUBLIC, landing},
    {HTTP_GET, "/healthz", ACT_PUBLIC, health},
    {HTTP_GET, "/metrics", ACT_PUBLIC, metrics},
    {HTTP_GET, "/api/agent-harnesses", ACT_PUBLIC, agent_harnesses},
    {HTTP_GET, "/api/telemetry/{path*}", ACT_PUBLIC, telemetry},
    {HTTP_POST, "/api/validate-yaml", ACT_PUBLIC, validate_yaml},

    {HTTP_GET, "/api/whoami-v2", ACT_SELF, whoami},
    {HTTP_GET, "/api/settings/repositories", ACT_SELF, repos_mine},
    {HTTP_GET, "/api/organizations/{name}/settings/repositories", ACT_SELF, repos_of_org},

    {HTTP_POST, "/api/repos/create", ACT_CREATE, repos_create, .object_in_body = true},
    {HTTP_DELETE, "/api/repos/delete", ACT_ADMINISTER, repos_delete, .object_in_body = true},
    {HTTP_POST, "/api/repos/move", ACT_ADMINISTER, repos_move, .object_in_body = true},
    {HTTP_PUT, "/api/{api}/settings", ACT_ADMINISTER, repos_settings},
    {HTTP_GET, "/api/{api}/auth-check", ACT_READ, repos_auth_check},
    {HTTP_GET, "/api/{api}/auth-check/write", ACT_WRITE, repos_auth_check},

    {HTTP_GET, "/api/{kind}", ACT_LIST, list_repos},

    {HTTP_POST, "/api/{api}/paths-info/{rev}", ACT_SEE, paths_info},
    {HTTP_GET, "/api/{api}/refs", ACT_SEE, refs_get},
    {HTTP_GET, "/api/{api}/commits/{rev}", ACT_SEE, commits_get},
    {HTTP_POST, "/api/{api}/branch/{name}", ACT_WRITE, branch_create},
    {HTTP_DELETE, "/api/{api}/branch/{name}", ACT_WRITE, branch_delete},
    {HTTP_POST, "/api/{api}/tag/{rev}", ACT_WRITE, tag_add},
    {HTTP_DELETE, "/api/{api}/tag/{name}", ACT_WRITE, tag_delete},
    {HTTP_POST, "/api/{api}/super-squash/{rev}", ACT_WRITE, super_squash},
    {HTTP_GET, "/api/{api}/rules", ACT_SEE, rules_get},
    {HTTP_PUT, "/api/{api}/rules/{rev}", ACT_ADMINISTER, rule_put},
    {HTTP_DELETE, "/api/{api}/rules/{rev}", ACT_ADMINISTER, rule_delete},
    {HTTP_GET, "/api/{api}/discussions", ACT_SEE, pulls_get},
    {HTTP_GET, "/api/{api}/discussions/{number}", ACT_SEE, pull_get_one},
    {HTTP_POST, "/api/{api}/discussions/{number}/merge", ACT_WRITE, pull_merge},

    {HTTP_POST, "/api/{api}/preupload/{rev}", ACT_PROPOSE, preupload},
    {HTTP_POST, "/api/{api}/commit/{rev}", ACT_PROPOSE, commit_post},
    {HTTP_POST, "/{web}.git/info/lfs/objects/batch", ACT_READ, lfs_batch},
    {HTTP_POST, "/{web}.git/info/lfs/locks/verify", ACT_SEE, lfs_locks},
    {HTTP_PUT, "/transfer/put/{sha256}", ACT_PROPOSE, transfer_put, .signed_by = transfer_signed},
    {HTTP_PUT, "/transfer/part/{upload}/{number}", ACT_PROPOSE, transfer_part, .signed_by = transfer_signed},
    {HTTP_POST, "/transfer/complete/{upload}", ACT_PROPOSE, transfer_complete, .signed_by = transfer_signed},
    {HTTP_POST, "/transfer/verify/{sha256}", ACT_PROPOSE, transfer_verify, .signed_by = transfer_signed},
    {HTTP_GET, "/transfer/get/{sha256}", ACT_READ, transfer_get, .signed_by = transfer_signed},

    {HTTP_GET, "/{web}/raw/{rev}/{path*}", ACT_READ, raw_get},
    {0},
};

const struct module hub_module = {.name = "hub", .migrations = &summary_migrations, .routes = hub_routes};

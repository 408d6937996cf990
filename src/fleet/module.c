/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fleet/internal.h"

/* The same by three addresses: of 1.8, of the versions after it, whose client writes two slashes where it means one, and of today. */
#define OLD(name, handler)                                                                                             \
    {                                                                                                                  \
        HTTP_POST, "/api/v0/fleet/" name, ACT_TAKE_PART, handler, .object_in_body = true                               \
    }
#define NEW(name, handler)                                                                                             \
    {HTTP_POST, "//api/v0/fleet/" name, ACT_TAKE_PART, handler, .object_in_body = true},                               \
    {                                                                                                                  \
        HTTP_POST, "/v1/fleet/" name, ACT_TAKE_PART, handler, .object_in_body = true                                   \
    }

static const struct route routes[] = {
    OLD("create-node", node_create),
    OLD("ping", node_ping),
    OLD("pull-task-ins", task_pull),
    OLD("push-task-res", result_push),
    OLD("delete-node", node_delete),
    /* One slash: it alone is well written. */
    OLD("send-node-heartbeat", node_heartbeat),
    NEW("register-node", node_register),
    NEW("activate-node", node_activate),
    NEW("deactivate-node", node_leave),
    NEW("unregister-node", node_leave),
    NEW("send-node-heartbeat", node_heartbeat),
    NEW("pull-messages", message_pull),
    NEW("push-messages", message_push),
    NEW("pull-object", object_pull),
    NEW("push-object", object_push),
    NEW("get-run", fleet_run),
    NEW("get-fab", fleet_app),
    NEW("confirm-message-received", message_confirm),
    {0},
};

const struct module fleet_module = {.name = "fleet", .routes = routes};

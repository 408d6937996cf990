/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_HANDLERS_H
#define CAIRN_GATE_HANDLERS_H

#include "gate/internal.h"

/* Handlers, file by file; module.c has their addresses. */
/* gate_api.c */ route_handler gate_show, gate_put, gate_state_post;
/* group.c */ route_handler group_show, group_put, group_state_post, group_list, group_repos, group_repo_add;
/* group.c */ route_handler group_repo_remove;
/* request_api.c */ route_handler access_request_post, access_request_get, access_request_withdraw;
/* request_api.c */ route_handler access_request_check, access_request_answer, access_request_join,
    access_request_member;
/* request_api.c */ route_handler access_requests_get, access_requests_mine, access_request_one, access_request_ask;
/* request_api.c */ route_handler access_request_decide;
/* hub_face.c */ route_handler hub_requests_get, hub_request_handle, hub_grant;
/* ask.c */ route_handler ask_get, ask_post;

/* What these files share. */
struct application;
/* Applies for rq's repo as rq's actor, in one write. */
enum status access_request_apply(struct request *rq, struct application *how, struct access_request *out,
                                 struct error *err);
/* The public face of a gate as members of an object that is open; you: whether what concerns the actor is added. */
enum status gate_write(struct request *rq, const struct gate *gate, bool you, struct json_writer *w, struct error *err);
/* {"state": "open|paused|closed"} */
enum status gate_state_read(struct request *rq, enum gate_state *out, struct error *err);
/* A policy out of the request's body. */
enum status gate_policy_body(struct request *rq, struct gate_policy *out, struct error *err);

#endif

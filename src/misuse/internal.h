/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_INTERNAL_H
#define CAIRN_MISUSE_INTERNAL_H

#include "misuse/cases.h"
#include "misuse/misuse.h"
#include "router/request.h"

#define BODY_LIMIT (64 << 10)

/* Handlers, file by file; module.c has their addresses. */
/* api.c */ route_handler signals_get, cases_get, case_appeal, case_confirm, case_decide;
/* leak.c */ route_handler leaked_post;
/* page.c */ route_handler misuse_page_get, misuse_page_post;

/* api.c: what the caller says of an own case: that it was no misuse, or, with a text, why it is wrong. */
enum status case_said(struct request *rq, struct str id, bool confirms, struct str text, struct error *err);

/* look.c: what requests show, gathered in memory; and what a job makes of it. */
void look_served(struct request *rq);
enum status look_run(struct hub *hub, struct error *err);
enum status look_write_clients(struct hub *hub, struct error *err);
void look_forget(int64_t key_id); /* its sketches, when a person has said that they mislead */

/* account_signs.c: jobs */
enum status holds_run(struct hub *hub, struct error *err);
enum status sign_ups_run(struct hub *hub, struct error *err);
enum status sign_ups_look(struct db_conn *tx, void *context, struct error *err); /* in a write */

/* honey.c */
route_handler honey_post;
void honey_wrong_key(struct request *rq, struct str token);
enum status honey_run(struct hub *hub, struct error *err);

#endif

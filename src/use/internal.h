/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_USE_INTERNAL_H
#define CAIRN_USE_INTERNAL_H

#include "notice/notice.h"
#include "router/page.h"
#include "tlog/tree.h"
#include "use/use.h"

extern const struct migration_set use_migrations;

#define DAY_US (INT64_C(86400) * SECOND_US)
#define BODY_LIMIT (64 << 10)
#define LINE_MOST 1000
#define TEXT_MOST 20000

/* Handlers, file by file; module.c has their addresses. */
/* access_api.c */ route_handler access_get;
/* read_api.c */ route_handler reads_get, read_proof, uses_get;
/* recall.c */ route_handler recall_post, recalls_get;
/* enforce_api.c */ route_handler enforcement_post, enforcement_sign, enforcement_get, enforcement_mine,
    enforcement_appeal, enforcement_looks;
/* look.c */ route_handler enforcement_look;
/* hold_api.c */ route_handler holds_get, hold_post;

/* read.c: one record for each reply with bytes of a gated repo, and for each refusal of somebody known. */
void read_served(struct request *rq);
enum status reads_flush(struct hub *hub, struct error *err);  /* a job */
enum status reads_forget(struct hub *hub, struct error *err); /* a job: what is older than 90 days */

/* A batch's records, one a line, are the leaves of its tree. */
struct record_lines {
    struct str *lines;
    struct tlog_hash *hashes;
    size_t count;
};
struct record_lines record_lines(struct arena *arena, struct str records);
enum status record_prove(struct record_lines *all, uint64_t index, struct tlog_path *out, struct error *err);
/* Who a record is about, to whoever knows the salt. */
struct str record_person(struct arena *arena, struct str salt, int64_t account_id);

/* recall.c */ enum status recall_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err);
/* enforce.c */ enum status strike_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err);
/* overturn.c */ enum status step_overturned(struct db_conn *tx, int64_t step_id, int64_t days, struct error *err);
/* look.c */ enum status look_fire(struct db_conn *tx, int64_t id, int64_t due_us, struct error *err);
/* A hub administrator, with a key of role admin. */
bool is_board(const struct actor *actor);
/* similar.c */ enum status tensors_look(struct hub *hub, struct error *err); /* a job */

/* Of a body: INVALID when it has another member than these. */
enum status use_body_only(const json_t *body, const char *const *members, struct error *err);
/* A text of a body, 1 to most bytes of UTF-8 when it is wanted; absent otherwise. */
enum status use_body_text(const json_t *body, const char *key, size_t most, bool wanted, struct str *out,
                          struct error *err);
/* Does the account administer the name space? */
enum status is_owner_of(struct db_conn *conn, int64_t account_id, int64_t owner_id, bool *out, struct error *err);

#endif

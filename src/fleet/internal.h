/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FLEET_INTERNAL_H
#define CAIRN_FLEET_INTERNAL_H

#include "base/hash.h"
#include "federate/part.h"
#include "fleet/fleet.h"
#include "fleet/npy.h"
#include "fleet/proto.h"

#define MESSAGE_MOST ((size_t)1 << 20) /* of a request without arrays */
#define TENSORS_MOST 4096              /* of a model for these clients: each is several objects of theirs */
#define CHUNK ((int64_t)5 << 20)       /* of an array's numbers in one object: what Flower's own server takes */

/* Handlers; module.c has their addresses. */
/* old.c: Flower 1.8 */ route_handler node_create, node_ping, node_delete, task_pull, result_push;
/* node.c: from 1.20 or so to today */ route_handler node_register, node_activate, node_leave, node_heartbeat;
/* node.c */ route_handler fleet_run, fleet_app, message_confirm;
/* pull.c */ route_handler message_pull, object_pull;
/* push.c */ route_handler message_push, object_push;

/* node.c: what all requests have. */

/* Asks the door for the repo in the address's user part. */
enum status fleet_admit(struct request *rq, struct error *err);
/* The same; then the request's message, which stays in memory. */
enum status fleet_message(struct request *rq, struct proto *out, struct error *err);
/* The number of the actor's node for this repo: the same at any time, and below 2^63. */
uint64_t node_number(const struct request *rq);
/* NOT_FOUND "UnknownNode" when the Node in field 1 of the message is not the actor's. old: its number is a zigzag one. */
enum status node_check(const struct request *rq, const struct proto *message, bool old, struct error *err);
/* Of a run, as Flower numbers them. */
uint64_t run_number(const struct part *part);
void fleet_reply(struct request *rq, struct proto_out *out);

/* plan.c: what the round's model is in Flower's words, found once a round and kept beside it. */

struct plan_tensor {
    struct tensor tensor;
    const uint8_t (*chunks)[SHA256_SIZE]; /* ids of its objects with numbers */
    size_t chunk_count;                   /* at least 1 */
};
struct plan {
    struct part_model model;
    struct plan_tensor *tensors; /* by their place in the file: the order of Flower's lists */
    size_t count;
    double created; /* seconds since 1970: when the round's messages were made */
};
enum status plan_open(struct request *rq, const struct part *part, struct plan *out, struct error *err);
void plan_close(struct plan *plan);
#define auto_plan __attribute__((cleanup(plan_close)))
/* An object's bytes before the numbers: its head and, of the first one, the array's. */
void plan_chunk_head(const struct tensor *tensor, size_t which, struct buf *out);
/* Where its numbers are, behind the model's head. */
void plan_chunk_range(const struct tensor *tensor, size_t which, int64_t *at, int64_t *length);
/* What participants are told, as fields of Flower's ConfigRecord. */
void plan_config(const struct part *part, struct proto_out *out);
/* Replies with a finished message, whose holes are ranges of the model. What plan holds goes over to the reply. */
struct fleet_range {
    int64_t at, length; /* in the model's file */
};
void plan_reply(struct request *rq, struct plan *plan, struct proto_out *out, const struct fleet_range *ranges);

/* take.c: an update, from the arrays that a client sends, one after the other. */

struct sent_piece {
    struct proto_source *source; /* NULL: in the file of that path */
    const char *path;
    int64_t at, end;
};
struct sent_array {
    struct str name;
    struct sent_piece *pieces; /* which make an .npy file; each is read once, from its beginning to its end */
    size_t count;
};

struct sent {
    struct request *rq;
    const struct part *part;
    const struct plan *plan;
    int to; /* the participant's file, locked */
    bool *there;
    size_t count;
    struct sight *sight; /* of the file, as long as arrays come in its order */
    int64_t in_order;    /* bytes of numbers that have come in it */
    int64_t examples;    /* 0: not told yet */
};
/* CONFLICT while another request sends this update. */
enum status sent_begin(struct request *rq, const struct part *part, const struct plan *plan, struct sent *out,
                       struct error *err);
/* UNPROCESSABLE with what is wrong with it. */
enum status sent_array(struct sent *sent, const struct sent_array *array, struct error *err);
/* Hands it to the federate part. status and why: what has come of it so far; UNPROCESSABLE counts as a refused update. */
enum status sent_end(struct sent *sent, enum status status, const struct error *why, struct error *err);
void sent_close(struct sent *sent);
#define auto_sent __attribute__((cleanup(sent_close)))

/* How many bytes all that is sent for an update may have: twice the model's, as numbers may come as float64, and names. */
int64_t sent_most(const struct plan *plan);
/* The words of UNPROCESSABLE when the client says that it could not train: so it is not asked again and again. */
enum status sent_failure(struct str why, struct error *err);

/* examples.c */

#define EXAMPLES_MOST (INT64_C(1) << 31)
/* "num-examples" or "num_examples" of a MetricRecord: 0 when it is not there, or no whole number from 1 on. */
enum status sent_examples(const struct proto *record, struct arena *arena, int64_t *out, struct error *err);

#endif

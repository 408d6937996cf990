/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_FEDERATE_PART_H
#define CAIRN_FEDERATE_PART_H

#include "federate/measure.h"
#include "leaf/tensor.h"
#include "router/request.h"

/*
 * Taking part, for who speaks another protocol than ours (fleet): whatever comes in by it goes through the same checks, into the same
 * files and rows, and is told the same refusals. rq->repo and rq->actor are those that the door has let in.
 */
enum part_state {
    PART_WAITS, /* nothing to do now, perhaps later */
    PART_TRAINS,
    PART_OVER, /* the newest run has ended */
};

struct part {
    enum part_state state;
    struct str run; /* 32 hex */
    int64_t round, rounds;
    double bound, mu; /* 0: none */
    struct oid base;  /* the commit whose model the round starts from */
    char own[4096];   /* where what the participant sends for this round belongs: the file of its update */
    char model[4096]; /* where the round's model is, once part_model() was called */
    void *place;      /* the federate part's own */
};

/* What the participant is asked for now; who has not joined does so by it. CONFLICT "OtherMode" where participants send more than a model. */
enum status part_find(struct request *rq, struct part *out, struct error *err);

/* The round's model: its file, to be closed by the caller, with all tensors F32 without gaps from data_at on. */
struct part_model {
    int fd;
    int64_t data_at, size;
    struct str head; /* the file's first data_at bytes; in the arena of rq */
};
enum status part_model(struct request *rq, const struct part *part, struct part_model *out, struct error *err);
/* Its tensors, found by the sandboxed child. */
enum status part_tensors(struct request *rq, const struct part_model *model, struct tensor_list *out,
                         struct error *err);

/* The participant's file, locked until it is closed. CONFLICT while another request has it, or when it holds an accepted update. */
enum status part_file(struct request *rq, const struct part *part, int *out, struct error *err);

/* The request's body, as a new file of that path, which begins like own so that it goes with the round; none on failure. TOO_LARGE. */
enum status part_receive(struct request *rq, const char *path, int64_t limit, int *out, int64_t *size,
                         struct error *err);

/*
 * The file, which fd has locked, holds an update, with the model's head: it is checked, and accepted or refused, as update_finish()
 * does, and the round ends if this was the last. seen is what was seen of its bytes; NULL: it is read. refused, when not NULL, says
 * what is wrong with it before anybody looks: UNPROCESSABLE with its message, and counted. part is of no use afterwards.
 */
enum status part_finish(struct request *rq, const struct part *part, int fd, int64_t examples,
                        const struct sighting *seen, const struct error *refused, struct error *err);

#endif

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_LIMITER_H
#define CAIRN_QUOTA_LIMITER_H

#include "quota/limits.h"
#include "quota/meter.h"

/*
 * What stands between the dispatcher and the limits: who asks, which limits hold for them, and whether there is room. All
 * in memory and bounded; limits and egress are read anew from the database every few seconds.
 */
struct limiter;
struct limiter *limiter_new(struct db *db);
void limiter_free(struct limiter *limiter); /* what was sent and is not written yet is written; nothing when NULL */

struct caller {
    int64_t key_id, account_id; /* 0: nobody */
    struct str address;         /* of the client, as text */
    bool local;                 /* on the hub's own machine */
    bool slowed;                /* the key is held to the floor rate, whatever its tier */
    int64_t bytes_per_day;      /* most that the key may download; 0: no such limit */
};

/* A request from its beginning to its end. */
struct visit {
    enum unit unit;
    const struct limits *limits;
    struct meter account, key;                /* whose downloads count; key.id 0: it has no limit of its own */
    int64_t account_most, key_most, promised; /* bytes: with what sponsors add; of a reply that is on its way */
    struct rate_ask asks[SCOPES];
    size_t ask_count;
    struct rate_answer answer; /* about asks[answer.strictest]; nothing when ask_count is 0 */
    uint64_t parallel[SCOPES]; /* counted as one at once; 0: not */
    int tenths;
};

/*
 * Lets a request in, or answers TOO_MANY (or UNPAID where only a payment helps) with the sentence;
 * visit->answer says how long to wait. conn may be NULL. limiter_leave() must follow in both cases.
 */
enum status limiter_enter(struct limiter *limiter, struct db_conn *conn, const struct caller *caller, enum unit unit,
                          bool little, struct visit *visit, struct error *err);
/* Besides: the floor rate of a person whom the owner of a gated repo has slowed there. TOO_MANY, and visit->answer. */
enum status limiter_floor(struct limiter *limiter, int64_t account_id, int64_t owner_id, struct visit *visit,
                          struct error *err);
/* A body of files is about to go out: room for all of it, in what the person and the key may download, or the refusal of
 * limiter_enter() before a byte of it is sent. limiter_leave() gives back what was not sent. */
enum status limiter_promise(struct limiter *limiter, struct db_conn *conn, struct visit *visit, int64_t bytes,
                            struct error *err);
/* The reply is out: with that status and so many bytes of body, which count as downloaded when they were promised. */
void limiter_leave(struct limiter *limiter, struct visit *visit, int status, int64_t bytes);

/* Writes what was sent into the counters, when it is time (5 s, or 64 MiB) or when now is true. */
enum status limiter_flush(struct limiter *limiter, bool now, struct error *err);
/* Limits have been changed by this process: they are read anew at once. */
void limiter_changed(struct limiter *limiter);

/* The remaining requests of an account, without charging: for what shows them. 0 asks for no answer when there is no limit. */
bool limiter_peek(struct limiter *limiter, const struct limits *limits, int64_t account_id, enum unit unit,
                  struct rate_answer *out);

#endif

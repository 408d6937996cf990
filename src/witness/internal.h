/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WITNESS_INTERNAL_H
#define CAIRN_WITNESS_INTERNAL_H

#include "fetch/fetch.h"
#include "tlog/policy.h"
#include "witness/witness.h"

#include <pthread.h>

/* The client's insides, shared by witness.c (what is kept), round.c (who is asked when) and ask.c (one witness). */

#define WITNESS_TIMEOUT_MS 1000  /* for all that one witness is asked in a round */
#define WITNESS_CHECK_MS 3000    /* the same at start, when the answer decides whether the hub may start */
#define WITNESS_SMALL_MOST 16384 /* bytes of an answer */

/* A witness that is asked. The thread that asks it has all of this for itself, but what stands below the lock. */
struct peer {
    const struct policy_party *party;
    struct str url;    /* of add-checkpoint */
    uint64_t known;    /* how large a tree it has seen, as far as we know */
    unsigned failures; /* in a row */
    int64_t due_us;    /* monotonic: not to be asked before */
    /* Under the lock of struct witness: */
    struct buf line;         /* its cosignature of the newest checkpoint; empty when there is none yet */
    int64_t last_success_us; /* since 1970; 0: never */
};

/* The checkpoint that is sent around. */
struct sent {
    struct str note; /* with the log's signature alone */
    struct str text;
    struct checkpoint checkpoint;
};

struct witness {
    struct ledger *ledger;
    struct arena arena;
    struct policy policy;
    struct note_verifier log;
    const char *kept;
    struct peer *peers;
    size_t peer_count;
    /* How a witness is asked: fetch(), but in tests. */
    enum status (*ask)(struct arena *arena, const struct fetch *what, struct fetch_answer *out, struct error *err);

    pthread_t thread;
    bool started;
    struct arena sent_arena; /* of the rounds' thread: sent and its note */
    struct sent sent;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t wake;
    bool stop, noticed;
    struct buf newest;   /* sent.note, with the cosignatures so far */
    struct buf cosigned; /* the newest note that the policy accepts; empty when there is none */
    uint64_t newest_size, cosigned_size;
    bool unkept;      /* cosigned is not in the file yet */
    int64_t waits_us; /* monotonic: since when the newest checkpoint has waited to be accepted; 0: it does not */
    char alarm[1024]; /* "" while there is none */
};

/* ask.c: sends the checkpoint to one witness and takes what it answers into the witness. */
void peer_ask(struct witness *witness, struct peer *peer, int timeout_ms);
/* ledger_consistency() as a path. */
enum status consistency_path(struct ledger *ledger, uint64_t from, uint64_t to, struct tlog_path *out,
                             struct error *err);

/* round.c */
/* One round: takes up the newest checkpoint, asks everybody who is due, and keeps the result. */
void witness_round(struct witness *witness, int timeout_ms);
void *witness_rounds(void *context); /* the thread */

/* witness.c */
/* A new checkpoint to send around: nobody has cosigned it. */
void witness_renew(struct witness *witness);
/* The peer has cosigned what is sent. */
void witness_attach(struct witness *witness, struct peer *peer, struct str line);
void witness_alarm(struct witness *witness, const char *format, ...) __attribute__((format(printf, 2, 3)));
void witness_keep(struct witness *witness);

#endif
